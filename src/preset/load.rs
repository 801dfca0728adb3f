//! Loading presets by name or path, and `--set`. Errors say where the problem is.

use std::path::Path;

use ron::extensions::Extensions;
use serde_json::Value;

use super::schema::Preset;
use super::typed::{self, options};
use crate::error::{Error, Result};
use crate::files::{has_extension, read_text};
use crate::paths::{meant, shown};

/// The embedded presets, as (name, RON text). The first is the default.
pub fn embedded() -> &'static [(&'static str, &'static str)] {
    macro_rules! files {
        ($($name:literal),* $(,)?) => {
            &[$(($name, include_str!(concat!("../../presets/", $name, ".ron")))),*]
        };
    }
    files![
        "quickstart",
        "static-shapes-rnn-em",
        "static-shapes-nem",
        "static-shapes-fast",
        "static-shapes-longer",
        "flying-shapes-fast",
        "flying-shapes-3",
        "flying-shapes-3-k5",
        "flying-shapes-5-k3",
        "flying-shapes-5-k5",
        "flying-mnist-2",
        "flying-mnist-2-stages",
        "flying-mnist-fast",
        "flying-shapes-4-k4",
        "flying-shapes-3-k1",
        "flying-shapes-4-k1",
        "flying-shapes-5-k1",
        "flying-shapes-fast-k1",
    ]
}

/// Names of the embedded presets, in the picker's order.
pub fn embedded_names() -> impl Iterator<Item = &'static str> {
    embedded().iter().map(|(name, _)| *name)
}

impl Preset {
    /// The embedded preset `name`, or the file at the path `name` (anything with a `/` or ending in `.ron`).
    ///
    /// # Errors
    /// An unknown name, an unreadable file, or an error of [`Preset::parse`].
    pub fn load(name: impl AsRef<Path>) -> Result<Preset> {
        let path = name.as_ref();
        if let Some((name, text)) = embedded().iter().find(|(known, _)| Path::new(known) == path) {
            return Preset::parse(text, name);
        }
        let is_path = path.as_os_str().as_encoded_bytes().contains(&(std::path::MAIN_SEPARATOR as u8));
        if !(is_path || has_extension(path, "ron")) {
            return Err(Error::Usage(format!(
                "there is no preset called {path:?}; {}choose {}, or give the path of a .ron file",
                meant(path, embedded_names()),
                embedded_names().collect::<Vec<_>>().join(", ")
            )));
        }
        Preset::parse(&read_text(path)?, &shown(path).to_string())
    }

    /// Reads RON text; `origin` is the file's name, for messages.
    ///
    /// # Errors
    /// [`Error::Preset`], with line and column for malformed text, unknown fields and wrong types, and with the
    /// fields' names for invalid values.
    pub fn parse(text: &str, origin: &str) -> Result<Preset> {
        let preset: Preset = options().from_str(text).map_err(|e| Error::Preset {
            origin: format!("{origin}:{}:{}", e.span.start.line, e.span.start.col),
            problem: e.code.to_string(),
        })?;
        preset.validate(origin)?;
        Ok(preset)
    }

    /// The preset as RON text, which [`Preset::parse`] reads back.
    pub fn to_ron(&self) -> String {
        let config = ron::ser::PrettyConfig::new()
            .indentor("    ")
            .depth_limit(6)
            .extensions(Extensions::IMPLICIT_SOME);
        // Serialising plain data into memory cannot fail.
        options().to_string_pretty(self, config).unwrap_or_default() + "\n"
    }

    /// Applies `--set` arguments, each `path=value`, in order, and validates the result.
    ///
    /// A path has the fields' names from the top, joined by dots: `k=5`, `train.batch=32`, `data.objects=4`,
    /// `noise.probability=0.2`, `loss.steps=All`, `model.cell.layers.0.units=100`. It leaves out the names of enum
    /// variants. The short names of live settings, such as `lr`, are paths, too. A value is RON, or a plain value that
    /// stands for it: `noise=0.2` keeps the kind of noise.
    ///
    /// # Errors
    /// [`Error::Preset`] for an argument without `=`, an unknown path (with the known fields), a value of the wrong
    /// type, or an invalid result.
    pub fn set<S: AsRef<str>>(&self, assignments: &[S]) -> Result<Preset> {
        let preset = self.set_unchecked(assignments)?;
        let origin = match assignments.last() {
            Some(last) => format!("{} with --set {}", self.name, last.as_ref()),
            None => self.name.clone(),
        };
        preset.validate(&origin)?;
        Ok(preset)
    }

