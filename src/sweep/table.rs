//! What came of a sweep: a row for each combination, with means over its seeds. Only trials that have ended count, and
//! the best row is chosen by the validation split; scores of the test split are nowhere in it.

use std::collections::HashMap;

use serde::Serialize;

use super::plan::Plan;
use super::state::{State, TrialState};
use super::trials::Trial;
use crate::paths::quoted;
use crate::protocol::number_or_dash as number;
use crate::run::result::RunResult;
use crate::run::score::MeanOfReports;
use crate::scores::mean_and_deviation;

/// What tells which row is the best. All are measured at the epoch with the best validation loss.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Measure {
    /// The validation loss, by which training stops: the lower, the better. It compares only trials with the same data,
    /// steps and weights of the loss.
    #[default]
    Loss,
    /// The AMI (max) of the last EM step.
    Ami,
    /// The ARI of the last EM step.
    Ari,
}

impl Measure {
    /// Its value in a result.
    pub fn of(self, result: &RunResult) -> Option<f64> {
        let best = result.best.as_ref()?;
        match self {
            Measure::Loss => Some(best.validation_loss),
            Measure::Ami => best.ami,
            Measure::Ari => best.ari,
        }
        .filter(|value| value.is_finite())
    }

    /// Its name in tables and diagrams.
    pub fn name(self) -> &'static str {
        match self {
            Measure::Loss => "validation loss",
            Measure::Ami => "AMI (last step), validation",
            Measure::Ari => "ARI (last step), validation",
        }
    }
}

/// A row: a combination of settings, and its seeds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Its settings, as `--set` has them.
    pub set: Vec<String>,
    /// Its seeds.
    pub seeds: usize,
    /// How many of them have ended; the means are over these.
    pub done: usize,
    /// How many failed.
    pub failed: usize,
    /// The validation loss.
    pub loss: MeanOfReports,
    /// The AMI (max).
    pub ami: MeanOfReports,
    /// The ARI.
    pub ari: MeanOfReports,
    /// The AMI (max) of the best split by position alone.
    pub floor: MeanOfReports,
    /// Hours of training.
    pub hours: MeanOfReports,
}

impl Row {
    /// A measure's mean over its seeds.
    pub fn measure(&self, measure: Measure) -> MeanOfReports {
        match measure {
            Measure::Loss => self.loss,
            Measure::Ami => self.ami,
            Measure::Ari => self.ari,
        }
    }
}

/// The rows of a sweep.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Table {
    /// What the best row is chosen by.
    pub by: Measure,
    /// The index of the best row, among those of which all seeds have ended.
    pub best: Option<usize>,
    /// The rows, in the order of the trials.
    pub rows: Vec<Row>,
}

impl Table {
    /// The table of trials with their states.
    pub fn new(trials: &[Trial], states: &[TrialState], by: Measure) -> Table {
        let mut at: HashMap<&[String], usize> = HashMap::new();
        let mut groups: Vec<(&[String], Vec<&TrialState>)> = Vec::new();
        for (trial, state) in trials.iter().zip(states) {
            let group = *at.entry(&trial.set).or_insert_with(|| {
                groups.push((&trial.set, Vec::new()));
                groups.len() - 1
            });
            groups[group].1.push(state);
        }
        let rows: Vec<Row> = groups.into_iter().map(|(set, states)| row(set, &states)).collect();
        let complete = rows.iter().enumerate().filter(|(_, row)| row.done == row.seeds);
        let scored = complete.filter_map(|(i, row)| {
            let mean = row.measure(by).mean?;
            Some((i, if by == Measure::Loss { mean } else { -mean }))
        });
        let best = scored.min_by(|(_, a), (_, b)| a.total_cmp(b)).map(|(i, _)| i);
        Table { by, best, rows }
    }

    /// The names of the columns of settings: the fields that vary.
    fn fields(&self) -> Vec<&str> {
        let mut fields: Vec<&str> = Vec::new();
        for (field, _) in self.rows.iter().flat_map(|row| row.set.iter().map(|set| split(set))) {
            if !fields.contains(&field) {
                fields.push(field);
            }
        }
        fields
    }

