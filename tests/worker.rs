//! The training thread, used through its handle.
#![allow(clippy::unwrap_used)] // a test's way to fail

mod support;

use std::path::Path;

use nem_tui::backend::DeviceName;
use nem_tui::data::Split;
use nem_tui::error::Error;
use nem_tui::live::backstage::card;
use nem_tui::live::begin::{Ending, Epochs, Job, fork, replay, resume, start};
use nem_tui::paper::runs::TrainedRun;
use nem_tui::precision::Precision;
use nem_tui::preset::{Distribution, Images, Preset, Setting};
use nem_tui::protocol::{Command, Event, Finish, Iteration, Record, RunHandle};
use nem_tui::run::album;
use nem_tui::run::checkpoint::Checkpoint;
use nem_tui::run::checkpoints::path_of;
use nem_tui::run::directory::{RunDir, RunFile};
use nem_tui::run::metrics;
use nem_tui::run::picture::of_split;
use nem_tui::run::verify::verify;
use nem_tui::snapshot::Input;
use nem_tui::train::evaluate::ScoredSteps;
use nem_tui::train::trainer::Trainer;
use support::{endless, picture};

fn for_epochs(epochs: Option<Epochs>) -> Ending {
    Ending { epochs, ..Ending::default() }
}

fn run(out: &Path, max_iterations: Option<u64>) -> RunHandle {
    let job = Job {
        out: Some(out.to_owned()),
        ending: Ending { max_iterations, ..Ending::default() },
        ..Job::new(endless(), 1, DeviceName::Flex)
    };
    start(&job).unwrap()
}

/// Waits for the next event from which `wanted` returns something.
fn wait<T>(handle: &mut RunHandle, mut wanted: impl FnMut(Event) -> Option<T>) -> T {
    loop {
        let event = handle.events.blocking_recv().expect("the worker has ended");
        if let Event::Finished(finish) = &event {
            panic!("ended early: {finish:?}");
        }
        if let Some(found) = wanted(event) {
            return found;
        }
    }
}

fn iterations(event: Event) -> Option<Vec<Iteration>> {
    match event {
        Event::Iterations(list) => Some(list),
        _ => None,
    }
}

#[test]
fn a_change_holds_from_the_next_iteration_on() {
    let directory = tempfile::tempdir().unwrap();
    let mut handle = run(&directory.path().join("r"), None);
    handle.send(Command::Pause);
    let mut last = 0;
    wait(&mut handle, |event| match event {
        Event::Iterations(list) => {
            last = list.last().unwrap().iteration;
            None
        }
        Event::Paused(true) => Some(()),
        _ => None,
    });
    for setting in [Setting::K(3), Setting::Noise(0.4), Setting::Steps(5), Setting::Objects(2)] {
        handle.send(Command::Set(setting));
        let change = wait(&mut handle, |event| match event {
            Event::Changed(change) => Some(change),
            _ => None,
        });
        assert_eq!((change.iteration, change.to), (last + 1, setting));
    }
    handle.send(Command::Step);
    assert_eq!(wait(&mut handle, iterations)[0].iteration, last + 1);
    handle.send(Command::Watch(7));
    let snapshot = picture(&mut handle, |picture| picture.sample == 7);
    assert_eq!((snapshot.k, snapshot.steps.len(), snapshot.iteration), (3, 5, last + 1));
}

#[test]
fn an_impossible_change_is_refused_and_training_continues() {
    let directory = tempfile::tempdir().unwrap();
    let mut handle = run(&directory.path().join("r"), None);
    handle.send(Command::Set(Setting::K(0)));
    let sentence = wait(&mut handle, |event| match event {
        Event::Refused { request, why } => {
            assert_eq!(request, Command::Set(Setting::K(0)));
            Some(why)
        }
        _ => None,
    });
    assert!(sentence.contains("k is 0"), "{sentence}");
    let before = wait(&mut handle, iterations)[0].iteration;
    assert!(wait(&mut handle, iterations)[0].iteration > before);
}

/// Whether, at some pixel of an object, the two largest γ, of [K, P], are so close that another order of summation
/// may swap them, as early in training.
fn has_ties(gamma: &[f32], groups: &[u8]) -> bool {
    let places = groups.len();
    let objects = (0..places).filter(|place| groups[*place] != 0);
    let mut gaps = objects.map(|place| {
        let mut of_pixel: Vec<f32> = gamma.iter().skip(place).step_by(places).copied().collect();
        of_pixel.sort_by(|a, b| b.total_cmp(a));
        of_pixel[0] - of_pixel[1]
    });
    gaps.any(|gap| gap < 1e-4)
}

