//! The revision of the repository that an experiment comes from. Needs `git` on the path; without
//! it, or outside a repository, there is no revision.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// A repository on a dead network drive must not hold up a run.
const LIMIT: Duration = Duration::from_secs(5);

/// The commit that `directory` is at, twelve digits, with `+` where tracked files have changed;
/// empty where git or a repository is missing, or git does not answer in time.
pub fn git_revision(directory: &Path) -> String {
    let git = Command::new("git")
        .arg("-C")
        .arg(directory)
        .args([
            "describe",
            "--always",
            "--abbrev=12",
            "--dirty=+",
            "--exclude=*",
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    git.ok().and_then(answer).unwrap_or_default()
}

/// The only line of a process that succeeds in time. One that does not is killed.
fn answer(mut child: Child) -> Option<String> {
    let mut stdout = child.stdout.take()?;
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut text = String::new();
        // A failed read leaves an empty answer, and nobody may be waiting for it any more.
        let _ = stdout.read_to_string(&mut text);
        let _ = sender.send(text);
    });
    let text = receiver.recv_timeout(LIMIT).ok();
    if text.is_none() {
        // It may have ended by itself just now.
        let _ = child.kill();
    }
    let succeeded = child.wait().is_ok_and(|status| status.success());
    text.filter(|_| succeeded)
        .map(|text| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn git(directory: &Path, arguments: &[&str]) {
        let identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-C"];
        let status = Command::new("git")
            .args(identity)
            .arg(directory)
            .args(arguments)
            .status();
        assert!(status.unwrap().success());
    }

    #[test]
    fn changes_are_marked_and_no_repository_is_no_revision() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(git_revision(folder.path()), "");
        git(folder.path(), &["init", "-q"]);
        std::fs::write(folder.path().join("a"), "1").unwrap();
        git(folder.path(), &["add", "a"]);
        git(folder.path(), &["commit", "-q", "-m", "a"]);
        git(folder.path(), &["tag", "v1"]);
        let clean = git_revision(folder.path());
        assert_eq!(clean.len(), 12);
        assert!(clean.chars().all(|c| c.is_ascii_hexdigit()));
        std::fs::write(folder.path().join("a"), "2").unwrap();
        assert_eq!(git_revision(folder.path()), format!("{clean}+"));
    }

    #[test]
    fn a_command_that_fails_has_no_answer() {
        let mut failing = Command::new("sh");
        failing
            .args(["-c", "echo words; exit 1"])
            .stdout(Stdio::piped());
        assert_eq!(answer(failing.spawn().unwrap()), None);
    }
}
