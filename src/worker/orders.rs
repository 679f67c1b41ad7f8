//! The pipe down: the job, then commands. The end of stdin means that the harness is gone, and with
//! it every reason to go on.

use crate::protocol::{Command, Job};
use anyhow::{Context, Result, bail};
use rustix::process::{Signal, getpgrp, getpid, kill_current_process_group};
use std::io::BufRead;
use std::sync::mpsc::{Receiver, channel};

/// Lines of stdin, read by a thread of their own so that their end is noticed at any time.
pub struct Orders {
    lines: Receiver<String>,
}

impl Orders {
    pub fn listen() -> Self {
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in std::io::stdin()
                .lock()
                .lines()
                .map_while(std::result::Result::ok)
            {
                // The receiver may be gone after `Start`; the end of stdin still has to be seen.
                let _ = sender.send(line);
            }
            end_with_the_harness()
        });
        Self { lines }
    }

    /// The first line.
    pub fn job(&mut self) -> Result<Job> {
        let line = self.next()?;
        serde_json::from_str(&line)
            .context("reading the job: the harness is of another version or this is no harness")
    }

    /// Waits for the harness to say that every process is ready, and at which addresses. The harness
    /// bounds the wait.
    pub fn start(&mut self) -> Result<Vec<String>> {
        let line = self.next()?;
        match serde_json::from_str(&line).context("reading a command")? {
            Command::Start { peers } => Ok(peers),
        }
    }

    fn next(&mut self) -> Result<String> {
        match self.lines.recv() {
            Ok(line) => Ok(line),
            Err(_) => bail!("stdin ended before the harness said what to do"),
        }
    }
}

/// Kills this process and, where it leads its group as under a harness, all that it has started.
fn end_with_the_harness() -> ! {
    if getpgrp() == getpid() {
        let _ = kill_current_process_group(Signal::KILL);
    }
    std::process::exit(1)
}
