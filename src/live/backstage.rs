//! This program's implementation of [`Backstage`].

use std::cmp::Reverse;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use super::begin::{self, Ending, Job};
use super::detach::detach;
use super::{model, socket, timing};
use crate::backend::{self, Compute};
use crate::data::{Dataset, Split, corrupt};
use crate::error::{Error, Result};
use crate::machine;
use crate::paths::shown;
use crate::precision::Precision;
use crate::preset::Preset;
use crate::protocol::{
    Backstage, Deletion, Epoch, ModelCard, Moment, Preview, RunCard, RunDetails, RunHandle, RunState,
    RunToCompare, Shelf,
};
use crate::random::Stream;
use crate::run::checkpoint::{Checkpoint, EmbeddedModel, MODELS};
use crate::run::checkpoints;
use crate::run::directory::{self, RunFile};
use crate::run::keep::Renamed;
use crate::run::lock::{self, Held};
use crate::run::{album, begun, curves, keep, log, metrics, past, places};
use crate::snapshot::Snapshot;
use crate::stop::Stop;

/// A finished training can still be inspected.
const STAY: Ending = Ending { max_iterations: None, epochs: None, stay: true };

/// How long a preset must stay selected before it is timed.
const PASSED_BY: Duration = Duration::from_millis(400);

/// The number of threads that read runs, so that a run on a slow disk does not delay the list.
const READERS: usize = 4;

/// Starts and reads runs for the workbench.
#[derive(Default)]
pub struct LocalBackstage {
    /// The presets to choose from.
    pub presets: Vec<Preset>,
    /// The seed of new runs and previews.
    pub seed: u64,
    /// The devices to choose from; the first is the default.
    pub devices: Vec<Compute>,
    /// The precision of new runs if none was chosen.
    pub usual: Precision,
    /// Whether new runs write event files for TensorBoard.
    pub tensorboard: bool,
    /// Whether the first device may round to TF32.
    pub tf32: bool,
    /// Where measured times are kept.
    pub cache: Option<PathBuf>,
    /// The data of the latest preview, and its preset.
    pub(crate) previewed: Mutex<Option<(Preset, Arc<Dataset>)>>,
    /// Ends the measurements that were asked for so far.
    pub(crate) measuring: Mutex<Stop>,
}

impl LocalBackstage {
    /// The data of a preset, generated again only if another preset was previewed last.
    fn data(&self, preset: &Preset) -> Result<Arc<Dataset>> {
        let mut previewed = self.previewed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, data)) = previewed.as_ref().filter(|(of, _)| of == preset) {
            return Ok(data.clone());
        }
        // Never keep two data sets in memory.
        *previewed = None;
        let data = Arc::new(Dataset::new(preset, self.seed)?);
        *previewed = Some((preset.clone(), data.clone()));
        Ok(data)
    }

    /// Ends measurements, also one that still waits for its turn, and frees the previewed data, since a run has its own.
    fn make_room(&self) {
        self.measuring.lock().unwrap_or_else(PoisonError::into_inner).request();
        // Do not wait for a preview in progress.
        if let Ok(mut previewed) = self.previewed.try_lock() {
            *previewed = None;
        }
    }
}

impl Backstage for LocalBackstage {
    fn shelf(&self) -> Shelf {
        Shelf {
            models: MODELS.iter().filter_map(|model| model_card(*model).ok()).collect(),
            presets: self.presets.clone(),
            devices: self.devices.iter().map(Compute::to_string).collect(),
        }
    }

    fn runs(&self, found: &(dyn Fn(RunCard) + Sync)) {
        read_each(newest_first(Path::new("")), found);
    }

    fn runs_again(&self, known: &[RunCard], found: &(dyn Fn(RunCard) + Sync)) -> Vec<PathBuf> {
        let all = newest_first(Path::new(""));
        let has_changed = |run: &PathBuf| match known.iter().find(|known| known.directory == *run) {
            // A process that dies changes nothing but its lock.
            Some(known) => {
                let is_used = matches!(known.state, RunState::Running | RunState::Elsewhere(_));
                let parent = || RunFile::read(run).ok().and_then(|file| keep::parent(run, &file));
                is_used
                    || changed(run) != Some(known.changed)
                    || keep::noted(run) != known.noted
                    // That is renamed or removed without a change here.
                    || known.parent.is_some() && parent() != known.parent
            }
            None => true,
        };
        let gone = known.iter().map(|known| &known.directory).filter(|known| !all.contains(known));
        let gone = gone.cloned().collect();
        read_each(all.into_iter().filter(has_changed).collect(), found);
        gone
    }

