//! `xrun build FILE`: builds the flavours of an experiment as a run would, and runs nothing.
//! `xrun build --clean` removes what was built.

use super::Ending;
use super::prepare::{Prepared, build_title, cache};
use super::run::lock_machine;
use crate::cli::BuildArgs;
use crate::flavour::compile;
use crate::launch::Interrupted;
use crate::launch::interrupt::{self, Interrupt, Stage};
use crate::units::Bytes;
use anyhow::{Context, Result};
use std::fs;
use std::io::{Write, stdout};
use std::path::Path;

/// Cleans, builds, and says what came of each flavour. One that cannot be built here is no error: a run
/// skips its cells.
///
/// # Errors
/// A wrong file or flag; a lock that another xrun holds; a cache that cannot be emptied.
pub fn run(arguments: &BuildArgs) -> Result<Ending> {
    if arguments.clean {
        clean(&compile::folder(&cache()))?;
    }
    let Some(file) = &arguments.file else {
        return Ok(Ending::Done);
    };
    let mut prepared = Prepared::load(file, &arguments.selection)?;
    // Compilers would disturb whoever measures.
    let _machine = lock_machine(&arguments.lock, "xrun build")?;
    let interrupt = interrupt::listen().context("listening for Ctrl-C")?;
    let flavours = prepared.flavours();
    if !provide(&mut prepared, &flavours, &interrupt)? {
        return Ok(Ending::Interrupted);
    }
    let mut out = stdout().lock();
    for flavour in flavours {
        let programs = match prepared.programs(&flavour) {
            Ok(programs) => programs,
            Err(reason) => {
                writeln!(out, "skipped: {reason}")?;
                continue;
            }
        };
        for (program, build) in programs.iter().zip(1..) {
            let title = build_title(&flavour, build, programs.len() as u32);
            writeln!(out, "{title}: {}", program.path.display())?;
        }
    }
    Ok(Ending::Done)
}

/// Provides the programs of these flavours; false where the user has stopped it.
pub(super) fn provide(
    prepared: &mut Prepared,
    flavours: &[String],
    interrupt: &Interrupt,
) -> Result<bool> {
    let stopped = || interrupt.stage() != Stage::Run;
    match prepared.build(flavours, &stopped, &mut stdout()) {
        Err(error) if error.is::<Interrupted>() => {
            eprintln!("interrupted: the next call goes on from here");
            Ok(false)
        }
        built => built.map(|()| true),
    }
}

fn clean(folder: &Path) -> Result<()> {
    let shown = folder.display();
    if !folder.is_dir() {
        println!("nothing to remove: there is no {shown}");
        return Ok(());
    }
    let bytes = Bytes(size(folder));
    fs::remove_dir_all(folder).with_context(|| format!("removing {shown}"))?;
    println!("removed {shown}: {bytes}");
    Ok(())
}

/// Bytes of all files below a folder; links count nothing.
fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => size(&entry.path()),
        Ok(metadata) if metadata.is_file() => metadata.len(),
        _ => 0,
    });
    sizes.sum()
}
