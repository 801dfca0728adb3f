//! Scores of a clustering against the true objects, on plain slices.
//!
//! ARI (Hubert and Arabie 1985) and AMI (Vinh, Epps and Bailey 2010) over the pixels that belong to exactly one object
//! (group ≠ 0), with labels argmax_k γ. Both are 1 for equal partitions and 0 on average for random ones. AMI is
//! `(MI − E[MI]) / (norm − E[MI])` with exact `E[MI]`. The paper normalises by the larger of the two entropies, today
//! their mean is usual; both are computed.
//!
//! A score is `None`, and not a number, where nothing can be scored:
//!
//! - without items: no pixel belongs to exactly one object;
//! - where chance alone reaches the maximum, so that AMI and ARI are 0/0: one object in one component, or every item
//!   alone in both labellings. A single item is both. scikit-learn prints 1 there, by convention;
//! - for γ that is not a number.
//!
//! One component for several objects, or several for one, is a score by these definitions: 0. Where a preset has only one
//! component or one object, that says nothing about the model, and callers drop it ([`Scores::if_scorable`]). A mean is
//! over what has a score, and `None` over nothing.

use crate::preset::ImageSize;
use crate::protocol::Floor;

/// The scores of one sample, or means over several.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Scores {
    /// AMI normalised by max(H(U), H(V)), as in the paper.
    pub ami: Option<f64>,
    /// AMI normalised by the mean of H(U) and H(V).
    pub ami_arithmetic: Option<f64>,
    /// ARI.
    pub ari: Option<f64>,
    /// Mean of max_k γ over the scored pixels; `None` without such pixels.
    pub confidence: Option<f64>,
}

impl Scores {
    /// The same, or only the confidence where AMI and ARI mean nothing.
    #[must_use]
    pub fn if_scorable(self, is_scorable: bool) -> Scores {
        if is_scorable { self } else { Scores { confidence: self.confidence, ..Scores::default() } }
    }
}

/// Scores γ (K·P values, component by component) against `groups` (P values).
pub fn score(gamma: &[f32], groups: &[u8]) -> Scores {
    let places = groups.len();
    let mut table = Contingency::new();
    let mut confidence = 0.0;
    for (pixel, &group) in groups.iter().enumerate().filter(|(_, group)| **group != 0) {
        let (label, largest) = argmax((0..).map(|k| k * places + pixel).map_while(|i| gamma.get(i).copied()));
        table.add(group, label);
        confidence += f64::from(largest);
    }
    // γ that is not a number chooses no component.
    if table.total == 0 || !confidence.is_finite() {
        return Scores::default();
    }
    let (ami, ami_arithmetic) = table.ami().unzip();
    Scores { ami, ami_arithmetic, ari: table.ari(), confidence: Some(confidence / f64::from(table.total)) }
}

/// Adds to `held` the number of object pixels that each component has the largest γ of.
pub fn count_held(gamma: &[f32], groups: &[u8], held: &mut [u64]) {
    for (label, _) in labels(gamma, groups.len()).into_iter().zip(groups).filter(|(_, group)| **group != 0) {
        if let Some(held) = held.get_mut(usize::from(label)) {
            *held += 1;
        }
    }
}

/// argmax_k γ at every pixel, the lowest k on ties.
pub fn labels(gamma: &[f32], places: usize) -> Vec<u8> {
    (0..places)
        .map(|pixel| argmax((0..).map(|k| k * places + pixel).map_while(|i| gamma.get(i).copied())).0)
        .collect()
}

fn argmax(values: impl Iterator<Item = f32>) -> (u8, f32) {
    values
        .zip(0u8..)
        .fold((0, f32::NEG_INFINITY), |best, (value, k)| if value > best.1 { (k, value) } else { best })
}

/// ARI of two labellings of the same items; `None` where it is 0/0.
pub fn ari(truth: &[u8], labels: &[u8]) -> Option<f64> {
    Contingency::of(truth, labels).ari()
}

/// AMI of two labellings of the same items, normalised by the larger entropy and by the mean; `None` where it is 0/0.
pub fn ami(truth: &[u8], labels: &[u8]) -> Option<(f64, f64)> {
    Contingency::of(truth, labels).ami()
}

