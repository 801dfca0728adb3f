//! The document about the results, `results.md`: tables, figures, and a section about each archived run.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::archived::ArchivedRun;
use super::experiments::Section;
use super::figures::Figure;
use super::tables::{MeanScore, ResultRow, Results};
use crate::protocol::number_or_dash;

/// The largest number of rows in a run's table.
const ROWS: usize = 12;

/// Recipes are compared by the time to reach this AMI.
const GOAL: f64 = 0.8;

const LEGEND: &str = "\
# The paper's results, and ours

Written by `nem-tui reproduce` from the scores stored beside it.

AMI is normalised by the larger entropy, and is over the pixels that belong to exactly one object: background and
overlap are left out. `ami_last` is the AMI of the last EM step; beside it is the mean over all steps, weighted like the
training loss. The paper does not say which of the two its scores are. We compare the last step's: 0.997 as a mean over
20 steps would take more than 0.94 at the very first one, after a single noisy frame. `upper_bound` is the NLL of max_k
ψ in nats per sample. The paper's values are means ± deviations of 5 runs; those with † were remembered, not looked up,
and may be slightly wrong. Ours are on the test split, from the checkpoint with the best validation loss, with the
sample deviation where there are several seeds. **Bold** is above the floor, the best split of the image by position
alone, on the images of that row (at most 500, by their last frame): a model whose score is not bold has learned no
objects, and one that is barely above the floor may not have either.

A run is finished when the protocol ends it: no better validation loss for a number of epochs, or the maximum number
of epochs. Scores of unfinished runs, and of runs whose protocol was cut short, are not results. Iterations are those
of the training; the checkpoint that is scored may be an earlier one. Each of our seeds draws its own data, synthetic
digits included, while the paper's five runs share one data set. Our own recipes, in the last table, have their own
settings. Times are wall times, whatever else the machine was doing.
";

const CURVES: &str = "\
\n## Curves\n
The epochs of the runs in `runs/`. Scores are those of the last EM step on the validation split; AMI is normalised by
the larger entropy. With one component or one object there is nothing to tell apart, so there is no score.
";

const HEAD: &str = "\
| | score | paper | ours | not ended by the protocol | floor |
|---|---|---|---|---|---|
";

impl Results {
    /// The document in Markdown, with remarks in `reading`, and `figures` that lie beside it.
    pub fn markdown(&self, reading: Option<&str>, figures: &[Figure], archived: &[ArchivedRun]) -> String {
        let mut text = String::from(LEGEND);
        if let Some(reading) = reading {
            let _ = write!(text, "\n## In short\n\n{reading}\n");
        }
        for section in Section::ALL {
            let rows: Vec<&ResultRow> = self.rows.iter().filter(|row| row.section == section).collect();
            if rows.is_empty() {
                continue;
            }
            let _ = write!(text, "\n## {}\n", section.title());
            for synthetic in [false, true] {
                let rows: Vec<_> = rows.iter().filter(|row| row.synthetic == synthetic).collect();
                if rows.is_empty() {
                    continue;
                }
                if synthetic {
                    text += "\nSynthetic digits, whose scores do not compare with the paper's:\n";
                }
                let _ = write!(text, "\n{HEAD}");
                rows.iter().for_each(|row| text += &row.markdown());
            }
            if rows.iter().any(|row| row.changed) {
                text += "\n§ Not trained as the preset says; what differs is listed under Runs.\n";
            }
            for Figure { caption, file, .. } in figures.iter().filter(|figure| figure.section == section) {
                let _ = write!(text, "\n![{caption}]({file})\n");
            }
        }
        text += &self.runs_markdown(archived);
        text += &self.missing_markdown();
        if !archived.is_empty() {
            text += CURVES;
        }
        archived.iter().for_each(|run| text += &run.markdown());
        text
    }

