//! Everything the model computes from given weights and inputs, as named arrays, to compare implementations. Names and
//! shapes are those of `tests/fixtures/README.md`.

use std::path::Path;

use burn::tensor::{Device, Tensor};
use burn_optim::GradientsParams;

use super::adam::{descend, optimizer};
use super::batch::Batch;
use super::own_image::own_batch;
use crate::data::{image_file, nth, unit};
use crate::error::{Error, Result};
use crate::files::has_extension;
use crate::nem::{
    Frames, Losses, Matching, Nem, TargetFrame, WeightsError, host, initial_gamma, listed, matching, tensor,
    upper_bound,
};
use crate::paths::shown;
use crate::precision::Precision;
use crate::preset::{ImageSize, Noise, Preset, Work};
use crate::random::{Purpose, Stream};
use crate::tensors::{Array, Arrays, TensorFile};

/// Arrays that do not fit, as a sentence about their file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// The weights.
    Weights(String),
    /// The input.
    Input(String),
}

impl Unfit {
    /// The error, where the arrays are from these files.
    pub fn of(self, weights: &Path, input: &Path) -> Error {
        match self {
            Unfit::Weights(problem) => Error::content(weights, problem),
            Unfit::Input(problem) => Error::content(input, problem),
        }
    }
}

/// What to compute.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request {
    /// Also compute the gradients of the total loss, and the weights after one step of Adam.
    pub gradients: bool,
    /// The seed of the initial gamma, where the input has none.
    pub seed: u64,
    /// The precision of the model's products and convolutions.
    pub precision: Precision,
}

/// How [`read_input`] reads a file.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reading {
    /// Scale images of another size.
    pub resize: bool,
    /// The user has chosen the number of EM steps, so that frames do not change it.
    pub steps_are_chosen: bool,
}

/// What [`read_input`] has read.
#[derive(Debug)]
pub struct ReadInput {
    /// The preset with the EM steps that the frames allow.
    pub preset: Preset,
    /// The input of [`infer`].
    pub arrays: Arrays,
    /// What was not used of the file, in words that follow its name.
    pub notes: Vec<String>,
}

/// The inputs that a file may hold.
const INPUTS: [&str; 3] = ["in.features_clean", "in.features_noisy", "in.gamma_init"];

/// The input of [`infer`] in the file at `path`: the arrays of a safetensors file, or the clean frames of an image
/// file ([`image_file::read`]). A sequence gets as many EM steps as its frames allow, so the preset that is returned may
/// differ from `preset` in that.
///
/// # Errors
/// Another kind of file, or images that do not fit.
pub fn read_input(path: &Path, preset: &Preset, reading: Reading) -> Result<ReadInput> {
    if !image_file::is_image(path)? {
        if reading.resize {
            return Err(Error::Usage(format!(
                "--resize is for a PNG, a GIF, an .npy or an .npz file, and {} is not one; leave the option out",
                shown(path)
            )));
        }
        return match TensorFile::open(path) {
            Err(Error::Content { .. }) if !has_extension(path, "safetensors") => {
                let problem = "neither safetensors nor a PNG, a GIF, an .npy or an .npz file; convert it to one of these";
                Err(Error::content(path, problem))
            }
            file => read_arrays(&file?, preset),
        };
    }
    let image = preset.data.image();
    let clip = image_file::read(path, image, reading.resize)?;
    let steps = clip.steps(preset.steps, reading.steps_are_chosen);
    let steps = steps.map_err(|problem| Error::content(path, problem))?;
    let notes = clip.notes_in(steps).into_iter().chain(clip.scaling.clone()).collect();
    let shape = [clip.frames.len(), 1, image.channels, image.height, image.width];
    let frames = Array::new(shape, clip.frames.concat());
    let arrays = [("in.features_clean".to_owned(), frames)].into();
    Ok(ReadInput { preset: Preset { steps, ..preset.clone() }, arrays, notes })
}

