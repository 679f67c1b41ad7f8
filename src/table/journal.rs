//! In: the rows of finished repeats, one after the other. Out: a result folder to which they are
//! added such that an end at any moment, even by `kill -9`, neither loses nor doubles a row. Knows
//! neither what is measured next nor why.
//!
//! A repeat's timings are written first and its row of `repeats.csv` last: that row is the commit.
//! Opening a folder brings it back to its last commit. Rows are with the system when `append` returns
//! and survive the end of the process; only a loss of power may still take the newest ones.

mod recover;

use super::append::AppendFile;
use super::csv::Header;
use super::lock::FolderLock;
use super::marker::Marker;
use super::samples::SampleHeader;
use super::{Key, RepeatRow, SampleRow, TableError};
use recover::{open_repeats, open_samples};
use std::collections::HashSet;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

/// What is this checkout's alone and not committed.
const IGNORED: [&str; 4] = ["/logs/", "/.run", "/.lock", "/.*.new"];

/// How a result folder is to be opened.
#[derive(Clone, Copy, Debug)]
pub struct Opening<'a> {
    /// Keys of all settings, in the order of their list.
    pub setting_keys: &'a [&'a str],
    /// Names of zip axes.
    pub axes: &'a [&'a str],
    /// What others are told who find the folder locked: the experiment's name.
    pub purpose: &'a str,
    /// Start a new run, even where there is one to continue.
    pub new_run: bool,
}

/// A result folder that this process alone adds rows to.
pub struct Journal {
    marker: Marker,
    header: Header,
    sample_header: SampleHeader,
    repeats: AppendFile,
    samples: AppendFile,
    rows: Vec<RepeatRow>,
    keys: HashSet<Key>,
    notices: Vec<String>,
    _lock: FolderLock,
}

impl Journal {
    /// Locks the folder, which is made where it is missing, brings it back to its last commit, and
    /// continues the run that its marker names. Without a marker it starts the run after the last one
    /// in the table.
    ///
    /// # Errors
    /// [`TableError::Locked`] while another process has it open; anything that cannot be read, so that
    /// rows would be added to a table that is not understood.
    pub fn open(folder: &Path, opening: &Opening) -> Result<Self, TableError> {
        let wanted = Header::wanted(opening.setting_keys, opening.axes)?;
        make_folder(folder)?;
        let lock = FolderLock::acquire(folder, opening.purpose)?;
        ignore_own_files(folder)?;
        let mut notices = Vec::new();
        let (repeats, header, rows) =
            open_repeats(&folder.join("repeats.csv"), wanted, &mut notices)?;
        let keys = unique_keys(repeats.path(), &rows)?;
        let (samples, sample_header) =
            open_samples(&folder.join("samples.csv"), &keys, &mut notices)?;
        let marker = choose_run(folder, &rows, opening.new_run, &mut notices)?;
        Ok(Self {
            marker,
            header,
            sample_header,
            repeats,
            samples,
            rows,
            keys,
            notices,
            _lock: lock,
        })
    }

    /// The number of the present run: rows that are appended must carry it.
    pub fn run(&self) -> u32 {
        self.marker.run
    }

    /// Every row of the folder, those appended since it was opened included.
    pub fn rows(&self) -> &[RepeatRow] {
        &self.rows
    }

    /// Rows of the present run.
    pub fn present(&self) -> impl Iterator<Item = &RepeatRow> {
        self.rows.iter().filter(|row| row.key.run == self.run())
    }

    /// Rows of other runs: of this checkout's past, or measured by others.
    pub fn references(&self) -> impl Iterator<Item = &RepeatRow> {
        self.rows.iter().filter(|row| row.key.run != self.run())
    }

    /// What opening had to put right, as sentences for people.
    pub fn notices(&self) -> &[String] {
        &self.notices
    }

