//! The machine the program runs on.

use std::num::NonZero;

/// A description for records, such as "2 cores of AMD EPYC 9B14"; without the processor's name if it is unknown.
pub fn description() -> String {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let plural = if cores == 1 { "" } else { "s" };
    let processor = std::fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("model name"))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    });
    let of = processor.map_or(String::new(), |name| format!(" of {name}"));
    format!("{cores} core{plural}{of}")
}

/// The name of this host.
pub fn host() -> String {
    #[cfg(unix)]
    return rustix::system::uname().nodename().to_string_lossy().into_owned();
    #[cfg(not(unix))]
    std::env::var("COMPUTERNAME").unwrap_or_default()
}

/// Peak memory of this process in bytes; `None` if the system does not report it.
pub fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}
