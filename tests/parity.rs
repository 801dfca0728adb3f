//! The mathematics against an independent implementation's numbers (`tests/fixtures/README.md`).
//!
//! The fixtures were computed in 64 bits by a PyTorch program that shares no code with this one.
//! Every test prints the worst error it saw (`cargo test --release --test parity -- --nocapture`).

#![allow(clippy::unwrap_used)] // a test's way to fail

use std::path::PathBuf;

use burn::tensor::{Device, Tensor, TensorData};
use nem_tui::backend::{self, DeviceName};
use nem_tui::nem::{TargetFrame, kl_from_prior, nll};
#[cfg(feature = "libtorch")]
use nem_tui::precision::Precision;
use nem_tui::preset::{Distribution, Preset};
use nem_tui::tensors::{self, Array, Arrays};
use nem_tui::train::infer::{Request, infer};

/// Every case, with the largest difference allowed, relative to the tensor's largest absolute value. Input
/// normalisation divides by deviations that can be small, so it is less exact in 32 bits.
const CASES: [(&str, f64); 9] = [
    ("static_rnn_em", RELATIVE),
    ("static_nem", RELATIVE),
    ("k1", RELATIVE),
    ("gradient_gamma_true", RELATIVE),
    ("gradient_gamma_false", RELATIVE),
    ("channels3", RELATIVE),
    ("conv_bernoulli", RELATIVE),
    ("conv_rect", RELATIVE),
    ("conv_gaussian_input_norm", 5e-5),
];

const RELATIVE: f64 = 2e-5;
/// Largest difference allowed in a weight after one Adam step where its gradient is well above zero.
const ADAM: f64 = 1e-6;

fn flex() -> Device {
    DeviceName::Flex.open().unwrap()
}

fn fixture(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(file)
}

fn case(name: &str) -> (Preset, Arrays) {
    let text = std::fs::read_to_string(fixture(&format!("{name}.json"))).unwrap();
    let preset = Preset::parse_case(&text, name).unwrap();
    (preset, tensors::read(&fixture(&format!("{name}.safetensors"))).unwrap())
}

fn run(preset: &Preset, arrays: &Arrays, device: &Device) -> Arrays {
    infer(preset, arrays, arrays, device, Request { gradients: true, ..Request::default() }).unwrap()
}

/// The largest |a − b| over the largest |b|, as `tests/fixtures/README.md` defines it.
fn relative_error(found: &Array, expected: &Array) -> f64 {
    assert_eq!(found.shape, expected.shape);
    let scale = expected.values.iter().fold(1e-3f64, |m, v| m.max(f64::from(v.abs())));
    worst(found, expected, |_| true) / scale
}

fn worst(found: &Array, expected: &Array, counts: impl Fn(usize) -> bool) -> f64 {
    let pairs = found.values.iter().zip(&expected.values).enumerate();
    pairs.filter(|(i, _)| counts(*i)).fold(0.0, |m, (_, (a, b))| {
        let difference = (f64::from(*a) - f64::from(*b)).abs();
        assert!(!difference.is_nan());
        m.max(difference)
    })
}

/// Worst relative error of outputs and of gradients, and worst absolute error of Adam's weights.
fn errors(found: &Arrays, expected: &Arrays) -> (f64, f64, f64) {
    let (mut outputs, mut gradients, mut adam) = (0.0f64, 0.0f64, 0.0f64);
    let (mut seen, mut weights) = (0, 0);
    for (name, array) in expected {
        if name.starts_with("in.") || name.starts_with("param.") {
            continue;
        }
        let found = found.get(name).unwrap_or_else(|| panic!("{name} was not computed"));
        seen += 1;
        if name.starts_with("out.") {
            outputs = outputs.max(relative_error(found, array));
        } else if name.starts_with("grad.") {
            gradients = gradients.max(relative_error(found, array));
        } else if let Some(parameter) = name.strip_prefix("adam1.") {
            let gradient = &expected[&format!("grad.{parameter}")];
            adam = adam.max(worst(found, array, |i| gradient.values[i].abs() > 1e-5));
            weights += 1;
        }
    }
    assert!(seen >= 9 && weights >= 2, "only {seen} arrays were compared");
    (outputs, gradients, adam)
}

