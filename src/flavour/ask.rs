//! What another program says of itself. In: a program. Out: its identity, or why there is none. Every
//! program is asked in the same way and bounded in time: it may be anything.

use super::Program;
use super::child::{Child, Line, Next};
use super::identity::Identity;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::{Duration, Instant};

/// A program that answers does so in milliseconds.
const LIMIT: Duration = Duration::from_secs(10);

/// So much of a wrong answer is shown.
const SHOWN_CHARACTERS: usize = 60;

/// Runs `xrun worker --identify` of the program; its first line is the answer.
///
/// # Errors
/// Where it says something else or nothing; one line for people.
pub fn ask(program: &Program) -> Result<Identity, String> {
    let mut command = Command::new(program.executable());
    command.arg0("xrun").args(["worker", "--identify"]);
    for name in settings_of_experiments() {
        command.env_remove(name);
    }
    let mut child =
        Child::start(&mut command).map_err(|error| format!("it does not start: {error}"))?;
    let deadline = Instant::now() + LIMIT;
    let mut complaint = String::new();
    loop {
        match child.next(Duration::from_millis(100)) {
            Next::Line(Line::Stdout(line)) => return read(&line),
            // A library that is missing, for example.
            Next::Line(Line::Stderr(line)) => complaint = line,
            Next::End if complaint.is_empty() => return Err("it ended without a word".to_owned()),
            Next::End => return Err(format!("it ended, saying `{}`", complaint.escape_debug())),
            Next::Pause if Instant::now() < deadline => {}
            Next::Pause => return Err(format!("it said nothing within {} s", LIMIT.as_secs())),
        }
    }
}

/// Variables that change experiments and are none of a program's business.
pub fn settings_of_experiments() -> impl Iterator<Item = OsString> {
    let names = std::env::vars_os().map(|(name, _)| name);
    names.filter(|name| name.as_encoded_bytes().starts_with(b"XRUN_"))
}

fn read(line: &str) -> Result<Identity, String> {
    let cut: String = line.chars().take(SHOWN_CHARACTERS).collect();
    serde_json::from_str(line).map_err(|_| format!("it said `{}`", cut.escape_debug()))
}