/// The inputs in a safetensors file.
fn read_arrays(file: &TensorFile, preset: &Preset) -> Result<ReadInput> {
    let mut arrays = file.arrays(INPUTS)?;
    for name in &INPUTS[..2] {
        let Some(array) = arrays.get_mut(*name) else { continue };
        array.values.iter_mut().for_each(|value| *value = unit::clamped(*value));
        if let Some(at) = array.values.iter().position(|value| !unit::fits(*value)) {
            let (value, index) = (array.values[at], unit::index(&array.shape, at));
            let problem =
                format!("{name} holds {value} at {index:?}; values must be 0 to 1, so scale it first");
            return Err(Error::content(file.path(), problem));
        }
    }
    if !arrays.contains_key(INPUTS[0]) {
        let ImageSize { channels, height, width } = preset.data.image();
        let shape = format!("[1 or at least {}, B, {channels}, {height}, {width}]", preset.steps + 1);
        let Unfit::Input(problem) = missing(INPUTS[0], &shape) else { unreachable!("it is about the input") };
        return Err(Error::content(file.path(), format!("{problem}, and it has {}", listed(file.names()))));
    }
    // The file may also hold the weights and the outputs of a case.
    let is_other = |name: &&str| !INPUTS.contains(name) && (name.starts_with("in.") || !is_of_case(name));
    let is_weight = |name: &str| name.starts_with("param.");
    let others = file.names().filter(is_other).filter(|name| !is_weight(name)).map(str::to_owned);
    Ok(ReadInput { preset: preset.clone(), arrays, notes: unused(others.collect()).into_iter().collect() })
}

/// Unrolls `preset`'s model with the weights in `weights` (`param.<name>`, or bare names) on the
/// images in `input`:
///
/// | array | shape | if missing |
/// |---|---|---|
/// | `in.features_clean` | \[1 or T+1, B, C, H, W\] | refused |
/// | `in.features_noisy` | \[1 or at least T, B, C, H, W\] | the clean ones |
/// | `in.gamma_init` | \[B, K, P\] | drawn from the seed, with the preset's K |
///
/// and returns the `out.*` arrays, and with `gradients` the `grad.*` and `adam1.*` ones.
///
/// # Errors
/// [`Unfit`], naming the array that is missing or has the wrong shape.
pub fn infer(
    preset: &Preset,
    weights: &Arrays,
    input: &Arrays,
    device: &Device,
    request: Request,
) -> Result<Arrays, Unfit> {
    let device = if request.gradients { device.clone().autodiff() } else { device.clone() };
    let unfit = |e| Unfit::Weights(another_model(preset, &e));
    let (names, found) = found_weights(preset, weights.keys().map(String::as_str), &device).map_err(unfit)?;
    let weights = names.into_iter().zip(&found.arrays).map(|(name, array)| (name, weights[array].clone()));
    let weights = weights.collect();
    let model = Nem::with_weights(preset, &weights, &device).map_err(unfit)?;
    let model = model.with_precision(request.precision);
    let image = preset.data.image();
    let steps = preset.steps;
    let (clean, noisy) = images(preset, input)?;
    let batch = clean.shape[1];
    preset.fits(Work::Unrolling(batch)).map_err(|e| Unfit::Input(e.to_string()))?;
    let gamma = gamma(input, preset, batch, request.seed)?;
    let k = gamma.shape[1];

    let on_device = |array: &Array, count: usize| -> Vec<Tensor<4>> {
        let shape = [batch, 1, image.channels, image.pixels()];
        let frame = |t| nth(&array.values, t, batch * image.values()).to_vec();
        (0..count).map(|t| tensor(frame(t), shape, &device)).collect()
    };
    let clean_frames = if clean.shape[0] == 1 { 1 } else { steps + 1 };
    let frames = Frames {
        noisy: on_device(&noisy, steps),
        clean: on_device(&clean, clean_frames).into_iter().map(TargetFrame::new).collect(),
    };
    let start = tensor(gamma.values, [batch, k, 1, image.pixels()], &device);

    let mut record = UnrolledValues::default();
    let mut losses = Losses::new(&preset.loss, steps);
    model.unroll(&frames, start, steps, |t, state, target| {
        let loss = model.step_loss(state, target, preset.loss.prior);
        record.preds.extend(host(state.preds.clone()));
        record.gammas.extend(host(state.gamma.clone()));
        record.thetas.extend(host(state.theta.clone()));
        record.intra.extend(host(loss.intra.clone()));
        record.inter.extend(host(loss.inter.clone()));
        record.total.extend(host(loss.total(preset.loss.inter_weight)));
        record.upper_bound.extend(host(upper_bound(model.distribution, state.preds.clone(), target)));
        if losses.counts(t) {
            losses.add(t, loss);
        }
    });
    let Some((total, _, _)) = losses.sums() else { unreachable!("validation asks for a step with a weight") };

    let mut out = Arrays::new();
    let mut put = |name: &str, shape: &[usize], values: Vec<f32>| {
        out.insert(name.to_owned(), Array::new(shape, values));
    };
    put("out.preds", &[steps, batch, k, image.values()], record.preds);
    put("out.gammas", &[steps, batch, k, image.pixels()], record.gammas);
    put("out.thetas", &[steps, batch * k, model.cell.units()], record.thetas);
    put("out.loss_intra", &[steps], record.intra);
    put("out.loss_inter", &[steps], record.inter);
    put("out.loss_total", &[steps], record.total);
    put("out.loss_upper_bound", &[steps], record.upper_bound);
    let step_weights = preset.loss.steps.weights(steps);
    put("out.step_weights", &[steps], step_weights.iter().map(|w| *w as f32).collect());
    put("out.total_loss", &[], host(total.clone()));

    if request.gradients {
        let gradients = GradientsParams::from_grads(total.backward(), &model.cell);
        out.extend(prefixed("grad", model.gradients(&gradients)));
        let train = &preset.train;
        let next = descend(&mut optimizer(&train.adam), train, &model, gradients);
        out.extend(prefixed("adam1", next.weights()));
    }
    Ok(out)
}

