//! How far a trial is, read from its run directory alone.

use std::path::Path;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::plan::Plan;
use crate::run::directory::RunFile;
use crate::run::lock::{self, Held};
use crate::run::metrics;
use crate::run::result::{self, Reason, RunResult};

/// A run whose lock another host may hold counts as running if it wrote something so recently: some file systems, such
/// as sshfs, do not show the locks of other hosts.
const RECENTLY: Duration = Duration::from_secs(15 * 60);
/// Directories that are read at the same time, which helps on file servers.
const AT_ONCE: usize = 8;

/// How far a trial is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Its training has not begun.
    Waiting,
    /// A process trains it.
    Running,
    /// It was stopped or killed, and will be resumed.
    Unfinished,
    /// Its training failed.
    Failed,
    /// It has ended.
    Done,
}

impl State {
    /// All, in the order of tables.
    pub const ALL: [State; 5] =
        [State::Done, State::Running, State::Unfinished, State::Failed, State::Waiting];

    /// Its name.
    pub fn name(&self) -> &'static str {
        match self {
            State::Waiting => "waiting",
            State::Running => "running",
            State::Unfinished => "unfinished",
            State::Failed => "failed",
            State::Done => "done",
        }
    }
}

/// A trial's state, and what is known about it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TrialState {
    /// How far it is.
    pub state: State,
    /// Iterations done.
    pub iterations: u64,
    /// Who trains it, or why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Its result, once it has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<RunResult>,
}

impl TrialState {
    fn new(state: State, iterations: u64, why: Option<String>) -> TrialState {
        TrialState { state, iterations, why, result: None }
    }

    /// That of the trial whose run is in `run`, and which ends after so many iterations, if its protocol does not end it
    /// sooner.
    pub fn of(run: &Path, max_iterations: Option<u64>) -> TrialState {
        let holder = holder(run);
        if RunFile::read(run).is_err() && !run.join("run.json").exists() {
            let state = if holder.is_some() { State::Running } else { State::Waiting };
            return TrialState::new(state, 0, holder);
        }
        let done = metrics::last_iteration(run);
        if holder.is_some() {
            return TrialState::new(State::Running, done, holder);
        }
        let failed = |why: String| TrialState::new(State::Failed, done, Some(why));
        let result = match RunResult::read(run) {
            Err(e) => return failed(e.to_string()),
            Ok(Some(result)) => Some(result),
            Ok(None) => match result::of_ended(run) {
                Err(e) => return failed(e.to_string()),
                Ok(result) => result,
            },
        };
        let iterations = result.as_ref().map_or(done, |result| result.iterations);
        let is_enough = max_iterations.is_some_and(|most| iterations >= most);
        match result {
            Some(result) if result.reason == Reason::Failed => {
                failed(result.error.unwrap_or_else(|| "its training failed".into()))
            }
            Some(result) if result.reason.is_end_of_protocol() || is_enough => {
                TrialState { state: State::Done, iterations, why: None, result: Some(result) }
            }
            Some(_) => TrialState::new(State::Unfinished, iterations, None),
            None => match metrics::latest(run).failure {
                Some(failure) => failed(failure.why),
                None => TrialState::new(State::Unfinished, iterations, None),
            },
        }
    }
}

/// Who trains the run, in words.
fn holder(run: &Path) -> Option<String> {
    match lock::state(run) {
        Held::Here(holder) | Held::Elsewhere(holder) => Some(holder.to_string()),
        Held::Unknown => Some("a process that cannot be named".into()),
        Held::Free => {
            let holder = lock::last_holder(run).filter(|holder| holder.host != crate::machine::host())?;
            let written =
                std::fs::metadata(run.join("metrics.jsonl")).and_then(|file| file.modified()).ok()?;
            let age = SystemTime::now().duration_since(written).unwrap_or_default();
            (age < RECENTLY).then(|| holder.to_string())
        }
    }
}

/// The states of all trials, in their order.
pub fn all(plan: &Plan) -> Vec<TrialState> {
    let part = plan.trials.len().div_ceil(AT_ONCE).max(1);
    let of = |trials: &[super::trials::Trial]| -> Vec<TrialState> {
        trials.iter().map(|trial| TrialState::of(&plan.run(trial), trial.max_iterations)).collect()
    };
    std::thread::scope(|scope| {
        let parts: Vec<_> =
            plan.trials.chunks(part).map(|trials| (trials, scope.spawn(move || of(trials)))).collect();
        // A thread that panicked is a bug; its part is read again here.
        parts.into_iter().flat_map(|(trials, part)| part.join().unwrap_or_else(|_| of(trials))).collect()
    })
}
