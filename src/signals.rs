//! Signals of the system: requests to end and to save, and job control.
//!
//! | signal | to a [`Listener`] | without one |
//! |---|---|---|
//! | SIGINT, SIGTERM | [`Request::End`]; again, they end the process at once | end the process |
//! | SIGHUP, SIGXCPU | [`Request::End`]; again, nothing more | end the process; SIGHUP not after the terminal was left |
//! | SIGUSR1, SIGUSR2 | [`Request::Save`] | nothing: there is nothing to save |
//! | SIGTSTP, SIGCONT, on the screen | [`Request::Suspend`], [`Request::Continued`] | as usual |
//! | SIGQUIT, on the screen | ends the process at once | as usual |
//! | SIGXFSZ | nothing: the write fails like any other | nothing |
//!
//! A signal that was ignored when the program started stays ignored, as `nohup` and background jobs of scripts expect.
//! This is known on Linux only.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// Save and end.
    End,
    /// Save and continue.
    Save,
    /// Give the terminal back and [`suspend`].
    Suspend,
    /// The process was continued after a suspension, perhaps by SIGSTOP, with which it could not give the terminal
    /// back. The terminal may have another size and another mode now.
    Continued,
}

/// A request that is repeated within this time is the same one: `timeout`, Slurm and closing terminals send theirs
/// to the process and to its group.
const SAME: Duration = Duration::from_millis(300);

/// Who listens now.
struct State {
    heed: Option<Box<dyn FnMut(Request) + Send>>,
    restore: Option<fn()>,
    /// When the process was first asked to end.
    asked: Option<Instant>,
    /// Whether the terminal has been given back for good: the process ends by itself.
    left: bool,
}

static STATE: Mutex<State> = Mutex::new(State::INITIAL);

impl State {
    const INITIAL: State = State { heed: None, restore: None, asked: None, left: false };
}

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Receives the requests until it is dropped. There is one at a time; a newer one replaces an older one.
#[must_use]
pub struct Listener(());

impl Listener {
    /// Calls `heed` for every request, on the thread of the signals. It must return soon and must not drop the listener.
    pub fn new(heed: impl FnMut(Request) + Send + 'static) -> Listener {
        state().heed = Some(Box::new(heed));
        Listener(())
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut state = state();
        state.left |= state.restore.is_some();
        (state.heed, state.restore) = (None, None);
    }
}

/// The requests, for who waits for them.
pub struct Requests {
    received: mpsc::UnboundedReceiver<Request>,
    _listener: Listener,
}

impl Requests {
    /// Listens for them until it is dropped.
    #[must_use]
    pub fn listen() -> Requests {
        let (requests, received) = mpsc::unbounded_channel();
        let listener = Listener::new(move |request| requests.send(request).unwrap_or(()));
        Requests { received, _listener: listener }
    }

    /// The same for a program that has taken over the terminal: also listens for job control, and calls `restore`, on
    /// another thread, before a signal ends the process.
    #[must_use]
    pub fn on_screen(restore: fn()) -> Requests {
        // Without it the program can still be suspended, with the terminal as it is then.
        let _ = system::install_job_control();
        let requests = Requests::listen();
        state().restore = Some(restore);
        requests
    }

    /// Waits for the next one.
    pub async fn next(&mut self) -> Request {
        match self.received.recv().await {
            Some(request) => request,
            // A newer listener has replaced this one.
            None => std::future::pending().await,
        }
    }
}

/// Starts handling signals. Called once, before other threads are started.
///
/// # Errors
/// The system's error if it does not allow this; the signals then have their usual effects.
pub fn install() -> io::Result<()> {
    system::install()
}

/// Suspends this process until it is continued. False if nobody could continue it, as in a terminal window of its own;
/// it then runs on.
pub fn suspend() -> bool {
    system::suspend()
}

/// Suspends the whole process group, as Ctrl-Z does, so that a parent such as cargo stops too. This process receives
/// [`Request::Suspend`].
pub fn suspend_group() {
    system::suspend_group();
}

#[cfg(unix)]
mod system {
    use std::io;
    use std::os::raw::c_int;
    use std::sync::OnceLock;
    use std::thread;
    use std::time::Instant;