#[test]
fn every_case_matches_in_outputs_gradients_and_one_adam_step() {
    for device in backend::available() {
        for (name, bound) in CASES {
            let (preset, arrays) = case(name);
            let (outputs, gradients, adam) = errors(&run(&preset, &arrays, &device), &arrays);
            println!("{name:22} outputs {outputs:.1e}  gradients {gradients:.1e}  adam {adam:.1e}");
            assert!(outputs < bound, "{name}: outputs are off by {outputs:.1e}");
            assert!(gradients < bound, "{name}: gradients are off by {gradients:.1e}");
            assert!(adam < ADAM, "{name}: weights after Adam are off by {adam:.1e}");
        }
    }
}

/// The same seed gives the same images, noise and weights on every device, and so the same training up to rounding,
/// which stays small over 20 iterations.
#[cfg(feature = "libtorch")]
#[test]
fn devices_agree_on_the_losses_of_twenty_iterations() {
    use nem_tui::train::trainer::Trainer;
    let small = ["train.batch=8", "train.train_size=160", "steps=6"];
    for name in ["quickstart", "flying-shapes-3", "flying-mnist-2"] {
        let preset = Preset::load(name).unwrap().set(&small).unwrap();
        let losses = |device: &Device| -> Vec<f64> {
            let mut trainer = Trainer::new(&preset, 1, device).unwrap();
            trainer.set_read_every(1);
            (0..20).flat_map(|_| trainer.step().unwrap()).map(|iteration| iteration.loss).collect()
        };
        let expected = losses(&flex());
        let others = backend::available().into_iter().filter(|device| *device != flex());
        let mut compared = 0;
        for device in others {
            let found = losses(&device);
            let worst = found.iter().zip(&expected).fold(0.0f64, |m, (a, b)| m.max((a / b - 1.0).abs()));
            println!("{name:22} losses of 20 iterations differ by at most {worst:.1e}");
            assert_eq!(found.len(), 20);
            assert!(worst < 1e-3, "{name} on {device:?}: losses are off by {worst:.1e}");
            compared += 1;
        }
        assert!(compared > 0, "there is no device but Flex");
    }
}

/// Orders of layers and sizes of maps that no fixture covers: each device's own implementation against burn's
/// composition.
#[cfg(feature = "libtorch")]
#[test]
fn devices_agree_on_every_kind_of_layer() {
    use nem_tui::nem::Nem;
    let networks = [
        // Few and many channels on odd maps (14x10 to 7x5 to 3x2), with and without layer norm; a Dense that
        // becomes maps.
        "Conv(channels: 9, layer_norm: true, activation: Elu), Conv(channels: 10, activation: Relu), \
         Conv(channels: 3, layer_norm: true, activation: Elu), Dense(units: 20, layer_norm: true, activation: Relu), \
         Recurrent(units: 8, layer_norm: true), Dense(units: 140, layer_norm: true, activation: Elu), \
         Reshape(channels: 4, height: 7, width: 5), \
         UpsampleConv(channels: 6, layer_norm: true, activation: Relu), UpsampleConv(activation: Output)",
        // Maps directly into and out of the recurrent layer; a reshape of maps.
        "InputNorm, Conv(channels: 4, activation: Elu), Recurrent(units: 280), Reshape(channels: 2, height: 14, width: 10), \
         Reshape(channels: 4, height: 7, width: 10), Reshape(channels: 2, height: 14, width: 10), \
         UpsampleConv(layer_norm: false, activation: Output)",
        // Neither maps nor layer norm.
        "Dense(units: 30, activation: Sigmoid), Recurrent(units: 12), Dense(units: 9, activation: Linear), \
         Dense(activation: Output)",
    ];
    for (network, steps) in networks.iter().flat_map(|network| [1, 3].map(|steps| (network, steps))) {
        let sets = [
            "data.height=28".to_owned(),
            "data.width=20".into(),
            "k=2".into(),
            format!("steps={steps}"),
            format!("model.cell=RnnEm(layers: [{network}])"),
        ];
        let preset = Preset::load("flying-shapes-3").unwrap().set(&sets).unwrap();
        let wave = |n: usize, scale: f32| (0..n).map(move |i| scale * (1.7 * i as f32).sin());
        let mut arrays = Nem::new(&preset, 1, &flex()).weights();
        for array in arrays.values_mut() {
            // Gains start as ones and biases as zeros, which would hide a misplaced one.
            let waves = wave(array.values.len(), 0.1);
            array.values.iter_mut().zip(waves).for_each(|(value, wave)| *value += wave);
        }
        let frames = [steps + 1, 3, 1, 28, 20];
        let pixels = wave(frames.iter().product(), 1.0).map(|v| f32::from(v > 0.3)).collect();
        let input: Arrays = [("in.features_clean".to_owned(), Array::new(frames, pixels))].into();
        let of = |device: &Device| {
            infer(&preset, &arrays, &input, device, Request { gradients: true, ..Request::default() })
                .unwrap()
        };
        let expected = of(&flex());
        for device in backend::available().iter().filter(|device| **device != flex()) {
            let (outputs, gradients, _) = errors(&of(device), &expected);
            println!("{steps} steps: outputs {outputs:.1e}  gradients {gradients:.1e}  {}…", &network[..30]);
            assert!(
                outputs < 5e-5 && gradients < 5e-5,
                "{network}: off by {outputs:.1e} and {gradients:.1e}"
            );
        }
    }
}

