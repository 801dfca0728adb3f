//! Trains trials on this machine: so many at once, each in a process of its own.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

use serde_json::Value;

use super::plan::Plan;
use super::state::{State, TrialState};
use super::trials::Trial;
use crate::error::{Error, Result, TO_BE_CONTINUED};
use crate::signals::{Listener, Request};

/// How trials share this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// Trials at once.
    pub jobs: usize,
    /// Threads of each.
    pub threads: usize,
    /// GPUs, as `CUDA_VISIBLE_DEVICES` names them, shared out among the trials; none if there is nothing to share.
    pub gpus: Vec<String>,
}

impl Share {
    /// The environment of the trial in this slot, counted from 0. What the user has set stays, except for the GPU.
    fn environment(&self, slot: usize, is_set: impl Fn(&str) -> bool) -> Vec<(&'static str, String)> {
        let threads = ["OMP_NUM_THREADS", "RAYON_NUM_THREADS"].into_iter().filter(|name| !is_set(name));
        let mut environment: Vec<_> = threads.map(|name| (name, self.threads.to_string())).collect();
        if let Some(gpu) = self.gpus.get(slot % self.gpus.len().max(1)) {
            environment.push(("CUDA_VISIBLE_DEVICES", gpu.clone()));
        }
        environment
    }
}

/// How trials are trained.
pub struct Local<'a> {
    /// Their sweep.
    pub plan: &'a Plan,
    /// Those to train, in their order. Those that have ended are passed over.
    pub trials: Vec<Trial>,
    /// How they share this machine.
    pub share: Share,
    /// More arguments of `train`.
    pub arguments: Vec<String>,
    /// How often a failed trial is tried again.
    pub retries: u32,
    /// Whether a request to save also ends the work, so that it can be requeued.
    pub ends_on_save: bool,
}

/// How a trial came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It has ended.
    Done,
    /// It was stopped, and can be resumed.
    Stopped,
    /// It failed, and is tried again.
    Retried(String),
    /// It failed.
    Failed(String),
    /// Another process trains it.
    Elsewhere(String),
}

/// What a trial in training reports.
#[derive(Clone, Debug, PartialEq)]
pub enum Report {
    /// It goes on from this iteration.
    Started(u64),
    /// An iteration with its loss.
    Step(u64, f64),
    /// A validation: its loss, and AMI.
    Epoch(f64, Option<f64>),
    /// A sentence for the user, for example that it waits for a full disk.
    Note(String),
}

/// Shows the progress of the work.
pub trait Watch {
    /// A trial's training begins in a slot, counted from 0.
    fn begins(&mut self, slot: usize, trial: &Trial);
    /// The trial in a slot reports.
    fn reports(&mut self, slot: usize, report: Report);
    /// The training in a slot ended; without a slot, it was not necessary.
    fn ends(&mut self, slot: Option<usize>, trial: &Trial, outcome: &Outcome);
}

/// What came of the trials.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Trials that have ended.
    pub done: usize,
    /// Trials that are to be continued.
    pub unfinished: usize,
    /// Trials that other processes train.
    pub elsewhere: usize,
    /// Trials that failed, and why.
    pub failed: Vec<(String, String)>,
    /// Whether a request to save has ended the work.
    pub asked_to_save: bool,
}

enum Message {
    Report(usize, Report),
    /// A trial's output ended.
    Ended(usize),
    Asked(Request),
}

/// A trial in training.
struct Running {
    trial: Trial,
    tries: u32,
    child: Child,
    /// Gives the last line of stderr.
    said: JoinHandle<String>,
    /// What the last line of stdout says about a failure.
    told: JoinHandle<Option<String>>,
}

impl Local<'_> {
    /// Trains the trials. A failed one does not stop the others. A request to end saves and ends all of them.
    ///
    /// # Errors
    /// A program that cannot be started.
    pub fn run(&self, watch: &mut dyn Watch) -> Result<Summary> {
        let (messages, received) = channel();
        let asked = messages.clone();
        let _listener = Listener::new(move |request| asked.send(Message::Asked(request)).unwrap_or(()));
        let mut work = Work {
            local: self,
            due: self.trials.iter().map(|trial| (trial.clone(), 0)).collect(),
            slots: (0..self.share.jobs.max(1)).map(|_| None).collect(),
            summary: Summary::default(),
            stopping: false,
            messages,
        };
        let done = work.run(&received, watch);
        // A start that failed leaves the others to save and end.
        if done.is_err() {
            work.end_all();
            work.due.clear();
            while work.slots.iter().any(Option::is_some) {
                if let Ok(Message::Ended(slot)) = received.recv() {
                    work.end(slot, watch);
                }
            }
        }
        done.map(|()| work.summary)
    }
}

