//! In: [`SampleRow`]s. Out: lines of `samples.csv`, and every line of such a file shown to a visitor
//! in bounded memory, however long the file is. Knows no run and no folder.

use super::csv::line_error;
use super::field::{Field, quoted};
use super::{Key, SampleRow, TableError};
use crate::protocol::StepWindow;
use crate::terms::Phase;
use ::csv::{ByteRecord, ReaderBuilder, StringRecord};
use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use strum::VariantArray;

/// Columns before those of the phases.
const KEYS: [&str; 8] = [
    "run",
    "cell",
    "repeat",
    "rank",
    "replica",
    "first_step",
    "steps",
    "seconds",
];
const FIELDS: usize = KEYS.len() + Phase::COUNT;

/// One line of `samples.csv`, as a visitor sees it.
#[derive(Clone, Copy, Debug)]
pub struct SampleView<'a> {
    pub run: u32,
    /// One allocation for all lines of a cell: clone it, or compare it with `Arc::ptr_eq`.
    pub cell: &'a Arc<str>,
    pub repeat: u32,
    pub rank: usize,
    pub window: StepWindow,
}

/// The columns of a new file, in order.
pub(super) fn columns() -> Vec<String> {
    let phases = Phase::VARIANTS
        .iter()
        .map(|phase| format!("{}_seconds", phase.column()));
    KEYS.iter().map(ToString::to_string).chain(phases).collect()
}

/// Where a file has which field.
pub(super) struct SampleHeader {
    /// For each of [`columns`], its place in a line of the file.
    places: [Option<usize>; FIELDS],
    names: Vec<String>,
    width: usize,
}

impl SampleHeader {
    /// # Errors
    /// A column other than a phase's is missing.
    pub fn new(path: &Path, header: &ByteRecord) -> Result<Self, TableError> {
        let names = columns();
        let place = |name: &String| header.iter().position(|field| field == name.as_bytes());
        let places = std::array::from_fn(|i| place(&names[i]));
        if let Some(missing) = (0..KEYS.len()).find(|i| places[*i].is_none()) {
            let problem = format!(
                "no column `{}`: this is no table of samples",
                names[missing]
            );
            return Err(TableError::Line {
                path: path.to_owned(),
                line: 1,
                problem,
            });
        }
        Ok(Self {
            places,
            names,
            width: header.len(),
        })
    }

    /// Names of columns that a file of this version has and this one lacks.
    pub fn missing(&self) -> Vec<&str> {
        let lacking = self
            .names
            .iter()
            .zip(self.places)
            .filter(|(_, place)| place.is_none());
        lacking.map(|(name, _)| name.as_str()).collect()
    }

    /// Adds one line. No field needs quotes: cell ids are letters and digits.
    pub fn encode(&self, row: &SampleRow, lines: &mut String) {
        let mut fields = vec![None; self.width];
        for (i, place) in self.places.iter().enumerate() {
            fields[place.expect("columns are added before rows are")] = Some(i);
        }
        for (i, field) in fields.into_iter().enumerate() {
            if i > 0 {
                lines.push(',');
            }
            if let Some(field) = field {
                write_field(row, field, lines);
            }
        }
        lines.push('\n');
    }

    /// The key of a line; none where it has none.
    pub fn key(&self, line: &[u8]) -> Option<Key> {
        let mut reader = ReaderBuilder::new().has_headers(false).from_reader(line);
        let record = reader.byte_records().next()?.ok()?;
        let text = |field: usize| std::str::from_utf8(record.get(self.places[field]?)?).ok();
        let whole = record.len() == self.width;
        let key = Key {
            run: text(0)?.parse().ok()?,
            cell: text(1)?.into(),
            repeat: text(2)?.parse().ok()?,
        };
        whole.then_some(key)
    }

