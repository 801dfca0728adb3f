//! What a plot shows of its values, and where its labels go: on the screen and in figures.

/// A range of values that is shown, and how many values above it are cut off.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AxisRange {
    /// The lower end: the least value.
    pub low: f64,
    /// The upper end.
    pub high: f64,
    /// Values above the upper end.
    pub cut: usize,
}

/// Three quarters of the values take at least this share of the axis.
const LEAST_SHARE: f64 = 0.2;

/// The values to show: all, or all but a few extreme ones (at most the highest tenth) that would flatten the others, such
/// as the first losses of a run. `None` without finite values; others do not count.
pub fn range(values: impl Iterator<Item = f64>) -> Option<AxisRange> {
    let mut values: Vec<f64> = values.filter(|value| value.is_finite()).collect();
    values.sort_by(f64::total_cmp);
    let (low, most) = (*values.first()?, *values.last()?);
    let at = |part: usize, of: usize| values[(values.len() - 1) * part / of];
    let usual = at(3, 4);
    let high = (low + (usual - low) / LEAST_SHARE).max(at(9, 10));
    // Values that are only a little higher are not cut off.
    if usual <= low || most - low <= 1.5 * (high - low) {
        return Some(AxisRange { low, high: most, cut: 0 });
    }
    Some(AxisRange { low, high, cut: values.iter().filter(|value| **value > high).count() })
}

/// Where to put labels, each with a place and a width, so that they do not overlap: the row of each, and where it begins.
/// A label that would pass `end` moves to the left. `None` where all `rows` are taken; later labels are placed first.
pub fn rows(labels: &[(f64, f64)], end: f64, rows: usize) -> Vec<Option<(usize, f64)>> {
    let mut free = vec![f64::INFINITY; rows];
    let mut placed: Vec<_> = labels
        .iter()
        .rev()
        .map(|(place, width)| {
            let from = place.min(end - width);
            let row = free.iter().position(|free| from + width <= *free)?;
            free[row] = from;
            Some((row, from))
        })
        .collect();
    placed.reverse();
    placed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_spike_does_not_flatten_the_rest() {
        let fall = |n: usize| (0..n).map(|i| 1000.0 + 6000.0 * (-(i as f64) / 10.0).exp());
        let found = range(fall(300)).unwrap();
        assert!(found.high < 1500.0 && found.cut > 10 && found.cut <= 30, "{found:?}");
        // An ordinary curve is shown whole, and one that only rises at its end.
        let slow = range((0..1000).map(|i| 500.0 + 900.0 * (-f64::from(i) / 400.0).exp())).unwrap();
        assert_eq!((slow.high, slow.cut), (1400.0, 0));
        assert_eq!(range([1.0, 1.0, 1.0, 5.0].into_iter()).unwrap().high, 5.0);
        assert_eq!(range([f64::NAN, 2.0].into_iter()), Some(AxisRange { low: 2.0, high: 2.0, cut: 0 }));
        assert_eq!(range(std::iter::empty()), None);
    }

    #[test]
    fn labels_that_would_overlap_take_other_rows_or_are_left_out() {
        let placed = rows(&[(0.0, 10.0), (5.0, 10.0), (6.0, 10.0), (30.0, 10.0)], 35.0, 2);
        assert_eq!(placed, [None, Some((1, 5.0)), Some((0, 6.0)), Some((0, 25.0))]);
        assert_eq!(rows(&[(1.0, 1.0)], 9.0, 0), [None]);
    }
}
