//! Differences between two presets.

use std::fmt;

use serde_json::Value;

use super::schema::Preset;
use super::typed::variant_of;

/// A field with different values in two presets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Its path, as for `--set`.
    pub path: String,
    /// The value in the first, as JSON or, for a variant with fields, as in a preset.
    pub before: String,
    /// The value in the second.
    pub after: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} -> {}", self.path, self.before, self.after)
    }
}

/// The fields that differ between two presets, in the order of their names.
pub fn differences(before: &Preset, after: &Preset) -> Vec<Difference> {
    let value = |preset: &Preset| serde_json::to_value(preset).unwrap_or_default();
    let mut found = Vec::new();
    compare("", &value(before), &value(after), &mut found);
    found
}

/// Whether the field at `path` is what a preset says about itself.
pub fn is_description(path: &str) -> bool {
    ["about", "expect"].contains(&path)
}

/// All fields of a preset with their values as JSON, by path, without what it says about itself.
pub fn settings(preset: &Preset) -> Vec<(String, String)> {
    let mut found = Vec::new();
    flatten("", &serde_json::to_value(preset).unwrap_or_default(), &mut found);
    found.retain(|(path, _)| !is_description(path));
    found
}

/// The path of a field inside the one at `path`.
fn below(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn flatten(path: &str, value: &Value, found: &mut Vec<(String, String)>) {
    let below = |key: &str| below(path, key);
    match value {
        // As in `compare`. A variant is also a value: that of its field.
        value if let Some(variant) = variant_of(value) => {
            found.push((path.to_owned(), variant.to_owned()));
            flatten(path, &value[variant], found);
        }
        Value::Object(fields) => fields.iter().for_each(|(key, value)| flatten(&below(key), value, found)),
        Value::Array(values) if values.iter().any(Value::is_object) => {
            values.iter().enumerate().for_each(|(i, value)| flatten(&below(&i.to_string()), value, found));
        }
        Value::String(text) => found.push((path.to_owned(), text.clone())),
        value => found.push((path.to_owned(), value.to_string())),
    }
}

impl Preset {
    /// Whether weights trained with `other` fit this one's network.
    pub fn has_network_of(&self, other: &Preset) -> bool {
        self.model.cell == other.model.cell && self.data.image() == other.data.image()
    }
}

fn compare(path: &str, before: &Value, after: &Value, found: &mut Vec<Difference>) {
    let below = |key: &str| below(path, key);
    match (before, after) {
        // The name of a variant is not part of a path.
        (a, b) if variant_of(a).is_some() && variant_of(a) == variant_of(b) => {
            let inside = variant_of(a).unwrap_or_default();
            compare(path, &a[inside], &b[inside], found);
        }
        (Value::Object(a), Value::Object(b)) if a.keys().eq(b.keys()) => {
            a.iter().zip(b.values()).for_each(|((key, a), b)| compare(&below(key), a, b, found));
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            let pairs = a.iter().zip(b).enumerate();
            pairs.for_each(|(i, (a, b))| compare(&below(&i.to_string()), a, b, found));
        }
        _ if before != after => {
            found.push(Difference { path: path.to_owned(), before: written(before), after: written(after) })
        }
        _ => {}
    }
}

/// A value as JSON, or if it is a variant with fields, as a preset has it: `Bitflip(probability: 0.1)`.
fn written(value: &Value) -> String {
    let Some(name) = variant_of(value) else { return value.to_string() };
    match &value[name] {
        Value::Object(fields) => {
            let fields: Vec<_> =
                fields.iter().map(|(key, value)| format!("{key}: {}", written(value))).collect();
            format!("{name}({})", fields.join(", "))
        }
        inner => format!("{name}({})", written(inner)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_written_as_it_is_set() {
        let own = Preset::load("quickstart").unwrap();
        let sets = ["data.objects=5", "model.cell.layers.1.activation=\"Elu\"", "noise.probability=0.3"];
        let other = own.set(&sets).unwrap();
        let found = differences(&own, &other);
        assert_eq!(found.iter().map(|one| format!("{}={}", one.path, one.after)).collect::<Vec<_>>(), sets);
        let other = own.set(&["noise=MaskedUniform(probability: 0.3)"]).unwrap();
        let [found] = &differences(&own, &other)[..] else { panic!("one field") };
        assert_eq!(found.to_string(), "noise: Bitflip(probability: 0.1) -> MaskedUniform(probability: 0.3)");
        assert_eq!(own.set(&[format!("{}={}", found.path, found.after)]).unwrap(), other);
    }
}
