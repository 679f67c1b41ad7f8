//! A process that is not part of a repeat: a compiler, or a program that is asked what it is. In: a
//! command. Out: the lines of its pipes. It leads a process group of its own, which is killed when
//! nobody waits for it any more, and it dies with the thread that started it.

use rustix::process::{Pid, Signal, getpid, getppid, set_parent_process_death_signal};
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{self, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// Longer lines are cut into several.
const MAX_LINE_BYTES: u64 = 1 << 20;

/// Lines that may wait to be looked at.
const WAITING_LINES: usize = 1000;

/// How long a process that has closed its pipes may take to end.
const ENDING: Duration = Duration::from_secs(5);

/// One line of a process's output, without its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    Stdout(String),
    Stderr(String),
}

/// What came of waiting for a line.
pub enum Next {
    Line(Line),
    /// Nothing yet.
    Pause,
    /// It has ended, or will say nothing more.
    End,
}

/// A running process and its group.
pub struct Child {
    child: process::Child,
    lines: Receiver<Line>,
    ended: bool,
}

impl Child {
    /// Starts `command` with nothing on its stdin.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn start(command: &mut Command) -> io::Result<Self> {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        die_with_this_thread(command);
        let mut child = command.spawn()?;
        let (sender, lines) = sync_channel(WAITING_LINES);
        let stdout = child.stdout.take().expect("stdout is piped");
        let stderr = child.stderr.take().expect("stderr is piped");
        forward(stdout, Line::Stdout, sender.clone());
        forward(stderr, Line::Stderr, sender);
        Ok(Self {
            child,
            lines,
            ended: false,
        })
    }

    /// The next line of either pipe, or that there was none for the time of `patience`.
    pub fn next(&mut self, patience: Duration) -> Next {
        match self.lines.recv_timeout(patience) {
            Ok(line) => Next::Line(line),
            Err(RecvTimeoutError::Disconnected) => Next::End,
            // What it has started may hold its pipes open, and says nothing that is waited for.
            Err(RecvTimeoutError::Timeout) => match self.child.try_wait() {
                Ok(None) => Next::Pause,
                _ => Next::End,
            },
        }
    }

    /// How it ended; none where it does not, although it will say nothing more.
    pub fn status(&mut self) -> Option<ExitStatus> {
        let deadline = Instant::now() + ENDING;
        while Instant::now() < deadline {
            if let Ok(Some(status)) = self.child.try_wait() {
                self.ended = true;
                return Some(status);
            }
            thread::sleep(Duration::from_millis(5));
        }
        None
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        // A group that is gone needs no signal, and a process that is gone was waited for.
        if let Some(group) = Pid::from_raw(self.child.id() as i32) {
            let _ = rustix::process::kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.wait();
    }
}

/// Runs a command that answers at once, and returns its stdout.
///
/// # Errors
/// Where it cannot be started, takes longer than `limit`, or fails; one line for people.
pub fn answer(command: &mut Command, limit: Duration) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child = Child::start(command).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => format!("{name} is not installed here"),
        _ => format!("starting {name}: {error}"),
    })?;
    let deadline = Instant::now() + limit;
    let (mut text, mut complaint) = (String::new(), String::new());
    loop {
        match child.next(Duration::from_millis(100)) {
            Next::Line(Line::Stdout(line)) => text = text + &line + "\n",
            Next::Line(Line::Stderr(line)) => complaint = line,
            Next::End => break,
            Next::Pause if Instant::now() < deadline => {}
            Next::Pause => return Err(format!("{name} did not answer within {limit:?}")),
        }
    }
    match child.status() {
        Some(status) if status.success() => Ok(text),
        Some(status) => Err(format!("{name} failed ({status}): {complaint}")),
        None => Err(format!("{name} does not end")),
    }
}

fn forward(pipe: impl Read + Send + 'static, line: fn(String) -> Line, to: SyncSender<Line>) {
    thread::spawn(move || {
        let mut reader = BufReader::new(pipe);
        loop {
            let mut bytes = Vec::new();
            let read = (&mut reader)
                .take(MAX_LINE_BYTES)
                .read_until(b'\n', &mut bytes);
            if !matches!(read, Ok(1..)) {
                return;
            }
            let text = String::from_utf8_lossy(&bytes);
            if to.send(line(text.trim_end().to_owned())).is_err() {
                return;
            }
        }
    });
}

/// Asks the kernel to kill the process when the thread that starts it ends.
pub fn die_with_this_thread(command: &mut Command) {
    let harness = getpid();
    let prepare = move || {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // The harness may have died before the kernel was asked.
        if getppid() != Some(harness) {
            return Err(io::Error::from_raw_os_error(
                rustix::io::Errno::SRCH.raw_os_error(),
            ));
        }
        Ok(())
    };
    // SAFETY: between fork and exec only async-signal-safe calls are allowed. `prepare` makes two
    // system calls without libc, and neither allocates, locks nor unwinds.
    unsafe { command.pre_exec(prepare) };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn an_answer_is_what_stdout_said() {
        let limit = Duration::from_secs(20);
        assert_eq!(answer(&mut sh("echo a; echo b"), limit).unwrap(), "a\nb\n");
        let failed = answer(&mut sh("echo no such thing >&2; exit 3"), limit).unwrap_err();
        assert_eq!(failed, "sh failed (exit status: 3): no such thing");
        let missing = answer(&mut Command::new("no-such-program"), limit).unwrap_err();
        assert_eq!(missing, "no-such-program is not installed here");
    }

    #[test]
    fn what_does_not_end_is_killed_with_what_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().join("mark");
        let script = format!("(sleep 1; touch {}) & sleep 987", mark.display());
        let limit = Duration::from_millis(200);
        let slow = answer(&mut sh(&script), limit).unwrap_err();
        assert_eq!(slow, "sh did not answer within 200ms");
        thread::sleep(Duration::from_millis(1300));
        assert!(!mark.exists());
    }
}
