//! In: lines of bytes. Out: a file that always ends with its last whole line, or can be brought back
//! there. Knows no columns and no rows.

use super::TableError;
use super::csv::{line, line_error};
use super::replace::replace_with;
use ::csv::{ByteRecord, ReaderBuilder};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

/// How much of a file is looked at in one go when its end is searched.
const WINDOW: u64 = 1 << 20;

const FULL: &str = "every row before it is safe: make room and call xrun again";

/// A file that only grows, by whole lines, and whose length between two appends is known.
#[derive(Debug)]
pub(super) struct AppendFile {
    path: PathBuf,
    file: File,
    length: u64,
}

impl AppendFile {
    /// Opens the file, or makes an empty one.
    pub fn open(path: &Path) -> Result<Self, TableError> {
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(path);
        let file = file.map_err(TableError::io("open", path))?;
        let metadata = file.metadata().map_err(TableError::io("open", path))?;
        if !metadata.is_file() {
            let problem = "it is no plain file: move it away".to_owned();
            return Err(TableError::State {
                path: path.to_owned(),
                problem,
            });
        }
        Ok(Self {
            path: path.to_owned(),
            file,
            length: metadata.len(),
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn length(&self) -> u64 {
        self.length
    }

    pub fn read_all(&self) -> Result<Vec<u8>, TableError> {
        let mut bytes = Vec::new();
        (&self.file)
            .read_to_end(&mut bytes)
            .map_err(TableError::io("read", &self.path))?;
        Ok(bytes)
    }

    /// Adds whole lines with one call of the system. Where that fails half-way, the file is brought
    /// back to what it was.
    pub fn append(&mut self, lines: &[u8]) -> Result<(), TableError> {
        self.check_unchanged()?;
        if let Err(error) = self.file.write_all(lines) {
            self.cut(self.length)?;
            return Err(TableError::io_with(
                "append a row to",
                &self.path,
                Some(FULL),
            )(error));
        }
        self.length += lines.len() as u64;
        Ok(())
    }

    /// Cuts everything after `length` off.
    pub fn cut(&mut self, length: u64) -> Result<(), TableError> {
        self.file
            .set_len(length)
            .map_err(TableError::io("cut an unfinished row off", &self.path))?;
        self.length = length;
        Ok(())
    }

    /// Another program may have replaced or edited the file: a row must neither vanish in a file
    /// that no name leads to, nor land behind a line that is not whole.
    fn check_unchanged(&self) -> Result<(), TableError> {
        let same = |named: fs::Metadata| -> io::Result<bool> {
            let open = self.file.metadata()?;
            Ok((open.dev(), open.ino()) == (named.dev(), named.ino()) && open.len() == self.length)
        };
        if matches!(fs::metadata(&self.path).and_then(same), Ok(true)) {
            return Ok(());
        }
        let problem = "it was changed or replaced while rows were being added, so the last row was \
                       not written; call xrun again to continue from what is there now";
        Err(TableError::State {
            path: self.path.clone(),
            problem: problem.to_owned(),
        })
    }

    /// Looks at lines from the end backwards until `wanted` says yes, and returns the length of the
    /// file up to and including that line; `floor` where no line beyond it is wanted. A line without
    /// its newline is not looked at.
    pub fn length_to_last(
        &self,
        floor: u64,
        mut wanted: impl FnMut(&[u8]) -> bool,
    ) -> Result<u64, TableError> {
        let mut end = self.length;
        while end > floor {
            let start = end.saturating_sub(WINDOW).max(floor);
            let mut window = vec![0; (end - start) as usize];
            let read = self.file.read_exact_at(&mut window, start);
            read.map_err(TableError::io("read", &self.path))?;
            let mut rest = window.as_slice();
            while let Some(line_start) = last_line(rest, start == floor) {
                let line = &rest[line_start..];
                if line.ends_with(b"\n") && wanted(line) {
                    return Ok(start + rest.len() as u64);
                }
                rest = &rest[..line_start];
            }
            if rest.len() == window.len() {
                let problem = "its last line is longer than a megabyte: this is no table of xrun's";
                return Err(TableError::State {
                    path: self.path.clone(),
                    problem: problem.into(),
                });
            }
            end = start + rest.len() as u64;
        }
        Ok(floor)
    }

    /// Rewrites the file with `missing` columns behind the present ones, and opens the new file. The old
    /// one stays in place until the new one is whole on the disk.
    pub fn add_columns(&mut self, missing: &[&str]) -> Result<(), TableError> {
        replace_with(&self.path, |new| self.copy_with_columns(new, missing))?;
        *self = Self::open(&self.path)?;
        Ok(())
    }

    fn copy_with_columns(&self, to: &mut impl Write, missing: &[&str]) -> Result<(), TableError> {
        let failed = || TableError::io("rewrite for new columns", &self.path);
        let source = File::open(&self.path).map_err(TableError::io("read", &self.path))?;
        let mut reader = ReaderBuilder::new().has_headers(false).from_reader(source);
        let mut record = ByteRecord::new();
        let mut added: &[&str] = missing;
        let empty = vec![""; missing.len()];
        while reader
            .read_byte_record(&mut record)
            .map_err(|error| line_error(&self.path, 0, error))?
        {
            let fields = record
                .iter()
                .chain(added.iter().map(|field| field.as_bytes()));
            to.write_all(&line(fields)).map_err(failed())?;
            added = &empty;
        }
        Ok(())
    }
}

/// Where the last line of `bytes` starts; none when it may start before them.
fn last_line(bytes: &[u8], is_start: bool) -> Option<usize> {
    let (_, before) = bytes.split_last()?;
    match before.iter().rposition(|byte| *byte == b'\n') {
        Some(newline) => Some(newline + 1),
        None => is_start.then_some(0),
    }
}
