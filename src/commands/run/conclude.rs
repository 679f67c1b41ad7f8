//! What a run ends with: the derived table, the report with references and sentences, the charts, and
//! where all of it is.

use super::schedule::Schedule;
use crate::analysis::{self, Story, Summary, arrange};
use crate::cli::ChartArgs;
use crate::commands::compare::{self, Results, Windows};
use crate::commands::plot::{self, Loaded, ResultFolder};
use crate::commands::prepare::Prepared;
use crate::commands::report::{self, Reference};
use crate::spec::settings::SETTINGS;
use crate::table::stale::mark_superseded;
use crate::table::{self, Journal, RepeatRow, read_repeats, references};
use anyhow::Result;
use std::fs;
use std::io::{Write, stdout};

/// Reads back what the run has written, as `xrun plot` would, and tells it.
///
/// # Errors
/// Failures of stdout, of the result folder, and of the folder of charts.
pub fn conclude(
    prepared: &Prepared,
    schedule: &Schedule,
    journal: &Journal,
    charts: &ChartArgs,
) -> Result<()> {
    let folder = ResultFolder::at(prepared.folder.clone());
    let mut loaded = plot::load(&folder)?;
    schedule.mark_stale(prepared, journal.run(), &mut loaded.rows);
    let results = results(prepared, journal.run(), &loaded.rows)?;
    let summary = &results.summary;
    let references = measured_elsewhere(prepared, journal.run(), &loaded.rows);
    let restless = summary.cells.iter();
    let restless = restless.filter_map(|cell| results.restless(cell)).collect();
    let mut out = stdout().lock();
    writeln!(out)?;
    report::report(&mut out, summary, &loaded.story, &references, restless)?;
    write_comparisons(&mut out, prepared, &loaded.story, &results)?;
    write_summary(prepared, summary, &loaded.story)?;
    writeln!(out)?;
    for file in ["repeats.csv", "samples.csv", "summary.csv"] {
        writeln!(out, "{}", prepared.folder.join(file).display())?;
    }
    draw(&folder, &loaded, charts, &mut out)
}

/// The run as it is compared, with its raw timings.
fn results(prepared: &Prepared, run: u32, rows: &[RepeatRow]) -> Result<Results> {
    let windows = Windows::read(&prepared.folder.join("samples.csv"), run)?;
    let name = prepared.folder.display().to_string();
    Ok(Results::of_run(name, rows, run, windows))
}

/// Verdicts on what the file declares to be compared, and what of that cannot be.
fn write_comparisons(
    out: &mut dyn Write,
    prepared: &Prepared,
    story: &Story,
    results: &Results,
) -> Result<()> {
    if !story.comparisons.is_empty() {
        writeln!(out)?;
        compare::write_declared(out, story, results)?;
    }
    for moot in &prepared.experiment.origin.moot {
        let told = format!(
            "not compared with {} = {}: flags or the environment leave no such cells",
            moot.over, moot.base
        );
        report::write_wrapped(out, &told, "  ")?;
    }
    Ok(())
}

fn draw(
    folder: &ResultFolder,
    loaded: &Loaded,
    charts: &ChartArgs,
    out: &mut dyn Write,
) -> Result<()> {
    let place = plot::place(&charts.plots, folder, &loaded.story.name);
    let mut plotted = plot::draw_folder(&place, loaded, charts.format, out)?;
    let own = [(folder, loaded)];
    plotted += plot::comparison::draw_all(&charts.plots, &own, plot::load, charts.format, out)?;
    anyhow::ensure!(
        plotted.problems == 0,
        "{} charts could not be drawn, for the reasons above",
        plotted.problems
    );
    Ok(())
}

/// Rewrites `summary.csv`.
fn write_summary(prepared: &Prepared, summary: &Summary, story: &Story) -> Result<()> {
    let Ok(view) = arrange(summary, story, &story.leading_chart()) else {
        return Ok(());
    };
    let axes = story.axes.iter().map(|axis| axis.name.clone());
    let settings = SETTINGS.iter().map(|setting| setting.key.to_owned());
    let mut keys: Vec<String> = Vec::new();
    for key in axes.chain(settings) {
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    let rows = analysis::summary_rows(&view, &keys);
    Ok(table::write_summary(
        &prepared.folder.join("summary.csv"),
        &rows,
    )?)
}

/// What earlier runs here, and runs on other machines, measured of the same cells.
fn measured_elsewhere(prepared: &Prepared, run: u32, rows: &[RepeatRow]) -> Vec<Reference> {
    let elsewhere = rows_of_other_machines(prepared);
    let (present, earlier): (Vec<&RepeatRow>, Vec<&RepeatRow>) =
        rows.iter().partition(|row| row.key.run == run);
    let found = references::references(present, earlier.into_iter().chain(&elsewhere));
    let of_cell = |(cell, references): (String, Vec<references::Reference>)| {
        references.into_iter().map(move |reference| Reference {
            cell: cell.clone(),
            machine: reference.machine,
            run: reference.run,
            throughput_examples_per_second: reference.throughput.0,
            n: reference.n,
            ratio: reference.ratio,
        })
    };
    found.into_iter().flat_map(of_cell).collect()
}

/// Rows in the folders of this experiment beside the one of this machine. A folder that cannot be
/// read is left out with a note: it is not what this run is about.
fn rows_of_other_machines(prepared: &Prepared) -> Vec<RepeatRow> {
    let variant = prepared.experiment.variant();
    let own = if variant.is_some() {
        prepared.folder.ancestors().nth(2)
    } else {
        Some(prepared.folder.as_path())
    };
    let Some((own, beside)) = own.and_then(|own| Some((own, fs::read_dir(own.parent()?).ok()?)))
    else {
        return Vec::new();
    };
    let mut rows = Vec::new();
    for machine in beside
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path != own)
    {
        let folder = variant.as_ref().map_or(machine.clone(), |variant| {
            machine.join("variants").join(variant)
        });
        let path = folder.join("repeats.csv");
        if !path.is_file() {
            continue;
        }
        match read_repeats(&path) {
            Ok(mut read) => {
                mark_superseded(&mut read);
                rows.extend(read);
            }
            Err(error) => eprintln!("note: no references from {}: {error}", path.display()),
        }
    }
    rows
}
