//! In: what a user names: a result folder, its `repeats.csv`, or `COMMIT:PATH`. Out: the rows of its newest
//! run and the facts of its machine, read and marked as everywhere.

use super::committed::committed_file;
use super::windows::Windows;
use super::wrong;
use crate::analysis::Summary;
use crate::commands::plot::result_folders;
use crate::machine::record;
use crate::table::stale::mark_superseded;
use crate::table::{RepeatRow, repeats_of};
use anyhow::Result;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// One side of a comparison, read.
#[derive(Clone, Debug)]
pub struct Results {
    /// As the user named it.
    pub name: String,
    /// Of the newest run, as all else.
    pub summary: Summary,
    pub rows: Vec<RepeatRow>,
    /// Empty where the raw timings are not beside the table, and for what a commit holds.
    pub windows: Windows,
    /// Facts of the machine; none without a `machine.toml`.
    pub machine: Option<BTreeMap<String, String>>,
}

/// Reads what `argument` names.
///
/// # Errors
/// There is no such thing, or it is no table of repeats.
pub fn read(argument: &str) -> Result<Results> {
    if Path::new(argument).exists() {
        let file = file_of(Path::new(argument))?;
        let bytes = fs::read(&file)
            .map_err(|error| wrong(format!("cannot read {}: {error}", file.display())))?;
        let machine = fs::read_to_string(file.with_file_name("machine.toml")).ok();
        let mut results = results(argument, &file, &bytes, machine)?;
        let samples = file.with_file_name("samples.csv");
        results.windows = Windows::read(&samples, results.summary.run)?;
        return Ok(results);
    }
    let (commit, path) = argument
        .split_once(':')
        .filter(|(commit, path)| !commit.is_empty() && !path.is_empty())
        .ok_or_else(|| {
            wrong(format!(
                "nothing is at {argument}: name a result folder, its repeats.csv, or COMMIT:PATH of a committed one"
            ))
        })?;
    let file = match path.ends_with(".csv") {
        true => PathBuf::from(path),
        false => Path::new(path).join("repeats.csv"),
    };
    let bytes = committed_file(commit, &file).map_err(wrong)?;
    let machine = committed_file(commit, &file.with_file_name("machine.toml"));
    let machine = machine.ok().and_then(|text| String::from_utf8(text).ok());
    results(argument, &file, &bytes, machine)
}

/// The table of a folder, or the file itself.
fn file_of(path: &Path) -> Result<PathBuf> {
    if !path.is_dir() {
        return Ok(path.to_owned());
    }
    let file = path.join("repeats.csv");
    if file.is_file() {
        return Ok(file);
    }
    let below = result_folders(path).unwrap_or_default();
    let root = fs::canonicalize(path).unwrap_or_default();
    let below: Vec<String> = below
        .iter()
        .map(|folder| path.join(folder.path.strip_prefix(&root).unwrap_or(&folder.path)))
        .map(|folder| folder.display().to_string())
        .collect();
    let advice = match below.is_empty() {
        true => "a result folder is results/EXPERIMENT/MACHINE".to_owned(),
        false => format!("name one of {}", below.join(", ")),
    };
    Err(wrong(format!(
        "no repeats.csv is in {}: {advice}",
        path.display()
    )))
}

fn results(name: &str, file: &Path, bytes: &[u8], machine: Option<String>) -> Result<Results> {
    let mut rows = repeats_of(file, bytes).map_err(|error| wrong(error.to_string()))?;
    mark_superseded(&mut rows);
    let Some(run) = rows.iter().map(|row| row.key.run).max() else {
        return Err(wrong(format!(
            "{name} has no rows: measure the experiment first"
        )));
    };
    rows.retain(|row| row.key.run == run);
    let facts = |text: String| {
        let path = file.with_file_name("machine.toml");
        record::facts(&text).map_err(|error| wrong(format!("{}: {error}", path.display())))
    };
    Ok(Results {
        name: name.to_owned(),
        summary: Summary::of(&rows),
        rows,
        windows: Windows::default(),
        machine: machine.map(facts).transpose()?,
    })
}
