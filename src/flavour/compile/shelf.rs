//! The shelf of one recipe: programs that were built, each in a folder with its record. In: what a
//! program is made of. Out: the key of its folder, what has changed, and room for newer ones. Builds
//! nothing.

use crate::flavour::identity;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// So many programs of one recipe and build are kept; older ones make room.
const KEPT: usize = 3;

/// The part of a key that only further builds of a flavour have.
pub const LAYOUT: &str = "the layout";

/// What is kept beside a program.
#[derive(Serialize, Deserialize)]
pub struct Record {
    /// What the key is made of, by name.
    pub parts: Vec<(String, String)>,
    /// Identity of the program's contents.
    pub contents: String,
}

impl Record {
    fn is_of_layout(&self, layout: Option<&str>) -> bool {
        self::layout(&self.parts) == layout
    }
}

pub fn key(parts: &[(String, String)]) -> String {
    let text = format!("{parts:?}");
    let hash = identity::of_contents(text.as_bytes());
    let hash = hash.expect("bytes in memory can be read");
    hash.trim_start_matches("sha256:").to_owned()
}

pub fn record(kept: &Path) -> Option<Record> {
    let text = fs::read_to_string(kept.join("build.json")).ok()?;
    serde_json::from_str(&text).ok()
}

fn layout(parts: &[(String, String)]) -> Option<&str> {
    let part = parts.iter().find(|(name, _)| name == LAYOUT);
    part.map(|(_, layout)| layout.as_str())
}

/// Folders of programs of one layout with their records, the newest first.
fn programs(shelf: &Path, layout: Option<&str>) -> Vec<(PathBuf, Record)> {
    let entries = fs::read_dir(shelf).into_iter().flatten().flatten();
    let found = entries.filter_map(|entry| {
        let path = entry.path();
        let record = record(&path).filter(|record| record.is_of_layout(layout))?;
        let modified = fs::metadata(path.join("build.json"))
            .ok()?
            .modified()
            .ok()?;
        Some((modified, path, record))
    });
    let mut found: Vec<(SystemTime, PathBuf, Record)> = found.collect();
    found.sort_by(|a, b| (b.0, &b.1).cmp(&(a.0, &a.1)));
    let found = found.into_iter();
    found.map(|(_, path, record)| (path, record)).collect()
}

/// What differs from the newest program of the same recipe and layout.
pub fn changes(shelf: &Path, parts: &[(String, String)]) -> String {
    let programs = programs(shelf, layout(parts));
    let Some((_, newest)) = programs.first() else {
        return "not built before".to_owned();
    };
    let changed = parts.iter().filter(|part| !newest.parts.contains(part));
    let names: Vec<_> = changed.map(|(name, _)| name.as_str()).collect();
    format!("changed: {}", names.join(", "))
}

/// Removes the oldest programs of a layout from a shelf. One that runs is held open, and stays until it
/// ends.
pub fn prune(shelf: &Path, kept: &Path) {
    let Some(newest) = record(kept) else { return };
    let old = programs(shelf, layout(&newest.parts))
        .into_iter()
        .skip(KEPT);
    for (folder, _) in old.filter(|(folder, _)| folder != kept) {
        // What cannot be removed now is old next time, too.
        let _ = fs::remove_dir_all(folder);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a program of these sources and, for a further build, this layout is made of.
    fn parts(sources: &str, layout: Option<&str>) -> Vec<(String, String)> {
        let sources = ("the sources".to_owned(), sources.to_owned());
        let layout = layout.map(|layout| (LAYOUT.to_owned(), layout.to_owned()));
        [sources].into_iter().chain(layout).collect()
    }

    fn put(shelf: &Path, parts: Vec<(String, String)>) -> PathBuf {
        let folder = shelf.join(key(&parts));
        fs::create_dir_all(&folder).unwrap();
        let contents = String::new();
        let record = serde_json::to_string(&Record { parts, contents }).unwrap();
        fs::write(folder.join("build.json"), record).unwrap();
        folder
    }

    #[test]
    fn builds_of_a_flavour_make_no_room_for_each_other() {
        let shelf = tempfile::tempdir().unwrap();
        let shelf = shelf.path();
        let first = put(shelf, parts("1", None));
        let mut newest = PathBuf::new();
        for sources in ["1", "2", "3", "4"] {
            newest = put(shelf, parts(sources, Some("2")));
            // Files of one moment have no order.
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        prune(shelf, &newest);
        let left = programs(shelf, Some("2"));
        assert_eq!((left.len(), &left[0].0), (KEPT, &newest));
        assert!(first.is_dir());
    }

    #[test]
    fn what_changed_is_said_of_the_same_build() {
        let shelf = tempfile::tempdir().unwrap();
        let shelf = shelf.path();
        put(shelf, parts("1", None));
        assert_eq!(changes(shelf, &parts("2", None)), "changed: the sources");
        assert_eq!(changes(shelf, &parts("2", Some("2"))), "not built before");
    }
}
