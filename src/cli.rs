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
                        3 a cell went wrong or a verdict is one that --fail-if names, 130 interrupted."
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
    /// Say what is faster: another result, or another value within one result.
    Compare(CompareArgs),
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

/// What is compared with what, and how it is shown.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "`xrun compare A B` pairs the cells of two results by their declared settings. They share no blocks, so intervals \
                  are those of unpaired repeats, and what changed on the machine in between is part of the ratio. \
                  `xrun compare A --over KEY=BASE` compares within one result, block by block: each value of a setting or zip \
                  axis with BASE, all else being equal. \
                  `xrun compare A` compares what [[compare]] declares in A's experiment.toml; --where then chooses lines by \
                  their B, and verdicts stay those of all that is declared.\n\n\
                  Ratios are B over A, of examples per second at the median step: above 1, B is faster. Verdicts are \
                  faster, slower, equivalent (the interval lies within 2 % or the noise floor) and undecided; of several \
                  comparisons all hold together (Holm). Where A and B differ in what was not named, there is no verdict.\n\n\
                  Exit status: 0 compared, 1 --fail-if is given and a comparison has no verdict or only one completed side, 2 an argument is wrong, \
                  3 a verdict is one that --fail-if names."
)]
pub struct CompareArgs {
    /// A result folder, its repeats.csv, or COMMIT:PATH of a committed one.
    #[arg(value_name = "A")]
    pub base: String,
    /// What is compared with it, named in the same ways.
    #[arg(value_name = "B", conflicts_with = "over")]
    pub other: Option<String>,
    /// Compare within A: the other values of a setting or zip axis with this one.
    #[arg(long, value_name = "KEY=BASE")]
    pub over: Option<String>,
    /// Only cells with this value of a setting or zip axis, this label or this cell id.
    #[arg(long = "where", value_name = "KEY=VALUE")]
    pub only: Vec<String>,
    /// Name lines by these settings or zip axes, instead of all that differ.
    #[arg(long, value_name = "KEY")]
    pub row: Vec<String>,
    /// Show the values of a setting or zip axis beside each other.
    #[arg(long, value_name = "KEY")]
    pub col: Option<String>,
    /// Give verdicts although A and B differ in this setting or fact.
    #[arg(long, value_name = "KEY")]
    pub allow_different: Vec<String>,
    /// Exit with 3 where a verdict is one of these.
    #[arg(long, value_enum, value_name = "VERDICT", value_delimiter = ',')]
    pub fail_if: Vec<FailIf>,
    /// How far two equal cells differ on this machine, as a share such as 0.013; by default what the A/A
    /// twins of A and B tell.
    #[arg(long, value_name = "SHARE")]
    pub noise_floor: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FailIf {
    Slower,
    Faster,
    Undecided,
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
