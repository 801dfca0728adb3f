//! What was measured, beside the paper: kept as one file for each test of each run, and made from those
//! files alone into the tables.
//!
//! A run that has not ended by the protocol (no better validation loss for so many epochs, or the most
//! epochs there may be) is unfinished; its scores are shown apart and never enter a mean.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::archived::Kept;
use super::experiments::{Cell, Measure, Part, Published, Test};
use super::figures::Figure;
use crate::error::{Error, Result};
use crate::files::write_atomic;
use crate::preset::{Difference, Preset, differences};
use crate::protocol::{Change, Metrics};
use crate::run::checkpoint::Checkpoint;
use crate::run::directory::{self, RunFile};
use crate::run::metrics;
use crate::run::score::Report;
use crate::scores::mean_and_deviation;

/// The scores of one run in one test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scored {
    /// The run.
    pub training: Training,
    /// The test's name.
    pub test: String,
    /// What was scored.
    pub report: Report,
}

/// How a run was trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Training {
    /// The preset's name.
    pub preset: String,
    /// Everything random followed from it.
    pub seed: u64,
    /// Whether the protocol ended it.
    pub finished: bool,
    /// Epochs done.
    pub epochs: u64,
    /// Iterations done.
    pub iterations: u64,
    /// Wall time spent on them, validation included.
    pub hours: f64,
    /// Validation loss after the last epoch.
    pub validation_loss: Option<f64>,
    /// Validation AMI (max) of the last step, after the last epoch.
    pub validation_ami: Option<f64>,
    /// The device it began on, and the machine.
    pub device: String,
    /// The version and commit of the program that began it.
    pub version: String,
    /// What is not the named preset's, as `path: value there -> value here`: settings, and the weights that it
    /// began with.
    pub changed: Vec<String>,
}

/// The tables.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Results {
    /// The rows, part by part.
    pub rows: Vec<Row>,
    /// The runs they were measured on.
    pub runs: Vec<Training>,
    /// How many seeds each row wants.
    pub seeds: u64,
    /// The runs that could not be trained or scored this time.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<Failure>,
}

/// A run that could not be trained or scored.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Failure {
    /// The preset's name.
    pub preset: String,
    /// The run's seed.
    pub seed: u64,
    /// A sentence that says why.
    pub why: String,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, seed {}: {}", self.preset, self.seed, self.why)
    }
}

/// One row.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Its part.
    pub part: Part,
    /// What it is.
    pub row: String,
    /// The preset trained for it.
    pub preset: String,
    /// How it was tested.
    pub test: String,
    /// Which score is compared.
    pub score: String,
    /// The paper's.
    pub paper: Option<Published>,
    /// Ours, over the runs that the protocol has ended.
    pub ours: Option<Mean>,
    /// Ours, over the runs that are unfinished, or whose protocol was cut short.
    pub unfinished: Option<Mean>,
    /// Seeds of which nothing was measured.
    pub missing: Vec<u64>,
    /// Seeds whose runs could not be trained or scored this time.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<u64>,
    /// Whether a run's settings were not the paper's.
    pub changed: bool,
    /// Whether the digits were synthetic, and the scores so not the paper's kind.
    pub synthetic: bool,
}

/// A mean over runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Mean {
    /// The mean.
    pub mean: f64,
    /// The deviation (of a sample); 0 for a single run.
    pub deviation: f64,
    /// The mean of the last step's score, where the row compares that of all steps.
    pub last_step: Option<f64>,
    /// The mean of the floors on the images that are scored; `None` where the row is no score, or a floor was
    /// not measured.
    pub floor: Option<f64>,
    /// The runs' seeds.
    pub seeds: Vec<u64>,
    /// The fewest samples that one of them was scored on.
    pub samples: usize,
    /// The fewest iterations that one of them has.
    pub iterations: u64,
    /// Whether one of them was let end sooner than its preset says, and so is no result of that protocol.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub cut_short: bool,
}

