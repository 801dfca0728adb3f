//! Many runs of one preset: what varies, where they are trained, how far they are, and what came of them.
//!
//! A trial is an ordinary run directory that the ordinary `nem-tui train … --resume-if-exists` begins and resumes, as a
//! child process of this same program; a user could type the same. There is no scheduler here: `local` starts so many
//! processes at once, and `slurm` writes a script for an array of jobs, each of which is `local` again, for some trials.
//! How far a sweep is, is read from its run directories alone, so it can be asked on any machine that has them mounted.
//!
//! ```text
//! sweeps/NAME/
//!   trials.jsonl    one line for each trial: its directory, preset, seed and settings
//!   preset.ron      what all trials have in common
//!   k=3,seed=1/     a run
//!   slurm/          scripts, the jobs' numbers, their output
//! ```

pub mod condition;
pub mod local;
pub mod plan;
pub mod plot;
pub mod slurm;
pub mod spec;
pub mod state;
pub mod table;
pub mod trials;
