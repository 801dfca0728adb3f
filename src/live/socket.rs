//! Viewers of a run in other processes, over a Unix socket in its directory.
//!
//! ```text
//!   worker ──▶ Event (unbounded) ──▶ the viewers' thread ──▶ frames (broadcast) ──▶ a viewer
//!     ▲                                   │ keeps the state of the run                ▲
//!     │                                   └──▶ to a viewer that joins or lagged ──────┤
//!     │         Snapshot (newest wins, one channel for each viewer) ──────────────────┘
//!     └──────── Call (unbounded) ◀── commands ◀── a viewer
//! ```
//!
//! The worker never waits: it sends into an unbounded channel, and a thread that does nothing else takes events out.
//! A viewer that reads too slowly misses events, and is sent the state of the run instead, so that no queue grows. One
//! that reads nothing for half a minute is disconnected.
//!
//! Every viewer can steer the run, as the owner can. Each has its own sample, settings and images, and gets the
//! answers to its own commands. Snapshots are taken only for viewers, and change no weight.

mod attached;
mod wire;

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::Permissions;
use std::future::pending;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener as StdListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{broadcast, mpsc, watch};
use tokio::time::{sleep, timeout};

pub use self::attached::attach;
use self::wire::{MOST_OF_RUN, MOST_OF_VIEWER, News, VERSION};
use crate::error::{Error, Result};
use crate::protocol::{Call, Command, Event, OWNER, Record, RunInfo, ViewerId, WeakCaller};
use crate::snapshot::Snapshot;

/// The socket's name in the run's directory.
const SOCKET: &str = "socket";
/// Frames that a viewer may lag behind.
const BACKLOG: usize = 1024;
/// A viewer that reads nothing for this long, or sends no hello, is disconnected.
const STALL: Duration = Duration::from_secs(30);
/// How long a run that has ended waits for its viewers to read the last event.
const FAREWELL: Duration = Duration::from_secs(1);
/// The longest path of a socket, in bytes, that every system takes: 104 with the final zero.
const LONGEST: usize = 103;

type Snapshots = watch::Receiver<Option<Arc<Snapshot>>>;

/// What is written to a viewer in one piece.
type Frame = Arc<[u8]>;

/// The run's side: listens until it is dropped.
pub(super) struct Viewers {
    /// To the viewers' thread, which ends when this is closed.
    news: Option<mpsc::UnboundedSender<(Option<ViewerId>, Event)>>,
    thread: Option<JoinHandle<()>>,
    socket: PathBuf,
}

impl Viewers {
    /// Listens in the directory of the run `info`, which no other process trains. A socket that a dead run left there
    /// is replaced. Calls go to `caller`; `latest` is what a viewer sees until its own snapshot is taken.
    ///
    /// # Errors
    /// For example a file system without sockets. The run works without.
    pub(super) fn listen(info: RunInfo, caller: WeakCaller, latest: Snapshots) -> Result<Viewers> {
        let socket = info.directory.join(SOCKET);
        let failed = |e| Error::io("listen for viewers at", &socket)(e);
        let listener = bind(&info.directory, &socket).map_err(failed)?;
        let (news, incoming) = mpsc::unbounded_channel();
        let body = move || -> io::Result<()> {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let room = RefCell::new(Room { now: Now::new(info), frames: None, answers: HashMap::new() });
                serve(UnixListener::from_std(listener)?, incoming, &room, &caller, &latest).await
            })
        };
        // If it fails, the run continues without viewers.
        let body = move || drop(body());
        let thread = std::thread::Builder::new().name("viewers".into()).spawn(body).map_err(failed)?;
        Ok(Viewers { news: Some(news), thread: Some(thread), socket })
    }

    /// Tells one viewer, or all of them, including those that join later. Never waits.
    pub(super) fn tell(&self, to: Option<ViewerId>, event: &Event) {
        if let Some(news) = &self.news {
            let _ = news.send((to, event.clone()));
        }
    }
}

