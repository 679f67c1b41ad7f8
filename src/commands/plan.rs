//! `xrun plan FILE`: what would be run, in which order, what would be skipped and why, and where
//! each value comes from. Measures nothing and writes no file.

mod document;

use super::Ending;
use super::estimate::Estimate;
use super::prepare::Prepared;
use crate::cli::PlanArgs;
use crate::plan::Plan;
use crate::spec::settings::{SettingId, Value};
use crate::spec::{Axis, Experiment, Source};
use crate::table::read_repeats;
use anyhow::Result;
use std::io::{BufWriter, Write};

/// Longer tables are cut; `--json` has all rows.
const MOST_ROWS: usize = 50;

/// Shows the plan of an experiment.
///
/// # Errors
///
/// A wrong file or flag; failures of stdout.
pub fn run(arguments: &PlanArgs) -> Result<Ending> {
    let prepared = Prepared::load(&arguments.file, &arguments.selection)?;
    let skipped: Vec<Option<String>> = prepared
        .plan
        .cells
        .iter()
        .map(|cell| prepared.skip(cell))
        .collect();
    let rows = match prepared.folder.join("repeats.csv") {
        path if path.exists() => read_repeats(&path)?,
        _ => Vec::new(),
    };
    let measured = prepared
        .plan
        .cells
        .iter()
        .zip(&skipped)
        .filter(|(_, skip)| skip.is_none());
    let repeats = measured.flat_map(|(cell, _)| {
        std::iter::repeat_n(cell.id.0.as_str(), prepared.experiment.repeats() as usize)
    });
    let view = PlanView {
        experiment: &prepared.experiment,
        plan: &prepared.plan,
        skipped: &skipped,
        estimate: &Estimate::of(repeats, &rows).to_string(),
    };
    let mut out = BufWriter::new(std::io::stdout().lock());
    plan(&view, arguments.json, &mut out)?;
    out.flush()?;
    Ok(Ending::Done)
}

/// A plan with what the machine makes of it.
#[derive(Clone, Copy, Debug)]
pub struct PlanView<'a> {
    pub experiment: &'a Experiment,
    pub plan: &'a Plan,
    /// One per cell: why this machine skips it.
    pub skipped: &'a [Option<String>],
    /// How long a run takes, or why that is not known.
    pub estimate: &'a str,
}

/// Writes the plan for people, or as one JSON document for programs.
///
/// # Errors
///
/// Failures of `out`.
pub fn plan(view: &PlanView, json: bool, out: &mut dyn Write) -> Result<()> {
    if json {
        serde_json::to_writer(&mut *out, &view.document())?;
        writeln!(out)?;
        return Ok(());
    }
    view.headline(out)?;
    view.cells(out)?;
    view.settings(out)?;
    writeln!(out, "\nestimated time: {}", view.estimate)?;
    Ok(())
}

