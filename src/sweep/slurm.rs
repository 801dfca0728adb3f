//! Submits a sweep to Slurm as an array of jobs. Each job is this program again, which trains some trials of the sweep;
//! Slurm decides when and where.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde::{Deserialize, Serialize};

use super::plan::Plan;
use super::spec::Slurm;
use super::state::{self, State, TrialState};
use super::trials::{Trial, counted};
use crate::error::{Error, Result};
use crate::files::write_durable;
use crate::paths::{quoted, shown};

/// The directory of scripts and output in that of the sweep.
const DIRECTORY: &str = "slurm";
/// The file with the numbers of the jobs.
const JOBS: &str = "jobs.jsonl";
/// Slurm's default limit on the size of arrays, where it does not say.
const USUAL_ARRAY: usize = 1001;
/// The states of jobs that do not run again.
const ENDED: [&str; 10] = [
    "BOOT_FAIL",
    "CANCELLED",
    "COMPLETED",
    "DEADLINE",
    "FAILED",
    "NODE_FAIL",
    "OUT_OF_MEMORY",
    "PREEMPTED",
    "REVOKED",
    "TIMEOUT",
];
/// Trials that are named in a script at most, so that it stays within Slurm's limit on scripts (4 MiB).
const MOST_TASKS: usize = 100_000;

/// An array of jobs that was submitted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Array {
    /// The number that Slurm gave it.
    pub job: u64,
    /// The trials of each task, as `--trials` takes them.
    pub tasks: Vec<String>,
}

/// How a sweep is submitted.
pub struct Submission<'a> {
    /// The sweep.
    pub plan: &'a Plan,
    /// What Slurm is asked for.
    pub slurm: &'a Slurm,
    /// More arguments of `sweep run`.
    pub arguments: Vec<String>,
}