impl Drop for Viewers {
    fn drop(&mut self) {
        // First, so that nobody connects to what is about to close.
        let _ = std::fs::remove_file(&self.socket);
        self.news = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Binds a socket that only its owner can use, from the start: bound in a private directory, then renamed.
fn bind(run: &Path, socket: &Path) -> io::Result<StdListener> {
    let aside = tempfile::Builder::new().prefix(".socket-").tempdir_in(run)?;
    let path = aside.path().join(SOCKET);
    let listener = by_short_name(&path, |path| StdListener::bind(path))?;
    std::fs::set_permissions(&path, Permissions::from_mode(0o600))?;
    std::fs::rename(&path, socket)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Calls `act` with a short path of the socket at `path`: a socket's address holds about 100 bytes.
fn by_short_name<T>(path: &Path, act: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else { return act(path) };
    if path.as_os_str().len() <= LONGEST {
        return act(path);
    }
    let short = tempfile::tempdir()?;
    let link = short.path().join("run");
    symlink(std::path::absolute(directory)?, &link)?;
    act(&link.join(name))
}

/// The state of a run.
struct Now {
    /// With the preset and floor in force, and all metrics so far.
    info: RunInfo,
    /// The other events that a viewer must know when it joins, the newest of each kind.
    paused: Option<Event>,
    scores: Option<Event>,
    saved: Option<Event>,
    end: Option<Event>,
}

impl Now {
    fn new(info: RunInfo) -> Now {
        Now { info, paused: None, scores: None, saved: None, end: None }
    }

    fn take_in(&mut self, event: &Event) {
        let (info, event) = (&mut self.info, event.clone());
        match event {
            Event::Started(new) => *info = *new,
            Event::Iterations(list) => {
                list.into_iter().for_each(|iteration| info.metrics.add(Record::Step(iteration)));
                info.metrics.keep_latest();
            }
            Event::Epoch(epoch) => info.metrics.add(Record::Epoch(epoch)),
            Event::Changed(change) => {
                if let Ok(preset) = change.to.apply(&info.preset) {
                    info.preset = preset;
                }
                info.metrics.add(Record::Change(change));
            }
            Event::Stage(start) => {
                info.preset = info.preset.at_stage(&start.what);
                info.metrics.add(Record::Stage(start));
            }
            Event::Floor(floor) => info.floor = floor,
            // No longer of interest to a viewer that joins.
            Event::Refused { .. } | Event::WrongSize { .. } | Event::Note(_) => {}
            Event::Paused(_) => self.paused = Some(event),
            Event::WatchedScores(_) => self.scores = Some(event),
            Event::Saved { .. } => self.saved = Some(event),
            Event::Done(_) | Event::Finished(_) => self.end = Some(event),
        }
    }

    /// The state as frames, for a viewer that joins.
    fn told(&self) -> io::Result<Vec<Frame>> {
        let started = Event::Started(Box::new(self.info.clone()));
        let rest = [&self.paused, &self.scores, &self.saved, &self.end];
        let all = std::iter::once(&started).chain(rest.into_iter().flatten());
        all.map(frame).collect()
    }
}

/// What all viewers share. Nothing is awaited while it is borrowed, so that the state and the frames sent since never
/// disagree.
struct Room {
    now: Now,
    /// To every viewer; `None` once the run is over.
    frames: Option<broadcast::Sender<Frame>>,
    /// To one viewer each, for as long as it is there: answers must not be lost when it lags.
    answers: HashMap<ViewerId, mpsc::UnboundedSender<Frame>>,
}

impl Room {
    /// The state of the run, and the source of all frames after it.
    fn join(&self) -> io::Result<(Vec<Frame>, broadcast::Receiver<Frame>)> {
        // When the run is over, the source is empty.
        let frames =
            self.frames.as_ref().map_or_else(|| broadcast::channel(1).1, |frames| frames.subscribe());
        Ok((self.now.told()?, frames))
    }
}

fn frame(event: &Event) -> io::Result<Frame> {
    wire::encode(&News::<&Event, &Snapshot>::Event(event), MOST_OF_RUN).map(Frame::from)
}

/// Accepts viewers, and passes on the worker's events until there are no more.
async fn serve(
    listener: UnixListener,
    mut news: mpsc::UnboundedReceiver<(Option<ViewerId>, Event)>,
    room: &RefCell<Room>,
    caller: &WeakCaller,
    latest: &Snapshots,
) -> io::Result<()> {
    let frames = broadcast::channel(BACKLOG).0;
    room.borrow_mut().frames = Some(frames.clone());
    let mut viewers = FuturesUnordered::new();
    let mut viewer = OWNER;
    loop {
        tokio::select! {
            // News first: a viewer that joins gets all of it as the state.
            biased;
            event = news.recv() => {
                let Some((to, event)) = event else { break };
                let mut room = room.borrow_mut();
                match to.map(|viewer| room.answers.get(&viewer)) {
                    Some(Some(answers)) => drop(answers.send(frame(&event)?)),
                    // It has left.
                    Some(None) => {}
                    None => {
                        room.now.take_in(&event);
                        if frames.receiver_count() > 0 {
                            let _ = frames.send(frame(&event)?);
                        }
                    }
                }
            }
            stream = accept(&listener) => {
                viewer += 1;
                let talk = talk(viewer, stream, room, caller, latest);
                viewers.push(async move {
                    let left = talk.await;
                    room.borrow_mut().answers.remove(&viewer);
                    left
                });
            }
            // A viewer that left needs nothing more, whatever the reason.
            Some(_) = viewers.next() => {}
        }
    }
    // Every viewer reads what is left, then the end of the stream.
    drop(frames);
    room.borrow_mut().frames = None;
    let _ = timeout(FAREWELL, viewers.count()).await;
    Ok(())
}

async fn accept(listener: &UnixListener) -> UnixStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            // For example too many open files, which passes.
            Err(_) => sleep(Duration::from_millis(200)).await,
        }
    }
}