/// Values of all steps, one after another.
#[derive(Default)]
struct UnrolledValues {
    preds: Vec<f32>,
    gammas: Vec<f32>,
    thetas: Vec<f32>,
    intra: Vec<f32>,
    inter: Vec<f32>,
    total: Vec<f32>,
    upper_bound: Vec<f32>,
}

fn prefixed(prefix: &str, arrays: Arrays) -> impl Iterator<Item = (String, Array)> {
    arrays.into_iter().map(move |(name, array)| (format!("{prefix}.{name}"), array))
}

/// The arrays of `names` that may be weights: those called `param.*`, or without any, all that are not inputs or outputs.
/// Each with its name as a parameter.
fn candidates<'a>(names: impl Iterator<Item = &'a str>) -> Vec<(&'a str, &'a str)> {
    let names: Vec<&str> = names.collect();
    let named: Vec<_> = names.iter().filter_map(|name| Some((name.strip_prefix("param.")?, *name))).collect();
    if !named.is_empty() {
        return named;
    }
    names.into_iter().filter(|name| !is_of_case(name)).map(|name| (name, name)).collect()
}

/// Whether an array is an input or an output.
fn is_of_case(name: &str) -> bool {
    ["in.", "out.", "grad.", "adam1."].iter().any(|prefix| name.starts_with(prefix))
}

/// The parameters of `preset`'s model, and the arrays among `names` that hold them.
fn found_weights<'a>(
    preset: &Preset,
    names: impl Iterator<Item = &'a str>,
    device: &Device,
) -> Result<(Vec<String>, Matching), WeightsError> {
    let expected = Nem::parameter_names(preset, device);
    let candidates = candidates(names);
    let bare: Vec<&str> = candidates.iter().map(|(name, _)| *name).collect();
    let found = matching(&expected, &bare)?;
    let whole =
        |bare: &String| candidates.iter().find(|(name, _)| name == bare).map_or("", |(_, whole)| whole);
    let arrays = found.arrays.iter().map(|array| whole(array).to_owned()).collect();
    Ok((expected, Matching { arrays, ..found }))
}

/// The weights of `preset`'s model in `file`, under their own names, and a note on arrays that are not used.
///
/// # Errors
/// Weights of another model; those that are not floats of 16, 32 or 64 bits.
pub fn read_weights(file: &TensorFile, preset: &Preset, device: &Device) -> Result<(Arrays, Option<String>)> {
    let unfit = |e| Error::content(file.path(), another_model(preset, &e));
    let (names, found) = found_weights(preset, file.names(), device).map_err(unfit)?;
    let mut arrays = file.arrays(found.arrays.iter().map(String::as_str))?;
    let named = names.into_iter().zip(&found.arrays);
    let weights = named.filter_map(|(name, array)| Some((name, arrays.remove(array)?))).collect();
    Ok((weights, unused(found.others)))
}

