//! A run on the screen: its data, how it is shown, and what was requested of the worker.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::album::LookBack;
use super::beside::Beside;
use super::curve_view::CurveView;
use super::doubts::Doubts;
use super::history::History;
use super::inspector::Inspector;
pub use super::panes::{Masks, Pane, Rows};
use super::stage::StageView;
use crate::paths::shown;
use crate::preset::{Preset, Setting};
use crate::protocol::{
    Change, Command, Epoch, Finish, Iteration, Profile, RunInfo, RunKind, RunToCompare, StageStart, Timed,
    WATCHED, Watched, why_unscored,
};
use crate::snapshot::{Input, Snapshot, Source};

/// Iterations that the speed is averaged over.
const SPEED_OVER: usize = 30;

/// A run or a model on the screen.
#[derive(Clone, Debug)]
pub struct Workbench {
    /// The run, as announced.
    pub info: RunInfo,
    /// The preset in force.
    pub preset: Preset,
    /// The preset that the user has asked for; equal to `preset` once the worker has confirmed.
    pub wanted: Preset,
    /// All live changes so far.
    pub changes: Vec<Change>,
    /// The curves.
    pub history: History,
    /// Which part of them is shown, and how.
    pub curves: CurveView,
    /// Runs that it is compared with.
    pub compared: Vec<ComparedRun>,
    /// The newest iteration.
    pub latest: Option<Iteration>,
    /// The newest validation.
    pub epoch: Option<Epoch>,
    /// The newest snapshot.
    pub snapshot: Option<Arc<Snapshot>>,
    /// The number of the current stage, counted from 1.
    stage: usize,
    /// The requested validation sample.
    pub sample: usize,
    /// The user's own image, if requested instead.
    pub input: Option<Input>,
    /// The number of requests for the user's own images so far.
    pub requests: u64,
    /// The chosen EM step; `None` shows the last.
    pub em_step: Option<usize>,
    /// Whether the EM steps are being played.
    pub playing: bool,
    /// How gamma is shown.
    pub masks: Masks,
    /// What is shown of each component.
    pub rows: Rows,
    /// The last validation's results for single samples and components.
    pub watched: Watched,
    /// What has looked wrong in the pictures.
    pub doubts: Doubts,
    /// Whether the samples are sorted, worst first.
    pub sorted: bool,
    /// The values before the user's changes, oldest first.
    pub undo: Vec<Setting>,
    /// The album, while it is open.
    pub album: Option<LookBack>,
    /// The inspector, while it is open.
    pub inspector: Option<Inspector>,
    /// The second model or run, while two are shown side by side.
    pub beside: Option<Beside>,
    /// Whether the training is paused.
    pub paused: bool,
    /// Why the training ended, if it did.
    pub finish: Option<Finish>,
    /// Whether the worker still answers: after the training it stays for pictures.
    pub alive: bool,
    /// The iteration of the newest checkpoint.
    pub saved: Option<u64>,
    /// Seconds of the latest iterations.
    seconds: Vec<f64>,
    /// Where the time of the latest iterations went, while the profile is shown.
    pub profiles: Option<VecDeque<Profile>>,
    /// The pane with the focus.
    pub focus: Pane,
    /// Whether the focused pane fills the screen.
    pub zoomed: bool,
}

/// A run that is compared with the one on the screen.
#[derive(Clone, Debug)]
pub struct ComparedRun {
    /// Its directory, as the user chose it.
    pub directory: PathBuf,
    /// The same without symbolic links, which tells it apart from others.
    pub real: PathBuf,
    /// Its settings at the end.
    pub preset: Preset,
    /// Its live changes.
    pub changes: Vec<Change>,
    /// The seed of all random numbers.
    pub seed: u64,
    /// Its curves.
    pub history: History,
}

impl ComparedRun {
    /// The run in `directory`, with the data that was read.
    pub fn new(directory: PathBuf, read: RunToCompare) -> ComparedRun {
        let history = History::of(&read.metrics);
        let RunToCompare { directory: real, preset, seed, metrics } = read;
        ComparedRun { directory, real, preset, changes: metrics.changes, seed, history }
    }

    /// Whether this path names its directory, as far as can be told without a look at the disk.
    pub fn is_in(&self, directory: &Path) -> bool {
        is_same(&self.directory, directory) || is_same(&self.real, directory)
    }
}

