//! What the training thread and its user say to each other: plain data, no tensor, no terminal.
//!
//! ```text
//!            Command (unbounded; taken between two iterations)
//!   user  ───────────────────────────────────────────────▶  worker thread
//!         ◀───────────────────────────────────────────────
//!            Event    (bounded; arrives; the worker keeps what does not fit and goes on)
//!            Snapshot (newest wins; older ones are never seen)
//! ```
//!
//! The user holds a [`RunHandle`]. Dropping it tells the worker to save and stop. When the worker
//! ends, for whatever reason, its last event is [`Event::Finished`] and the channel closes.
//!
//! Viewers in other processes say and hear the same over a socket; the handle of one that is attached so
//! does no more than disconnect when it is dropped.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::thread::JoinHandle;

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};

use crate::error::{Error, Result};
use crate::preset::{ImageSize, Preset, Setting, Stage};

/// How many events may wait for the user; more are kept back by the worker.
pub const EVENT_CAPACITY: usize = 256;

/// How many samples of the validation split, from its first, are watched: shown in a training, and scored one by
/// one at every validation.
pub const WATCHED: usize = 64;

/// How many of the watched samples, from the first, are kept in a run's album.
pub const ALBUM_SAMPLES: usize = 8;

/// What the user asks of a running training. Taken between two iterations, in order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Command {
    /// Stop after the iteration in progress, until `Resume` or `Step`.
    Pause,
    /// Go on.
    Resume,
    /// One iteration, then pause.
    Step,
    /// Write a checkpoint now.
    Checkpoint,
    /// Change a value for the iterations to come.
    Set(Setting),
    /// Show this validation sample in the snapshots to come, to everybody who looks.
    Watch(usize),
    /// Take the snapshots to come under these conditions in the place of the training's; with none, under its own.
    Look(Vec<Setting>),
    /// Show this image in the place of the validation samples, or with none the samples again, as `Watch` does.
    Input(Option<Input>),
    /// Take a snapshot now: somebody has begun to look.
    Show,
    /// Time every iteration part by part, or no longer.
    Profile(bool),
    /// Save, then end the run.
    Stop,
}

/// An image of the user's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// A PNG, a GIF or an .npy file; by its whole path, because who reads it may be in another directory.
    #[serde(serialize_with = "as_text")]
    pub file: PathBuf,
    /// Whether to fit it in, where its size is not the model's.
    pub resize: bool,
    /// Counts the requests of a user: the same file may hold another image by now.
    pub request: u64,
}

/// What the user must not miss.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// The run exists, and this is how it stands. Always the first event; a viewer that could not keep up
    /// gets it again, in the place of what it missed.
    Started(Box<RunInfo>),
    /// Iterations done, oldest first. Several arrive at once when the user is slower than the
    /// training.
    Iterations(Vec<Iteration>),
    /// An epoch ended and was validated.
    Epoch(Epoch),
    /// What that validation found beside means.
    WatchedScores(Watched),
    /// A live change took effect.
    Changed(Change),
    /// The next stage of a training in stages began.
    Stage(StageStart),
    /// The floor of what is trained from now on, after a change of K, of the objects or of the steps.
    Floor(Floor),
    /// A live change, or a checkpoint, was refused or failed; the training goes on. A sentence.
    Refused(String),
    /// An image was asked for whose size is not the model's, but this width and height; it is shown when it is asked for
    /// with `resize`.
    WrongSize {
        /// The image.
        input: Input,
        /// Its width and height.
        size: [usize; 2],
    },
    /// The training pauses, or goes on.
    Paused(bool),
    /// From now on snapshots show this validation sample.
    Watched(usize),
    /// A checkpoint is on the disk.
    Saved {
        /// The iteration it holds.
        iteration: u64,
        /// Whether its validation loss is the best so far.
        best: bool,
    },
    /// The training is over and saved; the worker stays to show pictures until told to stop.
    Done(Finish),
    /// The run ended; nothing follows.
    Finished(Finish),
}

