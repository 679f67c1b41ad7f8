//! What is printed after a run: one line a cell, what its processes exchange, what its GPUs do, what is missing and why, what others measured, and
//! the answer. In: summaries and the story. Out: plain text of at most 100 columns.

mod cluster;
mod gpus;
pub(crate) mod grid;
mod wrap;

use crate::analysis::companions::Companions;
use crate::analysis::noise::{self, Floor};
use crate::analysis::{CellSummary, Estimate, Figures, MixedConventions, Story, Summary, View};
use crate::analysis::{Part, absent, arrange, by_reason, explain, wording};
use crate::units::{counted, grouped, significant};
use grid::{Column, Grid};
use std::io::{self, Write};

/// What another run measured of one cell.
#[derive(Clone, Debug, PartialEq)]
pub struct Reference {
    /// The id of the cell.
    pub cell: String,
    pub machine: String,
    pub run: u32,
    pub throughput_examples_per_second: f64,
    pub n: usize,
    /// The present median over this one.
    pub ratio: Option<f64>,
}

/// A cell whose steps came to no rest in some of its repeats while they were measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Restless<'a> {
    pub label: &'a str,
    pub repeats: usize,
    /// All repeats of the cell.
    pub of: usize,
}

impl Restless<'_> {
    /// `no steady state in 2 of 6 repeats`.
    pub fn reason(&self) -> String {
        format!("no steady state in {} of {} repeats", self.repeats, self.of)
    }
}

/// Columns of text that lines are wrapped to.
const WIDTH: usize = 100;
/// Lines on cells without figures.
const MAX_ABSENT: usize = 20;
/// Lines on cells without a steady state.
const MAX_RESTLESS: usize = 5;

/// Parts beside computing, of which each cell shows the one that takes most of its step.
const OVERHEADS: [(&str, Part); 3] = [
    ("wait", Part::Input),
    ("distort", Part::Distortion),
    ("exchange", Part::Exchange),
];

/// Writes table, absent cells, references and sentences.
///
/// # Errors
/// When `out` cannot be written.
pub fn report(
    out: &mut dyn Write,
    summary: &Summary,
    story: &Story,
    references: &[Reference],
    restless: Vec<Restless>,
) -> io::Result<()> {
    let arranged = arrange(summary, story, &story.leading_chart());
    let cells = match &arranged {
        Ok(view) => view.cells(),
        Err(_) => summary.cells.iter().collect(),
    };
    let floor = noise::floor(summary);
    write_table(
        out,
        &table(&cells, arranged.as_ref().ok()).to_string(),
        &floor,
    )?;
    write_table(out, &cluster::table(&cells, &Companions(summary)), &floor)?;
    write!(out, "{}", gpus::table(&cells))?;
    write_marks(out, summary)?;
    write_restless(out, restless)?;
    write_bounded(out, &absent(summary), MAX_ABSENT)?;
    write_references(out, summary, references)?;
    if !summary.cells.is_empty() {
        writeln!(out)?;
    }
    match summary.measured().next() {
        Some(_) => write_answer(out, &arranged),
        None => writeln!(out, "no cell was completed, so there is no answer."),
    }
}

/// A table that is not empty, and below it what differences in it are noise.
fn write_table(out: &mut dyn Write, table: &str, floor: &Option<Floor>) -> io::Result<()> {
    write!(out, "{table}")?;
    match floor {
        Some(floor) if !table.is_empty() => write_wrapped(out, &floor.to_string(), "  "),
        _ => Ok(()),
    }
}

fn write_answer(out: &mut dyn Write, arranged: &Result<View, MixedConventions>) -> io::Result<()> {
    let view = match arranged {
        Ok(view) => view,
        Err(mixed) => return write_wrapped(out, &mixed.to_string(), ""),
    };
    let explanation = explain(view);
    write_wrapped(out, &explanation.headline, "")?;
    for finding in &explanation.findings {
        write_wrapped(out, &finding.sentence, "  ")?;
    }
    Ok(())
}

/// At most `most` lines, and how many there are more.
fn write_bounded(out: &mut dyn Write, lines: &[String], most: usize) -> io::Result<()> {
    let more = lines.len().saturating_sub(most);
    for line in lines.iter().take(most) {
        write_wrapped(out, line, "  ")?;
    }
    match more {
        0 => Ok(()),
        _ => writeln!(out, "and {more} more"),
    }
}

/// One line for each completed cell; a star for marks, which are told below.
fn table(cells: &[&CellSummary], view: Option<&View>) -> Grid {
    let columns = vec![
        Column::left("cell"),
        Column::left(""),
        Column::right("examples/s"),
        Column::left("[95 %]"),
        Column::right("n"),
        Column::left("speedup"),
        Column::right("eff."),
        Column::left("overhead"),
    ];
    let mut grid = Grid::within(WIDTH, columns);
    for cell in cells {
        if let Some(figures) = &cell.figures {
            grid.push(cell_line(cell, figures, view));
        }
    }
    grid
}

