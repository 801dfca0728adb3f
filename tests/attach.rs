//! Viewers of a run in other processes join, steer, stall, send garbage and leave, and the run continues.
#![allow(clippy::unwrap_used)] // a test's way to fail
#![cfg(unix)]

mod support;

use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use nem_tui::backend::DeviceName;
use nem_tui::live::begin::{Ending, Job, resume, start};
use nem_tui::live::socket::attach;
use nem_tui::precision::Precision;
use nem_tui::preset::Setting;
use nem_tui::protocol::{Command, Event, Finish, Record, RunHandle, RunInfo};
use nem_tui::run::directory::{RunDir, RunFile};
use nem_tui::run::metrics;
use nem_tui::snapshot::Input;
use support::{endless, picture};

/// A run that is paused after its first iterations.
fn paused_run(out: &Path, max_iterations: Option<u64>) -> RunHandle {
    let job = Job {
        out: Some(out.to_owned()),
        ending: Ending { max_iterations, ..Ending::default() },
        ..Job::new(endless(), 1, DeviceName::Flex)
    };
    let mut handle = start(&job).unwrap();
    nobody_looks(&mut handle);
    handle.send(Command::Pause);
    wait(&mut handle, |event| event == Event::Paused(true));
    handle
}

/// As `train` does: the run has no screen of its own.
fn nobody_looks(handle: &mut RunHandle) {
    handle.snapshots = tokio::sync::watch::channel(None).1;
}

/// The next event that is `wanted`.
fn wait(handle: &mut RunHandle, mut wanted: impl FnMut(Event) -> bool) {
    while !wanted(handle.events.blocking_recv().expect("the run has ended")) {}
}

fn started(handle: &mut RunHandle) -> RunInfo {
    match handle.events.blocking_recv() {
        Some(Event::Started(info)) => *info,
        other => panic!("the first event is {other:?}"),
    }
}

fn finished(handle: &mut RunHandle) -> Finish {
    loop {
        if let Event::Finished(finish) = handle.events.blocking_recv().unwrap() {
            assert!(handle.events.blocking_recv().is_none(), "something came after the end");
            return finish;
        }
    }
}

/// Returns the run's own hello, which makes this connection a viewer.
fn raw_viewer(run: &Path) -> UnixStream {
    let mut stream = UnixStream::connect(run.join("socket")).unwrap();
    let hello = read_frame(&mut stream);
    stream.write_all(&hello).unwrap();
    stream
}

/// A frame, including its length.
fn read_frame(stream: &mut UnixStream) -> Vec<u8> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).unwrap();
    let mut content = vec![0; u32::from_le_bytes(length) as usize];
    stream.read_exact(&mut content).unwrap();
    [length.as_slice(), &content].concat()
}

fn frame(content: &[u8]) -> Vec<u8> {
    [&(content.len() as u32).to_le_bytes(), content].concat()
}

