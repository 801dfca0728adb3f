//! The true objects of a frame and the components that hold them.

use super::schema::{Snapshot, SnapshotStep};

/// A true object and the component that holds it.
#[derive(Clone, Debug, PartialEq)]
pub struct MatchedObject {
    /// Its number in the true groups, from 1.
    pub group: u8,
    /// Pixels that belong to it alone.
    pub pixels: usize,
    /// The component that holds it in the best matching; `None` if no component is left for it.
    pub component: Option<usize>,
    /// Intersection over union of the object's and the component's pixels, among pixels that belong to objects.
    pub iou: f64,
    /// The object's share of the component's pixels, among pixels that belong to objects.
    pub purity: f64,
}

/// Each pixel's component with the largest γ, the first one on ties. NaN and infinity count as smallest.
pub fn largest(step: &SnapshotStep, k: usize) -> Vec<usize> {
    let places = step.groups.len();
    let value = |component: usize, pixel: usize| {
        step.gamma.get(component * places + pixel).copied().filter(|gamma| gamma.is_finite())
    };
    let best = |pixel| {
        let better =
            |best: usize, next: usize| if value(next, pixel) > value(best, pixel) { next } else { best };
        (0..k).reduce(better).unwrap_or(0)
    };
    (0..places).map(best).collect()
}

/// The true objects of a frame, matched with `k` components so that they share the most pixels (Hungarian method
/// on [`largest`]).
pub fn objects(step: &SnapshotStep, k: usize) -> Vec<MatchedObject> {
    let largest = largest(step, k);
    let mut groups: Vec<u8> = step.groups.iter().copied().filter(|group| *group > 0).collect();
    groups.sort_unstable();
    groups.dedup();
    if groups.is_empty() || k == 0 {
        return Vec::new();
    }
    let mut shared = vec![vec![0i64; k]; groups.len()];
    for (group, component) in step.groups.iter().zip(&largest) {
        if let Ok(row) = groups.binary_search(group) {
            shared[row][*component] += 1;
        }
    }
    let held: Vec<i64> = (0..k).map(|component| shared.iter().map(|row| row[component]).sum()).collect();
    let matched = matching(&shared, k);
    let rows = groups.iter().zip(&shared).zip(matched);
    rows.map(|((group, row), component)| {
        let pixels = row.iter().sum::<i64>();
        let (both, of_component) = component.map_or((0, 0), |component| (row[component], held[component]));
        let share = |part: i64, whole: i64| part as f64 / whole.max(1) as f64;
        MatchedObject {
            group: *group,
            pixels: pixels as usize,
            component,
            iou: share(both, pixels + of_component - both),
            purity: share(both, of_component),
        }
    })
    .collect()
}

/// The column matched with each row, so that the pairs share the most.
pub(super) fn matching(shared: &[Vec<i64>], columns: usize) -> Vec<Option<usize>> {
    use pathfinding::kuhn_munkres::kuhn_munkres;
    use pathfinding::matrix::Matrix;
    let rows = shared.len();
    // The method needs at least as many columns as rows.
    if rows <= columns {
        let matrix = Matrix::from_fn(rows, columns, |(row, column)| shared[row][column]);
        kuhn_munkres(&matrix).1.into_iter().map(Some).collect()
    } else {
        let matrix = Matrix::from_fn(columns, rows, |(column, row)| shared[row][column]);
        let mut matched = vec![None; rows];
        for (column, row) in kuhn_munkres(&matrix).1.into_iter().enumerate() {
            matched[row] = Some(column);
        }
        matched
    }
}

/// [`largest`] for the pixels that belong to objects, because only those are scored; for all pixels if no objects are
/// known.
pub fn winners(step: &SnapshotStep, k: usize) -> Vec<Option<usize>> {
    let known = step.groups.iter().any(|group| *group > 0);
    let winners = step.groups.iter().zip(largest(step, k));
    winners.map(|(group, largest)| (!known || *group > 0).then_some(largest)).collect()
}

