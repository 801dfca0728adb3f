//! The machine the program runs on: its cores, and the memory that this process may still take.
//!
//! A job of a cluster or a container sees the whole machine in `/proc`, but is killed at the limit of its control group.
//! What a process may take is therefore the least that the system, its control groups, its resource limits and the
//! user's own setting leave.

use std::fs::read_to_string;
use std::num::NonZero;
use std::path::{Path, PathBuf};

/// The environment variable with the most memory this process may take, such as `8G`.
pub const MEMORY: &str = "NEM_TUI_MEMORY";

/// What [`free_memory`] is taken to be where the system does not report it: enough for everything but a mistake.
const UNKNOWN: u64 = 1 << 40;

/// A description for records, such as "2 cores of AMD EPYC 9B14"; without the processor's name if it is unknown.
pub fn description() -> String {
    let cores = cores();
    let plural = if cores == 1 { "" } else { "s" };
    let processor = read_to_string("/proc/cpuinfo").ok().and_then(|text| {
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

/// When the process `pid` of this host began, in the system's ticks; `None` without such a process. It tells apart
/// processes that had the same number.
pub fn process_began(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may hold anything; 20 fields follow it up to the time.
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

/// Number of threads that can run at once: those of the affinity mask, and no more than the quotas of the control groups
/// allow. Part of a core counts only where it is all there is: one thread of two on a quota of 1.5 would be stopped for
/// half of each period, and the other would wait for it.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

/// Number of threads for a library that would start `most`, because it does not know quotas: no more than [`cores`],
/// unless the user has set a number for OpenMP.
pub fn threads(most: usize) -> usize {
    let is_set = |name| std::env::var(name).is_ok_and(|value| !value.trim().is_empty());
    limited(most, is_set("OMP_NUM_THREADS") || is_set("MKL_NUM_THREADS"), cores())
}

fn limited(most: usize, is_set: bool, cores: usize) -> usize {
    if is_set { most } else { most.min(cores).max(1) }
}

/// Whether other work leaves this process most of the machine, by the load of the last minute. True where the system does
/// not report that.
pub fn is_idle() -> bool {
    let load = |text: String| text.split_whitespace().next()?.parse::<f64>().ok();
    let load = read_to_string("/proc/loadavg").ok().and_then(load);
    load.is_none_or(|load| load < cores() as f64 / 4.0)
}

/// Peak memory of this process in bytes; `None` if the system does not report it.
pub fn peak_memory() -> Option<u64> {
    of_process("VmHWM:")
}

/// Bytes that this process can still take without being killed or refused.
pub fn free_memory() -> u64 {
    let setting = memory_setting().ok().flatten();
    let setting = setting.map(|most| most.saturating_sub(of_process("VmRSS:").unwrap_or(0)));
    setting.into_iter().chain(left(Path::new("/"))).min().unwrap_or(UNKNOWN)
}

/// The value of [`MEMORY`] in bytes, if it is set.
///
/// # Errors
/// A sentence: another value than a size.
pub fn memory_setting() -> Result<Option<u64>, String> {
    let Some(value) = std::env::var_os(MEMORY).filter(|value| !value.is_empty()) else { return Ok(None) };
    let value = value.to_string_lossy();
    let size = bytes(&value).ok_or_else(|| {
        format!("{MEMORY} is {value:?}; write a size such as 8G, 512M or a number of bytes")
    })?;
    Ok(Some(size))
}

/// A number of bytes in words, such as "1.5 GiB".
pub fn in_words(bytes: u64) -> String {
    let units = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
    match units.into_iter().find(|(_, shift)| bytes >> shift > 0) {
        Some((unit, shift)) => format!("{:.1} {unit}", bytes as f64 / (1u64 << shift) as f64),
        None => format!("{bytes} bytes"),
    }
}

/// A size such as `8G`, `1.5GiB`, `512 MB` or `1000000`; units are powers of 1024.
fn bytes(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match text[number.len()..].trim_end_matches('b').trim_end_matches('i') {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        _ => return None,
    };
    let size = number.trim_end().parse::<f64>().ok()? * (1u64 << shift) as f64;
    (size.is_finite() && size >= 1.0).then_some(size as u64)
}

/// What the system, resource limits and control groups leave to this process, where they say; files lie below `root`.
fn left(root: &Path) -> Vec<u64> {
    let read = |path: &str| read_to_string(root.join(path)).ok();
    let (status, limits) = (read("proc/self/status"), read("proc/self/limits"));
    // Such as `ulimit -v`, which batch systems set.
    let under = |limit: &str, taken: &str| {
        let most = number_after(limits.as_deref()?, limit)?;
        Some(most.saturating_sub(1024 * number_after(status.as_deref()?, taken)?))
    };
    let system = read("proc/meminfo").and_then(|text| Some(1024 * number_after(&text, "MemAvailable:")?));
    let of_process = [under("Max address space", "VmSize:"), under("Max data size", "VmData:")];
    let mounts = read("proc/self/mountinfo").unwrap_or_default();
    let groups = read("proc/self/cgroup").unwrap_or_default();
    let directories = mounts.lines().filter_map(|mount| Group::at(mount, &groups, root));
    let of_groups = directories.flat_map(|group| group.left());
    system.into_iter().chain(of_process.into_iter().flatten()).chain(of_groups).collect()
}

/// This process's control group in one of the mounted hierarchies.
struct Group {
    /// Version 2 of the interface, or 1.
    second: bool,
    /// Where the hierarchy is mounted.
    mount: PathBuf,
    directory: PathBuf,
}

impl Group {
    /// The group that `groups` names in the hierarchy of a line of `mountinfo`, if that limits memory.
    fn at(mount: &str, groups: &str, root: &Path) -> Option<Group> {
        let (place, system) = mount.split_once(" - ")?;
        let (mut place, mut system) = (place.split(' ').skip(3), system.split(' '));
        let (mounted, at) = (place.next()?, place.next()?);
        let second = match (system.next()?, system.nth(1)?) {
            ("cgroup2", _) => true,
            ("cgroup", options) if options.split(',').any(|option| option == "memory") => false,
            _ => return None,
        };
        let path = groups.lines().find_map(|line| {
            let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
            let fits =
                if second { controllers.is_empty() } else { controllers.split(',').any(|c| c == "memory") };
            fits.then_some(path)
        })?;
        // In a container only its own part may be mounted, or the path may be that of the system outside.
        let inside = Path::new(path).strip_prefix(mounted).unwrap_or(Path::new(""));
        let mount = root.join(at.strip_prefix('/')?);
        let inside =
            if inside.components().any(|part| part.as_os_str() == "..") { Path::new("") } else { inside };
        Some(Group { second, directory: mount.join(inside), mount })
    }

    /// What the limits of this group and of those above it leave.
    fn left(&self) -> Vec<u64> {
        let above = self.directory.ancestors().take_while(|directory| directory.starts_with(&self.mount));
        above.filter_map(|directory| self.left_in(directory)).collect()
    }

    fn left_in(&self, directory: &Path) -> Option<u64> {
        let read = |name: &str| read_to_string(directory.join(name)).ok();
        let number = |name| read(name)?.trim().parse::<u64>().ok();
        let (limits, taken, cache): (&[_], _, _) = match self.second {
            true => (&["memory.max", "memory.high"], "memory.current", "inactive_file "),
            false => (&["memory.limit_in_bytes"], "memory.usage_in_bytes", "total_inactive_file "),
        };
        let most = limits.iter().filter_map(|name| number(name)).min()?;
        // Cached files count as taken, but give way.
        let cached = read("memory.stat").and_then(|text| number_after(&text, cache)).unwrap_or(0);
        Some(most.saturating_sub(number(taken)?.saturating_sub(cached)))
    }
}

/// A value of this process's status in bytes.
fn of_process(name: &str) -> Option<u64> {
    Some(1024 * number_after(&read_to_string("/proc/self/status").ok()?, name)?)
}

/// The number after `name`, at the beginning of one of the lines.
fn number_after(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A system's files in a directory of their own.
    fn system(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        root
    }

    fn least(files: &[(&str, &str)]) -> Option<u64> {
        left(system(files).path()).into_iter().min()
    }

    const MEMINFO: (&str, &str) = ("proc/meminfo", "MemTotal: 9000 kB\nMemAvailable:    8000 kB\n");
    const SECOND: (&str, &str) =
        ("proc/self/mountinfo", "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw\n");

    #[test]
    fn without_limits_it_is_what_the_system_has() {
        assert_eq!(least(&[]), None);
        assert_eq!(least(&[MEMINFO]), Some(8000 * 1024));
        let unlimited = [
            MEMINFO,
            SECOND,
            ("proc/self/cgroup", "0::/user.slice\n"),
            ("sys/fs/cgroup/user.slice/memory.max", "max\n"),
            ("sys/fs/cgroup/user.slice/memory.current", "4096\n"),
        ];
        assert_eq!(least(&unlimited), Some(8000 * 1024));
    }

    /// Slurm limits a job's group, and the process is in a group below.
    #[test]
    fn the_tightest_group_on_the_way_up_counts_less_what_it_has_taken() {
        let of = |high: &str| {
            least(&[
                MEMINFO,
                SECOND,
                ("proc/self/cgroup", "0::/slurm/job_7/step_0/task\n"),
                ("sys/fs/cgroup/slurm/job_7/step_0/task/memory.max", "max\n"),
                ("sys/fs/cgroup/slurm/job_7/step_0/task/memory.current", "100000\n"),
                ("sys/fs/cgroup/slurm/job_7/memory.max", "1000000\n"),
                ("sys/fs/cgroup/slurm/job_7/memory.high", high),
                ("sys/fs/cgroup/slurm/job_7/memory.current", "300000\n"),
                ("sys/fs/cgroup/slurm/job_7/memory.stat", "anon 200000\nfile 100000\ninactive_file 50000\n"),
                ("sys/fs/cgroup/slurm/memory.max", "5000000\n"),
                ("sys/fs/cgroup/slurm/memory.current", "4500000\n"),
            ])
        };
        assert_eq!(of("max\n"), Some(500_000));
        assert_eq!(of("700000\n"), Some(450_000));
    }

    /// The first version, beside the second one without a memory controller; in a container that has only its own part
    /// mounted, so that the path in it is the root.
    #[test]
    fn the_first_version_counts_too_also_where_only_the_own_part_is_mounted() {
        let of = |mounted: &str, path: &str, at: &str| {
            let mounts = format!(
                "31 23 0:27 {mounted} /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
                 32 23 0:28 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
                 33 23 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
            );
            let groups = format!("4:memory:{path}\n1:cpu:/elsewhere\n0::/\n");
            let at = |name: &str| format!("sys/fs/cgroup/memory/{at}{name}");
            least(&[
                MEMINFO,
                ("proc/self/mountinfo", &mounts),
                ("proc/self/cgroup", &groups),
                (&at("memory.limit_in_bytes"), "1000000\n"),
                (&at("memory.usage_in_bytes"), "400000\n"),
                (&at("memory.stat"), "inactive_file 9\ntotal_inactive_file 100000\n"),
                ("sys/fs/cgroup/memory/memory.use_hierarchy", "1\n"),
            ])
        };
        assert_eq!(of("/", "/job", "job/"), Some(700_000));
        assert_eq!(of("/docker/4f", "/docker/4f", ""), Some(700_000));
        assert_eq!(of("/docker/4f", "/docker/4f/a", "a/"), Some(700_000));
        assert_eq!(of("/", "/../outside", ""), Some(700_000));
    }

    #[test]
    fn resource_limits_count() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units\n\
                      Max data size             unlimited            unlimited            bytes\n\
                      Max address space         5000000              unlimited            bytes\n";
        let status = "VmPeak: 9000 kB\nVmSize:\t  1000 kB\nVmRSS: 10 kB\nVmData: 10 kB\n";
        let files = [MEMINFO, ("proc/self/limits", limits), ("proc/self/status", status)];
        assert_eq!(least(&files), Some(5_000_000 - 1_024_000));
    }

    #[test]
    fn sizes_are_read_and_written() {
        for (text, size) in [
            ("8G", 8 << 30),
            ("1.5GiB", 3 << 29),
            (" 512 mb ", 512 << 20),
            ("7", 7),
            ("7B", 7),
            ("2k", 2048),
            ("1T", 1 << 40),
        ] {
            assert_eq!(bytes(text), Some(size), "{text}");
        }
        for text in ["", "G", "-1G", "nan", "inf", "8X", "8GG", "0", "8 G 9"] {
            assert_eq!(bytes(text), None, "{text}");
        }
        let words =
            [(900, "900 bytes"), (1536, "1.5 KiB"), (3 << 30, "3.0 GiB"), (u64::MAX, "16777216.0 TiB")];
        for (size, text) in words {
            assert_eq!(in_words(size), text);
        }
    }

    #[test]
    fn a_quota_limits_threads_unless_the_user_has_set_a_number() {
        assert_eq!((limited(8, false, 1), limited(8, true, 1)), (1, 8));
        assert_eq!((limited(2, false, 16), limited(0, false, 4)), (2, 1));
    }

    #[test]
    fn this_machine_has_memory_and_cores() {
        assert!(free_memory() > 0 && cores() > 0);
    }
}