    /// As Markdown, with the best row and how to score it; `plan` is the sweep's.
    pub fn markdown(&self, plan: &Plan) -> String {
        let fields = self.fields();
        let mut header: Vec<String> = fields.iter().map(|field| (*field).to_owned()).collect();
        header.extend(
            ["seeds", "validation loss", "AMI (last step)", "ARI (last step)", "floor", "hours"]
                .map(String::from),
        );
        let mean = |of: MeanOfReports, decimals| match of.deviation {
            Some(deviation) => format!("{} ± {deviation:.decimals$}", number(of.mean, decimals)),
            None => number(of.mean, decimals),
        };
        let cells = |(i, row): (usize, &Row)| {
            let mut cells = values(row, &fields);
            let done = if row.done == row.seeds {
                format!("{}", row.seeds)
            } else {
                format!("{} of {}", row.done, row.seeds)
            };
            cells.push(if row.failed > 0 { format!("{done}, {} failed", row.failed) } else { done });
            cells.extend([mean(row.loss, 3), mean(row.ami, 3), mean(row.ari, 3)]);
            cells.extend([number(row.floor.mean, 3), number(row.hours.mean, 2)]);
            if self.best == Some(i) {
                cells
                    .iter_mut()
                    .filter(|cell| !cell.is_empty())
                    .for_each(|cell| *cell = format!("**{cell}**"));
            }
            cells
        };
        let mut text = markdown(&header, self.rows.iter().enumerate().map(cells));
        if let Some(best) = self.best.and_then(|best| self.rows.get(best)) {
            let of_row = plan.trials.iter().filter(|trial| trial.set == best.set);
            let runs: Vec<String> = of_row.map(|trial| quoted(&plan.run(trial))).collect();
            let what = if best.set.is_empty() { "the preset".into() } else { best.set.join(" ") };
            text += &format!(
                "\nBest by {}: {what}. Its scores on the test split: nem-tui eval {}\n",
                self.by.name(),
                runs.join(" ")
            );
        }
        text
    }

    /// As comma-separated values.
    pub fn csv(&self) -> String {
        let fields = self.fields();
        let mut header: Vec<String> = fields.iter().map(|field| (*field).to_owned()).collect();
        header.extend(["seeds", "done", "failed"].map(String::from));
        for name in ["validation_loss", "ami", "ari"] {
            header.extend([name.to_owned(), format!("{name}_deviation")]);
        }
        header.extend(["floor", "hours", "best"].map(String::from));
        let cells = |(i, row): (usize, &Row)| {
            let mut cells = values(row, &fields);
            cells.extend([row.seeds, row.done, row.failed].map(|count| count.to_string()));
            for of in [row.loss, row.ami, row.ari] {
                cells.extend([cell(of.mean), cell(of.deviation)]);
            }
            cells.extend([cell(row.floor.mean), cell(row.hours.mean)]);
            cells.push(u8::from(self.best == Some(i)).to_string());
            cells
        };
        csv(&header, self.rows.iter().enumerate().map(cells))
    }
}

fn row(set: &[String], states: &[&TrialState]) -> Row {
    let done = states.iter().filter(|state| state.state == State::Done);
    let results: Vec<&RunResult> = done.clone().filter_map(|state| state.result.as_ref()).collect();
    let mean = |value: &dyn Fn(&RunResult) -> Option<f64>| {
        let values: Vec<f64> = results.iter().filter_map(|result| value(result)).collect();
        let (mean, deviation) = mean_and_deviation(&values);
        MeanOfReports { mean, deviation, runs: values.len() }
    };
    Row {
        set: set.to_vec(),
        seeds: states.len(),
        done: done.count(),
        failed: states.iter().filter(|state| state.state == State::Failed).count(),
        loss: mean(&|result| Measure::Loss.of(result)),
        ami: mean(&|result| Measure::Ami.of(result)),
        ari: mean(&|result| Measure::Ari.of(result)),
        floor: mean(&|result| result.floor),
        hours: mean(&|result| Some(result.seconds / 3600.0)),
    }
}

/// One row for each trial, as header and cells: its directory, state and settings, and what it has scored.
fn each(trials: &[Trial], states: &[TrialState]) -> (Vec<String>, Vec<Vec<String>>) {
    let columns = [
        "trial",
        "run",
        "seed",
        "state",
        "iterations",
        "epochs",
        "validation_loss",
        "ami",
        "ari",
        "floor",
        "hours",
    ];
    let cells = |(trial, state): (&Trial, &TrialState)| {
        let result = state.result.as_ref();
        let of = |measure: Measure| cell(result.and_then(|result| measure.of(result)));
        vec![
            trial.trial.to_string(),
            trial.run.clone(),
            trial.seed.to_string(),
            state.state.name().to_owned(),
            state.iterations.to_string(),
            cell(result.map(|result| result.epochs)),
            of(Measure::Loss),
            of(Measure::Ami),
            of(Measure::Ari),
            cell(result.and_then(|result| result.floor)),
            cell(result.map(|result| result.seconds / 3600.0)),
        ]
    };
    (columns.map(String::from).to_vec(), trials.iter().zip(states).map(cells).collect())
}

/// One row for each trial, as Markdown.
pub fn each_markdown(trials: &[Trial], states: &[TrialState]) -> String {
    let (header, rows) = each(trials, states);
    markdown(&header, rows.into_iter())
}

/// One row for each trial, as comma-separated values.
pub fn each_csv(trials: &[Trial], states: &[TrialState]) -> String {
    let (header, rows) = each(trials, states);
    csv(&header, rows.into_iter())
}

/// A setting's field and value.
pub fn split(set: &str) -> (&str, &str) {
    set.split_once('=').unwrap_or((set, ""))
}