    /// The same without validating the result.
    ///
    /// # Errors
    /// Those of [`Preset::set`], except for an invalid result.
    pub fn set_unchecked<S: AsRef<str>>(&self, assignments: &[S]) -> Result<Preset> {
        let mut preset = self.clone();
        for assignment in assignments {
            let assignment = assignment.as_ref();
            preset = preset
                .set_one(assignment)
                .map_err(|problem| Error::Preset { origin: format!("--set {assignment}"), problem })?;
        }
        Ok(preset)
    }

    /// The value of the field at `path`, which may be a setting's short name, as JSON.
    ///
    /// # Errors
    /// A sentence: an unknown path, with the known fields.
    pub fn get(&self, path: &str) -> Result<Value, String> {
        let mut tree = serde_json::to_value(self).map_err(|e| e.to_string())?;
        let path = typed::path_of(self, path);
        find(&mut tree, path).map(|value| value.clone()).map_err(|problem| self.with_hint(problem, path))
    }

    fn set_one(&self, assignment: &str) -> Result<Preset, String> {
        let (path, text) =
            assignment.split_once('=').ok_or("write it as path=value, for example --set train.batch=32")?;
        let (path, text) = (typed::path_of(self, path.trim()), text.trim());
        let mut tree = serde_json::to_value(self).map_err(|e| e.to_string())?;
        let slot = find(&mut tree, path).map_err(|problem| self.with_hint(problem, path))?;
        *slot = typed::value(self, path, text)?;
        serde_json::from_value(tree).map_err(|e| format!("{text:?} is not a valid {path}: {}", in_words(&e)))
    }

    /// Adds the path that may have been meant: the one that ends in the same field.
    fn with_hint(&self, problem: String, path: &str) -> String {
        let field = |path: &str| path.rsplit('.').next().map(str::to_owned);
        let paths = self.paths();
        let near: Vec<_> =
            paths.iter().filter(|known| *known != path && field(known) == field(path)).collect();
        match near[..] {
            [near] => format!("{problem}; did you mean {near}?"),
            _ => problem,
        }
    }
}

/// Why a value cannot be read, without the names of Rust's types.
fn in_words(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let takes = match text.rsplit_once("expected ").map_or("", |(_, what)| what) {
        "usize" | "u64" | "u32" | "u8" => "a whole number",
        "f64" | "f32" => "a number",
        "a boolean" => "true or false",
        _ => return text,
    };
    format!("it takes {takes}")
}

/// The value at `path` in `tree`. Enum variants, which serde writes as `{"Variant": {..}}`, are not part of it.
pub(super) fn find<'a>(tree: &'a mut Value, path: &str) -> Result<&'a mut Value, String> {
    let mut at = tree;
    let mut walked = String::new();
    for key in path.split('.') {
        at = inside_variant(at);
        let known = match &*at {
            Value::Object(fields) => fields.keys().cloned().collect(),
            Value::Array(items) => (0..items.len()).map(|i| i.to_string()).collect::<Vec<_>>(),
            _ => Vec::new(),
        };
        let place = if walked.is_empty() { "the preset".to_owned() } else { walked.clone() };
        at = match at {
            Value::Object(fields) => fields.get_mut(key),
            Value::Array(items) => key.parse::<usize>().ok().and_then(|i| items.get_mut(i)),
            _ => None,
        }
        .ok_or_else(|| match known.is_empty() {
            true => format!("{place} is a single value and has no field {key:?}"),
            false => format!("{place} has no field {key:?}; it has {}", known.join(", ")),
        })?;
        if !walked.is_empty() {
            walked.push('.');
        }
        walked.push_str(key);
    }
    Ok(at)
}

