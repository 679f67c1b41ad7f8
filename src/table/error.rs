//! What can go wrong with a table, by what a caller can do about it.

use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why a table was not read or a row not written. The cause from the system is the error's source.
#[derive(Debug, Error)]
pub enum TableError {
    /// Another process measures here. Nothing was touched.
    #[error("{subject} is in use by {holder}; {advice}")]
    Locked {
        subject: String,
        holder: String,
        advice: &'static str,
    },
    /// One field of a table has no meaning.
    #[error("{}:{line}: column `{column}`: {problem}", path.display())]
    Field {
        path: PathBuf,
        line: u64,
        column: String,
        problem: String,
    },
    /// A line or the header of a table is not as a table's is.
    #[error("{}:{line}: {problem}", path.display())]
    Line {
        path: PathBuf,
        line: u64,
        problem: String,
    },
    /// The system refused something.
    #[error("cannot {action} {}{}", path.display(), after_semicolon(*advice))]
    Io {
        action: &'static str,
        path: PathBuf,
        advice: Option<&'static str>,
        source: io::Error,
    },
    /// The folder is not in a state that rows may be added to.
    #[error("{}: {problem}", path.display())]
    State { path: PathBuf, problem: String },
    /// The caller asked for what no table may have: an error in xrun itself.
    #[error("{0}")]
    Refused(String),
}

impl TableError {
    /// For `map_err`: what was being done to which file.
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        Self::io_with(action, path, None)
    }

    /// As [`io`](Self::io), with a next step where the kind of error has one of its own.
    pub(super) fn io_with(
        action: &'static str,
        path: &Path,
        advice: Option<&'static str>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| {
            let advice = match source.kind() {
                io::ErrorKind::IsADirectory => Some("it is a folder: move it away"),
                _ => advice,
            };
            Self::Io {
                action,
                path,
                advice,
                source,
            }
        }
    }
}

fn after_semicolon(advice: Option<&str>) -> String {
    advice
        .map(|advice| format!("; {advice}"))
        .unwrap_or_default()
}