/// Number of items of each class or label.
type Margin = Vec<(u8, u32)>;

/// Counts of items by true class and by label.
struct Contingency {
    /// Class, label and count of every pair that occurs.
    pairs: Vec<(u8, u8, u32)>,
    total: u32,
}

impl Contingency {
    fn new() -> Contingency {
        Contingency { pairs: Vec::new(), total: 0 }
    }

    fn of(truth: &[u8], labels: &[u8]) -> Contingency {
        let mut table = Contingency::new();
        truth.iter().zip(labels).for_each(|(class, label)| table.add(*class, *label));
        table
    }

    fn add(&mut self, class: u8, label: u8) {
        self.total += 1;
        // Few pairs occur, so a short scan is faster than a map.
        match self.pairs.iter_mut().find(|pair| (pair.0, pair.1) == (class, label)) {
            Some(pair) => pair.2 += 1,
            None => self.pairs.push((class, label, 1)),
        }
    }

    /// Counts by class and by label, in order of first appearance.
    fn margins(&self) -> (Margin, Margin) {
        let onto = |sums: &mut Margin, key: u8, count: u32| match sums.iter_mut().find(|s| s.0 == key) {
            Some(sum) => sum.1 += count,
            None => sums.push((key, count)),
        };
        let (mut classes, mut labels) = (Vec::new(), Vec::new());
        for &(class, label, count) in &self.pairs {
            onto(&mut classes, class, count);
            onto(&mut labels, label, count);
        }
        (classes, labels)
    }

    /// The adjusted Rand index, from the pairs of items that are together or apart.
    fn ari(&self) -> Option<f64> {
        let n = f64::from(self.total);
        let squares =
            |counts: &mut dyn Iterator<Item = u32>| counts.map(|c| f64::from(c).powi(2)).sum::<f64>();
        let (classes, labels) = self.margins();
        let both = squares(&mut self.pairs.iter().map(|p| p.2));
        let by_class = squares(&mut classes.iter().map(|c| c.1));
        let by_label = squares(&mut labels.iter().map(|c| c.1));
        // Ordered pairs: together in both, only in the truth, only in the labels, in neither.
        let (tp, false_apart, false_together) = (both - n, by_class - both, by_label - both);
        let tn = n * n - by_class - by_label + both;
        let range = (tp + false_apart) * (false_apart + tn) + (tp + false_together) * (false_together + tn);
        (range > 0.0).then(|| 2.0 * (tp * tn - false_apart * false_together) / range)
    }

    /// The adjusted mutual information, normalised by the larger entropy and by the mean.
    fn ami(&self) -> Option<(f64, f64)> {
        let (classes, labels) = self.margins();
        let all = self.total as usize;
        match (classes.len(), labels.len()) {
            // Both the same in any order of the items, so that the norm is E[MI].
            (0 | 1, 0 | 1) => return None,
            (a, b) if a == all && b == all => return None,
            (1, _) | (_, 1) => return Some((0.0, 0.0)),
            _ => {}
        }
        let n = f64::from(self.total);
        let entropy = |counts: &[(u8, u32)]| -> f64 {
            counts.iter().map(|c| f64::from(c.1) / n).map(|p| -p * p.ln()).sum()
        };
        let count = |margin: &[(u8, u32)], key: u8| {
            margin.iter().find(|m| m.0 == key).map_or(1.0, |m| f64::from(m.1))
        };
        let mutual: f64 = self
            .pairs
            .iter()
            .map(|&(class, label, c)| {
                let c = f64::from(c);
                c / n * (n * c / (count(&classes, class) * count(&labels, label))).ln()
            })
            .sum();
        let expected = expected_mutual_information(&classes, &labels, self.total);
        let (of_classes, of_labels) = (entropy(&classes), entropy(&labels));
        let adjust = |norm: f64| (mutual - expected) / (norm - expected);
        Some((adjust(of_classes.max(of_labels)), adjust((of_classes + of_labels) / 2.0)))
    }
}

