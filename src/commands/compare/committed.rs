//! In: a commit and a path. Out: the bytes that the file has there. Needs `git` on the path, and asks it
//! within bounds of time and size.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// A repository on a dead network drive must not hang a job.
const LIMIT: Duration = Duration::from_secs(30);
/// Far above any table of repeats, and below the memory of a small machine.
const MAX_BYTES: u64 = 1 << 28;

/// The content of a file at a commit of the repository that the current directory is in. As everywhere in
/// git, `path` is from the root of the repository unless it starts with `./`.
///
/// # Errors
/// In words: there is no such file or commit, or git does not answer.
pub fn committed_file(commit: &str, path: &Path) -> Result<Vec<u8>, String> {
    let name = format!("{commit}:{}", path.display());
    // `git` takes what starts so for an option.
    if name.starts_with('-') {
        return Err(format!("`{commit}` names no commit"));
    }
    let git = Command::new("git")
        .args(["cat-file", "blob", &name])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot start git to read {name}: {error}"))?;
    answer(git, LIMIT).map_err(|reason| format!("cannot read {name}: {reason}"))
}

/// What a process prints that succeeds in time, else the last line of its complaint. One that is not done
/// in time is killed.
fn answer(mut child: Child, limit: Duration) -> Result<Vec<u8>, String> {
    let streams = (child.stdout.take(), child.stderr.take());
    let (Some(stdout), Some(stderr)) = streams else {
        unreachable!("both streams are piped");
    };
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        // git complains in a line or two, which fit into the pipe while its output is read.
        let bytes = read(stdout);
        // Nobody may be waiting for it any more.
        let _ = sender.send((bytes, read(stderr)));
    });
    let received = receiver.recv_timeout(limit);
    if received.is_err() {
        // It may have ended by itself just now.
        let _ = child.kill();
    }
    let succeeded = child.wait().is_ok_and(|status| status.success());
    let (bytes, complaint) =
        received.map_err(|_| format!("git did not answer within {} s", limit.as_secs()))?;
    if succeeded {
        return Ok(bytes);
    }
    let complaint = String::from_utf8_lossy(&complaint);
    let last = complaint.lines().last().unwrap_or("git failed");
    Err(last.trim_start_matches("fatal: ").to_owned())
}

/// All that comes, or as much as is allowed; git then fails to write the rest.
fn read(stream: impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    // What came before an error is judged by the exit status.
    let _ = stream.take(MAX_BYTES).read_to_end(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Child {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    #[test]
    fn a_process_answers_complains_or_is_ended() {
        let seconds = Duration::from_secs;
        assert_eq!(answer(shell("printf ab"), seconds(30)), Ok(b"ab".to_vec()));
        let failed = answer(
            shell("echo a; echo fatal: no file >&2; exit 1"),
            seconds(30),
        );
        assert_eq!(failed, Err("no file".to_owned()));
        let slow = answer(shell("exec sleep 60"), Duration::from_millis(50));
        assert_eq!(slow, Err("git did not answer within 0 s".to_owned()));
    }

    #[test]
    fn what_is_no_commit_is_refused() {
        let refused = committed_file("--textconv", Path::new("a"));
        assert_eq!(refused, Err("`--textconv` names no commit".to_owned()));
    }
}
