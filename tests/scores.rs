//! ARI and AMI compared with scikit-learn's (`tests/fixtures/README.md`), and the position-only floor.

#![allow(clippy::unwrap_used)] // a test's way to fail

use std::collections::BTreeSet;

use nem_tui::data::{Dataset, Split};
use nem_tui::preset::Preset;
use nem_tui::scores;

#[derive(serde::Deserialize)]
struct Fixture {
    cases: Vec<Case>,
    gamma_cases: Vec<GammaCase>,
}

#[derive(serde::Deserialize)]
struct Case {
    name: String,
    #[serde(rename = "true")]
    truth: Vec<u8>,
    pred: Vec<u8>,
    ari: Option<f64>,
    ami_max: Option<f64>,
    ami_arithmetic: Option<f64>,
}

#[derive(serde::Deserialize)]
struct GammaCase {
    gamma: Vec<Vec<f32>>,
    groups: Vec<u8>,
    labels: Vec<u8>,
    confidence: Option<f64>,
    ari: Option<f64>,
    ami_max: Option<f64>,
    ami_arithmetic: Option<f64>,
}

fn fixture() -> Fixture {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/metrics.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn check(name: &str, found: Option<f64>, expected: Option<f64>) -> f64 {
    let error = match (found, expected) {
        (Some(found), Some(expected)) => (found - expected).abs(),
        (None, None) => 0.0,
        other => panic!("{name}: {other:?}"),
    };
    assert!(error < 1e-9, "{name}: {found:?} is not {expected:?}");
    error
}

#[test]
fn scores_match_scikit_learn() {
    let fixture = fixture();
    assert_eq!((fixture.cases.len(), fixture.gamma_cases.len()), (40, 6));
    let (mut worst, mut undefined) = (0.0f64, 0);
    for case in fixture.cases {
        // Only where the truth is not 0.
        let kept = || case.truth.iter().zip(&case.pred).filter(|(t, _)| **t != 0);
        let truth: Vec<u8> = kept().map(|(t, _)| *t).collect();
        let pred: Vec<u8> = kept().map(|(_, p)| *p).collect();
        let ami = scores::ami(&truth, &pred);
        // scikit-learn gives 0/0 a 1, which is a convention and no measurement.
        let kinds = |of: &[u8]| of.iter().collect::<BTreeSet<_>>().len();
        if [1, truth.len()].iter().any(|n| (kinds(&truth), kinds(&pred)) == (*n, *n)) {
            assert!(truth.is_empty() || case.ami_max == Some(1.0), "{}", case.name);
            assert_eq!((ami, scores::ari(&truth, &pred)), (None, None), "{}", case.name);
            undefined += 1;
            continue;
        }
        worst = worst.max(check(&case.name, scores::ari(&truth, &pred), case.ari));
        worst = worst.max(check(&case.name, ami.map(|a| a.0), case.ami_max));
        worst = worst.max(check(&case.name, ami.map(|a| a.1), case.ami_arithmetic));
    }
    for (i, case) in fixture.gamma_cases.iter().enumerate() {
        let name = format!("gamma case {i}");
        let gamma: Vec<f32> = case.gamma.concat();
        assert_eq!(scores::labels(&gamma, case.groups.len()), case.labels, "{name}");
        let scores = scores::score(&gamma, &case.groups);
        worst = worst.max(check(&name, scores.ari, case.ari));
        worst = worst.max(check(&name, scores.ami, case.ami_max));
        worst = worst.max(check(&name, scores.ami_arithmetic, case.ami_arithmetic));
        // Gamma is stored in 32 bits here.
        let confidence = scores.confidence.zip(case.confidence);
        assert!(confidence.is_none_or(|(a, b)| (a - b).abs() < 1e-6), "{name}: {confidence:?}");
    }
    assert_eq!(undefined, 8, "empty, single items, one against one, and all items alone");
    println!("scores: worst error {worst:.1e}");
}

/// On the paper's static shapes, a fixed split into quadrants, which has learned nothing, scores an AMI (max) of
/// about 0.555. The floor is the best of all such splits.
#[test]
fn the_floor_of_static_shapes_is_at_least_that_of_quadrants() {
    let data = Dataset::new(&Preset::load("static-shapes-nem").unwrap(), 1).unwrap();
    let groups: Vec<Vec<u8>> =
        (0..2000).map(|i| data.sample(Split::Validation, i, 1).unwrap().groups).collect();
    let quadrants: Vec<u8> = (0..784).map(|pixel| (pixel / 28 / 14 * 2 + pixel % 28 / 14) as u8).collect();
    let scored = groups.iter().filter_map(|groups| {
        let kept = || groups.iter().zip(&quadrants).filter(|(group, _)| **group != 0);
        let truth: Vec<u8> = kept().map(|(group, _)| *group).collect();
        let labels: Vec<u8> = kept().map(|(_, region)| *region).collect();
        scores::ami(&truth, &labels)
    });
    let of_quadrants = scored.map(|ami| ami.0).sum::<f64>() / 2000.0;
    let floor = scores::floor(4, data.image(), groups.iter().map(Vec::as_slice));
    let (ami, ari) = (floor.ami.unwrap(), floor.ari.unwrap());
    println!("quadrants: AMI {of_quadrants:.4}; floor: AMI {ami:.4}, ARI {ari:.4}");
    assert!((of_quadrants - 0.555).abs() < 0.015, "{of_quadrants}");
    assert!(ami >= of_quadrants && ami < 0.6, "{floor:?}");
}
