//! One call of cargo. In: a recipe, a source tree and a folder. Out: the path of the program that it
//! made, with everything it said in a log; or the end of that log. Bounded in time.

use super::ask::settings_of_experiments;
use super::child::{Child, Line, Next};
use super::compile::Unbuilt;
use super::recipe::Recipe;
use super::toolchain::{Cuda, is_dropped};
use crate::machine::gpu::Version;
use serde::Deserialize;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Nothing of this size takes longer to compile.
const LIMIT: Duration = Duration::from_secs(3600);

/// So often is looked whether the user wants to stop.
const GLANCE: Duration = Duration::from_millis(100);

/// So much of a log's end is in the reason of a skipped cell.
const TAIL_LINES: usize = 8;
const TAIL_CHARACTERS: usize = 700;

/// The variable that names the compute capability of GPUs to builds.
const CAPABILITY: &str = "CUDA_COMPUTE_CAP";

/// The program that is built, as cargo knows it.
const PROGRAM: &str = "xrun";

/// What one call needs.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    pub source: &'a Path,
    /// Commit of the sources, for the program to know; empty where there is none.
    pub git_revision: &'a str,
    pub recipe: &'a Recipe,
    pub cuda: Option<&'a Cuda>,
    /// Of the weakest GPU that is here.
    pub capability: Option<Version>,
    /// Cargo's folder, kept between calls.
    pub target: &'a Path,
    /// Everything that cargo says is written here.
    pub log: &'a Path,
    /// Whether the user wants to stop.
    pub stopped: &'a dyn Fn() -> bool,
}

/// One of cargo's messages.
#[derive(Deserialize)]
struct Message {
    reason: String,
    target: Option<Target>,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

impl Call<'_> {
    /// Builds, and calls `show` with each line that cargo says.
    pub fn run(&self, show: &mut dyn FnMut(&str)) -> Result<PathBuf, Unbuilt> {
        let failed = |error: std::io::Error| Unbuilt::Failed(format!("calling cargo: {error}"));
        let mut log = File::create(self.log).map_err(failed)?;
        let mut child = Child::start(&mut self.command()).map_err(failed)?;
        let deadline = Instant::now() + LIMIT;
        let mut program = None;
        loop {
            if (self.stopped)() {
                return Err(Unbuilt::Stopped);
            }
            match child.next(GLANCE) {
                Next::Line(Line::Stdout(line)) => program = executable(&line).or(program),
                Next::Line(Line::Stderr(line)) => {
                    writeln!(log, "{line}").map_err(failed)?;
                    show(&line);
                }
                Next::End => break,
                Next::Pause if Instant::now() < deadline => {}
                Next::Pause => {
                    let minutes = LIMIT.as_secs() / 60;
                    return Err(self.failure(&format!("cargo took more than {minutes} minutes")));
                }
            }
        }
        let succeeded = child.status().is_some_and(|status| status.success());
        match program.filter(|_| succeeded) {
            Some(program) => Ok(program),
            None if succeeded => Err(self.failure("the sources have no program `xrun`")),
            None => Err(self.failure("cargo failed")),
        }
    }

    fn command(&self) -> Command {
        let recipe = self.recipe;
        let mut command = Command::new("cargo");
        command
            .current_dir(self.source)
            // Both build the program; `rustc` has arguments for it that its dependencies do not have.
            .arg(recipe.layout().map_or("build", |_| "rustc"))
            .args(["--locked", "--message-format=json-render-diagnostics"])
            .args(["--bin", PROGRAM, "--profile", &recipe.profile])
            .arg("--target-dir")
            .arg(self.target);
        if !recipe.features.is_empty() {
            command.args(["--features", &recipe.features.join(",")]);
        }
        if let Some(layout) = recipe.layout() {
            command.args(["--", &layout]);
        }
        let names = std::env::vars_os().map(|(name, _)| name);
        let dropped = names.filter(|name| name.to_str().is_some_and(is_dropped));
        for name in dropped.chain(settings_of_experiments()) {
            command.env_remove(name);
        }
        command
            .env("CARGO_ENCODED_RUSTFLAGS", recipe.rustflags.join("\u{1f}"))
            .env("CARGO_TERM_COLOR", "never")
            .env("BUILD_GIT_REVISION", self.git_revision);
        command.envs(self.cuda.map(Cuda::environment).unwrap_or_default());
        // What kernels are compiled for; who builds may have said it.
        if let (Some(capability), None) = (self.capability, std::env::var_os(CAPABILITY)) {
            command.env(CAPABILITY, capability.to_string().replace('.', ""));
        }
        command.envs(recipe.settings.iter().cloned());
        command.envs(recipe.environment.iter().cloned());
        command
    }

    /// What happened, with the end of the log.
    fn failure(&self, what: &str) -> Unbuilt {
        let log = fs::read_to_string(self.log).unwrap_or_default();
        let path = self.log.display();
        Unbuilt::Failed(format!("{what}: {} (all of it is in {path})", tail(&log)))
    }
}

/// The program that a message of cargo says it has made.
fn executable(line: &str) -> Option<PathBuf> {
    let message: Message = serde_json::from_str(line).ok()?;
    let of_program = message.reason == "compiler-artifact" && message.target?.name == PROGRAM;
    message.executable.filter(|_| of_program)
}

/// The last lines of a log on one line.
fn tail(log: &str) -> String {
    let lines: Vec<_> = log
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let last = lines[lines.len().saturating_sub(TAIL_LINES)..].join(" | ");
    let characters = last.chars().count();
    let cut = last
        .chars()
        .skip(characters.saturating_sub(TAIL_CHARACTERS));
    cut.filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_known_by_its_name_among_all_that_cargo_makes() {
        let of = |name: &str, executable: &str| {
            let line =
                r#"{"reason":"compiler-artifact","target":{"name":"NAME"},"executable":EXE}"#;
            super::executable(&line.replace("NAME", name).replace("EXE", executable))
        };
        assert_eq!(of("xrun", "\"/t/xrun\""), Some("/t/xrun".into()));
        assert_eq!(of("xrun", "null"), None);
        assert_eq!(of("build-script-build", "\"/t/build\""), None);
        assert_eq!(super::executable("warning: words"), None);
    }

    #[test]
    fn the_tail_is_the_last_lines_and_not_too_long() {
        let log: String = (1..20).map(|line| format!("  line {line}\n\n")).collect();
        assert!(tail(&log).starts_with("line 12 | line 13 | "));
        assert_eq!(tail(&"é".repeat(2000)).chars().count(), TAIL_CHARACTERS);
        assert_eq!(tail(""), "");
    }
}
