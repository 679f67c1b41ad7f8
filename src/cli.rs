//! The command line as types. No logic lives here.

use crate::table::lock::MACHINE_LOCK;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Runs the training experiment that a TOML file declares, and says why it scales or not.
#[derive(Debug, Parser)]
#[command(
    name = "xrun",
    version,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    arg_required_else_help = true
)]
#[command(
    after_help = "Exit status: 0 all cells measured or skipped, 1 xrun could not go on, 2 the file or a flag is wrong, \
                        3 a cell went wrong, 130 interrupted."
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub run: RunArgs,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show cells, order, skips and where each value comes from, and run nothing.
    Plan(PlanArgs),
    /// Build the flavours of an experiment, and run nothing.
    Build(BuildArgs),
    /// Draw every chart again from result folders alone.
    Plot(PlotArgs),
    /// Measure what memory and transports of this machine can do at most, and train nothing.
    Probe(ProbeArgs),
    /// One role of a repeat; started by xrun.
    #[command(hide = true)]
    Worker(WorkerArgs),
    /// Ends workers when the harness is gone; started by xrun.
    #[command(hide = true)]
    Guard,
}

/// Which part of an experiment is meant, on which machine, and where its results are.
#[derive(Clone, Debug, Default, Args)]
pub struct Selection {
    /// Set a setting over the file; several values make an axis.
    #[arg(short = 'S', long = "set", value_name = "KEY=VALUE[,VALUE]")]
    pub set: Vec<String>,
    /// Only cells with this value of a setting or this label of a zip axis.
    #[arg(long, value_name = "KEY=VALUE")]
    pub only: Vec<String>,
    /// Where result folders are.
    #[arg(long, value_name = "DIR", default_value = "results")]
    pub results: PathBuf,
    /// Name of this machine's folder, instead of one made from its hardware.
    #[arg(long, value_name = "NAME")]
    pub machine: Option<String>,
    /// The source that flavours are built from, instead of the one that this xrun was built from.
    #[arg(long, value_name = "DIR")]
    pub source: Option<PathBuf>,
}

#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// The experiment file; there is none beside a command.
    #[arg(value_name = "FILE", required = true)]
    pub file: Option<PathBuf>,
    #[command(flatten)]
    pub selection: Selection,
    #[command(flatten)]
    pub charts: ChartArgs,
    /// Measure again: cells that failed, rows of another program, or all cells in a new run.
    #[arg(long, value_enum)]
    pub rerun: Option<Rerun>,
    /// Measure each cell this many more times than the file says.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub add_repeats: u32,
    /// Mark repeats during which the machine was disturbed, and do not measure them again.
    #[arg(long)]
    pub keep_disturbed: bool,
    #[command(flatten)]
    pub lock: LockArgs,
}

/// Who else may measure on this machine meanwhile.
#[derive(Clone, Debug, Args)]
pub struct LockArgs {
    /// Measure although another xrun measures on this machine; the rows are marked.
    #[arg(long)]
    pub share_machine: bool,
    /// The file whose lock stands for this machine.
    #[arg(
        long,
        value_name = "FILE",
        default_value = MACHINE_LOCK,
        hide = true
    )]
    pub machine_lock: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Rerun {
    Failed,
    Stale,
    All,
}

#[derive(Clone, Debug, Args)]
pub struct PlanArgs {
    /// The experiment file.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    #[command(flatten)]
    pub selection: Selection,
    /// Print one JSON document for programs.
    #[arg(long)]
    pub json: bool,
}

#[derive(Clone, Debug, Args)]
pub struct BuildArgs {
    /// The experiment file whose flavours are built.
    #[arg(value_name = "FILE", required_unless_present = "clean")]
    pub file: Option<PathBuf>,
    #[command(flatten)]
    pub selection: Selection,
    /// Remove everything that was built for flavours before.
    #[arg(long)]
    pub clean: bool,
    #[command(flatten)]
    pub lock: LockArgs,
}

#[derive(Clone, Debug, Args)]
pub struct WorkerArgs {
    /// Print how this program was built, as one line of JSON, and train nothing.
    #[arg(long)]
    pub identify: bool,
}

#[derive(Clone, Debug, Args)]
pub struct ProbeArgs {
    /// The experiment file whose models and clusters are meant; without one an MLP of four wide layers.
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    #[command(flatten)]
    pub lock: LockArgs,
}

#[derive(Clone, Debug, Args)]
pub struct PlotArgs {
    /// A result folder, or any folder above some.
    #[arg(value_name = "DIR", required = true)]
    pub folders: Vec<PathBuf>,
    #[command(flatten)]
    pub charts: ChartArgs,
}

#[derive(Clone, Debug, Args)]
pub struct ChartArgs {
    /// Where charts are written.
    #[arg(long, value_name = "DIR", default_value = "plots")]
    pub plots: PathBuf,
    #[arg(long, value_enum, default_value_t = Format::Both)]
    pub format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Svg,
    Png,
    Both,
}