/// bfloat16 keeps 8 bits, so a rounded factor is off by at most 2⁻⁸, and by 2⁻⁸/√3 on average. A gradient passes
/// six roundings in each layer: of the input, the weights and the output, forward and backward. If these are
/// independent, the gradient through N layers is off by √(6N) of them.
#[cfg(feature = "libtorch")]
fn bfloat16_bound(preset: &Preset, name: &str) -> f64 {
    let layers = match &preset.model.cell {
        nem_tui::preset::Cell::Nem { .. } => 2,
        nem_tui::preset::Cell::RnnEm { layers } => layers.len(),
    };
    // Input normalisation divides by small deviations: in 32 bits too, this case is ten times less exact than the
    // others.
    let condition = if name == "conv_gaussian_input_norm" { 10.0 } else { 1.0 };
    condition * 2f64.powi(-8) * (2.0 * layers as f64).sqrt()
}

/// The norm of the difference divided by the norm of the expected values, over all arrays whose names begin with
/// `prefix`.
#[cfg(feature = "libtorch")]
fn relative_distance(found: &Arrays, expected: &Arrays, prefix: &str) -> f64 {
    let (mut distance, mut length) = (0.0, 0.0);
    for (name, array) in expected.iter().filter(|(name, _)| name.starts_with(prefix)) {
        for (a, b) in found[name].values.iter().zip(&array.values) {
            distance += (f64::from(*a) - f64::from(*b)).powi(2);
            length += f64::from(*b).powi(2);
        }
    }
    assert!(length > 0.0, "no array's name begins with {prefix}");
    (distance / length).sqrt()
}

#[cfg(feature = "libtorch")]
#[test]
fn bfloat16_is_off_by_its_rounding_and_a_wrong_detach_fails() {
    let request = Request { gradients: true, precision: Precision::Bf16, ..Request::default() };
    let device = DeviceName::Libtorch.open().unwrap();
    for (name, _) in CASES {
        let (mut preset, arrays) = case(name);
        let bound = bfloat16_bound(&preset, name);
        // These two differ only in the flag, and most at Wx, where every path through the network crosses.
        let gradient = if name.starts_with("gradient_gamma") { "grad.recurrent.wx" } else { "grad." };
        let of = |preset: &Preset| {
            let found = infer(preset, &arrays, &arrays, &device, request).unwrap();
            ["out.preds", gradient].map(|prefix| relative_distance(&found, &arrays, prefix))
        };
        let [preds, right] = of(&preset);
        preset.loss.gradient_gamma = !preset.loss.gradient_gamma;
        let [_, wrong] = of(&preset);
        println!(
            "{name:24} in bf16: predictions {preds:.1e}  gradient {right:.1e}  with the wrong detach {wrong:.1e}  \
             bound {bound:.1e}"
        );
        assert!(preds > 1e-5, "{name}: nothing was rounded");
        assert!(preds < bound, "{name}: predictions are off by {preds:.1e}");
        assert!(right < bound, "{name}: the gradient is off by {right:.1e}");
        // In the other cases a detach changes the gradient by less than bfloat16 does.
        if name.starts_with("gradient_gamma") || ["conv_rect", "conv_gaussian_input_norm"].contains(&name) {
            assert!(wrong > bound, "{name}: a wrong detach went unseen ({wrong:.1e})");
        }
    }
}