impl Submission<'_> {
    /// The scripts that train `trials`, each with the trials of its tasks.
    ///
    /// # Errors
    /// A directory that was removed.
    pub fn scripts(&self, trials: &[Trial], largest_array: usize) -> Result<Vec<(String, Vec<String>)>> {
        let tasks = tasks(trials, self.slurm.per_job as usize);
        let here = std::env::current_dir().map_err(Error::io("find", Path::new(".")))?;
        let directory = absolute(&self.plan.directory)?;
        let own = std::env::current_exe().map_err(Error::io("find", Path::new("nem-tui")))?;
        let program = self.slurm.program.clone().unwrap_or_else(|| quoted(&own));
        let script = |tasks: &[String]| {
            let text = self.script(tasks, &here, &directory, &program);
            (text, tasks.to_vec())
        };
        Ok(tasks.chunks(largest_array.clamp(1, MOST_TASKS)).map(script).collect())
    }

    fn script(&self, tasks: &[String], here: &Path, directory: &Path, program: &str) -> String {
        let Slurm { time, partition, account, gres, cpus, memory, parallel, grace, modules, lines, .. } =
            self.slurm;
        let mut text = "#!/bin/bash\n".to_owned();
        let mut option = |name: &str, value: String| {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "#SBATCH --{name}={value}");
        };
        let name = directory.file_name().unwrap_or_default();
        option("job-name", in_line(Path::new(name)));
        let most = parallel.map_or(String::new(), |most| format!("%{most}"));
        option("array", format!("0-{}{most}", tasks.len() - 1));
        let cpus = cpus.map(|cpus| cpus.to_string());
        for (name, value) in [
            ("time", time),
            ("partition", partition),
            ("account", account),
            ("gres", gres),
            ("cpus-per-task", &cpus),
            ("mem", memory),
        ] {
            if let Some(value) = value {
                option(name, value.clone());
            }
        }
        option("signal", format!("B:USR1@{grace}"));
        option("chdir", in_line(here));
        // Slurm reads % as the beginning of a pattern.
        let output = directory.join(DIRECTORY).to_string_lossy().replace('%', "%%");
        option("output", in_line(&Path::new(&output).join("%A_%a.log")));
        text += "#SBATCH --requeue\n#SBATCH --open-mode=append\n";
        let (options, others): (Vec<_>, Vec<_>) = lines.iter().partition(|line| line.starts_with("#SBATCH"));
        options.iter().for_each(|line| text += &format!("{line}\n"));
        let _ = writeln!(text, "\n# The trials of each task.\ntrials=({})\n", tasks.join(" "));
        modules.iter().for_each(|module| text += &format!("module load {module}\n"));
        others.iter().for_each(|line| text += &format!("{line}\n"));
        let _ = write!(text, "exec {program} sweep run {}", quoted(directory));
        text += " --trials \"${trials[SLURM_ARRAY_TASK_ID]}\" --jobs 1 --requeue";
        self.arguments.iter().for_each(|argument| text += &format!(" {argument}"));
        text + "\n"
    }

    /// The trials that neither have ended nor are in training or in the queue (by their numbers), and a count of those.
    pub fn due(&self, queued: &HashSet<usize>) -> (Vec<Trial>, String) {
        let states = state::all(self.plan);
        let is_due = |(trial, state): &(&Trial, &TrialState)| {
            !matches!(state.state, State::Done | State::Running) && !queued.contains(&trial.trial)
        };
        let trials = self.plan.trials.iter().zip(&states).filter(is_due);
        let of = |state: State| states.iter().filter(|found| found.state == state).count();
        let others = format!(
            "{} done, {} running, {} in the queue",
            of(State::Done),
            of(State::Running),
            queued.len()
        );
        (trials.map(|(trial, _)| trial.clone()).collect(), others)
    }

    /// Submits the trials that are due; a sentence about them.
    ///
    /// # Errors
    /// Those of [`Submission::submit`].
    pub fn submit_due(&self) -> Result<String> {
        let queued = queued(self.plan)?.iter().map(|trial| trial.trial).collect();
        let (due, others) = self.due(&queued);
        if due.is_empty() {
            return Ok(format!("nothing to submit: {others}"));
        }
        let job = |array: &Array| format!("job {} with {}", array.job, counted(array.tasks.len(), "task"));
        let jobs: Vec<String> = self.submit(&due)?.iter().map(job).collect();
        Ok(format!(
            "submitted {} for {} ({others}); nem-tui sweep status {} shows how far they are",
            jobs.join(", "),
            counted(due.len(), "trial"),
            quoted(&self.plan.directory)
        ))
    }

    /// Submits `trials`. If a part of them is refused, nothing stays submitted.
    ///
    /// # Errors
    /// [`Error::Usage`] if there is no `sbatch`; Slurm's refusal, in its words; a directory that cannot be written.
    pub fn submit(&self, trials: &[Trial]) -> Result<Vec<Array>> {
        let scripts = self.scripts(trials, largest_array())?;
        let directory = self.plan.directory.join(DIRECTORY);
        std::fs::create_dir_all(&directory).map_err(Error::io("create", &directory))?;
        let before = arrays(&self.plan.directory)?;
        let mut submitted: Vec<Array> = Vec::new();
        let submission = scripts.into_iter().enumerate().try_for_each(|(i, (text, tasks))| {
            let file = directory.join(format!("{}.sh", before.len() + i + 1));
            write_durable(&file, text.as_bytes())?;
            let said = call("sbatch", &["--parsable".into(), file.into()])?;
            // NUMBER, or NUMBER;CLUSTER.
            let number = said.trim().split(';').next().and_then(|number| number.parse().ok());
            let job = number
                .ok_or_else(|| Error::Failed(format!("sbatch gave no job number but {:?}", said.trim())))?;
            submitted.push(Array { job, tasks });
            Ok(())
        });
        let all: Vec<&Array> = before.iter().chain(&submitted).collect();
        if let Err(e) = submission.and_then(|()| write_arrays(&directory.join(JOBS), &all)) {
            let left: Vec<u64> = submitted
                .iter()
                .filter(|array| call("scancel", &[array.job.to_string().into()]).is_err())
                .map(|array| array.job)
                .collect();
            return Err(match left.as_slice() {
                [] => e,
                left => Error::Failed(format!("{e}; cancel the jobs {left:?}, which were submitted before")),
            });
        }
        Ok(submitted)
    }
}

