//! Runs everything that may wait for a device, a data set or a disk on threads of its own. The screen's thread gets the
//! answers as messages and never waits.
//!
//! The threads are detached, so that leaving need not wait for them. [`Jobs::finish`] waits for what must not be
//! interrupted: files that are being written.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, mpsc as blocking};
use std::thread;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use super::message::{Message, NewFile};
use crate::error::{Error, Result, panic_message};
use crate::paths::shown;
use crate::protocol::{Backstage, Command, RunCard, RunHandle};
use crate::snapshot::Snapshot;

/// The outcome of a job.
pub enum Answer {
    /// Its result, for the state.
    Message(Message),
    /// It panicked with this message.
    Panicked(String),
}

/// Sends answers from any thread.
type Answers = mpsc::UnboundedSender<Answer>;
/// A job with everything it needs.
type BoxedJob = Box<dyn FnOnce() + Send>;

/// Starts jobs.
pub struct Jobs {
    backstage: Arc<dyn Backstage>,
    answers: Answers,
    /// The threads for jobs of which only the latest matters, by kind.
    latest: HashMap<&'static str, blocking::Sender<BoxedJob>>,
    /// One for each file being written; closed when it is done.
    exports: Vec<oneshot::Receiver<()>>,
    /// The last runs, which may still hold their directories and devices.
    ending: Vec<LastRun>,
}

/// The thread on which a run ends; dropping this waits for it.
pub struct LastRun(Option<thread::JoinHandle<()>>);

impl Drop for LastRun {
    fn drop(&mut self) {
        if let Some(thread) = self.0.take() {
            let _ = thread.join();
        }
    }
}

impl Jobs {
    /// An empty set of jobs, and the receiver of their answers.
    pub fn new(backstage: Arc<dyn Backstage>) -> (Jobs, mpsc::UnboundedReceiver<Answer>) {
        let (answers, told) = mpsc::unbounded_channel();
        (Jobs { backstage, answers, latest: HashMap::new(), exports: Vec::new(), ending: Vec::new() }, told)
    }

    /// Runs a job on a thread of its own.
    pub fn once(&mut self, job: impl FnOnce(&dyn Backstage) -> Message + Send + 'static) {
        let job = self.answered(job);
        self.spawn(job);
    }

    /// Runs a job, which replaces those of its kind that have not started yet.
    pub fn latest(
        &mut self,
        kind: &'static str,
        job: impl FnOnce(&dyn Backstage) -> Message + Send + 'static,
    ) {
        let job = self.answered(job);
        if self.latest.entry(kind).or_insert_with(|| thread_of(kind)).send(job).is_err() {
            self.latest.remove(kind);
            self.no_thread();
        }
    }

    /// Finds all runs, and reports each as soon as it is found.
    pub fn runs(&mut self) {
        let answers = self.answers.clone();
        self.once(move |backstage| {
            backstage.runs(&|run| {
                let _ = answers.send(Answer::Message(Message::Runs(vec![run])));
            });
            Message::AllRuns
        });
    }

    /// Reads those of the runs again that have changed, and reports each.
    pub fn runs_again(&mut self, known: Vec<RunCard>) {
        let answers = self.answers.clone();
        self.latest("runs", move |backstage| {
            Message::RunsGone(backstage.runs_again(&known, &|run| {
                let _ = answers.send(Answer::Message(Message::Runs(vec![run])));
            }))
        });
    }

    /// Ends a measurement in progress.
    pub fn hush(&self) {
        self.backstage.hush();
    }

    /// Continues the last run in the background, once it has ended here. It does so even if the user leaves meanwhile.
    pub fn detach(&mut self, run: PathBuf, device: String) {
        let (detaching, detached) = oneshot::channel::<()>();
        self.exports.push(detached);
        let (freed, is_freed) = blocking::channel::<()>();
        let ending = self.ending();
        self.once(move |backstage| {
            let _detaching = detaching;
            drop(ending);
            drop(freed);
            let done = backstage.detach(&run, &device).map_err(|error| error.to_string());
            Message::Detached(run, done)
        });
        // The next run waits for the end of this one, not for its new process.
        let wait = move || {
            let _ = is_freed.recv();
        };
        self.ending.push(LastRun(thread::Builder::new().name("end".into()).spawn(wait).ok()));
    }

