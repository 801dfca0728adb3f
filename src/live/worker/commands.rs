//! What the worker does at a viewer's command.

use tracing::info;

use super::Worker;
use crate::error::{Error, Result};
use crate::preset::Setting;
use crate::protocol::{Command, Event, Record, ViewerId, WATCHED};

impl Worker {
    /// Carries out a command about the viewer's own view; returns any other.
    pub(super) fn look(&mut self, viewer: ViewerId, command: Command) -> Result<Option<Command>> {
        let preset = self.trainer.preset();
        let samples = preset.train.validation_size.min(WATCHED);
        match self.ends.audience.look(viewer, command, preset.data.image(), samples) {
            Ok(None) => {
                self.looked = true;
                if self.ends.calls.is_empty() {
                    self.show()?;
                }
            }
            Ok(other) => return Ok(other),
            Err(answer) => self.ends.outbox.answer(viewer, *answer),
        }
        Ok(None)
    }

    /// Carries out a command that steers the training.
    pub(super) fn carry_out(&mut self, viewer: ViewerId, command: Command) -> Result<()> {
        match command {
            Command::Pause => self.pause(true)?,
            Command::Resume => self.pause(false)?,
            Command::Step => {
                self.pause(true)?;
                self.steps_to_go += 1;
            }
            Command::Checkpoint => {
                if let Err(e) = self.save(false) {
                    self.refuse(viewer, Command::Checkpoint, &e);
                }
            }
            request @ (Command::Set(Setting::MaxEpochs(_)) | Command::Train(0)) => {
                let e = Error::Usage("epochs can only be added: train N more of them, at least one".into());
                self.refuse(viewer, request, &e);
            }
            Command::Set(setting) => {
                if let Err(e) = self.change(setting)? {
                    self.refuse(viewer, Command::Set(setting), &e);
                }
            }
            Command::Train(more) => self.train_further(viewer, more, false)?,
            Command::Profile(on) => self.trainer.set_profiled(on),
            // Handled by `look` and `take_commands`.
            Command::Watch(_) | Command::Look(_) | Command::Input(_) | Command::Show | Command::Stop => {}
        }
        Ok(())
    }

    /// Raises the limit to the epochs by `more`, or once the training is over, to so many more than it has done.
    pub(super) fn train_further(&mut self, viewer: ViewerId, more: u64, is_over: bool) -> Result<()> {
        let (counters, preset) = (self.trainer.counters(), self.trainer.preset());
        let limit = match is_over {
            true => counters.limit_for(more, preset),
            false => preset.last_stage_epochs().saturating_add(more),
        };
        if let Err(e) = self.change(Setting::MaxEpochs(limit))? {
            self.refuse(viewer, Command::Train(more), &e);
        }
        Ok(())
    }

    fn pause(&mut self, paused: bool) -> Result<()> {
        if self.paused == paused {
            return Ok(());
        }
        self.paused = paused;
        self.ends.outbox.send(Event::Paused(paused));
        self.show()
    }

    /// Makes the replayed changes that are due.
    pub(super) fn repeat_changes(&mut self) -> Result<()> {
        let next = self.trainer.counters().iteration + 1;
        while let Some(change) = self.replay.pop_front_if(|change| change.iteration <= next) {
            self.read_losses()?;
            if let Err(e) = self.change(change.to)? {
                self.note(&e);
            }
        }
        Ok(())
    }

    /// Makes a live change, recorded first. The inner error does not stop the training.
    pub(super) fn change(&mut self, setting: Setting) -> Result<Result<()>> {
        let prepared = match self.trainer.prepare(setting) {
            Ok(prepared) => prepared,
            Err(e) => return Ok(Err(e)),
        };
        let change = prepared.change();
        self.append(&Record::Change(change))?;
        self.trainer.adopt(prepared);
        let (from, to) = (change.from.value(), change.to.value());
        info!("iteration {}: {} {from} -> {to}", change.iteration, setting.field());
        self.ends.outbox.send(Event::Changed(change));
        if setting.moves_floor() {
            self.tell_floor()?;
        }
        self.looked = true;
        Ok(Ok(()))
    }

    /// Answers a viewer whose request cannot be carried out.
    pub(super) fn refuse(&mut self, viewer: ViewerId, request: Command, e: &Error) {
        info!("refused: {e}");
        self.ends.outbox.answer(viewer, Event::Refused { request, why: e.to_string() });
    }
}
