//! The state of the screen: everything that `view` draws and `update` changes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ratatui::layout::Rect;

use super::config::Config;
use super::inspector::Inspector;
pub use super::overlay::Overlay;
use super::table::RunTable;
use super::theme::Theme;
use super::workbench::{Pane, Workbench};
use crate::error::Result;
use crate::preset::Preset;
use crate::protocol::{ModelCard, Preview, RunCard, RunDetails};
use crate::snapshot::Snapshot;

/// The whole state.
#[derive(Clone, Debug)]
pub struct App {
    /// Colours.
    pub theme: Theme,
    /// The user's settings.
    pub config: Config,
    /// The shelf of presets and runs.
    pub picker: Picker,
    /// The training on the screen, if one was started.
    pub workbench: Option<Workbench>,
    /// A snapshot that arrived before its run was announced: snapshots and events have separate channels.
    pub early: Option<Arc<Snapshot>>,
    /// The overlay on the screen, if any.
    pub overlay: Option<Overlay>,
    /// The commands typed so far, oldest first.
    pub commands: Vec<String>,
    /// A line for the user, such as a refusal or a note.
    pub message: Option<String>,
    /// Whether a run is starting.
    pub starting: bool,
    /// Whether to offer more epochs if the run that was opened turns out to be over.
    pub offers: bool,
    /// Where to go once the run on the screen is saved; set while it ends.
    pub leaving: Option<Leave>,
    /// Whether the run belongs to another process, which continues when the user leaves.
    pub attached: bool,
    /// The user's own image, to open with the model that is starting.
    pub opening: Option<PathBuf>,
    /// The runs to compare with the one that is starting.
    pub comparing: Vec<PathBuf>,
    /// The area of the newest frame, which decides how far can be scrolled.
    pub screen: Rect,
    /// The directory that files are named from.
    pub here: PathBuf,
    /// The user's home, `~`.
    pub home: PathBuf,
}

/// Where an action applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    /// Choosing a model, a preset or a run.
    Picker,
    /// Choosing a run in the table of all runs.
    Table,
    /// Watching a training, with the focus on its pictures.
    Workbench,
    /// Watching a training, with the focus on curves.
    Curves,
    /// Looking at a trained model.
    Model,
    /// Looking into one sample of a training.
    Inspector,
    /// Looking into one sample of a trained model.
    ModelInspector,
    /// Drawing on the image that the inspector shows.
    Draw,
    /// Looking at two models or runs side by side.
    Beside,
}

impl Context {
    /// The context, in words.
    pub fn words(self) -> &'static str {
        match self {
            Context::Picker => "the picker",
            Context::Table => "the table of runs",
            Context::Workbench => "the workbench",
            Context::Curves => "the curves",
            Context::Model => "an open model",
            Context::Inspector => "the inspector",
            Context::ModelInspector => "a model's inspector",
            Context::Draw => "a drawing",
            Context::Beside => "two models side by side",
        }
    }
}

/// Where to go when the run on the screen is saved.
#[derive(Clone, Debug, PartialEq)]
pub enum Leave {
    /// Back to the shell.
    Program,
    /// Back to the shell, while the run continues without a screen.
    Detach,
    /// To the list.
    Runs,
    /// To the list, while the run continues in the background.
    DetachToRuns,
    /// To a new run from the state of this checkpoint or run, with these settings.
    Fork(PathBuf, Vec<String>),
    /// To a new run from the initial weights of this one, with these settings.
    Restart(Vec<String>),
}

