use super::*;
use crate::preset::Images;

fn done(iteration: u64, seconds: f64) -> Record {
    Record::Step(Iteration { iteration, seconds, ..Iteration::default() })
}

fn ended(iteration: u64, seconds: f64) -> Record {
    Record::Epoch(Epoch { iteration, seconds, ..Epoch::default() })
}

fn of(records: impl IntoIterator<Item = Record>) -> Metrics {
    let mut metrics = Metrics::default();
    records.into_iter().for_each(|record| metrics.add(record));
    metrics
}

/// The clock after every iteration and epoch, by iteration.
fn clock(metrics: &Metrics) -> Vec<(u64, f64)> {
    metrics.timeline().map(|(clock, timed)| (timed.iteration(), clock.seconds)).collect()
}

#[test]
fn an_iteration_that_was_kept_takes_the_time_of_those_that_were_not() {
    // 100 iterations of half a second in an epoch, and 10 seconds of validation; every 20th was kept.
    let whole = (1..=2u64).flat_map(|epoch| {
        let first = (epoch - 1) * 100;
        (1..=100).map(move |n| done(first + n, 0.5)).chain([ended(first + 100, 60.0)])
    });
    let is_kept = |record: &Record| !matches!(record, Record::Step(step) if step.iteration % 20 != 0);
    let thinned = of(whole.clone().filter(is_kept));
    let expected = [
        (20, 10.0),
        (40, 20.0),
        (60, 30.0),
        (80, 40.0),
        (100, 50.0),
        (100, 60.0),
        (120, 70.0),
        (140, 80.0),
        (160, 90.0),
        (180, 100.0),
        (200, 110.0),
        (200, 120.0),
    ];
    assert_eq!(clock(&thinned), expected);
    let whole = clock(&of(whole));
    assert!(expected.iter().all(|time| whole.contains(time)), "the clock of the whole run differs");
    // Epochs alone, as in some archived runs, and a time that is not a number.
    assert_eq!(clock(&of([ended(100, 60.0), ended(200, 60.0)])), [(100, 60.0), (200, 120.0)]);
    assert_eq!(clock(&of([done(1, f64::NAN), done(2, -1.0), done(3, 2.0)]))[2], (3, 2.0));
}

#[test]
fn the_clock_survives_that_old_iterations_are_dropped() {
    let mut metrics = Metrics::default();
    let iterations = 5 * KEPT_ITERATIONS as u64;
    for n in 1..=iterations {
        metrics.add(done(n, 0.25));
        if n.is_multiple_of(1000) {
            metrics.add(ended(n, 260.0));
        }
        metrics.keep_latest();
    }
    assert!(metrics.iterations.len() < 2 * KEPT_ITERATIONS);
    let times = clock(&metrics);
    assert_eq!(times.last(), Some(&(iterations, 260.0 * iterations as f64 / 1000.0)));
    assert!(times.is_sorted_by(|a, b| a.0 <= b.0 && a.1 <= b.1));
    let validated = times.iter().filter(|(_, seconds)| seconds % 260.0 == 0.0);
    assert!(validated.copied().eq((1..=100).map(|epoch| (epoch * 1000, 260.0 * epoch as f64))));
}

#[test]
fn a_fork_without_its_parents_metrics_begins_at_time_zero() {
    let fork = of([Record::Fork { iteration: 500 }, done(501, 2.0), done(502, 2.0)]);
    assert_eq!(clock(&fork), [(501, 2.0), (502, 4.0)]);
    assert_eq!((fork.last_iteration(), of([Record::Fork { iteration: 500 }]).last_iteration()), (502, 500));
}

fn rate(iteration: u64, from: f64, to: f64) -> Record {
    let (from, to) = (Setting::LearningRate(from), Setting::LearningRate(to));
    Record::Change(Change { iteration, from, to })
}

fn stage(stage: usize, iteration: u64, learning_rate: f64) -> Record {
    let what =
        Stage { images: Images::All, learning_rate, set: Vec::new(), loss_steps: None, max_epochs: None };
    Record::Stage(StageStart { stage, iteration, what })
}