/// A run's album keeps the first, last and best moments, and a fork's also those before it. A moment shows what the
/// checkpoint of the same iteration computes.
#[test]
fn moments_are_kept_and_show_what_the_weights_made() {
    let directory = tempfile::tempdir().unwrap();
    let (out, branch) = (directory.path().join("r"), directory.path().join("f"));
    let mut handle = run(&out, Some(35));
    while !matches!(handle.events.blocking_recv().unwrap(), Event::Finished(_)) {}
    let kept = album::moments(&out);
    assert_eq!((kept[0], *kept.last().unwrap()), (0, 32), "{kept:?}");
    assert!(kept.contains(&8) && kept.contains(&10) && kept.len() < 25, "{kept:?}");
    let best = std::fs::read_to_string(out.join("checkpoints/best")).unwrap();
    let best = path_of(&out, "best").unwrap().with_file_name(best.trim());
    let checkpoint = Checkpoint::open(&best).unwrap();
    let moment = album::read(&out, checkpoint.manifest.counters.iteration, 3).unwrap();
    let device = DeviceName::Flex.open().unwrap();
    let same = of_split(&checkpoint, &checkpoint.preset, Split::Validation, 3, &device).unwrap();
    assert_eq!((moment.sample, moment.k, moment.steps.len()), (3, same.k, same.steps.len()));
    for (moment, same) in moment.steps.iter().zip(&same.steps) {
        assert!(moment.gamma.iter().zip(&same.gamma).all(|(a, b)| (a - b).abs() < 0.01));
        assert_eq!(moment.groups, same.groups);
        let bound = if has_ties(&same.gamma, &same.groups) { 0.1 } else { 1e-6 };
        assert!((moment.ami.unwrap_or(0.0) - same.ami.unwrap_or(0.0)).abs() < bound);
    }
    let ending = Ending { max_iterations: Some(33), ..Ending::default() };
    let same = |preset: &Preset| Ok(preset.clone());
    let mut handle = fork(&best, DeviceName::Flex, same, Some(branch.clone()), vec![], ending).unwrap();
    while !matches!(handle.events.blocking_recv().unwrap(), Event::Finished(_)) {}
    // Up to the best moment: it is the best in the parent only, and the fork has thinned it out.
    let before = |moments: Vec<u64>| -> Vec<u64> {
        moments.into_iter().filter(|m| *m < checkpoint.manifest.counters.iteration).collect()
    };
    assert_eq!(before(album::moments(&branch)), before(kept));
    // An album that cannot be written is given up, and the run continues.
    let blocked = directory.path().join("b");
    let mut handle = run(&blocked, Some(12));
    handle.send(Command::Pause);
    wait(&mut handle, |event| matches!(event, Event::Paused(true)).then_some(()));
    std::fs::remove_dir_all(blocked.join("album")).unwrap();
    std::fs::write(blocked.join("album"), "in the way").unwrap();
    handle.send(Command::Resume);
    let told = wait(&mut handle, |event| match event {
        Event::Note(why) => Some(why),
        _ => None,
    });
    assert!(told.contains("album"), "{told}");
    while !matches!(handle.events.blocking_recv().unwrap(), Event::Finished(Finish::MaxIterations)) {}
}

/// A validation reports what each component holds, and the same upper bound as `eval`.
#[test]
fn a_validation_says_what_components_hold_and_the_upper_bound() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("r");
    let mut handle = run(&out, Some(10));
    let (mut epoch, mut held) = (None, vec![]);
    loop {
        match handle.events.blocking_recv().unwrap() {
            Event::Epoch(read) => epoch = Some(read),
            Event::WatchedScores(watched) => held = watched.held,
            Event::Finished(_) => break,
            _ => {}
        }
    }
    assert_eq!(held.len(), endless().k);
    assert!((held.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{held:?}");
    let checkpoint = Checkpoint::open(&path_of(&out, "last").unwrap()).unwrap();
    let trainer = checkpoint.trainer(&DeviceName::Flex.open().unwrap()).unwrap();
    let again = trainer.evaluate(Split::Validation, 16, ScoredSteps::AllSteps).unwrap();
    let epoch = epoch.unwrap();
    assert!(again.upper_bound > 0.0);
    assert_eq!((epoch.upper_bound, epoch.validation_loss), (Some(again.upper_bound), again.loss));
    assert_eq!(held, again.held);
}

/// A run whose events nobody reads is trained and saved all the same. Read afterwards, they hold every iteration in
/// order.
#[test]
fn the_training_never_waits_for_its_reader() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("r");
    let job = Job {
        out: Some(out.clone()),
        ending: Ending { max_iterations: Some(900), stay: true, ..Ending::default() },
        ..Job::new(endless(), 1, DeviceName::Flex)
    };
    let mut handle = start(&job).unwrap();
    picture(&mut handle, |picture| picture.iteration == 900);
    // No command is taken between the last iteration and the checkpoint after it.
    handle.send(Command::Watch(7));
    picture(&mut handle, |picture| picture.sample == 7);
    assert_eq!(std::fs::read_to_string(out.join("checkpoints/last")).unwrap(), "it-00000900");
    handle.send(Command::Stop);
    let mut seen = Vec::new();
    let finish = loop {
        match handle.events.blocking_recv().unwrap() {
            Event::Iterations(list) => seen.extend(list.into_iter().map(|i| i.iteration)),
            Event::Finished(finish) => break finish,
            _ => {}
        }
    };
    assert_eq!(finish, Finish::MaxIterations);
    assert_eq!(seen, (1..=900).collect::<Vec<_>>());
}

/// Losses before and after a change of K, noise, steps, weights or objects cannot be compared, so patience starts
/// again. A learning rate does not change the loss.
#[test]
fn a_change_of_the_loss_starts_the_patience_anew() {
    let device = DeviceName::Flex.open().unwrap();
    let mut trainer = Trainer::new(&endless(), 1, &device).unwrap();
    let epoch = |trainer: &mut Trainer| {
        while !trainer.epoch_is_over() {
            trainer.step().unwrap();
        }
        trainer.end_epoch().unwrap().0
    };
    epoch(&mut trainer);
    let best = trainer.counters().best_validation;
    assert!(best.is_some());
    trainer.change(Setting::LearningRate(1e-3)).unwrap();
    assert_eq!(trainer.counters().best_validation, best);
    for setting in [
        Setting::K(3),
        Setting::Noise(0.3),
        Setting::Steps(4),
        Setting::InterWeight(5.0),
        Setting::Objects(2),
    ] {
        trainer.change(setting).unwrap();
        assert_eq!(
            (trainer.counters().best_validation, trainer.counters().stale_epochs),
            (None, 0),
            "{setting:?}"
        );
        assert!(epoch(&mut trainer).best, "the first epoch after {setting:?} is the one to beat");
    }
}

