//! A run's album while it is open: its moments, and the one on the screen.

use std::sync::Arc;

use crate::protocol::Moment;
use crate::snapshot::Snapshot;

/// An open album.
#[derive(Clone, Debug, Default)]
pub struct LookBack {
    /// The moments, in order; empty until they are read.
    moments: Vec<Moment>,
    /// The index of the chosen one.
    at: usize,
    /// Its snapshot, once it is read.
    pub snapshot: Option<Arc<Snapshot>>,
    /// Whether the moments are being played.
    pub playing: bool,
}

impl LookBack {
    /// A new album: playing from its first moment, or stopped at its last.
    pub fn new(playing: bool) -> LookBack {
        LookBack { playing, ..LookBack::default() }
    }

    /// Updates the list of moments. The chosen one stays chosen, or the nearest before it.
    pub fn read(&mut self, moments: Vec<Moment>) {
        let last = moments.len().saturating_sub(1);
        self.at = match self.moment() {
            Some(moment) => moments.partition_point(|other| other.iteration <= moment).saturating_sub(1),
            None if self.playing => 0,
            None => last,
        };
        self.moments = moments;
    }

    /// The iteration of the chosen moment.
    pub fn moment(&self) -> Option<u64> {
        self.moments.get(self.at).map(|moment| moment.iteration)
    }

    /// All moments.
    pub fn moments(&self) -> &[Moment] {
        &self.moments
    }

    /// The iteration of the checkpoint that a fork from the chosen one begins with.
    pub fn fork_point(&self) -> Option<u64> {
        self.moments.get(self.at)?.fork
    }

    /// Its number, from 1, and how many moments there are.
    pub fn place(&self) -> (usize, usize) {
        (self.at + 1, self.moments.len())
    }

    /// Moves to another moment; false beyond the last, which means now.
    pub fn go(&mut self, by: i64) -> bool {
        let next = self.at.saturating_add_signed(by as isize);
        let is_there = next < self.moments.len();
        if is_there {
            self.at = next;
        }
        is_there
    }

    /// Moves to the next moment; from the last to the first.
    pub fn play_on(&mut self) {
        if !self.go(1) {
            self.at = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::testing::kept;

    #[test]
    fn a_moment_that_was_thinned_out_gives_way_to_the_one_before() {
        let mut album = LookBack::new(false);
        album.read(kept(&[0, 4, 8, 9]));
        assert_eq!((album.moment(), album.place()), (Some(9), (4, 4)));
        assert!(!album.go(1) && album.go(-2));
        album.read(kept(&[0, 4, 8, 9, 12]));
        assert_eq!(album.moment(), Some(4));
        album.go(2);
        album.read(kept(&[0, 4, 8, 12, 16]));
        assert_eq!(album.moment(), Some(8));
    }

    #[test]
    fn playing_begins_at_the_first_and_goes_round() {
        let mut album = LookBack::new(true);
        album.read(kept(&[0, 5]));
        let mut seen = vec![album.moment()];
        (0..2).for_each(|_| {
            album.play_on();
            seen.push(album.moment());
        });
        assert_eq!(seen, [Some(0), Some(5), Some(0)]);
        let mut empty = LookBack::new(true);
        empty.play_on();
        assert_eq!(empty.moment(), None);
    }
}