    fn details(&self, run: &Path) -> Result<RunDetails> {
        let epochs = keep::epochs(run)?;
        let is_loss = epochs.iter().all(|epoch| epoch.ami.is_none());
        let value = |epoch: &Epoch| if is_loss { Some(epoch.validation_loss) } else { epoch.ami };
        let curve = epochs.iter().filter_map(value).collect();
        Ok(RunDetails { curve, is_loss, bytes: keep::size(run) })
    }

    fn deletion(&self, run: &Path) -> Result<Deletion> {
        Ok(Deletion { bytes: keep::size(run), dependents: keep::dependents(run) })
    }

    fn seconds(&self, preset: &Preset, device: &str) -> Option<f64> {
        let cache = self.cache.as_ref()?;
        let compute = device.parse::<Compute>().ok()?.or(self.usual);
        if let Some(known) = timing::known(cache, preset, compute) {
            return Some(known);
        }
        let stop = self.measuring.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // Not for a preset that is only passed by.
        std::thread::sleep(PASSED_BY);
        stop.check().ok()?;
        let is_idle = machine::is_idle();
        let seconds = backend::caught(|| timing::measure(preset, self.seed, compute, &stop)).ok()?;
        // Beside other work it takes longer, so it is measured again another time.
        if is_idle {
            timing::keep(cache, preset, compute, seconds);
        }
        Some(seconds)
    }

    fn hush(&self) {
        let mut measuring = self.measuring.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *measuring).request();
    }

    fn rename(&self, run: &Path, name: &str) -> Result<(PathBuf, String)> {
        let Renamed { directory: to, children, problem } = keep::rename(run, name)?;
        let also = match (children, problem) {
            (_, Some(e)) => format!(", but this is not complete: {e}"),
            (0, None) => String::new(),
            (1, None) => "; the run that began from it knows the new name".to_owned(),
            (n, None) => format!("; the {n} runs that began from it know the new name"),
        };
        let sentence = format!("{} is now {}{also}", shown(run), shown(&to));
        Ok((to, sentence))
    }

    fn remove(&self, run: &Path) -> Result<()> {
        keep::remove(run)
    }

    fn note(&self, run: &Path, text: &str) -> Result<()> {
        keep::write_note(run, text)
    }

    fn preview(&self, preset: &Preset, index: u64) -> Result<Preview> {
        let data = self.data(preset)?;
        let sample = data.sample(Split::Train, index, 1)?;
        let mut noise = Stream::new(self.seed, Split::Train.noise(), 0, index);
        let mut noisy = Vec::new();
        corrupt(preset.noise, &sample.features, &mut noise, &mut noisy);
        Ok(Preview { image: data.image(), clean: sample.features, noisy, groups: sample.groups })
    }

    fn start(&self, preset: &Preset, device: &str) -> Result<RunHandle> {
        self.make_room();
        let compute = device.parse::<Compute>()?.or(self.usual);
        let preset = preset.clone();
        let tensorboard = self.tensorboard;
        begin::start(&Job { tensorboard, ending: STAY, ..Job::new(preset, self.seed, compute) })
    }

    fn open(&self, model: &Path, device: &str) -> Result<RunHandle> {
        self.make_room();
        model::open(model, device.parse::<Compute>()?)
    }

    fn resume(&self, run: &RunCard, device: &str) -> Result<RunHandle> {
        self.make_room();
        let device: Compute = device.parse()?;
        match begin::resume(&run.directory, device, |preset| Ok(preset.clone()), STAY) {
            // Another process has resumed it since it was listed.
            Err(e @ Error::InUse { .. }) => socket::attach(&run.directory).map_err(|_| e),
            resumed => resumed,
        }
    }

    fn attach(&self, run: &RunCard, device: &str) -> Result<RunHandle> {
        self.make_room();
        match socket::attach(&run.directory) {
            Err(_) if lock::state(&run.directory) == Held::Free => self.resume(run, device),
            attached => attached,
        }
    }

    fn checkpoint(&self, run: &Path, name: &str) -> Result<PathBuf> {
        past::named(run, name)
    }

    fn fork(&self, from: &Path, sets: &[String], device: &str) -> Result<RunHandle> {
        let sets = sets.to_vec();
        begin::fork(from, device.parse::<Compute>()?, move |preset| preset.set(&sets), None, Vec::new(), STAY)
    }

    fn restart(&self, run: &Path, sets: &[String], device: &str) -> Result<RunHandle> {
        let begun = RunFile::read(run)?;
        let last = directory::checkpoint_or_last(run)?.preset;
        // Stages set their own values, so with stages the current preset is not the one the run began with.
        let preset = match last.train.stages.is_empty() {
            true => last,
            false => directory::preset(run)?,
        };
        let compute = device.parse::<Compute>()?.or(begun.precision);
        let mut repeated = begun.clone();
        let data = preset.data.clone();
        let job = Job::new(preset.set(sets)?, begun.seed, compute);
        if !job.preset.data.has_files_of(&data) {
            repeated.origin.data = None;
        }
        let tensorboard = self.tensorboard;
        let restarts = Some(run.to_owned());
        begin::start(&Job {
            from: begun.from,
            repeats: Some(repeated),
            restarts,
            tensorboard,
            ending: STAY,
            ..job
        })
    }

    fn moments(&self, run: &Path) -> Vec<Moment> {
        past::moments(run)
    }

    fn moment(&self, run: &Path, iteration: u64, sample: usize) -> Result<Snapshot> {
        album::read(run, iteration, sample)
    }

    fn compared(&self, run: &Path) -> Result<RunToCompare> {
        let seed = RunFile::read(run)?.seed;
        let metrics = metrics::read(run)?;
        let preset = begun::preset_at_end(run, &metrics)?;
        let directory = std::fs::canonicalize(run).unwrap_or_else(|_| run.to_owned());
        Ok(RunToCompare { directory, preset, seed, metrics })
    }

    fn save_curves(&self, run: &Path, file: &Path) -> Result<()> {
        curves::save(run, file)
    }

    fn log(&self, run: &Path) -> Result<Vec<String>> {
        log::latest(run)
    }

    fn detach(&self, run: &Path, device: &str) -> Result<()> {
        // TF32 was allowed for the first device only.
        let compute: Compute = device.parse()?;
        let tf32 = self.tf32 && self.devices.first().is_some_and(|first| first.device == compute.device);
        detach(run, compute, tf32)
    }
}