    /// Adds one repeat: its timings, then its row. When this returns without an error the row is safe
    /// from the end of the process; with an error nothing of the repeat is in the folder.
    ///
    /// # Errors
    /// The disk is full or the like; earlier rows are intact. [`TableError::Refused`] for a row that is
    /// not of the present run, has a key that was used before, or samples of another row.
    pub fn append(&mut self, row: &RepeatRow, samples: &[SampleRow]) -> Result<(), TableError> {
        self.check(row, samples)?;
        let mut row = row.clone();
        row.provenance.run_token.clone_from(&self.marker.token);
        let line = self.header.encode(&row)?;
        let mut lines = String::new();
        for sample in samples {
            self.sample_header.encode(sample, &mut lines);
        }
        let before = self.samples.length();
        if !lines.is_empty() {
            self.samples.append(lines.as_bytes())?;
        }
        if let Err(error) = self.repeats.append(&line) {
            self.samples.cut(before)?;
            return Err(error);
        }
        self.keys.insert(row.key.clone());
        self.rows.push(row);
        Ok(())
    }

    fn check(&self, row: &RepeatRow, samples: &[SampleRow]) -> Result<(), TableError> {
        let Key { run, cell, repeat } = &row.key;
        let problem = if *run != self.run() {
            format!(
                "it is of run {run}, and run {} is being measured",
                self.run()
            )
        } else if self.keys.contains(&row.key) {
            format!("repeat {repeat} of cell {cell} is already there")
        } else if cell.is_empty() || !cell.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            format!("cell id `{cell}` is not of letters and digits")
        } else if samples.iter().any(|sample| sample.key != row.key) {
            format!("samples of another repeat than {repeat} of cell {cell} came with it")
        } else {
            return Ok(());
        };
        Err(TableError::Refused(format!("row not written: {problem}")))
    }
}

fn make_folder(folder: &Path) -> Result<(), TableError> {
    let occupied = |part: &&Path| part.symlink_metadata().is_ok() && !part.is_dir();
    if let Some(part) = folder.ancestors().find(occupied) {
        let problem = format!(
            "a file is where a folder of results must be: move it away, or write {} elsewhere \
             with --results",
            folder.display()
        );
        return Err(TableError::State {
            path: part.to_owned(),
            problem,
        });
    }
    fs::create_dir_all(folder).map_err(TableError::io("make the folder", folder))
}

/// Writes the folder's `.gitignore`, or adds what one of an older version lacks.
fn ignore_own_files(folder: &Path) -> Result<(), TableError> {
    let path = folder.join(".gitignore");
    let failed = |error: io::Error| TableError::io("write", &path)(error);
    let mut text = match fs::read_to_string(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        text => text.map_err(failed)?,
    };
    let missing: Vec<_> = IGNORED
        .iter()
        .filter(|line| text.lines().all(|l| l != **line))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    missing.iter().for_each(|line| text.extend([line, "\n"]));
    fs::write(&path, text).map_err(failed)
}

/// The keys of all rows. Runs of two checkouts may have one number; within a run no key stands twice.
fn unique_keys(path: &Path, rows: &[RepeatRow]) -> Result<HashSet<Key>, TableError> {
    let mut seen = HashSet::new();
    if let Some(row) = rows
        .iter()
        .find(|row| !seen.insert((&row.key, &row.provenance.run_token)))
    {
        let Key { run, cell, repeat } = &row.key;
        let problem = format!(
            "run {run}, cell {cell}, repeat {repeat} stands twice: delete one of the two rows"
        );
        return Err(TableError::State {
            path: path.to_owned(),
            problem,
        });
    }
    Ok(rows.iter().map(|row| row.key.clone()).collect())
}

/// The run to measure: the marker's, or else the one after the last, which is then marked.
fn choose_run(
    folder: &Path,
    rows: &[RepeatRow],
    new_run: bool,
    notices: &mut Vec<String>,
) -> Result<Marker, TableError> {
    let found = Marker::read(folder)?;
    if let Some(marker) = found.as_ref().filter(|_| !new_run) {
        let of_run = |row: &&RepeatRow| row.key.run == marker.run;
        if rows
            .iter()
            .filter(of_run)
            .all(|row| row.provenance.run_token == marker.token)
        {
            return Ok(marker.clone());
        }
        notices.push(format!(
            "{}: run {} has rows of another checkout, so a new run starts",
            folder.display(),
            marker.run
        ));
    }
    let last = rows
        .iter()
        .map(|row| row.key.run)
        .chain(found.map(|marker| marker.run))
        .max();
    let fresh = Marker::fresh(last.unwrap_or(0).saturating_add(1));
    fresh.write(folder)?;
    Ok(fresh)
}