/// A path in a line of options: quoted if it has spaces.
fn in_line(path: &Path) -> String {
    let text = path.to_string_lossy();
    match text.contains(|c: char| c.is_whitespace() || c == '"') {
        true => format!("\"{}\"", text.replace('"', "\\\"")),
        false => text.into_owned(),
    }
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(Error::io("find", path))
}

/// The trials of each task: neighbours, as far as they are.
fn tasks(trials: &[Trial], per_task: usize) -> Vec<String> {
    trials.chunks(per_task.max(1)).map(|trials| numbers(trials.iter().map(|trial| trial.trial))).collect()
}

/// Numbers as a list with ranges: `3,7-9`.
fn numbers(all: impl Iterator<Item = usize>) -> String {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for number in all {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => ranges.push((number, number)),
        }
    }
    let range = |(first, last): (usize, usize)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    };
    ranges.into_iter().map(range).collect::<Vec<_>>().join(",")
}

/// The arrays that were submitted for the sweep in `directory`.
///
/// # Errors
/// A file that cannot be read.
pub fn arrays(directory: &Path) -> Result<Vec<Array>> {
    let file = directory.join(DIRECTORY).join(JOBS);
    if !file.is_file() {
        return Ok(Vec::new());
    }
    let array = |line: &str| {
        serde_json::from_str(line).map_err(|e| Error::content(&file, format!("not a job ({e})")))
    };
    std::fs::read_to_string(&file).map_err(Error::io("read", &file))?.lines().map(array).collect()
}

fn write_arrays(file: &Path, arrays: &[&Array]) -> Result<()> {
    let mut lines = Vec::new();
    for array in arrays {
        lines.extend(serde_json::to_vec(array).map_err(|e| Error::content(file, e.to_string()))?);
        lines.push(b'\n');
    }
    write_durable(file, &lines)
}

/// Checks that Slurm is here, so that nothing is begun in vain.
///
/// # Errors
/// [`Error::Usage`] if it is not.
pub fn check() -> Result<()> {
    call("sbatch", &["--version".into()]).map(|_| ())
}

/// The trials of the sweep that wait or run in Slurm's queue.
///
/// # Errors
/// Those of [`Submission::submit`].
pub fn queued(plan: &Plan) -> Result<Vec<Trial>> {
    let arrays = arrays(&plan.directory)?;
    if arrays.is_empty() {
        return Ok(Vec::new());
    }
    // By default a job that is being requeued is not listed for a moment.
    let options = ["--noheader", "--array", "--me", "--states=all", "--format=%F %K %T"];
    let listed = call("squeue", &options.map(OsString::from))?;
    let mut queued = Vec::new();
    for line in listed.lines() {
        let mut words = line.split_whitespace();
        let (job, task) = (words.next().and_then(|word| word.parse().ok()), words.next());
        if words.next().is_none_or(|state| ENDED.contains(&state)) {
            continue;
        }
        let array = arrays.iter().find(|array| Some(array.job) == job);
        let task = task.and_then(|task| array?.tasks.get(task.parse::<usize>().ok()?));
        if let Some(task) = task {
            queued.extend(plan.chosen(task)?);
        }
    }
    Ok(queued)
}

/// The most tasks that an array may have.
pub fn largest_array() -> usize {
    let shown = call("scontrol", &["show", "config"].map(OsString::from)).unwrap_or_default();
    let line = shown.lines().find_map(|line| line.trim().strip_prefix("MaxArraySize"));
    let size = line.and_then(|rest| rest.trim_start_matches([' ', '=']).trim().parse().ok());
    // Its numbers are below that.
    size.unwrap_or(USUAL_ARRAY).max(1)
}

/// Has Slurm put the job that this process runs in back into its queue, as soon as it has ended.
///
/// # Errors
/// Slurm's refusal. Outside of a job nothing happens.
pub fn requeue() -> Result<()> {
    let variable = |name| std::env::var(name).ok();
    let task = variable("SLURM_ARRAY_JOB_ID").zip(variable("SLURM_ARRAY_TASK_ID"));
    let job = task.map(|(job, task)| format!("{job}_{task}")).or_else(|| variable("SLURM_JOB_ID"));
    match job {
        Some(job) => call("scontrol", &["requeue".into(), job.into()]).map(|_| ()),
        None => Ok(()),
    }
}