/// Whether two paths name one directory, as far as can be told without a look at the disk.
pub fn is_same(one: &Path, other: &Path) -> bool {
    fn plain(path: &Path) -> PathBuf {
        let mut plain = PathBuf::new();
        for part in path.components() {
            match part {
                Component::CurDir => {}
                Component::ParentDir if plain.file_name().is_some() => {
                    plain.pop();
                }
                part => plain.push(part),
            }
        }
        plain
    }
    plain(one) == plain(other)
}

/// The names of these runs on the screen: their directories' names, with as many parent directories as it takes
/// to tell them apart.
pub fn short_names<'a>(runs: impl Iterator<Item = &'a Path>) -> Vec<String> {
    let runs: Vec<Vec<_>> = runs.map(|run| run.iter().collect()).collect();
    let end =
        |run: &[&OsStr], parts: usize| -> PathBuf { run[run.len().saturating_sub(parts)..].iter().collect() };
    let name = |(at, run): (usize, &Vec<&OsStr>)| {
        let alone = |parts: &usize| {
            let others = runs.iter().enumerate().filter(|(other, _)| *other != at);
            !others.map(|(_, other)| end(other, *parts)).any(|other| other == end(run, *parts))
        };
        let parts = (1..run.len()).find(alone).unwrap_or(run.len());
        shown(&end(run, parts)).to_string()
    };
    runs.iter().enumerate().map(name).collect()
}

impl Workbench {
    /// A run that was just started or resumed.
    pub fn new(info: RunInfo) -> Workbench {
        let mut workbench = Workbench {
            preset: info.preset.clone(),
            wanted: info.preset.clone(),
            changes: Vec::new(),
            history: History::default(),
            curves: CurveView::default(),
            compared: Vec::new(),
            latest: None,
            epoch: None,
            snapshot: None,
            stage: 1,
            sample: 0,
            input: None,
            requests: 0,
            em_step: None,
            playing: false,
            masks: Masks::default(),
            rows: Rows::default(),
            watched: Watched::default(),
            doubts: Doubts::default(),
            sorted: false,
            undo: Vec::new(),
            album: None,
            inspector: None,
            beside: None,
            paused: false,
            finish: None,
            alive: true,
            saved: (info.iteration > 0).then_some(info.iteration),
            seconds: Vec::new(),
            profiles: None,
            focus: Pane::Components,
            zoomed: false,
            info,
        };
        let metrics = std::mem::take(&mut workbench.info.metrics);
        workbench.history = History::of(&metrics);
        workbench.stage = metrics.stages.last().map_or(1, |start| start.stage);
        let latest = metrics.iterations.len().saturating_sub(SPEED_OVER);
        workbench.seconds = metrics.iterations[latest..].iter().map(|iteration| iteration.seconds).collect();
        workbench.latest = metrics.iterations.last().copied();
        workbench.epoch = metrics.epochs.last().copied();
        workbench.changes = metrics.changes;
        workbench
    }

    /// Adds an iteration.
    pub fn add_iteration(&mut self, iteration: Iteration) {
        self.history.push(Timed::Iteration(&iteration));
        if self.seconds.len() >= SPEED_OVER {
            self.seconds.remove(0);
        }
        self.seconds.push(iteration.seconds);
        if let (Some(profiles), Some(profile)) = (&mut self.profiles, iteration.profile) {
            profiles.truncate(SPEED_OVER - 1);
            profiles.push_front(profile);
        }
        self.latest = Some(iteration);
    }

    /// Adds a validation.
    pub fn add_epoch(&mut self, epoch: Epoch) {
        self.history.push(Timed::Epoch(&epoch));
        self.epoch = Some(epoch);
    }

    /// Takes the results of the newest validation for single samples and components.
    pub fn watch(&mut self, watched: Watched) {
        self.history.add_held(self.iteration(), &watched.held);
        self.watched = watched;
    }

