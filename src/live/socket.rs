//! Viewers of a run in other processes, over a Unix socket in its directory.
//!
//! ```text
//!   worker ──▶ Event (unbounded) ──▶ the viewers' thread ──▶ frames (broadcast) ──▶ a viewer
//!     │                                   │ keeps the run as it stands                │
//!     │                                   └────▶ to who joins, or could not keep up ──▶
//!     ├──▶ Snapshot (newest wins) ────────────────────────────────────────────────────▶
//!     ◀────────────────────────────── Command ◀────────────────────────────────────────
//! ```
//!
//! The worker never waits: what it says goes into a channel without a bound, and a thread that does nothing
//! else takes it out. There a viewer that reads too slowly misses events; instead of what it missed it is told
//! anew how the run stands, so that no queue grows. One that reads nothing at all for half a minute is given up.
//!
//! All viewers are equal, and equal to the user who started the run: whoever sends a command sends it for
//! all. So what one asks to watch all see, and the newest wish wins. That a viewer comes or goes changes
//! nothing but whether pictures are taken, and pictures change no weight.

mod attached;
mod wire;

use std::cell::RefCell;
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
use crate::protocol::{Command, Event, Record, RunInfo};
use crate::snapshot::Snapshot;

/// The socket's name in the run's directory.
const SOCKET: &str = "socket";
/// Frames that a viewer may lag behind.
const BACKLOG: usize = 1024;
/// A viewer that takes nothing for so long, or does not say its hello, is given up.
const STALL: Duration = Duration::from_secs(30);
/// A run that is over waits so long at most for viewers to read that it is.
const FAREWELL: Duration = Duration::from_secs(1);
/// The longest path of a socket in bytes, everywhere: 104 with the zero at its end where it is shortest.
const LONGEST: usize = 103;

type Pictures = watch::Sender<Option<Arc<Snapshot>>>;
/// What is written to a viewer in one piece.
type Frame = Arc<[u8]>;

/// The run's side: listens from its making until it is dropped.
pub(crate) struct Viewers {
    /// To the viewers' thread, which ends when this is closed.
    news: Option<mpsc::UnboundedSender<Event>>,
    thread: Option<JoinHandle<()>>,
    socket: PathBuf,
}

impl Viewers {
    /// Listens in the directory of the run `info`, which nobody else trains. A socket that a dead run has
    /// left there is replaced. Commands go to `commands`; `pictures` is where the worker puts its own.
    ///
    /// # Errors
    /// A file system that holds no sockets, for one. The run can do without.
    pub(crate) fn listen(
        info: RunInfo,
        commands: mpsc::WeakUnboundedSender<Command>,
        pictures: Pictures,
    ) -> Result<Viewers> {
        let socket = info.directory.join(SOCKET);
        let failed = |e| Error::io("listen for viewers at", &socket)(e);
        let listener = bind(&info.directory, &socket).map_err(failed)?;
        let (news, incoming) = mpsc::unbounded_channel();
        let body = move || -> io::Result<()> {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let room = RefCell::new(Room { now: Now::new(info), frames: None });
                serve(UnixListener::from_std(listener)?, incoming, &room, &commands, &pictures).await
            })
        };
        // Were it to fail, the run would go on without viewers.
        let body = move || drop(body());
        let thread = std::thread::Builder::new().name("viewers".into()).spawn(body).map_err(failed)?;
        Ok(Viewers { news: Some(news), thread: Some(thread), socket })
    }

    /// Tells all viewers, those to come too. Never waits.
    pub(crate) fn tell(&self, event: &Event) {
        if let Some(news) = &self.news {
            let _ = news.send(event.clone());
        }
    }
}

