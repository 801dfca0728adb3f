//! The state of the screen: all that the view draws from, and all that `update` changes.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::album::Album;
use super::compare::{Against, Choice};
use super::config::Config;
use super::curve_view::CurveView;
use super::history::History;
use super::inspector::Inspector;
use super::keymap::{Action, Context};
use super::palette::Palette;
use super::shelf::Previewed;
use super::theme::Theme;
use crate::error::Result;
use crate::preset::{Preset, Setting};
use crate::protocol::{
    Change, Epoch, Finish, Iteration, ModelCard, Profile, RunCard, RunInfo, StageStart, Timed, WATCHED,
    Watched,
};
use crate::snapshot::{Input, Snapshot};

/// Iterations that the speed is averaged over.
const SPEED_OVER: usize = 30;

/// Everything.
#[derive(Clone, Debug)]
pub struct App {
    /// Colours.
    pub theme: Theme,
    /// What the user wants otherwise: keys, among others.
    pub config: Config,
    /// The shelf of presets and runs.
    pub picker: Picker,
    /// The training on the screen, if one was started.
    pub workbench: Option<Workbench>,
    /// A picture that came before the training it is of was announced: the two have channels of their own.
    pub early: Option<Arc<Snapshot>>,
    /// What lies over the screen.
    pub overlay: Option<Overlay>,
    /// The commands typed so far, the latest last.
    pub commands: Vec<String>,
    /// One line for the user: a refusal, a note.
    pub message: Option<String>,
    /// Set while a run is on its way to the screen.
    pub starting: bool,
    /// Set once the run on the screen is to end: where to go when it is saved.
    pub leaving: Option<Leave>,
    /// Whether the run is another process's, which goes on when the user leaves.
    pub attached: bool,
    /// An image of the user's own to open with the model that is on its way to the screen.
    pub opening: Option<PathBuf>,
    /// The directory that files are named from.
    pub here: PathBuf,
    /// The user's home, `~`.
    pub home: PathBuf,
}

/// What can lie over the screen.
#[derive(Clone, Debug)]
pub enum Overlay {
    /// All keys, from this line on.
    Help(usize),
    /// What looks wrong.
    Health,
    /// "Save and leave?"
    Quit,
    /// "End the run?", of one that is attached to.
    Stop,
    /// "Resize it?", of an image of this width and height.
    Resize(Input, [usize; 2]),
    /// The run's log.
    Log(Log),
    /// A command that is being typed.
    Palette(Box<Palette>),
    /// Other runs to compare this one with, and how their settings differ.
    Compare(Choice),
}

/// The run's log, as far as it is looked at.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// Its latest lines, the newest last.
    pub lines: Vec<String>,
    /// How many of them lie below what is shown. While there are any, it stands still.
    pub below: usize,
}

/// Where to go when the run on the screen is saved.
#[derive(Clone, Debug, PartialEq)]
pub enum Leave {
    /// Back to the shell.
    Program,
    /// Back to the shell, and the run goes on without a screen.
    Detach,
    /// To a new run with the state of this checkpoint, or of this run's last one, and these settings.
    Fork(PathBuf, Vec<String>),
    /// To a new run with the initial weights of this one and these settings.
    Restart(Vec<String>),
}

/// The shelf.
#[derive(Clone, Debug, Default)]
pub struct Picker {
    /// Models, then presets, then past runs.
    pub entries: Vec<Entry>,
    /// The chosen one.
    pub selected: usize,
    /// The one that the mouse has chosen last: pressed there again, it opens it.
    pub clicked: Option<usize>,
    /// Which sample of its data is shown.
    pub sample: u64,
    /// The newest preview.
    pub preview: Option<Previewed>,
    /// Whether there may be runs that were not found yet.
    pub reading: bool,
    /// The devices to train on.
    pub devices: Vec<String>,
    /// The chosen one.
    pub device: usize,
}

impl Picker {
    /// The chosen device's name.
    pub fn device(&self) -> &str {
        self.devices.get(self.device).map_or("", String::as_str)
    }
}

