//! The trials of a sweep: every combination of its settings and seeds that its conditions allow.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::condition::Condition;
use super::spec::{Fields, Random, Range, Spec, Text};
use crate::error::{Error, Result};
use crate::preset::Preset;
use crate::random::{Purpose, Stream};

/// More combinations than these are a mistake.
const MOST: u64 = 1_000_000;
/// The longest part of a directory's name that names settings.
const LONGEST_NAME: usize = 120;
/// How many problems are told.
const TOLD: usize = 10;

/// One run of a sweep: a line of `trials.jsonl`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    /// Its number, from 1.
    pub trial: usize,
    /// The name of its directory.
    pub run: String,
    /// Its preset: a name, or the path of a file from the sweep's directory.
    pub preset: String,
    /// The seed of all random numbers.
    pub seed: u64,
    /// The settings that vary, as `--set` has them.
    pub set: Vec<String>,
    /// Maximum number of iterations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_iterations: Option<u64>,
}

impl Trial {
    /// The fields that vary, with their values.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.set.iter().map(|set| set.split_once('=').unwrap_or((set, "")))
    }
}

/// What came of a sweep's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The trials, those with the first seed first.
    pub trials: Vec<Trial>,
    /// Combinations for which a condition does not hold.
    pub left_out: usize,
    /// Combinations that were there already.
    pub doubled: usize,
}

/// Combines everything that varies in `spec`. `base` is the preset that all trials have in common, `file` its name for
/// them, and `origin` the name of the sweep's file for messages.
///
/// # Errors
/// A condition that cannot be read, more combinations than anybody wants, or settings that the preset does not accept;
/// all of these are named.
pub fn resolve(spec: &Spec, base: &Preset, file: &str, origin: &str) -> Result<Resolved> {
    let told = |problem: String| Error::Preset { origin: origin.to_owned(), problem };
    let only = spec.only.iter().map(|text| Condition::parse(text));
    let only: Vec<Condition> = only.collect::<Result<_, _>>().map_err(|e| told(format!("only: {e}")))?;
    let many = combinations_of(spec).saturating_mul(spec.seeds.0.len() as u64);
    if many > MOST {
        return Err(told(format!("{many} trials are more than {MOST}; leave out values or seeds")));
    }
    let (mut left_out, mut doubled) = (0, 0);
    let mut kept: Vec<Vec<String>> = Vec::new();
    let mut seen = HashSet::new();
    let mut problems: Vec<(String, String, usize)> = Vec::new();
    for set in combinations(spec) {
        if !seen.insert(set.clone()) {
            doubled += 1;
            continue;
        }
        match accepted(base, &set, &only) {
            Ok(true) => kept.push(set),
            Ok(false) => left_out += 1,
            Err(problem) => match problems.iter_mut().find(|(known, ..)| *known == problem) {
                Some((_, _, more)) => *more += 1,
                None => problems.push((problem, set.join(" "), 0)),
            },
        }
    }
    if !problems.is_empty() {
        let sentence = |(problem, set, more): &(String, String, usize)| match more {
            0 => format!("{set}: {problem}"),
            more => format!("{set} and {more} more: {problem}"),
        };
        let mut list: Vec<String> = problems.iter().take(TOLD).map(sentence).collect();
        if problems.len() > TOLD {
            list.push(format!("and {} other problems", problems.len() - TOLD));
        }
        return Err(told(list.join("; ")));
    }
    if kept.is_empty() {
        return Err(told(match left_out {
            0 => "there are no trials: list is empty or random.count is 0".into(),
            _ => format!("the conditions of only leave out all {left_out} combinations"),
        }));
    }
    let with_seeds = spec.seeds.0.iter().flat_map(|seed| kept.iter().map(move |set| (*seed, set)));
    let trial = |(i, (seed, set)): (usize, (u64, &Vec<String>))| Trial {
        trial: i + 1,
        run: name(set, seed),
        preset: file.to_owned(),
        seed,
        set: set.clone(),
        max_iterations: spec.max_iterations,
    };
    Ok(Resolved { trials: with_seeds.enumerate().map(trial).collect(), left_out, doubled })
}

/// Whether the conditions allow `set`.
fn accepted(base: &Preset, set: &[String], only: &[Condition]) -> Result<bool, String> {
    let problem = |e: Error| match e {
        Error::Preset { problem, .. } => problem,
        other => other.to_string(),
    };
    let preset = base.set_unchecked(set).map_err(problem)?;
    for condition in only {
        if !condition.holds(&preset).map_err(|problem| format!("only: {problem}"))? {
            return Ok(false);
        }
    }
    preset.validate("").map_err(problem)?;
    let path = |set: &'_ String| set.split('=').next().unwrap_or_default().to_owned();
    match set.iter().map(path).find(|path| preset.is_set_by_stages(path)) {
        Some(path) => Err(format!("the stages of {} set {path} themselves", preset.name)),
        None => Ok(true),
    }
}