#[test]
fn viewers_see_the_whole_run_and_steer_it() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("r");
    let mut run = paused_run(&out, None);
    let mut one = attach(&out).unwrap();
    let info = started(&mut one);
    assert_eq!((&info.directory, info.seed), (&out, 1));
    let mut seen: Vec<u64> = info.metrics.iterations.iter().map(|i| i.iteration).collect();
    assert_eq!(one.events.blocking_recv(), Some(Event::Paused(true)));
    // Although paused, it makes a picture for a new viewer.
    let first = picture(&mut one, |_| true);
    assert_eq!((first.sample, first.k, first.iteration), (0, 4, seen.len() as u64));

    one.send(Command::Set(Setting::K(3)));
    one.send(Command::Resume);
    wait(&mut run, |event| matches!(event, Event::Changed(change) if change.to == Setting::K(3)));
    let epochs = |handle: &mut RunHandle, seen: &mut Vec<u64>, mut left: usize| {
        wait(handle, |event| {
            match event {
                Event::Iterations(list) => seen.extend(list.iter().map(|i| i.iteration)),
                Event::Epoch(_) => left -= 1,
                _ => {}
            }
            left == 0
        });
    };
    epochs(&mut one, &mut seen, 3);

    let mut two = attach(&out).unwrap();
    let info = started(&mut two);
    assert_eq!((info.preset.k, info.metrics.changes.len()), (3, 1));
    assert!(info.metrics.epochs.len() >= 3);
    let mut seen_by_two: Vec<u64> = info.metrics.iterations.iter().map(|i| i.iteration).collect();
    epochs(&mut one, &mut seen, 3);
    epochs(&mut two, &mut seen_by_two, 3);
    for seen in [&seen, &seen_by_two] {
        assert_eq!(*seen, (1..=seen.len() as u64).collect::<Vec<_>>(), "an iteration is missing");
    }

    // What one looks at, only that one sees.
    two.send(Command::Watch(7));
    let shown = picture(&mut two, |picture| picture.sample == 7);
    assert_eq!(shown.k, 3);
    assert_eq!(picture(&mut one, |picture| picture.iteration > shown.iteration).sample, 0);

    // The user's own image, of another size than the model's.
    let own = directory.path().join("own.png");
    image::GrayImage::from_pixel(30, 20, image::Luma([255])).save(&own).unwrap();
    let input = |resize| Input::file(&own, resize, 1);
    two.send(Command::Input(Some(input(false))));
    wait(&mut two, |event| event == Event::WrongSize { input: input(false), size: [30, 20] });
    two.send(Command::Input(Some(input(true))));
    let shown = picture(&mut two, |picture| picture.input.is_some());
    assert_eq!((shown.input.clone(), shown.steps[0].target[60]), (Some(input(true)), 1.0));
    two.send(Command::Watch(7));
    picture(&mut two, |picture| picture.input.is_none());

    // A viewer that leaves changes nothing.
    drop(two);
    wait(&mut one, |event| matches!(event, Event::Epoch(_)));
    one.send(Command::Set(Setting::K(0)));
    wait(&mut one, |event| matches!(event, Event::Refused { why, .. } if why.contains("k is 0")));

    one.send(Command::Stop);
    assert_eq!(finished(&mut one), Finish::Stopped);
    assert_eq!(finished(&mut run), Finish::Stopped);
    assert!(!out.join("socket").exists());
    assert!(out.join("checkpoints/last").is_file(), "it was not saved");
}

/// One viewer looks under other settings, then at an image; another sees the training's own all the while, hears
/// nothing of the first one's requests, and is not stuck when the first is killed.
#[test]
fn what_a_viewer_looks_at_is_its_own_and_goes_with_it() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("r");
    let run = paused_run(&out, None);
    let (mut one, mut two) = (attach(&out).unwrap(), attach(&out).unwrap());
    started(&mut one);
    started(&mut two);
    one.send(Command::Look(vec![Setting::K(5)]));
    one.send(Command::Resume);
    let looked = picture(&mut one, |picture| picture.k == 5);
    let plain = |two: &mut RunHandle, after: u64| {
        let next = picture(two, |picture| picture.iteration > after);
        assert_eq!((next.k, next.sample, &next.look, &next.input), (4, 0, &vec![], &None));
        next.iteration
    };
    let after = plain(&mut two, looked.iteration);

    // Each kind of answer, to the one that asked.
    let file = directory.path().join("own.png");
    image::GrayImage::new(30, 20).save(&file).unwrap();
    let input = |file: &Path, request| Some(Input::file(file, false, request));
    let asked = [
        Command::Input(input(&file, 1)),
        Command::Input(input(Path::new("/nowhere.png"), 2)),
        Command::Look(vec![Setting::Steps(0)]),
        Command::Set(Setting::K(0)),
    ];
    asked.iter().for_each(|command| one.send(command.clone()));
    let mut left = asked.to_vec();
    wait(&mut one, |event| {
        match event {
            Event::WrongSize { input, size } => {
                assert_eq!(size, [30, 20]);
                left.retain(|command| *command != Command::Input(Some(input.clone())));
            }
            Event::Refused { request, why } => {
                assert!(!why.is_empty());
                left.retain(|command| *command != request);
            }
            _ => {}
        }
        left.is_empty()
    });
    assert_eq!(picture(&mut one, |picture| picture.iteration > after).k, 5, "it still looks at K 5");

    drop(one);
    let after = plain(&mut two, after);
    plain(&mut two, after);
    two.send(Command::Stop);
    loop {
        match two.events.blocking_recv().unwrap() {
            Event::Finished(finish) => break assert_eq!(finish, Finish::Stopped),
            event => assert!(
                !matches!(event, Event::Refused { .. } | Event::WrongSize { .. } | Event::Note(_)),
                "{event:?}"
            ),
        }
    }
    drop(run);
}

/// Records of a run, apart from times.
fn records(run: &Path) -> Vec<Record> {
    let timeless = |record| match record {
        Record::Step(mut step) => {
            step.seconds = 0.0;
            Record::Step(step)
        }
        Record::Epoch(mut epoch) => {
            epoch.seconds = 0.0;
            Record::Epoch(epoch)
        }
        other => other,
    };
    metrics::records(run).unwrap().into_iter().map(timeless).collect()
}