/// A line on the shelf.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// Looking at this model.
    Model(Box<ModelCard>),
    /// A new run of this preset.
    Preset(Box<Preset>),
    /// Going on with this run.
    Run(Box<RunCard>),
}

impl Entry {
    /// The preset behind it.
    pub fn preset(&self) -> &Preset {
        match self {
            Entry::Model(model) => &model.preset,
            Entry::Preset(preset) => preset,
            Entry::Run(run) => &run.preset,
        }
    }
}

/// The panes of the workbench.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pane {
    /// The loss curves.
    Loss,
    /// The AMI and ARI curves.
    Scores,
    /// The pictures.
    Components,
}

impl Pane {
    /// In the order that Tab visits them.
    pub const ALL: [Pane; 3] = [Pane::Components, Pane::Loss, Pane::Scores];
}

/// How gamma is shown beside the truth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Masks {
    /// The components' colours, mixed by gamma.
    #[default]
    Blend,
    /// The colour of each pixel's largest gamma.
    Largest,
}

/// What is shown of each component.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rows {
    /// Its prediction and its mask.
    #[default]
    Masks,
    /// Its prediction, its mask, and its masked delta: what it is told is wrong.
    Deltas,
}

/// A training on the screen.
#[derive(Clone, Debug)]
pub struct Workbench {
    /// The run, as it began.
    pub info: RunInfo,
    /// The preset in force.
    pub preset: Preset,
    /// The preset as the user has asked for it; equal to `preset` once the engine has followed.
    pub wanted: Preset,
    /// The curves.
    pub history: History,
    /// What of them is shown.
    pub curves: CurveView,
    /// Runs whose curves are drawn beside them.
    pub rivals: Vec<Against>,
    /// The newest iteration.
    pub latest: Option<Iteration>,
    /// The newest validation.
    pub epoch: Option<Epoch>,
    /// The newest picture.
    pub snapshot: Option<Arc<Snapshot>>,
    /// The validation sample asked for.
    pub sample: usize,
    /// The image of the user's own that was asked for in its place.
    pub input: Option<Input>,
    /// How many were asked for so far.
    pub requests: u64,
    /// Samples asked for that the engine has not spoken of yet.
    pub asked: usize,
    /// The EM step shown; the last one where none is chosen.
    pub em_step: Option<usize>,
    /// Whether the EM steps are played one after the other.
    pub playing: bool,
    /// How gamma is shown.
    pub masks: Masks,
    /// What is shown of each component.
    pub rows: Rows,
    /// What the last validation found of single samples and components.
    pub watched: Watched,
    /// Whether the samples come worst first.
    pub sorted: bool,
    /// What the user has changed, as it was before, the latest last.
    pub undo: Vec<Setting>,
    /// A look back at how the sample was.
    pub album: Option<Album>,
    /// A look into the sample on the screen.
    pub inspector: Option<Inspector>,
    /// Whether the training stands still.
    pub paused: bool,
    /// Why the training ended, if it did.
    pub finish: Option<Finish>,
    /// Whether the worker still answers; it stays for pictures when the training is over.
    pub alive: bool,
    /// The iteration of the newest checkpoint.
    pub saved: Option<u64>,
    /// Seconds of the latest iterations.
    seconds: Vec<f64>,
    /// Where the time of the latest iterations went, while that is asked for.
    pub profiles: Option<VecDeque<Profile>>,
    /// The pane with the focus.
    pub focus: Pane,
    /// Whether it has the whole body.
    pub zoomed: bool,
}

impl App {
    /// The picker, with nothing on its shelf yet.
    pub fn new(theme: Theme) -> App {
        App {
            theme,
            config: Config::default(),
            picker: Picker::default(),
            workbench: None,
            early: None,
            overlay: None,
            message: None,
            commands: Vec::new(),
            starting: false,
            leaving: None,
            attached: false,
            opening: None,
            here: PathBuf::new(),
            home: PathBuf::new(),
        }
    }

