use std::path::Path;

use super::*;
use crate::preset::{Preset, Setting};
use crate::protocol::{Caller, Change, Finish, Floor, Iteration, Metrics, RunKind};
use crate::snapshot::{Frames, Input};
use crate::stop::Stop;

fn info(directory: &Path) -> RunInfo {
    RunInfo {
        kind: RunKind::Training,
        directory: directory.to_owned(),
        preset: Preset::load("quickstart").unwrap(),
        seed: 1,
        device: "flex".into(),
        iteration: 0,
        parameters: 1,
        floor: Floor::default(),
        metrics: Metrics::default(),
    }
}

#[test]
fn who_joins_is_told_how_the_run_stands() {
    let mut now = Now::new(info(Path::new("r")));
    let iteration = |n| Iteration { iteration: n, ..Iteration::default() };
    let change = Change { iteration: 3, from: Setting::K(4), to: Setting::K(6) };
    let floor = Floor { ami: Some(0.4), ari: Some(0.3) };
    for event in [
        Event::Iterations(vec![iteration(1), iteration(2)]),
        Event::Paused(true),
        Event::Paused(false),
        Event::Changed(change),
        Event::Floor(floor),
        Event::Refused { request: Command::Step, why: "no".into() },
        Event::Note("no disk".into()),
        Event::Saved { iteration: 2, best: true },
        Event::Done(Finish::Stopped),
    ] {
        now.take_in(&event);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let read = |frame: Frame| match runtime
        .block_on(wire::read::<News<Event, Snapshot>>(&mut &frame[..], MOST_OF_RUN))
    {
        Ok(News::Event(event)) => event,
        other => panic!("{other:?}"),
    };
    let told: Vec<Event> = now.told().unwrap().into_iter().map(read).collect();
    let Event::Started(started) = &told[0] else { panic!("{told:?}") };
    assert_eq!((started.preset.k, started.floor), (6, floor));
    assert_eq!(started.metrics.iterations.iter().map(|i| i.iteration).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(started.metrics.changes, [change]);
    let rest =
        [Event::Paused(false), Event::Saved { iteration: 2, best: true }, Event::Done(Finish::Stopped)];
    assert_eq!(told[1..], rest);
}

/// A viewer says hello and then reads nothing. The worker sends far more than any buffer holds and does not
/// wait, another viewer gets every event, and when the first one reads again it gets the state again.
#[test]
fn a_viewer_that_does_not_read_holds_nobody_up_and_is_told_anew() {
    let directory = tempfile::tempdir().unwrap();
    let (calls, _calls) = mpsc::unbounded_channel();
    let caller = Caller::new(calls, Stop::default());
    let latest = watch::channel(None).1;
    let viewers = Viewers::listen(info(directory.path()), caller.downgrade(), latest).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let path = directory.path().join(SOCKET);
    let join = async || {
        let mut stream = UnixStream::connect(&path).await.unwrap();
        wire::write(&mut stream, &wire::hello().unwrap()).await.unwrap();
        wire::read_hello(&mut stream).await.unwrap();
        assert!(matches!(next(&mut stream).await, Event::Started(_)));
        stream
    };
    let (mut slow, mut other) = runtime.block_on(async { (join().await, join().await) });
    // Some 60 MB: no socket's buffer and no backlog holds that.
    let sentences = 6 * BACKLOG;
    // An answer to the first viewer is not lost among them.
    let answer = Event::Refused { request: Command::Step, why: "no".into() };
    let is_last = |event: &Event| matches!(event, Event::Saved { iteration, .. } if *iteration as usize == sentences - 1);
    for n in 0..sentences {
        if n == sentences / 2 {
            viewers.tell(Some(OWNER + 1), &answer);
        }
        viewers.tell(None, &Event::Note(format!("{n} {}", ".".repeat(10_000))));
        viewers.tell(None, &Event::Saved { iteration: n as u64, best: false });
    }
    runtime.block_on(async {
        // It may get the state again, too, but it gets the end.
        loop {
            let event = next(&mut other).await;
            assert!(event != answer, "it is another viewer's");
            if is_last(&event) {
                break;
            }
        }
        let (mut anew, mut answered, mut ended) = (0, 0, false);
        while !(ended && answered > 0) {
            match next(&mut slow).await {
                Event::Started(_) => anew += 1,
                event if event == answer => answered += 1,
                event if is_last(&event) => ended = true,
                _ => {}
            }
        }
        assert!(anew >= 1, "it has heard everything, so this shows nothing");
        assert_eq!(answered, 1);
    });
    drop(viewers);
    assert!(!path.exists());
}

async fn next(stream: &mut UnixStream) -> Event {
    match wire::read::<News<Event, Snapshot>>(stream, MOST_OF_RUN).await.unwrap() {
        News::Event(event) => event,
        News::Picture(_) => panic!("nobody has made a picture"),
    }
}

/// A run's listener on its own, with these limits, and a way to say hello to it.
struct Listening {
    _directory: tempfile::TempDir,
    path: PathBuf,
    viewers: Viewers,
    calls: mpsc::UnboundedReceiver<Call>,
    _caller: Caller,
    runtime: tokio::runtime::Runtime,
}

impl Listening {
    fn new() -> Listening {
        let directory = tempfile::tempdir().unwrap();
        let (sender, calls) = mpsc::unbounded_channel();
        let caller = Caller::new(sender, Stop::default());
        let latest = watch::channel(None).1;
        let viewers = Viewers::listen(info(directory.path()), caller.downgrade(), latest).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let path = directory.path().join(SOCKET);
        Listening { _directory: directory, path, viewers, calls, _caller: caller, runtime }
    }

    /// Connects and says hello; the first event is still to come.
    fn greet(&self) -> UnixStream {
        self.runtime.block_on(async {
            let mut stream = UnixStream::connect(&self.path).await.unwrap();
            wire::write(&mut stream, &wire::hello().unwrap()).await.unwrap();
            wire::read_hello(&mut stream).await.unwrap();
            stream
        })
    }

    fn next(&self, stream: &mut UnixStream) -> Event {
        self.runtime.block_on(next(stream))
    }

    /// Waits until the run closes this connection.
    fn closed(&self, stream: &mut UnixStream) {
        self.runtime.block_on(async {
            let mut rest = Vec::new();
            let _ = tokio::io::AsyncReadExt::read_to_end(stream, &mut rest).await;
        });
    }
}

#[test]
fn more_viewers_than_there_are_seats_are_told_why() {
    let run = Listening::new();
    let most = Limits::now().viewers;
    let mut viewers: Vec<UnixStream> = (0..most).map(|_| run.greet()).collect();
    for viewer in &mut viewers {
        assert!(matches!(run.next(viewer), Event::Started(_)));
    }
    let refused = |stream: &mut UnixStream| match run.next(stream) {
        Event::Finished(Finish::Failed(why)) => why,
        other => panic!("{other:?}"),
    };
    let mut late = run.greet();
    assert!(refused(&mut late).starts_with(&format!("{most} viewers are attached to this run")));
    run.closed(&mut late);
    // A seat that is left is free again, once the run has noticed.
    viewers.pop();
    while !matches!(run.next(&mut run.greet()), Event::Started(_)) {}
}

/// Far more connections than file descriptors: the oldest are closed, and a viewer comes through.
#[test]
fn connections_that_say_nothing_are_few_and_keep_nobody_out() {
    let run = Listening::new();
    let most = Limits::now().strangers;
    let connect = || run.runtime.block_on(UnixStream::connect(&run.path)).unwrap();
    let mut first = connect();
    let idle: Vec<UnixStream> = (0..4 * most).map(|_| connect()).collect();
    run.closed(&mut first);
    let mut viewer = run.greet();
    assert!(matches!(run.next(&mut viewer), Event::Started(_)));
    drop(idle);
}

/// A viewer sends many commands, and the worker takes none: the rest waits with the viewer until it does.
#[test]
fn commands_wait_with_the_viewer_that_sends_too_many() {
    let mut run = Listening::new();
    let mut viewer = run.greet();
    let frame = wire::encode(&Command::Profile(true), wire::MOST_OF_VIEWER).unwrap();
    let frames = frame.repeat(COMMANDS as usize + 10);
    run.runtime.block_on(wire::write(&mut viewer, &frames)).unwrap();
    let take = |calls: &mut mpsc::UnboundedReceiver<Call>, wanted: u64| {
        let (mut commands, mut marks) = (0, Vec::new());
        while commands < wanted {
            match calls.blocking_recv().unwrap() {
                Call::Command(_, Command::Profile(true)) => commands += 1,
                Call::Taken(mark) => marks.push(mark),
                _ => {}
            }
        }
        marks
    };
    assert!(take(&mut run.calls, COMMANDS).is_empty());
    let Some(Call::Taken(mark)) = run.calls.blocking_recv() else { panic!("more came") };
    assert!(run.calls.is_empty());
    drop(mark);
    assert!(take(&mut run.calls, 10).is_empty());
}

/// Drawings are large: one waits for the worker, the next with the viewer. Other commands pass the first.
#[test]
fn drawings_wait_one_by_one() {
    let mut run = Listening::new();
    let mut viewer = run.greet();
    let drawing = |n| Command::Input(Some(Input::frames(Frames::default(), n)));
    let send = |run: &Listening, viewer: &mut UnixStream, commands: &[Command]| {
        let frames = commands.iter().flat_map(|command| wire::encode(command, wire::MOST_OF_VIEWER).unwrap());
        run.runtime.block_on(wire::write(viewer, &frames.collect::<Vec<u8>>())).unwrap();
    };
    let take = |run: &mut Listening, until: Command| {
        let (mut commands, mut marks) = (Vec::new(), Vec::new());
        while commands.last() != Some(&until) {
            match run.calls.blocking_recv().unwrap() {
                Call::Command(_, command) if command != Command::Show => commands.push(command),
                Call::Taken(mark) => marks.push(mark),
                _ => {}
            }
        }
        (commands, marks)
    };
    send(&run, &mut viewer, &[drawing(1), Command::Step, drawing(2), Command::Pause]);
    let (commands, marks) = take(&mut run, Command::Step);
    assert_eq!(commands, [drawing(1), Command::Step]);
    // What another viewer sends later comes first.
    let mut other = run.greet();
    send(&run, &mut other, &[Command::Resume]);
    assert_eq!(take(&mut run, Command::Resume).0, [Command::Resume]);
    assert_eq!(marks.len(), 1);
    drop(marks);
    assert_eq!(take(&mut run, Command::Pause).0, [drawing(2), Command::Pause]);
}

/// A viewer that reads none of its answers is disconnected, and they are not kept.
#[test]
fn answers_that_nobody_reads_end_the_connection() {
    let run = Listening::new();
    let mut viewer = run.greet();
    assert!(matches!(run.next(&mut viewer), Event::Started(_)));
    let why = ".".repeat(100_000);
    for _ in 0..4 * ANSWERS {
        run.viewers.tell(Some(OWNER + 1), &Event::Refused { request: Command::Step, why: why.clone() });
    }
    run.closed(&mut viewer);
    let mut other = run.greet();
    assert!(matches!(run.next(&mut other), Event::Started(_)));
}
