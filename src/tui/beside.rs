//! A second model or run beside the one on the screen. It has a worker of its own, which is shown the same frames with
//! the same noise, and begins with the same γ where both have the same K. The worker ends when this goes.

use std::path::PathBuf;
use std::sync::Arc;

use crate::protocol::RunInfo;
use crate::snapshot::{Frames, Input, Snapshot, Source};

/// The second side.
#[derive(Clone, Debug)]
pub struct Beside {
    /// The model, run or checkpoint, as the user named it.
    pub what: PathBuf,
    /// What it is, once it is open.
    pub info: Option<RunInfo>,
    /// Its newest snapshot.
    newest: Option<Arc<Snapshot>>,
    /// What it was asked to show.
    asked: Option<Input>,
    /// The snapshot of the first side that this request is of.
    of: Option<Arc<Snapshot>>,
}

impl Beside {
    /// This model, run or checkpoint, which is being opened.
    pub fn new(what: PathBuf) -> Beside {
        Beside { what, info: None, newest: None, asked: None, of: None }
    }

    /// The request by which it shows what `first` does, of a model or run with this seed; `None` if it was asked
    /// already.
    pub fn follow(&mut self, first: &Arc<Snapshot>, seed: u64) -> Option<Input> {
        if self.of.as_ref().is_some_and(|of| Arc::ptr_eq(of, first)) {
            return None;
        }
        self.of = Some(first.clone());
        let frames = frames_of(first, seed);
        let before = self.asked.as_ref();
        // A training sends the same sample after every iteration.
        if before.is_some_and(|asked| matches!(&asked.source, Source::Frames(asked) if **asked == frames)) {
            return None;
        }
        let input = Input::frames(frames, before.map_or(1, |asked| asked.request + 1));
        self.asked = Some(input.clone());
        Some(input)
    }

    /// Shows a new snapshot.
    pub fn show(&mut self, snapshot: Arc<Snapshot>) {
        self.newest = Some(snapshot);
    }

    /// Its snapshot of what it was asked to show, once that has arrived.
    pub fn shown(&self) -> Option<&Arc<Snapshot>> {
        self.newest.as_ref().filter(|snapshot| self.asked.is_some() && snapshot.input == self.asked)
    }
}

/// The frames that `snapshot` shows, with their noise.
fn frames_of(snapshot: &Snapshot, seed: u64) -> Frames {
    let steps = &snapshot.steps;
    let is_still = steps.windows(2).all(|pair| pair[0].target == pair[1].target);
    let targets = &steps[..if is_still { steps.len().min(1) } else { steps.len() }];
    let groups = match snapshot.knows_objects() {
        true => targets.iter().flat_map(|step| step.groups.iter().copied()).collect(),
        false => Vec::new(),
    };
    // An image of the user's own begins as the first sample.
    let sample = if snapshot.input.is_some() { 0 } else { snapshot.sample as u64 };
    Frames {
        targets: targets.iter().map(|step| step.target.clone()).collect(),
        noisy: steps.iter().map(|step| step.noisy.clone()).collect(),
        groups,
        begins_as: Some((seed, sample)),
    }
}
