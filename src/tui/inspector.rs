//! The inspector holds one sample while the training continues, and can show it under other conditions.

use std::sync::Arc;

use super::draw::Drawing;
use crate::error::Error;
use crate::preset::{Preset, Setting};
use crate::snapshot::{Input, Snapshot};

/// The state of the inspector.
#[derive(Clone, Debug)]
pub struct Inspector {
    /// The sample, unrolled.
    pub snapshot: Arc<Snapshot>,
    /// The preset with the inspector's conditions.
    pub preset: Preset,
    /// The conditions that differ from the training's.
    pub look: Vec<Setting>,
    /// Whether the run was asked for other conditions since the inspector opened.
    pub looked: bool,
    /// Whether another picture was asked for and has not arrived.
    pub waits: bool,
    /// What is drawn on the image, while that is done.
    pub drawing: Option<Box<Drawing>>,
    /// Column of the cursor.
    pub x: usize,
    /// Row of the cursor.
    pub y: usize,
    /// The page of what has no room on the screen at once; the first comes again after the last.
    pub page: i64,
}

impl Inspector {
    /// Inspects `snapshot`, which was taken under the conditions of `preset`, with the cursor in the middle.
    pub fn new(snapshot: Arc<Snapshot>, preset: Preset) -> Inspector {
        let (x, y) = (snapshot.image.width / 2, snapshot.image.height / 2);
        let (look, looked, waits) = (Vec::new(), false, false);
        Inspector { snapshot, preset, look, looked, waits, drawing: None, x, y, page: 0 }
    }

    /// Moves the cursor within the image.
    pub fn move_by(&mut self, right: i64, down: i64) {
        let step =
            |at: usize, by: i64, size: usize| at.saturating_add_signed(by as isize).min(size.max(1) - 1);
        self.x = step(self.x, right, self.snapshot.image.width);
        self.y = step(self.y, down, self.snapshot.image.height);
    }

    /// The cursor's index in a mask.
    pub fn pixel(&self) -> usize {
        let image = &self.snapshot.image;
        self.y.min(image.height.max(1) - 1) * image.width + self.x.min(image.width.max(1) - 1)
    }

    /// Changes a condition; returns all that differ from the training's.
    ///
    /// # Errors
    /// A sentence, if the sample does not depend on it, or the value is impossible.
    pub fn change(&mut self, setting: Setting) -> Result<Vec<Setting>, String> {
        if matches!(setting, Setting::LearningRate(_) | Setting::InterWeight(_) | Setting::MaxEpochs(_)) {
            return Err(format!("the inspector's pictures do not depend on {}", setting.field()));
        }
        if self.snapshot.input.is_some() && matches!(setting, Setting::Objects(_)) {
            return Err("the objects of your own image cannot be changed".into());
        }
        if setting.current(&self.preset).is_none() {
            return Err(format!("this run has no {}", setting.field()));
        }
        self.preset = setting.apply(&self.preset).map_err(Error::problem)?;
        self.look.retain(|other| std::mem::discriminant(other) != std::mem::discriminant(&setting));
        self.look.push(setting);
        (self.looked, self.waits) = (true, true);
        Ok(self.look.clone())
    }

    /// Shows a new snapshot if it is the requested one: of `input`, else of `sample`. `training` is the
    /// training's preset.
    pub fn offer(
        &mut self,
        snapshot: &Arc<Snapshot>,
        sample: usize,
        input: &Option<Input>,
        training: &Preset,
    ) {
        let is_of = snapshot.input == *input && (input.is_some() || snapshot.sample == sample);
        if self.waits && is_of && snapshot.look == self.look {
            self.replace(snapshot.clone(), training);
        } else if self.shows_drawing(snapshot) {
            // An older drawing is shown until the newest arrives.
            self.replace(snapshot.clone(), training);
            self.waits = true;
        }
    }

    /// Whether this snapshot is of a drawing in progress.
    fn shows_drawing(&self, snapshot: &Snapshot) -> bool {
        let asked = self.drawing.as_ref().and_then(|drawing| drawing.asked.as_ref());
        self.waits && asked.is_some() && snapshot.input.as_ref() == asked && snapshot.look == self.look
    }

    /// The worker will not answer what was asked of it: the next change of a drawing is sent at once.
    pub fn forget(&mut self) {
        if let Some(drawing) = &mut self.drawing {
            drawing.asked = None;
        }
    }

    /// Shows another snapshot.
    pub fn replace(&mut self, snapshot: Arc<Snapshot>, training: &Preset) {
        self.snapshot = snapshot;
        self.adopt_shown(training);
        self.move_by(0, 0);
    }

    /// Returns to the conditions of the current snapshot; the others are `training`'s.
    pub fn adopt_shown(&mut self, training: &Preset) {
        self.look.clone_from(&self.snapshot.look);
        let apply = |preset: Preset, setting: &Setting| setting.apply(&preset).unwrap_or(preset);
        self.preset = self.look.iter().fold(training.clone(), apply);
        if self.snapshot.input.is_some() {
            // It has as many steps as it has frames.
            self.preset.steps = self.snapshot.steps.len();
        }
        self.waits = false;
    }
}

/// The masked delta of a component at EM step `at`: γ (x̃ − ψ) with γ and ψ of the step before, M values. `None`
/// at the first step, since what precedes it is not in the snapshot.
pub fn masked_delta(snapshot: &Snapshot, at: usize, component: usize) -> Option<Vec<f32>> {
    let (before, now) = (snapshot.steps.get(at.checked_sub(1)?)?, snapshot.steps.get(at)?);
    let (places, values) = (snapshot.image.pixels(), snapshot.image.values());
    let gamma = before.gamma.get(component * places..(component + 1) * places)?;
    let preds = before.preds.get(component * values..(component + 1) * values)?;
    let delta = |(i, (noisy, pred)): (usize, (&f32, &f32))| gamma[i % places.max(1)] * (noisy - pred);
    Some(now.noisy.iter().zip(preds).enumerate().map(delta).collect())
}