    /// Takes the user's config in, or says what is wrong with it.
    pub fn configure(&mut self, config: Result<Config>) {
        match config {
            Ok(config) => {
                self.theme.scheme = config.theme;
                self.config = config;
            }
            Err(error) => self.message = Some(error.to_string()),
        }
    }

    /// Whether the user seems to be new here: nothing was ever trained, and nothing is otherwise than it comes.
    pub fn is_new(&self) -> bool {
        let any_run = self.picker.entries.iter().any(|entry| matches!(entry, Entry::Run(_)));
        !any_run && !self.picker.reading && self.config == Config::default()
    }

    /// How a key that means `action` here is written.
    pub fn key(&self, action: Action) -> String {
        self.config.keymap.key(self.context(), action)
    }

    /// Whether the run's log is looked at, and follows it.
    pub fn follows_log(&self) -> bool {
        matches!(&self.overlay, Some(Overlay::Log(log)) if log.below == 0)
    }

    /// Whether the run in this directory is on the screen.
    pub fn shows(&self, run: &Path) -> bool {
        self.workbench.as_ref().is_some_and(|workbench| workbench.info.directory == run)
    }

    /// Whether EM steps are being played.
    pub fn is_playing(&self) -> bool {
        self.workbench.as_ref().is_some_and(|workbench| {
            let past =
                workbench.album.as_ref().is_some_and(|album| album.playing && album.moment().is_some());
            past || workbench.playing && workbench.shown().is_some()
        })
    }

    /// Which keys hold.
    pub fn context(&self) -> Context {
        match &self.workbench {
            None => Context::Picker,
            Some(workbench) if workbench.is_model() => match workbench.inspector {
                Some(_) => Context::ModelInspector,
                None => Context::Model,
            },
            Some(workbench) if workbench.inspector.is_some() => Context::Inspector,
            Some(workbench) if workbench.focus == Pane::Components => Context::Workbench,
            Some(_) => Context::Curves,
        }
    }
}

impl Workbench {
    /// A training that has just begun, or gone on.
    pub fn new(info: RunInfo) -> Workbench {
        let mut workbench = Workbench {
            preset: info.preset.clone(),
            wanted: info.preset.clone(),
            history: History::default(),
            curves: CurveView::default(),
            rivals: Vec::new(),
            latest: None,
            epoch: None,
            snapshot: None,
            sample: 0,
            input: None,
            requests: 0,
            asked: 0,
            em_step: None,
            playing: false,
            masks: Masks::default(),
            rows: Rows::default(),
            watched: Watched::default(),
            sorted: false,
            undo: Vec::new(),
            album: None,
            inspector: None,
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
        let latest = metrics.iterations.len().saturating_sub(SPEED_OVER);
        workbench.seconds = metrics.iterations[latest..].iter().map(|iteration| iteration.seconds).collect();
        workbench.latest = metrics.iterations.last().copied();
        workbench.epoch = metrics.epochs.last().copied();
        workbench
    }

    /// Takes in an iteration.
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

    /// Takes in a validation.
    pub fn add_epoch(&mut self, epoch: Epoch) {
        self.history.push(Timed::Epoch(&epoch));
        self.epoch = Some(epoch);
    }

    /// Takes in a live change.
    pub fn add_change(&mut self, change: Change) {
        if let Ok(preset) = change.to.apply(&self.preset) {
            // What the user asked for holds this change already, unless a refusal made it forget.
            if change.from.current(&self.wanted) == Some(change.from)
                && let Ok(wanted) = change.to.apply(&self.wanted)
            {
                self.wanted = wanted;
            }
            self.preset = preset;
        }
        self.history.mark(&change);
    }

    /// Takes in the beginning of a later stage.
    pub fn begin_stage(&mut self, start: StageStart) {
        self.preset = self.preset.at_stage(&start.what);
        self.wanted = self.wanted.at_stage(&start.what);
        self.history.mark_stage(&start);
    }

    /// Whether a trained model is on show, and no training.
    pub fn is_model(&self) -> bool {
        self.finish == Some(Finish::Shown)
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

    /// Whether it trains, or pauses.
    pub fn is_running(&self) -> bool {
        self.finish.is_none()
    }

    /// How many samples there are to look at: of a training those whose scores are followed.
    pub fn samples(&self) -> usize {
        let all = self.preset.train.validation_size.max(1);
        if self.is_model() { all } else { all.min(WATCHED) }
    }

    /// The samples in the order in which they are visited.
    pub fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.samples()).collect();
        if self.sorted {
            // A sample without a score is neither good nor bad, and comes last.
            let score = |i: &usize| self.watched.amis.get(*i).copied().flatten().unwrap_or(f64::INFINITY);
            order.sort_by(|a, b| score(a).total_cmp(&score(b)));
        }
        order
    }

