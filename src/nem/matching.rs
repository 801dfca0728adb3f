//! Finding a model's weights among the arrays of a file that another program has written.

use super::weights::{WeightsError, listed};

/// Names that wrappers of PyTorch put into those of the modules they wrap.
const WRAPPERS: [&str; 4] = ["module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"];

/// Which arrays of a file are a model's parameters.
#[derive(Debug, PartialEq)]
pub struct Matching {
    /// The array for each parameter, in their order.
    pub arrays: Vec<String>,
    /// Arrays that are not used.
    pub others: Vec<String>,
}

/// Finds the parameters called `expected` among arrays called `names`: under their own names, or else under those that
/// wrappers (`module.`, `_orig_mod.`, anywhere) and a common prefix (`model.`, `state_dict.net.`) make of them.
///
/// # Errors
/// A parameter that is missing; two arrays for one parameter; an array that looks like a parameter of another model.
pub fn matching(expected: &[String], names: &[&str]) -> Result<Matching, WeightsError> {
    let own = expected.iter().all(|name| names.contains(&name.as_str()));
    let plain = |name: &str| if own { name.to_owned() } else { unwrapped(name) };
    let found = Found { expected, names: names.iter().map(|name| (plain(name), *name)).collect() };
    let prefix = if own { String::new() } else { found.prefix()? };
    let arrays = expected.iter().map(|name| found.only(&prefix, name)).collect::<Result<Vec<_>, _>>()?;
    let others = || found.names.iter().filter(|(_, name)| !arrays.iter().any(|array| array == name));
    if let Some((_, name)) = others().find(|(plain, _)| found.looks_like_one(&prefix, plain)) {
        return Err(WeightsError::Unknown { name: (*name).to_owned(), expected: expected.join(", ") });
    }
    let others = others().map(|(_, name)| (*name).to_owned()).collect();
    Ok(Matching { arrays, others })
}

/// A name without those of wrappers.
fn unwrapped(name: &str) -> String {
    name.split('.').filter(|part| !WRAPPERS.contains(part)).collect::<Vec<_>>().join(".")
}

struct Found<'a> {
    expected: &'a [String],
    /// Each array's name without wrappers, and as it is.
    names: Vec<(String, &'a str)>,
}

impl Found<'_> {
    /// The arrays for a parameter, below `prefix`.
    fn of(&self, prefix: &str, name: &str) -> impl Iterator<Item = &str> {
        let whole = format!("{prefix}{name}");
        self.names.iter().filter(move |(plain, _)| *plain == whole).map(|(_, array)| *array)
    }

    fn only(&self, prefix: &str, name: &str) -> Result<String, WeightsError> {
        let mut arrays = self.of(prefix, name);
        match (arrays.next(), arrays.next()) {
            (Some(first), Some(second)) => Err(twice(name, first, second)),
            (first, _) => Ok(first.unwrap_or_default().to_owned()),
        }
    }

    /// The prefix under which all parameters are. Optimizers keep averages beside the weights, so there may be others
    /// with some of them.
    fn prefix(&self) -> Result<String, WeightsError> {
        let first = self.expected.first().map_or("", String::as_str);
        let before = |(name, _): &(String, &str)| {
            let before = name.strip_suffix(first)?;
            (before.is_empty() || before.ends_with('.')).then(|| before.to_owned())
        };
        let mut prefixes: Vec<String> = self.names.iter().filter_map(before).collect();
        prefixes.sort();
        prefixes.dedup();
        let lacking =
            |prefix: &String| self.expected.iter().find(|name| self.of(prefix, name).next().is_none());
        let mut whole = prefixes.iter().filter(|prefix| lacking(prefix).is_none());
        match (whole.next(), whole.next()) {
            (Some(prefix), None) => Ok(prefix.clone()),
            (Some(one), Some(other)) => {
                let array = |prefix| self.of(prefix, first).next().unwrap_or_default();
                Err(twice(first, array(one), array(other)))
            }
            (None, _) => Err(WeightsError::Missing {
                name: prefixes.iter().find_map(lacking).map_or(first, String::as_str).to_owned(),
                expected: self.expected.join(", "),
                found: listed(self.names.iter().map(|(_, name)| *name)),
            }),
        }
    }

    /// Whether an array below `prefix` is called like a parameter of a layer that the model does not have.
    fn looks_like_one(&self, prefix: &str, plain: &str) -> bool {
        let Some(plain) = plain.strip_prefix(prefix) else { return false };
        let same_first = |name: &String| name.split('.').next() == plain.split('.').next();
        let same_last = |name: &String| name.rsplit('.').next() == plain.rsplit('.').next();
        self.expected.iter().any(same_first) && self.expected.iter().any(same_last)
    }
}

fn twice(name: &str, first: &str, second: &str) -> WeightsError {
    WeightsError::Twice { name: name.to_owned(), first: first.to_owned(), second: second.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn parameters_are_found_under_the_names_that_wrappers_make_of_them() {
        let expected = names(&["input.0.weight", "recurrent.wx"]);
        for (there, other) in [
            (["input.0.weight", "recurrent.wx", "step"], "step"),
            (["module.input.0.weight", "module.recurrent.wx", "step"], "step"),
            (["_orig_mod.module.input.0.weight", "_orig_mod.module.recurrent.wx", "x"], "x"),
            (["model.input.0.weight", "model.recurrent.wx", "model.head"], "model.head"),
            (["input._orig_mod.0.weight", "recurrent.wx", "x"], "x"),
            (
                ["state.net.input.module.0.weight", "state.net.recurrent.wx", "other.input.0.weight"],
                "other.input.0.weight",
            ),
        ] {
            let found = matching(&expected, &there).unwrap();
            assert_eq!(found.arrays, there[..2], "{there:?}");
            assert_eq!(found.others, [other]);
        }
    }

    #[test]
    fn what_is_missing_or_there_twice_is_refused_with_the_names_there_are() {
        let expected = names(&["input.0.weight", "recurrent.wx"]);
        for (there, said) in [
            (&["module.input.0.weight", "module.recurrent.wh"][..], "lack recurrent.wx"),
            (
                &["module.input.0.weight", "module.recurrent.wh"],
                "they have module.input.0.weight, module.recurrent.wh",
            ),
            (
                &["encoder.0.weight"],
                "lack input.0.weight; the model has input.0.weight, recurrent.wx, and they have encoder.0.weight",
            ),
            (&["xinput.0.weight", "xrecurrent.wx"], "lack input.0.weight"),
            (&[], "they have no arrays"),
            (
                &["module.input.0.weight", "_orig_mod.input.0.weight", "recurrent.wx"],
                "hold both module.input.0.weight and _orig_mod.input.0.weight, which are input.0.weight",
            ),
            (
                &["a.input.0.weight", "a.recurrent.wx", "b.input.0.weight", "b.recurrent.wx"],
                "hold both a.input.0.weight and b.input.0.weight",
            ),
        ] {
            let error = matching(&expected, there).unwrap_err().to_string();
            assert!(error.contains(said), "{error} does not say {said}");
        }
        for there in [
            ["input.0.weight", "recurrent.wx", "input.1.weight"],
            ["m.input.0.weight", "m.recurrent.wx", "m.input.1.weight"],
        ] {
            let error = matching(&expected, &there).unwrap_err().to_string();
            assert!(error.contains("input.1.weight, which the model does not have"), "{error}");
        }
        let many: Vec<String> = (0..30).map(|i| format!("a{i}")).collect();
        assert!(listed(many.iter().map(String::as_str)).ends_with("a11 and 18 more"));
    }
}
