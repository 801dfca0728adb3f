//! The viewer's side: a handle of a run in another process.

use std::future::pending;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::UnixStream;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use super::STALL;
use super::address::{self, SOCKET};
use super::wire::{self, MOST_OF_RUN, MOST_OF_VIEWER, News, VERSION};
use crate::error::{Error, Result};
use crate::paths::{quoted, shown};
use crate::protocol::{Call, Caller, EVENT_CAPACITY, Event, Finish, RunHandle};
use crate::run::directory::RunFile;
use crate::run::lock::{self, Held};
use crate::snapshot::Snapshot;
use crate::stop::Stop;

/// Attaches to the training in the directory `run`. Its first event has the state of the run. Dropping the handle
/// disconnects; if the connection is lost, the last event is [`Finish::Failed`].
///
/// # Errors
/// A directory that is not a run, a run that no process trains or that cannot be reached from here, one of another
/// version of the program, and one that has enough viewers.
pub fn attach(run: &Path) -> Result<RunHandle> {
    RunFile::read(run)?;
    let path = run.join(SOCKET);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Error::Worker(format!("the event loop could not start: {e}")))?;
    let (stream, first) = runtime.block_on(async {
        let stream = address::connect(&path).and_then(UnixStream::from_std);
        let mut stream = stream.map_err(|e| unreachable(run, &lock::state(run), &e))?;
        let theirs = timeout(STALL, async {
            wire::write(&mut stream, &wire::hello()?).await?;
            wire::read_hello(&mut stream).await
        });
        let theirs = theirs.await.map_err(std::io::Error::from).flatten();
        let theirs = theirs.map_err(|e| {
            Error::content(
                &path,
                format!("the listener is not a nem-tui training ({e}); stop it, or wait until it ends"),
            )
        })?;
        if theirs != VERSION {
            return Err(Error::Failed(format!(
                "{} is trained by nem-tui {theirs}, and this is {VERSION}; attach with that version",
                shown(run)
            )));
        }
        match timeout(STALL, wire::read(&mut stream, MOST_OF_RUN)).await {
            Ok(Ok(News::Event(Event::Finished(Finish::Failed(refusal))))) => Err(Error::Failed(refusal)),
            // A lost connection is found again, and reported, by the bridge.
            first => Ok((stream, first.ok().and_then(io::Result::ok))),
        }
    })?;
    let (calls, calls_out) = mpsc::unbounded_channel();
    let (events_in, events) = mpsc::channel(EVENT_CAPACITY);
    let (pictures, snapshots) = watch::channel(None);
    let bridge = Bridge { run: run.to_owned(), events: events_in, pictures };
    let body = move || runtime.block_on(bridge.stand(stream, first, calls_out));
    let thread = std::thread::Builder::new().name("attached".into()).spawn(body);
    let thread = thread.map_err(|e| Error::Worker(format!("its thread could not be started: {e}")))?;
    Ok(RunHandle::attached(Caller::new(calls, Stop::default()), events, snapshots, thread))
}

/// Why nobody can attach to `run`, which is trained as `held` says: the connection failed with `e`.
fn unreachable(run: &Path, held: &Held, e: &io::Error) -> Error {
    let (run, no_socket) =
        (shown(&run), matches!(e.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused));
    Error::Failed(match held {
        Held::Free if no_socket => {
            format!("no training is running in {run}; resume it with `nem-tui train --resume {run}`")
        }
        Held::Free => format!("no training is running in {run}, and its socket cannot be reached: {e}"),
        Held::Elsewhere(holder) => {
            let host = &holder.host;
            format!("{run} is trained by {holder}; attach to it on {host}, with `nem-tui attach {run}` there")
        }
        Held::Here(holder) => format!(
            "{run} is trained by {holder}, but that cannot be attached to ({e}); if it is still so in a minute, see \
             {run}/log.txt for the reason, or end it with `kill {}`, which saves it",
            holder.pid
        ),
        Held::Unknown => format!(
            "{run} is trained by another process, perhaps on another host, and its socket cannot be reached from \
             here: {e}; attach on the host where it was started"
        ),
    })
}

/// From the socket to the handle's channels, and back.
struct Bridge {
    run: PathBuf,
    /// To the viewer. When it is full nothing more is read, and the run's side notices.
    events: mpsc::Sender<Event>,
    /// To the viewer: the newest snapshot.
    pictures: watch::Sender<Option<Arc<Snapshot>>>,
}

impl Bridge {
    /// Until the run is over, the connection is lost, or the handle is dropped, which closes `calls`. `first` was read
    /// already.
    async fn stand(
        self,
        stream: UnixStream,
        first: Option<News<Event, Snapshot>>,
        mut calls: mpsc::UnboundedReceiver<Call>,
    ) {
        let (mut from, mut to) = stream.into_split();
        let out = async {
            while let Some(call) = calls.recv().await {
                let Call::Command(_, command) = call else { continue };
                let frame = match wire::encode(&command, MOST_OF_VIEWER) {
                    Ok(frame) => frame,
                    Err(e) => {
                        let why = format!("it cannot be sent to the run: {e}");
                        let _ = self.events.send(Event::Refused { request: command, why }).await;
                        continue;
                    }
                };
                if wire::write(&mut to, &frame).await.is_err() {
                    // The run may have sent its last events; reading finds the end.
                    return pending().await;
                }
            }
        };
        let back = async {
            if let Some(news) = first
                && self.pass_on(news).await
            {
                return;
            }
            while let Ok(news) = wire::read(&mut from, MOST_OF_RUN).await {
                if self.pass_on(news).await {
                    return;
                }
            }
            let lost = format!(
                "the connection to {} was lost; if it is still training, attach again with `nem-tui attach {}`",
                shown(&self.run),
                quoted(&self.run)
            );
            let _ = self.events.send(Event::Finished(Finish::Failed(lost))).await;
        };
        tokio::select! {
            () = out => {}
            () = back => {}
        }
    }

    /// True if that was the last event.
    async fn pass_on(&self, news: News<Event, Snapshot>) -> bool {
        let mut event = match news {
            News::Picture(picture) => {
                self.pictures.send_replace(Some(Arc::new(picture)));
                return false;
            }
            News::Event(event) => event,
        };
        if let Event::Started(info) = &mut event {
            // The run's own path may be relative to another working directory.
            info.directory.clone_from(&self.run);
        }
        let last = matches!(event, Event::Finished(_));
        let _ = self.events.send(event).await;
        last
    }
}
