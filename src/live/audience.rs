//! A run's viewers: what each of them looks at, and where its snapshots go.

use std::sync::Arc;

use crate::backend;
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
    /// The look of its last snapshot.
    shown: Look,
    /// Requests since then, in order.
    asked: Vec<(Command, Ask)>,
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

/// A change of a look.
#[derive(Clone, Debug)]
enum Ask {
    Sample(usize),
    Settings(Vec<Setting>),
    Image(Option<Arc<Opened>>),
    /// No change, but a snapshot.
    Again,
}

impl Look {
    fn with(&self, ask: &Ask) -> Look {
        match ask.clone() {
            Ask::Sample(sample) => Look { sample, opened: None, ..self.clone() },
            Ask::Settings(settings) => Look { settings, ..self.clone() },
            Ask::Image(opened) => Look { opened, ..self.clone() },
            Ask::Again => self.clone(),
        }
    }

    /// A look that is more likely to be possible, and the request that it gives up; `None` for the first sample as the
    /// training sees it.
    fn simpler(&self) -> Option<(Look, Command)> {
        let mut simpler = self.clone();
        let given_up = if !self.settings.is_empty() {
            Command::Look(std::mem::take(&mut simpler.settings))
        } else if let Some(opened) = simpler.opened.take() {
            Command::Input(Some(opened.input.clone()))
        } else if self.sample > 0 {
            Command::Watch(std::mem::take(&mut simpler.sample))
        } else {
            return None;
        };
        Some((simpler, given_up))
    }
}

/// Unrolls looks with the weights of `trainer`, which were trained for `iteration` iterations.
struct Camera<'a> {
    trainer: &'a Trainer,
    iteration: u64,
    /// Viewers who look at the same share a snapshot.
    taken: Vec<(Look, Arc<Snapshot>)>,
}

impl Camera<'_> {
    fn take(&mut self, look: &Look) -> Result<Arc<Snapshot>> {
        if let Some((_, snapshot)) = self.taken.iter().find(|(taken, _)| taken == look) {
            return Ok(snapshot.clone());
        }
        let take = || unroll::take(self.trainer, look.sample, look.opened.as_deref(), &look.settings);
        // A look may need more memory than there is, which must not end the training.
        let taken = if *look == Look::default() { take() } else { backend::caught(take) }?;
        let snapshot = Arc::new(Snapshot { iteration: self.iteration, ..taken });
        self.taken.push((look.clone(), snapshot.clone()));
        Ok(snapshot)
    }
}

impl Seat {
    /// What is not used of the image that `snapshot` shows, if another one was shown before.
    fn note(&self, before: Option<&Arc<Opened>>, snapshot: &Snapshot) -> Option<(ViewerId, Event)> {
        let opened = self.shown.opened.as_ref()?;
        let notes = opened.notes(snapshot.steps.len());
        let is_new = before.is_none_or(|before| !Arc::ptr_eq(before, opened));
        let note = || format!("{}: {}", opened.input.path(), notes.join("; "));
        (is_new && !notes.is_empty()).then(|| (self.viewer, Event::Note(note())))
    }

    /// What it is to be shown, after its requests. Requests that cannot be met are given up, with an answer each.
    ///
    /// # Errors
    /// Those of unrolling the first sample as the training sees it.
    fn snapshot(
        &mut self,
        camera: &mut Camera,
        answers: &mut Vec<(ViewerId, Event)>,
    ) -> Result<Arc<Snapshot>> {
        let asked = std::mem::take(&mut self.asked);
        let wanted = asked.iter().fold(self.shown.clone(), |look, (_, ask)| look.with(ask));
        if let Ok(snapshot) = camera.take(&wanted) {
            self.shown = wanted;
            return Ok(snapshot);
        }
        let mut refuse = |request, e: Error| {
            answers.push((self.viewer, Event::Refused { request, why: e.to_string() }));
        };
        // One by one, to find out which.
        for (request, ask) in asked {
            let look = self.shown.with(&ask);
            match camera.take(&look) {
                Ok(_) => self.shown = look,
                Err(_) if look == self.shown => {}
                Err(e) => refuse(request, e),
            }
        }
        // What was possible before may not be any more, after a change of the training.
        loop {
            match (camera.take(&self.shown), self.shown.simpler()) {
                (Ok(snapshot), _) => return Ok(snapshot),
                (Err(e), None) => return Err(e),
                (Err(e), Some((simpler, request))) => {
                    refuse(request, e);
                    self.shown = simpler;
                }
            }
        }
    }
}

impl Audience {
    /// Without a viewer. `latest` keeps what a viewer who joins sees first.
    pub(super) fn new(latest: SnapshotSender) -> Audience {
        Audience { seats: Vec::new(), latest }
    }