/// A number of things, in words.
pub fn counted(count: usize, thing: &str) -> String {
    format!("{count} {thing}{}", if count == 1 { "" } else { "s" })
}

/// The number of combinations, without seeds.
fn combinations_of(spec: &Spec) -> u64 {
    let grid = spec.grid.0.iter().map(|(_, values)| values.len() as u64);
    let list = (!spec.list.is_empty()).then_some(spec.list.len() as u64);
    let random = spec.random.as_ref().map(|random| random.count);
    grid.chain(list).chain(random).fold(1, u64::saturating_mul)
}

/// All combinations, each as arguments of `--set`.
fn combinations(spec: &Spec) -> Vec<Vec<String>> {
    let mut all: Vec<Vec<String>> = vec![Vec::new()];
    let mut multiply = |by: Vec<Vec<String>>| {
        all = all.iter().flat_map(|set| by.iter().map(move |more| [&set[..], more].concat())).collect();
    };
    if !spec.list.is_empty() {
        let entry =
            |Fields(fields): &Fields<Text>| fields.iter().map(|(name, value)| set(name, value)).collect();
        multiply(spec.list.iter().map(entry).collect());
    }
    for (name, values) in &spec.grid.0 {
        multiply(values.iter().map(|value| vec![set(name, value)]).collect());
    }
    if let Some(random) = &spec.random {
        multiply((0..random.count).map(|i| draw(random, i)).collect());
    }
    all
}

fn set(name: &str, Text(value): &Text) -> String {
    format!("{}={value}", name.trim())
}

/// The draw with number `i`.
fn draw(random: &Random, i: u64) -> Vec<String> {
    let value = |(name, range): &(String, Range)| {
        let mut stream = Stream::new(random.seed, Purpose::Sweep, i, number_of(name));
        let mut between = |low: f64, high: f64| low + (high - low) * f64::from(stream.uniform());
        set(
            name,
            &match range {
                Range::Uniform(low, high) => rounded(between(*low, *high)),
                Range::LogUniform(low, high) => rounded(between(low.ln(), high.ln()).exp()),
                Range::Integer(low, high) => {
                    let width = high.abs_diff(*low).saturating_add(1);
                    let above = stream.below(usize::try_from(width).unwrap_or(usize::MAX));
                    Text(low.saturating_add_unsigned(above as u64).to_string())
                }
                Range::Choice(values) => values[stream.below(values.len())].clone(),
            },
        )
    };
    random.draw.0.iter().map(value).collect()
}