/// On a GPU losses are read only now and then. They are the same, only later.
#[test]
fn losses_that_are_read_together_are_those_read_one_by_one() {
    let device = DeviceName::Flex.open().unwrap();
    let trained = |read_every| {
        let mut trainer = Trainer::new(&endless(), 1, &device).unwrap();
        trainer.set_read_every(read_every);
        let mut counts = Vec::new();
        let mut read = Vec::new();
        for _ in 0..6 {
            let some = trainer.step().unwrap();
            counts.push(some.len());
            read.extend(some);
        }
        read.extend(trainer.read_losses().unwrap());
        read.iter_mut().for_each(|iteration| iteration.seconds = 0.0);
        (counts, read, trainer.counters().epoch_loss, trainer.model().weights())
    };
    let (one_by_one, together) = (trained(1), trained(4));
    assert_eq!(one_by_one.0, [1; 6]);
    assert_eq!(together.0, [0, 0, 0, 4, 0, 0]);
    assert_eq!(one_by_one.1, together.1);
    assert_eq!((one_by_one.2, one_by_one.3), (together.2, together.3));
}

#[test]
fn a_loss_that_is_no_number_ends_the_training_whenever_it_is_read() {
    let device = DeviceName::Flex.open().unwrap();
    for read_every in [1, 4] {
        let mut trainer = Trainer::new(&endless(), 1, &device).unwrap();
        trainer.set_read_every(read_every);
        while trainer.step().unwrap().is_empty() {}
        trainer.change(Setting::LearningRate(1e38)).unwrap();
        let error = (0..8).find_map(|_| trainer.step().err()).unwrap();
        assert!(matches!(error, Error::NotFinite { .. }), "{error}");
        assert!(trainer.read_losses().unwrap().is_empty(), "the losses before it are read again");
    }
}

/// A run that ends within a validation leaves a checkpoint whose epoch is over but not validated yet.
#[test]
fn a_run_that_ends_within_a_validation_resumes_with_it() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("r");
    let whole = directory.path().join("whole");
    assert_eq!(finish(run(&whole, Some(11))), Finish::MaxIterations);
    let device = DeviceName::Flex.open().unwrap();
    let mut trainer = Trainer::new(&endless(), 1, &device).unwrap();
    let what = RunFile {
        seed: 1,
        device: "flex".into(),
        precision: Precision::F32,
        machine: "a test".into(),
        version: "0".into(),
        from: None,
        forked: None,
        origin: Default::default(),
        replay: vec![],
    };
    let mut cut_off = RunDir::create(Some(&out), trainer.preset(), &what).unwrap();
    cut_off.commit().unwrap();
    while !trainer.epoch_is_over() {
        for iteration in trainer.step().unwrap() {
            cut_off.append(&Record::Step(iteration)).unwrap();
        }
    }
    cut_off.save(&trainer, false).unwrap();
    drop(cut_off);
    let ending = Ending { max_iterations: Some(11), ..Ending::default() };
    let resumed = resume(&out, DeviceName::Flex, |preset| Ok(preset.clone()), ending).unwrap();
    assert_eq!(finish(resumed), Finish::MaxIterations);
    let weights =
        |run: &Path| std::fs::read(path_of(run, "last").unwrap().join("weights.safetensors")).unwrap();
    assert_eq!(weights(&out), weights(&whole));
}

/// Trains to the end and returns how it ended.
fn finish(mut handle: RunHandle) -> Finish {
    loop {
        if let Event::Finished(finish) = handle.events.blocking_recv().unwrap() {
            return finish;
        }
    }
}

/// Trains a run that stands at some iteration to 35 iterations.
fn continued(out: &Path) -> RunHandle {
    let ending = Ending { max_iterations: Some(35), ..Ending::default() };
    resume(out, DeviceName::Flex, |preset| Ok(preset.clone()), ending).unwrap()
}

/// The weights of a run, and its metrics without the times.
fn result(run: &Path) -> (Vec<u8>, Vec<Record>) {
    let timeless = |record| match record {
        Record::Step(step) => Record::Step(Iteration { seconds: 0.0, ..step }),
        Record::Epoch(epoch) => Record::Epoch(nem_tui::protocol::Epoch { seconds: 0.0, ..epoch }),
        other => other,
    };
    let weights = std::fs::read(path_of(run, "last").unwrap().join("weights.safetensors")).unwrap();
    (weights, metrics::records(run).unwrap().into_iter().map(timeless).collect())
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        match entry.path().is_dir() {
            true => copy(&entry.path(), &to.join(entry.file_name())),
            false => drop(std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap()),
        }
    }
}

/// Whatever happens to the last checkpoint, the run resumes from the newest whole one, says so, and ends the same.
#[test]
fn a_run_resumes_from_its_newest_whole_checkpoint() {
    let directory = tempfile::tempdir().unwrap();
    let (whole, cut) = (directory.path().join("whole"), directory.path().join("cut"));
    assert_eq!(finish(run(&whole, Some(35))), Finish::MaxIterations);
    assert_eq!(finish(run(&cut, Some(25))), Finish::MaxIterations);
    type Damage = fn(&Path);
    let damages: [(Damage, &str); 8] = [
        (|_| (), ""),
        (|at| std::fs::write(at.join("it-00000025/weights.safetensors"), "x").unwrap(), "it-00000020"),
        (|at| std::fs::remove_file(at.join("it-00000025/manifest.json")).unwrap(), "it-00000020"),
        (|at| std::fs::write(at.join("it-00000025/preset.ron"), "").unwrap(), "it-00000020"),
        (|at| std::fs::remove_dir_all(at.join("it-00000025")).unwrap(), "it-00000020"),
        (|at| std::fs::write(at.join("last"), "").unwrap(), "it-00000025"),
        (|at| std::fs::remove_file(at.join("last")).unwrap(), "it-00000025 (`last` is missing)"),
        // Killed before it could say so.
        (|at| std::fs::write(at.join("last"), "it-00000020").unwrap(), "it-00000025 (`last` names it-"),
    ];
    for (n, (damage, told)) in damages.into_iter().enumerate() {
        let out = directory.path().join(n.to_string());
        copy(&cut, &out);
        damage(&out.join("checkpoints"));
        assert_eq!(verify(&out).unwrap().is_good(), n == 0 || n == 7, "{n}");
        assert!(card(&out).is_ok(), "{n}");
        let mut handle = continued(&out);
        if !told.is_empty() {
            let note = wait(&mut handle, |event| match event {
                Event::Note(note) => Some(note),
                _ => None,
            });
            assert!(note.contains(told), "{n}: {note}");
        }
        assert_eq!(finish(handle), Finish::MaxIterations);
        assert!(result(&out) == result(&whole), "{n}");
        assert!(verify(&out).unwrap().resumes_from.is_some());
    }
}

