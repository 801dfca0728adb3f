//! `nem-tui reproduce`.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};

use super::eval::with_bar;
use super::train::{Bar, follow};
use super::{Common, PrecisionArg, digits_set, print, print_json};
use crate::data::{Split, resolved};
use crate::error::{Error, Result};
use crate::files::write_atomic;
use crate::live::begin::{self, Ending, Job};
use crate::paper::archived::{self, Kept};
use crate::paper::experiments::{Part, Test};
use crate::paper::figures::figures;
use crate::paper::tables::{Failure, Results, Scored, Training};
use crate::precision::Precision;
use crate::preset::{Difference, Preset, differences};
use crate::protocol::Finish;
use crate::run::checkpoint::Checkpoint;
use crate::run::directory::{self, RunDir};
use crate::run::score::{Scoring, score};

/// Samples that an unfinished run is scored on, as its scores only say how far it is.
const GLANCE: usize = 1000;
/// Less time than this is not worth the start of a training.
const SHORTEST: Duration = Duration::from_secs(1);

#[derive(Args, Debug)]
pub(super) struct ReproduceArgs {
    /// Which part of the paper's results
    #[arg(value_enum, default_value_t)]
    what: What,
    /// Train no longer than this in all, shared equally by the runs that are due; 0 trains nothing, and
    /// scores what is there [default: until every run has ended]
    #[arg(long, value_name = "MINUTES")]
    budget: Option<f64>,
    /// Runs of every preset; seed 1 of all of them comes first
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// Where runs, scores and tables are kept; what is there already is gone on with
    #[arg(long, value_name = "DIR", default_value = "reproduced")]
    out: PathBuf,
    /// Score on so many samples [default: the whole test split, or the first 1000 for an unfinished run]
    #[arg(long, value_name = "N", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    samples: Option<usize>,
    /// Iterations of each run at most; a run that stops there counts as unfinished
    #[arg(long, value_name = "N")]
    max_iterations: Option<u64>,
    /// The tables as one JSON object in the place of Markdown
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    precision: PrecisionArg,
    #[command(flatten)]
    common: Common,
}

#[derive(ValueEnum, Debug, Clone, Copy, Default, PartialEq, Eq)]
enum What {
    /// N-EM and RNN-EM on static shapes (§4.1)
    Static,
    /// Flying shapes with other numbers of objects and components (Table 1)
    Table1,
    /// Loss bounds with one component and many; sequences longer than trained (Fig. 6)
    Figure6,
    /// Flying digits, directly and in stages (§4.3)
    Mnist,
    /// The same data by recipes of our own, which get further in less time
    Faster,
    /// All of these
    #[default]
    All,
}

impl What {
    fn parts(self) -> Vec<Part> {
        match self {
            What::Static => vec![Part::Static],
            What::Table1 => vec![Part::Table1],
            What::Figure6 => vec![Part::Figure6],
            What::Mnist => vec![Part::Mnist],
            What::Faster => vec![Part::Faster],
            What::All => Part::ALL.to_vec(),
        }
    }
}

/// A run that is wanted.
struct Run {
    preset: &'static str,
    /// What the preset becomes by what was asked.
    settings: Preset,
    seed: u64,
    path: PathBuf,
}

impl Run {
    /// Whether there is something to go on with.
    fn is_begun(&self) -> bool {
        directory::resolve(&self.path, &["last"]).is_ok()
    }

    fn failed(&self, why: &Error) -> Failure {
        Failure { preset: self.preset.to_owned(), seed: self.seed, why: why.to_string() }
    }
}

