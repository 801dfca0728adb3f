//! The file of a sweep: RON, like a preset.

use std::collections::HashSet;
use std::fmt;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use ron::extensions::Extensions;
use ron::value::RawValue;
use serde::Deserialize;
use serde::de::{self, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use crate::error::{Error, Result};
use crate::files::{directory_of, has_extension, read_text};
use crate::paths::shown;
use crate::preset::{Preset, Setting};

/// The most seeds that a number can stand for.
const MOST_SEEDS: u64 = 100_000;

/// A sweep. Every combination of a value of each `grid` field, an entry of `list`, a draw of `random` and a seed is a
/// trial, unless a condition of `only` does not hold for it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename = "Sweep", deny_unknown_fields)]
pub struct Spec {
    /// The preset's name, or its path from this file.
    pub preset: PathBuf,
    /// Settings of all trials, as `--set` has them: `["train.max_epochs=20"]`.
    #[serde(default)]
    pub set: Vec<String>,
    /// The values of each field, all combined: `{"k": [3, 4, 5], "noise.probability": [0.1, 0.2]}`. The first field
    /// varies slowest.
    #[serde(default)]
    pub grid: Fields<Vec<Text>>,
    /// Settings that belong together: `[{"data.objects": 2, "steps": 5}, {"data.objects": 3, "steps": 8}]`.
    #[serde(default)]
    pub list: Vec<Fields<Text>>,
    /// Random settings.
    #[serde(default)]
    pub random: Option<Random>,
    /// The seeds with which each combination is trained: `5` for 1 to 5, or a list, `[1, 4]`.
    #[serde(default)]
    pub seeds: Seeds,
    /// Conditions between fields of the preset: `["k > data.objects"]`. A combination for which one does not hold is
    /// left out. See [`super::condition`].
    #[serde(default)]
    pub only: Vec<String>,
    /// Maximum number of iterations of each trial; its protocol may end it sooner.
    #[serde(default)]
    pub max_iterations: Option<u64>,
    /// What Slurm is asked for.
    #[serde(default)]
    pub slurm: Slurm,
}

fn one<T: From<u8>>() -> T {
    T::from(1)
}

/// The seeds of the runs, without repetition.
#[derive(Clone, Debug, PartialEq)]
pub struct Seeds(pub Vec<u64>);

impl Default for Seeds {
    fn default() -> Seeds {
        Seeds(vec![1])
    }
}

impl<'de> Deserialize<'de> for Seeds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Seeds, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Seeds;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a number of seeds or a list of them, as 5 or [1, 4]")
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Seeds, E> {
                match number {
                    0 => Err(E::custom("seeds is 0; train with at least 1")),
                    1..=MOST_SEEDS => Ok(Seeds((1..=number).collect())),
                    _ => Err(E::custom(format!("seeds is {number}; at most {MOST_SEEDS} are possible"))),
                }
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Seeds, A::Error> {
                let (mut seeds, mut known) = (Vec::new(), HashSet::new());
                while let Some(seed) = items.next_element()? {
                    if !known.insert(seed) {
                        return Err(A::Error::custom(format!("seed {seed} is there twice")));
                    }
                    seeds.push(seed);
                }
                match seeds.is_empty() {
                    true => Err(A::Error::custom("seeds is empty; train with at least 1")),
                    false => Ok(Seeds(seeds)),
                }
            }
        }

        deserializer.deserialize_any(Reader)
    }
}

/// Settings drawn at random, each draw combined with the rest like a value of a grid.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Random {
    /// Number of draws. More of them keep those that were there.
    pub count: u64,
    /// The seed of the draws, which has nothing to do with the seeds of the runs.
    #[serde(default = "one")]
    pub seed: u64,
    /// How each field is drawn: `{"train.learning_rate": LogUniform(1e-4, 1e-2)}`. Each has its own random numbers, so
    /// another field changes none.
    pub draw: Fields<Range>,
}

/// How a value is drawn.
#[derive(Clone, Debug, Deserialize)]
pub enum Range {
    /// Uniform between two numbers, rounded to four digits.
    Uniform(f64, f64),
    /// Its logarithm is uniform between those of two positive numbers; rounded to four digits.
    LogUniform(f64, f64),
    /// A whole number from the first to the last.
    Integer(i64, i64),
    /// One of these values.
    Choice(Vec<Text>),
}

