//! What looks wrong in the pictures of a sample. Pictures flutter, so it counts once all of them have shown it for a
//! while.

use crate::snapshot::{Snapshot, SnapshotStep};

/// Two components whose predictions differ by less on average, on the objects' pixels, are duplicates.
const SAME: f64 = 0.02;
/// A component that predicts less on the objects' pixels predicts nothing.
const NOTHING: f64 = 0.1;
/// If every component predicts more on the objects' pixels, no component has an object of its own.
const EVERYTHING: f64 = 0.6;
/// Iterations for which all pictures have to show it.
const LASTING: u64 = 200;

/// Something that looks wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doubt {
    /// Two components predict the same.
    Duplicates(usize, usize),
    /// All components predict all objects.
    Everything,
}

/// A doubt in the newest picture.
#[derive(Clone, Copy, Debug)]
struct Seen {
    doubt: Doubt,
    /// By how much the predictions differ, or the least prediction.
    number: f64,
    /// The iteration of the first picture from which on all had it.
    first: u64,
}

/// What looks wrong in the newest picture, and for how long it has.
#[derive(Clone, Debug, Default)]
pub struct Doubts {
    seen: Vec<Seen>,
    /// The iteration of the newest picture.
    newest: u64,
}

impl Doubts {
    /// Looks at a newer picture.
    pub fn look(&mut self, snapshot: &Snapshot) {
        let found = snapshot.steps.last().map_or(Vec::new(), |step| doubts(snapshot, step));
        let now = snapshot.iteration;
        let since =
            |doubt: Doubt| self.seen.iter().find(|seen| seen.doubt == doubt).map_or(now, |seen| seen.first);
        self.seen =
            found.into_iter().map(|(doubt, number)| Seen { doubt, number, first: since(doubt) }).collect();
        self.newest = now;
    }

    /// Warnings about what has lasted, counted from iteration `from` at the earliest.
    pub fn lasting(&self, from: f64) -> impl Iterator<Item = String> {
        let lasts = move |seen: &&Seen| (self.newest as f64) >= from.max(seen.first as f64) + LASTING as f64;
        self.seen.iter().filter(lasts).map(|seen| {
            let number = seen.number;
            match seen.doubt {
                Doubt::Duplicates(one, other) => format!(
                    "components {one} and {other} are duplicates: their predictions differ by {number:.3}, so one of \
                     them is of no use; try a higher inter-cluster weight or another seed"
                ),
                Doubt::Everything => format!(
                    "all components see everything: even the least predicts {number:.2} of the objects; raise the \
                     inter-cluster weight to part them"
                ),
            }
        })
    }
}

/// The doubts about the objects' pixels in one step.
fn doubts(snapshot: &Snapshot, step: &SnapshotStep) -> Vec<(Doubt, f64)> {
    let (k, places, values) = (snapshot.k, snapshot.image.pixels(), snapshot.image.values());
    let drawn: Vec<usize> =
        (0..places).filter(|i| step.groups.get(*i).is_some_and(|group| *group > 0)).collect();
    if k < 2 || drawn.is_empty() || step.preds.len() != k * values {
        return Vec::new();
    }
    let mean = |of: &dyn Fn(usize) -> f64| drawn.iter().map(|i| of(*i)).sum::<f64>() / drawn.len() as f64;
    let pred = |component: usize, pixel: usize| f64::from(step.preds[component * values + pixel]);
    let mut found = Vec::new();
    // Two components that predict nothing here are not duplicates.
    for one in (0..k).filter(|one| mean(&|i| pred(*one, i)) > NOTHING) {
        for other in one + 1..k {
            let apart = mean(&|i| (pred(one, i) - pred(other, i)).abs());
            if apart < SAME {
                found.push((Doubt::Duplicates(one, other), apart));
            }
        }
    }
    let least = mean(&|i| (0..k).map(|component| pred(component, i)).fold(f64::INFINITY, f64::min));
    if least > EVERYTHING {
        found.push((Doubt::Everything, least));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preset::ImageSize;

    /// A picture of two pixels of two objects, with the predictions of two components.
    fn picture(iteration: u64, preds: [f32; 4]) -> Snapshot {
        let image = ImageSize { channels: 1, height: 1, width: 2 };
        let step = SnapshotStep {
            target: vec![1.0; 2],
            noisy: vec![1.0; 2],
            groups: vec![1, 2],
            preds: preds.to_vec(),
            gamma: vec![0.5; 4],
            ami: None,
            ari: None,
            confidence: None,
        };
        Snapshot { iteration, sample: 0, input: None, image, k: 2, look: vec![], steps: vec![step] }
    }

    fn said(pictures: &[(u64, [f32; 4])], from: f64) -> Vec<String> {
        let mut doubts = Doubts::default();
        pictures.iter().for_each(|(iteration, preds)| doubts.look(&picture(*iteration, *preds)));
        doubts.lasting(from).collect()
    }

    #[test]
    fn components_that_do_their_work_are_not_spoken_of() {
        let fine = [0.9, 0.1, 0.1, 0.9];
        assert!(said(&[(1000, fine), (2000, fine)], 0.0).is_empty());
    }

    #[test]
    fn what_lasts_is_said_with_its_number() {
        let (same, all, fine) = ([0.5; 4], [0.9, 0.8, 0.8, 0.9], [0.9, 0.1, 0.1, 0.9]);
        let found = said(&[(1000, same), (1200, same)], 0.0);
        assert!(found[0].contains("0 and 1 are duplicates") && found[0].contains("0.000"), "{found:?}");
        let found = said(&[(1000, all), (1100, all), (1200, all)], 0.0);
        assert!(found[0].contains("even the least predicts 0.80"), "{found:?}");
        assert!(said(&[(1000, same), (1199, same)], 0.0).is_empty(), "not for long");
        assert!(said(&[(1000, same), (1100, fine), (1200, same)], 0.0).is_empty(), "it flutters");
        assert!(said(&[(0, same), (1200, same)], 1100.0).is_empty(), "too early to say");
    }
}
