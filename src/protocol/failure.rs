//! Why a run failed, and how missing and broken numbers are shown.

use serde::{Deserialize, Deserializer, Serialize};

/// The end of a run that failed: the last record of its metrics, until the run is resumed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunFailure {
    /// The iteration that failed, or the last one before it failed.
    pub iteration: u64,
    /// The epoch of that iteration, from 1.
    pub epoch: u64,
    /// The loss that was NaN or infinite, if that is why. JSON has no such numbers, so it is text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss: Option<BrokenLoss>,
    /// A sentence that says why.
    pub why: String,
}

/// A loss that was not finite.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BrokenLoss {
    /// Of the training.
    Train(#[serde(with = "as_text")] f64),
    /// Of the validation.
    Validation(#[serde(with = "as_text")] f64),
}

impl RunFailure {
    /// The label of its mark on the curves.
    pub fn label(&self) -> String {
        match self.loss {
            Some(BrokenLoss::Train(loss)) => format!("failed: loss {loss}"),
            Some(BrokenLoss::Validation(loss)) => format!("failed: validation loss {loss}"),
            None => "failed".into(),
        }
    }

    /// The training loss that was not finite.
    pub fn train_loss(&self) -> Option<f64> {
        match self.loss {
            Some(BrokenLoss::Train(loss)) => Some(loss),
            _ => None,
        }
    }

    /// The validation loss that was not finite.
    pub fn validation_loss(&self) -> Option<f64> {
        match self.loss {
            Some(BrokenLoss::Validation(loss)) => Some(loss),
            _ => None,
        }
    }
}

mod as_text {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(number: &f64, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(number)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

/// For `deserialize_with`: a number that JSON has as `null`, because it was NaN or infinite, is read as NaN.
pub fn number_or_nan<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or(f64::NAN))
}

/// A number with this many decimals, or a dash if it is missing or not finite. What rounds to 0 has no sign.
pub fn number_or_dash(value: Option<f64>, decimals: usize) -> String {
    let Some(value) = value.filter(|value| value.is_finite()) else { return "–".to_owned() };
    let text = format!("{value:.decimals$}");
    match text.strip_prefix('-') {
        Some(zero) if zero.bytes().all(|byte| b"0.".contains(&byte)) => zero.to_owned(),
        _ => text,
    }
}

/// Why there are no scores and no floor.
pub const UNSCORABLE: &str = "with one component or one object there is nothing to tell apart";

/// Why AMI and ARI are `None`, by the loss and the confidence measured with them.
pub fn why_unscored(loss: f64, confidence: Option<f64>) -> &'static str {
    match confidence {
        _ if !loss.is_finite() => "the predictions are not numbers",
        None => "no pixel belongs to exactly one object",
        Some(_) => UNSCORABLE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Epoch, Iteration, Record};

    #[test]
    fn a_failure_survives_json() {
        for loss in
            [None, Some(BrokenLoss::Train(f64::INFINITY)), Some(BrokenLoss::Validation(-1e300 * 1e300))]
        {
            let record = Record::Failed(RunFailure { iteration: 3, epoch: 1, loss, why: "it did".into() });
            let line = serde_json::to_string(&record).unwrap();
            assert!(line.starts_with(r#"{"kind":"failed","iteration":3"#), "{line}");
            assert_eq!(serde_json::from_str::<Record>(&line).unwrap(), record, "{line}");
        }
        let nan = RunFailure {
            iteration: 3,
            epoch: 1,
            loss: Some(BrokenLoss::Train(f64::NAN)),
            why: String::new(),
        };
        let line = serde_json::to_string(&nan).unwrap();
        assert!(line.contains(r#""loss":{"train":"NaN"}"#), "{line}");
        assert!(serde_json::from_str::<RunFailure>(&line).unwrap().train_loss().unwrap().is_nan());
        assert_eq!(nan.label(), "failed: loss NaN");
    }

    /// JSON writes NaN and infinities as `null`. That must be readable, as must the numbers in older files.
    #[test]
    fn what_is_written_as_null_is_read() {
        let broken = f64::NAN;
        let step =
            Iteration { loss: broken, intra: broken, inter: broken, seconds: broken, ..Iteration::default() };
        let epoch =
            Epoch { train_loss: broken, validation_loss: broken, seconds: broken, ..Epoch::default() };
        for record in [Record::Step(step), Record::Epoch(epoch)] {
            let line = serde_json::to_string(&record).unwrap();
            assert!(line.contains("null") && !line.contains("NaN"), "{line}");
            let read: Record = serde_json::from_str(&line).unwrap();
            assert_eq!(format!("{read:?}"), format!("{record:?}"));
        }
        let older = r#"{"kind":"epoch","epoch":1,"iteration":2,"train_loss":1.0,"validation_loss":1.0,"ami":0.5,
            "ami_arithmetic":0.5,"ari":0.25,"confidence":1.0,"best":true,"seconds":1.0}"#;
        let Record::Epoch(read) = serde_json::from_str(older).unwrap() else { panic!("an epoch") };
        assert_eq!((read.ami, read.ari), (Some(0.5), Some(0.25)));
        let later = r#"{"kind":"weather","sunny":true,"iteration":[1]}"#;
        assert_eq!(serde_json::from_str::<Record>(later).unwrap(), Record::Other);
    }
}
