//! One role's process. In: a program and what it may use. Out: its messages on a channel, and a
//! handle that writes to it and kills it with everything it started. Does not know the protocol.

use super::events::{self, Message};
use crate::flavour::{Program, die_with_this_thread, settings_of_experiments};
use rustix::process::{Pid, Signal};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::mpsc::{self, Sender};
use tokio::task::AbortHandle;

/// So much of a log's end is shown in the reason of a failure.
const TAIL_BYTES: u64 = 300;
const TAIL_LINES: usize = 3;

/// Variables that change what GPUs compute or how fast, whatever the settings of a cell say.
const CHANGES_GPUS: [&str; 2] = ["CUDA_LAUNCH_BLOCKING", "NVIDIA_TF32_OVERRIDE"];

/// What a process is started with.
#[derive(Clone, Copy, Debug)]
pub struct Launch<'a> {
    pub program: &'a Program,
    /// Its number among all processes of the repeat.
    pub index: usize,
    /// Threads that each of its thread pools may have.
    pub threads: usize,
    /// UUIDs of the GPUs that it may see, separated by commas; most processes may see none.
    pub gpus: &'a str,
    /// stderr is appended to this file.
    pub log: &'a Path,
}

/// A process that was started, and the group that it leads.
#[derive(Debug)]
pub struct Process {
    /// Its number is also the process's.
    pub group: Pid,
    lines: mpsc::UnboundedSender<String>,
    reader: AbortHandle,
    log: PathBuf,
    log_start: u64,
}

impl Process {
    /// Starts `xrun worker`. Its messages come with its index; the last is `Message::Exited`.
    pub fn spawn(launch: &Launch<'_>, to: &Sender<(usize, Message)>) -> io::Result<Self> {
        let log = open_log(launch.log)?;
        let log_start = log.metadata()?.len();
        let mut child = command(launch, log).spawn()?;
        let id = child.id().and_then(|id| Pid::from_raw(id as i32));
        let stdin = child.stdin.take().expect("stdin is piped");
        let stdout = child.stdout.take().expect("stdout is piped");
        let (lines, received) = mpsc::unbounded_channel();
        tokio::spawn(write(stdin, received));
        let reader = tokio::spawn(events::forward(stdout, launch.index, to.clone()));
        tokio::spawn(wait(child, launch.index, to.clone()));
        Ok(Self {
            group: id.expect("a process that was not waited for has a number"),
            lines,
            reader: reader.abort_handle(),
            log: launch.log.to_owned(),
            log_start,
        })
    }

    /// Writes one line to its stdin, without waiting until it is read.
    pub fn send(&self, line: String) {
        // A process that is gone cannot be told anything; its exit status tells the rest.
        let _ = self.lines.send(line + "\n");
    }

    /// Sends a signal to the whole group. A group that is gone needs none.
    pub fn signal(&self, signal: Signal) {
        let _ = rustix::process::kill_process_group(self.group, signal);
    }

    /// Stops reading its stdout, which something that it started may hold open.
    pub fn stop_reading(&self) {
        self.reader.abort();
    }

    /// How many processes of the group run, zombies apart.
    pub fn members(&self) -> usize {
        // A look at one group is cheap, and one at all processes is not.
        match rustix::process::test_kill_process_group(self.group) {
            Ok(()) => running_members(self.group),
            Err(_) => 0,
        }
    }

    /// Kills what is left of the group after its leader has exited, and says how many that were.
    pub fn kill_leftovers(&self) -> usize {
        let left = self.members();
        if left > 0 {
            self.signal(Signal::KILL);
        }
        left
    }

    /// The last lines that this process wrote to stderr, as one line; empty where it wrote none.
    pub fn stderr_tail(&self) -> String {
        tail(&self.log, self.log_start).unwrap_or_default()
    }

    /// Nothing more is wanted from it: stops reading, and removes a log that it never wrote to.
    pub fn let_go(&self) {
        self.stop_reading();
        if fs::metadata(&self.log).is_ok_and(|log| log.len() == 0) {
            // It may as well stay.
            let _ = fs::remove_file(&self.log);
        }
    }
}

