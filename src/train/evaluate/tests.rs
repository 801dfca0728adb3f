use super::*;
use crate::backend;

fn evaluated(sets: &[&str], split: Split, samples: usize, scored: ScoredSteps) -> Evaluation {
    let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
    let preset = Preset::load("quickstart").unwrap().set(&sets).unwrap();
    let data = Arc::new(Dataset::new(&preset, 1).unwrap());
    let device = &backend::available()[0];
    let model = Nem::new(&preset, 1, device);
    let task = Task {
        model: &model,
        preset: &preset,
        data: &data,
        seed: 1,
        split,
        samples,
        scored,
        stop: &Stop::default(),
    };
    evaluate(task, device, &|_| {}).unwrap()
}

#[test]
fn parts_add_up_to_the_whole() {
    let all = evaluated(&["loss.steps=All", "steps=3"], Split::Test, 250, ScoredSteps::AllSteps);
    assert_eq!((all.samples, all.steps.len(), all.subsets.len()), (250, 3, 4));
    let over = |f: fn(&StepScores) -> f64| all.steps.iter().map(f).sum::<f64>();
    assert!((over(|s| s.loss) - all.loss).abs() < 1e-9);
    assert!((over(|s| s.upper_bound) - all.upper_bound).abs() < 1e-9);
    let ami = all.weighted.ami.unwrap();
    assert!((over(|s| s.ami.unwrap()) / 3.0 - ami).abs() < 1e-9);
    assert!((all.steps[2].ami.unwrap() - all.last.ami.unwrap()).abs() < 1e-12);
    assert_eq!((all.frames, all.frames_last), (750, 250));
    for pair in all.subsets.chunks(2) {
        let frames: usize = pair.iter().map(|part| part.frames).sum();
        let whole =
            pair.iter().map(|part| part.ami.unwrap() * part.frames as f64).sum::<f64>() / frames as f64;
        assert!(frames == 750 && (whole - ami).abs() < 1e-9, "{pair:?}");
    }
    for step in &all.steps {
        let Quartiles { lower, median, upper } = step.quartiles.unwrap();
        assert!(lower <= median && median <= upper);
    }
}

#[test]
fn a_curve_sees_the_same_loss_and_scores_as_a_full_evaluation() {
    for set in [
        "loss.steps=All",
        "loss.steps=Last",
        "loss.steps=LastSteps(2)",
        "loss.steps=List([0.0, 0.5, 0.0, 0.0, 1.0, 0.0])",
    ] {
        let curve = evaluated(&[set], Split::Validation, 130, ScoredSteps::Weighted);
        let full = evaluated(&[set], Split::Validation, 130, ScoredSteps::AllSteps);
        assert_eq!((curve.loss, curve.last, curve.weighted), (full.loss, full.last, full.weighted));
        assert!(curve.steps.is_empty() && curve.subsets.is_empty());
    }
}

/// One component holds all objects, and one object is in one component or is not, whatever was learned.
#[test]
fn nothing_to_tell_apart_is_no_score() {
    let sets = ["k=1", "data.objects=1"];
    let alone = evaluated(&sets, Split::Validation, 40, ScoredSteps::AllSteps);
    let none = Scores { confidence: Some(1.0), ..Scores::default() };
    assert_eq!((alone.last, alone.weighted), (none, none));
    assert_eq!((alone.frames, alone.frames_last, alone.each.len()), (0, 0, 40));
    assert!(alone.loss.is_finite() && alone.subsets.is_empty() && alone.each.iter().all(Option::is_none));
    assert!(alone.steps.iter().all(|step| (step.ami, step.ari, step.quartiles) == (None, None, None)));
    for sets in [["k=1"], ["data.objects=1"]] {
        let one = evaluated(&sets, Split::Validation, 40, ScoredSteps::AllSteps);
        assert_eq!((one.last.ami, one.last.ari, one.weighted.ami), (None, None, None));
        assert!(one.last.confidence.is_some() && one.frames == 0 && one.subsets.is_empty());
        let preset = Preset::load("quickstart").unwrap().set(&sets.map(str::to_owned)).unwrap();
        let (data, stop) = (Dataset::new(&preset, 1).unwrap(), Stop::default());
        assert_eq!(floor(&preset, &data, Split::Test, 40, &stop).unwrap(), Floor::default());
        assert!(floors_of_subsets(&preset, &data, Split::Test, 40, &stop).unwrap().is_empty());
    }
    // A mean over no sample is not 0.
    let empty = evaluated(&[], Split::Validation, 0, ScoredSteps::AllSteps);
    assert!(empty.loss.is_nan() && empty.last == Scores::default() && empty.subsets.is_empty());
}

#[test]
fn overlap_is_a_pixel_that_is_on_without_a_group() {
    assert!(!overlaps(&[0, 1, 2], &[false, true, true]));
    assert!(overlaps(&[0, 1, 2], &[true, true, true]));
    // In any channel.
    assert!(overlaps(&[0, 1], &[false, true, true, false]));
}

/// A subset's floor is that of its own images; a subset of all images has the overall floor.
#[test]
fn a_subsets_floor_is_measured_on_its_images() {
    let preset = Preset::load("quickstart").unwrap();
    let data = Dataset::new(&preset, 1).unwrap();
    let floors = floors_of_subsets(&preset, &data, Split::Test, 400, &Stop::default()).unwrap();
    assert_eq!(floors.iter().map(|(name, _)| *name).collect::<Vec<_>>(), SUBSETS);
    let image = data.image();
    let samples: Vec<_> = (0..400).map(|i| data.sample(Split::Test, i, 7).unwrap()).collect();
    let measured = |belongs: &dyn Fn(&crate::data::Sample) -> bool| {
        let groups = samples.iter().filter(|sample| belongs(sample)).map(|sample| sample.groups.as_slice());
        scores::floor(preset.k, image, groups.collect::<Vec<_>>().into_iter())
    };
    let lost = |sample: &crate::data::Sample| {
        sample.features.iter().zip(&sample.groups).any(|(x, group)| *x == 1.0 && *group == 0)
    };
    assert_eq!(floors[0].1, measured(&|sample| !lost(sample)));
    assert_eq!(floors[1].1, measured(&lost));
    let [a, b, c] = [0, 1, 2];
    let differ = |sample: &crate::data::Sample| {
        let kinds = &sample.kinds;
        kinds[a] != kinds[b] && kinds[b] != kinds[c] && kinds[a] != kinds[c]
    };
    assert_eq!(floors[2].1, measured(&differ));
    assert_eq!(floors[3].1, measured(&|sample| !differ(sample)));
    assert_ne!(floors[0].1, floors[1].1);
    assert_eq!(floor(&preset, &data, Split::Test, 400, &Stop::default()).unwrap(), measured(&|_| true));
}
