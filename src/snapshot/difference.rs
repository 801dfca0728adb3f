//! Where two models split one image differently.

use super::objects::{largest, matching};
use super::schema::SnapshotStep;

/// How the components of a second snapshot match those of a first one.
#[derive(Clone, Debug, PartialEq)]
pub struct ComponentMatch {
    /// For each component of the second, the component of the first that it shares the most pixels with; one that is
    /// left over gets a number that no component of the first has.
    pub of_second: Vec<usize>,
    /// How many numbers there are: K of the first, and the components of the second that are left over.
    pub k: usize,
}

/// The pixels that two clusterings of one image are compared on.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// For each pixel, whether it differs; `None` where it belongs to no object.
    pub pixels: Vec<Option<bool>>,
}

impl ComponentMatch {
    /// Matches the components of two snapshots so that they share the most compared pixels at these steps
    /// (Hungarian method). Each step comes with its K.
    pub fn of((first, k): (&SnapshotStep, usize), (second, other): (&SnapshotStep, usize)) -> ComponentMatch {
        let mut shared = vec![vec![0i64; k.max(1)]; other];
        let pairs = largest(second, other).into_iter().zip(largest(first, k));
        for ((theirs, ours), compared) in pairs.zip(compared(first)) {
            if let (true, Some(row)) = (compared, shared.get_mut(theirs)) {
                row[ours] += 1;
            }
        }
        let mut spare = k..;
        let matched = matching(&shared, k.max(1)).into_iter();
        let of_second: Vec<usize> = matched.map(|ours| ours.or_else(|| spare.next()).unwrap_or(k)).collect();
        ComponentMatch { of_second, k: spare.start }
    }

    /// γ of the second snapshot, K·P values, with each component at the index of its match in the first.
    pub fn moved(&self, gamma: &[f32], places: usize) -> Vec<f32> {
        let mut moved = vec![0.0; self.k * places];
        for (mask, ours) in gamma.chunks_exact(places.max(1)).zip(&self.of_second) {
            moved[ours * places..][..places].copy_from_slice(mask);
        }
        moved
    }

    /// The pixels whose component differs at these steps.
    pub fn difference(
        &self,
        (first, k): (&SnapshotStep, usize),
        (second, other): (&SnapshotStep, usize),
    ) -> Difference {
        let theirs = largest(second, other).into_iter().map(|theirs| self.of_second.get(theirs).copied());
        let differs = largest(first, k).into_iter().zip(theirs).map(|(ours, theirs)| theirs != Some(ours));
        let pixels = differs.zip(compared(first)).map(|(differs, compared)| compared.then_some(differs));
        Difference { pixels: pixels.collect() }
    }
}

impl Difference {
    /// How many pixels differ, and how many are compared.
    pub fn count(&self) -> (usize, usize) {
        let compared = self.pixels.iter().flatten();
        (compared.clone().filter(|differs| **differs).count(), compared.count())
    }
}

/// Whether each pixel is compared: those of objects, or all where no objects are known.
fn compared(step: &SnapshotStep) -> impl Iterator<Item = bool> {
    let known = step.groups.iter().any(|group| *group > 0);
    step.groups.iter().map(move |group| !known || *group > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A step whose pixels belong to these components.
    fn step(groups: &[u8], k: usize, components: &[usize]) -> SnapshotStep {
        let mask = |k: usize| components.iter().map(move |c| if *c == k { 0.9 } else { 0.1 });
        SnapshotStep {
            target: vec![],
            noisy: vec![],
            groups: groups.to_vec(),
            preds: vec![],
            gamma: (0..k).flat_map(mask).collect(),
            ami: None,
            ari: None,
            confidence: None,
        }
    }

    #[test]
    fn components_are_matched_before_pixels_are_compared() {
        let groups = [1, 1, 1, 2, 2, 0];
        let first = step(&groups, 2, &[0, 0, 0, 1, 1, 1]);
        // Three components, in another order, and one pixel elsewhere; the background does not count.
        let second = step(&groups, 3, &[2, 2, 1, 0, 0, 2]);
        let matched = ComponentMatch::of((&first, 2), (&second, 3));
        assert_eq!(matched, ComponentMatch { of_second: vec![1, 2, 0], k: 3 });
        let difference = matched.difference((&first, 2), (&second, 3));
        let (same, differs) = (Some(false), Some(true));
        assert_eq!(difference.pixels, [same, same, differs, same, same, None]);
        assert_eq!(difference.count(), (1, 5));
        let moved = matched.moved(&second.gamma, 6);
        assert_eq!(moved[..6], second.gamma[12..], "in the colour of the component that it matches");
        let same = ComponentMatch::of((&second, 3), (&first, 2));
        assert_eq!(same.difference((&second, 3), (&first, 2)).count(), (1, 5), "either way");
    }

    #[test]
    fn without_objects_all_pixels_are_compared_and_empty_steps_do_not_panic() {
        let (one, other) = (step(&[0, 0], 2, &[0, 1]), step(&[0, 0], 2, &[1, 1]));
        let matched = ComponentMatch::of((&one, 2), (&other, 2));
        assert_eq!(matched.difference((&one, 2), (&other, 2)).count(), (1, 2));
        let none = step(&[], 0, &[]);
        let matched = ComponentMatch::of((&none, 0), (&none, 0));
        assert_eq!(matched.difference((&none, 0), (&none, 0)).count(), (0, 0));
    }
}
