//! What viewers may take from a run: its file descriptors, memory and time are limited.

use std::time::Duration;

use rustix::process::{Resource, getrlimit};
use tokio::time::Instant;

/// Viewers at once, at most.
const VIEWERS: usize = 32;
/// Connections that have not said hello, at most.
const STRANGERS: usize = 16;

/// How many connections a run accepts. Together they take less than a fifth of the process's file descriptors, so
/// that files can always be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    pub(super) viewers: usize,
    pub(super) strangers: usize,
}

impl Limits {
    /// For this process.
    pub(super) fn now() -> Limits {
        Limits::of(getrlimit(Resource::Nofile).current)
    }

    /// For a process that may open `files` files; `None` means no limit.
    fn of(files: Option<u64>) -> Limits {
        let files = usize::try_from(files.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
        Limits { viewers: VIEWERS.min(files / 8).max(1), strangers: STRANGERS.min(files / 16).max(1) }
    }
}

/// Slows down requests that come too often: some are granted at once, the rest at a steady rate.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    period: Duration,
    at_once: u32,
    /// When all would have been granted, had they been granted one a period.
    granted: Instant,
}

impl Pace {
    /// Grants `at_once` requests without a wait, and `a_second` in the long run.
    pub(super) fn new(at_once: u32, a_second: u32) -> Pace {
        Pace { period: Duration::from_secs(1) / a_second, at_once, granted: Instant::now() }
    }

    /// Until when a request that comes `now` has to wait.
    pub(super) fn grant(&mut self, now: Instant) -> Instant {
        self.granted = self.granted.max(now) + self.period;
        self.granted.checked_sub(self.period * self.at_once).unwrap_or(now).max(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_most_file_descriptors_to_the_run() {
        assert_eq!(Limits::of(None), Limits { viewers: 32, strangers: 16 });
        for files in [0, 20, 64, 256, 1024, 1 << 20] {
            let Limits { viewers, strangers } = Limits::of(Some(files));
            assert!(viewers >= 1 && strangers >= 1);
            assert!(files < 64 || ((viewers + strangers) as u64) * 5 < files, "{files}");
        }
    }

    #[test]
    fn who_asks_often_waits_and_who_pauses_does_not() {
        let start = Instant::now();
        let mut pace = Pace { granted: start, ..Pace::new(4, 10) };
        let waits: Vec<Duration> = (0..7).map(|_| pace.grant(start) - start).collect();
        let ms = Duration::from_millis;
        assert_eq!(waits, [ms(0), ms(0), ms(0), ms(0), ms(100), ms(200), ms(300)]);
        let later = start + Duration::from_secs(10);
        assert!((0..4).all(|_| pace.grant(later) == later), "it has recovered");
        assert_eq!(pace.grant(later), later + ms(100));
    }
}
