//! A small process that outlives the harness by a moment. In: lines `+GROUP` and `-GROUP` on stdin,
//! the process groups that the harness starts and sees end. At the end of stdin, which comes when
//! the harness dies in whatever way, it kills every group that is left.
//!
//! Workers themselves also end by the parent-death signal; their children do not, and are what the
//! guard is for. A process that has left its worker's group, by `setsid` or `setpgid`, escapes.

use crate::flavour::Program;
use rustix::process::{Pid, Signal, kill_process_group, setsid};
use std::collections::HashSet;
use std::io::{self, BufRead, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};

/// The word on the command line that makes xrun a guard.
pub const COMMAND: &str = "guard";

/// The harness's end of its guard. Dropping it ends the guard.
#[derive(Debug)]
pub struct Guard {
    process: Child,
    /// None only while it is dropped.
    pipe: Option<ChildStdin>,
}

impl Guard {
    /// Starts `xrun guard` in a session of its own, where no Ctrl-C of a terminal reaches it.
    pub fn start(program: &Program) -> io::Result<Self> {
        let mut command = Command::new(program.executable());
        command
            .arg0("xrun")
            .arg(COMMAND)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        // SAFETY: between fork and exec only async-signal-safe calls are allowed; this is one
        // system call without libc.
        unsafe { command.pre_exec(|| Ok(setsid().map(drop)?)) };
        let mut process = command.spawn()?;
        let pipe = process.stdin.take();
        Ok(Self { process, pipe })
    }

    /// From now on the group dies with the harness.
    pub fn watch(&mut self, group: Pid) -> io::Result<()> {
        self.write(format!("+{}\n", group.as_raw_nonzero()))
    }

    /// The group is gone, and its number may soon be another's.
    pub fn release(&mut self, group: Pid) -> io::Result<()> {
        self.write(format!("-{}\n", group.as_raw_nonzero()))
    }

    fn write(&mut self, line: String) -> io::Result<()> {
        let pipe = self
            .pipe
            .as_mut()
            .expect("the pipe is there until the guard is dropped");
        pipe.write_all(line.as_bytes()).map_err(|error| {
            io::Error::other(format!(
                "the guard of processes is gone ({error}): start xrun again"
            ))
        })
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.pipe = None;
        // It ends by itself, since its stdin has just ended.
        let _ = self.process.wait();
    }
}

/// The whole life of a guard process.
pub fn main() {
    for group in left(io::stdin().lock()) {
        // A group that has just ended needs no signal.
        let _ = kill_process_group(group, Signal::KILL);
    }
}

/// The groups that are still watched when `lines` end.
fn left(lines: impl BufRead) -> HashSet<Pid> {
    let mut groups = HashSet::new();
    for line in lines.lines().map_while(Result::ok) {
        let (sign, number) = line.split_at_checked(1).unwrap_or(("", ""));
        let number = number.parse().ok().filter(|number| *number > 0);
        match (sign, number.and_then(Pid::from_raw)) {
            ("+", Some(group)) => groups.insert(group),
            ("-", Some(group)) => groups.remove(&group),
            _ => continue,
        };
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_that_were_not_released_are_left() {
        let lines = "+12\n+13\n-12\n+x\n\n+0\n+14\n-15";
        let expected = [13, 14].map(|number| Pid::from_raw(number).unwrap());
        assert_eq!(left(lines.as_bytes()), HashSet::from(expected));
    }
}