fn inside_variant(value: &mut Value) -> &mut Value {
    match typed::variant_of(value).map(str::to_owned) {
        Some(name) => &mut value[name.as_str()],
        None => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preset::{Activation, Cell, Data, Layer, ShapeSet, StepWeights};

    fn quickstart() -> Preset {
        Preset::load("quickstart").unwrap()
    }

    fn message(result: Result<Preset>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn every_embedded_preset_is_valid_and_carries_its_own_name() {
        for (name, text) in embedded() {
            let preset = Preset::parse(text, name).unwrap();
            assert_eq!(&preset.name, name);
            assert!(!preset.about.is_empty() && !preset.expect.is_empty(), "{name} lacks a description");
            assert_eq!(Preset::parse(&preset.to_ron(), name).unwrap(), preset);
        }
    }

    #[test]
    fn set_reaches_fields_variants_and_layers() {
        let preset = quickstart()
            .set(&[
                "k=5",
                "noise.probability=0.25",
                "data.shape_set=Paper",
                "loss.steps=Last",
                "model.cell.layers.1=Dense(activation: Sigmoid)",
                "train.learning_rate=1e-3",
                "name=mine",
            ])
            .unwrap();
        assert_eq!((preset.k, preset.noise.probability()), (5, Some(0.25)));
        assert!(matches!(preset.data, Data::Shapes { shape_set: ShapeSet::Paper, .. }));
        assert_eq!(preset.loss.steps, StepWeights::Last);
        assert_eq!(preset.train.learning_rate, 1e-3);
        assert_eq!(preset.name, "mine");
        let Cell::RnnEm { layers } = preset.model.cell else { panic!("the cell changed") };
        assert_eq!(
            layers[1],
            Layer::Dense { units: None, layer_norm: false, activation: Activation::Sigmoid }
        );
        let whole =
            quickstart().set(&["noise=Bitflip(probability: 0.5)", "model.cell=Nem(units: 9)"]).unwrap();
        assert_eq!(whole.noise.probability(), Some(0.5));
        assert_eq!(whole.model.cell, Cell::Nem { units: 9 });
        let clipped = quickstart().set(&["train.clip_norm=2"]).unwrap();
        assert_eq!(clipped.train.clip_norm, Some(2.0));
        assert_eq!(clipped.set(&["train.clip_norm=None"]).unwrap().train.clip_norm, None);
        let stages = ["train.stages=[(learning_rate: 1)]", "train.stages.0.max_epochs=3"];
        assert_eq!(quickstart().set(&stages).unwrap().train.stages[0].max_epochs, Some(3));
    }

    #[test]
    fn the_last_steps_count_in_the_loss() {
        let weights = |set: &str| {
            let preset = quickstart().set(&["steps=4", set]).unwrap();
            preset.loss.steps.weights(preset.steps)
        };
        assert_eq!(weights("loss.steps=Last"), [0.0, 0.0, 0.0, 1.0]);
        assert_eq!(weights("loss.steps=LastSteps(3)"), [0.0, 1.0, 1.0, 1.0]);
        assert_eq!(weights("loss.steps=LastSteps(9)"), weights("loss.steps=All"));
    }

    #[test]
    fn set_says_what_there_is_instead() {
        let unknown = message(quickstart().set(&["train.bach=3"]));
        assert!(unknown.contains("--set train.bach=3") && unknown.contains("batch"), "{unknown}");
        assert!(message(quickstart().set(&["k"])).contains("path=value"));
        assert!(
            message(quickstart().set(&["k=many"]))
                .contains("\"many\" is not a valid k: it takes a whole number")
        );
        assert!(message(quickstart().set(&["train.learning_rate=fast"])).ends_with("it takes a number"));
        assert!(message(quickstart().set(&["k.x=1"])).contains("k is a single value"));
        assert!(message(quickstart().set(&["k=-1"])).contains("not a valid k"));
        assert!(message(quickstart().set(&["k=0"])).contains("k is 0"));
    }

    /// A later stage adds to what the stages before it have set.
    #[test]
    fn stages_add_up() {
        let stages = "train.stages=[(learning_rate: 0.1, set: [K(1), Steps(3)], max_epochs: 2), \
                      (learning_rate: 0.2, set: [K(2), InterWeight(0.5)], loss_steps: Last)]";
        let preset = quickstart().set(&[stages]).unwrap();
        assert_eq!(Preset::parse(&preset.to_ron(), "p").unwrap(), preset);
        let first = preset.at_first_stage();
        assert_eq!((first.k, first.steps, first.train.learning_rate), (1, 3, 0.1));
        let last = preset.after_stages(9);
        assert_eq!((last.k, last.steps, last.loss.inter_weight, last.train.learning_rate), (2, 3, 0.5, 0.2));
        assert_eq!((&first.loss.steps, &last.loss.steps), (&StepWeights::All, &StepWeights::Last));
        assert_eq!(preset.most_epochs(), 2 + preset.train.max_epochs);
        let paths =
            ["k", "steps", "loss.inter_weight", "train.learning_rate", "noise.probability", "data.objects"];
        assert_eq!(paths.map(|path| preset.is_set_by_stages(path)), [true, true, true, true, false, false]);
        assert!(preset.is_set_by_stages("loss.steps") && !quickstart().is_set_by_stages("loss.steps"));
        assert!(!quickstart().is_set_by_stages("train.learning_rate"));
        let late = "train.stages=[(learning_rate: 1), (learning_rate: 1, set: [K(65)])]";
        assert!(message(quickstart().set(&[late])).contains("train.stages[1] is impossible: k is 65"));
    }

    /// As Notepad saves it.
    #[test]
    fn a_file_may_have_a_mark_and_the_line_ends_of_windows() {
        let file = tempfile::Builder::new().suffix(".ron").tempfile().unwrap();
        let name = file.path().to_str().unwrap();
        let text = quickstart().to_ron();
        std::fs::write(file.path(), format!("\u{feff}// mine\r\n{}", text.replace('\n', "\r\n"))).unwrap();
        assert_eq!(Preset::load(name).unwrap(), quickstart());
        let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        std::fs::write(file.path(), wide).unwrap();
        assert_eq!(message(Preset::load(name)), format!("{name}: is UTF-16; save it as UTF-8"));
    }

    #[test]
    fn malformed_text_is_placed_by_line_and_column() {
        let text = quickstart().to_ron();
        let typo = message(Preset::parse(&text.replace("    k:", "    kk:"), "my.ron"));
        assert!(typo.starts_with("my.ron:") && typo.contains("kk") && typo.contains("`k`"), "{typo}");
        let line = text.lines().position(|l| l.starts_with("    k:")).unwrap() + 1;
        assert!(typo.contains(&format!("my.ron:{line}:")), "{typo} not in line {line}");
        let wrong = message(Preset::parse(&text.replace("    k: 4", "    k: \"four\""), "my.ron"));
        assert!(wrong.starts_with("my.ron:"), "{wrong}");
        let cut = message(Preset::parse(&text[..text.len() / 2], "my.ron"));
        assert!(cut.starts_with("my.ron:"), "{cut}");
    }

    #[test]
    fn impossible_values_and_combinations_name_the_fields() {
        for (assignment, named) in [
            ("k=65", "k is 65"),
            ("steps=0", "steps is 0"),
            ("noise.probability=1.5", "noise.probability is 1.5"),
            ("model.epsilons.layer_norm=-1.0", "model.epsilons.layer_norm is -1"),
            ("data.height=3", "data.height x data.width"),
            ("data.objects=0", "data.objects is 0"),
            ("train.train_size=3", "train.train_size is 3 but train.batch is"),
            (
                "train.test_size=5000000000",
                "train.test_size is 5000000000; a split has at most 4294967295 images",
            ),
            ("train.learning_rate=0", "train.learning_rate is 0"),
            ("train.clip_norm=0", "train.clip_norm is 0"),
            ("train.clip_norm=-1", "train.clip_norm is -1"),
            ("loss.steps=List([1.0])", "loss.steps lists 1 weights but steps is"),
            ("loss.steps=LastSteps(0)", "at least 1 step must count"),
            ("train.stages=[(learning_rate: 0)]", "train.stages[0].learning_rate is 0"),
            (
                "train.stages=[(learning_rate: 1, set: [Steps(0)])]",
                "train.stages[0] is impossible: steps is 0",
            ),
            ("train.stages=[(learning_rate: 1, images: First(3))]", "but data has no digits"),
            ("model.cell.layers=[Dense(activation: Output)]", "0 Recurrent layers"),
            (
                "model.cell.layers.1=Dense(units: 3, activation: Output)",
                "puts out a row of 3, but an image of data",
            ),
            ("model.cell.layers=[Recurrent(units: 3)]", "must end with a Dense or an UpsampleConv"),
            ("model.cell=Nem(units: 1000000)", "model.cell.units is 1000000; for images of 400 values"),
        ] {
            let text = message(quickstart().set(&[assignment]));
            assert!(text.contains(named), "{assignment}: {text}");
        }
        let both = message(quickstart().set(&["model.cell=Nem(units: 3)", "model.distribution=Gaussian()"]));
        assert!(both.contains("model.cell Nem") && both.contains("model.distribution"), "{both}");
        for (speed, named) in [
            ("(min: 2, max: 1)", "0 <= min <= max"),
            (
                "(min: 1.2, max: 1.8, whole: true)",
                "1.2 to 1.8 with `whole`; write a range with a whole number",
            ),
        ] {
            let text =
                message(Preset::load("flying-shapes-3").unwrap().set(&[&format!("data.speed={speed}")]));
            assert!(text.contains(named), "{speed}: {text}");
        }
    }

    mod any_text {
        use super::*;
        use proptest::prelude::*;

        /// Values that a number, a word or a structure may have.
        fn value() -> impl Strategy<Value = String> {
            prop_oneof![
                any::<i64>().prop_map(|n| n.to_string()),
                any::<u64>().prop_map(|n| n.to_string()),
                any::<f64>().prop_map(|n| format!("{n:e}")),
                Just("None".to_owned()),
                "[A-Za-z(){}\\[\\]:,.\"' 0-9é]{0,40}",
                Just("[Conv(channels: 18446744073709551615), Recurrent(units: 1), Dense()]".to_owned()),
                Just("[Recurrent(units: 4), Reshape(channels: 1, height: 4, width: 9223372036854775808), UpsampleConv()]".to_owned()),
                Just("(".repeat(5000)),
                Just("[".repeat(5000)),
                Just("Some(".repeat(5000)),
            ]
        }

        const PATHS: [&str; 18] = [
            "k",
            "steps",
            "name",
            "data",
            "data.height",
            "data.objects",
            "data.speed",
            "noise",
            "model",
            "model.cell",
            "model.cell.layers",
            "model.cell.layers.0",
            "loss.steps",
            "train",
            "train.batch",
            "train.train_size",
            "train.stages",
            "train.clip_norm",
        ];

        proptest! {
            /// A preset or a sentence, and the preset is valid.
            #[test]
            fn of_a_setting_is_taken_or_refused(path in prop::sample::select(PATHS.to_vec()), value in value(), odd in "[a-z.0-9]{0,12}") {
                for path in [path, &odd] {
                    if let Ok(preset) = quickstart().set(&[format!("{path}={value}")]) {
                        prop_assert!(preset.validate("p").is_ok());
                        // What it needs is computed, however much that is.
                        let _ = preset.fits(crate::preset::Work::Training { on_cpu: true });
                    }
                }
                let _ = quickstart().set(&[&value]);
            }

            #[test]
            fn of_a_file_is_read_or_refused(
                which in 0usize..16,
                flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
                inserted in value(),
                at in any::<prop::sample::Index>(),
            ) {
                let (name, text) = embedded()[which];
                let mut bytes = text.as_bytes().to_vec();
                for (at, byte) in flips {
                    let at = at.index(bytes.len());
                    bytes[at] = byte;
                }
                let mut text = String::from_utf8_lossy(&bytes).into_owned();
                let at = (0..=at.index(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
                let _ = Preset::parse(&text, name);
                text.insert_str(at, &inserted);
                let _ = Preset::parse(&text, name);
            }
        }
    }
}
