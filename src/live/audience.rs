//! A run's viewers: what each of them looks at, and where its snapshots go.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::preset::{ImageSize, Setting};
use crate::protocol::{Command, Event, SnapshotSender, ViewerId};
use crate::snapshot::Snapshot;
use crate::train::own_image::Opened;
use crate::train::trainer::Trainer;
use crate::train::unroll;

/// All viewers that want snapshots.
pub(super) struct Audience {
    seats: Vec<Seat>,
    latest: SnapshotSender,
}

struct Seat {
    viewer: ViewerId,
    snapshots: SnapshotSender,
    wanted: Look,
    /// The look of its last snapshot.
    shown: Look,
    /// The latest request for something else than the training's own samples.
    request: Option<Command>,
}

/// What a snapshot is of.
#[derive(Clone, Debug, Default, PartialEq)]
struct Look {
    /// The validation sample.
    sample: usize,
    /// Instead of the training's settings.
    settings: Vec<Setting>,
    /// Instead of the sample.
    opened: Option<Arc<Opened>>,
}

impl Look {
    /// The same sample as the training sees it, which can always be unrolled.
    fn plain(&self) -> Look {
        Look { sample: self.sample, ..Look::default() }
    }

    /// With the trainer's weights, which were trained for `iteration` iterations.
    fn take(&self, trainer: &Trainer, iteration: u64) -> Result<Arc<Snapshot>> {
        let taken = unroll::take(trainer, self.sample, self.opened.as_deref(), &self.settings)?;
        Ok(Arc::new(Snapshot { iteration, ..taken }))
    }
}

impl Audience {
    /// Without a viewer. `latest` keeps what a viewer who joins sees first.
    pub(super) fn new(latest: SnapshotSender) -> Audience {
        Audience { seats: Vec::new(), latest }
    }

    /// Gives a viewer a seat, at the first sample.
    pub(super) fn admit(&mut self, viewer: ViewerId, snapshots: SnapshotSender) {
        let (wanted, shown) = (Look::default(), Look::default());
        self.seats.push(Seat { viewer, snapshots, wanted, shown, request: None });
    }

    /// Whether nobody wants snapshots. Viewers that left lose their seats.
    pub(super) fn is_empty(&mut self) -> bool {
        self.seats.retain(|seat| !seat.snapshots.is_closed());
        self.seats.is_empty()
    }

    /// Carries out `command` if it is about what `viewer` looks at; gives it back if not.
    ///
    /// # Errors
    /// The answer to a request that cannot be met.
    pub(super) fn look(
        &mut self,
        viewer: ViewerId,
        command: Command,
        image: ImageSize,
        samples: usize,
    ) -> Result<Option<Command>, Event> {
        let is_look =
            matches!(command, Command::Watch(_) | Command::Look(_) | Command::Input(_) | Command::Show);
        if !is_look {
            return Ok(Some(command));
        }
        // Without a seat it has no screen.
        let Some(seat) = self.seats.iter_mut().find(|seat| seat.viewer == viewer) else { return Ok(None) };
        match &command {
            Command::Watch(sample) => {
                seat.wanted.sample = sample % samples.max(1);
                seat.wanted.opened = None;
            }
            Command::Look(settings) => seat.wanted.settings.clone_from(settings),
            Command::Input(None) => seat.wanted.opened = None,
            Command::Input(Some(input)) => match Opened::read(input.clone(), image) {
                Ok(opened) => seat.wanted.opened = Some(Arc::new(opened)),
                Err(Error::ImageSize { size, .. }) => {
                    return Err(Event::WrongSize { input: input.clone(), size });
                }
                Err(e) => return Err(Event::Refused { request: command, why: e.to_string() }),
            },
            _ => {}
        }
        if seat.wanted != seat.wanted.plain() {
            seat.request = Some(command);
        }
        Ok(None)
    }

    /// Sends every viewer a snapshot of what it looks at; viewers who look at the same share one. A look that cannot be
    /// unrolled gives way to the viewer's last one, and the answer says why.
    ///
    /// # Errors
    /// What the training's own samples meet: a look ends no training.
    pub(super) fn show(&mut self, trainer: &Trainer, iteration: u64) -> Result<Vec<(ViewerId, Event)>> {
        let mut answers = Vec::new();
        let mut taken: Vec<(Look, Arc<Snapshot>)> = Vec::new();
        for seat in &mut self.seats {
            let mut refused = None;
            let snapshot = loop {
                if let Some((_, snapshot)) = taken.iter().find(|(look, _)| *look == seat.wanted) {
                    break snapshot.clone();
                }
                match seat.wanted.take(trainer, iteration) {
                    Ok(snapshot) => {
                        if seat.wanted == Look::default() {
                            self.latest.send_replace(Some(snapshot.clone()));
                        }
                        taken.push((seat.wanted.clone(), snapshot.clone()));
                        break snapshot;
                    }
                    Err(e) if seat.wanted == seat.wanted.plain() => return Err(e),
                    Err(e) => {
                        // The last look may have become impossible too, by a change of the training.
                        let last =
                            if seat.wanted == seat.shown { seat.wanted.plain() } else { seat.shown.clone() };
                        seat.wanted = last;
                        refused.get_or_insert(e);
                    }
                }
            };
            seat.shown.clone_from(&seat.wanted);
            seat.snapshots.send_replace(Some(snapshot));
            if let (Some(e), Some(request)) = (refused, &seat.request) {
                answers.push((seat.viewer, Event::Refused { request: request.clone(), why: e.to_string() }));
            }
        }
        Ok(answers)
    }

    /// The newest snapshot of the first sample: what a viewer sees until its own is taken.
    pub(super) fn latest(&self) -> &SnapshotSender {
        &self.latest
    }
}