fn open_log(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    OpenOptions::new().create(true).append(true).open(path)
}

fn command(launch: &Launch<'_>, log: File) -> Command {
    let threads = launch.threads.to_string();
    let mut command = Command::new(launch.program.executable());
    command
        .arg0("xrun")
        .arg("worker")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(log)
        .process_group(0)
        .kill_on_drop(true)
        // candle's own pool is shared by all replicas of a process and must stay unused.
        .env("CANDLE_NUM_THREADS", "1")
        .env("RAYON_NUM_THREADS", &threads)
        .env("OMP_NUM_THREADS", &threads)
        .env("MKL_NUM_THREADS", &threads)
        .env("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
        .env("CUDA_VISIBLE_DEVICES", launch.gpus);
    // A worker must learn of settings from its job alone.
    for name in settings_of_experiments() {
        command.env_remove(name);
    }
    for name in CHANGES_GPUS {
        command.env_remove(name);
    }
    die_with_this_thread(command.as_std_mut());
    command
}

/// Ends, and with it the process's stdin, when the handle is dropped or the process is gone.
async fn write(mut stdin: ChildStdin, mut lines: mpsc::UnboundedReceiver<String>) {
    while let Some(line) = lines.recv().await {
        if stdin.write_all(line.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn wait(mut child: Child, index: usize, to: Sender<(usize, Message)>) {
    let status = child.wait().await;
    // Nobody listens any more when the repeat was given up.
    let _ = to.send((index, Message::Exited(status))).await;
}

/// Members of a process group that are not zombies.
pub fn running_members(group: Pid) -> usize {
    let Ok(entries) = fs::read_dir("/proc") else {
        return 0;
    };
    let stats = entries.flatten().filter_map(|entry| {
        let number: u32 = entry.file_name().to_str()?.parse().ok()?;
        fs::read_to_string(format!("/proc/{number}/stat")).ok()
    });
    stats.filter(|stat| runs_in(stat, group)).count()
}

/// Reads `number (name) state parent group …`; the name may hold anything.
fn runs_in(stat: &str, group: Pid) -> bool {
    let Some((_, fields)) = stat.rsplit_once(')') else {
        return false;
    };
    let fields: Vec<&str> = fields.split_whitespace().take(3).collect();
    let group = group.as_raw_nonzero().to_string();
    matches!(fields[..], [state, _, own] if !matches!(state, "Z" | "X") && own == group)
}

fn tail(log: &Path, start: u64) -> io::Result<String> {
    let mut file = File::open(log)?;
    let end = file.metadata()?.len();
    file.seek(SeekFrom::Start(start.max(end.saturating_sub(TAIL_BYTES))))?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let last = lines[lines.len().saturating_sub(TAIL_LINES)..].join(" | ");
    Ok(last.chars().filter(|c| !c.is_control()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn members_of_a_group_are_found_whatever_their_name() {
        let group = Pid::from_raw(42).unwrap();
        assert!(runs_in("7 (a) b) (c) S 1 42 42 0", group));
        assert!(!runs_in("7 (a 42 42 42) S 1 43 42 0", group));
        assert!(!runs_in("7 (a) Z 1 42 42 0", group));
        assert!(!runs_in("", group));
    }

    #[test]
    fn the_tail_is_the_last_lines_of_this_process_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("logs/a.log");
        let mut log = open_log(&path).unwrap();
        writeln!(log, "earlier").unwrap();
        let start = log.metadata().unwrap().len();
        assert_eq!(tail(&path, start).unwrap(), "");
        writeln!(log, "one\n\n two\x1b[1m\nthree\nfour").unwrap();
        assert_eq!(tail(&path, start).unwrap(), "two[1m | three | four");
        write!(log, "{}", "x".repeat(5000)).unwrap();
        assert_eq!(tail(&path, start).unwrap().len(), TAIL_BYTES as usize);
    }
}
