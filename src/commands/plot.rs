//! `xrun plot RESULTS`: draws every chart again from the result folders alone.
//!
//! In: folders with `experiment.toml` and `repeats.csv`. Out: pictures under `plots/`, and a table of what an
//! experiment compares. No chart needs `samples.csv`: every point of every chart is one cell over its repeats,
//! and repeats carry their own medians and phases. Only a verdict on many blocks rests on windows.

pub mod comparison;

use super::Ending;
use crate::analysis::{Story, Summary, name_as_planned};
use crate::chart::{self, NoFigure, Picture, draw};
use crate::cli::{Format, PlotArgs};
use crate::plan;
use crate::table::stale::mark_superseded;
use crate::table::{RepeatRow, read_repeats};
use anyhow::{Context, Result};
use std::fs;
use std::io::Write;
use std::ops::AddAssign;
use std::path::{Path, PathBuf};

/// Draws everything below the folders that the command names.
///
/// # Errors
/// As [`plot`], and where anything could not be drawn.
pub fn run(arguments: &PlotArgs) -> Result<Ending> {
    let call = Plot {
        results: arguments.folders.clone(),
        plots: arguments.charts.plots.clone(),
        format: arguments.charts.format,
    };
    let plotted = plot(&call, load, &mut std::io::stdout())?;
    anyhow::ensure!(
        plotted.problems == 0,
        "{} of the folders and charts could not be drawn, for the reasons above",
        plotted.problems
    );
    Ok(Ending::Done)
}

/// Reads a folder's resolved file and its rows: those of cells that the file has, under the labels
/// that it gives them now.
///
/// # Errors
/// Everything that is wrong with either.
pub fn load(folder: &ResultFolder) -> Result<Loaded> {
    let (experiment, plan) = plan::read(
        &folder.path.join("experiment.toml"),
        std::iter::empty(),
        &[],
    )?;
    let mut rows = read_repeats(&folder.path.join("repeats.csv"))?;
    name_as_planned(&mut rows, &plan.cells);
    mark_superseded(&mut rows);
    let story = Story::of(&experiment, &folder.machine, |id| id.key().to_owned());
    Ok(Loaded { story, rows })
}

/// What to draw, and where to.
#[derive(Clone, Debug)]
pub struct Plot {
    /// Result folders, or folders above some.
    pub results: Vec<PathBuf>,
    pub plots: PathBuf,
    pub format: Format,
}

/// One folder with `experiment.toml` and `repeats.csv`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResultFolder {
    pub path: PathBuf,
    /// Slug of the hardware: the folder's name, or that of the folder above `variants`.
    pub machine: String,
    /// The last part of `variants/<hash>`, where overrides were measured.
    pub variant: Option<String>,
}

/// What one result folder holds, read.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub story: Story,
    pub rows: Vec<RepeatRow>,
}

/// What became of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Plotted {
    pub files: usize,
    /// Folders and charts that could not be drawn; the exit status is not 0 then.
    pub problems: usize,
}

impl AddAssign for Plotted {
    fn add_assign(&mut self, more: Plotted) {
        self.files += more.files;
        self.problems += more.problems;
    }
}

/// Deepest folder below the given one: `<experiment>/<machine>/variants/<hash>`.
const MAX_DEPTH: usize = 4;

/// Draws all result folders below `plot.results`, each on its own, and then what those of one experiment
/// compare: what is broken is said on `out`, and the rest is still drawn.
///
/// # Errors
/// When there is no such folder, when nothing is below one, and when `out` cannot be written.
pub fn plot(
    plot: &Plot,
    load: impl Fn(&ResultFolder) -> Result<Loaded>,
    out: &mut dyn Write,
) -> Result<Plotted> {
    let mut total = Plotted::default();
    let mut read = Vec::new();
    for folder in all_folders(&plot.results)? {
        match load(&folder) {
            Ok(loaded) => {
                let place = place(&plot.plots, &folder, &loaded.story.name);
                total += draw_folder(&place, &loaded, plot.format, out)?;
                read.push((folder, loaded));
            }
            Err(error) => {
                writeln!(out, "{} is not drawn: {error:#}", folder.path.display())?;
                total.problems += 1;
            }
        }
    }
    let read: Vec<_> = read
        .iter()
        .map(|(folder, loaded)| (folder, loaded))
        .collect();
    total += comparison::draw_all(&plot.plots, &read, load, plot.format, out)?;
    Ok(total)
}

/// Every result folder below the roots once, though it may be below several of them.
fn all_folders(roots: &[PathBuf]) -> Result<Vec<ResultFolder>> {
    let mut folders: Vec<ResultFolder> = Vec::new();
    for root in roots {
        let found = result_folders(root)?;
        anyhow::ensure!(
            !found.is_empty(),
            "no results below {}: a result folder has experiment.toml and repeats.csv; run an experiment first",
            root.display()
        );
        let new = found.into_iter().filter(|folder| !folders.contains(folder));
        let new: Vec<_> = new.collect();
        folders.extend(new);
    }
    Ok(folders)
}

