//! The JSON that describes a parity case: another implementation's settings, as a [`Preset`].
//!
//! `infer` takes such a file in the place of a preset, so that anyone's numbers can be checked.

use serde::Deserialize;

use super::{
    Activation, Adam, Cell, Data, Distribution, Layer, Loss, Model, Noise, Preset, StepWeights, Train,
};
use crate::error::{Error, Result};

#[derive(Deserialize)]
struct Case {
    name: String,
    config: Config,
}

/// Only what the computation depends on; how inputs were drawn is not.
#[derive(Deserialize)]
struct Config {
    inner: String,
    channels: usize,
    height: usize,
    width: usize,
    hidden: usize,
    #[serde(default)]
    recurrent_ln: bool,
    #[serde(default)]
    input: Vec<LayerSpec>,
    #[serde(default)]
    output: Vec<LayerSpec>,
    distribution: String,
    k: usize,
    steps: usize,
    batch: usize,
    gradient_gamma: bool,
    loss_step_weights: Weights,
    loss_inter_weight: f64,
    #[serde(default = "super::default_e_sigma")]
    e_sigma: f64,
    #[serde(default)]
    prior: f64,
    #[serde(default)]
    pred_init: f64,
    #[serde(default = "em_eps")]
    em_eps: f64,
    adam: AdamSpec,
}

#[derive(Deserialize)]
struct LayerSpec {
    #[serde(rename = "type")]
    kind: String,
    size: Option<usize>,
    act: Option<String>,
    #[serde(default)]
    ln: bool,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Weights {
    Named(String),
    List(Vec<f64>),
}

#[derive(Deserialize)]
struct AdamSpec {
    lr: f64,
    beta1: f64,
    beta2: f64,
    eps: f64,
}

fn em_eps() -> f64 {
    1e-6
}

impl Preset {
    /// Reads a parity case's JSON; `origin` is the file's name, for messages.
    ///
    /// # Errors
    /// [`Error::Preset`] for malformed JSON, with line and column, and for settings this program does
    /// not have.
    pub fn parse_case(text: &str, origin: &str) -> Result<Preset> {
        let case: Case = serde_json::from_str(text).map_err(|e| Error::Preset {
            origin: format!("{origin}:{}:{}", e.line(), e.column()),
            problem: e.to_string(),
        })?;
        let preset =
            case.into_preset().map_err(|problem| Error::Preset { origin: origin.to_owned(), problem })?;
        preset.validate(origin)?;
        Ok(preset)
    }
}

impl Case {
    fn into_preset(self) -> Result<Preset, String> {
        let config = self.config;
        if config.em_eps != em_eps() {
            return Err(format!("config.em_eps is {}; this program always adds 1e-6", config.em_eps));
        }
        let cell = match config.inner.as_str() {
            "nem" => Cell::Nem { units: config.hidden },
            "rnn" if config.recurrent_ln => {
                return Err("config.recurrent_ln is true; this program has no layer norm yet".into());
            }
            "rnn" => {
                let mut layers = layers("input", &config.input)?;
                layers.push(Layer::Recurrent { units: config.hidden });
                layers.extend(self::layers("output", &config.output)?);
                Cell::RnnEm { layers }
            }
            other => return Err(format!("config.inner is {other:?}; it must be \"rnn\" or \"nem\"")),
        };
        let distribution = match config.distribution.as_str() {
            "bernoulli" => Distribution::Bernoulli,
            "gaussian" => Distribution::Gaussian { e_sigma: config.e_sigma },
            other => {
                return Err(format!(
                    "config.distribution is {other:?}; it must be \"bernoulli\" or \"gaussian\""
                ));
            }
        };
        let steps = match config.loss_step_weights {
            Weights::List(weights) => StepWeights::List(weights),
            Weights::Named(name) if name == "last" => StepWeights::Last,
            Weights::Named(name) if name == "all" => StepWeights::All,
            Weights::Named(name) => {
                return Err(format!(
                    "config.loss_step_weights is {name:?}; it must be \"last\", \"all\" or a list"
                ));
            }
        };
        Ok(Preset {
            name: self.name,
            about: String::new(),
            expect: String::new(),
            data: Data::Tensors { channels: config.channels, height: config.height, width: config.width },
            noise: Noise::Bitflip { probability: 0.0 },
            k: config.k,
            steps: config.steps,
            model: Model { distribution, pred_init: config.pred_init, cell },
            loss: Loss {
                steps,
                inter_weight: config.loss_inter_weight,
                gradient_gamma: config.gradient_gamma,
                prior: config.prior,
            },
            train: Train {
                batch: config.batch,
                train_size: config.batch,
                validation_size: 1,
                test_size: 1,
                learning_rate: config.adam.lr,
                adam: Adam { beta1: config.adam.beta1, beta2: config.adam.beta2, epsilon: config.adam.eps },
                max_epochs: 1,
                patience: super::ten(),
                score_every: super::default_score_every(),
            },
        })
    }
}

fn layers(side: &str, specs: &[LayerSpec]) -> Result<Vec<Layer>, String> {
    let layer = |(i, spec): (usize, &LayerSpec)| {
        let at = format!("config.{side}[{i}]");
        if spec.kind != "fc" || spec.ln {
            let norm = if spec.ln { " with layer norm" } else { "" };
            return Err(format!(
                "{at} is {:?}{norm}; this program has fc layers without layer norm",
                spec.kind
            ));
        }
        let activation = match spec.act.as_deref() {
            Some("*") => Activation::Output,
            Some("sigmoid") => Activation::Sigmoid,
            Some("relu") => Activation::Relu,
            Some("elu") => Activation::Elu,
            Some("linear") => Activation::Linear,
            other => {
                return Err(format!("{at}.act is {other:?}; it must be *, sigmoid, relu, elu or linear"));
            }
        };
        Ok(Layer::Dense { units: spec.size, activation })
    };
    specs.iter().enumerate().map(layer).collect()
}
