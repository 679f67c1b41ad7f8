//! In: the files of the CIFAR-10 binary distribution. Out: their records in memory, checked. Knows
//! neither order nor distortion.
//!
//! A file is a sequence of records without delimiters. A record is one byte with the label, 0 to 9, and
//! 3,072 bytes of the image: the red, the green and the blue plane of 32 rows of 32 pixels each
//! (Krizhevsky, "Learning multiple layers of features from tiny images", 2009).

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Rows and columns of an image.
pub const SIDE: usize = 32;
pub const CHANNELS: usize = 3;
/// Bytes of an image: three planes.
pub const IMAGE_BYTES: usize = CHANNELS * SIDE * SIDE;
pub const RECORD_BYTES: usize = 1 + IMAGE_BYTES;
pub const CLASSES: usize = 10;

/// The training files in the order of their record numbers.
pub const FILES: [&str; 5] = [
    "data_batch_1.bin",
    "data_batch_2.bin",
    "data_batch_3.bin",
    "data_batch_4.bin",
    "data_batch_5.bin",
];

/// One labelled image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// The class, 0 to 9.
    pub label: u8,
    /// `(channel, row, column)`.
    pub image: &'a [u8; IMAGE_BYTES],
}

/// All training records of one folder, resident in memory: 154 MB for the real ones.
#[derive(Debug)]
pub struct Records {
    bytes: Vec<u8>,
}

/// Why a folder does not hold training data.
#[derive(Debug, Error)]
pub enum FileError {
    #[error(
        "cannot read {}: {reason}; set input.directory to the folder with {} to {} of the binary version of CIFAR-10",
        path.display(), FILES[0], FILES[4]
    )]
    Unreadable { path: PathBuf, reason: io::Error },
    #[error(
        "{} has {bytes} bytes, which is no whole number of {RECORD_BYTES}-byte records: record {record} ends after {rest} bytes; extract it again",
        path.display()
    )]
    Torn {
        path: PathBuf,
        bytes: usize,
        record: usize,
        rest: usize,
    },
    #[error("{} is empty; extract it again", path.display())]
    Empty { path: PathBuf },
    #[error(
        "{}: record {record} has label {label} where 0 to 9 is allowed; this is no file of the binary version of CIFAR-10",
        path.display()
    )]
    Label {
        path: PathBuf,
        record: usize,
        label: u8,
    },
}

impl Records {
    /// Reads and checks the five training files of `folder`.
    pub fn read(folder: &Path) -> Result<Self, FileError> {
        let mut bytes = Vec::new();
        for name in FILES {
            let path = folder.join(name);
            let start = bytes.len();
            append(&path, &mut bytes).map_err(|reason| FileError::Unreadable {
                path: path.clone(),
                reason,
            })?;
            check(&path, &bytes[start..])?;
        }
        Ok(Self { bytes })
    }

    /// How many records there are; at least one for each file.
    pub fn count(&self) -> usize {
        self.bytes.len() / RECORD_BYTES
    }

    /// The record `number` of `0..count()`.
    pub fn record(&self, number: usize) -> Record<'_> {
        let start = number * RECORD_BYTES;
        let (label, image) = self.bytes[start..start + RECORD_BYTES].split_at(1);
        Record {
            label: label[0],
            image: image
                .try_into()
                .expect("a record is a label and IMAGE_BYTES bytes"),
        }
    }
}

fn append(path: &Path, bytes: &mut Vec<u8>) -> io::Result<()> {
    let mut file = File::open(path)?;
    bytes.reserve_exact(file.metadata()?.len() as usize);
    file.read_to_end(bytes)?;
    Ok(())
}

fn check(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let path = path.to_path_buf();
    let (records, rest) = (bytes.len() / RECORD_BYTES, bytes.len() % RECORD_BYTES);
    if bytes.is_empty() {
        return Err(FileError::Empty { path });
    }
    if rest != 0 {
        return Err(FileError::Torn {
            path,
            bytes: bytes.len(),
            record: records,
            rest,
        });
    }
    let mut labels = bytes.iter().step_by(RECORD_BYTES);
    match labels.position(|label| usize::from(*label) >= CLASSES) {
        None => Ok(()),
        Some(record) => Err(FileError::Label {
            path,
            record,
            label: bytes[record * RECORD_BYTES],
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use tempfile::TempDir;

    /// A folder with five files of two records each, in which every byte tells where it stands.
    fn folder() -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (file, name) in FILES.iter().enumerate() {
            let mut bytes = Vec::new();
            for record in 0..2 {
                bytes.push((2 * file + record) as u8);
                bytes.extend((0..IMAGE_BYTES).map(|byte| (byte + file + record) as u8));
            }
            fs::write(folder.path().join(name), bytes).unwrap();
        }
        folder
    }

    /// The error for `folder`, without the folder's own name.
    fn error(folder: &TempDir) -> String {
        let error = Records::read(folder.path()).unwrap_err().to_string();
        error.replace(folder.path().to_str().unwrap(), "FOLDER")
    }

    #[test]
    fn records_come_in_the_order_of_the_files() {
        let records = Records::read(folder().path()).unwrap();
        assert_eq!(records.count(), 10);
        let labels: Vec<u8> = (0..10).map(|n| records.record(n).label).collect();
        assert_eq!(labels, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        let image = records.record(7).image;
        assert_eq!((image[0], image[5], image[IMAGE_BYTES - 1]), (4, 9, 3));
    }

    #[test]
    fn a_torn_file_names_the_record_that_is_short() {
        let folder = folder();
        let path = folder.path().join(FILES[2]);
        fs::write(&path, vec![0; RECORD_BYTES + 100]).unwrap();
        insta::assert_snapshot!(error(&folder), @"FOLDER/data_batch_3.bin has 3173 bytes, which is no whole number of 3073-byte records: record 1 ends after 100 bytes; extract it again");
        fs::write(&path, []).unwrap();
        insta::assert_snapshot!(error(&folder), @"FOLDER/data_batch_3.bin is empty; extract it again");
    }

    #[test]
    fn a_label_that_is_no_class_is_refused() {
        let folder = folder();
        let mut bytes = vec![0; 3 * RECORD_BYTES];
        bytes[2 * RECORD_BYTES] = 10;
        fs::write(folder.path().join(FILES[4]), bytes).unwrap();
        insta::assert_snapshot!(error(&folder), @"FOLDER/data_batch_5.bin: record 2 has label 10 where 0 to 9 is allowed; this is no file of the binary version of CIFAR-10");
    }

    #[test]
    fn a_missing_file_says_where_it_was_looked_for() {
        let folder = tempfile::tempdir().unwrap();
        insta::assert_snapshot!(error(&folder), @"cannot read FOLDER/data_batch_1.bin: No such file or directory (os error 2); set input.directory to the folder with data_batch_1.bin to data_batch_5.bin of the binary version of CIFAR-10");
    }
}