impl Training {
    /// Of the run in `path`, as its last checkpoint has it.
    ///
    /// # Errors
    /// A directory that is no run, or has no checkpoint, or is damaged.
    pub fn of(path: &Path) -> Result<Training> {
        let file = RunFile::read(path)?;
        let checkpoint = Checkpoint::open(&directory::resolve(path, &["last"])?)?;
        let counters = &checkpoint.manifest.counters;
        let preset = &checkpoint.preset;
        // A run that was killed has records that its last checkpoint has not seen.
        let Metrics { mut epochs, changes: mut live, .. } = metrics::read(path)?;
        epochs.retain(|epoch| epoch.epoch <= counters.epochs);
        live.retain(|change| change.iteration <= counters.iteration);
        let seconds = epochs.iter().map(|epoch| epoch.seconds).sum::<f64>() + counters.epoch_seconds;
        let changed = changed(&file, preset, counters.stages, &live);
        Ok(Training {
            preset: preset.name.clone(),
            seed: file.seed,
            finished: counters.is_finished(&preset.train),
            epochs: counters.epochs,
            iterations: counters.iteration,
            hours: seconds / 3600.0,
            validation_loss: epochs.last().map(|epoch| epoch.validation_loss),
            validation_ami: epochs.last().map(|epoch| epoch.ami),
            device: [file.computed_on(), file.machine]
                .iter()
                .filter(|s| !s.is_empty())
                .cloned()
                .collect::<Vec<_>>()
                .join(", "),
            version: file.version,
            changed,
        })
    }

    /// Adds what its run, if it is among `kept`, has other than the embedded preset has by now: a preset may have become
    /// another recipe since the run was scored, whose result this is not.
    pub fn compare_again(&mut self, kept: &[Kept]) {
        let run = kept.iter().find(|kept| (&kept.preset, kept.run.seed) == (&self.preset, self.seed));
        for change in run.into_iter().flat_map(|run| &run.changed) {
            if !self.changed.contains(change) {
                self.changed.push(change.clone());
            }
        }
    }

    /// In words.
    fn state(&self) -> &'static str {
        match self.finished {
            true if self.is_cut_short() => "cut short",
            true => "finished",
            false => "unfinished",
        }
    }

    /// Whether it ended sooner than its preset lets a run end.
    fn is_cut_short(&self) -> bool {
        self.finished && self.changed.iter().any(|change| ends_sooner(change))
    }

    /// Whether the protocol's own end has ended it: only then are its scores results.
    pub(crate) fn is_complete(&self) -> bool {
        self.finished && !self.is_cut_short()
    }
}

/// Whether `change`, a [`Difference`] in words, lowers a limit that ends a run or one of its stages.
fn ends_sooner(change: &str) -> bool {
    let Some((path, (before, after))) =
        change.split_once(": ").and_then(|(path, values)| Some((path, values.split_once(" -> ")?)))
    else {
        return false;
    };
    match path.strip_prefix("train.") {
        // Other stages, or fewer: whatever they come to, it is not the protocol.
        Some("stages") => true,
        Some(limit) if limit == "patience" || limit.ends_with("max_epochs") => {
            // What is no number is a stage without a limit.
            let epochs = |value: &str| value.parse::<f64>().unwrap_or(f64::INFINITY);
            epochs(after) < epochs(before)
        }
        _ => false,
    }
}

/// What the run of `file` changed of the embedded preset of that name: settings, leaving out what a run decides
/// by itself (whose digits, and which stage), what was changed while it trained, whether or not it was changed back,
/// and the weights that it began with.
pub(crate) fn changed(file: &RunFile, preset: &Preset, stage: usize, live: &[Change]) -> Vec<String> {
    let Ok(mut named) = Preset::load(&preset.name) else {
        return vec!["not a preset of this program".into()];
    };
    named = named.after_stages(stage + 1);
    if let Some(digits) = preset.data.digits() {
        named.data = named.data.with_digits(digits.clone());
    }
    named.about.clone_from(&preset.about);
    named.expect.clone_from(&preset.expect);
    let settings = differences(&named, preset);
    let weights = file.from.iter().map(|of| format!("weights: the seed's -> those of {}", name_of(of)));
    let state =
        file.forked.iter().map(|of| format!("weights and moments: the seed's -> those of {}", name_of(of)));
    let live = live.iter().map(|Change { iteration, from, to }| {
        format!("{} at iteration {iteration}: {} -> {}", to.field(), from.value(), to.value())
    });
    settings.iter().map(Difference::to_string).chain(live).chain(weights).chain(state).collect()
}

/// The name of a model, or of the run that a checkpoint is of.
fn name_of(weights: &Path) -> std::borrow::Cow<'_, str> {
    let of = match weights.parent() {
        Some(checkpoints) if checkpoints.ends_with("checkpoints") => checkpoints.parent().unwrap_or(weights),
        _ => weights,
    };
    of.file_name().unwrap_or(of.as_os_str()).to_string_lossy()
}

