//! The table of runs: its columns, and the order of its rows.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::preset::{self, Preset, Setting};
use crate::protocol::RunCard;

/// What a run has in no column.
pub const NOTHING: &str = "–";

/// What the table of runs shows, besides the runs.
#[derive(Clone, Debug, Default)]
pub struct RunTable {
    /// The column that orders the rows; the newest run comes first without one.
    pub by: Option<Column>,
    /// Whether the order is reversed.
    pub reversed: bool,
    /// How many columns after the name are scrolled out on the left.
    pub skipped: usize,
    /// The directories of the runs to be compared with the next one that is opened.
    pub marked: Vec<PathBuf>,
    /// The settings in which the runs differ, by path.
    pub differing: Vec<String>,
    /// The settings of each run, by its directory, and the preset that they are from.
    settings: BTreeMap<PathBuf, (Preset, BTreeMap<String, String>)>,
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Column {
    /// The name of the run.
    Name,
    /// Whether it trains, has finished, failed or was stopped.
    State,
    /// Its iterations.
    Iteration,
    /// The AMI (last step) of its latest validation.
    Ami,
    /// The loss of its latest validation.
    Loss,
    /// Its seed.
    Seed,
    /// One of its settings.
    Setting(String),
}

impl Column {
    /// Its heading.
    pub fn heading(&self) -> &str {
        match self {
            Column::Name => "run",
            Column::State => "state",
            Column::Iteration => "iteration",
            Column::Ami => "AMI last",
            Column::Loss => "valid loss",
            Column::Seed => "seed",
            Column::Setting(path) if path == "name" => "preset",
            Column::Setting(path) => Setting::named(path).map_or(path, |kind| kind.short()),
        }
    }

    /// Whether more is better, so that the largest come first.
    fn is_best_high(&self) -> bool {
        matches!(self, Column::Iteration | Column::Ami)
    }
}

impl RunTable {
    /// The columns, the name first.
    pub fn columns(&self) -> Vec<Column> {
        let settings = self.differing.iter().cloned().map(Column::Setting);
        [Column::Name, Column::State, Column::Iteration, Column::Ami, Column::Loss, Column::Seed]
            .into_iter()
            .chain(settings)
            .collect()
    }

    /// What `run` has in `column`.
    pub fn cell(&self, run: &RunCard, column: &Column) -> String {
        let number = |number: Option<String>| number.unwrap_or_else(|| NOTHING.into());
        match column {
            Column::Name => run.name(),
            Column::State => run.doing().into(),
            Column::Iteration => run.iteration.to_string(),
            Column::Ami => number(run.ami.map(|ami| format!("{ami:.3}"))),
            Column::Loss => number(run.validation_loss.map(|loss| format!("{loss:.2}"))),
            Column::Seed => run.seed.to_string(),
            Column::Setting(path) => number(self.setting(&run.directory, path).map(str::to_owned)),
        }
    }

    fn setting(&self, run: &Path, path: &str) -> Option<&str> {
        self.settings.get(run)?.1.get(path).map(String::as_str)
    }

    /// The settings in which the runs differ, as "k=5 train.batch=64", for the filter.
    pub fn words(&self, run: &RunCard) -> String {
        let words = self
            .differing
            .iter()
            .filter_map(|path| Some(format!(" {path}={}", self.setting(&run.directory, path)?)));
        words.collect()
    }

    /// The order of two runs in a column: numbers by value, before words; what is not known comes last either way.
    pub fn order(&self, by: &Column, one: &RunCard, other: &RunCard) -> Ordering {
        let cells = [one, other].map(|run| match by {
            // Not rounded.
            Column::Ami => run.ami.map_or_else(|| NOTHING.into(), |ami| ami.to_string()),
            Column::Loss => run.validation_loss.map_or_else(|| NOTHING.into(), |loss| loss.to_string()),
            by => self.cell(run, by),
        });
        let is_missing = |cell: &String| cell == NOTHING || cell == "NaN";
        match cells.each_ref().map(is_missing) {
            [true, true] => return Ordering::Equal,
            [true, false] => return Ordering::Greater,
            [false, true] => return Ordering::Less,
            [false, false] => {}
        }
        let order = match cells.each_ref().map(|cell| cell.parse::<f64>()) {
            [Ok(one), Ok(other)] => one.total_cmp(&other),
            [Ok(_), Err(_)] => Ordering::Less,
            [Err(_), Ok(_)] => Ordering::Greater,
            [Err(_), Err(_)] => cells[0].cmp(&cells[1]),
        };
        if self.reversed != by.is_best_high() { order.reverse() } else { order }
    }

