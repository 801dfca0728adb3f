//! Timing the parts of an iteration.

use std::cell::Cell;
use std::time::Instant;

use burn::tensor::Device;

use crate::protocol::Profile;

/// A stopwatch for the parts of an iteration. Without a device to synchronise with, it does nothing.
pub(super) struct Laps {
    device: Option<Device>,
    lap: Cell<(Instant, Profile)>,
}

impl Laps {
    pub(super) fn new(device: Option<Device>) -> Laps {
        Laps { device, lap: Cell::new((Instant::now(), Profile::default())) }
    }

    /// Adds the time since the end of the last lap to a part.
    pub(super) fn end(&self, part: impl FnOnce(&mut Profile) -> &mut f64) {
        let Some(device) = &self.device else { return };
        // A device error shows again where the result is used, and is reported there.
        let _ = device.sync();
        let (since, mut profile) = self.lap.get();
        *part(&mut profile) += since.elapsed().as_secs_f64();
        self.lap.set((Instant::now(), profile));
    }

    pub(super) fn profile(&self) -> Option<Profile> {
        self.device.as_ref().map(|_| self.lap.get().1)
    }
}