/// For each group, the component whose colour it is drawn in at all EM steps: the one that holds it at the last step
/// where it is visible. An object that no component holds gets an index of `k` or more.
pub fn colours(snapshot: &Snapshot) -> [Option<usize>; 256] {
    let mut spare = snapshot.k..;
    let mut colours = [None; 256];
    for step in snapshot.steps.iter().rev() {
        let is_new = |group: &u8| *group > 0 && colours[usize::from(*group)].is_none();
        if !step.groups.iter().any(is_new) {
            continue;
        }
        for object in objects(step, snapshot.k) {
            let group = usize::from(object.group);
            if colours[group].is_none() {
                // A component whose colour another object already has, from a later step, would be ambiguous.
                let free = object.component.filter(|component| !colours.contains(&Some(*component)));
                colours[group] = free.or_else(|| spare.next());
            }
        }
    }
    colours
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preset::ImageSize;

    fn step(groups: &[u8], gamma: &[f32]) -> SnapshotStep {
        let values = vec![0.0; groups.len()];
        SnapshotStep {
            target: values.clone(),
            noisy: values,
            groups: groups.to_vec(),
            preds: vec![],
            gamma: gamma.to_vec(),
            ami: None,
            ari: None,
            confidence: None,
        }
    }

    #[test]
    fn objects_are_matched_with_the_components_that_hold_them() {
        // Object 1 is held by component 1, object 2 mostly by component 0, which has a pixel of neither.
        let step = step(&[1, 1, 2, 2, 0], &[0.1, 0.2, 0.9, 0.4, 0.9, 0.9, 0.8, 0.1, 0.6, 0.1]);
        let found = objects(&step, 2);
        assert_eq!(
            found[0],
            MatchedObject { group: 1, pixels: 2, component: Some(1), iou: 2.0 / 3.0, purity: 2.0 / 3.0 }
        );
        assert_eq!(
            found[1],
            MatchedObject { group: 2, pixels: 2, component: Some(0), iou: 0.5, purity: 1.0 }
        );
    }

    #[test]
    fn more_objects_than_components_leave_some_without() {
        let step = step(&[1, 2, 2, 3], &[1.0, 1.0, 1.0, 1.0]);
        let found = objects(&step, 1);
        assert_eq!(found.iter().filter_map(|object| object.component).count(), 1);
        assert_eq!(found[1].component, Some(0), "the largest is held");
    }

    #[test]
    fn objects_have_the_colours_of_the_components_that_hold_them_in_the_end() {
        let gamma = [1.0, 0.0, 0.0, 0.6, 0.0, 0.0, 1.0, 1.0, 0.4, 1.0];
        let swapped = [&gamma[5..], &gamma[..5]].concat();
        // Object 4 is hidden at the last step, and no component holds object 3.
        let steps = vec![
            step(&[4, 0, 0, 0, 0], &gamma),
            step(&[1, 2, 2, 3, 0], &swapped),
            step(&[1, 2, 2, 3, 0], &gamma),
        ];
        let image = ImageSize { channels: 1, height: 1, width: 5 };
        let snapshot = Snapshot { iteration: 1, sample: 0, input: None, image, k: 2, look: vec![], steps };
        assert_eq!(colours(&snapshot)[..6], [None, Some(0), Some(1), Some(2), Some(3), None]);
        assert_eq!(winners(&snapshot.steps[2], 2), [Some(0), Some(1), Some(1), Some(0), None]);
        assert_eq!(
            winners(&step(&[0, 0], &[0.2, 0.9, 0.8, 0.1]), 2),
            [Some(1), Some(0)],
            "no objects are known"
        );
    }

    #[test]
    fn an_empty_frame_has_no_objects() {
        assert!(objects(&step(&[0, 0], &[1.0, 1.0]), 1).is_empty());
    }
}