impl Scored {
    /// The name of its file.
    pub fn file_name(preset: &str, seed: u64, test: &Test) -> String {
        format!("{preset}-s{seed}-{}.json", test.name)
    }

    /// Reads one; `None` where there is none.
    ///
    /// # Errors
    /// A file that cannot be read, or holds something else.
    pub fn read(path: &Path) -> Result<Option<Scored>> {
        match std::fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|e| {
                Error::content(
                    path,
                    format!("not the scores of a run ({e}); remove it to have them measured again"),
                )
            }),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io("read", path)(e)),
        }
    }

    /// Reads all in `directory`, in the order of their names; none where there is no such directory.
    ///
    /// # Errors
    /// What [`Scored::read`] meets.
    pub fn read_all(directory: &Path) -> Result<Vec<Scored>> {
        let entries = match std::fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(Error::io("read", directory)(e)),
        };
        let paths: BTreeSet<_> = entries.flatten().map(|entry| entry.path()).collect();
        let json = paths.iter().filter(|path| path.extension().is_some_and(|end| end == "json"));
        json.filter_map(|path| Scored::read(path).transpose()).collect()
    }

    /// Writes it into `directory`.
    ///
    /// # Errors
    /// A place that cannot be written.
    pub fn write(&self, directory: &Path, test: &Test) -> Result<()> {
        let file = directory.join(Scored::file_name(&self.training.preset, self.training.seed, test));
        let mut text = serde_json::to_vec_pretty(self).map_err(|e| Error::content(&file, e.to_string()))?;
        text.push(b'\n');
        write_atomic(&file, &text)
    }
}

impl Results {
    /// The rows of `parts`, and of every other part of which something was measured.
    pub fn new(parts: &[Part], seeds: u64, scored: &[Scored], failures: &[Failure]) -> Results {
        let of = |cell: &Cell| {
            let (preset, test) = (cell.preset, cell.test.name);
            scored.iter().filter(move |s| s.training.preset == preset && s.test == test)
        };
        let wanted = |part: &Part| parts.contains(part) || part.cells().any(|cell| of(cell).next().is_some());
        let cells: Vec<&Cell> = Part::ALL.into_iter().filter(wanted).flat_map(Part::cells).collect();
        let row = |cell: &&Cell| {
            let failed = failures.iter().filter(|failure| failure.preset == cell.preset).map(|f| f.seed);
            Row { failed: failed.collect(), ..Row::new(cell, seeds, &of(cell).collect::<Vec<_>>()) }
        };
        let rows = cells.iter().map(row).collect();
        let mut runs: Vec<Training> = Vec::new();
        for training in cells.iter().flat_map(|cell| of(cell)).map(|s| &s.training) {
            if !runs.iter().any(|run| (&run.preset, run.seed) == (&training.preset, training.seed)) {
                runs.push(training.clone());
            }
        }
        Results { rows, runs, seeds, failures: failures.to_vec() }
    }

    /// The tables in Markdown. `reading` is what to see in them, in words; `figures` are the pictures that lie
    /// beside them, `kept` the runs whose epochs are there to be shown.
    pub fn markdown(&self, reading: Option<&str>, figures: &[Figure], kept: &[Kept]) -> String {
        let mut text = String::from(LEGEND);
        if let Some(reading) = reading {
            let _ = write!(text, "\n## In short\n\n{reading}\n");
        }
        for part in Part::ALL {
            let rows: Vec<&Row> = self.rows.iter().filter(|row| row.part == part).collect();
            if rows.is_empty() {
                continue;
            }
            let _ = write!(text, "\n## {}\n\n{HEAD}", part.title());
            rows.iter().for_each(|row| text += &row.markdown());
            if rows.iter().any(|row| row.synthetic) {
                text += "\n‡ Synthetic digits: these scores do not compare with the paper's.\n";
            }
            if rows.iter().any(|row| row.changed) {
                text += "\n§ Not trained as the preset says; what differs is said under Runs.\n";
            }
            for Figure { caption, file, .. } in figures.iter().filter(|figure| figure.part == part) {
                let _ = write!(text, "\n![{caption}]({file})\n");
            }
        }
        text += &self.runs_markdown(kept);
        text += &self.missing_markdown();
        if !kept.is_empty() {
            text += CURVES;
        }
        kept.iter().for_each(|run| text += &run.markdown());
        text
    }