    /// Gives a viewer a seat, at the first sample.
    pub(super) fn admit(&mut self, viewer: ViewerId, snapshots: SnapshotSender) {
        self.seats.push(Seat { viewer, snapshots, shown: Look::default(), asked: Vec::new() });
    }

    /// Shows `sample` to the viewers that have not asked for another one.
    pub(super) fn begin_at(&mut self, sample: usize) {
        for seat in self.seats.iter_mut().filter(|seat| seat.shown == Look::default()) {
            seat.shown.sample = sample;
        }
    }

    /// Whether nobody wants snapshots. Viewers that left lose their seats.
    pub(super) fn is_empty(&mut self) -> bool {
        self.seats.retain(|seat| !seat.snapshots.is_closed());
        self.seats.is_empty()
    }

    /// Notes `command` for the next [`Audience::show`] if it is about what `viewer` looks at; gives it back if not.
    ///
    /// # Errors
    /// The answer to an image that cannot be read.
    pub(super) fn look(
        &mut self,
        viewer: ViewerId,
        command: Command,
        image: ImageSize,
        samples: usize,
    ) -> Result<Option<Command>, Box<Event>> {
        let ask = match &command {
            Command::Watch(sample) => Ask::Sample(sample % samples.max(1)),
            Command::Look(settings) => Ask::Settings(settings.clone()),
            Command::Input(None) => Ask::Image(None),
            Command::Input(Some(input)) => match Opened::new(input.clone(), image) {
                Ok(opened) => Ask::Image(Some(Arc::new(opened))),
                Err(Error::ImageSize { size, .. }) => {
                    return Err(Event::WrongSize { input: input.clone(), size }.into());
                }
                Err(e) => return Err(Event::Refused { request: command, why: e.to_string() }.into()),
            },
            Command::Show => Ask::Again,
            _ => return Ok(Some(command)),
        };
        // A viewer without a seat has no screen.
        if let Some(seat) = self.seats.iter_mut().find(|seat| seat.viewer == viewer) {
            seat.asked.push((command, ask));
        }
        Ok(None)
    }

    /// Sends every viewer a snapshot of what it looks at, with the weights of `trainer` after `iteration` iterations.
    /// Returns the answers to requests that cannot be met, and notes on images that are not used whole.
    ///
    /// # Errors
    /// Those of unrolling the first sample as the training sees it; no other look ends a training.
    pub(super) fn show(&mut self, trainer: &Trainer, iteration: u64) -> Result<Vec<(ViewerId, Event)>> {
        let mut answers = Vec::new();
        let mut camera = Camera { trainer, iteration, taken: Vec::new() };
        for seat in &mut self.seats {
            let before = seat.shown.opened.clone();
            let snapshot = seat.snapshot(&mut camera, &mut answers)?;
            answers.extend(seat.note(before.as_ref(), &snapshot));
            if seat.shown == Look::default() {
                self.latest.send_replace(Some(snapshot.clone()));
            }
            seat.snapshots.send_replace(Some(snapshot));
        }
        Ok(answers)
    }

    /// The newest snapshot of the first sample: what a viewer sees until its own is taken.
    pub(super) fn latest(&self) -> &SnapshotSender {
        &self.latest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::DeviceName;
    use crate::preset::Preset;
    use crate::protocol::OWNER;
    use crate::snapshot::Input;

    /// The viewer who opens an image gets one note on what is not used of it, and another one for the next image.
    #[test]
    fn what_is_not_used_of_an_image_is_told_once() {
        let device = DeviceName::Flex.open().unwrap();
        let sets = ["train.train_size=4", "train.batch=2", "train.validation_size=2", "steps=2"];
        let preset = Preset::load("quickstart").unwrap().set(&sets).unwrap();
        let trainer = Trainer::new(&preset, 1, &device).unwrap();
        let image = preset.data.image();
        let (latest, (snapshots, _seen)) = (SnapshotSender::new(None), tokio::sync::watch::channel(None));
        let mut audience = Audience::new(latest);
        audience.admit(OWNER, snapshots);
        let fixtures = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/images");
        let mut opened = |name: &str| {
            let input = Input::file(fixtures.join(name), true, 1);
            assert_eq!(audience.look(OWNER, Command::Input(Some(input)), image, 2), Ok(None));
            let told = audience.show(&trainer, 1).unwrap();
            assert!(audience.show(&trainer, 2).unwrap().is_empty(), "it is said once");
            told
        };
        let note = |told: &[(ViewerId, Event)]| match told {
            [(OWNER, Event::Note(note))] => note.clone(),
            other => panic!("{other:?}"),
        };
        let animated = note(&opened("animated.png"));
        assert!(animated.contains("animated.png: the first image of its animation is used"), "{animated}");
        assert!(opened("moves.gif").is_empty(), "all of it is used, and the scaling was asked for");
        assert_eq!(note(&opened("animated.png")), animated);
    }
}