impl ReproduceArgs {
    pub(super) fn run(self) -> Result<()> {
        if self.budget.is_some_and(|minutes| !(0.0..=1e6).contains(&minutes)) {
            return Err(Error::Usage("--budget takes minutes, 0 or more".into()));
        }
        let parts = self.what.parts();
        let runs = self.runs(&parts)?;
        runs.iter().try_for_each(|run| self.check_settings(run))?;
        // A device that is not there is no run's failure.
        self.precision.compute(&self.common)?;
        let scores = self.out.join("scores");
        std::fs::create_dir_all(&scores).map_err(Error::io("create", &scores))?;
        let mut failures = Vec::new();
        if self.train(&runs, &mut failures) {
            for run in runs.iter().filter(|run| run.is_begun()) {
                let scored = self.score(&parts, run, &scores);
                let told = failures.iter().any(|f| (f.preset.as_str(), f.seed) == (run.preset, run.seed));
                // What keeps a run from being trained mostly keeps it from being scored too.
                if let (Err(e), false) = (scored, told) {
                    failures.push(run.failed(&e));
                }
            }
        }
        let (kept, unread) = Kept::read_all(&self.out.join("runs"))?;
        // A run that failed already has said why.
        let failed: Vec<String> = failures.iter().map(|f| format!("{}-s{}", f.preset, f.seed)).collect();
        failures.extend(unread.into_iter().filter(|run| !failed.contains(&run.preset)));
        let mut scored = Scored::read_all(&scores)?;
        scored.iter_mut().for_each(|scored| scored.training.compare_again(&kept));
        self.tell(&parts, &scored, &kept, &failures)?;
        // A run that failed has kept the others from nothing; it is still a failure.
        match failures.as_slice() {
            [] => Ok(()),
            [failure] => Err(Error::Failed(failure.to_string())),
            [failure, ..] => Err(Error::Failed(format!(
                "{} runs failed, as {} lists; the first is {failure}",
                failures.len(),
                self.out.join("results.md").display()
            ))),
        }
    }

