//! What goes over the socket: frames, each a length (u32, little-endian) and that many bytes.
//!
//! ```text
//!   both ways   hello             "nem-tui " and the program's version
//!   to the run  Command …         MessagePack
//!   from it     News::Event(Started), then News …
//! ```
//!
//! MessagePack with named fields is read by name, like RON and JSON, so that whatever serde attribute a
//! preset or a metric has for those holds here too; and unlike JSON it has numbers that are none.

use std::future::poll_fn;
use std::io::{Error, ErrorKind, Result};
use std::pin::Pin;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What every hello begins with.
const MAGIC: &[u8] = b"nem-tui ";
/// Both sides are of the same version, or nothing more is said.
pub(super) const VERSION: &str = env!("NEM_TUI_VERSION");

/// The longest frame of a viewer's, hello included, in bytes.
pub(super) const MOST_OF_VIEWER: usize = 4 << 10;
/// The longest frame of a run's, in bytes: a snapshot of 15 steps, 4 components and 28x28 pixels takes 0.6 MB.
pub(super) const MOST_OF_RUN: usize = 256 << 20;

/// What a run tells its viewers: `News<&Event, &Snapshot>` where it is written, `News<Event, Snapshot>` where
/// it is read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum News<E, S> {
    /// What a viewer must not miss.
    Event(E),
    /// The newest picture.
    Picture(S),
}

/// The frame of a value.
///
/// # Errors
/// A value that would be longer than `most` bytes.
pub(super) fn encode(value: &impl Serialize, most: usize) -> Result<Vec<u8>> {
    frame(rmp_serde::to_vec_named(value).map_err(invalid)?, most)
}

/// The frame that each side begins with.
pub(super) fn hello() -> Result<Vec<u8>> {
    frame([MAGIC, VERSION.as_bytes()].concat(), MOST_OF_VIEWER)
}

fn frame(content: Vec<u8>, most: usize) -> Result<Vec<u8>> {
    let length = u32::try_from(content.len()).ok().filter(|length| *length as usize <= most);
    let length = length.ok_or_else(|| invalid(format!("a frame of {} bytes", content.len())))?;
    Ok([&length.to_le_bytes(), content.as_slice()].concat())
}

/// Reads the other side's hello; the version in it.
///
/// # Errors
/// What is no hello, and an end of the stream.
pub(super) async fn read_hello(from: &mut (impl AsyncRead + Unpin)) -> Result<String> {
    let content = read_frame(from, MOST_OF_VIEWER).await?;
    let version = content.strip_prefix(MAGIC).and_then(|version| str::from_utf8(version).ok());
    version.map(str::to_owned).ok_or_else(|| invalid("no hello of nem-tui"))
}

/// Reads a value.
///
/// # Errors
/// A frame of more than `most` bytes, content that is no such value, and an end of the stream.
pub(super) async fn read<T: DeserializeOwned>(from: &mut (impl AsyncRead + Unpin), most: usize) -> Result<T> {
    rmp_serde::from_slice(&read_frame(from, most).await?).map_err(invalid)
}

async fn read_frame(from: &mut (impl AsyncRead + Unpin), most: usize) -> Result<Vec<u8>> {
    let mut length = [0; 4];
    read_exact(from, &mut length).await?;
    let length = u32::from_le_bytes(length) as usize;
    if length > most {
        return Err(invalid(format!("a frame of {length} bytes")));
    }
    let mut content = vec![0; length];
    read_exact(from, &mut content).await?;
    Ok(content)
}