    /// Writes a file. It is completed even if the user leaves meanwhile.
    pub fn export(
        &mut self,
        file: NewFile,
        write: impl FnOnce(&dyn Backstage, &PathBuf) -> Result<()> + Send + 'static,
    ) {
        let (writing, written) = oneshot::channel::<()>();
        self.exports.retain_mut(|export| export.try_recv() == Err(oneshot::error::TryRecvError::Empty));
        self.exports.push(written);
        self.once(move |backstage| {
            let _writing = writing;
            let file = file.free();
            Message::Told(match write(backstage, &file) {
                Ok(()) => format!("written: {}", shown(&file)),
                Err(error) => error.to_string(),
            })
        });
    }

    /// Ends a run. Its worker may take a while to free what it holds, so the next run waits for it, and the screen does
    /// not.
    pub fn end(&mut self, run: OnScreen) {
        let ended = thread::Builder::new().name("end".into()).spawn(move || drop(run));
        self.ending.push(LastRun(ended.ok()));
    }

    /// Starts a run, once the last one has ended. Commands can be sent to it at once.
    pub fn start(
        &mut self,
        start: impl FnOnce(&dyn Backstage) -> Result<RunHandle> + Send + 'static,
    ) -> OnScreen {
        let (started, run) = oneshot::channel();
        let backstage = self.backstage.clone();
        let ending = self.ending();
        // If the receiver is gone, the handle is dropped here, which saves and ends the run.
        self.spawn(Box::new(move || {
            drop(ending);
            drop(started.send(start(&*backstage)));
        }));
        OnScreen::Starting { run, commands: Vec::new() }
    }

    /// The last runs, while they may still hold their directories and devices; dropping them waits for their end.
    pub fn ending(&mut self) -> Vec<LastRun> {
        std::mem::take(&mut self.ending)
    }

    /// Waits for the files that are being written.
    pub async fn finish(&mut self) {
        for export in self.exports.drain(..) {
            let _ = export.await;
        }
    }

    /// The job, followed by sending its answer.
    fn answered(&self, job: impl FnOnce(&dyn Backstage) -> Message + Send + 'static) -> BoxedJob {
        let (backstage, answers) = (self.backstage.clone(), self.answers.clone());
        Box::new(move || {
            let answer = match catch_unwind(AssertUnwindSafe(|| job(&*backstage))) {
                Ok(message) => Answer::Message(message),
                Err(panic) => Answer::Panicked(panic_message(&*panic)),
            };
            // Nobody needs the answer after the user has left.
            let _ = answers.send(answer);
        })
    }

    fn spawn(&self, job: BoxedJob) {
        if thread::Builder::new().name("job".into()).spawn(job).is_err() {
            self.no_thread();
        }
    }

    fn no_thread(&self) {
        let sentence = "the system cannot start another thread; close another program and try again";
        let _ = self.answers.send(Answer::Message(Message::Told(sentence.into())));
    }
}

impl NewFile {
    /// Its path, with a number where the program's name for it is taken.
    fn free(self) -> PathBuf {
        // Also by a link that leads nowhere.
        let is_taken = |file: &PathBuf| file.symlink_metadata().is_ok();
        let file = match self {
            NewFile::Suggested(file) if is_taken(&file) => file,
            NewFile::Suggested(file) | NewFile::Typed(file) => return file,
        };
        let numbered = |n: u32| {
            let mut name = file.file_stem().unwrap_or_default().to_owned();
            name.push(format!("-{n}."));
            name.push(file.extension().unwrap_or_default());
            file.with_file_name(name)
        };
        (2..=u32::MAX).map(numbered).find(|file| !is_taken(file)).unwrap_or_else(|| file.clone())
    }
}