    fn runs_markdown(&self, kept: &[Kept]) -> String {
        if self.runs.is_empty() {
            return String::new();
        }
        let mut text = String::from(
            "\n## Runs\n\n| run | state | iterations | time | last validation loss | validation AMI | AMI 0.8 first after | device | program |\n\
             |---|---|---|---|---|---|---|---|---|\n",
        );
        for run in &self.runs {
            let epochs = kept.iter().find(|kept| (&kept.preset, kept.run.seed) == (&run.preset, run.seed));
            let reached = match epochs.map(|kept| kept.hours_to(GOAL)) {
                None => "–".into(),
                Some(None) => "not reached".into(),
                Some(Some(hours)) => duration(hours),
            };
            let _ = writeln!(
                text,
                "| {}, seed {} | {} | {} | {} | {} | {} | {} | {} | {} |",
                run.preset,
                run.seed,
                run.state(),
                run.iterations,
                duration(run.hours),
                run.validation_loss.map_or("–".into(), |loss| format!("{loss:.2}")),
                run.validation_ami.map_or("–".into(), |ami| format!("{ami:.3}")),
                reached,
                run.device,
                run.version
            );
        }
        for run in self.runs.iter().filter(|run| !run.changed.is_empty()) {
            let _ = writeln!(
                text,
                "\n{}, seed {}, was not trained as the preset says: {}.",
                run.preset,
                run.seed,
                run.changed.join(", ")
            );
        }
        text
    }

    fn missing_markdown(&self) -> String {
        let mut lines = BTreeSet::new();
        for row in &self.rows {
            if !row.missing.is_empty() {
                lines.insert(format!(
                    "- {}, test {}: nothing measured of {}\n",
                    row.preset,
                    row.test,
                    seeds(&row.missing)
                ));
            }
        }
        let mut incomplete = BTreeMap::<_, Vec<u64>>::new();
        for run in self.runs.iter().filter(|run| !run.is_complete()) {
            incomplete.entry((&run.preset, run.state())).or_default().push(run.seed);
        }
        lines.extend(
            incomplete.iter().map(|((preset, state), of)| format!("- {preset}: {state} {}\n", seeds(of))),
        );
        lines.extend(self.failures.iter().map(|failure| format!("- {failure}\n")));
        if lines.is_empty() {
            return String::new();
        }
        let lines = lines.into_iter().collect::<String>();
        format!(
            "\n## Missing\n\nStill to be done. The same command goes on with runs whose weights are there, and \
             trains what is not begun; of a run that is only kept here, another `--out` trains a new one.\n\n{lines}"
        )
    }
}

const LEGEND: &str = "\
# The paper's results, and ours

Written by `nem-tui reproduce` from the scores stored beside it. AMI is normalised by the larger entropy, and
is over the pixels that belong to exactly one object: background and overlap are left out. `ami` is weighted
over EM steps like the training loss, `ami_last` is the last step's, `upper_bound` the NLL of max_k ψ in nats
per sample. The paper's values are means ± deviations of 5 runs; those with † were not looked up and may be a
little off. Ours are over the test split, of the checkpoint with the best validation loss, with the deviation
of a sample where there are seeds. **Bold** is above the floor, the best split of the image by position alone
on the images of that row (at most 500 of them, by their last frame): what is not has learned no objects, and
what is hardly above it need not have. A run is finished when the protocol ends it: no better validation loss
for so many epochs, or the most epochs there may be. What unfinished runs reach, and those whose protocol was
cut short, is no result. Iterations are those of the training; the checkpoint that is scored may be an earlier
one. Each of our seeds draws its own data, synthetic digits too, where the paper's five runs share one data
set. Recipes of our own, in the last table, have settings of their own. Times are wall times, whatever else
the machine did.
";

/// The AMI that recipes are compared by the time to.
const GOAL: f64 = 0.8;

const CURVES: &str = "\
\n## Curves\n
What the runs' epochs measured, from `runs/`. Scores are of the last EM step on the validation split, AMI
normalised by the larger entropy.
";

const HEAD: &str = "\
| | score | paper | ours | not ended by the protocol | floor |
|---|---|---|---|---|---|
";