impl Drop for Viewers {
    fn drop(&mut self) {
        // Nobody is to find what is about to close.
        let _ = std::fs::remove_file(&self.socket);
        self.news = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Binds a socket that nobody but its owner ever has access to, and puts it in its place in one step.
fn bind(run: &Path, socket: &Path) -> io::Result<StdListener> {
    let aside = tempfile::Builder::new().prefix(".socket-").tempdir_in(run)?;
    let path = aside.path().join(SOCKET);
    let listener = by_short_name(&path, |path| StdListener::bind(path))?;
    std::fs::set_permissions(&path, Permissions::from_mode(0o600))?;
    std::fs::rename(&path, socket)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Does what takes a socket's path, which may not be long, to the socket at `path`, which may.
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

/// How a run stands.
struct Now {
    /// Its preset and floor are those in force, its metrics go up to now.
    info: RunInfo,
    /// What else a viewer who joins must know, each the newest of its kind.
    paused: Option<Event>,
    watched: Option<Event>,
    scores: Option<Event>,
    saved: Option<Event>,
    end: Option<Event>,
}

impl Now {
    fn new(info: RunInfo) -> Now {
        Now { info, paused: None, watched: None, scores: None, saved: None, end: None }
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
            // For whoever asked, who is there.
            Event::Refused(_) | Event::WrongSize { .. } => {}
            Event::Paused(_) => self.paused = Some(event),
            Event::Watched(_) => self.watched = Some(event),
            Event::WatchedScores(_) => self.scores = Some(event),
            Event::Saved { .. } => self.saved = Some(event),
            Event::Done(_) | Event::Finished(_) => self.end = Some(event),
        }
    }

    /// What a viewer who joins is told, in frames.
    fn told(&self) -> io::Result<Vec<Frame>> {
        let started = Event::Started(Box::new(self.info.clone()));
        let rest = [&self.paused, &self.watched, &self.scores, &self.saved, &self.end];
        std::iter::once(&started).chain(rest.into_iter().flatten()).map(frame).collect()
    }
}

/// What all viewers share. Nothing is awaited while it is borrowed, so that how the run stands and what is
/// told of it never part.
struct Room {
    now: Now,
    /// To every viewer; `None` once the run is over.
    frames: Option<broadcast::Sender<Frame>>,
}

impl Room {
    /// What a viewer is told first, and where the rest will come from.
    fn join(&self) -> io::Result<(Vec<Frame>, broadcast::Receiver<Frame>)> {
        // Of a run that is over there is no rest.
        let frames =
            self.frames.as_ref().map_or_else(|| broadcast::channel(1).1, |frames| frames.subscribe());
        Ok((self.now.told()?, frames))
    }
}

fn frame(event: &Event) -> io::Result<Frame> {
    wire::encode(&News::<&Event, &Snapshot>::Event(event), MOST_OF_RUN).map(Frame::from)
}

/// Lets viewers in, and passes on what the worker says until it says no more.
async fn serve(
    listener: UnixListener,
    mut news: mpsc::UnboundedReceiver<Event>,
    room: &RefCell<Room>,
    commands: &mpsc::WeakUnboundedSender<Command>,
    pictures: &Pictures,
) -> io::Result<()> {
    let frames = broadcast::channel(BACKLOG).0;
    room.borrow_mut().frames = Some(frames.clone());
    let mut viewers = FuturesUnordered::new();
    loop {
        tokio::select! {
            // Whoever comes is told all that was said before.
            biased;
            event = news.recv() => {
                let Some(event) = event else { break };
                room.borrow_mut().now.take_in(&event);
                if frames.receiver_count() > 0 {
                    let _ = frames.send(frame(&event)?);
                }
            }
            stream = accept(&listener) => viewers.push(talk(stream, room, commands, pictures)),
            // One that is gone, for whatever reason, is gone.
            Some(_) = viewers.next() => {}
        }
    }
    // Every viewer reads what is left, and then that there is no more.
    drop(frames);
    room.borrow_mut().frames = None;
    let _ = timeout(FAREWELL, viewers.count()).await;
    Ok(())
}

async fn accept(listener: &UnixListener) -> UnixStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            // Too many open files, for one; that passes.
            Err(_) => sleep(Duration::from_millis(200)).await,
        }
    }
}

/// One viewer, until it leaves, stalls or the run is over.
async fn talk(
    stream: UnixStream,
    room: &RefCell<Room>,
    commands: &mpsc::WeakUnboundedSender<Command>,
    pictures: &Pictures,
) -> io::Result<()> {
    let (mut from, mut to) = stream.into_split();
    wire::write(&mut to, &wire::hello()?).await?;
    if timeout(STALL, wire::read_hello(&mut from)).await?? != VERSION {
        // Our hello tells it.
        return Ok(());
    }
    let heard = hear(&mut from, commands);
    tokio::pin!(heard);
    tokio::select! {
        heard = &mut heard => heard,
        told = tell(&mut to, room, commands, pictures) => match told {
            Ok(()) => Ok(()),
            // What it said before it left counts.
            Err(_) => timeout(FAREWELL, heard).await?,
        },
    }
}

