//! Trained weights on the screen: carries out the commands about what viewers look at. Trains and writes nothing.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use tokio::sync::mpsc::error::TryRecvError;

use super::thread::{self, Ends};
use crate::backend::{self, Compute};
use crate::error::{Error, Result, panic_message};
use crate::paths::quoted;
use crate::protocol::{Call, Command, Event, Finish, Metrics, RunHandle, RunInfo, RunKind, ViewerId};
use crate::run::checkpoint::Checkpoint;
use crate::run::directory;
use crate::snapshot::Snapshot;
use crate::train::trainer::Trainer;
use crate::train::unroll;

/// Opens the model called `what`, or a run's or a checkpoint's weights.
///
/// # Errors
/// What [`directory::weights_of`] refuses, the device, the data.
pub fn open(what: &Path, compute: impl Into<Compute>) -> Result<RunHandle> {
    let (what, compute) = (what.to_owned(), compute.into());
    let make = move || {
        let opened = compute.open()?;
        let checkpoint = directory::weights_of(&what)?;
        let (preset, seed) = (checkpoint.preset_to_test(), checkpoint.manifest.seed);
        let trainer = Trainer::at(&preset, seed, &opened, |preset, device| checkpoint.model(preset, device))?;
        Ok((trainer.with_precision(compute.precision()), checkpoint))
    };
    thread::spawn(make, move |(trainer, checkpoint), ends| {
        let trainer = trainer.with_stop(ends.stop.clone());
        let mut shown = Shown { trainer, checkpoint, ends };
        let finish = match catch_unwind(AssertUnwindSafe(|| shown.run(compute))) {
            Ok(Ok(()) | Err(Error::Stopped)) => Finish::Stopped,
            Ok(Err(e)) => Finish::Failed(e.to_string()),
            Err(panic) => {
                Finish::Failed(Error::Worker(backend::explain(&panic_message(&*panic))).to_string())
            }
        };
        shown.ends.outbox.finish(finish);
    })
}

/// How many samples are searched for a good one.
const CANDIDATES: usize = 16;

/// A sample that shows what the model can do: of the first few, the one with the highest AMI (last step). The first one
/// where nothing can be scored.
fn good_sample(trainer: &Trainer) -> usize {
    let samples = trainer.preset().train.validation_size.min(CANDIDATES);
    let snapshots = backend::caught(|| unroll::take_first(trainer, samples)).unwrap_or_default();
    let ami = |snapshot: &Snapshot| Some((snapshot.steps.last()?.ami?, snapshot.sample));
    // The lowest of equals.
    let better = |a: &(f64, usize), b: &(f64, usize)| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1));
    snapshots.iter().filter_map(ami).max_by(better).map_or(0, |(_, sample)| sample)
}

struct Shown {
    trainer: Trainer,
    checkpoint: Checkpoint,
    ends: Ends,
}

impl Shown {
    /// Shows samples until told to stop.
    fn run(&mut self, compute: Compute) -> Result<()> {
        let iteration = self.checkpoint.manifest.counters.iteration;
        // A checkpoint is known by its run.
        let path = &self.checkpoint.path;
        let directory = directory::run_of(path).unwrap_or(path).to_owned();
        self.ends.outbox.send(Event::Started(Box::new(RunInfo {
            kind: RunKind::Model,
            directory,
            preset: self.trainer.preset().clone(),
            seed: self.trainer.seed(),
            device: compute.to_string(),
            iteration,
            parameters: self.trainer.model().parameter_count(),
            floor: self.trainer.floor()?,
            metrics: Metrics::default(),
        })));
        self.ends.audience.begin_at(good_sample(&self.trainer));
        loop {
            for (viewer, answer) in self.ends.audience.show(&self.trainer, iteration)? {
                self.ends.outbox.answer(viewer, answer);
            }
            self.ends.outbox.flush();
            // All calls that are waiting come before the next snapshot.
            let mut next = self.ends.calls.blocking_recv();
            loop {
                match next {
                    None | Some(Call::Command(_, Command::Stop)) => return Ok(()),
                    Some(Call::Join(viewer, snapshots)) => self.ends.audience.admit(viewer, snapshots),
                    Some(Call::Command(viewer, command)) => self.carry_out(viewer, command)?,
                    Some(Call::Taken(_)) => {}
                }
                next = match self.ends.calls.try_recv() {
                    Ok(call) => Some(call),
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => None,
                };
            }
        }
    }

    fn carry_out(&mut self, viewer: ViewerId, command: Command) -> Result<()> {
        let (image, samples) =
            (self.trainer.preset().data.image(), self.trainer.preset().train.validation_size);
        let outbox = &mut self.ends.outbox;
        match self.ends.audience.look(viewer, command, image, samples) {
            Ok(None) => {}
            Err(answer) => outbox.answer(viewer, *answer),
            Ok(Some(Command::Set(setting))) => match self.trainer.change(setting) {
                Ok(change) => {
                    outbox.send(Event::Changed(change));
                    if setting.moves_floor() {
                        outbox.send(Event::Floor(self.trainer.floor()?));
                    }
                }
                Err(e) => {
                    let request = Command::Set(setting);
                    outbox.answer(viewer, Event::Refused { request, why: e.to_string() });
                }
            },
            Ok(Some(request)) => {
                let why = format!(
                    "a model is not trained; start a run from its weights with `nem-tui train PRESET --from {}`",
                    quoted(&self.checkpoint.path)
                );
                outbox.answer(viewer, Event::Refused { request, why });
            }
        }
        Ok(())
    }
}
