//! Losses that are still on the device. To read them is to wait for it, so on a GPU many are read together.

use std::time::Instant;

use burn::tensor::{Device, Tensor};

use crate::backend;
use crate::error::{Error, Result};
use crate::nem::host;
use crate::protocol::Iteration;

/// Iterations between two reads of the losses from a GPU.
const READ_EVERY: usize = 8;

/// The iterations whose losses have not been read.
pub(super) struct UnreadLosses {
    /// Iterations between two reads.
    pub(super) every: usize,
    /// Each is complete but for its losses and its time.
    iterations: Vec<Iteration>,
    /// For each the total, intra and inter loss, and the squared norm of the gradient.
    losses: Vec<Tensor<1>>, // [4]
    /// The start of the first one.
    since: Instant,
}

impl UnreadLosses {
    /// None yet, of a training on `device`.
    pub(super) fn new(device: &Device) -> UnreadLosses {
        let every = if backend::is_gpu(device) { READ_EVERY } else { 1 };
        UnreadLosses { every, iterations: Vec::new(), losses: Vec::new(), since: Instant::now() }
    }

    pub(super) fn begin_iteration(&mut self) {
        if self.is_empty() {
            self.since = Instant::now();
        }
    }

    pub(super) fn push(&mut self, iteration: Iteration, losses: Tensor<1>) {
        self.iterations.push(iteration);
        self.losses.push(losses);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.iterations.is_empty()
    }

    /// Whether it is time to read them.
    pub(super) fn is_due(&self) -> bool {
        self.iterations.len() >= self.every
    }

    pub(super) fn last_mut(&mut self) -> Option<&mut Iteration> {
        self.iterations.last_mut()
    }

    /// Seconds since the first of them began, or of those that were taken last.
    pub(super) fn seconds(&self) -> f64 {
        self.since.elapsed().as_secs_f64()
    }

    /// Reads the losses, of one iteration at least. Gradients were measured every `score_every` iterations.
    ///
    /// # Errors
    /// [`Error::NotFinite`] for a loss that is NaN or infinite.
    pub(super) fn take(&mut self, score_every: u64) -> Result<Vec<Iteration>> {
        let mut read = std::mem::take(&mut self.iterations);
        let losses = host(Tensor::cat(std::mem::take(&mut self.losses), 0));
        let losses: Vec<f64> = losses.into_iter().map(f64::from).collect();
        for (iteration, losses) in read.iter_mut().zip(losses.chunks_exact(4)) {
            (iteration.loss, iteration.intra, iteration.inter) = (losses[0], losses[1], losses[2]);
            let measured = iteration.iteration.is_multiple_of(score_every);
            iteration.gradient_norm = measured.then(|| losses[3].sqrt());
        }
        match read.iter().find(|iteration| !iteration.loss.is_finite()) {
            None => Ok(read),
            Some(&Iteration { iteration, loss, .. }) => {
                Err(Error::NotFinite { validation: false, iteration, loss, kept: String::new() })
            }
        }
    }
}