/// Passes a viewer's commands on.
async fn hear(
    from: &mut (impl AsyncRead + Unpin),
    commands: &mpsc::WeakUnboundedSender<Command>,
) -> io::Result<()> {
    loop {
        let command = wire::read(from, MOST_OF_VIEWER).await?;
        match commands.upgrade() {
            Some(commands) => drop(commands.send(command)),
            // The run is being left; there are last words to come.
            None => pending().await,
        }
    }
}

/// Tells a viewer how the run stands, and then what happens.
async fn tell(
    to: &mut (impl AsyncWrite + Unpin),
    room: &RefCell<Room>,
    commands: &mpsc::WeakUnboundedSender<Command>,
    pictures: &Pictures,
) -> io::Result<()> {
    let mut pictures = pictures.subscribe();
    // What another viewer was shown last will do until the next picture is there.
    pictures.mark_changed();
    if let Some(commands) = commands.upgrade() {
        let _ = commands.send(Command::Show);
    }
    let (mut told, mut frames) = room.borrow().join()?;
    loop {
        for frame in told.drain(..) {
            timeout(STALL, wire::write(to, &frame)).await??;
        }
        let frame = tokio::select! {
            frame = frames.recv() => match frame {
                Ok(frame) => frame,
                Err(broadcast::error::RecvError::Lagged(_)) => {
                    (told, frames) = room.borrow().join()?;
                    continue;
                }
                Err(broadcast::error::RecvError::Closed) => return Ok(()),
            },
            Ok(()) = pictures.changed() => {
                let picture = pictures.borrow_and_update().clone();
                let Some(picture) = picture else { continue };
                let frame = wire::encode(&News::<&Event, &Snapshot>::Picture(&picture), MOST_OF_RUN);
                // A picture too large to be sent is one that is not seen.
                let Ok(frame) = frame else { continue };
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
    use crate::protocol::{Change, Finish, Floor, Iteration, Metrics};

    fn info(directory: &Path) -> RunInfo {
        RunInfo {
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
        let floor = Floor { ami: 0.4, ari: 0.3 };
        for event in [
            Event::Iterations(vec![iteration(1), iteration(2)]),
            Event::Paused(true),
            Event::Paused(false),
            Event::Changed(change),
            Event::Floor(floor),
            Event::Refused("no".into()),
            Event::Saved { iteration: 2, best: true },
            Event::Watched(9),
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
        let rest = [
            Event::Paused(false),
            Event::Watched(9),
            Event::Saved { iteration: 2, best: true },
            Event::Done(Finish::Stopped),
        ];
        assert_eq!(told[1..], rest);
    }

    /// A viewer that says hello and then reads nothing: the worker talks on, far beyond what any buffer
    /// holds, and does not wait; another viewer hears it all; and when the first reads again, it is told anew.
    #[test]
    fn a_viewer_that_does_not_read_holds_nobody_up_and_is_told_anew() {
        let directory = tempfile::tempdir().unwrap();
        let (commands, _commands) = mpsc::unbounded_channel();
        let pictures = watch::channel(None).0;
        let viewers = Viewers::listen(info(directory.path()), commands.downgrade(), pictures).unwrap();
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
        for n in 0..sentences {
            viewers.tell(&Event::Refused(format!("{n} {}", ".".repeat(10_000))));
            viewers.tell(&Event::Watched(n));
        }
        runtime.block_on(async {
            // It may have to be told anew, too; but it hears the end.
            loop {
                if next(&mut other).await == Event::Watched(sentences - 1) {
                    break;
                }
            }
            let mut anew = 0;
            loop {
                match next(&mut slow).await {
                    Event::Started(_) => anew += 1,
                    Event::Watched(n) if n == sentences - 1 => break,
                    _ => {}
                }
            }
            assert!(anew >= 1, "it has heard everything, so this shows nothing");
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