    /// The runs that `parts` need, seed by seed.
    fn runs(&self, parts: &[Part]) -> Result<Vec<Run>> {
        let mut presets: Vec<(&'static str, Preset)> = Vec::new();
        for cell in parts.iter().copied().flat_map(Part::cells) {
            if !presets.iter().any(|(name, _)| *name == cell.preset) {
                let preset = self.common.preset_of_many(cell.preset)?;
                self.common.holds_in(&preset)?;
                presets.push((cell.preset, preset));
            }
        }
        let run = |(preset, settings): &(&'static str, Preset), seed| Run {
            preset,
            settings: settings.clone(),
            seed,
            path: self.out.join("runs").join(format!("{preset}-s{seed}")),
        };
        Ok((1..=self.seeds).flat_map(|seed| presets.iter().map(move |preset| run(preset, seed))).collect())
    }

    /// Refuses settings that a run which is to be gone on with was not begun with: it keeps its own, so they
    /// would be said and not done.
    fn check_settings(&self, run: &Run) -> Result<()> {
        let nothing_asked = self.common.sets.is_empty() && self.common.mnist.is_none();
        if nothing_asked || !run.is_begun() {
            return Ok(());
        }
        // What cannot be read is for the run to fail of.
        let Ok(begun) = Preset::load(&run.path.join("preset.ron").to_string_lossy()) else { return Ok(()) };
        let mut asked = self.common.applied(&begun)?.at_first_stage();
        asked.data = resolved(&asked.data)?;
        let changes = differences(&begun, &asked);
        if changes.is_empty() {
            return Ok(());
        }
        Err(Error::Usage(format!(
            "{} was begun with other settings than --set or --mnist now ask for ({}); leave these out to go on \
             with it, or begin anew in another --out",
            run.path.display(),
            changes.iter().map(Difference::to_string).collect::<Vec<_>>().join(", ")
        )))
    }

    /// Trains the runs that are not finished, those of a seed before those of the next, until the budget
    /// is spent. False after an interrupt.
    fn train(&self, runs: &[Run], failures: &mut Vec<Failure>) -> bool {
        let end = self.budget.map(|minutes| Instant::now() + Duration::from_secs_f64(60.0 * minutes));
        let left = || end.map(|end| end.saturating_duration_since(Instant::now()));
        for seed in 1..=self.seeds {
            let mut due: Vec<&Run> = runs.iter().filter(|run| run.seed == seed).collect();
            // What a run leaves of its share goes to the others, in another round if it must.
            while !due.is_empty() {
                let mut again = Vec::new();
                for (i, run) in due.iter().enumerate() {
                    let share = left().map(|left| left / (due.len() - i) as u32);
                    if share.is_some_and(|share| share < SHORTEST) {
                        return true;
                    }
                    let deadline = share.map(|share| Instant::now() + share);
                    match self.train_one(run, deadline) {
                        Ok(Finish::Stopped) if deadline.is_none_or(|deadline| Instant::now() < deadline) => {
                            return false;
                        }
                        Ok(Finish::Stopped) => again.push(*run),
                        Ok(_) => {}
                        Err(e) => failures.push(run.failed(&e)),
                    }
                }
                due = again;
            }
        }
        true
    }

    /// Trains one run, from its start or from where it was stopped.
    fn train_one(&self, run: &Run, deadline: Option<Instant>) -> Result<Finish> {
        let ending = Ending { max_iterations: self.max_iterations, stay: false };
        let compute = self.precision.compute(&self.common)?;
        let handle = if run.is_begun() {
            let before = Training::of(&run.path)?;
            if before.finished {
                return Ok(Finish::EarlyStop);
            }
            if self.max_iterations.is_some_and(|most| before.iterations >= most) {
                return Ok(Finish::MaxIterations);
            }
            begin::resume(&run.path, compute, |preset| Ok(preset.clone()), ending)?
        } else {
            if directory::is_kept(&run.path) {
                let scores = Scored::read_all(&self.out.join("scores"))?;
                let mut of_run = scores.iter().map(|scored| &scored.training);
                if of_run.any(|of| (of.preset.as_str(), of.seed, of.finished) == (run.preset, run.seed, true))
                {
                    return Ok(Finish::EarlyStop);
                }
                return Err(Error::content(
                    &run.path,
                    "what was kept of this run is no checkpoint to go on from; train in another --out",
                ));
            }
            if run.path.join("run.json").is_file() {
                RunDir::discard(&run.path)?;
                eprintln!("{} was cut off before its first checkpoint and begins anew", run.path.display());
            }
            let job = Job::new(run.settings.clone(), run.seed, compute);
            begin::start(&Job { out: Some(run.path.clone()), ending, ..job })?
        };
        follow(handle, deadline, &mut Bar::new(self.max_iterations))
    }

    /// Scores a run in every test that a cell of `parts` has for it, where that is not done already.
    fn score(&self, parts: &[Part], run: &Run, scores: &Path) -> Result<()> {
        let device = self.common.device()?.open()?;
        let training = Training::of(&run.path)?;
        let best = Checkpoint::open(&directory::resolve(&run.path, &["best", "last"])?)?;
        let mut tests: Vec<&'static Test> = Vec::new();
        for cell in parts.iter().copied().flat_map(Part::cells).filter(|cell| cell.preset == run.preset) {
            if !tests.contains(&cell.test) {
                tests.push(cell.test);
            }
        }
        for test in tests {
            let file = scores.join(Scored::file_name(run.preset, run.seed, test));
            let samples = self.samples.unwrap_or(match training.finished {
                true => best.preset.train.test_size,
                false => GLANCE.min(best.preset.train.test_size),
            });
            let done = Scored::read(&file)?.is_some_and(|scored| {
                scored.training == training
                    && scored.report.iteration == best.manifest.counters.iteration
                    && scored.report.samples == samples
                    && scored.report.subsets.iter().all(|subset| subset.floor.is_some())
            });
            if done {
                continue;
            }
            let mut sets: Vec<String> = test.sets.iter().map(|set| (*set).to_owned()).collect();
            if let Some(digits) = best.preset.data.digits() {
                // Tested on the digits it was trained on, whatever this machine has.
                sets.push(digits_set(digits)?);
            }
            let scoring =
                Scoring { sets, split: Split::Test, samples: Some(samples), precision: Precision::F32 };
            let message = format!("{} seed {}, {}", run.preset, run.seed, test.name);
            let mut report = with_bar(&message, |progress| score(&run.path, &scoring, &device, progress))?;
            // Where it lies in this place, wherever the place is.
            if let Ok(within) = report.checkpoint.strip_prefix(&self.out) {
                report.checkpoint = within.to_owned();
            }
            let scored = Scored { training: training.clone(), test: test.name.into(), report };
            scored.write(scores, test)?;
        }
        Ok(())
    }

    /// Writes the tables and figures, and prints the tables.
    fn tell(&self, parts: &[Part], scored: &[Scored], kept: &[Kept], failures: &[Failure]) -> Result<()> {
        let results = Results::new(parts, self.seeds, scored, failures);
        let figures = figures(scored, kept)?;
        for figure in &figures {
            write_atomic(&self.out.join(figure.file), figure.svg.as_bytes())?;
        }
        let markdown = results.markdown(archived::reading(&self.out)?.as_deref(), &figures, kept);
        write_atomic(&self.out.join("results.md"), markdown.as_bytes())?;
        let file = self.out.join("results.json");
        let mut json =
            serde_json::to_vec_pretty(&results).map_err(|e| Error::content(&file, e.to_string()))?;
        json.push(b'\n');
        write_atomic(&file, &json)?;
        if self.json { print_json(&results) } else { print(&markdown) }
    }
}