/// Viewers that read nothing, leave early, send garbage or watch one sample after another do not change the run's
/// metrics.
#[test]
fn viewers_cost_the_run_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (alone, seen) = (directory.path().join("alone"), directory.path().join("seen"));
    let mut run = paused_run(&alone, Some(300));
    run.send(Command::Resume);
    assert_eq!(finished(&mut run), Finish::MaxIterations);
    drop(run);

    let mut run = paused_run(&seen, Some(300));
    let reads_nothing = raw_viewer(&seen);
    let mut says_nothing = UnixStream::connect(seen.join("socket")).unwrap();
    read_frame(&mut says_nothing);
    for nonsense in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0; 64], &[255; 64], &frame(b"nem-tui 0.0.0-of-old")] {
        let mut stream = UnixStream::connect(seen.join("socket")).unwrap();
        stream.write_all(nonsense).unwrap();
        let mut answer = Vec::new();
        // A hello and then the end; or a reset if not everything was read.
        let _ = stream.read_to_end(&mut answer);
        assert!(answer.len() < 100, "{} bytes for nonsense", answer.len());
    }
    let mut turns_to_nonsense = raw_viewer(&seen);
    turns_to_nonsense.write_all(&frame(&[0xc1; 30])).unwrap();
    let _ = turns_to_nonsense.read_to_end(&mut Vec::new());
    let mut leaves = raw_viewer(&seen);
    read_frame(&mut leaves);
    let mut looks = attach(&seen).unwrap();
    started(&mut looks);
    looks.send(Command::Profile(true));
    looks.send(Command::Resume);
    for sample in 0..50 {
        looks.send(Command::Watch(sample));
    }
    picture(&mut looks, |picture| picture.sample == 49 % 16);
    drop(leaves);
    assert_eq!(finished(&mut looks), Finish::MaxIterations);
    assert_eq!(finished(&mut run), Finish::MaxIterations);
    drop((reads_nothing, says_nothing));
    assert_eq!(records(&seen), records(&alone));
}

#[test]
fn the_socket_is_its_owners_alone_and_a_stale_one_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("r");
    let socket = out.join("socket");
    let run = paused_run(&out, None);
    let metadata = std::fs::metadata(&socket).unwrap();
    assert!(metadata.file_type().is_socket());
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    drop(run);
    assert!(!socket.exists());

    let nobody = || attach(&out).unwrap_err().to_string();
    let sentence =
        format!("no training is running in {0}; resume it with `nem-tui train --resume {0}`", out.display());
    assert_eq!(nobody(), sentence);
    // What a killed run leaves behind.
    drop(UnixListener::bind(&socket).unwrap());
    assert!(socket.exists());
    assert_eq!(nobody(), sentence);
    let run = resume(&out, DeviceName::Flex, |preset| Ok(preset.clone()), Ending::default()).unwrap();
    let listens = |run: &mut RunHandle| wait(run, |event| matches!(event, Event::Iterations(_)));
    let mut run = run;
    listens(&mut run);
    let mut viewer = attach(&out).unwrap();
    assert!(!started(&mut viewer).metrics.iterations.is_empty());
    drop(run);
    assert_eq!(finished(&mut viewer), Finish::Stopped);

    let no_run = attach(directory.path()).unwrap_err().to_string();
    assert!(no_run.contains("not a run directory"), "{no_run}");
}

#[test]
fn a_path_may_be_longer_than_a_sockets() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("a".repeat(100)).join("b".repeat(100));
    let run = paused_run(&out, None);
    let mut viewer = attach(&out).unwrap();
    assert_eq!(started(&mut viewer).directory, out);
    drop(run);
    assert_eq!(finished(&mut viewer), Finish::Stopped);
    let left: Vec<_> = std::fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().contains("socket")), "{left:?}");
}

/// As on a file system that does not support sockets: the run trains, and says once what is given up.
#[test]
fn a_run_that_cannot_listen_continues_and_says_so_once() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("r");
    let train = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_nem-tui"));
        command.arg("train").args(arguments).args(["--device", "flex", "--max-iterations"]);
        command
    };
    assert!(train(&["quickstart"]).arg("1").arg("--out").arg(&out).output().unwrap().status.success());
    std::fs::create_dir_all(out.join("socket/in the way")).unwrap();
    let output = train(&[]).arg("2").arg("--resume").arg(&out).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let log = std::fs::read_to_string(out.join("log.txt")).unwrap();
    let told = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    for text in [log, told] {
        let sentences = text.matches("the run continues, but nobody can attach to it").count();
        assert_eq!(sentences, 1, "{text}");
    }
}

