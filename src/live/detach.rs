//! A run that continues without a screen, in a process of its own.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::socket::{self, NOBODY};
use crate::backend::Compute;
use crate::error::{Error, Result};
use crate::paths::quoted;
use crate::paths::shown;

/// How long to wait until the run can be attached to. After that it continues anyway, unless it has ended.
const PATIENCE: Duration = Duration::from_secs(60);

/// Resumes `run`, which no process may be training, in a process of its own. Returns once it can be attached to.
///
/// # Errors
/// [`Error::Failed`] with the reason if the run cannot continue, or continues where nobody can attach to it.
pub(super) fn detach(run: &Path, compute: Compute, tf32: bool) -> Result<()> {
    let failed = |why: String| {
        let run = quoted(run);
        Error::Failed(format!(
            "the run is saved but could not continue without a screen: {why}; \
             resume it with `nem-tui train --resume {run}`"
        ))
    };
    if cfg!(not(unix)) {
        return Err(failed("this is not available on this system".into()));
    }
    let log = || std::fs::read(run.join("log.txt")).unwrap_or_default();
    let before = log().len();
    let mut child = spawn(run, compute, tf32).map_err(|e| failed(e.to_string()))?;
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline && socket::attach(run).is_err() {
        let log = String::from_utf8_lossy(log().get(before..).unwrap_or_default()).into_owned();
        if child.try_wait().is_ok_and(|ended| ended.is_some()) {
            return Err(failed(log.lines().last().unwrap_or("it ended unexpectedly").to_owned()));
        }
        if log.contains(NOBODY) {
            let (run, pid) = (shown(&run), child.id());
            return Err(Error::Failed(format!(
                "the run continues without a screen, as process {pid}, but nobody can attach to it: see \
                 {run}/log.txt for the reason; `kill {pid}` saves and ends it"
            )));
        }
        sleep(Duration::from_millis(50));
    }
    // So that it leaves no zombie where this program continues.
    let _ = std::thread::Builder::new().spawn(move || child.wait());
    Ok(())
}

/// Starts the process, independent of the terminal: it reads no input, writes only to the run's log, and has its own
/// process group. A closing terminal sends SIGHUP to the session leader and the foreground group, and an exiting shell
/// to the groups of its own jobs; neither reaches this group.
fn spawn(run: &Path, compute: Compute, tf32: bool) -> std::io::Result<Child> {
    let log = OpenOptions::new().create(true).append(true).open(run.join("log.txt"))?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["train", "--device", &compute.device.to_string()]);
    command.args(["--precision", &compute.precision().to_string()]);
    // One word, because a directory's name may begin with a dash.
    let mut resume = OsString::from("--resume=");
    resume.push(run);
    command.arg(resume);
    command.args(tf32.then_some("--tf32"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command.spawn()
}
