//! How long a training iteration takes.

use serde::Serialize;

use super::trainer::Trainer;
use crate::error::Result;

/// Seconds per training iteration: data, forward, backward, Adam.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Timing {
    /// Iterations timed.
    pub iterations: usize,
    /// The middle one.
    pub median_s: f64,
    /// The fastest.
    pub min_s: f64,
    /// The slowest.
    pub max_s: f64,
}

/// Times `iterations` (at least 1) of `trainer`, after `warm_up` that are not counted.
///
/// # Errors
/// What [`Trainer::step`] returns.
pub fn bench(trainer: &mut Trainer, warm_up: usize, iterations: usize) -> Result<Timing> {
    for _ in 0..warm_up {
        step(trainer)?;
    }
    let mut seconds = (0..iterations.max(1)).map(|_| step(trainer)).collect::<Result<Vec<f64>>>()?;
    seconds.sort_by(f64::total_cmp);
    let middle = seconds.len() / 2;
    let median_s = match seconds.len() % 2 {
        1 => seconds[middle],
        _ => (seconds[middle - 1] + seconds[middle]) / 2.0,
    };
    Ok(Timing { iterations: seconds.len(), median_s, min_s: seconds[0], max_s: seconds[seconds.len() - 1] })
}

fn step(trainer: &mut Trainer) -> Result<f64> {
    if trainer.epoch_is_over() {
        trainer.end_epoch()?;
    }
    Ok(trainer.step()?.seconds)
}
