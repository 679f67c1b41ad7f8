//! In: [`RepeatRow`]s and the header of a file. Out: the bytes of `repeats.csv`, and rows read back
//! from them by header name. Knows no folder, lock or run, and writes no file.

use super::columns::{Column, LEADING, TRAILING, fixed};
use super::field::quoted;
use super::{RepeatRow, TableError};
use crate::terms::Outcome;
use ::csv::{ByteRecord, ReaderBuilder, Terminator, WriterBuilder};
use std::collections::HashSet;
use std::fs;
use std::path::Path;

/// True for a name that a zip axis cannot have, since a fixed column has it, or since a dot in it
/// makes it a setting's key.
pub fn is_reserved(name: &str) -> bool {
    name.is_empty() || name.contains('.') || fixed(name).is_some()
}

/// Every row of a `repeats.csv`, in the order of the file. A last line that was not written to its end
/// is no row and left out.
///
/// # Errors
/// The file cannot be read, or a line or field has no meaning: with path, line and column.
pub fn read_repeats(path: &Path) -> Result<Vec<RepeatRow>, TableError> {
    let bytes = fs::read(path).map_err(TableError::io("read", path))?;
    repeats_of(path, &bytes)
}

/// The same of bytes that are not in a file, such as those of a commit; `path` names them in errors.
///
/// # Errors
/// A line or field has no meaning.
pub fn repeats_of(path: &Path, bytes: &[u8]) -> Result<Vec<RepeatRow>, TableError> {
    Ok(parse(path, bytes)?.rows)
}

/// What a file's bytes say.
pub(super) struct Parsed {
    /// None where not even the header is whole.
    pub header: Option<Header>,
    pub rows: Vec<RepeatRow>,
    /// Length in bytes of the header and the rows; what follows was not written to its end.
    pub whole: usize,
}

/// Reads all whole rows. A last row without its newline, or with fields missing, is not whole.
pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<Parsed, TableError> {
    let mut whole = whole_records(bytes);
    let mut reader = ReaderBuilder::new()
        .flexible(true)
        .from_reader(&bytes[..whole]);
    let names = reader
        .byte_headers()
        .map_err(|error| line_error(path, 1, error))?;
    let mut parsed = Parsed {
        header: None,
        rows: Vec::new(),
        whole,
    };
    if names.is_empty() {
        return Ok(parsed);
    }
    let header = Header::read(path, names)?;
    check_quotes(path, &header, bytes, whole)?;
    let mut record = ByteRecord::new();
    while reader
        .read_byte_record(&mut record)
        .map_err(|error| line_error(path, 0, error))?
    {
        let start = record.position().map_or(0, |position| position.byte()) as usize;
        let is_last = reader.position().byte() as usize >= whole;
        if record.len() < header.len() && is_last {
            whole = start;
            break;
        }
        parsed.rows.push(header.decode(path, &record)?);
    }
    Ok(Parsed {
        header: Some(header),
        whole,
        ..parsed
    })
}

/// Length of `bytes` up to the last newline outside quotes. A quote within a plain field is text.
fn whole_records(bytes: &[u8]) -> usize {
    enum At {
        FieldStart,
        Plain,
        Quoted,
        /// Behind a quote that ends the field, or is the first of two that mean one.
        Quote,
    }
    let (mut whole, mut at) = (0, At::FieldStart);
    for (i, byte) in bytes.iter().enumerate() {
        at = match (at, byte) {
            (At::Quoted, b'"') => At::Quote,
            (At::Quoted, _) | (At::Quote | At::FieldStart, b'"') => At::Quoted,
            (_, b'\n') => {
                whole = i + 1;
                At::FieldStart
            }
            (_, b',' | b'\r') => At::FieldStart,
            _ => At::Plain,
        };
    }
    whole
}

/// Refuses a file whose unfinished end swallows whole rows: that is a quote which an editor left
/// open, not a write that was interrupted, and cutting it off would lose the rows.
fn check_quotes(
    path: &Path,
    header: &Header,
    bytes: &[u8],
    whole: usize,
) -> Result<(), TableError> {
    let is_row = |line: &&[u8]| line.split(|byte| *byte == b',').count() >= header.len();
    if !bytes[whole..]
        .split(|byte| *byte == b'\n')
        .skip(1)
        .any(|line| is_row(&line))
    {
        return Ok(());
    }
    let line = 1 + bytes[..whole].iter().filter(|byte| **byte == b'\n').count() as u64;
    let problem = "a quote that is opened in this row is never closed: close it".to_owned();
    Err(TableError::Line {
        path: path.to_owned(),
        line,
        problem,
    })
}

/// The columns of one file, in its order.
pub(super) struct Header {
    columns: Vec<(String, Slot)>,
}

/// The part of a row that a column stands for.
enum Slot {
    Fixed(&'static Column),
    /// A name with a dot.
    Setting,
    /// Any other name: the label of a zip axis, or a column that this version does not know.
    Label,
}

impl Header {
    /// The header of a new file: keys of settings and names of zip axes stand between the fixed columns.
    ///
    /// # Errors
    /// An axis whose name is another column's.
    pub fn wanted(setting_keys: &[&str], axes: &[&str]) -> Result<Self, TableError> {
        if let Some(name) = axes.iter().find(|name| is_reserved(name)) {
            let problem = format!("a zip axis cannot be named `{name}`, which is another column");
            return Err(TableError::Refused(problem));
        }
        let names = |columns: &'static [Column]| columns.iter().map(|column| column.name);
        let given = setting_keys.iter().chain(axes).copied();
        Ok(Self::new(
            names(LEADING)
                .chain(given)
                .chain(names(TRAILING))
                .map(str::to_owned),
        ))
    }