/// A run that ended before its first checkpoint begins anew.
#[test]
fn a_run_without_a_checkpoint_begins_anew() {
    let directory = tempfile::tempdir().unwrap();
    let (whole, cut) = (directory.path().join("whole"), directory.path().join("cut"));
    assert_eq!(finish(run(&whole, Some(35))), Finish::MaxIterations);
    assert_eq!(finish(run(&cut, Some(7))), Finish::MaxIterations);
    std::fs::remove_dir_all(cut.join("checkpoints")).unwrap();
    let mut handle = continued(&cut);
    let note = wait(&mut handle, |event| match event {
        Event::Note(note) => Some(note),
        _ => None,
    });
    assert!(note.contains("begins anew"), "{note}");
    assert_eq!(finish(handle), Finish::MaxIterations);
    assert!(result(&cut) == result(&whole));
}

/// The remains of a start that was killed do not block the next one; a run or other files do.
#[test]
fn a_killed_start_blocks_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("r");
    assert_eq!(finish(run(&out, Some(1))), Finish::MaxIterations);
    let job = Job { out: Some(out.clone()), ..Job::new(endless(), 1, DeviceName::Flex) };
    assert!(start(&job).err().unwrap().to_string().contains("is not empty"));
    std::fs::remove_file(out.join("run.json")).unwrap();
    assert!(start(&job).err().unwrap().to_string().contains("is not empty"));
    std::fs::write(out.join(".nem-tui-unfinished-run"), "").unwrap();
    assert_eq!(finish(run(&out, Some(1))), Finish::MaxIterations);
    assert!(verify(&out).unwrap().is_good());
    // A start that fails leaves nothing.
    let nowhere = directory.path().join("new");
    let from = Some(directory.path().join("no weights"));
    assert!(start(&Job { from, out: Some(nowhere.clone()), ..job }).is_err());
    assert!(!nowhere.exists());
}

/// Checkpoints by time keep what a kill would lose within an epoch.
#[test]
fn checkpoints_are_written_by_time() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("r");
    let preset = endless().set(&["train.checkpoint_minutes=0"]).unwrap();
    let ending = Ending { max_iterations: Some(14), ..Ending::default() };
    let job = Job { out: Some(out.clone()), ending, ..Job::new(preset, 1, DeviceName::Flex) };
    let mut handle = start(&job).unwrap();
    let mut saved = Vec::new();
    while let Some(event) = handle.events.blocking_recv() {
        if let Event::Saved { iteration, .. } = event {
            saved.push(iteration);
        }
    }
    // Before and after the validation at 10.
    assert_eq!(saved, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10, 11, 12, 13, 14]);
    let kept = std::fs::read_dir(out.join("checkpoints")).unwrap().flatten();
    assert_eq!(kept.filter(|entry| entry.path().is_dir()).count(), 3, "last, previous and best");
}

/// A request to stop ends a validation; its epoch ends when the run is resumed.
#[test]
fn a_validation_is_interrupted_and_made_up() {
    let directory = tempfile::tempdir().unwrap();
    let preset = endless().set(&["train.validation_size=20000"]).unwrap();
    let (whole, cut) = (directory.path().join("whole"), directory.path().join("cut"));
    let job = |out: &Path, max| Job {
        out: Some(out.to_owned()),
        ending: Ending { max_iterations: Some(max), ..Ending::default() },
        ..Job::new(preset.clone(), 1, DeviceName::Flex)
    };
    let mut handle = start(&job(&cut, 12)).unwrap();
    // This checkpoint is the one before the validation.
    wait(&mut handle, |event| matches!(event, Event::Saved { iteration: 10, .. }).then_some(()));
    handle.send(Command::Stop);
    assert_eq!(finish(handle), Finish::Stopped);
    assert!(!metrics::records(&cut).unwrap().iter().any(|record| matches!(record, Record::Epoch(_))));
    let ending = Ending { max_iterations: Some(12), ..Ending::default() };
    let handle = resume(&cut, DeviceName::Flex, |preset| Ok(preset.clone()), ending).unwrap();
    assert_eq!(finish(handle), Finish::MaxIterations);
    assert_eq!(finish(start(&job(&whole, 12)).unwrap()), Finish::MaxIterations);
    assert!(result(&cut) == result(&whole));
}