/// Reads the runs in these directories, and passes each to `found`. Directories that are not runs are left out;
/// `train --resume` says why.
fn read_each(runs: Vec<PathBuf>, found: &(dyn Fn(RunCard) + Sync)) {
    let waiting = Mutex::new(runs.into_iter());
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
    std::thread::scope(|scope| {
        for _ in 0..READERS {
            let read = || std::iter::from_fn(next).filter_map(|run| card(&run).ok()).for_each(found);
            let _ = std::thread::Builder::new().spawn_scoped(scope, read);
        }
    });
}

/// The directories of the runs and trials below `here`, the most recently changed first.
fn newest_first(here: &Path) -> Vec<PathBuf> {
    let found = places::candidates(here).into_iter();
    let mut runs: Vec<_> = found.filter_map(|run| Some((changed(&run)?, run))).collect();
    runs.sort_by_key(|(changed, _)| Reverse(*changed));
    runs.into_iter().map(|(_, run)| run).collect()
}

/// When the metrics of the run in `run` were last written, or what there is of the run.
fn changed(run: &Path) -> Option<SystemTime> {
    let modified = |file| run.join(file).metadata().ok()?.modified().ok();
    ["metrics.jsonl", "run.json", "checkpoints"].into_iter().find_map(modified)
}

fn model_card(model: EmbeddedModel) -> Result<ModelCard> {
    let checkpoint = Checkpoint::glance_at_program(model)?;
    Ok(ModelCard {
        name: model.name.to_owned(),
        preset: checkpoint.preset,
        iteration: checkpoint.manifest.counters.iteration,
        ami: checkpoint.manifest.measured.and_then(|measured| measured.ami_last.zip(measured.floor)),
    })
}