/// A field's number among random numbers.
fn number_of(name: &str) -> u64 {
    let hash: [u8; 32] = Sha256::digest(name.as_bytes()).into();
    hash.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// A number with four digits.
fn rounded(number: f64) -> Text {
    let short: f64 = format!("{number:.3e}").parse().unwrap_or(number);
    Text(short.to_string())
}

/// The name of the directory of a trial: what differs, and the seed.
pub fn name(set: &[String], seed: u64) -> String {
    let whole = set.join(",");
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._+-=,".contains(c);
    let plain: String = whole.chars().map(|c| if is_plain(c) { c } else { '_' }).take(LONGEST_NAME).collect();
    let mut name = plain.clone();
    if plain != whole {
        // So that different settings have different names.
        let hash = Sha256::digest(whole.as_bytes());
        name += "-";
        name.extend(hash.iter().take(4).map(|byte| format!("{byte:02x}")));
    }
    if name.is_empty() { format!("seed={seed}") } else { format!("{name},seed={seed}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(text: &str) -> Result<Resolved> {
        let spec = Spec::parse(&format!("(preset: \"quickstart\", {text})"), "my.ron").unwrap();
        resolve(&spec, &Preset::load("quickstart").unwrap(), "preset.ron", "my.ron")
    }

    fn names(text: &str) -> Vec<String> {
        resolved(text).unwrap().trials.into_iter().map(|trial| trial.run).collect()
    }

    #[test]
    fn everything_is_combined_and_the_first_seed_comes_first() {
        let text = "list: [{\"data.objects\": 2, \"steps\": 5}, {\"data.objects\": 3, \"steps\": 8}], \
                    grid: {\"k\": [3, 4], \"noise.probability\": [0.1]}, seeds: 2, max_iterations: 7";
        let all = names(text);
        assert_eq!(all.len(), 8);
        assert_eq!(all[0], "data.objects=2,steps=5,k=3,noise.probability=0.1,seed=1");
        assert_eq!(all[1], "data.objects=2,steps=5,k=4,noise.probability=0.1,seed=1");
        assert_eq!(all[7], "data.objects=3,steps=8,k=4,noise.probability=0.1,seed=2");
        let last = resolved(text).unwrap().trials.pop().unwrap();
        assert_eq!((last.trial, last.seed, last.max_iterations), (8, 2, Some(7)));
        assert_eq!(last.set, ["data.objects=3", "steps=8", "k=4", "noise.probability=0.1"]);
        assert_eq!(names("seeds: 2"), ["seed=1", "seed=2"]);
        assert_eq!(names("seeds: [7, 4]"), ["seed=7", "seed=4"]);
    }

    #[test]
    fn conditions_leave_out_and_equal_combinations_count_once() {
        let some =
            resolved("grid: {\"k\": [2, 3, 4, 4], \"data.objects\": [2, 3]}, only: [\"k > data.objects\"]");
        let some = some.unwrap();
        assert_eq!((some.trials.len(), some.left_out, some.doubled), (3, 3, 2));
        // An impossible combination that is left out is no error.
        assert_eq!(names("grid: {\"k\": [4, 65]}, only: [\"k < 65\"]").len(), 1);
    }

    #[test]
    fn draws_are_in_range_and_stay_when_there_are_more() {
        let of = |count, more: &str| {
            names(&format!(
                "random: (count: {count}, seed: 3, draw: {{{more}\"k\": Integer(2, 6), \
                 \"train.learning_rate\": LogUniform(1e-4, 1e-2), \"train.batch\": Choice([32, 64])}})"
            ))
        };
        let (few, many) = (of(5, ""), of(40, ""));
        assert_eq!(few, many[..5]);
        assert_eq!(of(5, "\"steps\": Integer(3, 3), ")[4], format!("steps=3,{}", few[4]));
        let mut ks = HashSet::new();
        for trial in resolved(
            "random: (count: 40, draw: {\"k\": Integer(2, 6), \"noise.probability\": Uniform(0.1, 0.3), \
                               \"train.learning_rate\": LogUniform(1e-4, 1e-2)})",
        )
        .unwrap()
        .trials
        {
            let values: Vec<f64> = trial.fields().map(|(_, value)| value.parse().unwrap()).collect();
            assert!((0.1..=0.3).contains(&values[1]) && (1e-4..=1e-2).contains(&values[2]), "{trial:?}");
            ks.insert(values[0] as u64);
        }
        assert_eq!(ks.len(), 5, "{ks:?}");
    }

    #[test]
    fn every_value_that_no_preset_accepts_is_named() {
        let told = resolved("grid: {\"k\": [3, 65, many], \"noise.probability\": [0.1, 2], \"kk\": [1]}");
        assert!(told.unwrap_err().to_string().contains("has no field \"kk\""));
        let told = resolved("grid: {\"k\": [3, 65, many], \"noise.probability\": [0.1, 2]}")
            .unwrap_err()
            .to_string();
        for part in ["my.ron: ", "k is 65", "\"many\" is not a valid k", "noise.probability is 2"] {
            assert!(told.contains(part), "{part}: {told}");
        }
        assert_eq!(told.lines().count(), 1);
        for (text, said) in [
            ("only: [\"kk > 1\"]", "has no field \"kk\""),
            ("only: [\"k >\"]", "only: \"k >\": it ends too soon"),
            ("only: [\"k > 9\"]", "leave out all 1 combinations"),
            ("random: (count: 0, draw: {\"k\": Integer(1, 2)})", "there are no trials"),
            (
                "random: (count: 10000000, draw: {\"k\": Integer(1, 2)})",
                "10000000 trials are more than 1000000",
            ),
        ] {
            let told = resolved(text).unwrap_err().to_string();
            assert!(told.contains(said), "{text}: {told}");
        }
    }

    #[test]
    fn names_are_plain_short_and_different() {
        let of = |set: &str| name(&[set.to_owned()], 1);
        assert_eq!(of("k=3"), "k=3,seed=1");
        let (a, b) = (of("noise=Bitflip(probability: 0.1)"), of("noise=Bitflip(probability: 0.1 )"));
        assert!(a.starts_with("noise=Bitflip_probability__0.1_-") && a != b, "{a} {b}");
        assert!(of(&format!("name={}", "x".repeat(999))).len() < 150);
    }
}