/// A checkpoint that cannot be written for now pauses the training. Viewers see why and can look around; their other
/// requests are carried out afterwards.
#[cfg(unix)]
#[test]
fn a_failure_that_passes_is_waited_for() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("r");
    let mut handle = run(&out, None);
    let note = |event| match event {
        Event::Note(note) => Some(note),
        _ => None,
    };
    wait(&mut handle, |event| matches!(event, Event::Saved { .. }).then_some(()));
    handle.send(Command::Pause);
    wait(&mut handle, |event| (event == Event::Paused(true)).then_some(()));
    // A link to itself cannot be opened, even by root.
    let (checkpoints, aside) = (out.join("checkpoints"), out.join("aside"));
    std::fs::rename(&checkpoints, &aside).unwrap();
    std::os::unix::fs::symlink(&checkpoints, &checkpoints).unwrap();
    handle.send(Command::Checkpoint);
    let told = wait(&mut handle, note);
    assert!(told.contains("the training waits") && told.contains("checkpoints"), "{told}");
    handle.send(Command::Watch(3));
    assert_eq!(picture(&mut handle, |picture| picture.sample == 3).sample, 3);
    handle.send(Command::Set(Setting::Noise(0.4)));
    std::fs::remove_file(&checkpoints).unwrap();
    std::fs::rename(&aside, &checkpoints).unwrap();
    assert!(wait(&mut handle, note).contains("the training continues"));
    wait(&mut handle, |event| matches!(event, Event::Saved { .. }).then_some(()));
    wait(&mut handle, |event| matches!(event, Event::Changed(_)).then_some(()));
    // Ended while it fails, the run says what is lost.
    handle.send(Command::Step);
    wait(&mut handle, iterations);
    std::fs::rename(&checkpoints, &aside).unwrap();
    std::os::unix::fs::symlink(&checkpoints, &checkpoints).unwrap();
    handle.send(Command::Stop);
    let Finish::Failed(why) = finish(handle) else { panic!("it cannot have been saved") };
    assert!(why.contains("are lost, and the checkpoint of iteration"), "{why}");
    std::fs::remove_file(&checkpoints).unwrap();
    std::fs::rename(&aside, &checkpoints).unwrap();
    assert!(verify(&out).unwrap().is_good());
}

/// Three stages with more and more digits, each with its learning rate; the last has more objects and components, and
/// the loss of the last EM step.
fn in_stages() -> Preset {
    let stages = [
        "data=Mnist(height: 16, width: 16, objects: 2, digits: Synthetic)",
        "noise=MaskedUniform(probability: 0.2)",
        "model.distribution=Gaussian(e_sigma: 0.25)",
        "train.max_epochs=1",
        "train.stages=[(images: First(20), learning_rate: 0.004), \
         (images: First(50), learning_rate: 0.002, max_epochs: 2), \
         (images: All, learning_rate: 0.001, set: [Objects(3), K(4)], loss_steps: Last)]",
    ];
    let mut preset = endless();
    preset.data = Preset::load("quickstart").unwrap().data;
    preset.set(&stages).unwrap()
}

fn ended(mut handle: RunHandle) -> Vec<Event> {
    let mut events = Vec::new();
    while let Some(event) = handle.events.blocking_recv() {
        let over = matches!(event, Event::Finished(_));
        events.push(event);
        if over {
            break;
        }
    }
    events
}

/// Every stage ends by the protocol and passes its weights on. A run that is stopped within a stage, or between
/// two, continues as if it had not been.
#[test]
fn stages_follow_each_other_and_survive_a_stop() {
    let directory = tempfile::tempdir().unwrap();
    let job = |name: &str, max_iterations| Job {
        out: Some(directory.path().join(name)),
        ending: Ending { max_iterations, ..Ending::default() },
        ..Job::new(in_stages(), 1, DeviceName::Flex)
    };
    let events = ended(start(&job("whole", None)).unwrap());
    let stages: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::Stage(start) => {
                Some((start.stage, start.iteration, start.what.images, start.what.learning_rate))
            }
            _ => None,
        })
        .collect();
    assert_eq!(stages, [(2, 11, Images::First(50), 0.002), (3, 31, Images::All, 0.001)]);
    assert!(matches!(events.last(), Some(Event::Finished(Finish::MaxEpochs))));
    let path = directory.path().join("whole");
    let preset = Checkpoint::open(&path_of(&path, "last").unwrap()).unwrap().preset;
    assert_eq!((preset.k, preset.data.objects()), (4, Some(3)));
    // Scores of all steps are weighted like the loss.
    let epochs = metrics::epochs(&path).unwrap();
    let of_last_step: Vec<bool> = epochs.iter().map(|epoch| epoch.ami == epoch.ami_all_steps).collect();
    assert_eq!(of_last_step, [false, false, false, true]);

    assert!(matches!(
        ended(start(&job("parts", Some(10))).unwrap()).last(),
        Some(Event::Finished(Finish::MaxIterations))
    ));
    for max_iterations in [Some(23), Some(30), Some(35), None] {
        let ending = Ending { max_iterations, ..Ending::default() };
        let resumed =
            resume(&directory.path().join("parts"), DeviceName::Flex, |preset| Ok(preset.clone()), ending);
        ended(resumed.unwrap());
    }
    let of = |name: &str| {
        let path = directory.path().join(name);
        let training = TrainedRun::read(&path).unwrap();
        assert!(training.finished && training.epochs == 4, "{training:?}");
        let last = path_of(&path, "last").unwrap();
        let losses: Vec<f64> = metrics::records(&path)
            .unwrap()
            .into_iter()
            .filter_map(|record| match record {
                Record::Step(step) => Some(step.loss),
                _ => None,
            })
            .collect();
        (losses, std::fs::read(last.join("weights.safetensors")).unwrap())
    };
    let ((whole, weights), (parts, same_weights)) = (of("whole"), of("parts"));
    assert_eq!((whole.len(), &whole), (40, &parts));
    assert!(weights == same_weights, "the weights differ");
}