struct Work<'a> {
    local: &'a Local<'a>,
    /// Trials to train, and how often each was tried.
    due: VecDeque<(Trial, u32)>,
    slots: Vec<Option<Running>>,
    summary: Summary,
    stopping: bool,
    messages: Sender<Message>,
}

impl Work<'_> {
    fn run(&mut self, received: &Receiver<Message>, watch: &mut dyn Watch) -> Result<()> {
        loop {
            while let Some(slot) = self.slots.iter().position(Option::is_none)
                && let Some((trial, tries)) = self.due.pop_front()
            {
                if self.stopping {
                    self.summary.unfinished += 1;
                } else if !self.is_settled(&trial, watch) {
                    self.slots[slot] = Some(self.begin(slot, trial.clone(), tries)?);
                    watch.begins(slot, &trial);
                }
            }
            if self.slots.iter().all(Option::is_none) {
                return Ok(());
            }
            // There is always a sender: this value's.
            match received.recv() {
                Ok(Message::Report(slot, report)) => watch.reports(slot, report),
                Ok(Message::Ended(slot)) => self.end(slot, watch),
                Ok(Message::Asked(request)) => self.heed(request),
                Err(_) => return Err(Error::Worker("the trials' reports ended".into())),
            }
        }
    }

    /// Whether there is nothing to do for a trial now.
    fn is_settled(&mut self, trial: &Trial, watch: &mut dyn Watch) -> bool {
        let TrialState { state, why, .. } = TrialState::of(&self.local.plan.run(trial), trial.max_iterations);
        let outcome = match state {
            State::Done => Outcome::Done,
            State::Running => Outcome::Elsewhere(why.unwrap_or_default()),
            State::Waiting | State::Unfinished | State::Failed => return false,
        };
        self.settle(None, trial, outcome, watch);
        true
    }

    fn settle(&mut self, slot: Option<usize>, trial: &Trial, outcome: Outcome, watch: &mut dyn Watch) {
        watch.ends(slot, trial, &outcome);
        match outcome {
            Outcome::Done => self.summary.done += 1,
            Outcome::Stopped => self.summary.unfinished += 1,
            Outcome::Elsewhere(_) => self.summary.elsewhere += 1,
            Outcome::Failed(why) => self.summary.failed.push((trial.run.clone(), why)),
            Outcome::Retried(_) => {}
        }
    }

    fn begin(&self, slot: usize, trial: Trial, tries: u32) -> Result<Running> {
        let failed = |e: std::io::Error| Error::Failed(format!("this program cannot be started again: {e}"));
        let mut command = Command::new(std::env::current_exe().map_err(failed)?);
        command.args(self.local.plan.arguments(&trial)).arg("--json").args(&self.local.arguments);
        command.envs(self.local.share.environment(slot, |name| std::env::var_os(name).is_some()));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(failed)?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let said = thread::spawn(move || stderr.map_or(String::new(), last_line));
        let messages = self.messages.clone();
        let told = thread::spawn(move || {
            let told = stdout.and_then(|stdout| pass(slot, stdout, &messages));
            let _ = messages.send(Message::Ended(slot));
            told
        });
        Ok(Running { trial, tries, child, said, told })
    }

    /// Takes note of the end of the trial in a slot.
    fn end(&mut self, slot: usize, watch: &mut dyn Watch) {
        let Some(mut running) = self.slots[slot].take() else { return };
        let status = running.child.wait();
        let said = running.said.join().unwrap_or_default();
        let told = running.told.join().ok().flatten();
        let (trial, tries) = (running.trial, running.tries);
        let outcome = match status {
            Ok(status) if status.success() => Outcome::Done,
            Ok(status) if status.code() == Some(TO_BE_CONTINUED.into()) => Outcome::Stopped,
            Err(e) => Outcome::Failed(format!("its process cannot be waited for: {e}")),
            // It was begun before its listener was there, or would not wait.
            Ok(status) if self.stopping && status.code().is_none() => Outcome::Stopped,
            Ok(status) => {
                let now = TrialState::of(&self.local.plan.run(&trial), trial.max_iterations);
                let why = told.unwrap_or_else(|| explained(status, &said));
                match now.state {
                    State::Running => Outcome::Elsewhere(now.why.unwrap_or_default()),
                    // Usage errors stay.
                    _ if status.code() == Some(2) || tries >= self.local.retries || self.stopping => {
                        Outcome::Failed(why)
                    }
                    _ => Outcome::Retried(why),
                }
            }
        };
        if matches!(outcome, Outcome::Retried(_)) {
            self.due.push_front((trial.clone(), tries + 1));
        }
        self.settle(Some(slot), &trial, outcome, watch);
    }

    fn heed(&mut self, request: Request) {
        match request {
            Request::Save if !self.local.ends_on_save => self.signal(Signal::Save),
            Request::Suspend | Request::Continued => {}
            Request::Save | Request::End => {
                self.summary.asked_to_save |= request == Request::Save;
                self.end_all();
            }
        }
    }

    fn end_all(&mut self) {
        self.stopping = true;
        self.signal(Signal::End);
    }

    fn signal(&mut self, signal: Signal) {
        self.slots.iter_mut().flatten().for_each(|running| send(&mut running.child, signal));
    }
}