    fn view<'a>(
        &self,
        record: &StringRecord,
        cells: &'a mut Cells,
    ) -> Result<SampleView<'a>, Misfit> {
        let mut window = StepWindow {
            replica: self.number(record, 4)?,
            first_step: self.number(record, 5)?,
            steps: self.number(record, 6)?,
            seconds: self.number(record, 7)?,
            ..StepWindow::default()
        };
        for (i, phase) in window.phases.iter_mut().enumerate() {
            *phase = self.number(record, KEYS.len() + i)?;
        }
        Ok(SampleView {
            run: self.number(record, 0)?,
            cell: cells.intern(self.text(record, 1)),
            repeat: self.number(record, 2)?,
            rank: self.number(record, 3)?,
            window,
        })
    }

    /// A phase's column may be missing or empty: zero.
    fn number<T: FromStr + Default>(
        &self,
        record: &StringRecord,
        field: usize,
    ) -> Result<T, Misfit> {
        let text = self.text(record, field);
        if text.is_empty() && field >= KEYS.len() {
            return Ok(T::default());
        }
        text.parse().map_err(|_| Misfit {
            field,
            found: quoted(text),
        })
    }

    fn text<'a>(&self, record: &'a StringRecord, field: usize) -> &'a str {
        self.places[field]
            .and_then(|place| record.get(place))
            .unwrap_or_default()
    }

    fn error(&self, path: &Path, record: &StringRecord, misfit: Misfit) -> TableError {
        TableError::Field {
            path: path.to_owned(),
            line: record.position().map_or(0, |position| position.line()),
            column: self.names[misfit.field].clone(),
            problem: format!("`{}` is not a number that can stand here", misfit.found),
        }
    }
}

/// A field that is no number, and what stands there.
struct Misfit {
    field: usize,
    found: String,
}

fn write_field(row: &SampleRow, field: usize, out: &mut String) {
    match field {
        0 => row.key.run.write(out),
        1 => row.key.cell.write(out),
        2 => row.key.repeat.write(out),
        3 => (row.rank as u64).write(out),
        4 => (row.window.replica as u64).write(out),
        5 => row.window.first_step.write(out),
        6 => row.window.steps.write(out),
        7 => row.window.seconds.write(out),
        phase => row.window.phases[phase - KEYS.len()].write(out),
    }
}

/// The ids of cells seen so far. Lines of a cell mostly follow each other.
#[derive(Default)]
struct Cells {
    known: HashSet<Arc<str>>,
    last: Arc<str>,
}

impl Cells {
    fn intern(&mut self, id: &str) -> &Arc<str> {
        if *self.last != *id {
            self.last = self.known.get(id).cloned().unwrap_or_else(|| id.into());
            self.known.insert(self.last.clone());
        }
        &self.last
    }
}

/// Shows every line of a `samples.csv` to `visit`, in the order of the file. A last line that was not
/// written to its end is left out.
///
/// # Errors
/// The file cannot be read, or a line or field has no meaning: with path, line and column.
pub fn visit_samples(path: &Path, mut visit: impl FnMut(SampleView)) -> Result<(), TableError> {
    let file = whole_lines(path).map_err(TableError::io("read", path))?;
    let mut reader = ReaderBuilder::new()
        .buffer_capacity(1 << 18)
        .from_reader(file);
    let names = reader
        .byte_headers()
        .map_err(|error| line_error(path, 1, error))?;
    if names.is_empty() {
        return Ok(());
    }
    let header = SampleHeader::new(path, names)?;
    let (mut record, mut cells) = (StringRecord::new(), Cells::default());
    while reader
        .read_record(&mut record)
        .map_err(|error| line_error(path, 0, error))?
    {
        let view = header.view(&record, &mut cells);
        visit(view.map_err(|misfit| header.error(path, &record, misfit))?);
    }
    Ok(())
}

/// The header of a file, and where the first line after it starts.
pub(super) fn read_header(path: &Path) -> Result<(SampleHeader, u64), TableError> {
    let mut line = Vec::new();
    let file = File::open(path).map_err(TableError::io("read", path))?;
    BufReader::new(file)
        .read_until(b'\n', &mut line)
        .map_err(TableError::io("read", path))?;
    let mut reader = ReaderBuilder::new().from_reader(line.as_slice());
    let names = reader
        .byte_headers()
        .map_err(|error| line_error(path, 1, error))?;
    Ok((SampleHeader::new(path, names)?, line.len() as u64))
}

/// The file up to its last newline.
fn whole_lines(path: &Path) -> std::io::Result<std::io::Take<File>> {
    let mut file = File::open(path)?;
    let mut length = file.metadata()?.len();
    let mut tail = vec![0; length.min(1 << 16) as usize];
    file.seek(SeekFrom::End(-(tail.len() as i64)))?;
    file.read_exact(&mut tail)?;
    if let Some(newline) = tail.iter().rposition(|byte| *byte == b'\n') {
        length -= (tail.len() - newline - 1) as u64;
    }
    file.rewind()?;
    Ok(file.take(length))
}
