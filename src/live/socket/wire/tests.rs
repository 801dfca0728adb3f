#[path = "../../../../tests/support/mutate.rs"]
mod mutate;

use std::fmt::Debug;

use proptest::prelude::*;

use super::*;
use crate::preset::{Images, Preset, Setting, Stage, StepWeights, embedded_names};
use crate::protocol::{
    BrokenLoss, Change, Clock, Command, Epoch, Event, Finish, Floor, Fork, Iteration, Metrics, Profile,
    RunFailure, RunInfo, RunKind, StageStart, Watched,
};
use crate::snapshot::{Frames, Input, Snapshot, SnapshotStep};

/// Writes a value and reads it back.
fn through<A: Serialize, B: DeserializeOwned>(value: &A) -> B {
    let frame = encode(value, MOST_OF_RUN).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut bytes = frame.as_slice();
    let read = runtime.block_on(read(&mut bytes, MOST_OF_RUN)).unwrap();
    assert!(bytes.is_empty(), "something was left over");
    read
}

/// Compared as text, because a NaN does not equal itself.
fn assert_survives<T: Serialize + DeserializeOwned + Debug>(value: &T) {
    assert_eq!(format!("{:?}", through::<T, T>(value)), format!("{value:?}"));
}

fn settings(v: f64, n: usize) -> [Setting; 8] {
    use Setting::*;
    [K(n), Noise(v), LearningRate(v), Steps(n), InterWeight(v), Objects(n), ESigma(v), MaxEpochs(n as u64)]
}

fn stage(v: f64, n: usize) -> StageStart {
    let set = settings(v, n).to_vec();
    let what = Stage {
        images: Images::First(n),
        learning_rate: v,
        max_epochs: Some(3),
        set,
        loss_steps: Some(StepWeights::List(vec![v])),
    };
    StageStart { stage: n, iteration: n as u64, what }
}

fn input(n: usize) -> Input {
    if n.is_multiple_of(3) {
        let (targets, noisy) = (vec![vec![0.25; n % 7]; 2], vec![vec![1.0; n % 7]]);
        let frames = Frames { targets, noisy, groups: vec![3; n % 5], begins_as: Some((n as u64, 1)) };
        return Input::frames(frames, n as u64);
    }
    Input::file("/home/é/a picture.png", n.is_multiple_of(2), n as u64)
}

/// Every kind of event, with `v` for numbers and `n` for counts.
fn events(v: f64, n: usize, preset: &Preset) -> Vec<Event> {
    let count = n as u64;
    let profile = Profile { data: v, scores: v, ..Profile::default() };
    let iteration = Iteration { iteration: count, loss: v, ..Iteration::default() };
    let scored = Iteration { ami: Some(v), ari: Some(v), profile: Some(profile), ..iteration };
    let epoch = Epoch {
        epoch: count,
        iteration: count,
        train_loss: v,
        validation_loss: v,
        ami: Some(v),
        ami_all_steps: Some(v),
        ari_all_steps: Some(v),
        ami_arithmetic: Some(v),
        ari: Some(v),
        confidence: Some(v),
        upper_bound: Some(v),
        best: n.is_multiple_of(2),
        seconds: v,
    };
    let [from, to, ..] = settings(v, n);
    let change = Change { iteration: count, from, to };
    let metrics = Metrics {
        iterations: vec![iteration, scored],
        epochs: vec![epoch],
        changes: vec![change],
        stages: vec![stage(v, n)],
        forks: vec![Fork { iteration: count, changes: n, stages: n }],
        failure: Some(RunFailure {
            iteration: count,
            epoch: count,
            loss: Some(BrokenLoss::Train(v)),
            why: "é".into(),
        }),
        dropped: Clock::default(),
    };
    let info = RunInfo {
        kind: RunKind::Model,
        directory: "runs/with a space and é".into(),
        preset: preset.clone(),
        seed: u64::MAX,
        device: "flex".into(),
        iteration: count,
        parameters: n,
        floor: Floor { ami: Some(v), ari: None },
        metrics,
    };
    let changes = settings(v, n).map(|to| Event::Changed(Change { iteration: count, from: to, to }));
    let finishes = [
        Finish::EarlyStop,
        Finish::MaxEpochs,
        Finish::MaxIterations,
        Finish::Stopped,
        Finish::Failed("a sentence".into()),
    ];
    let ends = finishes.into_iter().flat_map(|f| [Event::Done(f.clone()), Event::Finished(f)]);
    let rest = [
        Event::Started(Box::new(info)),
        Event::Iterations(vec![]),
        Event::Iterations(vec![scored, iteration]),
        Event::Epoch(epoch),
        Event::Stage(stage(v, n)),
        Event::Floor(Floor { ami: Some(v), ari: None }),
        Event::Refused { request: Command::Set(from), why: "no".into() },
        Event::Note("no disk".into()),
        Event::Paused(true),
        Event::WrongSize { input: input(n), size: [n, 1] },
        Event::WatchedScores(Watched { amis: vec![Some(v), None], held: vec![v; 3] }),
        Event::Saved { iteration: count, best: false },
    ];
    rest.into_iter().chain(changes).chain(ends).collect()
}