#[derive(Clone, Copy)]
enum Signal {
    End,
    Save,
}

#[cfg(unix)]
fn send(child: &mut Child, signal: Signal) {
    use rustix::process::{Pid, Signal as System, kill_process};
    let signal = match signal {
        // The terminal or Slurm may have asked it already; another SIGTERM would end it at once, and this does not.
        Signal::End => System::XCPU,
        Signal::Save => System::USR1,
    };
    let _ = kill_process(Pid::from_child(child), signal);
}

#[cfg(not(unix))]
fn send(child: &mut Child, signal: Signal) {
    if matches!(signal, Signal::End) {
        let _ = child.kill();
    }
}

/// Passes on what the trial in a slot reports, until it ends; why it failed, if its last line says so.
fn pass(slot: usize, stdout: ChildStdout, messages: &Sender<Message>) -> Option<String> {
    let mut failure = None;
    for line in BufReader::new(stdout).lines().map_while(Result::ok) {
        let Ok(line) = serde_json::from_str::<Value>(&line) else { continue };
        let iteration = || line["iteration"].as_u64();
        let report = match line["kind"].as_str() {
            Some("started") => iteration().map(Report::Started),
            Some("step") => iteration().map(|i| Report::Step(i, line["loss"].as_f64().unwrap_or(f64::NAN))),
            Some("epoch") => {
                let loss = line["validation_loss"].as_f64().unwrap_or(f64::NAN);
                Some(Report::Epoch(loss, line["ami"].as_f64()))
            }
            Some("note") => line["note"].as_str().map(|note| Report::Note(note.to_owned())),
            Some("finished") => {
                failure = line["error"].as_str().map(str::to_owned);
                None
            }
            _ => None,
        };
        if let Some(report) = report {
            let _ = messages.send(Message::Report(slot, report));
        }
    }
    failure
}

/// The last line of `text` that says something.
fn last_line(text: impl Read) -> String {
    let mut last = String::new();
    for line in BufReader::new(text).split(b'\n').map_while(Result::ok) {
        if !line.trim_ascii().is_empty() {
            last = String::from_utf8_lossy(line.trim_ascii()).into_owned();
        }
    }
    last
}

/// Why a process ended, in words.
fn explained(status: ExitStatus, said: &str) -> String {
    match said.strip_prefix("nem-tui: ").unwrap_or(said) {
        "" => format!("its process ended with {status}"),
        said if status.code().is_none() => format!("its process ended with {status}; it said last: {said}"),
        said => said.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_trial_gets_its_own_gpu_and_its_threads() {
        let share = Share { jobs: 4, threads: 3, gpus: vec!["0".into(), "GPU-7".into()] };
        let of = |slot| share.environment(slot, |name| name == "OMP_NUM_THREADS");
        let threads = ("RAYON_NUM_THREADS", "3".to_owned());
        for (slot, gpu) in [(0, "0"), (1, "GPU-7"), (2, "0"), (3, "GPU-7")] {
            assert_eq!(of(slot), [threads.clone(), ("CUDA_VISIBLE_DEVICES", gpu.to_owned())]);
        }
        let without = Share { jobs: 1, threads: 2, gpus: vec![] };
        assert_eq!(without.environment(0, |_| false).len(), 2);
        assert_eq!(without.environment(0, |_| true).len(), 0);
    }
}