/// Without a directory for temporary files, and with one whose path is longer than a socket's.
#[test]
fn a_run_is_attached_to_whatever_tmpdir_is() {
    let directory = tempfile::tempdir().unwrap();
    let long = directory.path().join("t".repeat(150));
    std::fs::create_dir(&long).unwrap();
    for (name, tmp) in [("gone", Path::new("/nowhere")), ("long", &long)] {
        let out = directory.path().join(name).join("a".repeat(120));
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_nem-tui"));
        command.args(["train", "quickstart", "--device", "flex", "--out"]).arg(&out).env("TMPDIR", tmp);
        let mut child = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
        let mut started = String::new();
        let mut lines = std::io::BufReader::new(child.stdout.take().unwrap());
        std::io::BufRead::read_line(&mut lines, &mut started).unwrap();
        // Keeps reading, so that the run never blocks on a full pipe.
        let rest = std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        let mut viewer = attach(&out).unwrap();
        viewer.send(Command::Stop);
        assert_eq!(finished(&mut viewer), Finish::Stopped);
        assert_eq!(child.wait().unwrap().code(), Some(3));
        rest.join().unwrap().unwrap();
    }
}

/// A run whose socket cannot be reached is never said not to be trained.
#[test]
fn who_trains_the_run_is_said_when_it_cannot_be_reached() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("r");
    let run = paused_run(&out, None);
    std::fs::remove_file(out.join("socket")).unwrap();
    let here = attach(&out).unwrap_err().to_string();
    let pid = std::process::id();
    assert!(here.contains(&format!("is trained by process {pid} on ")), "{here}");
    assert!(here.contains("log.txt") && here.contains(&format!("`kill {pid}`")), "{here}");
    assert!(!here.contains("no training"), "{here}");
    drop(run);

    // As another host's process would have left it.
    let lock = std::fs::File::create(out.join("lock")).unwrap();
    lock.lock().unwrap();
    let refused = || attach(&out).unwrap_err().to_string();
    assert!(refused().contains("is trained by another process"), "{}", refused());
    std::fs::write(out.join("lock"), r#"{"pid": 7, "host": "node17"}"#).unwrap();
    let expected = format!(
        "{0} is trained by process 7 on node17; attach to it on node17, with `nem-tui attach {0}` there",
        out.display()
    );
    assert_eq!(refused(), expected);
    drop(lock);
    assert!(refused().contains("no training is running in"), "{}", refused());
}

/// A run directory in which another program listens and sends `bytes` to every viewer that connects.
fn impostor(directory: &Path, bytes: Vec<u8>) -> std::thread::JoinHandle<()> {
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
    RunDir::create(Some(directory), &endless(), &what).unwrap().commit().unwrap();
    let listener = UnixListener::bind(directory.join("socket")).unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(&bytes).unwrap();
        // Waits for the viewer's hello, so that a reset loses nothing.
        read_frame(&mut stream);
    })
}

#[test]
fn another_version_and_another_program_are_refused_in_one_sentence() {
    let directory = tempfile::tempdir().unwrap();
    for (name, bytes, expected) in [
        ("version", frame(b"nem-tui 9.9.9"), "is trained by nem-tui 9.9.9, and this is "),
        ("program", b"SSH-2.0-OpenSSH_9.6\r\n".to_vec(), "is not a nem-tui training"),
        ("frame", frame(b"somebody else"), "is not a nem-tui training"),
    ] {
        let out = directory.path().join(name);
        let other = impostor(&out, bytes);
        let sentence = attach(&out).unwrap_err().to_string();
        assert!(sentence.contains(expected) && sentence.lines().count() == 1, "{sentence}");
        other.join().unwrap();
    }
}

#[test]
fn a_lost_connection_is_reported() {
    let directory = tempfile::tempdir().unwrap();
    let real = directory.path().join("real");
    let mut run = paused_run(&real, None);
    let hello = read_frame(&mut UnixStream::connect(real.join("socket")).unwrap());
    run.send(Command::Stop);
    finished(&mut run);

    let out = directory.path().join("r");
    let other = impostor(&out, hello);
    let mut viewer = attach(&out).unwrap();
    other.join().unwrap();
    let Finish::Failed(sentence) = finished(&mut viewer) else { panic!("the viewer did not fail") };
    assert!(sentence.starts_with("the connection to ") && sentence.contains("nem-tui attach"), "{sentence}");
}