/// A gamma that is wrongly detached, or wrongly not, changes no output and the gradients only a little. The bound
/// must see it.
#[test]
fn a_wrong_detach_fails() {
    for (name, bound) in CASES.iter().filter(|(name, _)| *name != "k1") {
        let (mut preset, arrays) = case(name);
        preset.loss.gradient_gamma = !preset.loss.gradient_gamma;
        let (outputs, gradients, _) = errors(&run(&preset, &arrays, &flex()), &arrays);
        println!("{name:22} with the wrong detach: gradients {gradients:.1e}");
        assert!(outputs < *bound, "{name}: a detach changed outputs by {outputs:.1e}");
        assert!(gradients > 2.0 * bound, "{name}: a wrong detach went unseen ({gradients:.1e})");
    }
}

/// A case may name other epsilons than ours; ours are the default.
#[test]
fn a_cases_epsilons_are_taken() {
    let name = "conv_gaussian_input_norm";
    let text = std::fs::read_to_string(fixture(&format!("{name}.json"))).unwrap();
    let arrays = tensors::read(&fixture(&format!("{name}.safetensors"))).unwrap();
    let with = |usual: &str, other: &str| {
        assert!(text.contains(usual));
        let preset = Preset::parse_case(&text.replace(usual, other), name).unwrap();
        infer(&preset, &arrays, &arrays, &flex(), Request::default()).unwrap()
    };
    let off = |found: &Arrays, array: &str| relative_error(&found[array], &arrays[array]);
    for (usual, renamed) in [("em_eps", "a"), ("ln_eps", "b"), ("input_norm_eps", "c")] {
        let usual = format!("\"{usual}\":");
        assert!(
            off(&with(&usual, &format!("\"{renamed}\":")), "out.preds") < 5e-5,
            "{usual} is not the usual one"
        );
    }
    for (usual, other) in
        [("ln_eps\": 1e-05", "ln_eps\": 0.01"), ("input_norm_eps\": 1e-08", "input_norm_eps\": 0.01")]
    {
        assert!(off(&with(usual, other), "out.preds") > 1e-3, "{other} was ignored");
    }
    // If every density is tiny compared with it, all components share every pixel.
    let gammas = &with("em_eps\": 1e-06", "em_eps\": 1e9")["out.gammas"];
    assert!(gammas.values.iter().all(|gamma| (gamma - 0.5).abs() < 1e-6));
}

#[derive(serde::Deserialize)]
struct PixelCase {
    distribution: String,
    p: f64,
    target: f64,
    prior: f64,
    nll: f64,
    d_nll: f64,
    kl: f64,
    d_kl: f64,
}

/// The value of `f` and its derivative in ψ, computed for a single pixel.
fn with_derivative(p: f64, f: impl Fn(Tensor<4>) -> Tensor<4>) -> (f64, f64) {
    let device = flex().autodiff();
    let data = TensorData::new(vec![p as f32], [1, 1, 1, 1]);
    let preds = Tensor::<4>::from_data(data, &device).require_grad();
    let value = f(preds.clone());
    let gradient = preds.grad(&value.clone().sum().backward()).unwrap();
    (f64::from(value.into_scalar::<f32>()), f64::from(gradient.into_scalar::<f32>()))
}

