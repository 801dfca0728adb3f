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
//! Viewers are limited in number, and each in how much it may ask: `limits`. A viewer that sends more is not read.
//!
//! Every viewer can steer the run, as the owner can. Each has its own sample, settings and images, and gets the
//! answers to its own commands. Snapshots are taken only for viewers, and change no weight.

mod address;
mod attached;
mod limits;
mod wire;

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::future::pending;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout};

use self::address::SOCKET;
pub use self::attached::attach;
use self::limits::{Limits, Pace};
use self::wire::{MOST_OF_RUN, News, VERSION};
use crate::error::{Error, Result};
use crate::preset::Setting;
use crate::protocol::{Call, Command, Event, Finish, OWNER, Record, RunInfo, ViewerId, WeakCaller};
use crate::snapshot::Snapshot;

/// What a run says when it cannot listen.
pub(super) const NOBODY: &str = "the run continues, but nobody can attach to it";
/// Frames that a viewer may lag behind.
const BACKLOG: usize = 1024;
/// Answers that may wait for a viewer; one that leaves more unread is disconnected.
const ANSWERS: usize = 64;
/// Commands of a viewer that may wait for the worker.
const COMMANDS: u64 = 128;
/// A viewer that reads nothing for this long is disconnected.
const STALL: Duration = Duration::from_secs(30);
/// The same if it sends no hello.
const HELLO: Duration = Duration::from_secs(3);
/// How long nobody is accepted after a failure, and between connections while many have not said hello.
const FAILED: Duration = Duration::from_millis(200);
const CROWDED: Duration = Duration::from_millis(1);
/// How many commands a viewer may send at once, and in a second: as many as a key that is held.
const KEYS_AT_ONCE: u32 = 64;
const KEYS_A_SECOND: u32 = 30;
/// How many viewers may join at once, and in a second.
const VIEWERS_AT_ONCE: u32 = 32;
const VIEWERS_A_SECOND: u32 = 10;
/// How long a run that has ended waits for its viewers to read the last event.
const FAREWELL: Duration = Duration::from_secs(1);

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
        let listener = address::bind(&info.directory).map_err(failed)?;
        let (news, incoming) = mpsc::unbounded_channel();
        let body = move || -> io::Result<()> {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let room = RefCell::new(Room::new(info, Limits::now()));
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
                if matches!(change.to, Setting::MaxEpochs(_)) {
                    self.end = None;
                }
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
    answers: HashMap<ViewerId, mpsc::Sender<Frame>>,
    limits: Limits,
    /// Who has not said hello, the oldest first; closing the channel ends the connection.
    strangers: VecDeque<(ViewerId, oneshot::Sender<()>)>,
    /// How often viewers may join, since each is sent the whole state.
    joins: Pace,
}

impl Room {
    fn new(info: RunInfo, limits: Limits) -> Room {
        let joins = Pace::new(VIEWERS_AT_ONCE, VIEWERS_A_SECOND);
        let (answers, strangers) = (HashMap::new(), VecDeque::new());
        Room { now: Now::new(info), frames: None, answers, limits, strangers, joins }
    }

    /// Lets somebody in who has yet to say hello. Of too many, the oldest leaves.
    fn meet(&mut self, stranger: ViewerId) -> oneshot::Receiver<()> {
        let (stays, leaves) = oneshot::channel();
        self.strangers.push_back((stranger, stays));
        if self.strangers.len() > self.limits.strangers {
            self.strangers.pop_front();
        }
        leaves
    }

    /// A stranger has said hello: its answers, or a sentence that says why it cannot stay.
    fn seat(&mut self, viewer: ViewerId) -> Result<mpsc::Receiver<Frame>, String> {
        self.strangers.retain(|(stranger, _)| *stranger != viewer);
        if self.answers.len() >= self.limits.viewers {
            return Err(format!(
                "{} viewers are attached to this run, which is the most; close one of them and attach again",
                self.answers.len()
            ));
        }
        let (sender, answers) = mpsc::channel(ANSWERS);
        self.answers.insert(viewer, sender);
        Ok(answers)
    }

    /// Answers a viewer. One that has let many answers wait is disconnected.
    fn answer(&mut self, viewer: ViewerId, answer: Frame) {
        // It may have left.
        if self.answers.get(&viewer).is_some_and(|answers| answers.try_send(answer).is_err()) {
            self.answers.remove(&viewer);
        }
    }