    /// Orders the rows by the column `by` places further; beyond the ends, by none.
    pub fn sort_by(&mut self, by: i64) {
        let columns = self.columns();
        let at = self.by.as_ref().and_then(|column| columns.iter().position(|other| other == column));
        // Place 0 is none.
        let at = at.map_or(0, |at| at as i64 + 1) + by;
        let place = at.rem_euclid(columns.len() as i64 + 1) as usize;
        self.by = place.checked_sub(1).and_then(|place| columns.into_iter().nth(place));
        self.reversed = false;
    }

    /// Whether the run in this directory is to be compared.
    pub fn is_marked(&self, run: &Path) -> bool {
        self.marked.iter().any(|marked| marked == run)
    }

    /// Marks the run in this directory for comparison, or no longer.
    pub fn mark(&mut self, run: &Path) {
        let before = self.marked.len();
        self.marked.retain(|marked| marked != run);
        if self.marked.len() == before {
            self.marked.push(run.to_owned());
        }
    }

    /// Takes in the runs as they are now.
    pub fn read<'a>(&mut self, runs: impl Iterator<Item = &'a RunCard>) {
        let mut before = std::mem::take(&mut self.settings);
        for run in runs {
            // It changes with a run's live changes.
            let known = before.remove(&run.directory).filter(|(preset, _)| *preset == run.preset);
            let read = || (run.preset.clone(), preset::settings(&run.preset).into_iter().collect());
            let settings = known.unwrap_or_else(read);
            self.settings.insert(run.directory.clone(), settings);
        }
        self.marked.retain(|run| self.settings.contains_key(run));
        let paths: BTreeSet<&String> =
            self.settings.values().flat_map(|(_, settings)| settings.keys()).collect();
        let differs = |path: &&String| {
            let mut values = self.settings.values().map(|(_, settings)| settings.get(*path));
            values.next().is_some_and(|first| values.any(|value| value != first))
        };
        let mut differing: Vec<String> = paths.into_iter().filter(differs).cloned().collect();
        // What stands at the top of a preset is varied most often.
        differing.sort_by_key(|path| path.matches('.').count());
        self.differing = differing;
        let columns = self.columns();
        self.by.take_if(|by| !columns.contains(by));
        self.skipped = self.skipped.min(columns.len().saturating_sub(2));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Presets of other kinds differ in fields that the others lack.
    #[test]
    fn settings_that_differ_are_columns_those_at_the_top_first() {
        let load = |name: &str| Preset::load(name).unwrap();
        let card = |name: &str, preset| RunCard::new(name.into(), preset);
        let mut table = RunTable::default();
        let runs = [
            card("a", load("quickstart")),
            card("b", load("quickstart").set(&["train.learning_rate=0.1", "noise=0.3", "k=7"]).unwrap()),
        ];
        table.read(runs.iter());
        assert_eq!(table.differing, ["k", "noise.probability", "train.learning_rate"]);
        let headings: Vec<String> =
            table.columns()[6..].iter().map(|column| column.heading().to_owned()).collect();
        assert_eq!(headings, ["k", "noise", "lr"], "as they are typed");
        assert_eq!(table.words(&runs[1]), " k=7 noise.probability=0.3 train.learning_rate=0.1");
        let changed = card("b", load("quickstart").set(&["k=9"]).unwrap());
        table.read([&runs[0], &changed].into_iter());
        assert_eq!((table.words(&changed), table.differing.len()), (" k=9".into(), 1), "as it is now");
        let runs = [card("a", load("quickstart")), card("c", load("static-shapes-nem"))];
        table.read(runs.iter());
        let columns = table.columns();
        assert_eq!(
            columns.iter().find(|column| column.heading() == "preset").map(|name| table.cell(&runs[1], name)),
            Some("static-shapes-nem".into())
        );
        let units = Column::Setting("model.cell.units".into());
        assert!(columns.contains(&units));
        assert_eq!(
            (table.cell(&runs[0], &units), table.cell(&runs[1], &units)),
            (NOTHING.into(), "250".into())
        );
        table.read([].into_iter());
        assert!(table.differing.is_empty());
    }
}