/// Draws the charts of one folder into `place` and lists the files on `out`.
///
/// # Errors
/// When `out` cannot be written; all else is counted as a problem and said there.
pub fn draw_folder(
    place: &Path,
    loaded: &Loaded,
    format: Format,
    out: &mut dyn Write,
) -> Result<Plotted> {
    let summary = Summary::of(&loaded.rows);
    let mut plotted = Plotted::default();
    if summary.measured().next().is_none() {
        writeln!(
            out,
            "{}: nothing is drawn, since no cell was completed",
            place.display()
        )?;
        return Ok(plotted);
    }
    let mut names: Vec<String> = Vec::new();
    for spec in loaded.story.charts(&summary) {
        let name = unused(&names, &spec.kind.to_string());
        let figure = chart::build(&summary, &loaded.story, &spec);
        let saved = figure
            .map_err(anyhow::Error::from)
            .and_then(|f| save(place, &name, &f, format));
        plotted += listed(saved, &place.join(&name), out)?;
        names.push(name);
    }
    Ok(plotted)
}

/// Lists files that were written on `out`, or says there why `what` is not drawn. That there is nothing
/// to draw is no problem.
///
/// # Errors
/// When `out` cannot be written.
fn listed(saved: Result<Vec<PathBuf>>, what: &Path, out: &mut dyn Write) -> Result<Plotted> {
    let mut plotted = Plotted::default();
    match saved {
        Ok(files) => {
            plotted.files = files.len();
            for file in files {
                writeln!(out, "{}", file.display())?;
            }
        }
        Err(error) => {
            writeln!(out, "{} is not drawn: {error:#}", what.display())?;
            plotted.problems = match error.downcast_ref() {
                None | Some(NoFigure::Mixed(_)) => 1,
                Some(_) => 0,
            };
        }
    }
    Ok(plotted)
}

/// Every result folder at or below `root`, in the order of their paths.
///
/// # Errors
/// When `root` or a folder below it cannot be read.
pub fn result_folders(root: &Path) -> Result<Vec<ResultFolder>> {
    let root = fs::canonicalize(root).with_context(|| format!("reading {}", root.display()))?;
    let mut found = Vec::new();
    search(&root, MAX_DEPTH, &mut found)?;
    found.sort();
    Ok(found.into_iter().map(ResultFolder::at).collect())
}

fn search(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<()> {
    if folder.join("repeats.csv").is_file() {
        found.push(folder.to_path_buf());
    }
    if depth == 0 {
        return Ok(());
    }
    let entries = fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    for entry in entries {
        let entry = entry.with_context(|| format!("reading {}", folder.display()))?;
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) && entry.file_name() != "logs" {
            search(&entry.path(), depth - 1, found)?;
        }
    }
    Ok(())
}

impl ResultFolder {
    pub fn at(path: PathBuf) -> ResultFolder {
        let name = |path: Option<&Path>| {
            let name = path.and_then(Path::file_name);
            name.map_or(String::new(), |name| name.to_string_lossy().into_owned())
        };
        let above = path.parent();
        let (machine, variant) = match name(above) == "variants" {
            true => (name(above.and_then(Path::parent)), Some(name(Some(&path)))),
            false => (name(Some(&path)), None),
        };
        ResultFolder {
            path,
            machine,
            variant,
        }
    }
}

/// `plots/<experiment>/<machine>`, with the variant below it.
pub fn place(plots: &Path, folder: &ResultFolder, experiment: &str) -> PathBuf {
    let place = plots.join(experiment).join(&folder.machine);
    match &folder.variant {
        Some(variant) => place.join("variants").join(variant),
        None => place,
    }
}

/// `kind`, or `kind-2` and so on where a chart of that kind is drawn already.
fn unused(names: &[String], kind: &str) -> String {
    let taken = |name: &String| names.contains(name);
    let numbered = (2..).map(|i| format!("{kind}-{i}"));
    let mut all = std::iter::once(kind.to_string()).chain(numbered);
    all.find(|name| !taken(name))
        .expect("there are more numbers than charts")
}

fn save(place: &Path, name: &str, figure: &impl Picture, format: Format) -> Result<Vec<PathBuf>> {
    fs::create_dir_all(place).with_context(|| format!("creating {}", place.display()))?;
    let mut files = Vec::new();
    if format != Format::Png {
        let text = draw::svg(figure)?;
        files.push(replace(place, name, "svg", |path| {
            Ok(fs::write(path, text)?)
        })?);
    }
    if format != Format::Svg {
        files.push(replace(place, name, "png", |path| draw::png(figure, path))?);
    }
    Ok(files)
}

/// Writes beside the file and then puts it in its place, so that a picture is whole or as before.
fn replace(
    place: &Path,
    name: &str,
    extension: &str,
    write: impl FnOnce(&Path) -> Result<()>,
) -> Result<PathBuf> {
    let path = place.join(format!("{name}.{extension}"));
    let unfinished = place.join(format!(".{name}.unfinished.{extension}"));
    let written = write(&unfinished).and_then(|()| Ok(fs::rename(&unfinished, &path)?));
    if written.is_err() {
        // Nothing is left to be done where it cannot even be removed.
        let _ = fs::remove_file(&unfinished);
    }
    written.with_context(|| format!("writing {}", path.display()))?;
    Ok(path)
}

#[cfg(test)]
mod tests;