/// A stage passes on the weights of its best validation loss, also if the program ended between the two stages.
#[test]
fn a_stage_begins_with_the_best_weights_of_the_one_before() {
    let directory = tempfile::tempdir().unwrap();
    // A rate that soon makes things worse, and then one at which nothing moves.
    let sets = [
        "train.max_epochs=6",
        "train.stages=[(images: First(20), learning_rate: 1.0), (images: All, learning_rate: 1e-30, max_epochs: 1)]",
    ];
    let job = |name: &str, max_iterations| Job {
        out: Some(directory.path().join(name)),
        ending: Ending { max_iterations, ..Ending::default() },
        ..Job::new(in_stages().set(&sets).unwrap(), 1, DeviceName::Flex)
    };
    let weights = |name: &str, pointer| {
        let checkpoint = path_of(&directory.path().join(name), pointer).unwrap();
        std::fs::read(checkpoint.join("weights.safetensors")).unwrap()
    };
    ended(start(&job("parts", Some(60))).unwrap());
    let (best, last) = (weights("parts", "best"), weights("parts", "last"));
    assert!(best != last, "the first stage's last epoch is its best, so this test proves nothing");
    let path = directory.path().join("parts");
    ended(resume(&path, DeviceName::Flex, |preset| Ok(preset.clone()), Ending::default()).unwrap());
    ended(start(&job("whole", None)).unwrap());
    assert!(weights("parts", "last") == best, "the second stage began with other weights");
    assert!(weights("whole", "last") == best, "uninterrupted, it began with other weights");
}

/// A run's metrics without times, and its last weights: what equal runs have in common.
fn essence(run: &Path) -> (Vec<String>, Vec<u8>) {
    let mut records = metrics::records(run).unwrap();
    for record in &mut records {
        match record {
            Record::Step(step) => step.seconds = 0.0,
            Record::Epoch(epoch) => epoch.seconds = 0.0,
            _ => {}
        }
    }
    let checkpoint = path_of(run, "last").unwrap();
    let weights = std::fs::read(checkpoint.join("weights.safetensors")).unwrap();
    (records.iter().map(|record| format!("{record:?}")).collect(), weights)
}

/// Steers a run live, at iterations that depend on timing, and stops it.
fn steered(mut handle: RunHandle) {
    for setting in [Setting::K(3), Setting::Noise(0.3), Setting::LearningRate(3e-3), Setting::K(4)] {
        let from = wait(&mut handle, iterations)[0].iteration;
        while wait(&mut handle, iterations).last().unwrap().iteration < from + 7 {}
        handle.send(Command::Set(setting));
        wait(&mut handle, |event| {
            matches!(event, Event::Changed(change) if change.to == setting).then_some(())
        });
    }
    let from = wait(&mut handle, iterations)[0].iteration;
    while wait(&mut handle, iterations).last().unwrap().iteration < from + 12 {}
    // Paused, it is between two iterations; a validation that is interrupted would be missing.
    handle.send(Command::Pause);
    wait(&mut handle, |event| (event == Event::Paused(true)).then_some(()));
    handle.send(Command::Stop);
    ended(handle);
}

/// A replay makes live changes at the same iterations, and the run is the same to the last bit.
#[test]
fn a_steered_run_is_replayed_to_the_bit() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    steered(run(&at("live"), None));
    let again = |name: &str, max_iterations| {
        let ending = Ending { max_iterations, ..Ending::default() };
        ended(replay(&at("live"), DeviceName::Flex, Some(at(name)), ending).unwrap())
    };
    again("again", None);
    assert_eq!(essence(&at("live")), essence(&at("again")));
    // A replay that was stopped still knows the changes that are to come.
    again("parts", Some(12));
    let last = metrics::records(&at("live")).unwrap().iter().filter(|r| matches!(r, Record::Step(_))).count();
    let ending = Ending { max_iterations: Some(last as u64), ..Ending::default() };
    ended(resume(&at("parts"), DeviceName::Flex, |preset| Ok(preset.clone()), ending).unwrap());
    assert_eq!(essence(&at("live")), essence(&at("parts")));
}

#[test]
fn a_fork_continues_from_the_whole_state_and_is_replayed_too() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    ended(run(&at("parent"), Some(13)));
    let to = |max_iterations| Ending { max_iterations: Some(max_iterations), ..Ending::default() };
    let forked = |name: &str, sets: Vec<String>| {
        fork(&at("parent"), DeviceName::Flex, move |p| p.set(&sets), Some(at(name)), vec![], to(25))
    };
    ended(forked("same", vec![]).unwrap());
    ended(resume(&at("parent"), DeviceName::Flex, |preset| Ok(preset.clone()), to(25)).unwrap());
    let (mut records, weights) = essence(&at("same"));
    records.retain(|record| !record.starts_with("Fork"));
    // A fork starts without a best validation; nothing else differs.
    let plain = |records: Vec<String>| {
        records.into_iter().map(|r| r.replace("best: false", "best: true")).collect::<Vec<_>>()
    };
    let (parent, parents_weights) = essence(&at("parent"));
    assert_eq!(plain(records), plain(parent));
    assert!(weights == parents_weights, "the fork lacks a part of the state");

    ended(run(&at("other"), Some(13)));
    let other = |sets: &[&str]| {
        let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
        fork(&at("other"), DeviceName::Flex, move |p| p.set(&sets), Some(at("changed")), vec![], to(25))
    };
    let refused = other(&["model.cell.layers.0.units=9"]).unwrap_err().to_string();
    assert!(refused.contains("another network"), "{refused}");
    assert!(!at("changed").exists(), "a refused fork left a directory");
    ended(other(&["k=5", "train.learning_rate=0.01"]).unwrap());
    let records = metrics::records(&at("changed")).unwrap();
    let changes = records.iter().filter_map(|record| match record {
        Record::Change(change) => Some((change.iteration, change.to)),
        _ => None,
    });
    assert_eq!(changes.collect::<Vec<_>>(), [(14, Setting::K(5)), (14, Setting::LearningRate(0.01))]);
    ended(replay(&at("changed"), DeviceName::Flex, Some(at("changed again")), Ending::default()).unwrap());
    let ((mut again, weights_again), (mut first, weights)) =
        (essence(&at("changed again")), essence(&at("changed")));
    for records in [&mut again, &mut first] {
        records.retain(|record| !record.starts_with("Fork"));
    }
    assert_eq!(again, first);
    assert!(weights == weights_again);
}