/// A run, as its user knows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunInfo {
    /// Its directory.
    #[serde(serialize_with = "as_text")]
    pub directory: PathBuf,
    /// The preset in force, with every change so far.
    pub preset: Preset,
    /// Everything random follows from it.
    pub seed: u64,
    /// The device's name, for people.
    pub device: String,
    /// The iteration it starts after: 0, or where it was resumed.
    pub iteration: u64,
    /// Weights of the network, counted.
    pub parameters: usize,
    /// The best position-only AMI (max) and ARI on the validation split: what a model that learned
    /// nothing can score.
    pub floor: Floor,
    /// Iterations and epochs of the run before it was resumed, to draw the curves whole.
    pub past: Past,
}

/// Writes a path as text, also one that is none: whoever reads it knows the run by a path of its own.
fn as_text<S: serde::Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}

/// The metrics that a resumed run brings along, or one that was attached to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Past {
    /// As many of the latest iterations as were kept, 20 000 at least.
    pub iterations: Vec<Iteration>,
    /// All epochs.
    pub epochs: Vec<Epoch>,
    /// All live changes.
    pub changes: Vec<Change>,
    /// The beginnings of all later stages.
    pub stages: Vec<StageStart>,
}

/// Iterations that curves begin with.
const KEPT_ITERATIONS: usize = 20_000;

impl Past {
    /// Takes in an iteration. Of very many only the latest are kept.
    pub fn add_iteration(&mut self, iteration: Iteration) {
        // Twice as many, so that they are moved only once in a long while.
        if self.iterations.len() >= 2 * KEPT_ITERATIONS {
            self.iterations.drain(..KEPT_ITERATIONS);
        }
        self.iterations.push(iteration);
    }
}

/// Scores of the best fixed split of the image into K regions, which has seen no image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Floor {
    /// Mean AMI, normalised by the larger entropy.
    pub ami: f64,
    /// Mean ARI of the best split by ARI.
    pub ari: f64,
}

/// One training iteration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Iteration {
    /// Counted from 1.
    pub iteration: u64,
    /// The epoch it belongs to, from 1.
    pub epoch: u64,
    /// The training loss: step-weighted, noisy input, mean over the batch.
    pub loss: f64,
    /// Its intra-cluster part, step-weighted.
    pub intra: f64,
    /// Its inter-cluster part, step-weighted, before `inter_weight`.
    pub inter: f64,
    /// Mean AMI (max) of the last step on some images of the batch, every `score_every` iterations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ami: Option<f64>,
    /// Mean ARI of the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ari: Option<f64>,
    /// Euclidean norm of the gradient of all weights, before `train.clip_norm` scales it, as often.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gradient_norm: Option<f64>,
    /// Wall time of the iteration. The only field that differs between two equal runs.
    pub seconds: f64,
    /// Where it went, where that is measured; not kept with the metrics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<Profile>,
}

/// The precision of matrix products and convolutions. In bfloat16 they read and write it, and so do the layers between
/// them, biases included. Weights, Adam's moments, gradients that are added up, statistics of layer norm, the recurrent
/// state, sigmoids, the E-step and the losses are 32-bit floats all the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32-bit floats.
    #[default]
    F32,
    /// bfloat16, which keeps 8 of their 24 bits; on libtorch's devices alone.
    Bf16,
}

/// The precision as the user asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PrecisionName {
    /// bfloat16 where the hardware multiplies it faster than 32-bit floats, else those.
    Auto,
    /// 32-bit floats.
    F32,
    /// bfloat16.
    Bf16,
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Precision::F32 => "f32",
            Precision::Bf16 => "bf16",
        })
    }
}

impl FromStr for PrecisionName {
    type Err = Error;

    fn from_str(text: &str) -> Result<PrecisionName> {
        match text {
            "auto" => Ok(PrecisionName::Auto),
            "f32" => Ok(PrecisionName::F32),
            "bf16" => Ok(PrecisionName::Bf16),
            _ => Err(Error::Usage(format!("there is no precision {text:?}; choose f32, bf16 or auto"))),
        }
    }
}

