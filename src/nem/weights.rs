//! A model's weights by name: export and import. Names follow PyTorch's state dict (`recurrent.wx`,
//! `output.0.weight`, …).

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};

use super::cell::InnerNetwork;
use super::initial::{Initial, id};
use super::tensor::host;
use crate::preset::{ImageSize, ModelSpec};
use crate::tensors::{Array, Arrays};

/// Why weights do not fit a model. Messages complete "these weights …".
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum WeightsError {
    /// A parameter of the model is missing.
    #[error("lack {name}; the model has {expected}, and they have {found}")]
    Missing {
        /// The parameter.
        name: String,
        /// All the model's parameters.
        expected: String,
        /// The arrays there are, or the first of many.
        found: String,
    },
    /// The model has no such parameter.
    #[error("hold {name}, which the model does not have; it has {expected}")]
    Unknown {
        /// The parameter.
        name: String,
        /// All the model's parameters.
        expected: String,
    },
    /// Two arrays could be the same parameter.
    #[error("hold both {first} and {second}, which are {name} under other names; keep one of them")]
    Twice {
        /// The parameter.
        name: String,
        /// One array.
        first: String,
        /// The other one.
        second: String,
    },
    /// A parameter's shape differs.
    #[error("hold {name} with shape {found:?}, but the model's is {expected:?}")]
    Shape {
        /// The parameter.
        name: String,
        /// The weights' shape.
        found: Vec<usize>,
        /// The model's shape.
        expected: Vec<usize>,
    },
}

impl InnerNetwork {
    /// Every parameter's name and exported shape.
    pub(super) fn parameters(&self) -> Vec<(String, Vec<usize>)> {
        let mut lister = Lister { path: Vec::new(), found: Vec::new() };
        self.visit(&mut lister);
        lister.found
    }
}

/// Collects names from the module's structure, leaving out the enum's variant.
struct Lister {
    path: Vec<String>,
    found: Vec<(String, Vec<usize>)>,
}

impl ModuleVisitor for Lister {
    fn enter_module(&mut self, name: &str, container: &str) {
        let variant = container.starts_with("Enum");
        self.path.push(if variant { String::new() } else { name.to_owned() });
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let parts: Vec<&str> = self.path.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
        let name = parts.join(".");
        debug_assert_eq!(param.id, id(&name), "parameter {name} was made under another name");
        // N-EM's rate is exported as a number, not as a list of one.
        let shape = if name == "lr" { Vec::new() } else { param.val().dims().to_vec() };
        self.found.push((name, shape));
    }
}

impl InnerNetwork {
    /// The names of the parameters of the inner network that `model` describes.
    pub fn names(model: &ModelSpec, image: ImageSize, device: &Device) -> Vec<String> {
        let none = Arrays::new();
        let network = InnerNetwork::new(model, image, &mut Initial::given(&none, device));
        network.parameters().into_iter().map(|(name, _)| name).collect()
    }

    /// The weights, on the host.
    pub fn weights(&self) -> Arrays {
        self.read(None)
    }

    /// The gradients of the weights, on the host; zeros where the backward pass left no gradient.
    pub fn gradients(&self, gradients: &GradientsParams) -> Arrays {
        self.read(Some(gradients))
    }