/// A new kind of event belongs in `events`; this does not compile until it is here too.
fn kind(event: &Event) -> usize {
    match event {
        Event::Started(_) => 0,
        Event::Iterations(_) => 1,
        Event::Epoch(_) => 2,
        Event::Changed(_) => 3,
        Event::Stage(_) => 4,
        Event::Floor(_) => 5,
        Event::Refused { .. } => 6,
        Event::Paused(_) => 7,
        Event::Note(_) => 8,
        Event::Saved { .. } => 9,
        Event::Done(_) => 10,
        Event::Finished(_) => 11,
        Event::WatchedScores(_) => 12,
        Event::WrongSize { .. } => 13,
    }
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>(),
        Just(f64::NAN),
        Just(f64::INFINITY),
        Just(f64::NEG_INFINITY),
        Just(-0.0),
        Just(f64::MIN_POSITIVE / 2.0),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_command_and_event_survives(v in number(), n in any::<usize>()) {
        use Command::*;
        let inputs = [Command::Input(None), Command::Input(Some(input(n)))];
        for command in [Pause, Resume, Step, Checkpoint, Watch(n), Show, Profile(true), Stop].into_iter().chain(inputs) {
            assert_survives(&command);
        }
        settings(v, n).map(Set).iter().for_each(assert_survives);
        assert_survives(&Look(settings(v, n).to_vec()));
        let preset = Preset::load("quickstart").unwrap();
        let events = events(v, n, &preset);
        for event in &events {
            let read: News<Event, Snapshot> = through(&News::<&Event, &Snapshot>::Event(event));
            assert_eq!(format!("{read:?}"), format!("{:?}", News::<&Event, &Snapshot>::Event(event)));
        }
        assert!((0..14).all(|wanted| events.iter().any(|event| kind(event) == wanted)));
    }

    #[test]
    fn every_picture_survives(values in proptest::collection::vec(any::<f32>(), 0..50), v in number()) {
        let step = SnapshotStep {
            target: values.clone(),
            noisy: values.clone(),
            groups: (0..=255).collect(),
            preds: values.clone(),
            gamma: values,
            ami: Some(v),
            ari: None,
            confidence: Some(v),
        };
        let image = Preset::load("quickstart").unwrap().data.image();
        let steps = vec![step.clone(), step];
        assert_survives(&News::<Event, Snapshot>::Picture(Snapshot { iteration: 3, sample: 5, input: Some(input(5)), image, k: 2, look: settings(v, 3).to_vec(), steps }));
    }

    /// No input makes it panic.
    #[test]
    fn garbage_is_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut from = bytes.as_slice();
        assert!(runtime.block_on(read_hello(&mut from)).is_err());
        let _ = decode::<News<Event, Snapshot>>(&bytes);
        // The few bytes that are a command are exactly those that are written for it.
        if let Ok(command) = decode_command(&bytes) {
            assert_eq!(encode(&command, MOST_OF_VIEWER).unwrap()[4..], bytes);
        }
    }

    /// Commands with a byte changed, added or left out are refused, unless they are exactly another command.
    #[test]
    fn nearly_a_command_is_refused(v in number(), n in any::<usize>(), at in any::<usize>(), byte in any::<u8>()) {
        let commands = [
            Command::Stop,
            Command::Watch(n),
            Command::Set(settings(v, n)[n % 7]),
            Command::Look(settings(v, n).to_vec()),
            Command::Input(Some(input(n))),
        ];
        for command in commands {
            let whole = encode(&command, MOST_OF_VIEWER).unwrap()[4..].to_vec();
            assert!(decode_command(&whole).is_ok());
            let at = at % whole.len();
            let longer = [whole.as_slice(), &[byte]].concat();
            let mut changed = whole.clone();
            changed[at] = byte;
            assert!(decode_command(&longer).is_err() && decode_command(&whole[..at]).is_err());
            if let Ok(command) = decode_command(&changed) {
                assert_eq!(encode(&command, MOST_OF_VIEWER).unwrap()[4..], changed);
            }
        }
    }
}

