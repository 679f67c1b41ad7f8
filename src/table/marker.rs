//! In: a result folder. Out: which run this checkout is measuring there. The marker is not committed:
//! a checkout without one has rows of others only, and starts a run of its own.

use super::TableError;
use super::replace::replace_file;
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::io::ErrorKind;
use std::path::Path;

/// One run: its number in the folder, and a token that no other checkout's run of that number has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Marker {
    pub run: u32,
    pub token: String,
}

impl Marker {
    /// A marker of a run that nobody has measured yet.
    pub fn fresh(run: u32) -> Self {
        // Keys of a `RandomState` come from the system's random numbers.
        let token = RandomState::new().hash_one((run, std::process::id()));
        Self {
            run,
            token: format!("{token:016x}"),
        }
    }

    /// The folder's marker; none where there is none.
    ///
    /// # Errors
    /// The file cannot be read or is no marker.
    pub fn read(folder: &Path) -> Result<Option<Self>, TableError> {
        let path = folder.join(".run");
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            text => text.map_err(TableError::io("read the run marker", &path))?,
        };
        match text.split_whitespace().collect::<Vec<_>>()[..] {
            ["run", run, "token", token] if run.parse::<u32>().is_ok_and(|run| run > 0) => {
                let run = run.parse().expect("the guard parsed it");
                Ok(Some(Self {
                    run,
                    token: token.to_owned(),
                }))
            }
            _ => {
                let problem = "this is no run marker: delete it to start a new run".to_owned();
                Err(TableError::State { path, problem })
            }
        }
    }

    /// Puts the marker into the folder, all of it or none.
    pub fn write(&self, folder: &Path) -> Result<(), TableError> {
        let text = format!("run {}\ntoken {}\n", self.run, self.token);
        replace_file(&folder.join(".run"), text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_reads_back_and_its_token_is_its_own() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Marker::read(folder.path()).unwrap(), None);
        let marker = Marker::fresh(3);
        marker.write(folder.path()).unwrap();
        assert_eq!(Marker::read(folder.path()).unwrap(), Some(marker.clone()));
        assert_ne!(marker, Marker::fresh(3));
    }

    #[test]
    fn a_damaged_marker_is_not_guessed_at() {
        let folder = tempfile::tempdir().unwrap();
        for text in ["", "run", "run x token y", "run 0 token y", "run 1 token"] {
            fs::write(folder.path().join(".run"), text).unwrap();
            let message = Marker::read(folder.path()).unwrap_err().to_string();
            assert!(
                message.contains("delete it to start a new run"),
                "{text:?}: {message}"
            );
        }
    }
}