fn another_model(preset: &Preset, error: &WeightsError) -> String {
    format!("another architecture than that of {}: these weights {error}", preset.name)
}

/// A note on arrays that are not used.
fn unused(names: Vec<String>) -> Option<String> {
    let are = if names.len() == 1 { "is" } else { "are" };
    (!names.is_empty()).then(|| format!("{} {are} not used", listed(names.iter().map(String::as_str))))
}

fn wrong(name: &str, shape: &[usize], expected: &str) -> Unfit {
    Unfit::Input(format!("{name} has shape {shape:?}; it needs {expected}"))
}

fn missing(name: &str, shape: &str) -> Unfit {
    Unfit::Input(format!("there is no array {name}; it needs one of shape {shape}"))
}

/// The images in `input` as a batch of the user's own: noise and γ, where the input has none, are those of
/// [`own_batch`].
///
/// # Errors
/// As [`infer`].
pub(crate) fn batch(preset: &Preset, input: &Arrays, seed: u64) -> Result<Batch, Unfit> {
    let (clean, noisy) = images(preset, input)?;
    if preset.noise != Noise::None && input.contains_key("in.features_noisy") {
        return Err(Unfit::Input(
            "it has noisy frames of its own (in.features_noisy); leave the noise out".into(),
        ));
    }
    let size = clean.shape[1] * preset.data.image().values();
    let frames = |array: &Array, count| (0..count).map(|t| nth(&array.values, t, size).to_vec()).collect();
    let count = if clean.shape[0] == 1 { 1 } else { preset.steps + 1 };
    let mut batch = own_batch(preset, seed, frames(&clean, count), frames(&noisy, preset.steps));
    if input.contains_key("in.gamma_init") {
        batch.gamma = gamma(input, preset, clean.shape[1], seed)?.values;
    }
    Ok(batch)
}

/// The clean frames, and the noisy ones, which without any in the input are the clean ones.
fn images(preset: &Preset, input: &Arrays) -> Result<(Array, Array), Unfit> {
    let image = preset.data.image();
    let clean = frames(input, "in.features_clean", image, preset.steps + 1)?;
    if !input.contains_key("in.features_noisy") {
        return Ok((clean.clone(), clean));
    }
    let noisy = frames(input, "in.features_noisy", image, preset.steps)?;
    match noisy.shape[1] == clean.shape[1] {
        true => Ok((clean, noisy)),
        false => Err(wrong(
            "in.features_noisy",
            &noisy.shape,
            &format!("{} images, as in.features_clean has", clean.shape[1]),
        )),
    }
}

/// The frames called `name`: one, or at least `count`.
fn frames(input: &Arrays, name: &str, image: ImageSize, count: usize) -> Result<Array, Unfit> {
    let ImageSize { channels, height, width } = image;
    let expected = format!("[1 or at least {count}, B, {channels}, {height}, {width}]");
    let array = input.get(name).ok_or_else(|| missing(name, &expected))?;
    let fits = array.shape.len() == 5
        && (array.shape[0] == 1 || array.shape[0] >= count)
        && array.shape[1] > 0
        && array.shape[2..] == [channels, height, width];
    if fits { Ok(array.clone()) } else { Err(wrong(name, &array.shape, &expected)) }
}

/// The initial γ in the input, or else that of the first test samples.
fn gamma(input: &Arrays, preset: &Preset, batch: usize, seed: u64) -> Result<Array, Unfit> {
    let places = preset.data.image().pixels();
    match input.get("in.gamma_init") {
        Some(array)
            if array.shape.len() == 3
                && array.shape[0] == batch
                && array.shape[1] > 0
                && array.shape[2] == places =>
        {
            Ok(array.clone())
        }
        Some(array) => Err(wrong("in.gamma_init", &array.shape, &format!("[{batch}, K, {places}]"))),
        None => {
            let values = (0..batch)
                .flat_map(|i| {
                    let mut stream = Stream::new(seed, Purpose::TestGamma, 0, i as u64);
                    initial_gamma(preset.k, places, &mut stream)
                })
                .collect();
            Ok(Array::new([batch, preset.k, places], values))
        }
    }
}