impl PlanView<'_> {
    /// Why a cell is skipped, on any machine or on this one.
    fn reason(&self, cell: usize) -> Option<&str> {
        let unbuilt = self.plan.cells[cell].unbuilt.as_deref();
        unbuilt.or_else(|| self.skipped.get(cell)?.as_deref())
    }

    fn headline(&self, out: &mut dyn Write) -> Result<()> {
        let cells = self.plan.cells.len();
        let skipped = (0..cells)
            .filter(|cell| self.reason(*cell).is_some())
            .count();
        let repeats = self.experiment.repeats();
        writeln!(out, "{}", self.experiment.name)?;
        for line in self.experiment.question.trim().lines() {
            writeln!(out, "  {line}")?;
        }
        write!(
            out,
            "\n{} in {}",
            counted(cells, "cell"),
            counted(repeats as usize, "block")
        )?;
        let counts = [
            (skipped, "skipped"),
            (self.plan.excluded, "excluded"),
            (self.plan.merged, "merged into cells that are the same"),
        ];
        for (count, what) in counts.into_iter().filter(|(count, _)| *count > 0) {
            write!(out, ", {count} {what}")?;
        }
        let launches = (cells - skipped) as u64 * u64::from(repeats);
        writeln!(out, ": {} to run\n", counted(launches as usize, "repeat"))?;
        Ok(())
    }

    /// The cells in the order of the first block. Columns are what the experiment varies.
    fn cells(&self, out: &mut dyn Write) -> Result<()> {
        let columns = self.varied();
        let header = ["block 1", "cell", "label"].into_iter().map(String::from);
        let names = columns.iter().map(|id| id.key().to_owned());
        let mut rows = vec![header.chain(names).collect::<Vec<_>>()];
        let order = self.plan.block(1);
        for (position, index) in order.iter().take(MOST_ROWS).enumerate() {
            let cell = &self.plan.cells[*index];
            let lead = [
                (position + 1).to_string(),
                cell.id.to_string(),
                cell.label.clone(),
            ];
            let mut row: Vec<_> = lead.into_iter().collect();
            row.extend(columns.iter().map(|id| text(cell.values.get(*id))));
            if let Some(reason) = self.reason(*index) {
                row.push(format!("skipped: {reason}"));
            }
            rows.push(row);
        }
        aligned(&rows, out)?;
        if order.len() > MOST_ROWS {
            let more = order.len() - MOST_ROWS;
            writeln!(
                out,
                "… and {} (all of them with --json)",
                counted(more, "more cell")
            )?;
        }
        Ok(())
    }

    /// Settings that the file gives several values.
    fn varied(&self) -> Vec<SettingId> {
        let axes = self
            .experiment
            .axes
            .iter()
            .flat_map(|axis| axis.settings.iter().copied());
        let cases = self.experiment.cases.iter().flat_map(|case| &case.settings);
        let mut varied: Vec<_> = axes.chain(cases.map(|(id, _)| *id)).collect();
        varied.sort_unstable();
        varied.dedup();
        varied
    }

    /// Where each value comes from: axes first, then what is declared, then defaults.
    fn settings(&self, out: &mut dyn Write) -> Result<()> {
        let mut rows = vec![["setting", "value", "from"].map(String::from).to_vec()];
        rows.extend(self.experiment.axes.iter().map(axis_row));
        let swept = |id: &SettingId| self.experiment.axes.iter().any(|a| a.settings.contains(id));
        let source = |id: SettingId| &self.experiment.base[id.index()].source;
        let (defaults, declared): (Vec<_>, Vec<_>) = SettingId::all()
            .filter(|id| !swept(id))
            .partition(|id| *source(*id) == Source::Default);
        for id in declared.into_iter().chain(defaults) {
            let mut values = self
                .plan
                .cells
                .iter()
                .filter_map(|cell| cell.values.get(id));
            let Some(first) = values.next() else { continue };
            let value = match values.all(|value| value == first) {
                true => first.to_string(),
                false => "by cell".into(),
            };
            rows.push(vec![id.key().into(), value, source(id).to_string()]);
        }
        writeln!(out)?;
        aligned(&rows, out)
    }
}

fn axis_row(axis: &Axis) -> Vec<String> {
    let shown: Vec<_> = axis.labels.iter().take(8).map(String::as_str).collect();
    let more = match axis.labels.len() - shown.len() {
        0 => String::new(),
        more => format!(", … ({more} more)"),
    };
    vec![
        axis.name.clone(),
        format!("{}{more}", shown.join(", ")),
        axis.source.to_string(),
    ]
}

fn text(value: Option<&Value>) -> String {
    value.map_or_else(|| "–".into(), Value::to_string)
}

/// `1 cell`, `2 cells`.
fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// Writes rows in columns that are as wide as their widest field.
fn aligned(rows: &[Vec<String>], out: &mut dyn Write) -> Result<()> {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| {
        let fields = rows.iter().filter_map(|row| row.get(column));
        fields.map(|field| field.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<_> = (0..columns).map(width).collect();
    for row in rows {
        let fields = row.iter().enumerate().map(|(column, field)| {
            let width = widths.get(column).copied().unwrap_or(0);
            format!("{field:width$}")
        });
        writeln!(out, "{}", fields.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}