/// A text for each column of the table.
fn cell_line(cell: &CellSummary, figures: &Figures, view: Option<&View>) -> Vec<String> {
    let rate = figures.throughput();
    let interval = match (rate.low, rate.high) {
        (Some(low), Some(high)) => format!("[{}, {}]", grouped(low), grouped(high)),
        _ => String::new(),
    };
    let (times, efficiency) = view.map_or_else(Default::default, |view| scaling(cell, view));
    let star = if cell.is_marked() { "*" } else { "" };
    vec![
        cell.label.clone(),
        star.to_string(),
        grouped(rate.median),
        interval,
        figures.n().to_string(),
        times,
        efficiency,
        overhead(figures),
    ]
}

/// Speedup and efficiency; with n where fewer blocks are paired than the cell was measured in.
fn scaling(cell: &CellSummary, view: &View) -> (String, String) {
    let Some(base) = view.baseline(cell) else {
        return Default::default();
    };
    if base.cell == cell.cell {
        return ("baseline".to_string(), String::new());
    }
    let Some(speedup) = view.speedup(cell) else {
        return Default::default();
    };
    let mut times = wording::interval(&speedup.ratio, significant);
    if cell
        .figures
        .as_ref()
        .is_some_and(|own| own.n() != speedup.ratio.n)
    {
        times += &format!(" (n = {})", speedup.ratio.n);
    }
    let percent = |efficiency: Estimate| format!("{:.0} %", 100.0 * efficiency.median);
    (times, speedup.efficiency.map_or_else(String::new, percent))
}

/// `distort 78 %`; empty where no overhead takes half a per cent of the step.
fn overhead(figures: &Figures) -> String {
    let shares = OVERHEADS.map(|(name, part)| (name, figures.share(part.phases()).median));
    let most = shares.into_iter().max_by(|a, b| a.1.total_cmp(&b.1));
    let most = most.filter(|(_, share)| *share >= 0.005);
    most.map_or_else(String::new, |(name, share)| {
        format!("{name} {:.0} %", 100.0 * share)
    })
}

/// `* oversubscribed: 4 devices, no input`: with a number where not every repeat has the mark. Then
/// the cells of which repeats were taken again.
fn write_marks(out: &mut dyn Write, summary: &Summary) -> io::Result<()> {
    let marked = summary.measured().flat_map(|(cell, figures)| {
        let all = figures.n();
        cell.marks.iter().map(move |(mark, n)| match *n == all {
            true => (format!("* {mark}"), cell.label.as_str()),
            false => (
                format!("* {mark} in {n} of {all} repeats"),
                cell.label.as_str(),
            ),
        })
    });
    let retaken = summary.cells.iter().filter(|cell| cell.retaken > 0);
    let retaken = retaken.map(|cell| {
        let repeats = counted(cell.retaken as u64, "disturbed repeat");
        (format!("{repeats} taken again"), cell.label.as_str())
    });
    for line in by_reason(marked.chain(retaken)) {
        write_wrapped(out, &line, "  ")?;
    }
    Ok(())
}

/// Cells whose step time still changed while it was measured, the worst first, and what may help.
pub(crate) fn write_restless(out: &mut dyn Write, mut restless: Vec<Restless>) -> io::Result<()> {
    let share = |cell: &Restless| cell.repeats as f64 / cell.of as f64;
    restless.sort_by(|a, b| share(b).total_cmp(&share(a)));
    if restless.is_empty() {
        return Ok(());
    }
    let cells = restless.iter().map(|cell| (cell.reason(), cell.label));
    write_bounded(out, &by_reason(cells), MAX_RESTLESS)?;
    let advice = "steps of such repeats still change while they are measured; more measure.warmup_steps may help";
    write_wrapped(out, advice, "  ")
}

fn write_references(
    out: &mut dyn Write,
    summary: &Summary,
    references: &[Reference],
) -> io::Result<()> {
    let columns = vec![
        Column::left("reference"),
        Column::right("examples/s"),
        Column::right("n"),
        Column::right("here"),
        Column::left("machine"),
    ];
    let mut grid = Grid::within(WIDTH, columns);
    for reference in references {
        let Some(cell) = summary
            .cells
            .iter()
            .find(|cell| cell.cell == reference.cell)
        else {
            continue;
        };
        grid.push(vec![
            cell.label.clone(),
            grouped(reference.throughput_examples_per_second),
            reference.n.to_string(),
            reference
                .ratio
                .map_or(String::new(), |ratio| format!("{} x", significant(ratio))),
            format!("{}, run {}", reference.machine, reference.run),
        ]);
    }
    match grid.is_empty() {
        true => Ok(()),
        false => write!(out, "\n{grid}"),
    }
}

/// Words of `text` in lines of at most [`WIDTH`], all but the first after `indent`.
///
/// # Errors
/// When `out` cannot be written.
pub(crate) fn write_wrapped(out: &mut dyn Write, text: &str, indent: &str) -> io::Result<()> {
    for line in wrap::wrapped(text, WIDTH, indent) {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
