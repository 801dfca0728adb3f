//! `nem-tui sweep`.

mod begin;
pub(super) mod local;
mod look;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use self::begin::BeginArgs;
use self::local::{ShareArgs, passed_on, train};
use self::look::{PlotArgs, StatusArgs, TableArgs};
use super::args::{PrecisionArg, directory_parser};
use crate::backend::DeviceName;
use crate::error::Result;
use crate::sweep::local::Local;
use crate::sweep::plan::Plan;

#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct SweepArgs {
    #[command(subcommand)]
    command: Option<SweepCommand>,
    #[command(flatten)]
    begin: BeginArgs,
}

#[derive(Subcommand, Debug)]
enum SweepCommand {
    /// Train trials of a sweep that was begun before, here: what each job of an array does
    Run(RunArgs),
    /// Show how far the trials are, from their run directories alone
    Status(StatusArgs),
    /// Print the scores: means over seeds, and the best combination by the validation split
    Table(TableArgs),
    /// Draw the scores over one or two fields, or learning curves
    Plot(PlotArgs),
}

impl SweepArgs {
    pub(super) fn run(self) -> Result<ExitCode> {
        match self.command {
            None => self.begin.run(),
            Some(SweepCommand::Run(args)) => args.run(),
            Some(SweepCommand::Status(args)) => args.run().map(|()| ExitCode::SUCCESS),
            Some(SweepCommand::Table(args)) => args.run().map(|()| ExitCode::SUCCESS),
            Some(SweepCommand::Plot(args)) => args.run().map(|()| ExitCode::SUCCESS),
        }
    }
}

#[derive(Args, Debug)]
pub(super) struct RunArgs {
    /// The sweep's directory
    #[arg(value_parser = directory_parser())]
    directory: PathBuf,
    /// Numbers of the trials, such as 3,7-9 [default: all]
    #[arg(long, value_name = "LIST")]
    trials: Option<String>,
    /// On SIGUSR1 save the trials, have Slurm requeue this job (scontrol requeue), and end
    #[arg(long)]
    requeue: bool,
    #[command(flatten)]
    share: ShareArgs,
    /// Where to compute, as in train
    #[arg(long, value_name = "DEVICE", default_value_t)]
    device: DeviceName,
    /// As in train
    #[arg(long)]
    tf32: bool,
    #[command(flatten)]
    precision: PrecisionArg,
}

impl RunArgs {
    fn run(self) -> Result<ExitCode> {
        let plan = Plan::open(&self.directory)?;
        let trials = match &self.trials {
            Some(numbers) => plan.chosen(numbers)?,
            None => plan.trials.clone(),
        };
        let local = Local {
            plan: &plan,
            trials,
            share: self.share.share(self.device),
            arguments: passed_on(self.device, self.tf32, self.precision),
            retries: self.share.retries,
            ends_on_save: self.requeue,
        };
        train(&local)
    }
}