    use rustix::process::{self, Signal};
    use signal_hook::consts::signal::{
        SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGUSR1, SIGUSR2, SIGXCPU, SIGXFSZ,
    };
    use signal_hook::iterator::{Handle, Signals};
    use signal_hook::low_level;

    use super::{Request, SAME, State, state};

    /// To listen for more signals, and those that must stay ignored.
    static INSTALLED: OnceLock<(Handle, Ignored)> = OnceLock::new();

    pub(super) fn install() -> io::Result<()> {
        // Read before a handler is installed.
        let ignored = Ignored::now();
        let ours = [SIGINT, SIGTERM, SIGHUP, SIGXCPU, SIGUSR1, SIGUSR2, SIGXFSZ];
        let (done, is_done) = std::sync::mpsc::channel();
        // The handlers are installed on the thread, so that none are left if it cannot be started.
        thread::Builder::new().name("signals".into()).spawn(move || {
            match Signals::new(ours.into_iter().filter(|signal| !ignored.has(*signal))) {
                Ok(mut signals) => {
                    let _ = done.send(Ok((signals.handle(), ignored)));
                    signals.forever().for_each(handle);
                }
                Err(e) => drop(done.send(Err(e))),
            }
        })?;
        let installed = is_done.recv().map_err(io::Error::other)??;
        let _ = INSTALLED.set(installed);
        Ok(())
    }

    pub(super) fn install_job_control() -> io::Result<()> {
        let Some((handle, ignored)) = INSTALLED.get() else { return Ok(()) };
        let signals = [SIGTSTP, SIGCONT, SIGQUIT].into_iter().filter(|signal| !ignored.has(*signal));
        signals.into_iter().try_for_each(|signal| handle.add_signal(signal))
    }

    fn handle(signal: c_int) {
        let mut state = state();
        match state.effect(signal, Instant::now()) {
            Effect::Pass(request) => state.heed.iter_mut().for_each(|heed| heed(request)),
            Effect::Suspend => {
                drop(state);
                suspend();
            }
            Effect::End => {
                drop(state);
                end(signal);
            }
            Effect::Nothing => {}
        }
    }

    #[derive(Debug, PartialEq, Eq)]
    enum Effect {
        Pass(Request),
        Suspend,
        End,
        Nothing,
    }

    impl State {
        /// What `signal` does now.
        fn effect(&mut self, signal: c_int, now: Instant) -> Effect {
            let request = match signal {
                SIGINT | SIGTERM | SIGHUP | SIGXCPU => Request::End,
                SIGUSR1 | SIGUSR2 => Request::Save,
                SIGTSTP => Request::Suspend,
                SIGCONT => Request::Continued,
                SIGQUIT => return Effect::End,
                _ => return Effect::Nothing,
            };
            match (request, self.asked) {
                // A closed terminal and a limit on time repeat their signals by themselves.
                (Request::End, Some(_)) if matches!(signal, SIGHUP | SIGXCPU) => Effect::Nothing,
                (Request::End, Some(first)) if now.duration_since(first) < SAME => Effect::Nothing,
                (Request::End, Some(_)) => Effect::End,
                // Of the terminal that was just left because it is gone.
                (Request::End, None) if signal == SIGHUP && self.left => Effect::Nothing,
                (request, _) if self.heed.is_some() => {
                    if request == Request::End {
                        self.asked = Some(now);
                    }
                    Effect::Pass(request)
                }
                (Request::End, None) => Effect::End,
                (Request::Suspend, _) => Effect::Suspend,
                (Request::Save | Request::Continued, _) => Effect::Nothing,
            }
        }
    }

    /// Ends the process as `signal` does by default.
    fn end(signal: c_int) {
        let restore = state().restore.take();
        restore.iter().for_each(|restore| restore());
        // The first process of a container cannot be ended by its own signals.
        if std::process::id() != 1 {
            let _ = low_level::emulate_default_handler(signal);
        }
        low_level::exit(128 + signal);
    }

    pub(super) fn suspend() -> bool {
        // The group can be continued by a process of the same session outside of it, usually the shell. A parent within
        // the group, such as cargo, has such a parent itself.
        let session = |pid| process::getsid(pid).ok();
        let has_shell = process::getppid().is_some_and(|parent| session(Some(parent)) == session(None));
        // SIGSTOP, because SIGTSTP has a handler now.
        has_shell && process::kill_process(process::getpid(), Signal::STOP).is_ok()
    }

