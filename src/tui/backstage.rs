//! The jobs of the rest of the program, each on a thread of its own: whatever may wait for a device, a data set or a
//! disk. The screen's thread gets the answers as messages, and never waits.
//!
//! The threads are detached, so that leaving need not wait for them; [`Jobs::finish`] waits for what must not be cut
//! off: files that are being written.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, mpsc as blocking};
use std::thread;

use tokio::sync::{mpsc, oneshot, watch};

use super::message::Message;
use crate::error::{Error, Result, panic_message};
use crate::protocol::{Backstage, Command, RunHandle};
use crate::snapshot::Snapshot;

/// What a job has to say.
pub enum Answer {
    /// What it found, for the state.
    Message(Message),
    /// It panicked, as the sentence says.
    Panicked(String),
}

/// Who to answer, from whatever thread.
type Answers = mpsc::UnboundedSender<Answer>;
type Job = Box<dyn FnOnce() + Send>;

/// Starts jobs.
pub struct Jobs {
    backstage: Arc<dyn Backstage>,
    answers: Answers,
    /// The threads for jobs of which only the latest counts, by their kind.
    latest: HashMap<&'static str, blocking::Sender<Job>>,
    /// Each is closed when its file is written.
    exports: Vec<oneshot::Receiver<()>>,
}

impl Jobs {
    /// No jobs yet, and where their answers will come from.
    pub fn new(backstage: Arc<dyn Backstage>) -> (Jobs, mpsc::UnboundedReceiver<Answer>) {
        let (answers, told) = mpsc::unbounded_channel();
        (Jobs { backstage, answers, latest: HashMap::new(), exports: Vec::new() }, told)
    }

    /// A job on a thread of its own.
    pub fn once(&mut self, job: impl FnOnce(&dyn Backstage) -> Message + Send + 'static) {
        let job = self.answered(job);
        self.spawn(job);
    }

    /// A job that replaces those of its kind that have not begun yet.
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

    /// Finds the runs there are, and tells of each as soon as it is found.
    pub fn runs(&mut self) {
        let answers = self.answers.clone();
        self.once(move |backstage| {
            backstage.runs(&|run| {
                let _ = answers.send(Answer::Message(Message::Runs(vec![run])));
            });
            Message::AllRuns
        });
    }

    /// Writes a file, which is finished even if the user leaves meanwhile.
    pub fn export(
        &mut self,
        file: PathBuf,
        write: impl FnOnce(&dyn Backstage, &PathBuf) -> Result<()> + Send + 'static,
    ) {
        let (writing, written) = oneshot::channel::<()>();
        self.exports.retain_mut(|export| export.try_recv() == Err(oneshot::error::TryRecvError::Empty));
        self.exports.push(written);
        self.once(move |backstage| {
            let _writing = writing;
            Message::Told(match write(backstage, &file) {
                Ok(()) => format!("written: {}", file.display()),
                Err(error) => error.to_string(),
            })
        });
    }

    /// Starts a run. It takes commands at once.
    pub fn start(
        &mut self,
        start: impl FnOnce(&dyn Backstage) -> Result<RunHandle> + Send + 'static,
    ) -> OnScreen {
        let (started, run) = oneshot::channel();
        let backstage = self.backstage.clone();
        // If nobody waits for it any more, the handle is dropped here, which saves the run and ends it.
        self.spawn(Box::new(move || drop(started.send(start(&*backstage)))));
        OnScreen::Starting { run, commands: Vec::new() }
    }

    /// Waits for the files that are being written.
    pub async fn finish(&mut self) {
        for export in self.exports.drain(..) {
            let _ = export.await;
        }
    }

    /// The job with its answer.
    fn answered(&self, job: impl FnOnce(&dyn Backstage) -> Message + Send + 'static) -> Job {
        let (backstage, answers) = (self.backstage.clone(), self.answers.clone());
        Box::new(move || {
            let answer = match catch_unwind(AssertUnwindSafe(|| job(&*backstage))) {
                Ok(message) => Answer::Message(message),
                Err(panic) => Answer::Panicked(panic_message(&*panic)),
            };
            // Who has left needs no answer.
            let _ = answers.send(answer);
        })
    }

    fn spawn(&self, job: Job) {
        if thread::Builder::new().name("job".into()).spawn(job).is_err() {
            self.no_thread();
        }
    }

    fn no_thread(&self) {
        let sentence = "the system gives no further thread; end another program and try again";
        let _ = self.answers.send(Answer::Message(Message::Told(sentence.into())));
    }
}

/// A thread that does one job after the other, and of those that have come meanwhile only the latest.
fn thread_of(kind: &str) -> blocking::Sender<Job> {
    let (jobs, waiting) = blocking::channel::<Job>();
    let work = move || {
        while let Ok(mut job) = waiting.recv() {
            while let Ok(newer) = waiting.try_recv() {
                job = newer;
            }
            job();
        }
    };
    // Without the thread the channel is closed, which whoever sends notices.
    let _ = thread::Builder::new().name(kind.into()).spawn(work);
    jobs
}

/// The run on the screen, or the one on its way there.
pub enum OnScreen {
    /// There is none.
    Nothing,
    /// It is being started.
    Starting {
        /// The run, or why there is none.
        run: oneshot::Receiver<Result<RunHandle>>,
        /// What it is to be told as soon as it is there.
        commands: Vec<Command>,
    },
    /// It is there.
    Run(RunHandle),
}

impl OnScreen {
    /// Tells the run, now or as soon as it is there.
    pub fn send(&mut self, command: Command) {
        match self {
            OnScreen::Nothing => {}
            OnScreen::Starting { commands, .. } => commands.push(command),
            // A worker that has ended has said so; there is nothing to add.
            OnScreen::Run(handle) => handle.send(command),
        }
    }

    /// What the run has to say or to show next. Without a run, waits for ever.
    pub async fn news(&mut self) -> Message {
        loop {
            match self {
                OnScreen::Nothing => return std::future::pending().await,
                OnScreen::Starting { run, commands } => {
                    let started = run.await.unwrap_or_else(|_| {
                        Err(Error::Worker("the thread that was to start it ended without a word".into()))
                    });
                    let commands = std::mem::take(commands);
                    match started {
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
                        event = events.recv() => event.map_or(Message::EngineGone, Message::Engine),
                        picture = newest(snapshots) => Message::Picture(picture),
                    };
                }
            }
        }
    }

    /// Waits for a run that is being started, so that it can be saved and ended. One that fails need not be.
    pub async fn arrived(&mut self) {
        if let OnScreen::Starting { run, .. } = self {
            *self = match run.await {
                Ok(Ok(handle)) => OnScreen::Run(handle),
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
    // No more will come; the events say why.
    std::future::pending().await
}
