//! `xrun plan FILE`: what would be run, in which order, what would be skipped and why, and where
//! each value comes from. Measures nothing and writes no file.

mod document;

use super::Ending;
use super::estimate::Estimate;
use super::prepare::Prepared;
use super::report::grid::{Column, Grid};
use super::report::write_wrapped;
use crate::analysis::by_reason;
use crate::cli::PlanArgs;
use crate::plan::Plan;
use crate::spec::settings::{SettingId, Value};
use crate::spec::{Axis, Experiment, Source};
use crate::table::read_repeats;
use crate::units::counted;
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
    let chosen = prepared.chosen();
    let skipped: Vec<Option<String>> = chosen
        .cells
        .iter()
        .map(|cell| prepared.skip(cell))
        .collect();
    let rows = match prepared.folder.join("repeats.csv") {
        path if path.exists() => read_repeats(&path)?,
        _ => Vec::new(),
    };
    let measured = chosen
        .cells
        .iter()
        .zip(&skipped)
        .filter(|(_, skip)| skip.is_none());
    let repeats = prepared.experiment.repeats() as usize;
    let repeats = measured.flat_map(|(cell, _)| std::iter::repeat_n(cell.id.0.as_str(), repeats));
    let view = PlanView {
        experiment: &prepared.experiment,
        plan: &chosen,
        order: &prepared.first_block(),
        skipped: &skipped,
        estimate: &Estimate::of(repeats, &rows).to_string(),
    };
    let mut out = BufWriter::new(std::io::stdout().lock());
    plan(&view, arguments.json, &mut out)?;
    let unbuilt = prepared.unbuilt_flavours();
    if !arguments.json && !unbuilt.is_empty() {
        let unbuilt = unbuilt.join(", ");
        writeln!(
            out,
            "flavours that a run builds first, unless they are there: {unbuilt}"
        )?;
    }
    out.flush()?;
    Ok(Ending::Done)
}

/// A plan with what the machine makes of it.
#[derive(Clone, Copy, Debug)]
pub struct PlanView<'a> {
    pub experiment: &'a Experiment,
    pub plan: &'a Plan,
    /// Places in `plan.cells` in the order of the first block.
    pub order: &'a [usize],
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
            counted(cells as u64, "cell"),
            counted(repeats.into(), "block")
        )?;
        let twins = self.plan.cells.iter().filter(|cell| cell.twin_of.is_some());
        let counts = [
            (twins.count(), "an A/A twin"),
            (skipped, "skipped"),
            (self.plan.excluded, "excluded"),
            (self.plan.merged, "merged into cells that are the same"),
        ];
        for (count, what) in counts.into_iter().filter(|(count, _)| *count > 0) {
            write!(out, ", {count} {what}")?;
        }
        let launches = (cells - skipped) as u64 * u64::from(repeats);
        writeln!(out, ": {} to run\n", counted(launches, "repeat"))?;
        Ok(())
    }

    /// The cells in the order of the first block. Columns are what the experiment varies.
    fn cells(&self, out: &mut dyn Write) -> Result<()> {
        let varied = self.varied();
        let names = ["block 1", "cell", "label"].into_iter();
        let names = names.chain(varied.iter().map(|id| id.key())).chain([""]);
        let mut grid = Grid::new(names.map(Column::left).collect());
        let order = self.order;
        for (position, index) in order.iter().take(MOST_ROWS).enumerate() {
            let cell = &self.plan.cells[*index];
            let id = cell.id.to_string();
            let mut row = vec![(position + 1).to_string(), id, cell.label.clone()];
            row.extend(varied.iter().map(|id| text(cell.values.get(*id))));
            let skipped = self.reason(*index).map_or("", |_| "skipped");
            row.push(skipped.to_owned());
            grid.push(row);
        }
        write!(out, "{grid}")?;
        if order.len() > MOST_ROWS {
            let more = counted((order.len() - MOST_ROWS) as u64, "more cell");
            writeln!(out, "… and {more} (all of them with --json)")?;
        }
        self.skips(order, out)
    }

    /// Each reason why cells are skipped, with their labels.
    fn skips(&self, order: &[usize], out: &mut dyn Write) -> Result<()> {
        let skipped = order.iter().filter_map(|index| {
            let reason = self.reason(*index)?;
            let label = self.plan.cells[*index].label.as_str();
            Some((format!("skipped: {reason}"), label))
        });
        for line in by_reason(skipped) {
            write_wrapped(out, &line, "  ")?;
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
        let mut grid = Grid::new(["setting", "value", "from"].map(Column::left).to_vec());
        self.experiment
            .axes
            .iter()
            .map(axis_row)
            .for_each(|row| grid.push(row));
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
            grid.push(vec![id.key().into(), value, source(id).to_string()]);
        }
        write!(out, "\n{grid}")?;
        Ok(())
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