    /// The picture that is looked at: the inspector's, one of the past, or the newest.
    pub fn shown(&self) -> Option<&Arc<Snapshot>> {
        let past = || self.album.as_ref().and_then(|album| album.snapshot.as_ref());
        match &self.inspector {
            Some(inspector) => Some(&inspector.snapshot),
            None => past().or(self.snapshot.as_ref()),
        }
    }

    /// The first and the last iteration that this run or one beside it has something of.
    pub fn span(&self) -> (f64, f64) {
        let spans = self.rivals.iter().map(|rival| rival.history.span());
        spans.fold(self.history.span(), |all, span| (all.0.min(span.0), all.1.max(span.1)))
    }

    /// Takes in a picture.
    pub fn show(&mut self, snapshot: Arc<Snapshot>) {
        match &mut self.inspector {
            Some(inspector) => inspector.offer(&snapshot, self.sample, &self.input, &self.preset),
            // An image of the user's own is looked into as soon as it is there.
            None if snapshot.input.is_some() && snapshot.input == self.input => {
                let mut inspector = Inspector::new(snapshot.clone(), self.preset.clone());
                inspector.settle(&self.preset);
                self.inspector = Some(inspector);
            }
            None => {}
        }
        // Under other conditions it is the inspector's alone.
        if snapshot.look.is_empty() && snapshot.input.is_none() {
            self.snapshot = Some(snapshot);
        }
    }

    /// Takes in a sample as it was, if that is still what is looked for.
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

    /// Back from the past to now.
    pub fn come_back(&mut self) {
        if self.album.take().is_some()
            && let (Some(inspector), Some(snapshot)) = (&mut self.inspector, &self.snapshot)
        {
            inspector.replace(snapshot.clone(), &self.preset);
        }
    }

    /// Asks for an image of the user's own.
    pub fn ask_for(&mut self, file: PathBuf, resize: bool) -> Input {
        self.requests += 1;
        let input = Input { file, resize, request: self.requests };
        self.input = Some(input.clone());
        // Only the weights of now can be asked.
        self.album = None;
        if let Some(inspector) = &mut self.inspector {
            inspector.waits = true;
        }
        input
    }

    /// What was asked for does not come: goes on with what is shown.
    pub fn stay(&mut self) {
        match &mut self.inspector {
            None => self.input = None,
            Some(inspector) if inspector.waits => {
                inspector.settle(&self.preset);
                self.input.clone_from(&inspector.snapshot.input);
            }
            Some(_) => {}
        }
    }

    /// The next EM step, the first after the last.
    pub fn play_on(&mut self) {
        let Some(snapshot) = self.shown() else { return };
        let next = (self.shown_step(snapshot) + 1) % snapshot.steps.len().max(1);
        self.em_step = Some(next);
    }

    /// The EM step to show of `snapshot`, which has at least one.
    pub fn shown_step(&self, snapshot: &Snapshot) -> usize {
        let last = snapshot.steps.len().saturating_sub(1);
        self.em_step.map_or(last, |step| step.min(last))
    }
}
