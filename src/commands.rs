//! What each command does, as recipes of steps that other modules know how to take. Start reading
//! here.

pub mod build;
pub mod compare;
pub mod estimate;
pub mod plan;
pub mod plot;
pub mod prepare;
pub mod probe;
pub mod report;
pub mod run;

use crate::cli::{Cli, Command};
use crate::flavour::identity::{self, Identity};
use crate::launch::guard;
use crate::spec::SpecErrors;
use crate::worker;
use std::io::IsTerminal;
use std::process::ExitCode;

/// How a command ended that did not meet an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Everything is measured, skipped, shown or drawn.
    Done,
    /// The run is complete, and a cell went wrong.
    WrongCells,
    /// A comparison ended as `--fail-if` forbids.
    UnwantedVerdict,
    /// The user stopped the run; its rows so far are safe.
    Interrupted,
}

impl Ending {
    fn exit_status(self) -> u8 {
        match self {
            Ending::Done => 0,
            Ending::WrongCells | Ending::UnwantedVerdict => 3,
            Ending::Interrupted => 130,
        }
    }
}

/// Calls the command and turns its end into an exit status.
pub fn dispatch(cli: Cli) -> ExitCode {
    let ended = match (cli.command, &cli.run.file) {
        (Some(Command::Worker(arguments)), _) if arguments.identify => {
            println!(
                "{}",
                Identity::running(worker::vector_extensions()).to_json()
            );
            return ExitCode::SUCCESS;
        }
        (Some(Command::Worker(_)), _) => return worker::main(identity::RUNNING),
        (Some(Command::Guard), _) => {
            guard::main();
            return ExitCode::SUCCESS;
        }
        (Some(Command::Build(arguments)), _) => build::run(&arguments),
        (Some(Command::Plan(arguments)), _) => plan::run(&arguments),
        (Some(Command::Plot(arguments)), _) => plot::run(&arguments),
        (Some(Command::Probe(arguments)), _) => probe::run(&arguments),
        (Some(Command::Compare(arguments)), _) => compare::run(&arguments),
        (None, Some(file)) => run::run(file, &cli.run),
        (None, None) => unreachable!("clap asks for a file or a command"),
    };
    match ended {
        Ok(ending) => ending.exit_status().into(),
        Err(error) => complain(&error).into(),
    }
}

/// Prints an error, and says with which status to exit: 2 where the file or a flag is wrong, else 1.
fn complain(error: &anyhow::Error) -> u8 {
    if let Some(wrong) = error.downcast_ref::<SpecErrors>() {
        eprintln!("{}", wrong.render(std::io::stderr().is_terminal()));
        return 2;
    }
    eprintln!("xrun: {error:#}");
    if error.is::<prepare::WrongFlag>() {
        2
    } else {
        1
    }
}