/// What Slurm is asked for, as options of `sbatch`, and how the program is started there.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Slurm {
    /// `--time`: the limit of a job, as "8:00:00". A trial that needs more is saved, and its job is queued again.
    pub time: Option<String>,
    /// `--partition`.
    pub partition: Option<String>,
    /// `--account`.
    pub account: Option<String>,
    /// `--gres`: devices of each job, as "gpu:1".
    pub gres: Option<String>,
    /// `--cpus-per-task`.
    pub cpus: Option<u32>,
    /// `--mem`: memory of each job, as "8G".
    pub memory: Option<String>,
    /// The most jobs that run at once.
    pub parallel: Option<u32>,
    /// Trials of each job, one after another: more for short ones.
    pub per_job: u32,
    /// Seconds before the limit of time at which trials are saved.
    pub grace: u32,
    /// Modules to load.
    pub modules: Vec<String>,
    /// How to start the program, as words of a shell: "apptainer exec nem.sif nem-tui", or a path on the nodes. If not
    /// given, this program by its path.
    pub program: Option<String>,
    /// More lines of the script, as they are. Those that begin with `#SBATCH` come first.
    pub lines: Vec<String>,
}

impl Default for Slurm {
    fn default() -> Slurm {
        Slurm {
            time: None,
            partition: None,
            account: None,
            gres: None,
            cpus: None,
            memory: None,
            parallel: None,
            per_job: 1,
            grace: 120,
            modules: Vec::new(),
            program: None,
            lines: Vec::new(),
        }
    }
}

impl std::str::FromStr for Slurm {
    type Err = String;

    fn from_str(text: &str) -> Result<Slurm, String> {
        options().from_str(text).map_err(|e| e.to_string())
    }
}

fn options() -> ron::Options {
    ron::Options::default().with_default_extension(Extensions::IMPLICIT_SOME)
}

impl Spec {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// [`Error::Preset`], with line and column for malformed text, unknown fields and wrong types; a field that varies
    /// twice, or a range or number that is impossible.
    pub fn load(path: &Path) -> Result<Spec> {
        Spec::parse(&read_text(path)?, &shown(path).to_string())
    }

    /// The same for RON text; `origin` is the file's name, for messages.
    ///
    /// # Errors
    /// Those of [`Spec::load`].
    pub fn parse(text: &str, origin: &str) -> Result<Spec> {
        let spec: Spec = options().from_str(text).map_err(|e| Error::Preset {
            origin: format!("{origin}:{}:{}", e.span.start.line, e.span.start.col),
            problem: e.code.to_string(),
        })?;
        spec.check().map_err(|problem| Error::Preset { origin: origin.to_owned(), problem })?;
        Ok(spec)
    }

    /// The preset that all trials have in common; `file` is this sweep's.
    ///
    /// # Errors
    /// A preset that cannot be loaded, or impossible settings.
    pub fn base(&self, file: &Path) -> Result<Preset> {
        let is_path = self.preset.components().count() > 1 || has_extension(&self.preset, "ron");
        let preset = match is_path {
            true => Preset::load(directory_of(file).join(&self.preset))?,
            false => Preset::load(&self.preset)?,
        };
        let preset = preset.set(&self.set)?;
        let path = |set: &String| set.split('=').next().unwrap_or_default().trim().to_owned();
        match self.set.iter().map(path).find(|path| preset.is_set_by_stages(path)) {
            None => Ok(preset),
            Some(path) => Err(Error::Usage(format!(
                "{}: set: {path}: the stages of {} set that themselves; override train.stages",
                shown(file),
                preset.name
            ))),
        }
    }

    fn check(&self) -> Result<(), String> {
        let listed = self.list.iter().flat_map(Fields::names);
        let mut listed: Vec<&str> = listed.collect();
        listed.sort_unstable();
        listed.dedup();
        let drawn = self.random.iter().flat_map(|random| random.draw.names());
        let mut all: Vec<&str> = self.grid.names().chain(listed).chain(drawn).map(field).collect();
        all.sort_unstable();
        if let Some(twice) = all.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(format!("{} varies twice in grid, list and random; keep one", twice[0]));
        }
        if let Some((name, _)) = self.grid.0.iter().find(|(_, values)| values.is_empty()) {
            return Err(format!("grid: {name} has no values, so there would be no trials; give one"));
        }
        let Slurm { per_job, parallel, .. } = self.slurm;
        if per_job == 0 || parallel == Some(0) {
            return Err("slurm: per_job and parallel are at least 1".into());
        }
        for (name, range) in self.random.iter().flat_map(|random| &random.draw.0) {
            range.check().map_err(|problem| format!("random: {name}: {problem}"))?;
        }
        Ok(())
    }
}

/// The field with this path or short name. A kind of noise may vary beside its probability.
fn field(name: &str) -> &str {
    match Setting::named(name) {
        Some(kind) if name != "noise" => kind.field(),
        _ => name,
    }
}

