//! In: a cache folder and a seed. Out: a folder with files of the CIFAR-10 format, written at its first
//! use, whose labels can be learned. Knows nothing of who reads them.

use super::cifar10_file::{CHANNELS, CLASSES, FILES, IMAGE_BYTES, RECORD_BYTES, SIDE};
use super::random::{Draws, Use};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Version of the content. Whoever changes a byte of what is written raises it.
const VERSION: u32 = 1;
const RECORDS_PER_FILE: usize = 2_000;
const FILE_BYTES: usize = RECORDS_PER_FILE * RECORD_BYTES;
/// Nobody writes for so long: a second is usual.
const ABANDONED: Duration = Duration::from_secs(600);
/// Side of the squares of one colour of which a class template is made.
const SQUARE: usize = 8;
/// Bounds of a template's values. The noise on them is -64 to 63, so that the sum stays within a byte.
const TEMPLATE: (f32, f32) = (72.0, 184.0);
const NOISE: u8 = 64;

type Template = [u8; IMAGE_BYTES];

/// The folder below `cache` with the generated files for `seed`: 31 MB, equal on every machine.
///
/// Processes may call this at once: each writes a folder of its own, and the first to rename it wins.
///
/// # Errors
/// The folder cannot be written, or holds files of another length than were written.
pub fn folder(cache: &Path, seed: u64) -> Result<PathBuf> {
    let folder = cache.join(format!("generated-v{VERSION}-seed{seed}"));
    if folder.is_dir() {
        return check(&folder).map(|()| folder);
    }
    drop_abandoned(cache);
    write_and_rename(cache, &folder, seed)
        .with_context(|| format!("cannot write generated input to {}", folder.display()))?;
    Ok(folder)
}

/// Refuses files of another length than those that were written: a disk may have been full, or a copy
/// of the cache may not be whole.
fn check(folder: &Path) -> Result<()> {
    for path in FILES.map(|name| folder.join(name)) {
        let length = fs::metadata(&path).map(|file| file.len());
        ensure!(
            length.is_ok_and(|length| length == FILE_BYTES as u64),
            "{} is not what was generated: delete {}, which is then written anew",
            path.display(),
            folder.display()
        );
    }
    Ok(())
}

/// Removes what workers that were killed while they wrote have left in the cache.
fn drop_abandoned(cache: &Path) {
    let entries = fs::read_dir(cache).into_iter().flatten().flatten();
    for entry in entries.filter(is_abandoned) {
        // Another worker may have been faster; it may as well stay.
        let _ = fs::remove_dir_all(entry.path());
    }
}

fn is_abandoned(entry: &fs::DirEntry) -> bool {
    let name = entry.file_name();
    let modified = entry.metadata().and_then(|folder| folder.modified());
    let age = modified.ok().and_then(|modified| modified.elapsed().ok());
    let name = name.to_string_lossy();
    name.starts_with("generated-v")
        && name.ends_with(".tmp")
        && age.is_some_and(|age| age > ABANDONED)
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
        let mut bytes = Vec::with_capacity(FILE_BYTES);
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
    fn a_damaged_cache_is_named_with_what_to_do_about_it() {
        let cache = tempfile::tempdir().unwrap();
        let folder = folder(cache.path(), 1).unwrap();
        let damaged = folder.join(FILES[1]);
        fs::write(&damaged, [0; RECORD_BYTES]).unwrap();
        let expected = format!(
            "{} is not what was generated: delete {}, which is then written anew",
            damaged.display(),
            folder.display()
        );
        let refused = || super::folder(cache.path(), 1).unwrap_err().to_string();
        assert_eq!(refused(), expected);
        fs::remove_file(&damaged).unwrap();
        assert_eq!(refused(), expected);
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(super::folder(cache.path(), 1).unwrap(), folder);
    }

    #[test]
    fn only_what_was_abandoned_long_ago_is_removed() {
        let cache = tempfile::tempdir().unwrap();
        let make = |name: &str, age: Duration| {
            let folder = cache.path().join(name);
            fs::create_dir(&folder).unwrap();
            fs::write(folder.join(FILES[0]), "half").unwrap();
            let then = std::time::SystemTime::now() - age;
            fs::File::open(&folder).unwrap().set_modified(then).unwrap();
        };
        make("generated-v1-seed1.7-ThreadId(1).tmp", 2 * ABANDONED);
        make("generated-v1-seed1.8-ThreadId(1).tmp", Duration::ZERO);
        make("mine.tmp", 2 * ABANDONED);
        folder(cache.path(), 1).unwrap();
        let there = |name: &str| cache.path().join(name).exists();
        assert!(!there("generated-v1-seed1.7-ThreadId(1).tmp"));
        assert!(there("generated-v1-seed1.8-ThreadId(1).tmp") && there("mine.tmp"));
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
