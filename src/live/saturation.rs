//! Notices a network that cannot learn, because its units are saturated.

use crate::protocol::Iteration;

/// The gradients measured since an epoch ended.
#[derive(Debug, Default)]
pub(super) struct Saturation {
    measured: u64,
    /// How many of them were exactly 0.
    zeros: u64,
    /// Whether the user was warned and nothing has changed since.
    told: bool,
}

impl Saturation {
    /// Adds an iteration, whose gradient may have been measured.
    pub(super) fn add(&mut self, iteration: &Iteration) {
        if let Some(norm) = iteration.gradient_norm {
            self.measured += 1;
            self.zeros += u64::from(norm == 0.0);
        }
    }

    /// Ends an epoch. Returns a sentence if every gradient was 0, once. An epoch without a measurement is counted with
    /// the next.
    pub(super) fn end_epoch(&mut self, epoch: u64) -> Option<String> {
        if self.measured == 0 {
            return None;
        }
        let saturated = self.zeros == self.measured;
        let said = (saturated && !self.told).then(|| {
            format!(
                "epoch {epoch}: the network is saturated: its gradient was exactly 0 in all {} measured iterations, so it \
                 learns nothing; start again with a smaller train.learning_rate",
                self.measured
            )
        });
        *self = Saturation { told: saturated, ..Saturation::default() };
        said
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_saturated_network_is_said_once() {
        let mut saturation = Saturation::default();
        let mut epoch = |norms: &[Option<f64>]| {
            for norm in norms {
                saturation.add(&Iteration { gradient_norm: *norm, ..Iteration::default() });
            }
            saturation.end_epoch(4)
        };
        assert_eq!(epoch(&[Some(0.0), Some(1e-9)]), None);
        assert_eq!(epoch(&[None, None]), None, "nothing was measured");
        let said = epoch(&[Some(0.0), None, Some(0.0)]).unwrap();
        assert!(said.contains("epoch 4") && said.contains("all 2 measured iterations"), "{said}");
        assert_eq!(epoch(&[Some(0.0)]), None, "it was said");
        assert_eq!(epoch(&[Some(0.5)]), None);
        assert!(epoch(&[Some(0.0)]).is_some(), "it is another time");
    }
}