impl Range {
    fn check(&self) -> Result<(), String> {
        let (low, high) = match self {
            Range::Choice(values) if values.is_empty() => {
                return Err("there are no values to choose from".into());
            }
            Range::Choice(_) => return Ok(()),
            Range::Integer(low, high) => (*low as f64, *high as f64),
            Range::LogUniform(low, _) if *low <= 0.0 => {
                return Err(format!("LogUniform begins at {low}; both numbers must be above 0"));
            }
            Range::Uniform(low, high) | Range::LogUniform(low, high) => (*low, *high),
        };
        match low <= high && low.is_finite() && high.is_finite() {
            true => Ok(()),
            false => Err(format!("the range from {low} to {high} is empty; write the smaller number first")),
        }
    }
}

/// A value as it is written, which `--set` understands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text(pub String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Text, D::Error> {
        let raw = Box::<RawValue>::deserialize(from)?;
        Ok(Text(raw.trim().get_ron().to_owned()))
    }
}

/// Fields of the preset by their paths, in the order of the file.
#[derive(Clone, Debug)]
pub struct Fields<T>(pub Vec<(String, T)>);

impl<T> Default for Fields<T> {
    fn default() -> Fields<T> {
        Fields(Vec::new())
    }
}

impl<T> Fields<T> {
    fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Fields<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Fields<T>, D::Error> {
        struct Ordered<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Ordered<T> {
            type Value = Fields<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of fields, {\"k\": …}")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<T>, A::Error> {
                let mut fields: Vec<(String, T)> = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, T>()? {
                    if fields.iter().any(|(known, _)| *known == name) {
                        return Err(A::Error::custom(format!("{name} is there twice")));
                    }
                    fields.push((name, value));
                }
                Ok(Fields(fields))
            }
        }
        from.deserialize_map(Ordered(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> String {
        Spec::parse(text, "my.ron").unwrap_err().to_string()
    }

    #[test]
    fn values_stay_as_they_are_written() {
        let spec = Spec::parse(
            r#"Sweep(
                preset: "quickstart",
                grid: { "noise": [Bitflip(probability: 0.1), None], "k": [3, /* more */ 4], "name": ["a b"] },
                list: [{"loss.steps": Last}],
                random: (count: 2, draw: { "train.learning_rate": LogUniform(1e-4, 1e-2), "train.batch": Choice([32, 64]) }),
                slurm: (time: "1:00:00", lines: ["ulimit -v 1"]),
            )"#,
            "my.ron",
        )
        .unwrap();
        let grid: Vec<(&str, Vec<&str>)> = spec
            .grid
            .0
            .iter()
            .map(|(name, values)| (name.as_str(), values.iter().map(|Text(text)| text.as_str()).collect()))
            .collect();
        assert_eq!(grid[0], ("noise", vec!["Bitflip(probability: 0.1)", "None"]));
        assert_eq!((grid[1].0, grid[1].1[0], grid[2].1[0]), ("k", "3", "\"a b\""));
        assert!(grid[1].1[1].ends_with('4'), "{grid:?}");
        assert_eq!(
            (spec.seeds, spec.slurm.per_job, spec.slurm.time.as_deref()),
            (Seeds(vec![1]), 1, Some("1:00:00"))
        );
    }

    #[test]
    fn what_is_wrong_is_placed_or_named() {
        let typo = problem("Sweep(\n    preset: \"quickstart\",\n    gird: {},\n)");
        assert!(typo.starts_with("my.ron:3:") && typo.contains("gird") && typo.contains("grid"), "{typo}");
        let wrong = problem("(preset: \"quickstart\", seeds: \"five\")");
        assert!(wrong.starts_with("my.ron:1:"), "{wrong}");
        assert!(problem("(preset: \"quickstart\",").starts_with("my.ron:"));
        for (text, said) in [
            ("grid: {\"k\": [1], \"k\": [2]}", "k is there twice"),
            ("grid: {\"k\": [1]}, list: [{\"k\": 2}]", "k varies twice"),
            ("grid: {\"lr\": [1], \"train.learning_rate\": [2]}", "train.learning_rate varies twice"),
            ("grid: {\"k\": []}", "k has no values"),
            ("seeds: 0", "seeds is 0"),
            ("seeds: 100001", "at most 100000"),
            ("seeds: -1", "a number of seeds or a list"),
            ("seeds: []", "seeds is empty"),
            ("seeds: [4, 1, 4]", "seed 4 is there twice"),
            ("slurm: (per_job: 0)", "at least 1"),
            ("random: (count: 1, draw: {\"k\": Integer(5, 3)})", "k: the range from 5 to 3 is empty"),
            ("random: (count: 1, draw: {\"k\": LogUniform(0, 3)})", "must be above 0"),
            ("random: (count: 1, draw: {\"k\": Choice([])})", "no values to choose"),
        ] {
            let told = problem(&format!("(preset: \"quickstart\", {text})"));
            assert!(told.starts_with("my.ron") && told.contains(said), "{text}: {told}");
        }
    }
}
