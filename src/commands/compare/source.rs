//! In: what a user names: a result folder, its `repeats.csv`, or `COMMIT:PATH`. Out: the rows of its newest
//! run and the facts of its machine, read and marked as everywhere.

use super::committed::committed_file;
use super::windows::Windows;
use super::wrong;
use crate::analysis::{Story, Summary, name_as_planned};
use crate::commands::plot::result_folders;
use crate::machine::record;
use crate::plan::{self, Plan};
use crate::spec;
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
    /// Of one run.
    pub summary: Summary,
    pub rows: Vec<RepeatRow>,
    /// Empty where the raw timings are not beside the table, and for what a commit holds.
    pub windows: Windows,
    /// Facts of the machine; none without a `machine.toml`.
    pub machine: Option<BTreeMap<String, String>>,
}

impl Results {
    /// Rows of `run` among `rows`, which are read and marked, with the raw timings of that run. Without
    /// those, intervals over many blocks are narrower, and nothing is known of steady states.
    pub fn of_run(name: String, rows: &[RepeatRow], run: u32, windows: Windows) -> Results {
        let of_run = rows.iter().filter(|row| row.key.run == run);
        Results {
            name,
            summary: Summary::of_run(rows, run),
            rows: of_run.cloned().collect(),
            windows,
            machine: None,
        }
    }
}

/// Reads the newest run of what `argument` names.
///
/// # Errors
/// There is no such thing, or it is no table of repeats.
pub fn read(argument: &str) -> Result<Results> {
    results(argument, &Place::find(argument)?, None)
}

/// The same with what the experiment file beside it declares, and under the names that it gives to cells.
///
/// # Errors
/// As [`read`]; the file is missing or wrong, or declares no comparison.
pub fn read_declared(argument: &str) -> Result<(Results, Story)> {
    let place = Place::find(argument)?;
    let or_flag = "name another result to compare with, or write --over KEY=BASE";
    let text = place.beside("experiment.toml").ok_or_else(|| {
        wrong(format!(
            "no comparison is declared, as no experiment.toml is beside the table of {argument}: {or_flag}"
        ))
    })?;
    let path = place.table().with_file_name("experiment.toml");
    let experiment = spec::resolved(&path, &text)?;
    let plan = plan::expand(&experiment)?;
    let story = Story::of(&experiment, "", |id| id.key().to_owned());
    if story.comparisons.is_empty() {
        return Err(wrong(format!(
            "{argument} declares no comparison: add [[compare]] with over and base to the experiment file \
             and run it once more, which measures nothing again; {or_flag}"
        )));
    }
    Ok((results(argument, &place, Some(&plan))?, story))
}

/// Where the files of one side are.
enum Place<'a> {
    /// A table in a folder.
    Here(PathBuf),
    /// A commit, and the path of a table in it.
    Committed(&'a str, PathBuf),
}

impl<'a> Place<'a> {
    /// # Errors
    /// `argument` names no table.
    fn find(argument: &'a str) -> Result<Place<'a>> {
        if Path::new(argument).exists() {
            return Ok(Place::Here(file_of(Path::new(argument))?));
        }
        let (commit, path) = argument
            .split_once(':')
            .filter(|(commit, path)| !commit.is_empty() && !path.is_empty())
            .ok_or_else(|| {
                wrong(format!(
                    "nothing is at {argument}: name a result folder, its repeats.csv, or COMMIT:PATH of a committed one"
                ))
            })?;
        Ok(Place::Committed(
            commit,
            match path.ends_with(".csv") {
                true => PathBuf::from(path),
                false => Path::new(path).join("repeats.csv"),
            },
        ))
    }

    fn table(&self) -> &Path {
        match self {
            Place::Here(table) | Place::Committed(_, table) => table,
        }
    }

    /// # Errors
    /// In words: why the file cannot be read.
    fn read(&self, file: &Path) -> Result<Vec<u8>, String> {
        match self {
            Place::Here(_) => {
                fs::read(file).map_err(|error| format!("cannot read {}: {error}", file.display()))
            }
            Place::Committed(commit, _) => committed_file(commit, file),
        }
    }

    /// The text of a file beside the table, if there is one.
    fn beside(&self, name: &str) -> Option<String> {
        let bytes = self.read(&self.table().with_file_name(name)).ok()?;
        String::from_utf8(bytes).ok()
    }

    /// Raw timings are not committed.
    fn windows(&self, run: u32) -> Result<Windows> {
        match self {
            Place::Here(table) => Windows::read(&table.with_file_name("samples.csv"), run)
                .map_err(|error| wrong(error.to_string())),
            Place::Committed(..) => Ok(Windows::default()),
        }
    }
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

/// The newest run of a table, with the names that `plan` gives to its cells.
fn results(name: &str, place: &Place, plan: Option<&Plan>) -> Result<Results> {
    let bytes = place.read(place.table()).map_err(wrong)?;
    let mut rows = repeats_of(place.table(), &bytes).map_err(|error| wrong(error.to_string()))?;
    if let Some(plan) = plan {
        name_as_planned(&mut rows, &plan.cells);
    }
    mark_superseded(&mut rows);
    let Some(run) = rows.iter().map(|row| row.key.run).max() else {
        return Err(wrong(format!(
            "{name} has no rows: measure the experiment first"
        )));
    };
    let facts = |text: String| {
        let path = place.table().with_file_name("machine.toml");
        record::facts(&text).map_err(|error| wrong(format!("{}: {error}", path.display())))
    };
    let machine = place.beside("machine.toml").map(facts).transpose()?;
    let windows = place.windows(run)?;
    Ok(Results {
        machine,
        ..Results::of_run(name.to_owned(), &rows, run, windows)
    })
}