    fn new(names: impl Iterator<Item = String>) -> Self {
        let slot = |name: &str| match fixed(name) {
            Some(column) => Slot::Fixed(column),
            None if name.contains('.') => Slot::Setting,
            None => Slot::Label,
        };
        Self {
            columns: names
                .map(|name| {
                    let slot = slot(&name);
                    (name, slot)
                })
                .collect(),
        }
    }

    fn read(path: &Path, names: &ByteRecord) -> Result<Self, TableError> {
        let problem = |problem: String| TableError::Line {
            path: path.to_owned(),
            line: 1,
            problem,
        };
        let mut seen = HashSet::new();
        let mut texts = Vec::new();
        for name in names {
            let name = String::from_utf8_lossy(name).into_owned();
            if !seen.insert(name.clone()) {
                return Err(problem(format!("column `{}` stands twice", quoted(&name))));
            }
            texts.push(name);
        }
        let required = LEADING.iter().filter(|column| column.required);
        if let Some(missing) = required
            .map(|column| column.name)
            .find(|name| !seen.contains(*name))
        {
            return Err(problem(format!(
                "no column `{missing}`: this is no table of repeats"
            )));
        }
        Ok(Self::new(texts.into_iter()))
    }

    /// The header after columns were added to its file.
    pub fn with(self, added: &[&str]) -> Self {
        let added = added.iter().map(|name| (*name).to_owned());
        Self::new(self.columns.into_iter().map(|(name, _)| name).chain(added))
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|(name, _)| name.as_str())
    }

    pub fn len(&self) -> usize {
        self.columns.len()
    }

    /// One line of the file.
    ///
    /// # Errors
    /// A setting or axis of the row that has no column.
    pub fn encode(&self, row: &RepeatRow) -> Result<Vec<u8>, TableError> {
        let named = |wanted: &str| self.names().any(|name| name == wanted);
        if let Some(lost) = row
            .settings
            .keys()
            .chain(row.axis_labels.keys())
            .find(|key| !named(key))
        {
            return Err(TableError::Refused(format!(
                "row not written: the table has no column `{lost}`"
            )));
        }
        Ok(line(self.columns.iter().map(|(name, slot)| match slot {
            Slot::Fixed(column) => {
                let mut text = String::new();
                (column.write)(row, &mut text);
                text
            }
            Slot::Setting => row.settings.get(name).cloned().unwrap_or_default(),
            Slot::Label => row.axis_labels.get(name).cloned().unwrap_or_default(),
        })))
    }

    fn decode(&self, path: &Path, record: &ByteRecord) -> Result<RepeatRow, TableError> {
        let line = record.position().map_or(0, |position| position.line());
        if record.len() != self.len() {
            let problem = format!(
                "{} fields where the header has {}",
                record.len(),
                self.len()
            );
            return Err(TableError::Line {
                path: path.to_owned(),
                line,
                problem,
            });
        }
        let mut row = RepeatRow::blank(Outcome::Failed);
        for ((name, slot), field) in self.columns.iter().zip(record) {
            decode_field(&mut row, name, slot, field).map_err(|problem| TableError::Field {
                path: path.to_owned(),
                line,
                column: name.clone(),
                problem,
            })?;
        }
        Ok(row)
    }
}

fn decode_field(row: &mut RepeatRow, name: &str, slot: &Slot, field: &[u8]) -> Result<(), String> {
    let text = std::str::from_utf8(field)
        .map_err(|_| format!("`{}` is not UTF-8", quoted(&String::from_utf8_lossy(field))))?;
    match slot {
        Slot::Fixed(column) if column.required && text.is_empty() => {
            return Err("it is empty, and a row cannot be without it".to_owned());
        }
        Slot::Fixed(column) => (column.read)(row, text)?,
        Slot::Setting | Slot::Label if text.is_empty() => {}
        Slot::Setting => _ = row.settings.insert(name.to_owned(), text.to_owned()),
        Slot::Label => _ = row.axis_labels.insert(name.to_owned(), text.to_owned()),
    }
    Ok(())
}

/// One record of a CSV file with its newline.
pub(super) fn line<T: AsRef<[u8]>>(fields: impl Iterator<Item = T>) -> Vec<u8> {
    let mut writer = WriterBuilder::new()
        .terminator(Terminator::Any(b'\n'))
        .from_writer(Vec::new());
    writer
        .write_record(fields)
        .expect("records written to memory do not fail");
    writer
        .into_inner()
        .expect("flushing to memory does not fail")
}

/// What the CSV reader found wrong, in a line that it may know better than the caller.
pub(super) fn line_error(path: &Path, line: u64, error: ::csv::Error) -> TableError {
    let line = error.position().map_or(line, |position| position.line());
    match error.into_kind() {
        ::csv::ErrorKind::Io(source) => TableError::io("read", path)(source),
        ::csv::ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => TableError::Line {
            path: path.to_owned(),
            line,
            problem: format!("{len} fields where the header has {expected_len}"),
        },
        ::csv::ErrorKind::Utf8 { .. } => TableError::Line {
            path: path.to_owned(),
            line,
            problem: "it is not UTF-8".to_owned(),
        },
        other => TableError::Line {
            path: path.to_owned(),
            line,
            problem: format!("{other:?}"),
        },
    }
}

#[cfg(test)]
mod tests;
