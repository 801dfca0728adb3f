//! Reproducing the results: train the runs that the experiments need, score them, and write the document. What is
//! already there is resumed or kept, so that the work can be done in pieces.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::archived::{self, ArchivedRun};
use super::experiments::{Section, TestConditions};
use super::figures::figures;
use super::runs::{FailedRun, ScoredRun, TrainedRun, run_name};
use super::tables::Results;
use crate::backend::Compute;
use crate::data::{self, Split};
use crate::error::{Error, Result};
use crate::files::{remove_temporary, write_atomic};
use crate::live::begin::{self, Ending, Job};
use crate::paths::shown;
use crate::precision::Precision;
use crate::preset::{Difference, Preset};
use crate::protocol::{Finish, RunHandle};
use crate::run::begun;
use crate::run::checkpoints;
use crate::run::directory;
use crate::run::lock::Lock;
use crate::run::score::{Scoring, score};
use crate::stop::Stop;
use crate::sweep::trials::Trial;

/// Samples that an unfinished run is scored on; its scores only say how far it is.
const GLANCE: usize = 1000;
/// Less time than this is not worth starting a training for.
const SHORTEST: Duration = Duration::from_secs(1);

/// What to reproduce, and how.
pub struct Reproduction<'a> {
    /// Sections of the paper's results.
    pub sections: Vec<Section>,
    /// Number of seeds to train each preset with; seed 1 of every preset comes first.
    pub seeds: u64,
    /// Where runs, scores, tables and figures are.
    pub out: PathBuf,
    /// Total time to train, shared equally by the unfinished runs; unlimited if not given.
    pub budget: Option<Duration>,
    /// Samples to score on; if not given, all of the test split, or the first thousand for an unfinished run.
    pub samples: Option<usize>,
    /// Maximum number of iterations of each run.
    pub max_iterations: Option<u64>,
    /// Where to compute; the precision is that of the training only.
    pub compute: Compute,
    /// The user's changes to the preset, if any.
    pub settings: Option<Settings<'a>>,
    /// Ends the work. What is done is kept.
    pub stop: Stop,
}

/// Applies the user's settings to a preset.
pub type Settings<'a> = &'a dyn Fn(&Preset) -> Result<Preset>;

/// Shows the progress of the work.
pub trait Progress {
    /// Follows a training until it ends, and stops it at the deadline, or when the user asks the work to end.
    ///
    /// # Errors
    /// The training's error.
    fn follow(&mut self, run: RunHandle, deadline: Option<Instant>) -> Result<Finish>;

    /// Begins the scoring of `what`. The result is called with the samples done, and with all samples.
    fn scoring(&mut self, what: &str) -> Box<dyn Fn(usize, usize) + Sync>;

    /// Reports a sentence.
    fn note(&mut self, sentence: &str);
}

/// What was reproduced.
pub struct Reproduced {
    /// The tables, and the runs that failed.
    pub results: Results,
    /// The document, `results.md`.
    pub markdown: String,
}

/// A run that an experiment needs.
struct WantedRun {
    preset: &'static str,
    /// The preset with the user's settings.
    settings: Preset,
    seed: u64,
    /// The name of its directory.
    name: String,
    path: PathBuf,
}

impl WantedRun {
    /// Whether there is a checkpoint to resume from.
    fn is_begun(&self) -> Result<bool> {
        checkpoints::is_resumable(&self.path)
    }

    fn failed(&self, why: &Error) -> FailedRun {
        FailedRun { preset: self.preset.to_owned(), seed: self.seed, why: why.to_string() }
    }
}