#[test]
fn checkpoints_are_found_by_their_names() {
    let directory = tempfile::tempdir().unwrap();
    let parent = directory.path().join("parent");
    ended(run(&parent, Some(13)));
    let named = |name: &str| nem_tui::run::checkpoints::named(&parent, name).map_err(|e| e.to_string());
    let at = |name: &str| Ok(parent.join("checkpoints").join(name));
    for name in ["last", "13", "it-13", "it-00000013"] {
        assert_eq!(named(name), at("it-00000013"), "{name}");
    }
    assert_eq!(named("best"), at("it-00000010"));
    for name in ["7", "it-", "../13", "it-it-13"] {
        let refused = named(name).unwrap_err();
        assert!(refused.contains("there are: best, it-00000010, it-00000013, last"), "{refused}");
    }
    // A named checkpoint is kept while the run is resumed and stopped.
    let asked = named("13").unwrap();
    let to = |max_iterations| Ending { max_iterations: Some(max_iterations), ..Ending::default() };
    ended(resume(&parent, DeviceName::Flex, |preset| Ok(preset.clone()), to(25)).unwrap());
    let forked = directory.path().join("forked");
    let change = |preset: &Preset| Ok(preset.clone());
    ended(fork(&asked, DeviceName::Flex, change, Some(forked.clone()), vec![], to(15)).unwrap());
    assert!(path_of(&forked, "last").unwrap().ends_with("it-00000015"));
}

/// Looking at samples under other conditions does not change the training.
#[test]
fn looking_under_other_conditions_changes_no_training() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    ended(run(&at("plain"), Some(600)));
    let mut looked = run(&at("looked"), Some(600));
    looked.send(Command::Pause);
    let look = vec![Setting::K(6), Setting::Objects(1), Setting::Steps(9)];
    looked.send(Command::Look(look.clone()));
    let snapshot = picture(&mut looked, |picture| picture.look == look);
    assert_eq!((snapshot.k, snapshot.steps.len()), (6, 9));
    assert!(snapshot.steps[8].groups.iter().all(|group| *group <= 1));
    // The user's own image of ten frames under the same conditions, and then with more steps than it has frames
    // for.
    let header = "{'descr': '|u1', 'fortran_order': False, 'shape': (10, 10, 12), }\n";
    let start = [&b"\x93NUMPY\x01\x00"[..], &(header.len() as u16).to_le_bytes(), header.as_bytes()].concat();
    std::fs::write(at("own.npy"), [start, vec![1; 1200]].concat()).unwrap();
    let own = Input::file(at("own.npy"), false, 1);
    looked.send(Command::Input(Some(own.clone())));
    let snapshot = picture(&mut looked, |picture| picture.input.as_ref() == Some(&own));
    assert_eq!((snapshot.k, snapshot.steps.len(), snapshot.steps[8].target[0]), (6, 9, 1.0));
    looked.send(Command::Look(vec![Setting::Steps(10)]));
    looked.send(Command::Look(vec![Setting::K(0)]));
    looked.send(Command::Resume);
    let events = ended(looked);
    for said in ["k is 0", "10 frames, enough for 9 EM steps"] {
        assert!(
            events.iter().any(|event| matches!(event, Event::Refused { why, .. } if why.contains(said))),
            "{said}"
        );
    }
    assert_eq!(essence(&at("plain")), essence(&at("looked")));
}

/// The E-step's deviation belongs to the model and to the preset, and a stage changes both.
#[test]
fn a_stage_sets_the_deviation_that_the_e_step_has() {
    let sets = [
        "model.distribution=Gaussian(e_sigma: 0.25)",
        "train.stages=[(learning_rate: 0.001, max_epochs: 1), (learning_rate: 0.001, set: [ESigma(0.5)])]",
    ];
    let device = DeviceName::Flex.open().unwrap();
    let mut trainer = Trainer::new(&endless().set(&sets).unwrap(), 1, &device).unwrap();
    let model = trainer.model().clone();
    while !trainer.epoch_is_over() {
        trainer.step().unwrap();
    }
    trainer.end_epoch().unwrap();
    trainer.next_stage(|_, _| Ok(model)).unwrap();
    assert_eq!(trainer.model().distribution, Distribution::Gaussian { e_sigma: 0.5 });
    assert_eq!(trainer.preset().model.distribution, trainer.model().distribution);
}

/// Two epochs of ten iterations.
fn two_epochs(directory: &Path, name: &str, stay: bool) -> RunHandle {
    let preset = endless().set(&["train.max_epochs=2"]).unwrap();
    let ending = Ending { stay, ..Ending::default() };
    start(&Job { out: Some(directory.join(name)), ending, ..Job::new(preset, 1, DeviceName::Flex) }).unwrap()
}

/// What equal runs have in common apart from how they were extended.
fn without_changes(run: &Path) -> (Vec<String>, Vec<u8>) {
    let (mut records, weights) = essence(run);
    records.retain(|record| !record.starts_with("Change"));
    (records, weights)
}

