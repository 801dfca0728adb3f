//! Other runs, laid beside the one on the screen, and how their settings differ.

use super::history::History;
use crate::preset::{Preset, differences};
use crate::protocol::{Rival, RunCard};

/// A run whose curves are drawn beside those of the one on the screen.
#[derive(Clone, Debug)]
pub struct Against {
    /// Its name.
    pub name: String,
    /// The preset it began with.
    pub preset: Preset,
    /// Everything random follows from it.
    pub seed: u64,
    /// Its curves.
    pub history: History,
}

impl From<Rival> for Against {
    fn from(rival: Rival) -> Against {
        let history = History::of(&rival.metrics);
        Against { name: rival.name, preset: rival.preset, seed: rival.seed, history }
    }
}

/// The choice of runs to compare with.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// The runs there are, but for the one on the screen.
    pub runs: Vec<RunCard>,
    /// The line that the choice stands at.
    pub selected: usize,
    /// Whether there may be runs that were not found yet.
    pub reading: bool,
}

impl Choice {
    /// Adds a run below those that are newer. What is chosen stays chosen.
    pub fn add(&mut self, run: RunCard) {
        if self.runs.iter().any(|known| known.directory == run.directory) {
            return;
        }
        let at = self.runs.partition_point(|other| other.changed >= run.changed);
        if at <= self.selected && !self.runs.is_empty() {
            self.selected += 1;
        }
        self.runs.insert(at, run);
    }
}

/// A setting in which runs differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Where it stands in the preset.
    pub path: String,
    /// Its value in the run on the screen, then in the others.
    pub values: Vec<String>,
}

/// The settings in which any of `others` differs from `own` (each a preset and a seed), in the order of their names.
/// What is only said about a preset is no setting.
pub fn table(own: (&Preset, u64), others: &[Against]) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for (column, other) in others.iter().enumerate() {
        for difference in differences(own.0, &other.preset) {
            if ["about", "expect"].contains(&difference.path.as_str()) {
                continue;
            }
            let at = rows.partition_point(|row| row.path < difference.path);
            if rows.get(at).is_none_or(|row| row.path != difference.path) {
                let values = vec![difference.before; 1 + others.len()];
                rows.insert(at, Row { path: difference.path, values });
            }
            rows[at].values[1 + column] = difference.after;
        }
    }
    if others.iter().any(|other| other.seed != own.1) {
        let seeds = std::iter::once(own.1).chain(others.iter().map(|other| other.seed));
        rows.push(Row { path: "seed".into(), values: seeds.map(|seed| seed.to_string()).collect() });
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Metrics;

    fn against(preset: Preset, seed: u64) -> Against {
        Rival { name: "other".into(), preset, seed, metrics: Metrics::default() }.into()
    }

    #[test]
    fn only_what_differs_is_in_the_table() {
        let own = Preset::load("quickstart").unwrap();
        let set = |sets: &[&str]| own.set(&sets.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>()).unwrap();
        let (many, fast) = (set(&["k=6"]), set(&["train.learning_rate=0.01", "k=7"]));
        let rows = table((&own, 1), &[against(many, 1), against(fast, 1)]);
        let k = own.k.to_string();
        assert_eq!(rows[0], Row { path: "k".into(), values: vec![k, "6".into(), "7".into()] });
        assert_eq!((rows.len(), rows[1].path.as_str()), (2, "train.learning_rate"));
        assert_eq!(rows[1].values[0], rows[1].values[1], "the second run has the first's rate");
        assert!(table((&own, 1), &[against(own.clone(), 1)]).is_empty());
        assert_eq!(table((&own, 1), &[against(own.clone(), 2)])[0].values, ["1", "2"]);
    }
}