    fn leave(&mut self, viewer: ViewerId) {
        self.strangers.retain(|(stranger, _)| *stranger != viewer);
        self.answers.remove(&viewer);
    }

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
    let mut closed_until = Instant::now();
    loop {
        tokio::select! {
            // News first: a viewer that joins gets all of it as the state.
            biased;
            event = news.recv() => {
                let Some((to, event)) = event else { break };
                let mut room = room.borrow_mut();
                match to {
                    Some(viewer) => room.answer(viewer, frame(&event)?),
                    None => {
                        room.now.take_in(&event);
                        if frames.receiver_count() > 0 {
                            let _ = frames.send(frame(&event)?);
                        }
                    }
                }
            }
            stream = accept(&listener, closed_until) => {
                let Ok(stream) = stream else {
                    // For example too many open files, which passes.
                    closed_until = Instant::now() + FAILED;
                    continue;
                };
                viewer += 1;
                let leaves = room.borrow_mut().meet(viewer);
                if room.borrow().strangers.len() >= room.borrow().limits.strangers {
                    closed_until = Instant::now() + CROWDED;
                }
                let talk = talk(viewer, stream, leaves, room, caller, latest);
                viewers.push(async move {
                    let left = talk.await;
                    room.borrow_mut().leave(viewer);
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

async fn accept(listener: &UnixListener, closed_until: Instant) -> io::Result<UnixStream> {
    sleep_until(closed_until).await;
    listener.accept().await.map(|(stream, _)| stream)
}

/// One viewer, until it leaves, stalls or the run is over; without a hello, until others want its place.
async fn talk(
    viewer: ViewerId,
    stream: UnixStream,
    leaves: oneshot::Receiver<()>,
    room: &RefCell<Room>,
    caller: &WeakCaller,
    latest: &Snapshots,
) -> io::Result<()> {
    let (mut from, mut to) = stream.into_split();
    wire::write(&mut to, &wire::hello()?).await?;
    let version = tokio::select! {
        version = timeout(HELLO, wire::read_hello(&mut from)) => version??,
        _ = leaves => return Ok(()),
    };
    if version != VERSION {
        // Our hello tells it why.
        return Ok(());
    }
    let seat = room.borrow_mut().seat(viewer);
    let answers = match seat {
        Ok(answers) => answers,
        Err(why) => {
            let refusal = frame(&Event::Finished(Finish::Failed(why)))?;
            return timeout(FAREWELL, wire::write(&mut to, &refusal)).await?;
        }
    };
    let admitted = room.borrow_mut().joins.grant(Instant::now());
    sleep_until(admitted).await;
    let heard = hear(viewer, &mut from, caller);
    tokio::pin!(heard);
    tokio::select! {
        heard = &mut heard => heard,
        told = tell(viewer, &mut to, answers, room, caller, latest) => match told {
            Ok(()) => Ok(()),
            // Commands sent before it left still count.
            Err(_) => timeout(FAREWELL, heard).await?,
        },
    }
}

/// Passes a viewer's commands on, no faster than a person presses keys, and no more than the worker takes.
async fn hear(viewer: ViewerId, from: &mut (impl AsyncRead + Unpin), caller: &WeakCaller) -> io::Result<()> {
    let mut pace = Pace::new(KEYS_AT_ONCE, KEYS_A_SECOND);
    let mut image: Option<oneshot::Receiver<()>> = None;
    for n in 1u64.. {
        let command = wire::read_command(from).await?;
        sleep_until(pace.grant(Instant::now())).await;
        let is_image = matches!(command, Command::Input(Some(_)));
        // A drawing takes megabytes, so the next one waits until the worker has this one.
        if let Some(earlier) = image.take_if(|_| is_image) {
            let _ = earlier.await;
        }
        // The run is ending; its last events are still to come.
        let Some(caller) = caller.upgrade() else { return pending().await };
        caller.send(Call::Command(viewer, command));
        let is_full = n.is_multiple_of(COMMANDS);
        if !is_image && !is_full {
            continue;
        }
        let (taken, is_taken) = oneshot::channel();
        caller.send(Call::Taken(taken));
        // It must not keep the run from ending.
        drop(caller);
        if is_full {
            let _ = is_taken.await;
        } else {
            image = Some(is_taken);
        }
    }
    Ok(())
}

/// Sends a viewer the state of the run, then events and its snapshots.
async fn tell(
    viewer: ViewerId,
    to: &mut (impl AsyncWrite + Unpin),
    mut answers: mpsc::Receiver<Frame>,
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
    let (mut told, mut frames) = room.borrow().join()?;
    loop {
        for frame in told.drain(..) {
            timeout(STALL, wire::write(to, &frame)).await??;
        }
        let frame = tokio::select! {
            answer = answers.recv() => match answer {
                Some(answer) => answer,
                None => return Err(io::ErrorKind::TimedOut.into()),
            },
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
mod tests;