/// Where an iteration's time went, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// Waiting for the batch, and moving it to the device.
    pub data: f64,
    /// Masked deltas, E-step and losses.
    pub em: f64,
    /// From the masked deltas to θ.
    pub encoder: f64,
    /// From θ to ψ.
    pub decoder: f64,
    /// Backward through all of these.
    pub backward: f64,
    /// Adam.
    pub optimizer: f64,
    /// Scores of the training batch, when it is their turn.
    pub scores: f64,
}

impl Profile {
    /// The means of some; `None` where there are none.
    pub fn mean<'a>(of: impl ExactSizeIterator<Item = &'a Profile> + Clone) -> Option<Profile> {
        let mean = |part: fn(&Profile) -> f64| of.clone().map(part).sum::<f64>() / of.len() as f64;
        (of.len() > 0).then(|| Profile {
            data: mean(|p| p.data),
            em: mean(|p| p.em),
            encoder: mean(|p| p.encoder),
            decoder: mean(|p| p.decoder),
            backward: mean(|p| p.backward),
            optimizer: mean(|p| p.optimizer),
            scores: mean(|p| p.scores),
        })
    }

    /// The parts with their names, in the order of an iteration.
    pub fn parts(&self) -> [(&'static str, f64); 7] {
        [
            ("data", self.data),
            ("E-step and losses", self.em),
            ("encoder", self.encoder),
            ("decoder", self.decoder),
            ("backward", self.backward),
            ("optimizer", self.optimizer),
            ("scores", self.scores),
        ]
    }
}

/// The validation at an epoch's end. Scores are of the last EM step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// Counted from 1.
    pub epoch: u64,
    /// Iterations done so far.
    pub iteration: u64,
    /// Mean training loss of the epoch.
    pub train_loss: f64,
    /// Validation loss, by which training stops early.
    pub validation_loss: f64,
    /// Mean AMI, normalised by the larger entropy.
    pub ami: f64,
    /// Mean AMI, normalised by the arithmetic mean of the entropies.
    pub ami_arithmetic: f64,
    /// Mean ARI.
    pub ari: f64,
    /// Mean of the largest gamma.
    pub confidence: f64,
    /// NLL of max_k ψ, weighted over steps like the loss (§4.2's upper bound); `None` in metrics from before it was
    /// kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upper_bound: Option<f64>,
    /// Whether the validation loss is the best so far.
    pub best: bool,
    /// Wall time of the epoch, validation included.
    pub seconds: f64,
}

/// What a validation found of single samples and of single components, in the last EM step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Watched {
    /// The AMI (max) of each watched sample; `None` where its frame has no group.
    pub amis: Vec<Option<f64>>,
    /// The share of all objects' pixels that each component holds: where its γ is the largest.
    pub held: Vec<f64>,
}

/// A live change, as it took effect.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// The first iteration that ran with it.
    pub iteration: u64,
    /// The value before.
    pub from: Setting,
    /// The value after.
    pub to: Setting,
}

/// The beginning of a later stage of a training in stages.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StageStart {
    /// Which, counted from 1; so this is 2 or more.
    pub stage: usize,
    /// Its first iteration.
    pub iteration: u64,
    /// What is other in it.
    pub what: Stage,
}

/// Why a run ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Finish {
    /// `patience` epochs brought no better validation loss.
    EarlyStop,
    /// All epochs asked for are done.
    MaxEpochs,
    /// All iterations asked for are done.
    MaxIterations,
    /// The user stopped it.
    Stopped,
    /// Nothing was trained: a model was on show.
    Shown,
    /// It failed, as the sentence says.
    Failed(String),
}