    pub(super) fn suspend_group() {
        let _ = process::kill_current_process_group(Signal::TSTP);
    }

    /// The signals that were ignored when the program started, as bits.
    #[derive(Clone, Copy)]
    struct Ignored(u64);

    impl Ignored {
        fn now() -> Ignored {
            Ignored::in_status(&std::fs::read_to_string("/proc/self/status").unwrap_or_default())
        }

        /// From the text of Linux's /proc/PID/status.
        fn in_status(status: &str) -> Ignored {
            let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
            Ignored(mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0))
        }

        fn has(self, signal: c_int) -> bool {
            self.0 >> (signal - 1) & 1 == 1
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_second_request_ends_the_process_unless_it_is_the_same_one() {
            let now = Instant::now();
            let later = now + SAME;
            let mut state = State { heed: Some(Box::new(|_| {})), ..State::INITIAL };
            assert_eq!(state.effect(SIGUSR1, now), Effect::Pass(Request::Save));
            assert_eq!(state.effect(SIGTERM, now), Effect::Pass(Request::End));
            for (signal, when, effect) in [
                (SIGTERM, now, Effect::Nothing),
                (SIGINT, now, Effect::Nothing),
                (SIGHUP, later, Effect::Nothing),
                (SIGXCPU, later, Effect::Nothing),
                (SIGUSR2, later, Effect::Pass(Request::Save)),
                (SIGTERM, later, Effect::End),
                (SIGINT, later, Effect::End),
            ] {
                assert_eq!(state.effect(signal, when), effect, "{signal}");
            }
        }

        #[test]
        fn without_a_listener_signals_have_their_usual_effects() {
            let now = Instant::now();
            let mut state = State::INITIAL;
            for signal in [SIGINT, SIGTERM, SIGHUP, SIGXCPU] {
                assert_eq!(state.effect(signal, now), Effect::End);
            }
            assert_eq!(state.effect(SIGTSTP, now), Effect::Suspend);
            for signal in [SIGUSR1, SIGUSR2, SIGCONT, SIGXFSZ] {
                assert_eq!(state.effect(signal, now), Effect::Nothing);
            }
        }

        /// The read error of a terminal that is gone may come before its signal.
        #[test]
        fn the_hang_up_of_a_terminal_that_was_left_ends_nothing() {
            let now = Instant::now();
            let mut state = State { left: true, ..State::INITIAL };
            assert_eq!(state.effect(SIGHUP, now), Effect::Nothing);
            assert_eq!(state.effect(SIGTERM, now), Effect::End);
        }

        #[test]
        fn ignored_signals_are_read_from_the_status() {
            let ignored =
                Ignored::in_status("Name:\tx\nSigBlk:\tffffffffffffffff\nSigIgn:\t0000000000001001\n");
            assert!(ignored.has(SIGHUP) && !ignored.has(SIGINT) && !ignored.has(SIGTERM));
            assert!(!Ignored::in_status("").has(SIGHUP));
        }
    }
}

/// Only Ctrl-C, which tokio can wait for.
#[cfg(not(unix))]
mod system {
    use std::io;
    use std::time::Instant;

    use super::{Request, SAME, state};

    pub(super) fn install() -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let wait = move || while runtime.block_on(tokio::signal::ctrl_c()).is_ok_and(|()| handle()) {};
        std::thread::Builder::new().name("signals".into()).spawn(wait)?;
        Ok(())
    }

    fn handle() -> bool {
        let mut state = state();
        match (state.asked, &mut state.heed) {
            (Some(first), _) if first.elapsed() < SAME => {}
            (None, Some(heed)) => {
                heed(Request::End);
                state.asked = Some(Instant::now());
            }
            _ => {
                if let Some(restore) = state.restore.take() {
                    restore();
                }
                std::process::exit(130);
            }
        }
        true
    }

    pub(super) fn install_job_control() -> io::Result<()> {
        Ok(())
    }

    pub(super) fn suspend() -> bool {
        false
    }

    pub(super) fn suspend_group() {}
}
