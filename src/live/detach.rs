//! A run that continues without a screen, in a process of its own.

use std::fs::OpenOptions;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::socket;
use crate::backend::Compute;
use crate::error::{Error, Result};

/// A run that cannot be attached to after so long continues all the same, if it has not ended.
const PATIENCE: Duration = Duration::from_secs(60);

/// Resumes `run`, which nobody trains, in a process of its own, and returns once it can be attached to.
///
/// # Errors
/// Whatever keeps it from continuing.
pub(super) fn detach(run: &Path, compute: Compute, tf32: bool) -> Result<()> {
    let failed = |why: String| {
        let run = run.display();
        Error::Failed(format!(
            "the run is saved but does not go on without a screen: {why}; `nem-tui train --resume {run}` goes on with it"
        ))
    };
    if cfg!(not(unix)) {
        return Err(failed("that is not available on this system".into()));
    }
    let mut child = spawn(run, compute, tf32).map_err(|e| failed(e.to_string()))?;
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline && socket::attach(run).is_err() {
        if child.try_wait().is_ok_and(|ended| ended.is_some()) {
            let log = std::fs::read_to_string(run.join("log.txt")).unwrap_or_default();
            return Err(failed(log.lines().last().unwrap_or("it ended without a word").to_owned()));
        }
        sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// The process. Nothing ties it to the terminal: it reads nothing, writes to the run's log alone, and is in a
/// group of its own. A terminal that closes sends its SIGHUP to the session's leader and to the group in the
/// foreground, and a shell that ends to its jobs, which are groups that it has made; this is none of those.
fn spawn(run: &Path, compute: Compute, tf32: bool) -> std::io::Result<Child> {
    let log = OpenOptions::new().create(true).append(true).open(run.join("log.txt"))?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["train", "--device", &compute.device.to_string()]);
    command.args(["--precision", &compute.precision().to_string(), "--resume"]).arg(run);
    command.args(tf32.then_some("--tf32"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command.spawn()
}