/// However a run that is over is trained further, it is the run that had the higher limit from the beginning, and so is
/// its replay.
#[test]
fn a_run_that_is_over_is_trained_further_and_replayed() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let preset = endless().set(&["train.max_epochs=4"]).unwrap();
    let whole = Job { out: Some(at("whole")), ..Job::new(preset, 1, DeviceName::Flex) };
    ended(start(&whole).unwrap());

    // In the workbench: once when it is over, once while it trains.
    let mut handle = two_epochs(directory.path(), "live", true);
    wait(&mut handle, |event| (event == Event::Done(Finish::MaxEpochs)).then_some(()));
    // These would change nothing, so it stays over.
    for request in [Command::Train(0), Command::Set(Setting::MaxEpochs(1))] {
        handle.send(request.clone());
        let is_refused =
            |event| matches!(event, Event::Refused { request: refused, .. } if refused == request);
        wait(&mut handle, |event| is_refused(event).then_some(()));
    }
    handle.send(Command::Train(1));
    let limit = wait(&mut handle, |event| match event {
        Event::Changed(change) => Some(change),
        _ => None,
    });
    assert_eq!((limit.iteration, limit.to), (21, Setting::MaxEpochs(3)));
    handle.send(Command::Train(1));
    wait(&mut handle, |event| matches!(event, Event::Epoch(epoch) if epoch.epoch == 4).then_some(()));
    wait(&mut handle, |event| (event == Event::Done(Finish::MaxEpochs)).then_some(()));
    drop(handle);
    assert_eq!(without_changes(&at("live")), without_changes(&at("whole")));

    // From the command line, in two ways.
    ended(two_epochs(directory.path(), "parts", false));
    for epochs in [Epochs::More(1), Epochs::Total(4)] {
        let resumed = resume(&at("parts"), DeviceName::Flex, |p| Ok(p.clone()), for_epochs(Some(epochs)));
        ended(resumed.unwrap());
    }
    assert_eq!(without_changes(&at("parts")), without_changes(&at("whole")));
    for name in ["live", "parts"] {
        let again = at(&format!("{name} again"));
        ended(replay(&at(name), DeviceName::Flex, Some(again.clone()), Ending::default()).unwrap());
        assert_eq!(essence(&again), essence(&at(name)), "{name}");
    }
    // The limit is the same, so there is nothing to do.
    let total = Some(Epochs::Total(4));
    let same = resume(&at("parts"), DeviceName::Flex, |p| Ok(p.clone()), for_epochs(total));
    assert!(!ended(same.unwrap()).iter().any(|event| matches!(event, Event::Changed(_))));
}

/// A run that has stopped early gets its full patience again, and with stages the last one is extended.
#[test]
fn what_has_stopped_early_and_what_has_stages_is_trained_further() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let further = |name: &str, more| {
        let more = Some(Epochs::More(more));
        ended(resume(&at(name), DeviceName::Flex, |p| Ok(p.clone()), for_epochs(more)).unwrap())
    };
    // Nothing is learned at this rate, so no loss is better.
    let preset = endless().set(&["train.patience=2", "train.learning_rate=1e-30"]).unwrap();
    let early = Job { out: Some(at("early")), ..Job::new(preset, 1, DeviceName::Flex) };
    assert_eq!(ended(start(&early).unwrap()).last(), Some(&Event::Finished(Finish::EarlyStop)));
    assert_eq!(TrainedRun::read(&at("early")).unwrap().epochs, 3);
    assert_eq!(further("early", 1).last(), Some(&Event::Finished(Finish::MaxEpochs)));
    assert_eq!(further("early", 9).last(), Some(&Event::Finished(Finish::EarlyStop)));
    assert_eq!(TrainedRun::read(&at("early")).unwrap().epochs, 6);

    let staged = Job { out: Some(at("staged")), ..Job::new(in_stages(), 1, DeviceName::Flex) };
    ended(start(&staged).unwrap());
    further("staged", 2);
    let metrics = metrics::read(&at("staged")).unwrap();
    assert_eq!((metrics.epochs.len(), metrics.stage_of(60)), (6, 3));
    for name in ["early", "staged"] {
        let again = at(&format!("{name} again"));
        ended(replay(&at(name), DeviceName::Flex, Some(again.clone()), Ending::default()).unwrap());
        assert_eq!(essence(&again), essence(&at(name)), "{name}");
    }
}

/// A fork is never over when it begins.
#[test]
fn a_fork_of_a_run_that_is_over_trains() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    ended(two_epochs(directory.path(), "parent", false));
    let forked = |name: &str, epochs, set: &'static str| {
        let change = move |preset: &Preset| preset.set(&[set]);
        fork(&at("parent"), DeviceName::Flex, change, Some(at(name)), vec![], for_epochs(epochs))
    };
    let events = ended(forked("usual", None, "k=3").unwrap());
    let told = |event: &Event| matches!(event, Event::Note(note) if note.contains("2 more epochs, up to 4"));
    assert!(events.iter().any(told), "{events:?}");
    ended(forked("named", None, "train.max_epochs=3").unwrap());
    ended(forked("more", Some(Epochs::More(3)), "k=3").unwrap());
    for (name, epochs) in [("usual", 4), ("named", 3), ("more", 5)] {
        assert_eq!(TrainedRun::read(&at(name)).unwrap().epochs, epochs, "{name}");
        let again = at(&format!("{name} again"));
        ended(replay(&at(name), DeviceName::Flex, Some(again.clone()), Ending::default()).unwrap());
        assert_eq!(TrainedRun::read(&again).unwrap().epochs, epochs, "{name}");
    }
    let refused = forked("none", None, "train.max_epochs=1").unwrap_err().to_string();
    assert!(refused.contains("train.max_epochs=3"), "{refused}");
}