/// One watched validation sample, or an image of the user's own, unrolled with the weights of one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Iterations done when it was taken.
    pub iteration: u64,
    /// Index into the validation split.
    pub sample: usize,
    /// What is shown in the place of that sample.
    pub input: Option<Input>,
    /// C, H and W.
    pub image: ImageSize,
    /// K.
    pub k: usize,
    /// The conditions that it was taken under in the place of the training's.
    pub look: Vec<Setting>,
    /// One entry for each EM step, T of them.
    pub steps: Vec<SnapshotStep>,
}

/// What one EM step saw and made. Images are channels first, then rows, then columns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SnapshotStep {
    /// Clean target frame x, M values.
    pub target: Vec<f32>,
    /// Noisy input frame x̃, M values.
    pub noisy: Vec<f32>,
    /// True object of each pixel, P values; 0 is background or overlap.
    pub groups: Vec<u8>,
    /// ψ, K·M values.
    pub preds: Vec<f32>,
    /// γ, K·P values.
    pub gamma: Vec<f32>,
    /// AMI (max) of this step; `None` where no pixel has a group.
    pub ami: Option<f64>,
    /// ARI of this step.
    pub ari: Option<f64>,
    /// Mean of the largest gamma over scored pixels.
    pub confidence: Option<f64>,
}

/// The user's end of a running training. Dropping it makes the worker save and stop, and waits for
/// that; dropping that of an attached viewer disconnects it, and the run goes on.
#[derive(Debug)]
pub struct RunHandle {
    /// To the worker.
    pub commands: mpsc::UnboundedSender<Command>,
    /// From the worker; closes after [`Event::Finished`].
    pub events: mpsc::Receiver<Event>,
    /// From the worker: the newest picture.
    pub snapshots: watch::Receiver<Option<Arc<Snapshot>>>,
    /// The worker, or the bridge to one in another process.
    thread: Option<JoinHandle<()>>,
    is_attached: bool,
}

impl RunHandle {
    /// The user's ends of the channels, and the worker's thread.
    pub fn new(
        commands: mpsc::UnboundedSender<Command>,
        events: mpsc::Receiver<Event>,
        snapshots: watch::Receiver<Option<Arc<Snapshot>>>,
        thread: JoinHandle<()>,
    ) -> RunHandle {
        RunHandle { commands, events, snapshots, thread: Some(thread), is_attached: false }
    }

    /// The same of a run in another process, bridged by a thread that ends when the commands' channel
    /// closes.
    pub fn attached(
        commands: mpsc::UnboundedSender<Command>,
        events: mpsc::Receiver<Event>,
        snapshots: watch::Receiver<Option<Arc<Snapshot>>>,
        bridge: JoinHandle<()>,
    ) -> RunHandle {
        let mut handle = RunHandle::new(commands, events, snapshots, bridge);
        handle.is_attached = true;
        handle
    }
}

