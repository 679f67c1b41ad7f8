//! The program: parse, dispatch, print what went wrong, exit.

use clap::Parser;
use std::process::ExitCode;
use xrun::cli::Cli;

/// Training frees and takes the same large buffers in every step. The C library hands them back to
/// the kernel each time, which costs more than the arithmetic of a small step.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    xrun::commands::dispatch(Cli::parse())
}