/// One viewer, until it leaves, stalls or the run is over.
async fn talk(
    viewer: ViewerId,
    stream: UnixStream,
    room: &RefCell<Room>,
    caller: &WeakCaller,
    latest: &Snapshots,
) -> io::Result<()> {
    let (mut from, mut to) = stream.into_split();
    wire::write(&mut to, &wire::hello()?).await?;
    if timeout(STALL, wire::read_hello(&mut from)).await?? != VERSION {
        // Our hello tells it why.
        return Ok(());
    }
    let heard = hear(viewer, &mut from, caller);
    tokio::pin!(heard);
    tokio::select! {
        heard = &mut heard => heard,
        told = tell(viewer, &mut to, room, caller, latest) => match told {
            Ok(()) => Ok(()),
            // Commands sent before it left still count.
            Err(_) => timeout(FAREWELL, heard).await?,
        },
    }
}

/// Passes a viewer's commands on.
async fn hear(viewer: ViewerId, from: &mut (impl AsyncRead + Unpin), caller: &WeakCaller) -> io::Result<()> {
    loop {
        let command = wire::read(from, MOST_OF_VIEWER).await?;
        match caller.upgrade() {
            Some(caller) => caller.send(Call::Command(viewer, command)),
            // The run is ending; its last events are still to come.
            None => pending().await,
        }
    }
}

/// Sends a viewer the state of the run, then events and its snapshots.
async fn tell(
    viewer: ViewerId,
    to: &mut (impl AsyncWrite + Unpin),
    room: &RefCell<Room>,
    caller: &WeakCaller,
    latest: &Snapshots,
) -> io::Result<()> {
    let (sender, mut snapshots) = watch::channel(latest.borrow().clone());
    // Shown until the worker has taken this viewer's own snapshot.
    snapshots.mark_changed();
    if let Some(caller) = caller.upgrade() {
        caller.send(Call::Join(viewer, sender));
        caller.send(Call::Command(viewer, Command::Show));
    }
    let (sender, mut answers) = mpsc::unbounded_channel();
    room.borrow_mut().answers.insert(viewer, sender);
    let (mut told, mut frames) = room.borrow().join()?;
    loop {
        for frame in told.drain(..) {
            timeout(STALL, wire::write(to, &frame)).await??;
        }
        let frame = tokio::select! {
            Some(answer) = answers.recv() => answer,
            frame = frames.recv() => match frame {
                Ok(frame) => frame,
                Err(broadcast::error::RecvError::Lagged(_)) => {
                    (told, frames) = room.borrow().join()?;
                    continue;
                }
                Err(broadcast::error::RecvError::Closed) => {
                    while let Ok(answer) = answers.try_recv() {
                        timeout(STALL, wire::write(to, &answer)).await??;
                    }
                    return Ok(());
                }
            },
            Ok(()) = snapshots.changed() => {
                let snapshot = snapshots.borrow_and_update().clone();
                let Some(snapshot) = snapshot else { continue };
                // A snapshot too large to send is not shown.
                let news = News::<&Event, &Snapshot>::Picture(&snapshot);
                let Ok(frame) = wire::encode(&news, MOST_OF_RUN) else { continue };
                frame.into()
            }
        };
        timeout(STALL, wire::write(to, &frame)).await??;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preset::{Preset, Setting};
    use crate::protocol::{Caller, Change, Finish, Floor, Iteration, Metrics, RunKind};
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
}