/// Every preset, with its serde attributes.
#[test]
fn every_preset_survives() {
    for name in embedded_names() {
        let preset = Preset::load(name).unwrap();
        assert_eq!(through::<Preset, Preset>(&preset), preset, "{name}");
    }
}

#[test]
fn what_rmp_would_read_as_a_command_is_refused() {
    assert!(decode_command(b"\xa4Stop").is_ok());
    for bytes in [
        b"\xa4Stop\0".as_slice(),
        b"\xd9\x04Stop",
        b"\xc4\x04Stop",
        b"\x0a",
        b"\x81\xa4Stop\xc0",
        b"\x81\xa5Watch\xcf\0\0\0\0\0\0\0\x07",
        b"",
    ] {
        assert!(decode_command(bytes).is_err(), "{}", bytes.escape_ascii());
    }
}

/// A header that claims four thousand million entries or bytes, and a hundred thousand lists in each other.
#[test]
fn lengths_and_depths_cost_nothing() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let deep = vec![0x91; 100_000];
    let unknown = [b"\x81\xa5Event\x81\xa7Started\x81\xa5other".as_slice(), &deep].concat();
    for bytes in [
        b"\x81\xa4Look\xdd\xff\xff\xff\xff".as_slice(),
        b"\xdb\xff\xff\xff\xffStop",
        b"\xdf\xff\xff\xff\xff",
        b"\x81\xa5Event\x81\xaaIterations\xdd\xff\xff\xff\xff",
        &deep,
        &unknown,
    ] {
        assert!(decode_command(bytes).is_err() && decode::<News<Event, Snapshot>>(bytes).is_err());
    }
    // A frame of 256 MB of which nothing comes.
    let claimed = (MOST_OF_RUN as u32).to_le_bytes();
    let cut_off = runtime.block_on(read::<News<Event, Snapshot>>(&mut claimed.as_slice(), MOST_OF_RUN));
    assert_eq!(cut_off.unwrap_err().kind(), ErrorKind::UnexpectedEof);
}

#[test]
fn a_hello_names_the_version_and_a_frame_has_a_limit() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let hello = hello().unwrap();
    assert_eq!(runtime.block_on(read_hello(&mut hello.as_slice())).unwrap(), VERSION);
    assert!(encode(&Command::Watch(1), 3).is_err());
    let long = [5, 0, 0, 0, 1, 2, 3, 4, 5];
    assert!(runtime.block_on(read::<Command>(&mut long.as_slice(), 4)).is_err());
    let cut_off = runtime.block_on(read::<Command>(&mut &hello[..9], MOST_OF_VIEWER)).unwrap_err();
    assert_eq!(cut_off.kind(), ErrorKind::UnexpectedEof);
}

/// Damaged frames, of both sides: each is refused or read, and nothing else happens.
#[test]
fn damaged_frames() {
    let preset = Preset::load("quickstart").unwrap();
    let of_run = |event: &Event| encode(&News::<&Event, &Snapshot>::Event(event), MOST_OF_RUN).unwrap();
    let mut seeds: Vec<Vec<u8>> = events(0.5, 3, &preset).iter().map(of_run).collect();
    let commands = settings(0.5, 3).map(Command::Set).into_iter().chain([
        Command::Stop,
        Command::Look(settings(0.5, 3).to_vec()),
        Command::Input(Some(input(3))),
    ]);
    seeds.extend(commands.map(|command| encode(&command, MOST_OF_VIEWER).unwrap()));
    seeds.push(hello().unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    mutate::fuzz("frames", &seeds, |mut bytes| {
        let mut again = bytes;
        let mut greeting = bytes;
        let command = runtime.block_on(read::<Command>(&mut again, MOST_OF_VIEWER));
        let news = runtime.block_on(read::<News<Event, Snapshot>>(&mut bytes, MOST_OF_RUN));
        let hello = runtime.block_on(read_hello(&mut greeting));
        command.is_ok() || news.is_ok() || hello.is_ok()
    });
}
