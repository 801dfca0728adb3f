//! A look into one sample: held still while the training goes on, and seen under other conditions than it is
//! trained with, should its user want that.

use std::sync::Arc;

use crate::preset::{Preset, Setting};
use crate::protocol::{Input, Snapshot, SnapshotStep};

/// The state of the inspector.
#[derive(Clone, Debug)]
pub struct Inspector {
    /// The sample, unrolled.
    pub snapshot: Arc<Snapshot>,
    /// The preset with the conditions in force here.
    pub preset: Preset,
    /// Which of them are not the training's.
    pub look: Vec<Setting>,
    /// Whether another picture was asked for and is not there yet.
    pub waits: bool,
    /// Column of the pixel that is read.
    pub x: usize,
    /// Its row.
    pub y: usize,
}

impl Inspector {
    /// Of `snapshot`, whose conditions are those of `preset`; the cursor is in the middle.
    pub fn new(snapshot: Arc<Snapshot>, preset: Preset) -> Inspector {
        let (x, y) = (snapshot.image.width / 2, snapshot.image.height / 2);
        Inspector { snapshot, preset, look: Vec::new(), waits: false, x, y }
    }

    /// Moves the cursor, as far as there are pixels.
    pub fn move_by(&mut self, right: i64, down: i64) {
        let step =
            |at: usize, by: i64, size: usize| at.saturating_add_signed(by as isize).min(size.max(1) - 1);
        self.x = step(self.x, right, self.snapshot.image.width);
        self.y = step(self.y, down, self.snapshot.image.height);
    }

    /// The place of the cursor in a mask.
    pub fn pixel(&self) -> usize {
        let image = &self.snapshot.image;
        self.y.min(image.height.max(1) - 1) * image.width + self.x.min(image.width.max(1) - 1)
    }

    /// Asks for other conditions; returns all that are not the training's.
    ///
    /// # Errors
    /// A sentence, where the sample does not depend on that, or where it is impossible.
    pub fn change(&mut self, setting: Setting) -> Result<Vec<Setting>, String> {
        if matches!(setting, Setting::LearningRate(_) | Setting::InterWeight(_)) {
            return Err(format!("what is seen here does not depend on {}", setting.field()));
        }
        if self.snapshot.input.is_some() && matches!(setting, Setting::Objects(_)) {
            return Err("an image of your own has the objects that it has".into());
        }
        if setting.current(&self.preset).is_none() {
            return Err(format!("this run has no {}", setting.field()));
        }
        self.preset = setting.apply(&self.preset).map_err(|e| e.to_string())?;
        self.look.retain(|other| std::mem::discriminant(other) != std::mem::discriminant(&setting));
        self.look.push(setting);
        self.waits = true;
        Ok(self.look.clone())
    }

    /// Takes a new picture in, if it is the one that was asked for: of `input`, or where there is none of `sample`.
    /// `training` is the preset that it is trained with.
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
        }
    }

    /// Shows another picture.
    pub fn replace(&mut self, snapshot: Arc<Snapshot>, training: &Preset) {
        self.snapshot = snapshot;
        self.settle(training);
        self.move_by(0, 0);
    }

    /// Holds to the conditions that are shown, where others than `training`'s.
    pub fn settle(&mut self, training: &Preset) {
        self.look.clone_from(&self.snapshot.look);
        let apply = |preset: Preset, setting: &Setting| setting.apply(&preset).unwrap_or(preset);
        self.preset = self.look.iter().fold(training.clone(), apply);
        if self.snapshot.input.is_some() {
            // As many as it has frames for.
            self.preset.steps = self.snapshot.steps.len();
        }
        self.waits = false;
    }
}

/// A true object, and the component that holds it.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// Its number in the true groups, from 1.
    pub group: u8,
    /// Pixels that are its alone.
    pub pixels: usize,
    /// The component that holds it in the best matching of objects and components; none where there are more
    /// objects than components.
    pub component: Option<usize>,
    /// Of the pixels that either has, the share that both have; over pixels that belong to an object.
    pub iou: f64,
    /// Of the component's pixels in objects, the share that is this object's.
    pub purity: f64,
}

/// Each pixel's component of largest γ; the first of equals. None where γ is cut short.
pub fn largest(step: &SnapshotStep, k: usize) -> Vec<usize> {
    let places = step.groups.len();
    let value = |component: usize, pixel: usize| step.gamma.get(component * places + pixel).copied();
    let best = |pixel| {
        let better =
            |best: usize, next: usize| if value(next, pixel) > value(best, pixel) { next } else { best };
        (0..k).reduce(better).unwrap_or(0)
    };
    (0..places).map(best).collect()
}