    /// Why AMI and ARI of the last validation are missing, if they are.
    pub fn why_unscored(&self) -> Option<&'static str> {
        let epoch = self.epoch.filter(|epoch| epoch.ami.is_none())?;
        Some(why_unscored(epoch.validation_loss, epoch.confidence))
    }

    /// Applies a live change.
    pub fn add_change(&mut self, change: Change) {
        if let Ok(preset) = change.to.apply(&self.preset) {
            // `wanted` has this change already, unless a refusal reset it.
            if change.from.current(&self.wanted) == Some(change.from)
                && let Ok(wanted) = change.to.apply(&self.wanted)
            {
                self.wanted = wanted;
            }
            self.preset = preset;
        }
        self.history.mark(&change);
        self.changes.push(change);
    }

    /// Applies the start of a later stage.
    pub fn begin_stage(&mut self, start: StageStart) {
        self.preset = self.preset.at_stage(&start.what);
        self.wanted = self.wanted.at_stage(&start.what);
        self.stage = start.stage;
        self.history.mark_stage(&start);
    }

    /// The current stage of a training in stages, in numbers and in words.
    pub fn stage(&self) -> Option<StageView> {
        StageView::of(&self.preset, self.stage).filter(|_| !self.is_model())
    }

    /// Whether this is a trained model, not a training.
    pub fn is_model(&self) -> bool {
        self.info.kind == RunKind::Model
    }

    /// Iterations done.
    pub fn iteration(&self) -> u64 {
        self.latest.map_or(self.info.iteration, |i| i.iteration)
    }

    /// Iterations per second, by the latest ones.
    pub fn speed(&self) -> Option<f64> {
        let mean = self.seconds.iter().sum::<f64>() / self.seconds.len() as f64;
        (mean > 0.0).then(|| 1.0 / mean)
    }

    /// Seconds to the preset's last epoch at this speed.
    pub fn eta(&self) -> Option<f64> {
        let all = self.preset.most_epochs().saturating_mul(self.preset.iterations_per_epoch());
        Some(all.saturating_sub(self.iteration()) as f64 / self.speed()?)
    }

    /// Whether it is training or paused.
    pub fn is_running(&self) -> bool {
        self.finish.is_none() && !self.is_model()
    }

    /// How many samples can be shown; during a training, those whose scores are followed.
    pub fn samples(&self) -> usize {
        let all = self.preset.train.validation_size.max(1);
        if self.is_model() { all } else { all.min(WATCHED) }
    }

    /// The samples in their current order.
    pub fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.samples()).collect();
        if self.sorted {
            // Samples without a score come last.
            let score = |i: &usize| self.watched.amis.get(*i).copied().flatten().unwrap_or(f64::INFINITY);
            order.sort_by(|a, b| score(a).total_cmp(&score(b)));
        }
        order
    }

    /// The snapshot on the screen: the inspector's, a past one, or the newest.
    pub fn shown(&self) -> Option<&Arc<Snapshot>> {
        let past = || self.album.as_ref().and_then(|album| album.snapshot.as_ref());
        match &self.inspector {
            Some(inspector) => Some(&inspector.snapshot),
            None => past().or(self.snapshot.as_ref()),
        }
    }

    /// The first and the last iteration on the curves of this run and the compared ones.
    pub fn span(&self) -> (f64, f64) {
        let spans = self.compared.iter().map(|run| run.history.span());
        spans.fold(self.history.span(), |all, span| (all.0.min(span.0), all.1.max(span.1)))
    }

    /// Shows a new snapshot.
    pub fn show(&mut self, snapshot: Arc<Snapshot>) {
        match &mut self.inspector {
            Some(inspector) => inspector.offer(&snapshot, self.sample, &self.input, &self.preset),
            // The user's own image opens in the inspector as soon as it arrives.
            None if snapshot.input.is_some() && snapshot.input == self.input => {
                let mut inspector = Inspector::new(snapshot.clone(), self.preset.clone());
                inspector.adopt_shown(&self.preset);
                self.inspector = Some(inspector);
            }
            None => {}
        }
        // A snapshot under other conditions is only for the inspector.
        if snapshot.look.is_empty() && snapshot.input.is_none() {
            self.doubts.look(&snapshot);
            // A model chooses its first sample.
            if self.is_model() && self.snapshot.is_none() && self.sample == 0 {
                self.sample = snapshot.sample;
            }
            self.snapshot = Some(snapshot);
        }
    }

    /// Shows a past snapshot, if it is still the requested one.
    pub fn look_back(&mut self, snapshot: Arc<Snapshot>) {
        let Some(album) = &mut self.album else { return };
        if album.moment() != Some(snapshot.iteration) || snapshot.sample != self.sample {
            return;
        }
        if let Some(inspector) = &mut self.inspector {
            inspector.replace(snapshot.clone(), &self.preset);
        }
        album.snapshot = Some(snapshot);
    }

    /// Returns from the past to now.
    pub fn come_back(&mut self) {
        if self.album.take().is_some()
            && let (Some(inspector), Some(snapshot)) = (&mut self.inspector, &self.snapshot)
        {
            inspector.replace(snapshot.clone(), &self.preset);
        }
    }

    /// The request for an image of the user's own.
    pub fn ask_for(&mut self, source: Source) -> Input {
        self.requests += 1;
        let input = Input { request: self.requests, source };
        self.input = Some(input.clone());
        // Only the current weights can compute it.
        self.album = None;
        if let Some(inspector) = &mut self.inspector {
            inspector.waits = true;
        }
        input
    }

    /// Replaces the run's state after events were missed. The view stays the same.
    pub fn catch_up(&mut self, info: RunInfo) {
        let old = std::mem::replace(self, Workbench::new(info));
        // What the run has not answered yet is still wanted.
        for kind in Setting::KINDS {
            let pending =
                kind.current(&old.wanted).filter(|wanted| kind.current(&old.preset) != Some(*wanted));
            if let Some(Ok(wanted)) = pending.map(|setting| setting.apply(&self.wanted)) {
                self.wanted = wanted;
            }
        }
        self.finish = old.finish;
        self.curves = old.curves;
        self.compared = old.compared;
        self.history.unused = old.history.unused;
        self.snapshot = old.snapshot;
        self.sample = old.sample;
        self.input = old.input;
        self.requests = old.requests;
        self.em_step = old.em_step;
        self.playing = old.playing;
        self.masks = old.masks;
        self.rows = old.rows;
        self.watched = old.watched;
        self.doubts = old.doubts;
        self.sorted = old.sorted;
        self.undo = old.undo;
        self.album = old.album;
        self.inspector = old.inspector;
        self.inspector.iter_mut().for_each(Inspector::forget);
        self.beside = old.beside;
        self.profiles = old.profiles;
        self.focus = old.focus;
        self.zoomed = old.zoomed;
    }

    /// A request was refused. What it asked for is no longer wanted, unless the user has asked for something else since.
    /// Returns what to tell the run.
    pub fn forget(&mut self, request: &Command) -> Vec<Command> {
        match request {
            Command::Set(refused) if refused.current(&self.wanted) == Some(*refused) => {
                let now = refused.current(&self.preset).and_then(|now| now.apply(&self.wanted).ok());
                self.wanted = now.unwrap_or_else(|| self.preset.clone());
                vec![]
            }
            Command::Look(look)
                if self.inspector.as_ref().is_some_and(|inspector| inspector.look == *look) =>
            {
                self.stay()
            }
            Command::Input(input) if *input == self.input => self.stay(),
            _ => vec![],
        }
    }

    /// What was asked for will not come: keeps what is shown. Returns what to tell the run, which may have accepted
    /// an earlier request whose picture never came.
    pub fn stay(&mut self) -> Vec<Command> {
        let mut look = Vec::new();
        self.inspector.iter_mut().for_each(Inspector::forget);
        match &mut self.inspector {
            None if self.input.is_some() => self.input = None,
            Some(inspector) if inspector.waits => {
                inspector.adopt_shown(&self.preset);
                self.input.clone_from(&inspector.snapshot.input);
                look.clone_from(&inspector.look);
            }
            _ => return vec![],
        }
        if !self.alive {
            return vec![];
        }
        let of = match &self.input {
            Some(input) => Command::Input(Some(input.clone())),
            None => Command::Watch(self.sample),
        };
        vec![Command::Look(look), of]
    }

    /// Moves to the next EM step; from the last to the first.
    pub fn play_on(&mut self) {
        let Some(snapshot) = self.shown() else { return };
        let next = (self.shown_step(snapshot) + 1) % snapshot.steps.len().max(1);
        self.em_step = Some(next);
    }

    /// The EM step of `snapshot` to show; it has at least one.
    pub fn shown_step(&self, snapshot: &Snapshot) -> usize {
        let last = snapshot.steps.len().saturating_sub(1);
        self.em_step.map_or(last, |step| step.min(last))
    }
}