/// A thread that runs one job at a time, and skips all waiting jobs but the latest.
fn thread_of(kind: &str) -> blocking::Sender<BoxedJob> {
    let (jobs, waiting) = blocking::channel::<BoxedJob>();
    let work = move || {
        while let Ok(mut job) = waiting.recv() {
            while let Ok(newer) = waiting.try_recv() {
                job = newer;
            }
            job();
        }
    };
    // If the thread cannot start, the channel is closed, and the next send fails.
    let _ = thread::Builder::new().name(kind.into()).spawn(work);
    jobs
}

/// The run on the screen, or the one being started.
pub enum OnScreen {
    /// No run.
    Nothing,
    /// A run that is being started.
    Starting {
        /// The run, or the error.
        run: oneshot::Receiver<Result<RunHandle>>,
        /// Commands to send as soon as it has started.
        commands: Vec<Command>,
    },
    /// A started run.
    Run(RunHandle),
}

impl OnScreen {
    /// Sends a command to the run, now or as soon as it has started.
    pub fn send(&mut self, command: Command) {
        match self {
            OnScreen::Nothing => {}
            OnScreen::Starting { commands, .. } => commands.push(command),
            // A worker that has ended has already reported it.
            OnScreen::Run(handle) => handle.send(command),
        }
    }

    /// The next event or picture of the run. Without a run, waits forever.
    pub async fn news(&mut self) -> Message {
        loop {
            match self {
                OnScreen::Nothing => return std::future::pending().await,
                OnScreen::Starting { run, commands } => {
                    let started = run.await.unwrap_or_else(|_| {
                        Err(Error::Worker("the thread that was starting the run ended unexpectedly".into()))
                    });
                    let commands = std::mem::take(commands);
                    match started {
                        // Others steer it, so what was meant for the user's own run is not sent.
                        Ok(handle) if handle.is_attached() => {
                            *self = OnScreen::Run(handle);
                            return Message::Attached;
                        }
                        Ok(handle) => *self = OnScreen::Run(handle),
                        Err(error) => {
                            *self = OnScreen::Nothing;
                            return Message::StartFailed(error.to_string());
                        }
                    }
                    commands.into_iter().for_each(|command| self.send(command));
                }
                OnScreen::Run(RunHandle { events, snapshots, .. }) => {
                    return tokio::select! {
                        event = events.recv() => event.map_or(Message::RunGone, Message::Run),
                        picture = newest(snapshots) => Message::Picture(picture),
                    };
                }
            }
        }
    }

    /// Waits for a run that is being started, but not longer than `most`, so that it can be saved and ended.
    pub async fn arrived(&mut self, most: Duration) {
        if let OnScreen::Starting { run, .. } = self {
            *self = match tokio::time::timeout(most, run).await {
                Ok(Ok(Ok(handle))) => OnScreen::Run(handle),
                _ => OnScreen::Nothing,
            };
        }
    }
}

async fn newest(snapshots: &mut watch::Receiver<Option<Arc<Snapshot>>>) -> Arc<Snapshot> {
    while snapshots.changed().await.is_ok() {
        if let Some(picture) = snapshots.borrow_and_update().clone() {
            return picture;
        }
    }
    // No more snapshots will come; an event gives the reason.
    std::future::pending().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_typed_name_replaces_a_file() {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str| directory.path().join(name);
        let suggested = || NewFile::Suggested(file("s1-it3.png")).free();
        for free in ["s1-it3.png", "s1-it3-2.png", "s1-it3-3.png"] {
            assert_eq!(suggested(), file(free));
            std::fs::write(file(free), "").unwrap();
        }
        assert_eq!(NewFile::Typed(file("s1-it3.png")).free(), file("s1-it3.png"));
    }
}