/// The true objects of a frame, matched with `k` components so that together they share the most pixels
/// (the Hungarian method on the components of largest γ).
pub fn objects(step: &SnapshotStep, k: usize) -> Vec<Object> {
    let largest = largest(step, k);
    let mut groups: Vec<u8> = step.groups.iter().copied().filter(|group| *group > 0).collect();
    groups.sort_unstable();
    groups.dedup();
    if groups.is_empty() || k == 0 {
        return Vec::new();
    }
    let mut shared = vec![vec![0i64; k]; groups.len()];
    for (group, component) in step.groups.iter().zip(&largest) {
        if let Ok(row) = groups.binary_search(group) {
            shared[row][*component] += 1;
        }
    }
    let held: Vec<i64> = (0..k).map(|component| shared.iter().map(|row| row[component]).sum()).collect();
    let matched = matching(&shared, k);
    let rows = groups.iter().zip(&shared).zip(matched);
    rows.map(|((group, row), component)| {
        let pixels = row.iter().sum::<i64>();
        let (both, of_component) = component.map_or((0, 0), |component| (row[component], held[component]));
        let share = |part: i64, whole: i64| part as f64 / whole.max(1) as f64;
        Object {
            group: *group,
            pixels: pixels as usize,
            component,
            iou: share(both, pixels + of_component - both),
            purity: share(both, of_component),
        }
    })
    .collect()
}

/// For each row the column it is matched with.
fn matching(shared: &[Vec<i64>], columns: usize) -> Vec<Option<usize>> {
    use pathfinding::kuhn_munkres::kuhn_munkres;
    use pathfinding::matrix::Matrix;
    let rows = shared.len();
    // The method wants no more rows than columns.
    if rows <= columns {
        let matrix = Matrix::from_fn(rows, columns, |(row, column)| shared[row][column]);
        kuhn_munkres(&matrix).1.into_iter().map(Some).collect()
    } else {
        let matrix = Matrix::from_fn(columns, rows, |(column, row)| shared[row][column]);
        let mut matched = vec![None; rows];
        for (column, row) in kuhn_munkres(&matrix).1.into_iter().enumerate() {
            matched[row] = Some(column);
        }
        matched
    }
}

/// What component `component` was told is wrong at EM step `at`: γ (x̃ − ψ) with γ and ψ of the step before,
/// M values; nothing at the first step, whose γ and ψ are not in the snapshot.
pub fn masked_delta(snapshot: &Snapshot, at: usize, component: usize) -> Option<Vec<f32>> {
    let (before, now) = (snapshot.steps.get(at.checked_sub(1)?)?, snapshot.steps.get(at)?);
    let (places, values) = (snapshot.image.pixels(), snapshot.image.values());
    let gamma = before.gamma.get(component * places..(component + 1) * places)?;
    let preds = before.preds.get(component * values..(component + 1) * values)?;
    let delta = |(i, (noisy, pred)): (usize, (&f32, &f32))| gamma[i % places.max(1)] * (noisy - pred);
    Some(now.noisy.iter().zip(preds).enumerate().map(delta).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(groups: &[u8], gamma: &[f32]) -> SnapshotStep {
        let values = vec![0.0; groups.len()];
        SnapshotStep {
            target: values.clone(),
            noisy: values,
            groups: groups.to_vec(),
            preds: vec![],
            gamma: gamma.to_vec(),
            ami: None,
            ari: None,
            confidence: None,
        }
    }

    #[test]
    fn objects_are_matched_with_the_components_that_hold_them() {
        // Object 1 is held by component 1, object 2 mostly by component 0, which has a pixel of neither.
        let step = step(&[1, 1, 2, 2, 0], &[0.1, 0.2, 0.9, 0.4, 0.9, 0.9, 0.8, 0.1, 0.6, 0.1]);
        let found = objects(&step, 2);
        assert_eq!(
            found[0],
            Object { group: 1, pixels: 2, component: Some(1), iou: 2.0 / 3.0, purity: 2.0 / 3.0 }
        );
        assert_eq!(found[1], Object { group: 2, pixels: 2, component: Some(0), iou: 0.5, purity: 1.0 });
    }

    #[test]
    fn more_objects_than_components_leave_some_without() {
        let step = step(&[1, 2, 2, 3], &[1.0, 1.0, 1.0, 1.0]);
        let found = objects(&step, 1);
        assert_eq!(found.iter().filter_map(|object| object.component).count(), 1);
        assert_eq!(found[1].component, Some(0), "the largest is held");
    }

    #[test]
    fn an_empty_frame_has_no_objects() {
        assert!(objects(&step(&[0, 0], &[1.0, 1.0]), 1).is_empty());
    }
}