    fn read(&self, gradients: Option<&GradientsParams>) -> Arrays {
        struct ValueReader<'a>(Option<&'a GradientsParams>, Vec<Vec<f32>>);
        impl ModuleVisitor for ValueReader<'_> {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                let weight = param.val();
                let zeros = || Tensor::zeros(weight.dims(), &weight.device());
                self.1.push(host(match self.0 {
                    Some(gradients) => gradients.get::<D>(param.id).unwrap_or_else(zeros),
                    None => weight,
                }));
            }
        }
        let mut reader = ValueReader(gradients, Vec::new());
        self.visit(&mut reader);
        let named = self.parameters().into_iter().zip(reader.1);
        named.map(|((name, shape), values)| (name, Array { shape, values })).collect()
    }

    /// The inner network that `model` describes, with these weights. It records gradients if `device` does.
    ///
    /// # Errors
    /// Weights that are missing, unknown or of the wrong shape.
    pub fn with_weights(
        model: &ModelSpec,
        image: ImageSize,
        weights: &Arrays,
        device: &Device,
    ) -> Result<InnerNetwork, WeightsError> {
        let network = InnerNetwork::new(model, image, &mut Initial::given(weights, device));
        let parameters = network.parameters();
        let expected = || parameters.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
        for (name, shape) in &parameters {
            let Some(array) = weights.get(name) else {
                let found = listed(weights.keys().map(String::as_str));
                return Err(WeightsError::Missing { name: name.clone(), expected: expected(), found });
            };
            if &array.shape != shape {
                return Err(WeightsError::Shape {
                    name: name.clone(),
                    found: array.shape.clone(),
                    expected: shape.clone(),
                });
            }
        }
        if let Some(name) = weights.keys().find(|name| !parameters.iter().any(|(known, _)| known == *name)) {
            return Err(WeightsError::Unknown { name: name.clone(), expected: expected() });
        }
        Ok(network)
    }
}

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
    let wrapped = !expected.iter().all(|name| names.contains(&name.as_str()));
    let plain = |name: &str| -> String {
        let parts = name.split('.').filter(|part| !(wrapped && WRAPPERS.contains(part)));
        parts.collect::<Vec<&str>>().join(".")
    };
    let plain: Vec<(String, &str)> = names.iter().map(|name| (plain(name), *name)).collect();
    let (prefix, arrays) = match wrapped {
        false => (String::new(), expected.to_vec()),
        true => {
            // What is before the first parameter's name, where that name ends another one.
            let before = |name: &str, end: &str| -> Option<String> {
                let before = name.strip_suffix(end)?;
                (before.is_empty() || before.ends_with('.')).then(|| before.to_owned())
            };
            let of = |prefix: &str, name: &str| {
                let whole = format!("{prefix}{name}");
                plain.iter().filter(move |(plain, _)| *plain == whole).map(|(_, array)| *array)
            };
            let first = expected.first().map_or("", String::as_str);
            let mut prefixes: Vec<String> =
                plain.iter().filter_map(|(name, _)| before(name, first)).collect();
            prefixes.sort();
            prefixes.dedup();
            // Optimizers keep averages beside the weights: the one prefix that all parameters have counts.
            let whole = |prefix: &String| expected.iter().all(|name| of(prefix, name).next().is_some());
            let prefix: &String = match prefixes.iter().filter(|prefix| whole(prefix)).collect::<Vec<_>>()[..]
            {
                [] => {
                    let lacking = |prefix: &String| {
                        expected.iter().find(|name| of(prefix, name).next().is_none()).map(String::as_str)
                    };
                    let name = prefixes.iter().find_map(lacking).unwrap_or(first).to_owned();
                    return Err(WeightsError::Missing {
                        name,
                        expected: expected.join(", "),
                        found: listed(names.iter().copied()),
                    });
                }
                [prefix] => prefix,
                [one, other, ..] => {
                    let array = |prefix| of(prefix, first).next().unwrap_or_default().to_owned();
                    return Err(WeightsError::Twice {
                        name: first.to_owned(),
                        first: array(one),
                        second: array(other),
                    });
                }
            };
            let only = |name: &String| {
                let mut arrays = of(prefix, name);
                match (arrays.next(), arrays.next()) {
                    (first, Some(second)) => Err(WeightsError::Twice {
                        name: name.clone(),
                        first: first.unwrap_or_default().to_owned(),
                        second: second.to_owned(),
                    }),
                    (first, None) => Ok(first.unwrap_or_default().to_owned()),
                }
            };
            (prefix.clone(), expected.iter().map(only).collect::<Result<Vec<_>, _>>()?)
        }
    };
    let others = || plain.iter().filter(|(_, name)| !arrays.iter().any(|array| array == name));
    // A layer that the model does not have.
    let looks_like_one = |(plain, _): &&(String, &str)| {
        let Some(plain) = plain.strip_prefix(&prefix) else { return false };
        let same_first = |name: &String| name.split('.').next() == plain.split('.').next();
        let same_last = |name: &String| name.rsplit('.').next() == plain.rsplit('.').next();
        expected.iter().any(same_first) && expected.iter().any(same_last)
    };
    if let Some((_, name)) = others().find(looks_like_one) {
        return Err(WeightsError::Unknown { name: (*name).to_owned(), expected: expected.join(", ") });
    }
    let others = others().map(|(_, name)| (*name).to_owned()).collect();
    Ok(Matching { arrays, others })
}

/// The first few of these names, in words.
pub fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    const MOST: usize = 12;
    let names: Vec<&str> = names.collect();
    match names.len() {
        0 => "no arrays".to_owned(),
        count if count > MOST => format!("{} and {} more", names[..MOST].join(", "), count - MOST),
        _ => names.join(", "),
    }
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
