//! In: the two tables of a folder, however their last writer ended. Out: both open and brought back to
//! the last commit, with what was cut off or added in words. Knows neither runs nor locks.

use crate::table::append::AppendFile;
use crate::table::csv::{self, Header};
use crate::table::samples::{self, SampleHeader};
use crate::table::{Key, RepeatRow, TableError};
use std::collections::HashSet;
use std::path::Path;

/// Opens the table of repeats: cut to its last whole row, with every column of `wanted`.
pub(super) fn open_repeats(
    path: &Path,
    wanted: Header,
    notices: &mut Vec<String>,
) -> Result<(AppendFile, Header, Vec<RepeatRow>), TableError> {
    let mut file = AppendFile::open(path)?;
    let parsed = csv::parse(path, &file.read_all()?)?;
    cut_and_tell(
        &mut file,
        parsed.whole as u64,
        "a row that was not written to its end",
        notices,
    )?;
    let Some(found) = parsed.header else {
        file.append(&csv::line(wanted.names()))?;
        return Ok((file, wanted, parsed.rows));
    };
    let missing: Vec<&str> = wanted
        .names()
        .filter(|name| found.names().all(|n| n != *name))
        .collect();
    if missing.is_empty() {
        return Ok((file, found, parsed.rows));
    }
    add_and_tell(&mut file, &missing, notices)?;
    let header = found.with(&missing);
    Ok((file, header, parsed.rows))
}

/// Opens the timings and cuts those of a repeat off that has no row, since its writing was interrupted.
pub(super) fn open_samples(
    path: &Path,
    keys: &HashSet<Key>,
    notices: &mut Vec<String>,
) -> Result<(AppendFile, SampleHeader), TableError> {
    let mut file = AppendFile::open(path)?;
    let whole = file.length_to_last(0, |_| true)?;
    cut_and_tell(
        &mut file,
        whole,
        "a line that was not written to its end",
        notices,
    )?;
    if whole == 0 {
        file.append(&csv::line(samples::columns().iter()))?;
    }
    let (header, start) = samples::read_header(path)?;
    let mut tail = Tail {
        keys,
        orphan: None,
        broken: false,
    };
    let committed = file.length_to_last(start, |line| tail.ends_before(header.key(line)))?;
    if tail.broken {
        let problem = "it ends with timings of repeats that repeats.csv does not have: bring \
                       repeats.csv back, or move this file away";
        return Err(TableError::State {
            path: path.to_owned(),
            problem: problem.to_owned(),
        });
    }
    cut_and_tell(
        &mut file,
        committed,
        "timings of a repeat that has no row",
        notices,
    )?;
    let missing = header.missing();
    if missing.is_empty() {
        return Ok((file, header));
    }
    add_and_tell(&mut file, &missing, notices)?;
    Ok((file, samples::read_header(path)?.0))
}

/// The lines at the end of the timings that an interrupted write can have left there: all of one
/// repeat, of which the last may lack fields.
struct Tail<'a> {
    keys: &'a HashSet<Key>,
    /// The repeat; its key is none for the last line when that lacks fields.
    orphan: Option<Option<Key>>,
    /// True when there is more than an interrupted write explains: it must not be cut off.
    broken: bool,
}

impl Tail<'_> {
    /// Looks at the next line from the end; true when it is not part of the tail any more.
    fn ends_before(&mut self, key: Option<Key>) -> bool {
        if key.as_ref().is_some_and(|key| self.keys.contains(key)) {
            return true;
        }
        self.broken = match &self.orphan {
            None => false,
            Some(None) => key.is_none(),
            Some(orphan) => *orphan != key,
        };
        self.orphan = Some(key);
        self.broken
    }
}

/// Cuts what follows `length` off, and says so: nothing goes silently.
fn cut_and_tell(
    file: &mut AppendFile,
    length: u64,
    what: &str,
    notices: &mut Vec<String>,
) -> Result<(), TableError> {
    let lost = file.length() - length;
    if lost > 0 {
        file.cut(length)?;
        notices.push(format!(
            "{}: cut off {what} ({lost} bytes)",
            file.path().display()
        ));
    }
    Ok(())
}

fn add_and_tell(
    file: &mut AppendFile,
    missing: &[&str],
    notices: &mut Vec<String>,
) -> Result<(), TableError> {
    file.add_columns(missing)?;
    notices.push(format!(
        "{}: added columns {}",
        file.path().display(),
        missing.join(", ")
    ));
    Ok(())
}
