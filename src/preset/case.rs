//! Parity cases: the JSON with another implementation's settings, read as a [`Preset`].
//!
//! `infer` takes such a file instead of a preset, so that anyone's numbers can be checked.

use serde::Deserialize;

use super::data::{Data, Noise};
use super::schema;
use super::schema::{
    Activation, Adam, Cell, Distribution, Epsilons, Layer, Loss, ModelSpec, Preset, StepWeights, Train,
};
use crate::error::{Error, Result};

#[derive(Deserialize)]
struct ParityCase {
    name: String,
    config: CaseConfig,
}

/// What the computation depends on, without how the inputs were drawn.
#[derive(Deserialize)]
struct CaseConfig {
    inner: String,
    channels: usize,
    height: usize,
    width: usize,
    hidden: usize,
    #[serde(default)]
    recurrent_ln: bool,
    #[serde(default)]
    input: Vec<CaseLayer>,
    #[serde(default)]
    output: Vec<CaseLayer>,
    distribution: String,
    k: usize,
    steps: usize,
    batch: usize,
    gradient_gamma: bool,
    loss_step_weights: CaseStepWeights,
    loss_inter_weight: f64,
    #[serde(default = "super::schema::default_e_sigma")]
    e_sigma: f64,
    #[serde(default)]
    prior: f64,
    #[serde(default)]
    pred_init: f64,
    em_eps: Option<f64>,
    ln_eps: Option<f64>,
    input_norm_eps: Option<f64>,
    adam: CaseAdam,
}

#[derive(Deserialize)]
struct CaseLayer {
    #[serde(rename = "type")]
    kind: String,
    size: Option<usize>,
    act: Option<String>,
    #[serde(default)]
    ln: bool,
    shape: Option<Vec<usize>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum CaseStepWeights {
    Named(String),
    List(Vec<f64>),
}

#[derive(Deserialize)]
struct CaseAdam {
    lr: f64,
    beta1: f64,
    beta2: f64,
    eps: f64,
}

impl Preset {
    /// Reads a parity case's JSON; `origin` is the file's name, for messages.
    ///
    /// # Errors
    /// [`Error::Preset`] for malformed JSON, with line and column, and for unsupported settings.
    pub fn parse_case(text: &str, origin: &str) -> Result<Preset> {
        let case: ParityCase = serde_json::from_str(text).map_err(|e| Error::Preset {
            origin: format!("{origin}:{}:{}", e.line(), e.column()),
            problem: e.to_string(),
        })?;
        let preset =
            case.into_preset().map_err(|problem| Error::Preset { origin: origin.to_owned(), problem })?;
        preset.validate(origin)?;
        Ok(preset)
    }
}

impl ParityCase {
    fn into_preset(self) -> Result<Preset, String> {
        let config = self.config;
        let cell = match config.inner.as_str() {
            "nem" => Cell::Nem { units: config.hidden },
            "rnn" => {
                let mut layers = layers("input", &config.input)?;
                layers.push(Layer::Recurrent { units: config.hidden, layer_norm: config.recurrent_ln });
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
        let usual = Epsilons::default();
        let epsilons = Epsilons {
            e_step: config.em_eps.unwrap_or(usual.e_step),
            layer_norm: config.ln_eps.unwrap_or(usual.layer_norm),
            input_norm: config.input_norm_eps.unwrap_or(usual.input_norm),
        };
        let steps = match config.loss_step_weights {
            CaseStepWeights::List(weights) => StepWeights::List(weights),
            CaseStepWeights::Named(name) if name == "last" => StepWeights::Last,
            CaseStepWeights::Named(name) if name == "all" => StepWeights::All,
            CaseStepWeights::Named(name) => {
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
            noise: Noise::None,
            k: config.k,
            steps: config.steps,
            model: ModelSpec { distribution, pred_init: config.pred_init, cell, epsilons },
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
                stages: Vec::new(),
                adam: Adam { beta1: config.adam.beta1, beta2: config.adam.beta2, epsilon: config.adam.eps },
                max_epochs: 1,
                patience: schema::ten(),
                clip_norm: None,
                score_every: schema::default_score_every(),
                checkpoint_minutes: schema::five(),
                history_mb: schema::default_history_mb(),
            },
        })
    }
}

fn layers(side: &str, specs: &[CaseLayer]) -> Result<Vec<Layer>, String> {
    let named = |(i, spec): (usize, &CaseLayer)| {
        layer(spec).map_err(|problem| format!("config.{side}[{i}], {:?}, {problem}", spec.kind))
    };
    specs.iter().enumerate().map(named).collect()
}

fn layer(spec: &CaseLayer) -> Result<Layer, String> {
    let activation = || match spec.act.as_deref() {
        Some("*") => Ok(Activation::Output),
        Some("sigmoid") => Ok(Activation::Sigmoid),
        Some("relu") => Ok(Activation::Relu),
        Some("elu") => Ok(Activation::Elu),
        Some("linear") => Ok(Activation::Linear),
        Some(other) => Err(format!("has act {other:?}; it must be *, sigmoid, relu, elu or linear")),
        None => Err("lacks act".to_owned()),
    };
    let size = || spec.size.ok_or_else(|| "lacks size".to_owned());
    let layer_norm = spec.ln;
    Ok(match spec.kind.as_str() {
        "input_norm" => Layer::InputNorm,
        "conv" => Layer::Conv { channels: size()?, layer_norm, activation: activation()? },
        "fc" => Layer::Dense { units: Some(size()?), layer_norm, activation: activation()? },
        "r_conv" => Layer::UpsampleConv { channels: Some(size()?), layer_norm, activation: activation()? },
        "reshape" => match spec.shape.as_deref() {
            Some(&[channels, height, width]) => Layer::Reshape { channels, height, width },
            _ => return Err("needs a shape of three numbers: channels, height, width".into()),
        },
        _ => return Err("is not a known type; use fc, conv, r_conv, reshape or input_norm".into()),
    })
}
