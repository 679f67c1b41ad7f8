//! In: a path. Out: a lock that one process holds while it lives, or a message that says who holds it.
//! The system drops the lock when its holder ends, however it ends. Knows no tables.

use super::TableError;
use std::fs::{File, OpenOptions, Permissions, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Where measurements of a whole machine meet, whoever runs them and wherever their results go.
pub const MACHINE_LOCK: &str = "/tmp/xrun-machine.lock";

const OPENING: &str = "open the lock";

/// The only one who writes into a result folder, until it is dropped.
#[derive(Debug)]
pub(super) struct FolderLock(#[expect(dead_code, reason = "held, not read")] Held);

impl FolderLock {
    pub fn acquire(folder: &Path, purpose: &str) -> Result<Self, TableError> {
        let path = folder.join(".lock");
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path);
        let file = file.map_err(TableError::io(OPENING, &path))?;
        let advice = "wait until it is done, or choose another folder with --results";
        lock(file, &path, folder.display().to_string(), purpose, advice).map(Self)
    }
}

/// A claim on this machine until it is dropped: to measure alone, since two at a time disturb each
/// other, or beside others.
#[derive(Debug)]
pub struct MachineLock(#[expect(dead_code, reason = "held, not read")] Option<Held>);

/// A locked file.
#[derive(Debug)]
struct Held(File);

impl Drop for Held {
    /// Closing alone would leave the lock to a process that is being started at this moment and has
    /// not let go of its copies of our files yet. An error leaves it to the end of this process.
    fn drop(&mut self) {
        _ = self.0.unlock();
    }
}

impl MachineLock {
    /// Takes the lock at `path`, usually [`MACHINE_LOCK`], for all users of the machine. `purpose` is
    /// what another process is told: the name of the experiment.
    ///
    /// # Errors
    /// [`TableError::Locked`] while another process measures; nothing is waited for.
    pub fn acquire(path: &Path, purpose: &str) -> Result<Self, TableError> {
        let advice = Some("let its owner delete it, or measure beside others with --share-machine");
        let file = open_shared(path).map_err(TableError::io_with(OPENING, path, advice))?;
        let advice = "wait until it is done, or measure beside it with --share-machine, \
                      which marks the rows";
        let held = lock(file, path, "this machine".to_owned(), purpose, advice)?;
        Ok(Self(Some(held)))
    }

    /// Measures beside others. Whoever wants the machine for itself later is refused until the last
    /// sharer is done, and told of the newest one. While somebody has it for itself, or where the lock
    /// cannot be opened, there is no claim and others are not told.
    ///
    /// # Errors
    /// A lock that can be opened but not taken or written.
    pub fn share(path: &Path, purpose: &str) -> Result<Self, TableError> {
        let Ok(mut file) = open_shared(path) else {
            return Ok(Self(None));
        };
        match file.try_lock_shared() {
            Ok(()) => {
                sign(&mut file, &format!("{purpose} beside others"))
                    .map_err(TableError::io("write the lock", path))?;
                Ok(Self(Some(Held(file))))
            }
            Err(TryLockError::WouldBlock) => Ok(Self(None)),
            Err(TryLockError::Error(error)) => Err(TableError::io("lock", path)(error)),
        }
    }
}

/// Opens a file that users share in a folder such as `/tmp`. A file that is there is opened without
/// `O_CREAT`, which the kernel denies for another user's file (`fs.protected_regular`).
fn open_shared(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(true)
        .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits() as i32);
    loop {
        match options.open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            opened => return opened,
        }
        match options.clone().create_new(true).mode(0o666).open(path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
            Ok(file) => {
                // The umask took bits away that other users need.
                file.set_permissions(Permissions::from_mode(0o666))?;
                return Ok(file);
            }
        }
    }
}

fn lock(
    mut file: File,
    path: &Path,
    subject: String,
    purpose: &str,
    advice: &'static str,
) -> Result<Held, TableError> {
    match file.try_lock() {
        Ok(()) => {
            sign(&mut file, purpose).map_err(TableError::io("write the lock", path))?;
            Ok(Held(file))
        }
        Err(TryLockError::WouldBlock) => Err(TableError::Locked {
            subject,
            holder: holder(&mut file),
            advice,
        }),
        Err(TryLockError::Error(error)) => Err(TableError::io("lock", path)(error)),
    }
}

/// Leaves in the file who holds it, for the message of the next one.
fn sign(file: &mut File, purpose: &str) -> io::Result<()> {
    let since = jiff::Timestamp::from_second(jiff::Timestamp::now().as_second())
        .map_err(io::Error::other)?;
    let text = format!(
        "process {}, which measures {purpose} since {since}\n",
        std::process::id()
    );
    file.rewind()?;
    file.write_all(text.as_bytes())?;
    file.set_len(text.len() as u64)
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    let read = file.take(1000).read_to_string(&mut text);
    match (read, text.lines().next()) {
        (Ok(_), Some(line)) => line.to_owned(),
        _ => "another process".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_one_is_told_who_holds_the_machine() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("machine.lock");
        let first = MachineLock::acquire(&path, "cifar_scaling").unwrap();
        let message = MachineLock::acquire(&path, "smoke")
            .unwrap_err()
            .to_string();
        let expected = format!(
            "this machine is in use by process {}, which measures cifar_scaling since 20",
            std::process::id()
        );
        assert!(message.starts_with(&expected), "{message}");
        assert!(message.ends_with("which marks the rows"), "{message}");
        drop(first);
        MachineLock::acquire(&path, "smoke").unwrap();
    }

    #[test]
    fn sharers_do_not_exclude_each_other_but_one_who_measures_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("machine.lock");
        let first = MachineLock::share(&path, "cifar_scaling").unwrap();
        let second = MachineLock::share(&path, "zoo").unwrap();
        drop(first);
        let message = MachineLock::acquire(&path, "smoke")
            .unwrap_err()
            .to_string();
        let expected = format!(
            "this machine is in use by process {}, which measures zoo beside others since 20",
            std::process::id()
        );
        assert!(message.starts_with(&expected), "{message}");
        drop(second);
        let alone = MachineLock::acquire(&path, "smoke").unwrap();
        drop(MachineLock::share(&path, "zoo").unwrap());
        let message = MachineLock::acquire(&path, "b").unwrap_err().to_string();
        assert!(message.contains("measures smoke since"), "{message}");
        drop(alone);
    }

    #[test]
    fn who_shares_needs_no_lock_that_can_be_opened() {
        let folder = tempfile::tempdir().unwrap();
        MachineLock::share(&folder.path().join("none/lock"), "a").unwrap();
    }

    #[test]
    fn every_user_may_take_the_machine_lock_after_another() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("machine.lock");
        drop(MachineLock::acquire(&path, "a").unwrap());
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o666);
    }

    #[test]
    fn a_lock_never_writes_through_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (target, link) = (folder.path().join("precious"), folder.path().join("lock"));
        std::fs::write(&target, "precious").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        let message = MachineLock::acquire(&link, "a").unwrap_err().to_string();
        assert!(message.starts_with("cannot open the lock "), "{message}");
        assert_eq!(std::fs::read(&target).unwrap(), b"precious");
    }
}