/// The row's values of these fields.
fn values(row: &Row, fields: &[&str]) -> Vec<String> {
    let value = |field: &&str| {
        let found = row.set.iter().map(|set| split(set)).find(|(name, _)| name == field);
        found.map_or(String::new(), |(_, value)| value.to_owned())
    };
    fields.iter().map(value).collect()
}

fn cell(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

fn markdown(header: &[String], rows: impl Iterator<Item = Vec<String>>) -> String {
    let line = |cells: Vec<String>| {
        let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let rule = format!("|{}\n", "---|".repeat(header.len()));
    std::iter::once(line(header.to_vec())).chain([rule]).chain(rows.map(line)).collect()
}

fn csv(header: &[String], rows: impl Iterator<Item = Vec<String>>) -> String {
    let quoted = |cell: &String| match cell.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell.clone(),
    };
    let line = |cells: &[String]| cells.iter().map(quoted).collect::<Vec<_>>().join(",") + "\n";
    std::iter::once(line(header)).chain(rows.map(|cells| line(&cells))).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::protocol::Epoch;
    use crate::run::result::Reason;

    /// Trials with k 3 and 4 and some seeds each; a result has the loss and, as AMI, a tenth of it.
    pub(crate) fn sweep(losses: &[(u64, Option<f64>)]) -> (Vec<Trial>, Vec<TrialState>) {
        let trial = |(i, (k, _)): (usize, &(u64, Option<f64>))| Trial {
            trial: i + 1,
            run: format!("k={k},seed={i}"),
            preset: "preset.ron".into(),
            seed: i as u64,
            set: vec![format!("k={k}"), "noise=Bitflip(probability: 0.1, x|y)".into()],
            max_iterations: None,
        };
        let state = |(_, loss): &(u64, Option<f64>)| {
            let Some(loss) = *loss else {
                return TrialState {
                    state: State::Failed,
                    iterations: 3,
                    why: Some("x".into()),
                    result: None,
                };
            };
            let best =
                Epoch { validation_loss: loss, ami: Some(loss / 10.0), best: true, ..Epoch::default() };
            let result = RunResult {
                reason: Reason::EarlyStop,
                error: None,
                preset: "p".into(),
                seed: 1,
                iterations: 9,
                epochs: 1,
                seconds: 1800.0,
                best: Some(best),
                last: Some(best),
                floor: Some(0.5),
                floor_ari: None,
            };
            TrialState { state: State::Done, iterations: 9, why: None, result: Some(result) }
        };
        (losses.iter().enumerate().map(trial).collect(), losses.iter().map(state).collect())
    }

    #[test]
    fn rows_are_means_over_seeds_and_the_best_has_all_of_them() {
        let (trials, states) = sweep(&[
            (3, Some(2.0)),
            (4, Some(3.0)),
            (5, Some(1.0)),
            (3, Some(4.0)),
            (4, Some(3.5)),
            (5, None),
        ]);
        let table = Table::new(&trials, &states, Measure::Loss);
        let loss = |i: usize| (table.rows[i].loss.mean, table.rows[i].loss.deviation);
        assert_eq!((loss(0), loss(2)), ((Some(3.0), Some(2.0f64.sqrt())), (Some(1.0), None)));
        assert_eq!((table.rows[2].done, table.rows[2].failed, table.best), (1, 1, Some(0)));
        assert_eq!(Table::new(&trials, &states, Measure::Ami).best, Some(1));
        let plan = Plan { directory: "s".into(), trials };
        let text = table.markdown(&plan);
        for line in [
            "| k | noise | seeds | validation loss | AMI (last step) | ARI (last step) | floor | hours |",
            "| **3** | **Bitflip(probability: 0.1, x\\|y)** | **2** | **3.000 ± 1.414** | **0.300 ± 0.141** | **–** | **0.500** | **0.50** |",
            "| 5 | Bitflip(probability: 0.1, x\\|y) | 1 of 2, 1 failed | 1.000 | 0.100 | – | 0.500 | 0.50 |",
            "Best by validation loss: k=3 noise=Bitflip(probability: 0.1, x|y). Its scores on the test split: nem-tui eval s/k=3,seed=0 s/k=3,seed=3",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        let csv = table.csv();
        assert_eq!(
            csv.lines().nth(2).unwrap(),
            "4,\"Bitflip(probability: 0.1, x|y)\",2,2,0,3.25,0.3535533905932738,0.32499999999999996,\
             0.03535533905932737,,,0.5,0.5,0"
        );
        let each = each_csv(&plan.trials, &states);
        assert_eq!(each.lines().nth(6).unwrap(), "6,\"k=5,seed=5\",5,failed,3,,,,,,");
        // Nothing has ended.
        let (trials, states) = sweep(&[(3, None)]);
        let empty = Table::new(&trials, &states, Measure::Loss);
        assert_eq!((empty.best, empty.rows[0].loss.mean), (None, None));
    }
}
