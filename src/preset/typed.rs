//! How settings are typed: their names, and their values in RON or shorter.

use ron::extensions::Extensions;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::data::{Data, Digits, Images, Noise, Speed};
use super::schema::{Cell, Distribution, Layer, Loss, ModelSpec, Preset, Setting, Stage, StepWeights, Train};
use crate::paths::exact::StoredPath;

pub(super) fn options() -> ron::Options {
    ron::Options::default().with_default_extension(Extensions::IMPLICIT_SOME)
}

/// Whether presets have a field that begins with the first part of this path.
pub fn is_field(path: &str) -> bool {
    let fields = ["name", "about", "expect", "data", "noise", "k", "steps", "model", "loss", "train"];
    path.split('.').next().is_some_and(|first| fields.contains(&first))
}

impl Preset {
    /// The paths of all fields with a single value, as for `--set`, in the order of their names.
    pub(super) fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        leaves("", &serde_json::to_value(self).unwrap_or_default(), &mut paths);
        paths
    }
}

fn leaves(path: &str, value: &Value, found: &mut Vec<String>) {
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match inside_variant(value) {
        Value::Object(fields) => fields.iter().for_each(|(key, value)| leaves(&below(key), value, found)),
        Value::Array(items) if !items.is_empty() => {
            items.iter().enumerate().for_each(|(i, value)| leaves(&below(&i.to_string()), value, found));
        }
        _ => found.push(path.to_owned()),
    }
}

/// The value itself, or the fields of an enum's variant, which serde writes as `{"Variant": {..}}`.
fn inside_variant(value: &Value) -> &Value {
    variant_of(value).map_or(value, |name| &value[name])
}

/// The variant's name in the value of an enum with fields.
pub(super) fn variant_of(value: &Value) -> Option<&str> {
    let fields = value.as_object().filter(|fields| fields.len() == 1)?;
    let name = fields.keys().next()?;
    name.starts_with(|c: char| c.is_ascii_uppercase()).then_some(name)
}

/// The path of the field that is typed as `name`: also one of the short names of live settings.
pub(super) fn path_of<'a>(preset: &Preset, name: &'a str) -> &'a str {
    match Setting::named(name) {
        // The kind is a setting, too, and without a kind there is no probability.
        Some(Setting::Noise(_)) if name == "noise" || preset.noise == Noise::None => "noise",
        Some(kind) => kind.field(),
        None => name,
    }
}

/// Text to the JSON value of the field at `path`. Fields with an enum or a struct are read as that type, from RON or
/// from the plain value that stands for it. Elsewhere a bare word is a string, which also covers unit variants.
pub(super) fn value(preset: &Preset, path: &str, text: &str) -> Result<Value, String> {
    if let Some(plain) = plain(preset, path, text) {
        return Ok(plain);
    }
    match path {
        "data" => typed::<Data>(path, text),
        "noise" => typed::<Noise>(path, text).map_err(|e| {
            format!("{e}; a noise is a number such as 0.3, or a kind: bitflip, masked_uniform or none")
        }),
        "model" => typed::<ModelSpec>(path, text),
        "model.distribution" => typed::<Distribution>(path, text),
        "model.cell" => typed::<Cell>(path, text),
        "model.cell.layers" => typed::<Vec<Layer>>(path, text),
        "loss" => typed::<Loss>(path, text),
        "loss.steps" => typed::<StepWeights>(path, text),
        "data.digits" => typed::<Digits>(path, text),
        "data.images" => typed::<Images>(path, text),
        "data.path" | "data.digits.directory" => {
            // Without quotes, if it does not look like a quoted one.
            Ok(typed::<StoredPath>(path, text).unwrap_or_else(|_| Value::String(text.to_owned())))
        }
        "data.speed" => typed::<Speed>(path, text),
        "train" => typed::<Train>(path, text),
        "train.clip_norm" => typed::<Option<f64>>(path, text),
        "train.stages" => typed::<Vec<Stage>>(path, text),
        _ if is_of_stage(path, "images") => typed::<Images>(path, text),
        _ if is_of_stage(path, "set") => typed::<Vec<Setting>>(path, text),
        _ if is_of_stage(path, "loss_steps") => typed::<Option<StepWeights>>(path, text),
        _ if is_of_stage(path, "max_epochs") => typed::<Option<u64>>(path, text),
        _ if is_layer(path) => typed::<Layer>(path, text),
        _ if is_word(text) => Ok(Value::String(named(path, text))),
        _ => Ok(options().from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))),
    }
}