/// Calls a program of Slurm's; what it prints.
fn call(program: &str, arguments: &[OsString]) -> Result<String> {
    let Output { status, stdout, stderr } =
        Command::new(program).args(arguments).output().map_err(|e| match e.kind() {
            ErrorKind::NotFound => Error::Usage(format!(
                "{program} is not on the path; run this where Slurm's programs are, or train here with --executor local"
            )),
            _ => Error::Failed(format!("{program} cannot be started: {e}")),
        })?;
    if status.success() {
        return Ok(String::from_utf8_lossy(&stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&stderr);
    let said: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    Err(Error::Failed(match said.as_slice() {
        [] => format!("{program} ended with {status}"),
        said => shown(&format!("Slurm refuses: {}", said.join(" "))).to_string(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trials(numbers: impl IntoIterator<Item = usize>) -> Vec<Trial> {
        let trial = |trial| Trial {
            trial,
            run: format!("k={trial},seed=1"),
            preset: "preset.ron".into(),
            seed: 1,
            set: vec![format!("k={trial}")],
            max_iterations: None,
        };
        numbers.into_iter().map(trial).collect()
    }

    #[test]
    fn tasks_have_neighbours() {
        assert_eq!(tasks(&trials([1, 2, 3, 7]), 1), ["1", "2", "3", "7"]);
        assert_eq!(tasks(&trials([1, 2, 3, 5, 7, 8, 9]), 4), ["1-3,5", "7-9"]);
    }

    #[test]
    fn a_script_asks_for_what_the_file_says() {
        let plan = Plan { directory: "/data/my sweeps/k".into(), trials: trials(1..=5) };
        let slurm = Slurm {
            time: Some("8:00:00".into()),
            partition: Some("gpu".into()),
            account: Some("nem".into()),
            gres: Some("gpu:1".into()),
            cpus: Some(2),
            memory: Some("8G".into()),
            parallel: Some(3),
            per_job: 2,
            modules: vec!["cuda/12".into()],
            program: Some("apptainer exec nem.sif nem-tui".into()),
            lines: vec!["ulimit -c 0".into(), "#SBATCH --mail-type=END".into()],
            ..Slurm::default()
        };
        let arguments = vec!["--device".into(), "cuda".into()];
        let submission = Submission { plan: &plan, slurm: &slurm, arguments };
        let mut scripts = submission.scripts(&plan.trials, 1000).unwrap();
        let (script, tasks) = scripts.pop().unwrap();
        assert_eq!((scripts.len(), tasks.as_slice()), (0, ["1-2", "3-4", "5"].map(String::from).as_slice()));
        let here = std::env::current_dir().unwrap();
        let expected = format!(
            "#!/bin/bash\n#SBATCH --job-name=k\n#SBATCH --array=0-2%3\n#SBATCH --time=8:00:00\n\
             #SBATCH --partition=gpu\n#SBATCH --account=nem\n#SBATCH --gres=gpu:1\n#SBATCH --cpus-per-task=2\n\
             #SBATCH --mem=8G\n#SBATCH --signal=B:USR1@120\n#SBATCH --chdir={}\n\
             #SBATCH --output=\"/data/my sweeps/k/slurm/%A_%a.log\"\n#SBATCH --requeue\n\
             #SBATCH --open-mode=append\n#SBATCH --mail-type=END\n\n# The trials of each task.\n\
             trials=(1-2 3-4 5)\n\nmodule load cuda/12\nulimit -c 0\n\
             exec apptainer exec nem.sif nem-tui sweep run '/data/my sweeps/k' \
             --trials \"${{trials[SLURM_ARRAY_TASK_ID]}}\" --jobs 1 --requeue --device cuda\n",
            here.display()
        );
        assert_eq!(script, expected);
        // Slurm's limit on arrays.
        let parts = submission.scripts(&plan.trials, 2).unwrap();
        let tasks: Vec<usize> = parts.iter().map(|(_, tasks)| tasks.len()).collect();
        assert_eq!(tasks, [2, 1]);
        assert!(parts[1].0.contains("--array=0-0%3") && parts[1].0.contains("trials=(5)"));
    }
}
