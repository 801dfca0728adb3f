//! A trained model on show: the commands that a training takes for looking, and its pictures. Nothing is
//! trained, and nothing is written.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use tokio::sync::mpsc::error::TryRecvError;

use super::look::Look;
use super::thread::{self, Ends};
use crate::backend::{self, Compute};
use crate::error::{Error, Result, panic_message};
use crate::protocol::{Command, Event, Finish, Metrics, RunHandle, RunInfo};
use crate::run::checkpoint::Checkpoint;
use crate::run::directory;
use crate::snapshot::Snapshot;
use crate::train::trainer::Trainer;

/// Opens the model called `what`, or a run's or a checkpoint's.
///
/// # Errors
/// What [`directory::weights_of`] refuses, the device, the data.
pub fn open(what: &Path, compute: impl Into<Compute>) -> Result<RunHandle> {
    let (what, compute) = (what.to_owned(), compute.into());
    let make = move || {
        let opened = compute.open()?;
        let checkpoint = directory::weights_of(&what)?;
        let trainer = Trainer::at(&checkpoint.preset_to_test(), checkpoint.manifest.seed, &opened)?;
        let model = checkpoint.model(trainer.preset(), &opened.autodiff())?;
        Ok((trainer.from_weights(model).with_precision(compute.precision()), checkpoint))
    };
    thread::spawn(make, move |(mut trainer, checkpoint), mut ends| {
        let show = || show(&mut trainer, &checkpoint, compute, &mut ends);
        let finish = match catch_unwind(AssertUnwindSafe(show)) {
            Ok(Ok(())) => Finish::Shown,
            Ok(Err(e)) => Finish::Failed(e.to_string()),
            Err(panic) => {
                let e = Error::Worker(backend::explain(&panic_message(&*panic)));
                Finish::Failed(e.to_string())
            }
        };
        ends.outbox.finish(finish);
    })
}

/// Shows samples until told to stop.
fn show(trainer: &mut Trainer, checkpoint: &Checkpoint, compute: Compute, ends: &mut Ends) -> Result<()> {
    let iteration = checkpoint.manifest.counters.iteration;
    ends.outbox.send(Event::Started(Box::new(RunInfo {
        directory: checkpoint.path.clone(),
        preset: trainer.preset().clone(),
        seed: trainer.seed(),
        device: compute.to_string(),
        iteration,
        parameters: trainer.model().parameter_count(),
        floor: trainer.floor()?,
        metrics: Metrics::default(),
    })));
    ends.outbox.send(Event::Done(Finish::Shown));
    let mut look = Look::default();
    loop {
        let (snapshot, refused) = look.take(trainer)?;
        if let Some(e) = refused {
            ends.outbox.send(Event::Refused(e.to_string()));
        }
        // Nothing was trained here, and so nothing counted.
        let snapshot = Snapshot { iteration, ..snapshot };
        ends.snapshots.send_replace(Some(Arc::new(snapshot)));
        ends.outbox.flush();
        // All that was asked for meanwhile comes before the next picture.
        let mut next = ends.commands.blocking_recv();
        loop {
            match next {
                None | Some(Command::Stop) => return Ok(()),
                Some(Command::Watch(sample)) => look.watch(sample % trainer.preset().train.validation_size),
                Some(Command::Look(conditions)) => look.under(conditions),
                Some(Command::Input(input)) => {
                    if let Err(event) = look.open(input, trainer.preset().data.image()) {
                        ends.outbox.send(event);
                    }
                }
                Some(Command::Show) => {}
                Some(Command::Set(setting)) => match trainer.change(setting) {
                    Ok(change) => {
                        ends.outbox.send(Event::Changed(change));
                        if setting.moves_floor() {
                            ends.outbox.send(Event::Floor(trainer.floor()?));
                        }
                    }
                    Err(e) => ends.outbox.send(Event::Refused(e.to_string())),
                },
                Some(_) => ends.outbox.send(Event::Refused(format!(
                    "a model is looked at, not trained; `nem-tui train PRESET --from {}` begins a run with its weights",
                    checkpoint.path.display()
                ))),
            }
            next = match ends.commands.try_recv() {
                Ok(command) => Some(command),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => None,
            };
        }
    }
}