    fn runs_markdown(&self, archived: &[ArchivedRun]) -> String {
        if self.runs.is_empty() {
            return String::new();
        }
        let mut text = String::from(
            "\n## Runs\n\n| run | state | iterations | time | last validation loss | validation AMI (last step) | AMI 0.8 first after | device | program |\n\
             |---|---|---|---|---|---|---|---|---|\n",
        );
        for run in &self.runs {
            let epochs = archived.iter().find(|archived| archived.is(run));
            let reached = match epochs.map(|run| run.hours_to(GOAL)) {
                None => "–".into(),
                Some(None) => "not reached".into(),
                Some(Some(hours)) => duration(hours),
            };
            let _ = writeln!(
                text,
                "| {}, seed {}{} | {} | {} | {} | {} | {} | {} | {} | {} |",
                run.preset,
                run.seed,
                if run.synthetic { ", synthetic digits" } else { "" },
                run.state(),
                run.iterations,
                duration(run.hours),
                run.validation_loss.map_or("–".into(), |loss| format!("{loss:.2}")),
                number_or_dash(run.validation_ami, 3),
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
                    "- {}, test {}: no scores of {}\n",
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
            "\n## Missing\n\nStill to be done. The same command resumes runs whose weights are there, and begins those that \
             are missing. A run that is only archived here has to be trained again in another `--out`.\n\n{lines}"
        )
    }
}

impl ResultRow {
    fn markdown(&self) -> String {
        let paper = self.paper.map_or("–".to_owned(), |paper| {
            let mark = if paper.from_memory { "†" } else { "" };
            format!("{:.3} ± {:.3}{mark}", paper.mean, paper.deviation)
        });
        let ours = |mean: &Option<MeanScore>| mean.as_ref().map_or("–".to_owned(), MeanScore::markdown);
        let floor = self.ours.as_ref().or(self.unfinished.as_ref()).and_then(|mean| mean.floor);
        let failed = match self.failed.as_slice() {
            [] => String::new(),
            failed => format!("; {} failed, see Missing", seeds(failed)),
        };
        format!(
            "| {}{} | `{}` | {paper} | {}{failed} | {} | {} |\n",
            self.title,
            if self.changed { " §" } else { "" },
            self.score,
            ours(&self.ours),
            ours(&self.unfinished),
            number_or_dash(floor, 3)
        )
    }
}

impl MeanScore {
    fn markdown(&self) -> String {
        let mut value = match self.deviation {
            None => number(self.mean),
            Some(deviation) => format!("{} ± {deviation:.3}", number(self.mean)),
        };
        if self.floor.is_some_and(|floor| self.mean > floor) {
            value = format!("**{value}**");
        }
        let all = self.all_steps.map_or(String::new(), |all| format!("; all steps {}", number(all)));
        let seeds = seeds(&self.seeds);
        let cut_short = if self.cut_short { ", protocol cut short" } else { "" };
        format!("{value}{all} ({seeds}, {} iterations{cut_short}, {} samples)", self.iterations, self.samples)
    }
}

impl ArchivedRun {
    /// A section about a run: how it differs from its preset, a table of its epochs, and remarks.
    fn markdown(&self) -> String {
        let mut text = format!("\n### {}\n\n", self.name);
        let _ = write!(text, "{}, seed {}, on {}", self.preset, self.run.seed, self.run.computed_on());
        if !self.run.machine.is_empty() {
            let _ = write!(text, " ({})", self.run.machine);
        }
        let _ = write!(text, ", program {}", self.run.version);
        if self.synthetic {
            text += "; synthetic digits, whose scores do not compare with the paper's";
        }
        match self.changed.as_slice() {
            [] => text += ".",
            changed => {
                let _ = write!(text, "; changed from the preset: {}.", changed.join(", "));
            }
        }
        text += "\n\n| iterations | stage | time | train loss | validation loss | AMI (last step) | ARI (last step) | confidence |\n\
                 |---|---|---|---|---|---|---|---|\n";
        let epochs: Vec<_> = self.hours().collect();
        let rows = ROWS.min(epochs.len());
        for row in 0..rows {
            // The first, the last, and others evenly between.
            let (hours, stage, epoch) = epochs[row * (epochs.len() - 1) / (rows - 1).max(1)];
            let _ = writeln!(
                text,
                "| {} | {stage} | {} | {:.1} | {:.1} | {} | {} | {} |",
                epoch.iteration,
                duration(hours),
                epoch.train_loss,
                epoch.validation_loss,
                number_or_dash(epoch.ami, 3),
                number_or_dash(epoch.ari, 3),
                number_or_dash(epoch.confidence, 3)
            );
        }
        if rows < epochs.len() {
            let _ = write!(text, "\n{rows} of {} epochs.", epochs.len());
            // One component leaves nothing to group.
            let counting = epochs.iter().filter(|(_, stage, _)| self.k > 1 && *stage >= self.counts_from);
            let scored = counting.filter_map(|(.., epoch)| Some((epoch.ami?, epoch.iteration)));
            if let Some((ami, iteration)) = scored.max_by(|a, b| a.0.total_cmp(&b.0)) {
                let _ = write!(text, " AMI was highest, {ami:.3}, after {iteration} iterations.");
            }
            text.push('\n');
        }
        if self.epochs.last().is_some_and(|(stage, _)| *stage > 1) {
            text += "\nLosses of stages with different steps, loss weights or objects do not compare.\n";
        }
        if self.counts_from > 1 {
            let _ = writeln!(
                text,
                "\nBefore stage {} K or the objects differed, so the scores of those rows are of another task.",
                self.counts_from
            );
        }
        if let Some(reading) = &self.reading {
            let _ = write!(text, "\n{reading}\n");
        }
        text
    }
}

/// A time in words.
fn duration(hours: f64) -> String {
    match hours {
        ..0.1 => format!("{:.1} min", hours * 60.0),
        ..2.0 => format!("{:.0} min", hours * 60.0),
        _ => format!("{hours:.1} h"),
    }
}

/// A number with three decimals, without "-0.000".
fn number(value: f64) -> String {
    let text = format!("{value:.3}");
    if text == "-0.000" { "0.000".into() } else { text }
}

fn seeds(seeds: &[u64]) -> String {
    let list: Vec<String> = seeds.iter().map(u64::to_string).collect();
    format!("seed{} {}", if seeds.len() == 1 { "" } else { "s" }, list.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paper::runs::ScoredRun;
    use crate::paper::runs::tests::scored;

    fn row(name: &str, scored: &[ScoredRun]) -> String {
        let text = Results::new(&[Section::Static], 1, scored, &[]).markdown(None, &[], &[]);
        text.lines().find(|line| line.starts_with(&format!("| {name} |"))).unwrap().to_owned()
    }

    /// Scores on a subset of the images are judged by the floor of that subset.
    #[test]
    fn a_subset_is_bold_above_its_own_floor_only() {
        let mut run = scored("static-shapes-rnn-em", 1, "as-trained", true);
        run.report.floor = Some(0.55);
        let mut with = |ami, floor| {
            let subset = run.report.subsets.iter_mut().find(|part| part.name == "without overlap").unwrap();
            (subset.ami_last, subset.floor) = (Some(ami), floor);
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

    /// A mean is over the runs that have a score; without any it is missing.
    #[test]
    fn a_run_without_a_score_is_in_no_mean() {
        let name = "RNN-EM";
        let mut runs = [1, 2].map(|seed| scored("static-shapes-rnn-em", seed, "as-trained", true));
        (runs[0].report.ami_last, runs[1].report.ami_last) = (None, Some(0.5));
        runs[1].report.ami = Some(0.5);
        let one = row(name, &runs);
        assert!(one.contains("0.500** (seed 2,") || one.contains("0.500 (seed 2,"), "{one}");
        runs[1].report.ami_last = None;
        assert!(row(name, &runs).contains("| – | – | – |"), "{}", row(name, &runs));
    }

    /// Scores on real and on synthetic digits are neither in one mean nor in one table.
    #[test]
    fn synthetic_digits_have_a_table_of_their_own() {
        let mut runs = [0.5, 0.3].map(|ami| {
            let mut run = scored("flying-mnist-2", 1, "as-trained", true);
            run.report.ami_last = Some(ami);
            run
        });
        runs[1].training.synthetic = true;
        let text = Results::new(&[Section::Mnist], 1, &runs, &[]).markdown(None, &[], &[]);
        let row = |text: &str| {
            text.lines().find(|line| line.starts_with("| 2 digits, direct |")).unwrap().to_owned()
        };
        let (real, synthetic) = text.split_once("Synthetic digits, whose scores do not compare").unwrap();
        assert!(row(real).contains("0.500") && row(synthetic).contains("0.300"), "{text}");
        assert!(text.contains("\n| flying-mnist-2, seed 1, synthetic digits |"), "{text}");
    }

    /// A table that leaves epochs out says so, and where the score was best among those that count.
    #[test]
    fn a_thinned_table_names_its_best_epoch() {
        let epoch = |(stage, number, ami): (usize, u64, f64)| {
            let epoch = serde_json::json!({
                "epoch": number, "iteration": 10 * number, "train_loss": 1.0, "validation_loss": 1.0, "ami": ami,
                "ami_arithmetic": ami, "ari": ami, "confidence": 1.0, "best": true, "seconds": 1.0,
            });
            (stage, serde_json::from_value(epoch).unwrap())
        };
        let of = |epochs: u64, k: usize| ArchivedRun {
            name: "r".into(),
            run: serde_json::from_value(serde_json::json!({"seed": 1, "device": "flex", "version": "0"}))
                .unwrap(),
            preset: "p".into(),
            changed: Vec::new(),
            synthetic: false,
            // Earlier versions gave one object with one component a score of 1.
            epochs: std::iter::once((1, 1, 1.0))
                .chain((2..=epochs).map(|number| (2, number, if number == 5 { 0.25 } else { 0.125 })))
                .map(epoch)
                .collect(),
            k,
            counts_from: 2,
            reading: None,
        };
        let thinned = of(13, 3).markdown();
        assert!(
            thinned.contains("\n12 of 13 epochs. AMI was highest, 0.250, after 50 iterations.\n"),
            "{thinned}"
        );
        assert!(of(13, 1).markdown().contains("\n12 of 13 epochs.\n"));
        assert!(!of(12, 3).markdown().contains("12 of"));
    }
}