/// By hand, like [`write`]: tokio's helpers come with a crate of buffers, and these two are all that is needed.
async fn read_exact(from: &mut (impl AsyncRead + Unpin), content: &mut [u8]) -> Result<()> {
    let mut buffer = ReadBuf::new(content);
    while buffer.remaining() > 0 {
        let left = buffer.remaining();
        poll_fn(|context| Pin::new(&mut *from).poll_read(context, &mut buffer)).await?;
        if buffer.remaining() == left {
            return Err(ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(())
}

/// Writes a frame.
///
/// # Errors
/// A reader that is gone.
pub(super) async fn write(to: &mut (impl AsyncWrite + Unpin), mut frame: &[u8]) -> Result<()> {
    while !frame.is_empty() {
        match poll_fn(|context| Pin::new(&mut *to).poll_write(context, frame)).await? {
            0 => return Err(ErrorKind::WriteZero.into()),
            written => frame = &frame[written..],
        }
    }
    Ok(())
}

fn invalid(what: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use proptest::prelude::*;

    use super::*;
    use crate::preset::{Images, Preset, Setting, Stage, embedded_names};
    use crate::protocol::{
        Change, Clock, Command, Epoch, Event, Finish, Floor, Fork, Iteration, Metrics, Profile, RunInfo,
        StageStart, Watched,
    };
    use crate::snapshot::{Input, Snapshot, SnapshotStep};

    /// What is read of what is written.
    fn through<A: Serialize, B: DeserializeOwned>(value: &A) -> B {
        let frame = encode(value, MOST_OF_RUN).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut bytes = frame.as_slice();
        let read = runtime.block_on(read(&mut bytes, MOST_OF_RUN)).unwrap();
        assert!(bytes.is_empty(), "something was left over");
        read
    }

    /// By what is printed, since a NaN equals nothing.
    fn assert_survives<T: Serialize + DeserializeOwned + Debug>(value: &T) {
        assert_eq!(format!("{:?}", through::<T, T>(value)), format!("{value:?}"));
    }

    fn settings(v: f64, n: usize) -> [Setting; 7] {
        use Setting::*;
        [K(n), Noise(v), LearningRate(v), Steps(n), InterWeight(v), Objects(n), ESigma(v)]
    }

    fn stage(v: f64, n: usize) -> StageStart {
        let set = settings(v, n).to_vec();
        let what = Stage { images: Images::First(n), learning_rate: v, max_epochs: Some(3), set };
        StageStart { stage: n, iteration: n as u64, what }
    }

    fn input(n: usize) -> Input {
        Input { file: "/home/é/a picture.png".into(), resize: n.is_multiple_of(2), request: n as u64 }
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
            ami: v,
            ami_arithmetic: v,
            ari: v,
            confidence: v,
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
            dropped: Clock::default(),
        };
        let info = RunInfo {
            directory: "runs/with a space and é".into(),
            preset: preset.clone(),
            seed: u64::MAX,
            device: "flex".into(),
            iteration: count,
            parameters: n,
            floor: Floor { ami: v, ari: v },
            metrics,
        };
        let changes = settings(v, n).map(|to| Event::Changed(Change { iteration: count, from: to, to }));
        let finishes = [
            Finish::EarlyStop,
            Finish::MaxEpochs,
            Finish::MaxIterations,
            Finish::Stopped,
            Finish::Shown,
            Finish::Failed("a sentence".into()),
        ];
        let ends = finishes.into_iter().flat_map(|f| [Event::Done(f.clone()), Event::Finished(f)]);
        let rest = [
            Event::Started(Box::new(info)),
            Event::Iterations(vec![]),
            Event::Iterations(vec![scored, iteration]),
            Event::Epoch(epoch),
            Event::Stage(stage(v, n)),
            Event::Floor(Floor { ami: v, ari: v }),
            Event::Refused("no".into()),
            Event::Paused(true),
            Event::WrongSize { input: input(n), size: [n, 1] },
            Event::Watched(n),
            Event::WatchedScores(Watched { amis: vec![Some(v), None], held: vec![v; 3] }),
            Event::Saved { iteration: count, best: false },
        ];
        rest.into_iter().chain(changes).chain(ends).collect()
    }

    /// A new kind of event belongs into `events`: this stops compiling until it is here, too.
    fn kind(event: &Event) -> usize {
        match event {
            Event::Started(_) => 0,
            Event::Iterations(_) => 1,
            Event::Epoch(_) => 2,
            Event::Changed(_) => 3,
            Event::Stage(_) => 4,
            Event::Floor(_) => 5,
            Event::Refused(_) => 6,
            Event::Paused(_) => 7,
            Event::Watched(_) => 8,
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

        /// Whatever comes, nothing panics.
        #[test]
        fn garbage_is_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let mut from = bytes.as_slice();
            assert!(runtime.block_on(read_hello(&mut from)).is_err());
            let _ = rmp_serde::from_slice::<Command>(&bytes);
            let _ = rmp_serde::from_slice::<News<Event, Snapshot>>(&bytes);
        }
    }

    /// Every preset, with whatever serde attributes it is read and written by.
    #[test]
    fn every_preset_survives() {
        for name in embedded_names() {
            let preset = Preset::load(name).unwrap();
            assert_eq!(through::<Preset, Preset>(&preset), preset, "{name}");
        }
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
}