impl Drop for RunHandle {
    /// Also runs while a panic unwinds, so that a run outlives a failing screen.
    fn drop(&mut self) {
        // A worker that still has events to deliver must not wait for a reader that is gone.
        self.events.close();
        if self.is_attached {
            // Closes the channel; what was sent through it is still delivered.
            self.commands = mpsc::unbounded_channel().0;
        } else {
            let _ = self.commands.send(Command::Stop);
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A past run on the picker's shelf.
#[derive(Clone, Debug, PartialEq)]
pub struct RunCard {
    /// Its directory.
    pub directory: PathBuf,
    /// The preset it began with.
    pub preset: Preset,
    /// Everything random follows from it.
    pub seed: u64,
    /// Iterations in its last checkpoint.
    pub iteration: u64,
    /// Its latest validation AMI, if it was ever validated.
    pub ami: Option<f64>,
}

/// A trained model on the picker's shelf.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelCard {
    /// Its name.
    pub name: String,
    /// The preset it was trained with.
    pub preset: Preset,
    /// Iterations it was trained for.
    pub iteration: u64,
    /// The AMI (max) of its last EM step on held-out samples, and the floor there.
    pub ami: Option<(f64, f64)>,
}

/// What the picker offers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shelf {
    /// The trained models to look at.
    pub models: Vec<ModelCard>,
    /// The presets to train.
    pub presets: Vec<Preset>,
    /// The runs found on the disk, newest first.
    pub runs: Vec<RunCard>,
    /// The names of the devices, the one to begin with first.
    pub devices: Vec<String>,
}

/// A run to compare another with.
#[derive(Clone, Debug, PartialEq)]
pub struct Rival {
    /// Its name.
    pub name: String,
    /// The preset it began with.
    pub preset: Preset,
    /// Everything random follows from it.
    pub seed: u64,
    /// What its metrics hold.
    pub past: Past,
}

/// A picture of the data for the picker.
#[derive(Clone, Debug, PartialEq)]
pub struct Preview {
    /// C, H and W.
    pub image: ImageSize,
    /// Clean image, M values.
    pub clean: Vec<f32>,
    /// The same with the preset's noise.
    pub noisy: Vec<f32>,
    /// True object of each pixel, P values.
    pub groups: Vec<u8>,
}

/// What the workbench needs from the rest of the program, so that it never names an engine. What a program cannot do
/// it leaves as it stands here.
pub trait Backstage {
    /// What there is to choose from.
    fn shelf(&self) -> Shelf {
        Shelf::default()
    }
    /// The runs there are by now, newest first.
    fn runs(&self) -> Vec<RunCard> {
        Vec::new()
    }
    /// Sample `index` of a preset's data.
    fn preview(&self, _preset: &Preset, _index: u64) -> Result<Preview> {
        not_here()
    }
    /// Starts a new run of `preset` on one of the devices. Returns at once; failures arrive as events or as an
    /// error.
    fn start(&self, _preset: &Preset, _device: &str) -> Result<RunHandle> {
        not_here()
    }
    /// Opens the model of that name to look at.
    fn open(&self, _model: &str, _device: &str) -> Result<RunHandle> {
        not_here()
    }
    /// Goes on with a past run.
    fn resume(&self, _run: &RunCard, _device: &str) -> Result<RunHandle> {
        not_here()
    }
    /// The checkpoint of the run in this directory that is called so: `best`, `last`, or by its iteration.
    fn checkpoint(&self, _run: &Path, _name: &str) -> Result<PathBuf> {
        not_here()
    }
    /// A new run with the state of a checkpoint, or of another run's last one, and these `--set` changes of its preset.
    fn fork(&self, _from: &Path, _sets: &[String], _device: &str) -> Result<RunHandle> {
        not_here()
    }
    /// A new run with the initial weights of another, and these `--set` changes of its preset in force.
    fn restart(&self, _run: &Path, _sets: &[String], _device: &str) -> Result<RunHandle> {
        not_here()
    }
    /// The iterations that the album of the run in this directory has moments of, in order.
    fn moments(&self, _run: &Path) -> Vec<u64> {
        Vec::new()
    }
    /// A watched sample as it was at one of those iterations.
    fn moment(&self, _run: &Path, _iteration: u64, _sample: usize) -> Result<Snapshot> {
        not_here()
    }
    /// The latest lines of this run's log, the newest last.
    fn log(&self, _run: &Path) -> Result<Vec<String>> {
        not_here()
    }
    /// The metrics of the run in this directory, to lay beside another's.
    fn rival(&self, _run: &Path) -> Result<Rival> {
        not_here()
    }
    /// Writes the curves of the run in this directory to a file that ends in .csv or .svg.
    fn save_curves(&self, _run: &Path, _file: &Path) -> Result<()> {
        not_here()
    }
    /// Lets the run in this directory, which nobody trains any more, go on without a screen, in a process
    /// of its own, and tells the user so. Called when the terminal is itself again.
    fn detach(&self, _run: &Path, _device: &str) -> Result<()> {
        not_here()
    }
}

fn not_here<T>() -> Result<T> {
    Err(Error::Usage("this cannot be done from here; leave, and begin or open a run by nem-tui".into()))
}