/// Describes the run in `run` for the picker, without reading its weights. A run that failed or is damaged is described
/// with that trouble, as far as it can be read.
///
/// # Errors
/// A directory that is not a run, or of which nothing can be read.
pub fn card(run: &Path) -> Result<RunCard> {
    let begun = RunFile::read(run);
    let (last, damage) = match checkpoints::glance_at_last(run) {
        Ok(Some((last, why))) => (Some(last), why),
        Ok(None) => (None, None),
        Err(e) => (None, Some(e.to_string())),
    };
    let begun = match begun {
        // Nothing says that this is a run.
        Err(e) if last.is_none() && damage.is_none() && !run.join("run.json").exists() => return Err(e),
        begun => begun,
    };
    let state = match lock::state(run) {
        // A run of this process that is ending after it has left the screen counts as stopped.
        Held::Here(holder) if holder.pid != std::process::id() => RunState::Running,
        Held::Elsewhere(holder) => RunState::Elsewhere(holder.to_string()),
        _ if last.as_ref().is_some_and(Checkpoint::is_finished) => RunState::Finished,
        _ => RunState::Stopped,
    };
    let metrics::Latest { iteration: latest, ami, validation_loss, failure } = metrics::latest(run);
    let failed = failure.map(|failure| format!("failed: {}", failure.why));
    // Before the first validation of a stage, the latest AMI belongs to another task.
    let is_of_its_task = last.as_ref().is_none_or(Checkpoint::is_of_its_task);
    let (ami, validation_loss) = (ami.filter(|_| is_of_its_task), validation_loss.filter(|_| is_of_its_task));
    let (iteration, of_last) =
        last.as_ref().map_or((0, 0), |last| (last.manifest.counters.iteration, last.manifest.seed));
    // Iterations after the last checkpoint count only while it trains.
    let trains = matches!(state, RunState::Running | RunState::Elsewhere(_));
    let iteration = if trains { iteration.max(latest) } else { iteration };
    let parent = begun.as_ref().ok().and_then(|file| keep::parent(run, file));
    let unreadable = begun.as_ref().err().map(Error::to_string);
    let (preset, no_preset) = match last.map_or_else(|| directory::preset(run), |last| Ok(last.preset)) {
        Ok(preset) => (preset, None),
        // Only its name is shown.
        Err(e) => (Preset { name: "unreadable".into(), ..Preset::load("quickstart")? }, Some(e.to_string())),
    };
    Ok(RunCard {
        directory: run.to_owned(),
        seed: begun.map_or(of_last, |begun| begun.seed),
        preset,
        iteration,
        ami,
        validation_loss,
        changed: changed(run).unwrap_or(SystemTime::UNIX_EPOCH),
        trouble: unreadable.or(no_preset).or(failed).or(damage),
        state,
        parent,
        note: keep::note(run),
        sweep: places::sweep_of(run),
        noted: keep::noted(run),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::DeviceName;
    use crate::protocol::Event;

    #[test]
    fn previewed_data_is_made_once_for_a_preset() {
        let backstage = LocalBackstage::default();
        let [one, other] = ["quickstart", "static-shapes-nem"].map(|name| Preset::load(name).unwrap());
        let first = backstage.data(&one).unwrap();
        assert!(Arc::ptr_eq(&first, &backstage.data(&one).unwrap()));
        assert!(!Arc::ptr_eq(&first, &backstage.data(&other).unwrap()));
        backstage.make_room();
        assert!(!Arc::ptr_eq(&first, &backstage.data(&one).unwrap()));
        assert_eq!(backstage.preview(&one, 3).unwrap(), backstage.preview(&one, 3).unwrap());
    }

    /// A run that has started would make a measurement wrong, also one that was asked for before.
    #[test]
    fn nothing_is_measured_beside_a_run() {
        let cache = tempfile::tempdir().unwrap();
        let backstage =
            LocalBackstage { cache: Some(cache.path().to_owned()), seed: 1, ..LocalBackstage::default() };
        let sets = ["train.train_size=8", "train.batch=4", "train.validation_size=4", "steps=2"];
        let preset = Preset::load("quickstart").unwrap().set(&sets).unwrap();
        backstage.make_room();
        assert_eq!(backstage.seconds(&preset, "flex"), None);
        backstage.hush();
        assert!(backstage.seconds(&preset, "flex").is_some());
        // Known times are kept only from an idle machine.
        timing::keep(cache.path(), &preset, "flex".parse().unwrap(), 2.0);
        backstage.make_room();
        assert_eq!(backstage.seconds(&preset, "flex"), Some(2.0), "it is known");
    }

    /// Damaged weights are found when the run is opened, not when runs are listed.
    #[test]
    fn a_run_is_listed_without_its_weights() {
        let directory = tempfile::tempdir().unwrap();
        let run = directory.path().join("runs/r");
        let ending = Ending { max_iterations: Some(1), ..Ending::default() };
        let preset = Preset::load("quickstart").unwrap();
        let job = Job { out: Some(run.clone()), ending, ..Job::new(preset, 7, DeviceName::Flex) };
        let mut handle = begin::start(&job).unwrap();
        while !matches!(handle.events.blocking_recv(), Some(Event::Finished(_)) | None) {}
        drop(handle);
        let checkpoint = checkpoints::path_of(&run, "last").unwrap();
        std::fs::write(checkpoint.join("weights.safetensors"), "damaged").unwrap();
        std::fs::create_dir(directory.path().join("runs/.nem-tui-other")).unwrap();
        std::fs::write(directory.path().join("runs/.nem-tui-other/run.json"), "half removed").unwrap();
        let card = card(&run).unwrap();
        assert_eq!((card.seed, card.iteration, newest_first(directory.path())), (7, 1, vec![run]));
        assert!(Checkpoint::open(&checkpoint).is_err());
    }
}