/// A stage comes before the changes of its first iteration; a parent's stages and changes are in a fork's preset.
#[test]
fn settings_at_the_end_have_what_came_since() {
    let preset = Preset::load("quickstart").unwrap();
    let records = [
        rate(4, 0.1, 0.02),
        Record::Fork { iteration: 7 },
        rate(9, 0.02, 0.5),
        stage(2, 9, 0.3),
        rate(20, 0.5, 0.7),
    ];
    let at_end = |records: &[Record], iteration| {
        of(records.iter().cloned()).preset_after(preset.clone(), iteration).train.learning_rate
    };
    assert_eq!((at_end(&records, 0), at_end(&records[..4], 0)), (0.7, 0.5));
    assert_eq!(at_end(&records[..2], 0), preset.train.learning_rate);
    assert_eq!(at_end(&records, 20), preset.train.learning_rate);
}

#[test]
fn a_forks_parent_keeps_its_own_learning_rates() {
    let preset = |sets: &[&str]| Preset::load("quickstart").and_then(|preset| preset.set(sets)).unwrap();
    let fork = |iteration| Record::Fork { iteration };
    let plain = preset(&["train.learning_rate=0.001"]);
    assert_eq!(of([done(1, 1.0)]).learning_rates(&plain), [(0, 0.001)]);
    let forked = of([rate(4, 0.1, 0.02), rate(8, 0.02, 0.001), fork(7), rate(9, 0.001, 0.005)]);
    assert_eq!(forked.learning_rates(&plain), [(0, 0.1), (4, 0.02), (8, 0.001), (9, 0.005)]);
    assert_eq!(forked.own_changes().len(), 1);
    // In stages: the preset of a fork in a later stage does not hold the rate of the first one.
    let stages = "train.stages=[(learning_rate: 0.1), (learning_rate: 0.02)]";
    let staged = preset(&[stages, "train.learning_rate=0.001"]);
    let forked = of([stage(2, 5, 0.02), rate(8, 0.02, 0.001), fork(7)]);
    assert_eq!(forked.learning_rates(&staged), [(0, 0.1), (5, 0.02), (8, 0.001)]);
    assert_eq!((forked.first_stage(), forked.stage_of(4), forked.stage_of(5)), (2, 1, 2));
    // A fork of the last checkpoint of a stage is changed first and then starts the next stage.
    let forked = of([rate(5, 0.1, 0.5), fork(4), stage(2, 5, 0.02)]);
    assert_eq!(forked.learning_rates(&staged).last(), Some(&(5, 0.02)));
    assert_eq!(forked.first_stage(), 1);
    // A user's change at the first iteration of a stage comes after it.
    let changed = of([stage(2, 5, 0.02), rate(5, 0.02, 0.3)]);
    assert_eq!(changed.learning_rates(&staged), [(0, 0.1), (5, 0.02), (5, 0.3)]);
}

/// Kept metrics of older versions have 1 where one component held the one object, and 0 with one component.
#[test]
fn scores_with_one_component_or_one_object_are_dropped() {
    let epoch = |iteration| {
        let scores = Epoch { ami: Some(1.0), ami_arithmetic: Some(1.0), ari: Some(1.0), ..Epoch::default() };
        Record::Epoch(Epoch { iteration, confidence: Some(1.0), ..scores })
    };
    let step = |iteration| {
        let scored = Iteration { ami: Some(1.0), ari: Some(1.0), ..Iteration::default() };
        Record::Step(Iteration { iteration, ..scored })
    };
    let change = |iteration, from, to| Record::Change(Change { iteration, from, to });
    let preset = Preset::load("flying-shapes-fast").unwrap();
    let third = Record::Stage(StageStart { stage: 3, iteration: 5, what: preset.train.stages[2].clone() });
    let mut metrics = of([
        step(4),
        epoch(4),
        third,
        step(5),
        epoch(6),
        change(7, Setting::K(3), Setting::K(1)),
        step(7),
        change(9, Setting::K(1), Setting::K(4)),
        epoch(9),
        change(10, Setting::Objects(3), Setting::Objects(1)),
        epoch(10),
    ]);
    metrics.drop_meaningless_scores(&preset);
    let kept: Vec<_> =
        metrics.epochs.iter().filter(|epoch| epoch.ami.is_some()).map(|e| e.iteration).collect();
    assert_eq!(kept, [6, 9]);
    assert!(metrics.epochs.iter().all(|epoch| epoch.ami.is_some() == epoch.ari.is_some()));
    assert!(metrics.epochs.iter().all(|epoch| epoch.confidence == Some(1.0)));
    let kept = metrics.iterations.iter().filter(|step| step.ami.is_some()).map(|step| step.iteration);
    assert!(kept.eq([5]));
}