impl Reproduction<'_> {
    /// Trains, scores, and writes tables and figures. A failed run does not stop the others; the results list it. A run
    /// that another process trains is left to it.
    ///
    /// # Errors
    /// [`Error::Stopped`]; settings that differ from a run's own, damaged scores, or a directory that cannot be written
    /// or in which another process does the same.
    pub fn run(&self, progress: &mut dyn Progress) -> Result<Reproduced> {
        std::fs::create_dir_all(&self.out).map_err(Error::io("create", &self.out))?;
        let _lock = Lock::take(&self.out, "is reproducing results in this directory")?;
        let runs = self.wanted()?;
        runs.iter().try_for_each(|run| self.check_settings(run))?;
        let scores = self.out.join("scores");
        std::fs::create_dir_all(&scores).map_err(Error::io("create", &scores))?;
        remove_temporary(&self.out);
        remove_temporary(&scores);
        let mut failures = Vec::new();
        self.train_all(&runs, &mut failures, progress)?;
        for run in runs.iter().filter(|run| run.is_begun().unwrap_or(false)) {
            let scored = self.score(run, &scores, progress);
            self.stop.check()?;
            let is_known = failures.iter().any(|f| (f.preset.as_str(), f.seed) == (run.preset, run.seed));
            // The cause of a failed training usually prevents scoring too.
            if let (Err(e), false) = (scored, is_known) {
                failures.push(run.failed(&e));
            }
        }
        let (archived, unread) = ArchivedRun::read_all(&self.out.join("runs"))?;
        let has_failed =
            |run: &&WantedRun| failures.iter().any(|f| (f.preset.as_str(), f.seed) == (run.preset, run.seed));
        let known: Vec<&str> = runs.iter().filter(has_failed).map(|run| run.name.as_str()).collect();
        failures.extend(unread.into_iter().filter(|run| !known.contains(&run.preset.as_str())));
        let mut scored = ScoredRun::read_all(&scores)?;
        ArchivedRun::update_changes(&mut scored, &archived);
        self.write(&scored, &archived, &failures)
    }

    /// The directory of the runs.
    pub fn runs(&self) -> PathBuf {
        self.out.join("runs")
    }

    /// The runs that the sections need as trials of a sweep in [`Reproduction::runs`], except for archived ones. `sets`
    /// gives the user's settings of a preset, as `--set` has them.
    ///
    /// # Errors
    /// Settings that differ from a run's own.
    pub fn trials(&self, sets: impl Fn(&Preset) -> Result<Vec<String>>) -> Result<Vec<Trial>> {
        let runs = self.wanted()?;
        let trained = runs.iter().filter(|run| !directory::is_archived(&run.path));
        let trial = |run: &WantedRun| {
            self.check_settings(run)?;
            Ok(Trial {
                trial: 0,
                run: run.name.clone(),
                preset: run.preset.to_owned(),
                seed: run.seed,
                set: sets(&run.settings)?,
                max_iterations: self.max_iterations,
            })
        };
        trained.map(trial).collect()
    }

    /// The runs that the sections need, seed by seed.
    fn wanted(&self) -> Result<Vec<WantedRun>> {
        let mut presets: Vec<(&'static str, Preset)> = Vec::new();
        for experiment in self.sections.iter().copied().flat_map(Section::experiments) {
            if !presets.iter().any(|(name, _)| *name == experiment.preset) {
                presets.push((experiment.preset, self.with_settings(&Preset::load(experiment.preset)?)?));
            }
        }
        let run = |(preset, settings): &(&'static str, Preset), seed| {
            let synthetic = data::resolved(&settings.data)?.is_synthetic();
            let name = run_name(preset, seed, synthetic);
            Ok(WantedRun { preset, settings: settings.clone(), seed, path: self.runs().join(&name), name })
        };
        (1..=self.seeds).flat_map(|seed| presets.iter().map(move |preset| run(preset, seed))).collect()
    }

    fn with_settings(&self, preset: &Preset) -> Result<Preset> {
        self.settings.map_or_else(|| Ok(preset.clone()), |settings| settings(preset))
    }

    /// Refuses settings that differ from those a run was begun with: it keeps its own, so they would have no effect.
    fn check_settings(&self, run: &WantedRun) -> Result<()> {
        // What cannot be read makes the run itself fail later.
        if self.settings.is_none() || !run.is_begun().unwrap_or(false) {
            return Ok(());
        }
        let Ok(begun) = directory::preset(&run.path) else { return Ok(()) };
        let changes = begun::changed_settings(&begun, &self.with_settings(&begun)?)?;
        if changes.is_empty() {
            return Ok(());
        }
        Err(Error::Usage(format!(
            "{} was begun with other settings than --set or --mnist now ask for ({}); leave these out to continue it, \
             or start over in another --out",
            shown(&run.path),
            changes.iter().map(Difference::to_string).collect::<Vec<_>>().join(", ")
        )))
    }

    /// Trains the runs that are not finished, one seed after the other, until the budget is spent.
    ///
    /// # Errors
    /// [`Error::Stopped`].
    fn train_all(
        &self,
        runs: &[WantedRun],
        failures: &mut Vec<FailedRun>,
        progress: &mut dyn Progress,
    ) -> Result<()> {
        let end = self.budget.map(|budget| Instant::now() + budget);
        let left = || end.map(|end| end.saturating_duration_since(Instant::now()));
        for seed in 1..=self.seeds {
            let mut due: Vec<&WantedRun> = runs.iter().filter(|run| run.seed == seed).collect();
            // The unused part of a run's share goes to the others, if necessary in another round.
            while !due.is_empty() {
                let mut again = Vec::new();
                for (i, run) in due.iter().enumerate() {
                    let share = left().map(|left| left / (due.len() - i) as u32);
                    if share.is_some_and(|share| share < SHORTEST) {
                        return Ok(());
                    }
                    let deadline = share.map(|share| Instant::now() + share);
                    let trained = self.train(run, deadline, progress);
                    self.stop.check()?;
                    match trained {
                        // By somebody who is attached to it.
                        Ok(Finish::Stopped) if deadline.is_none_or(|deadline| Instant::now() < deadline) => {
                            return Err(Error::Stopped);
                        }
                        Ok(Finish::Stopped) => again.push(*run),
                        Ok(_) => {}
                        Err(e @ Error::InUse { .. }) => progress.note(&format!("{e}; it is left out here")),
                        Err(e) => failures.push(run.failed(&e)),
                    }
                }
                due = again;
            }
        }
        Ok(())
    }

    /// Trains one run, from its start or from its last checkpoint.
    fn train(
        &self,
        run: &WantedRun,
        deadline: Option<Instant>,
        progress: &mut dyn Progress,
    ) -> Result<Finish> {
        let ending = Ending { max_iterations: self.max_iterations, ..Ending::default() };
        let handle = if run.is_begun()? {
            let before = TrainedRun::read(&run.path)?;
            if before.finished {
                return Ok(Finish::EarlyStop);
            }
            if self.max_iterations.is_some_and(|most| before.iterations >= most) {
                return Ok(Finish::MaxIterations);
            }
            begin::resume(&run.path, self.compute, |preset| Ok(preset.clone()), ending)?
        } else {
            if directory::is_archived(&run.path) {
                let scores = ScoredRun::read_all(&self.out.join("scores"))?;
                let mut of_run = scores.iter().map(|scored| &scored.training);
                if of_run.any(|of| of.finished && of.name() == run.name) {
                    return Ok(Finish::EarlyStop);
                }
                return Err(Error::content(
                    &run.path,
                    "this run is archived without a checkpoint to resume from; train it in another --out",
                ));
            }
            if run.path.join("run.json").is_file() {
                let path = shown(&run.path);
                progress.note(&format!("{path} was cut off before its first checkpoint and starts over"));
                begin::resume(&run.path, self.compute, |preset| Ok(preset.clone()), ending)?
            } else {
                let job = Job::new(run.settings.clone(), run.seed, self.compute);
                begin::start(&Job { out: Some(run.path.clone()), ending, ..job })?
            }
        };
        progress.follow(handle, deadline)
    }

    /// Scores a run in every test that the experiments have for it, except where that was done before.
    fn score(&self, run: &WantedRun, scores: &Path, progress: &mut dyn Progress) -> Result<()> {
        let device = self.compute.open()?;
        let training = TrainedRun::read(&run.path)?;
        let best = directory::checkpoint_or_best(&run.path)?;
        let mut tests: Vec<&'static TestConditions> = Vec::new();
        let experiments = self.sections.iter().copied().flat_map(Section::experiments);
        for experiment in experiments.filter(|experiment| experiment.preset == run.preset) {
            if !tests.contains(&experiment.test) {
                tests.push(experiment.test);
            }
        }
        for test in tests {
            let file = scores.join(ScoredRun::file_name(&training, test));
            let samples = self.samples.unwrap_or(match training.finished {
                true => best.preset.train.test_size,
                false => GLANCE.min(best.preset.train.test_size),
            });
            let is_done = ScoredRun::read(&file)?.is_some_and(|scored| {
                scored.training == training
                    && scored.report.iteration == best.manifest.counters.iteration
                    && scored.report.samples == samples
                    && scored.report.subsets.iter().all(|subset| subset.floor.is_some())
            });
            if is_done {
                continue;
            }
            let scoring = Scoring {
                sets: test.sets.iter().map(|set| (*set).to_owned()).collect(),
                // The digits it was trained on, even if this machine has others.
                digits: best.preset.data.digits().cloned(),
                split: Split::Test,
                samples: Some(samples),
                precision: Precision::F32,
                stop: self.stop.clone(),
            };
            let show = progress.scoring(&format!("{}, {}", run.name, test.name));
            let mut report = score(&run.path, &scoring, &device, &show)?;
            // Relative to the directory, so that it can be moved.
            if let Ok(within) = report.checkpoint.strip_prefix(&self.out) {
                report.checkpoint = within.to_owned();
            }
            let scored = ScoredRun { training: training.clone(), test: test.name.into(), report };
            scored.write(scores, test)?;
        }
        Ok(())
    }

    /// Writes the document, its figures, and the tables as JSON.
    fn write(
        &self,
        scored: &[ScoredRun],
        archived: &[ArchivedRun],
        failures: &[FailedRun],
    ) -> Result<Reproduced> {
        let results = Results::new(&self.sections, self.seeds, scored, failures);
        let figures = figures(scored, archived)?;
        for figure in &figures {
            write_atomic(&self.out.join(figure.file), figure.svg.as_bytes())?;
        }
        let markdown = results.markdown(archived::reading(&self.out)?.as_deref(), &figures, archived);
        write_atomic(&self.out.join("results.md"), markdown.as_bytes())?;
        let file = self.out.join("results.json");
        let mut json =
            serde_json::to_vec_pretty(&results).map_err(|e| Error::content(&file, e.to_string()))?;
        json.push(b'\n');
        write_atomic(&file, &json)?;
        Ok(Reproduced { results, markdown })
    }
}
