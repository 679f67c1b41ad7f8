//! In: a cache folder and a seed. Out: a folder with files of the CIFAR-10 format, written at its first
//! use, whose labels can be learned. Knows nothing of who reads them.

use super::cifar10_file::{CHANNELS, CLASSES, FILES, IMAGE_BYTES, RECORD_BYTES, SIDE};
use super::random::{Draws, Use};
use anyhow::{Context, Result};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Version of the content. Whoever changes a byte of what is written raises it.
const VERSION: u32 = 1;
const RECORDS_PER_FILE: usize = 2_000;
/// Side of the squares of one colour of which a class template is made.
const SQUARE: usize = 8;
/// Bounds of a template's values. The noise on them is -64 to 63, so that the sum stays within a byte.
const TEMPLATE: (f32, f32) = (72.0, 184.0);
const NOISE: u8 = 64;

type Template = [u8; IMAGE_BYTES];

/// The folder below `cache` with the generated files for `seed`: 31 MB, equal on every machine.
///
/// Processes may call this at once: each writes a folder of its own, and the first to rename it wins.
pub fn folder(cache: &Path, seed: u64) -> Result<PathBuf> {
    let folder = cache.join(format!("generated-v{VERSION}-seed{seed}"));
    if folder.is_dir() {
        return Ok(folder);
    }
    write_and_rename(cache, &folder, seed)
        .with_context(|| format!("cannot write generated input to {}", folder.display()))?;
    Ok(folder)
}

fn write_and_rename(cache: &Path, folder: &Path, seed: u64) -> Result<()> {
    fs::create_dir_all(cache)?;
    let process = std::process::id();
    let thread = std::thread::current().id();
    let temporary = folder.with_extension(format!("{process}-{thread:?}.tmp"));
    let written = write_files(&temporary, seed).and_then(|()| rename(&temporary, folder));
    if written.is_err() {
        // The first error is the one that matters.
        let _ = fs::remove_dir_all(&temporary);
    }
    written
}

fn write_files(folder: &Path, seed: u64) -> Result<()> {
    fs::create_dir_all(folder)?;
    let templates: Vec<Template> = (0..CLASSES).map(|class| template(seed, class)).collect();
    for (file, name) in FILES.iter().enumerate() {
        let mut bytes = Vec::with_capacity(RECORDS_PER_FILE * RECORD_BYTES);
        for record in file * RECORDS_PER_FILE..(file + 1) * RECORDS_PER_FILE {
            append_record(seed, record, &templates, &mut bytes);
        }
        fs::write(folder.join(name), bytes)?;
    }
    Ok(())
}

/// Gives the whole folder its name, or drops it where another process was faster.
fn rename(temporary: &Path, folder: &Path) -> Result<()> {
    match fs::rename(temporary, folder) {
        Err(error) if is_taken(&error) => fs::remove_dir_all(temporary)?,
        other => other?,
    }
    Ok(())
}

fn is_taken(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::DirectoryNotEmpty | ErrorKind::AlreadyExists
    )
}

/// The image of which all images of `class` are noisy copies: squares of random colours, large
/// enough to outlive a crop that moves by up to eight pixels.
fn template(seed: u64, class: usize) -> Template {
    let mut draws = Draws::new(seed, Use::Template, class as u64);
    let across = SIDE / SQUARE;
    let squares: Vec<u8> = (0..CHANNELS * across * across)
        .map(|_| draws.uniform(TEMPLATE.0, TEMPLATE.1) as u8)
        .collect();
    std::array::from_fn(|byte| {
        let (plane, row, column) = (byte / (SIDE * SIDE), byte / SIDE % SIDE, byte % SIDE);
        squares[(plane * across + row / SQUARE) * across + column / SQUARE]
    })
}

/// Appends record `number`, whose label is drawn, so that neighbours in a file have nothing in common.
fn append_record(seed: u64, number: usize, templates: &[Template], bytes: &mut Vec<u8>) {
    let mut draws = Draws::new(seed, Use::Record, number as u64);
    let label = draws.below(CLASSES);
    bytes.push(label as u8);
    for eight in templates[label].chunks_exact(8) {
        let noise = draws.bits().to_le_bytes();
        let noisy = eight.iter().zip(noise);
        bytes.extend(noisy.map(|(value, noise)| value - NOISE + noise / 2));
    }
}

#[cfg(test)]
mod tests {
    use super::super::cifar10_file::Records;
    use super::*;

    #[test]
    fn one_seed_gives_one_content_and_leaves_nothing_else_behind() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let read = |cache: &Path, seed| {
            let folder = folder(cache, seed).unwrap();
            FILES.map(|name| fs::read(folder.join(name)).unwrap())
        };
        let first = read(one.path(), 1);
        assert!(first == read(other.path(), 1));
        assert!(first != read(one.path(), 2));
        let mut names: Vec<_> = fs::read_dir(one.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["generated-v1-seed1", "generated-v1-seed2"]);
    }

    #[test]
    fn a_second_call_reads_what_is_there() {
        let cache = tempfile::tempdir().unwrap();
        let folder = folder(cache.path(), 1).unwrap();
        let marker = folder.join("marker");
        fs::write(&marker, "").unwrap();
        assert_eq!(super::folder(cache.path(), 1).unwrap(), folder);
        assert!(marker.exists());
    }

    #[test]
    fn workers_that_start_at_once_all_get_whole_files() {
        let cache = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let records = Records::read(&folder(cache.path(), 7).unwrap()).unwrap();
                    assert_eq!(records.count(), 10_000);
                });
            }
        });
        assert_eq!(fs::read_dir(cache.path()).unwrap().count(), 1);
    }

    #[test]
    fn every_image_is_nearest_to_the_template_of_its_label() {
        let cache = tempfile::tempdir().unwrap();
        let records = Records::read(&folder(cache.path(), 3).unwrap()).unwrap();
        let templates: Vec<Template> = (0..CLASSES).map(|class| template(3, class)).collect();
        let distance = |a: &Template, b: &Template| -> u64 {
            a.iter()
                .zip(b)
                .map(|(a, b)| u64::from(a.abs_diff(*b)))
                .sum()
        };
        let mut counts = [0; CLASSES];
        for number in 0..1_000 {
            let record = records.record(number);
            let nearest = (0..CLASSES).min_by_key(|c| distance(&templates[*c], record.image));
            assert_eq!(nearest, Some(usize::from(record.label)));
            counts[usize::from(record.label)] += 1;
        }
        assert!(counts.iter().all(|count| *count > 50), "{counts:?}");
    }

    #[test]
    fn a_file_in_the_place_of_the_cache_is_a_clear_error() {
        let folder = tempfile::tempdir().unwrap();
        let cache = folder.path().join("cache");
        fs::write(&cache, "").unwrap();
        let error = super::folder(&cache, 1).unwrap_err();
        assert!(format!("{error:#}").starts_with("cannot write generated input to "));
    }
}