impl Row {
    fn new(cell: &Cell, seeds: u64, scored: &[&Scored]) -> Row {
        let mean = |complete: bool| {
            let of: Vec<&Scored> =
                scored.iter().copied().filter(|s| s.training.is_complete() == complete).collect();
            Mean::new(cell.measure, &of)
        };
        let there: Vec<u64> = scored.iter().map(|s| s.training.seed).collect();
        Row {
            part: cell.part,
            row: cell.row.into(),
            preset: cell.preset.into(),
            test: cell.test.name.into(),
            score: cell.measure.name().into(),
            paper: cell.published,
            ours: mean(true),
            unfinished: mean(false),
            missing: (1..=seeds).filter(|seed| !there.contains(seed)).collect(),
            failed: Vec::new(),
            changed: scored.iter().any(|s| !s.training.changed.is_empty()),
            synthetic: scored.iter().any(|s| s.report.synthetic),
        }
    }

    fn markdown(&self) -> String {
        let paper = self.paper.map_or("–".to_owned(), |paper| {
            let mark = if paper.from_memory { "†" } else { "" };
            format!("{:.3} ± {:.3}{mark}", paper.mean, paper.deviation)
        });
        let ours = |mean: &Option<Mean>| mean.as_ref().map_or("–".to_owned(), Mean::markdown);
        let floor = self.ours.as_ref().or(self.unfinished.as_ref()).and_then(|mean| mean.floor);
        let failed = match self.failed.as_slice() {
            [] => String::new(),
            failed => format!("; {} failed, see Missing", seeds(failed)),
        };
        format!(
            "| {}{}{} | `{}` | {paper} | {}{failed} | {} | {} |\n",
            self.row,
            if self.synthetic { " ‡" } else { "" },
            if self.changed { " §" } else { "" },
            self.score,
            ours(&self.ours),
            ours(&self.unfinished),
            floor.map_or("–".to_owned(), |floor| format!("{floor:.3}"))
        )
    }
}

impl Mean {
    fn new(measure: Measure, scored: &[&Scored]) -> Option<Mean> {
        let scored: Vec<(&Scored, f64)> =
            scored.iter().filter_map(|s| Some((*s, measure.of(&s.report)?))).collect();
        let over = |of: fn(&Report) -> f64| {
            mean_and_deviation(&scored.iter().map(|(s, _)| of(&s.report)).collect::<Vec<_>>()).0
        };
        let floors: Option<Vec<f64>> = scored.iter().map(|(s, _)| measure.floor(&s.report)).collect();
        let (mean, deviation) =
            mean_and_deviation(&scored.iter().map(|(_, value)| *value).collect::<Vec<_>>());
        Some(Mean {
            mean,
            deviation,
            last_step: (measure == Measure::Ami).then(|| over(|report| report.ami_last)),
            floor: floors.map(|floors| mean_and_deviation(&floors).0),
            seeds: scored.iter().map(|(s, _)| s.training.seed).collect(),
            samples: scored.iter().map(|(s, _)| s.report.samples).min()?,
            iterations: scored.iter().map(|(s, _)| s.training.iterations).min()?,
            cut_short: scored.iter().any(|(s, _)| s.training.is_cut_short()),
        })
    }

    fn markdown(&self) -> String {
        let mut value = match self.seeds.len() {
            1 => number(self.mean),
            _ => format!("{} ± {:.3}", number(self.mean), self.deviation),
        };
        if self.floor.is_some_and(|floor| self.mean > floor) {
            value = format!("**{value}**");
        }
        let last = self.last_step.map_or(String::new(), |last| format!("; last step {}", number(last)));
        let seeds = seeds(&self.seeds);
        let cut_short = if self.cut_short { ", protocol cut short" } else { "" };
        format!(
            "{value}{last} ({seeds}, {} iterations{cut_short}, {} samples)",
            self.iterations, self.samples
        )
    }
}

/// A time in words.
pub(crate) fn duration(hours: f64) -> String {
    match hours {
        ..0.1 => format!("{:.1} min", hours * 60.0),
        ..2.0 => format!("{:.0} min", hours * 60.0),
        _ => format!("{hours:.1} h"),
    }
}

/// With three places, and no minus before a zero.
fn number(value: f64) -> String {
    let text = format!("{value:.3}");
    if text == "-0.000" { "0.000".into() } else { text }
}