/// `E[MI]` of two random labellings with these class sizes (Vinh et al. 2010, eq. 24a).
fn expected_mutual_information(classes: &[(u8, u32)], labels: &[(u8, u32)], total: u32) -> f64 {
    // ln(i!) for i in 0..=total.
    let ln_factorial: Vec<f64> = std::iter::once(0.0)
        .chain((1..=total).scan(0.0, |sum, i| {
            *sum += f64::from(i).ln();
            Some(*sum)
        }))
        .collect();
    let ln_f = |i: u32| ln_factorial[i as usize];
    let n = f64::from(total);
    let mut expected = 0.0;
    for &(_, a) in classes {
        for &(_, b) in labels {
            let fixed = ln_f(a) + ln_f(b) + ln_f(total - a) + ln_f(total - b) - ln_f(total);
            let ratio = n / (f64::from(a) * f64::from(b));
            for both in (a + b).saturating_sub(total).max(1)..=a.min(b) {
                // The hypergeometric probability of `both` items in this cell.
                let ln_p = fixed - ln_f(both) - ln_f(a - both) - ln_f(b - both) - ln_f(total + both - a - b);
                let share = f64::from(both);
                expected += share / n * (ratio * share).ln() * ln_p.exp();
            }
        }
    }
    expected
}

/// The position-only floor: the best score on these samples, by mean AMI (max) and by mean ARI, of a fixed split of the
/// image into at most K regions (rows, columns, grids). It is small for a single moving object with K = 4 but
/// considerable for several objects. `None` if a split has no score, because no pixel has a group, or because it is
/// right on all samples, as the whole image is for a single object.
pub fn floor<'a>(k: usize, image: ImageSize, groups: impl Iterator<Item = &'a [u8]> + Clone) -> Floor {
    let mut best = Floor::default();
    for split in position_splits(k, image) {
        let [mut ami, mut ari] = [RunningMean::default(); 2];
        for groups in groups.clone() {
            let mut table = Contingency::new();
            let scored = groups.iter().zip(&split).filter(|(group, _)| **group != 0);
            scored.for_each(|(group, region)| table.add(*group, *region));
            ami.add(table.ami().map(|ami| ami.0), 1.0);
            ari.add(table.ari(), 1.0);
        }
        let (Some(ami), Some(ari)) = (ami.mean(), ari.mean()) else { return Floor::default() };
        best.ami = Some(best.ami.map_or(ami, |best| best.max(ami)));
        best.ari = Some(best.ari.map_or(ari, |best| best.max(ari)));
    }
    best
}

/// A weighted mean in progress, of the numbers that there are.
#[derive(Clone, Copy, Debug, Default)]
pub struct RunningMean {
    sum: f64,
    weight: f64,
    /// Numbers with a weight above 0.
    pub count: usize,
}

impl RunningMean {
    /// Adds a number, if it is one.
    pub fn add(&mut self, number: Option<f64>, weight: f64) {
        if let Some(number) = number {
            self.sum += weight * number;
            self.weight += weight;
            self.count += usize::from(weight > 0.0);
        }
    }

    /// The mean; `None` without a number that has a weight.
    pub fn mean(&self) -> Option<f64> {
        (self.weight > 0.0).then(|| 1.0 / self.weight * self.sum)
    }
}

/// Splits by position alone: every grid of rows x columns with at most `k` cells (the whole, halves, stripes,
/// quadrants, …), as a region for each pixel. The whole image is the right answer for a single visible object.
pub fn position_splits(k: usize, image: ImageSize) -> Vec<Vec<u8>> {
    let (height, width) = (image.height, image.width);
    let grids =
        (1..=k.min(height)).flat_map(|rows| (1..=(k / rows).min(width)).map(move |columns| (rows, columns)));
    grids
        .map(|(rows, columns)| {
            let region = |pixel: usize| {
                let (y, x) = (pixel / width, pixel % width);
                (y * rows / height * columns + x * columns / width) as u8
            };
            (0..height * width).map(region).collect()
        })
        .collect()
}

/// Quartiles.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Quartiles {
    /// A quarter of the numbers lies below.
    pub lower: f64,
    /// The median.
    pub median: f64,
    /// A quarter of the numbers lies above.
    pub upper: f64,
}

impl Quartiles {
    /// The quartiles of `numbers`, interpolated linearly; `None` without numbers.
    pub fn of(mut numbers: Vec<f64>) -> Option<Quartiles> {
        numbers.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let place = share * numbers.len().saturating_sub(1) as f64;
            let (below, above) = (numbers.get(place.floor() as usize)?, numbers.get(place.ceil() as usize)?);
            Some(below + (above - below) * place.fract())
        };
        Some(Quartiles { lower: at(0.25)?, median: at(0.5)?, upper: at(0.75)? })
    }
}

