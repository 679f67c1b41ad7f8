//! In: a path and what is to be in the file. Out: a file that has either all of it or what it had
//! before. Knows no tables.

use super::TableError;
use std::fs::{self, File};
use std::io::{BufWriter, IntoInnerError, Write};
use std::path::{Path, PathBuf};

/// Gives the file these contents, or leaves it as it was.
///
/// # Errors
/// Whatever keeps the file from being written; nothing else is left behind then.
pub(crate) fn replace_file(path: &Path, bytes: &[u8]) -> Result<(), TableError> {
    replace_with(path, |new| {
        new.write_all(bytes).map_err(TableError::io("write", path))
    })
}

/// As [`replace_file`], for contents that are too large for the memory: `write` sends them.
pub(super) fn replace_with(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> Result<(), TableError>,
) -> Result<(), TableError> {
    let new = temporary(path);
    let replaced = write_new(&new, path, write)
        .and_then(|()| fs::rename(&new, path).map_err(TableError::io("replace", path)));
    if replaced.is_err() {
        // The first error is the one that matters.
        let _ = fs::remove_file(&new);
    }
    replaced
}

/// The name of a file that is not whole yet: `.gitignore` of a result folder has it.
fn temporary(path: &Path) -> PathBuf {
    let name = path.file_name().expect("a file has a name");
    let name = name.to_string_lossy();
    path.with_file_name(format!(".{}.new", name.trim_start_matches('.')))
}

fn write_new(
    new: &Path,
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> Result<(), TableError>,
) -> Result<(), TableError> {
    let failed = || TableError::io("write", path);
    let mut writer = BufWriter::new(File::create(new).map_err(failed())?);
    write(&mut writer)?;
    let file = writer
        .into_inner()
        .map_err(IntoInnerError::into_error)
        .map_err(failed())?;
    file.sync_all().map_err(failed())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names in a folder.
    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name();
        let mut names: Vec<_> = entries
            .map(|entry| name(entry).into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_gets_all_of_its_contents_and_no_other_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        for text in ["long contents", "short", ""] {
            replace_file(&path, text.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        assert_eq!(names(folder.path()), ["a.csv"]);
    }

    #[test]
    fn a_failure_leaves_what_was_there_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        fs::write(&path, "old").unwrap();
        let half = |new: &mut BufWriter<File>| {
            new.write_all(b"half").unwrap();
            Err(TableError::Refused("stop".to_owned()))
        };
        let message = replace_with(&path, half).unwrap_err().to_string();
        assert_eq!(message, "stop");
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        fs::create_dir(folder.path().join("b.csv")).unwrap();
        let message = replace_file(&folder.path().join("b.csv"), b"new").unwrap_err();
        assert!(message.to_string().contains("it is a folder: move it away"));
        assert_eq!(names(folder.path()), ["a.csv", "b.csv"]);
    }

    #[test]
    fn names_of_unfinished_files_are_ignored_by_git() {
        let of = |name: &str| temporary(&Path::new("folder").join(name));
        assert_eq!(of("a.csv"), Path::new("folder/.a.csv.new"));
        assert_eq!(of(".run"), Path::new("folder/.run.new"));
    }
}