#[test]
fn pixel_losses_and_their_derivatives_match_inside_and_outside_the_clipping_range() {
    let text = std::fs::read_to_string(fixture("pixel_losses.json")).unwrap();
    let cases: Vec<PixelCase> = serde_json::from_str(&text).unwrap();
    assert_eq!(cases.len(), 114);
    let mut worst = 0.0f64;
    for case in &cases {
        let distribution = match case.distribution.as_str() {
            "bernoulli" => Distribution::Bernoulli,
            _ => Distribution::Gaussian { e_sigma: 0.25 },
        };
        let x = Tensor::<4>::from_data(TensorData::new(vec![case.target as f32], [1, 1, 1, 1]), &flex());
        let target = TargetFrame::new(x);
        let (value, slope) = with_derivative(case.p, |p| nll(distribution, p, &target));
        let (kl, kl_slope) = with_derivative(case.p, |p| kl_from_prior(distribution, p, case.prior));
        // In 32 bits 1 - (1 - 1e-6) is 1.0133e-6, and 1 - 0.999997 is as coarse: near p = 1 the fixtures' README
        // allows a clipped loss to differ by 0.013, and slopes of 1/(1-p) accordingly.
        let near_one = distribution == Distribution::Bernoulli && case.p > 0.99999;
        let bound = |expected: f64| {
            if near_one { 0.014 * expected.abs().max(1.0) } else { 1e-6 * expected.abs().max(1.0) }
        };
        for (what, found, expected) in [
            ("nll", value, case.nll),
            ("d_nll", slope, case.d_nll),
            ("kl", kl, case.kl),
            ("d_kl", kl_slope, case.d_kl),
        ] {
            let error = (found - expected).abs();
            if !near_one {
                worst = worst.max(error / expected.abs().max(1.0));
            }
            assert!(
                error <= bound(expected),
                "{what} of {} p {} target {} prior {}: {found} is not {expected}",
                case.distribution,
                case.p,
                case.target,
                case.prior
            );
        }
    }
    println!("pixel losses: worst error {worst:.1e} away from p = 1");
}

#[derive(serde::Deserialize)]
struct AdamCase {
    lr: f64,
    beta1: f64,
    beta2: f64,
    eps: f64,
    start: Vec<f32>,
    grads: Vec<Vec<f32>>,
    /// The numbers after each step.
    values: Vec<Vec<f64>>,
}

#[test]
fn six_adam_steps_match() {
    use burn::module::{Module, Param};
    use burn_optim::GradientsParams;
    #[derive(Module, Debug)]
    struct Numbers {
        values: Param<Tensor<1>>,
    }
    let text = std::fs::read_to_string(fixture("adam.json")).unwrap();
    let case: AdamCase = serde_json::from_str(&text).unwrap();
    let device = flex().autodiff();
    let mut numbers = Numbers { values: Param::from_data(TensorData::from(case.start.as_slice()), &device) };
    let mut adam = nem_tui::train::adam::optimizer(&nem_tui::preset::Adam {
        beta1: case.beta1,
        beta2: case.beta2,
        epsilon: case.eps,
    });
    let mut worst = 0.0f64;
    for (gradient, expected) in case.grads.iter().zip(&case.values) {
        let mut gradients = GradientsParams::new();
        let tensor = Tensor::<1>::from_data(TensorData::from(gradient.as_slice()), &flex());
        gradients.register(numbers.values.id, tensor);
        numbers = adam.step(case.lr, numbers, gradients);
        let found: Vec<f32> = numbers.values.val().try_into_vec_as().unwrap();
        for (a, b) in found.iter().zip(expected) {
            worst = worst.max((f64::from(*a) - b).abs());
        }
    }
    assert_eq!(case.values.len(), 6);
    println!("six Adam steps: worst error {worst:.1e}");
    assert!(worst < 1e-6, "{worst}");
}

/// Adam's first step is lr · g / (|g| + ε), so with a large ε it reveals the gradient's length.
#[test]
fn clip_norm_scales_all_gradients_by_one_factor() {
    let (mut preset, arrays) = case("static_rnn_em");
    preset.train.adam.epsilon = 1.0;
    let whole = run(&preset, &arrays, &flex());
    let gradients = || whole.iter().filter_map(|(name, array)| Some((name.strip_prefix("grad.")?, array)));
    let squares = gradients().flat_map(|(_, array)| &array.values).map(|g| f64::from(*g).powi(2));
    let norm = squares.sum::<f64>().sqrt();

    preset.train.clip_norm = Some(norm / 4.0);
    let clipped = run(&preset, &arrays, &flex());
    for (name, gradient) in gradients() {
        for (i, g) in gradient.values.iter().enumerate() {
            let before = f64::from(arrays[&format!("param.{name}")].values[i]);
            let g = f64::from(*g) / 4.0;
            let expected = before - preset.train.learning_rate * g / (g.abs() + 1.0);
            let found = f64::from(clipped[&format!("adam1.{name}")].values[i]);
            assert!((found - expected).abs() < 1e-7, "{name}[{i}] is {found}, not {expected}");
        }
    }

    preset.train.clip_norm = Some(norm * 1.01);
    assert_eq!(run(&preset, &arrays, &flex()), whole, "a gradient below the limit was changed");
}