/// The shelf.
#[derive(Clone, Debug, Default)]
pub struct Picker {
    /// Models, then presets, then past runs.
    pub entries: Vec<Entry>,
    /// The chosen one.
    pub selected: usize,
    /// The entry that was clicked last; a second click opens it.
    pub clicked: Option<usize>,
    /// The sample of its data that is shown.
    pub sample: u64,
    /// The newest preview.
    pub preview: Option<Previewed>,
    /// Whether there may be more runs to find.
    pub reading: bool,
    /// Whether the runs are being read again.
    pub rereading: bool,
    /// The run to choose as soon as it is found.
    pub wanted: Option<PathBuf>,
    /// The run that is about to continue in the background.
    pub detaching: Option<PathBuf>,
    /// Only entries with these words are listed.
    pub filter: String,
    /// The table of runs, if it is shown instead of the list.
    pub table: Option<RunTable>,
    /// What was read of the run that was chosen last.
    pub details: Option<(PathBuf, RunDetails)>,
    /// How long presets take on devices, in seconds; `None` for the latest, if that could not be found out.
    pub seconds: Vec<(Preset, String, Option<f64>)>,
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
    /// Resuming this run.
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

/// A sample of the data of a preset.
#[derive(Clone, Debug)]
pub struct Previewed {
    /// The preset.
    pub preset: Preset,
    /// Which sample.
    pub sample: u64,
    /// Its pictures.
    pub preview: Preview,
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
            offers: false,
            leaving: None,
            attached: false,
            opening: None,
            comparing: Vec::new(),
            screen: Rect::new(0, 0, 80, 24),
            here: PathBuf::new(),
            home: PathBuf::new(),
        }
    }

    /// Applies the user's config, or says what is wrong with it.
    pub fn configure(&mut self, config: Result<Config>) {
        match config {
            Ok(config) => {
                self.theme.scheme = config.theme;
                self.config = config;
            }
            Err(error) => self.message = Some(error.to_string()),
        }
    }

    /// Whether the user seems to be new: no run yet, and the default config.
    pub fn is_new(&self) -> bool {
        let any_run = self.picker.entries.iter().any(|entry| matches!(entry, Entry::Run(_)));
        !any_run && !self.picker.reading && self.config == Config::default()
    }

    /// Whether the run on the screen is training or paused.
    pub fn is_running(&self) -> bool {
        self.workbench.as_ref().is_some_and(Workbench::is_running)
    }

    /// The full path of a file that was typed.
    pub fn located(&self, file: &Path) -> PathBuf {
        self.here.join(self.at_home(file))
    }

    /// A file that was typed, in the user's home where it begins with `~`.
    pub fn at_home(&self, file: &Path) -> PathBuf {
        file.strip_prefix("~").map_or_else(|_| file.to_owned(), |file| self.home.join(file))
    }

    /// Whether the run's log is open and follows its newest lines.
    pub fn follows_log(&self) -> bool {
        matches!(&self.overlay, Some(Overlay::Log(log)) if log.below == 0)
    }

    /// Whether the list is on the screen, and filled.
    pub fn shows_runs(&self) -> bool {
        self.workbench.is_none() && !self.starting && !self.picker.entries.is_empty()
    }

    /// Whether the run in this directory is on the screen.
    pub fn shows(&self, run: &Path) -> bool {
        self.workbench.as_ref().is_some_and(|workbench| workbench.info.directory == run)
    }

    /// Whether the inspector has asked for a picture that has not arrived.
    pub fn awaits_picture(&self) -> bool {
        let inspector = self.workbench.as_ref().and_then(|workbench| workbench.inspector.as_ref());
        inspector.is_some_and(|inspector| inspector.waits)
    }

    /// Whether EM steps are being played.
    pub fn is_playing(&self) -> bool {
        self.workbench.as_ref().is_some_and(|workbench| {
            let past =
                workbench.album.as_ref().is_some_and(|album| album.playing && album.moment().is_some());
            past || workbench.playing && workbench.shown().is_some()
        })
    }

    /// The context, which decides the actions that apply.
    pub fn context(&self) -> Context {
        match &self.workbench {
            None if self.picker.table.is_some() => Context::Table,
            None => Context::Picker,
            Some(Workbench { beside: Some(_), .. }) => Context::Beside,
            Some(Workbench { inspector: Some(Inspector { drawing: Some(_), .. }), .. }) => Context::Draw,
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