fn seeds(seeds: &[u64]) -> String {
    let list: Vec<String> = seeds.iter().map(u64::to_string).collect();
    format!("seed{} {}", if seeds.len() == 1 { "" } else { "s" }, list.join(", "))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::preset::Setting;

    /// Scores that were once measured, made those of another run and test.
    pub(crate) fn scored(preset: &str, seed: u64, test: &str, finished: bool) -> Scored {
        let stored = include_str!("../../tests/fixtures/scored.json");
        let mut scored: Scored = serde_json::from_str(stored).unwrap();
        scored.training = Training { preset: preset.into(), seed, finished, ..scored.training };
        scored.test = test.into();
        scored
    }

    fn row(name: &str, scored: &[Scored]) -> String {
        let text = Results::new(&[Part::Static], 1, scored, &[]).markdown(None, &[], &[]);
        text.lines().find(|line| line.starts_with(&format!("| {name} |"))).unwrap().to_owned()
    }

    /// What was learned on a part of the images is judged by the floor of that part.
    #[test]
    fn a_subset_is_bold_above_its_own_floor_only() {
        let mut run = scored("static-shapes-rnn-em", 1, "as-trained", true);
        run.report.floor = 0.55;
        let mut with = |ami, floor| {
            let subset = run.report.subsets.iter_mut().find(|part| part.name == "without overlap").unwrap();
            (subset.ami_last, subset.floor) = (ami, floor);
            row("RNN-EM, images without overlap", std::slice::from_ref(&run))
        };
        let below = with(0.6, Some(0.65));
        assert!(below.contains("| 0.600 (seed 1") && below.ends_with("| 0.650 |"), "{below}");
        let above = with(0.5, Some(0.45));
        assert!(above.contains("| **0.500** (seed 1") && above.ends_with("| 0.450 |"), "{above}");
        // Scores without the floor claim nothing.
        let unknown = with(0.9, None);
        assert!(unknown.contains("| 0.900 (seed 1") && unknown.ends_with("| – |"), "{unknown}");
    }

    /// Weights of another run are no setting, but a run that began with them was trained otherwise.
    #[test]
    fn a_run_from_other_weights_is_not_as_its_preset_says() {
        let preset = Preset::load("static-shapes-rnn-em").unwrap();
        let told = |how: &str, of: Option<&str>| {
            let run = serde_json::json!({"seed": 1, "device": "flex", "version": "0", how: of});
            changed(&serde_json::from_value(run).unwrap(), &preset, 0, &[])
        };
        assert_eq!(told("from", None), [""; 0]);
        assert_eq!(told("from", Some("static-shapes")), ["weights: the seed's -> those of static-shapes"]);
        let checkpoint = Some("/x/runs/mine/checkpoints/it-00000300");
        assert_eq!(told("from", checkpoint), ["weights: the seed's -> those of mine"]);
        assert_eq!(told("forked", checkpoint), ["weights and moments: the seed's -> those of mine"]);
    }
    /// A value that was changed while the run trained is told, though the last checkpoint has the preset's again.
    #[test]
    fn a_steered_run_is_not_as_its_preset_says() {
        let preset = Preset::load("static-shapes-rnn-em").unwrap();
        let run =
            serde_json::from_value(serde_json::json!({"seed": 1, "device": "flex", "version": "0"})).unwrap();
        let change = |iteration, from, to| Change { iteration, from: Setting::K(from), to: Setting::K(to) };
        let told = changed(&run, &preset, 0, &[change(3, 4, 5), change(9, 5, 4)]);
        assert_eq!(told, ["k at iteration 3: 4 -> 5", "k at iteration 9: 5 -> 4"]);
    }

    /// Only lower limits end a run sooner; other settings, however much they change, leave the protocol its end.
    #[test]
    fn a_run_is_cut_short_by_lower_limits_only() {
        let state = |finished, change: &str| {
            let run = scored("static-shapes-rnn-em", 1, "as-trained", finished).training;
            Training { changed: vec!["train.batch: 64 -> 32".into(), change.into()], ..run }.state()
        };
        for (change, finished) in [
            ("train.max_epochs: 500 -> 2", "cut short"),
            ("train.max_epochs: 500 -> 501", "finished"),
            ("train.patience: 10 -> 9", "cut short"),
            ("train.patience: 10 -> 20", "finished"),
            ("train.stages.1.max_epochs: null -> 3", "cut short"),
            ("train.stages.1.max_epochs: 3 -> null", "finished"),
            ("train.stages.1.learning_rate: 0.1 -> 0.01", "finished"),
            ("train.stages: [] -> [{\"images\":\"All\"}]", "cut short"),
            ("weights: the seed's -> those of mine", "finished"),
        ] {
            assert_eq!(state(true, change), finished, "{change}");
            assert_eq!(state(false, change), "unfinished", "{change}");
        }
    }
}