/// The mean, `None` without numbers, and the sample standard deviation (n − 1), `None` without two numbers.
pub fn mean_and_deviation(numbers: &[f64]) -> (Option<f64>, Option<f64>) {
    let count = numbers.len() as f64;
    let mean = numbers.iter().sum::<f64>() / count;
    let squares = numbers.iter().map(|number| (number - mean) * (number - mean)).sum::<f64>();
    ((count > 0.0).then_some(mean), (count > 1.0).then(|| (squares / (count - 1.0)).sqrt()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn labelling() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
        (1usize..80).prop_flat_map(|n| (prop::collection::vec(0u8..5, n), prop::collection::vec(0u8..6, n)))
    }

    proptest! {
        #[test]
        fn names_of_labels_do_not_matter((truth, labels) in labelling(), shift in 1u8..200) {
            let renamed: Vec<u8> = labels.iter().map(|l| (l ^ 3).wrapping_mul(7).wrapping_add(shift)).collect();
            let close = |a: f64, b: f64| (a - b).abs() < 1e-9;
            let of = |labels: &[u8]| ami(&truth, labels).zip(ari(&truth, labels));
            match (of(&labels), of(&renamed)) {
                (Some((a, a_ari)), Some((b, b_ari))) => {
                    prop_assert!(close(a_ari, b_ari) && close(a.0, b.0) && close(a.1, b.1));
                }
                (a, b) => prop_assert!(a.is_none() && b.is_none()),
            }
        }

        #[test]
        fn scores_are_symmetric_and_at_most_one((truth, labels) in labelling()) {
            prop_assert_eq!(ami(&truth, &labels).is_some(), ari(&truth, &labels).is_some());
            if let (Some(a), Some(b)) = (ami(&truth, &labels), ami(&labels, &truth)) {
                prop_assert!((a.0 - b.0).abs() < 1e-9 && (a.1 - b.1).abs() < 1e-9);
                prop_assert!(a.0 <= 1.0 + 1e-9 && a.1 <= 1.0 + 1e-9);
                prop_assert!(ari(&truth, &labels).unwrap() <= 1.0);
            }
            let kinds = truth.iter().collect::<std::collections::BTreeSet<_>>().len();
            match ami(&truth, &truth) {
                Some(same) => prop_assert!((same.0 - 1.0).abs() < 1e-9 && ari(&truth, &truth) == Some(1.0)),
                None => prop_assert!(kinds == 1 || kinds == truth.len()),
            }
        }

        /// Sampled permutations agree with the exact expectation.
        #[test]
        fn expected_mutual_information_is_the_mean_over_permutations(seed in any::<u64>()) {
            let mut stream = crate::random::Stream::new(seed, crate::random::Purpose::Order, 0, 0);
            let truth: Vec<u8> = (0..24).map(|_| stream.below(3) as u8).collect();
            let labels: Vec<u8> = (0..24).map(|_| stream.below(3) as u8).collect();
            let table = Contingency::of(&truth, &labels);
            let (classes, by_label) = table.margins();
            prop_assume!(classes.len() > 1 && by_label.len() > 1);
            let exact = expected_mutual_information(&classes, &by_label, 24);
            let mutual = |labels: &[u8]| {
                let n = 24.0;
                let size = |of: &[u8], key: u8| of.iter().filter(|v| **v == key).count() as f64;
                Contingency::of(&truth, labels).pairs.iter().map(|&(c, l, k)| {
                    let k = f64::from(k);
                    k / n * (n * k / (size(&truth, c) * size(labels, l))).ln()
                }).sum::<f64>()
            };
            let runs = 3000;
            let mean = (0..runs).map(|_| {
                let order = stream.permutation(24);
                mutual(&order.iter().map(|&i| labels[i as usize]).collect::<Vec<_>>())
            }).sum::<f64>() / f64::from(runs);
            prop_assert!((mean - exact).abs() < 0.01, "{mean} {exact}");
        }
    }

    #[test]
    fn quartiles_interpolate() {
        let of = |numbers: &[f64]| {
            Quartiles::of(numbers.to_vec()).map(|Quartiles { lower, median, upper }| [lower, median, upper])
        };
        assert_eq!(of(&[4.0, 1.0, 3.0, 2.0]), Some([1.75, 2.5, 3.25]));
        assert_eq!((of(&[7.0]), of(&[])), (Some([7.0; 3]), None));
    }

    #[test]
    fn a_deviation_is_a_samples() {
        assert_eq!(mean_and_deviation(&[1.0, 3.0]), (Some(2.0), Some(2f64.sqrt())));
        assert_eq!(mean_and_deviation(&[5.0]), (Some(5.0), None));
        assert_eq!(mean_and_deviation(&[]), (None, None));
    }

    /// 0/0 is not a score, whatever the convention; 0 is.
    #[test]
    fn where_nothing_can_be_scored_there_is_no_score() {
        for (truth, labels, scored) in [
            (&[][..], &[][..], false),
            (&[1], &[0], false),
            (&[1, 1, 1], &[4, 4, 4], false),
            (&[1, 2, 3], &[2, 0, 1], false),
            (&[1, 1, 1], &[0, 0, 1], true),
            (&[1, 2, 2], &[0, 0, 0], true),
            (&[1, 1, 2, 2], &[0, 1, 2, 3], true),
        ] {
            let found = (ami(truth, labels), ari(truth, labels).map(f64::abs));
            let expected = (scored.then_some((0.0, 0.0)), scored.then_some(0.0));
            assert_eq!(found.1, expected.1, "{truth:?} {labels:?}");
            let tiny = |a: (f64, f64)| a.0.abs().max(a.1.abs()) < 1e-12;
            assert_eq!(found.0.map(tiny), scored.then_some(true), "{truth:?} {labels:?}");
        }
        assert_eq!(score(&[0.5, 0.5], &[0]), Scores::default());
        assert_eq!(score(&[f32::NAN; 4], &[1, 2]), Scores::default());
        // What one component is sure of can be said without anything to tell apart.
        assert_eq!(score(&[1.0, 1.0], &[1, 1]), Scores { confidence: Some(1.0), ..Scores::default() });
    }

    #[test]
    fn a_mean_leaves_out_what_has_no_score() {
        let mut mean = RunningMean::default();
        assert_eq!(mean.mean(), None);
        mean.add(None, 1.0);
        mean.add(Some(0.5), 0.0);
        assert_eq!((mean.mean(), mean.count), (None, 0));
        mean.add(Some(0.25), 2.0);
        mean.add(Some(1.0), 1.0);
        assert_eq!((mean.mean(), mean.count), (Some(0.5), 2));
    }

    #[test]
    fn grids_of_four_are_halves_stripes_and_quadrants() {
        let image = ImageSize { channels: 1, height: 4, width: 4 };
        let splits = position_splits(4, image);
        // 1x1 1x2 1x3 1x4, 2x1 2x2, 3x1, 4x1.
        assert_eq!(splits.len(), 8);
        assert!(splits.contains(&vec![0, 0, 1, 1, 0, 0, 1, 1, 2, 2, 3, 3, 2, 2, 3, 3]));
        assert_eq!(position_splits(1, image), [vec![0; 16]]);
        assert_eq!(position_splits(64, ImageSize { channels: 1, height: 1, width: 1 }), [[0]]);
    }

    /// A single object needs no model: the whole image is the right answer, and its score is 0/0.
    #[test]
    fn a_single_object_leaves_nothing_to_learn() {
        let image = ImageSize { channels: 1, height: 2, width: 2 };
        let alone: &[u8] = &[0, 1, 1, 0];
        let of = |k, groups| floor(k, image, [groups].into_iter());
        assert_eq!((of(1, alone), of(2, alone)), (Floor::default(), Floor::default()));
        assert_eq!(of(4, &[0; 4]), Floor::default());
        let two: &[u8] = &[0, 1, 2, 0];
        assert_eq!(of(1, two).ami, Some(0.0));
        // Samples without objects, or with one of them, are left out.
        let some = floor(1, image, [two, alone, &[0; 4]].into_iter());
        assert_eq!(some, Floor { ami: Some(0.0), ari: Some(0.0) });
    }
}