/// The value of an enum or a struct from a short form: a number stands for a noise of this probability, for this many
/// digit images, for the last so many steps in the loss, or for a speed with both ends equal; a list is the weights of
/// the loss's steps; a kind of noise alone keeps the probability.
fn plain(preset: &Preset, path: &str, text: &str) -> Option<Value> {
    let json = |value: Result<Value, serde_json::Error>| value.ok();
    match path {
        "noise" => {
            // A number keeps the kind, and a kind the number.
            let (noise, probability) = match &named(path, text)[..] {
                "Bitflip" => (Noise::Bitflip { probability: 0.0 }, preset.noise.probability()?),
                "MaskedUniform" => (Noise::MaskedUniform { probability: 0.0 }, preset.noise.probability()?),
                number => (preset.noise, number.parse().ok()?),
            };
            let mut changed = Preset { noise, ..preset.clone() };
            Setting::Noise(probability).put(&mut changed);
            json(serde_json::to_value(changed.noise))
        }
        "data.speed" => {
            let pixels = text.parse().ok()?;
            json(serde_json::to_value(Speed { min: pixels, max: pixels, whole: false }))
        }
        _ if path == "loss.steps" || is_of_stage(path, "loss_steps") => {
            let weights = match text.parse() {
                Ok(count) => StepWeights::LastSteps(count),
                Err(_) => StepWeights::List(options().from_str(text).ok()?),
            };
            json(serde_json::to_value(weights))
        }
        _ if path == "data.images" || is_of_stage(path, "images") => {
            json(serde_json::to_value(Images::First(text.parse().ok()?)))
        }
        _ if text.eq_ignore_ascii_case("true") => Some(Value::Bool(true)),
        _ if text.eq_ignore_ascii_case("false") => Some(Value::Bool(false)),
        _ => None,
    }
}

fn typed<T: DeserializeOwned + Serialize>(path: &str, text: &str) -> Result<Value, String> {
    let read = |text: &str| options().from_str::<T>(text);
    let text = named(path, text);
    // A variant's name alone has the usual fields.
    let value = read(&text).or_else(|e| read(&format!("{text}()")).map_err(|_| e.code.to_string()))?;
    serde_json::to_value(value).map_err(|e| e.to_string())
}

/// `text` with the name of the variant that it begins with as the schema writes it: `masked_uniform` is `MaskedUniform`.
fn named(path: &str, text: &str) -> String {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-').unwrap_or(text.len());
    let plain = |name: &str| name.replace(['_', '-'], "").to_ascii_lowercase();
    let known = variants(path).iter().find(|known| plain(known) == plain(&text[..end]));
    known.map_or_else(|| text.to_owned(), |known| format!("{known}{}", &text[end..]))
}

/// The variants of the enum at `path`.
fn variants(path: &str) -> &'static [&'static str] {
    match path {
        "data" => &["Shapes", "FlyingShapes", "Mnist", "FlyingMnist", "Hdf5"],
        "noise" => &["Bitflip", "MaskedUniform", "None"],
        "data.shape_set" => &["Paper", "Small"],
        "data.digits" => &["Auto", "Mnist", "Synthetic"],
        "model.distribution" => &["Bernoulli", "Gaussian"],
        "model.cell" => &["Nem", "RnnEm"],
        "loss.steps" => &["Last", "All", "LastSteps", "List"],
        "train.clip_norm" => &["None"],
        _ if path == "data.images" || is_of_stage(path, "images") => &["All", "First"],
        _ if is_of_stage(path, "loss_steps") => &["Last", "All", "LastSteps", "List", "None"],
        _ if is_of_stage(path, "max_epochs") => &["None"],
        _ if is_layer(path) => &["InputNorm", "Conv", "Dense", "Recurrent", "Reshape", "UpsampleConv"],
        _ if path.ends_with(".activation") => &["Sigmoid", "Relu", "Elu", "Linear", "Output"],
        _ => &[],
    }
}

fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn is_layer(path: &str) -> bool {
    path.strip_prefix("model.cell.layers.").is_some_and(|rest| rest.parse::<usize>().is_ok())
}

