//! The program of each build flavour. In: the running program, a path, or a definition and a source
//! tree. Out: a [`Program`] that stays the same however often its file is replaced, and what it says of
//! itself. Does not know what the program is started for.
//!
//! [`compile`] builds and keeps programs: a [`recipe`] is what cargo is told, [`identity`] what a program
//! says, [`agreement`] whether the two fit, [`census`] whether two programs differ in what runs,
//! [`layout`] whether builds of one flavour differ in nothing else.

pub mod agreement;
mod ask;
mod cargo;
pub mod census;
mod child;
pub mod compile;
pub mod identity;
pub mod layout;
pub mod recipe;
pub mod sources;
mod toolchain;
pub mod toolkit;

pub(crate) use ask::settings_of_experiments;
pub(crate) use child::die_with_this_thread;

use crate::spec::Flavour;
use agreement::Asked;
use anyhow::{Context, Result, bail};
use identity::Identity;
use recipe::Recipe;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// One program that can train, held open so that a rebuild during a sweep swaps nothing.
#[derive(Debug)]
pub struct Program {
    /// Keeps the contents reachable after the path has been replaced.
    file: File,
    /// Where it was found, for people.
    pub path: PathBuf,
    /// What tells it from every other build: see [`identity`].
    pub identity: String,
    /// As [`identity::of_contents`]; empty for the running program, which is known by its sources.
    pub contents: String,
    /// What it says of itself; none where it was not asked or did not answer.
    pub told: Option<Identity>,
}

impl Program {
    /// The path to execute. It names this process, since the interpreter of a script would look
    /// for a descriptor of its own under `/proc/self`.
    pub fn executable(&self) -> PathBuf {
        PathBuf::from(format!(
            "/proc/{}/fd/{}",
            std::process::id(),
            self.file.as_raw_fd()
        ))
    }
}

/// The program that is running now, which is the flavour `default`.
///
/// # Errors
/// Where `/proc` is not mounted, or the file may be executed but not read.
pub fn running_program() -> Result<Program> {
    let link = Path::new("/proc/self/exe");
    let file = File::open(link).context("opening the running program through /proc/self/exe")?;
    Ok(Program {
        file,
        path: std::fs::read_link(link).unwrap_or_else(|_| link.to_owned()),
        identity: identity::RUNNING.to_owned(),
        contents: String::new(),
        told: None,
    })
}

/// A program that somebody else has built: `binary` of a flavour.
///
/// # Errors
/// Where it is missing, no file, or not executable; the message is the reason of a skipped cell.
pub fn given_binary(path: &Path) -> Result<Program> {
    let shown = path.display();
    let file = File::open(path).with_context(|| format!("opening the flavour's binary {shown}"))?;
    let metadata = file
        .metadata()
        .with_context(|| format!("looking at the flavour's binary {shown}"))?;
    if !metadata.is_file() {
        bail!("the flavour's binary {shown} is not a file");
    }
    if metadata.permissions().mode() & 0o111 == 0 {
        bail!("the flavour's binary {shown} is not executable: chmod +x {shown}");
    }
    let identity = identity::of_contents(&file)
        .with_context(|| format!("reading the flavour's binary {shown}"))?;
    Ok(Program {
        file,
        path: path.to_owned(),
        contents: identity.clone(),
        identity,
        told: None,
    })
}

/// Asks a program that somebody else has built what it is, and keeps the answer. One that does not
/// answer is known by its contents alone, which is enough where the flavour asks for nothing.
///
/// # Errors
/// Where it is not what the flavour asks for, or that cannot be known; the reason of skipped cells.
pub fn ask_given(program: Program, flavour: &Flavour) -> Result<Program, String> {
    let path = program.path.display();
    let asks = flavour.definition.iter().any(|(key, _)| key != "binary");
    match ask::ask(&program) {
        Ok(told) => {
            let recipe = Recipe::of(flavour);
            let asked = Asked {
                recipe: &recipe,
                sources: None,
            };
            let differences = asked.differences(&told);
            if !differences.is_empty() {
                let differences = differences.join("; ");
                return Err(format!(
                    "the flavour's binary {path} is not what it asks for: {differences}"
                ));
            }
            Ok(Program {
                told: Some(told),
                ..program
            })
        }
        Err(why) if asks => Err(format!(
            "the flavour's binary {path} cannot be held against what the flavour asks for: asked \
             `worker --identify`, {why}"
        )),
        Err(_) => Ok(program),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn script(path: &Path, text: &str) {
        std::fs::write(path, text).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[test]
    fn a_replaced_file_is_still_the_old_program() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("program");
        script(&path, "#!/bin/sh\necho old $1\n");
        let program = given_binary(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        script(&path, "#!/bin/sh\necho new $1\n");
        let output = Command::new(program.executable())
            .arg("worker")
            .output()
            .unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), "old worker\n");
        assert_ne!(given_binary(&path).unwrap().identity, program.identity);
    }

    #[test]
    fn what_cannot_be_executed_is_refused_with_a_reason() {
        let folder = tempfile::tempdir().unwrap();
        let missing = given_binary(&folder.path().join("missing")).unwrap_err();
        assert!(
            format!("{missing:#}").contains("missing: No such file"),
            "{missing:#}"
        );
        let not_a_file = given_binary(folder.path()).unwrap_err();
        assert!(not_a_file.to_string().ends_with("is not a file"));
        let plain = folder.path().join("plain");
        std::fs::write(&plain, "text").unwrap();
        assert!(
            given_binary(&plain)
                .unwrap_err()
                .to_string()
                .contains("chmod +x")
        );
    }

    #[test]
    fn the_running_program_knows_its_sources() {
        let program = running_program().unwrap();
        assert!(program.identity.starts_with("source:"));
        assert_eq!(program.path, std::env::current_exe().unwrap());
        let open = std::fs::read(program.executable()).unwrap();
        assert!(open == std::fs::read(&program.path).unwrap());
    }
}