fn is_of_stage(path: &str, field: &str) -> bool {
    let of_stage = path.strip_prefix("train.stages.").and_then(|rest| rest.split_once('.'));
    of_stage.is_some_and(|(_, rest)| rest == field)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(preset: &str, sets: &[&str]) -> Preset {
        Preset::load(preset).unwrap().set(sets).unwrap()
    }

    /// (preset, short, long)
    #[test]
    fn what_is_typed_short_means_what_is_written_long() {
        for (preset, short, long) in [
            ("quickstart", "noise=0.3", "noise=Bitflip(probability: 0.3)"),
            ("flying-mnist-2", "noise=0.3", "noise=MaskedUniform(probability: 0.3)"),
            ("quickstart", "noise=none", "noise=None"),
            ("quickstart", "noise=masked_uniform", "noise=MaskedUniform(probability: 0.1)"),
            ("flying-mnist-2", "noise=Bitflip", "noise=Bitflip(probability: 0.2)"),
            ("quickstart", "noise=masked_uniform(probability: 0.5)", "noise=MaskedUniform(probability: 0.5)"),
            ("quickstart", "lr=0.01", "train.learning_rate=0.01"),
            ("quickstart", "inter=0.5", "loss.inter_weight=0.5"),
            ("quickstart", "objects=2", "data.objects=2"),
            ("flying-mnist-2", "sigma=0.3", "model.distribution.e_sigma=0.3"),
            ("quickstart", "data.shape_set=paper", "data.shape_set=Paper"),
            ("quickstart", "loss.steps=last", "loss.steps=Last"),
            ("quickstart", "loss.steps=3", "loss.steps=LastSteps(3)"),
            ("quickstart", "loss.steps=lastSteps(3)", "loss.steps=LastSteps(3)"),
            (
                "quickstart",
                "loss.steps=[0, 0, 0, 0, 0, 1]",
                "loss.steps=List([0.0, 0.0, 0.0, 0.0, 0.0, 1.0])",
            ),
            ("quickstart", "loss.gradient_gamma=True", "loss.gradient_gamma=true"),
            ("quickstart", "model.cell=nem(units: 9)", "model.cell=Nem(units: 9)"),
            ("quickstart", "model.cell.layers.1.activation=relu", "model.cell.layers.1.activation=Relu"),
            ("flying-mnist-2", "model.distribution=gaussian", "model.distribution=Gaussian()"),
            ("flying-mnist-2", "data.digits=synthetic", "data.digits=Synthetic"),
            ("flying-mnist-2", "data.digits=mnist", "data.digits=Mnist()"),
            ("flying-mnist-2", "data.images=20", "data.images=First(20)"),
            ("flying-mnist-2-stages", "train.stages.0.images=all", "train.stages.0.images=All"),
            ("static-shapes-fast", "train.stages.1.loss_steps=last", "train.stages.1.loss_steps=Last"),
            ("static-shapes-fast", "train.stages.1.loss_steps=none", "train.stages.1.loss_steps=None"),
            ("flying-shapes-3", "data.speed=1.5", "data.speed=(min: 1.5, max: 1.5)"),
            ("quickstart", "train.clip_norm=none", "train.clip_norm=None"),
        ] {
            assert_eq!(set(preset, &[short]), set(preset, &[long]), "{preset} {short}");
        }
    }

    /// A preset without noise gets the kind that fits its data.
    #[test]
    fn a_number_begins_a_noise() {
        for (preset, kind) in [("quickstart", "Bitflip"), ("flying-mnist-2", "MaskedUniform")] {
            let noisy = set(preset, &[&format!("noise={kind}(probability: 0.3)")]);
            for name in ["noise", "noise.probability"] {
                assert_eq!(set(preset, &["noise=None", &format!("{name}=0.3")]), noisy, "{preset} {name}");
            }
            let clean = set(preset, &["noise=None"]);
            assert_eq!(Setting::Noise(0.3).apply(&clean).unwrap(), noisy);
            assert_eq!(Setting::Noise(0.0).current(&clean), Some(Setting::Noise(0.0)));
        }
    }

    #[test]
    fn what_is_no_noise_says_what_is() {
        for text in ["many", "50%", "Bitflip(0.3"] {
            let error =
                Preset::load("quickstart").unwrap().set(&[format!("noise={text}")]).unwrap_err().to_string();
            assert!(error.contains("a noise is a number such as 0.3, or a kind: bitflip"), "{error}");
        }
    }

    #[test]
    fn every_variant_and_every_path_is_known() {
        for (name, _) in super::super::embedded() {
            let preset = Preset::load(name).unwrap();
            let mut tree = serde_json::to_value(&preset).unwrap();
            for path in preset.paths() {
                assert!(is_field(&path), "{path}");
                assert!(super::super::load::find(&mut tree, &path).is_ok(), "{name} {path}");
            }
        }
        let unknown = |path: &str, name: &str| {
            let e = value(&Preset::load("quickstart").unwrap(), path, name).and_then(|value| {
                match path {
                    "data.shape_set" => serde_json::from_value::<super::super::ShapeSet>(value).map(|_| ()),
                    path if path.ends_with("activation") => {
                        serde_json::from_value::<super::super::Activation>(value).map(|_| ())
                    }
                    _ => Ok(()),
                }
                .map_err(|e| e.to_string())
            });
            e.err().is_some_and(|e| e.to_lowercase().contains("variant"))
        };
        for path in [
            "data",
            "noise",
            "data.shape_set",
            "data.digits",
            "model.distribution",
            "model.cell",
            "loss.steps",
            "data.images",
            "model.cell.layers.0",
            "x.activation",
        ] {
            assert!(unknown(path, "Nothing"), "{path}");
            assert!(variants(path).iter().all(|name| !unknown(path, name)), "{path}");
        }
    }
}
