//! What is printed after a run: one line a cell, what is missing and why, what others measured, and
//! the answer. In: summaries and the story. Out: plain text of at most 100 columns where labels allow.

mod grid;

use crate::analysis::{CellSummary, Figures, MixedConventions, Story, Summary, View};
use crate::analysis::{absent, arrange, explain, wording};
use crate::terms::Phase;
use crate::units::{grouped, significant};
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

/// Columns of text that lines are wrapped to.
const WIDTH: usize = 100;
/// Lines on cells without figures.
const MAX_ABSENT: usize = 20;

/// Phases whose share has a column, where any cell has some.
const SHARES: [(&str, Phase); 3] = [
    ("wait", Phase::InputWait),
    ("distort", Phase::Distort),
    ("exchange", Phase::Exchange),
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
) -> io::Result<()> {
    let arranged = arrange(summary, story, &story.leading_chart());
    write!(out, "{}", table(summary, arranged.as_ref().ok()))?;
    write_absent(out, summary)?;
    write_references(out, summary, references)?;
    if !summary.cells.is_empty() {
        writeln!(out)?;
    }
    write_answer(out, &arranged)
}

fn write_answer(out: &mut dyn Write, arranged: &Result<View, MixedConventions>) -> io::Result<()> {
    let view = match arranged {
        Ok(view) => view,
        Err(mixed) => return write_wrapped(out, &mixed.to_string(), ""),
    };
    let explanation = explain(view);
    write_wrapped(out, &explanation.headline, "")?;
    for verdict in &explanation.verdicts {
        write_wrapped(out, &verdict.sentence, "  ")?;
    }
    Ok(())
}

fn write_absent(out: &mut dyn Write, summary: &Summary) -> io::Result<()> {
    let lines = absent(summary);
    let more = lines.len().saturating_sub(MAX_ABSENT);
    for line in lines.iter().take(MAX_ABSENT) {
        write_wrapped(out, line, "  ")?;
    }
    match more {
        0 => Ok(()),
        _ => writeln!(out, "and {more} more"),
    }
}

/// One line for each completed cell.
fn table(summary: &Summary, view: Option<&View>) -> Grid {
    let shares = SHARES.map(|(_, phase)| {
        let any = |figures: &Figures| figures.share(&[phase]).median >= 0.005;
        summary.measured().any(|(_, figures)| any(figures))
    });
    let mut columns = vec![
        Column::left("cell"),
        Column::right("examples/s"),
        Column::left("[95 %]"),
        Column::right("n"),
        Column::left("speedup"),
        Column::right("eff."),
    ];
    let shown = SHARES.iter().zip(shares).filter(|(_, shown)| *shown);
    columns.extend(shown.map(|((name, _), _)| Column::right(name)));
    columns.push(Column::left("marks"));
    let mut grid = Grid::new(columns);
    let cells = match view {
        Some(view) => view.cells(),
        None => summary.cells.iter().collect(),
    };
    for cell in cells {
        let Some(figures) = &cell.figures else {
            continue;
        };
        let mut line = cell_line(cell, figures, view);
        for ((_, phase), _) in SHARES.iter().zip(shares).filter(|(_, shown)| *shown) {
            line.push(format!("{:.0} %", 100.0 * figures.share(&[*phase]).median));
        }
        line.push(marks(cell, figures));
        grid.push(line);
    }
    grid
}

/// Label, throughput, interval, n, speedup and efficiency.
fn cell_line(cell: &CellSummary, figures: &Figures, view: Option<&View>) -> Vec<String> {
    let rate = figures.throughput();
    let interval = match (rate.low, rate.high) {
        (Some(low), Some(high)) => format!("[{}, {}]", grouped(low), grouped(high)),
        _ => String::new(),
    };
    let base = view.and_then(|view| view.baseline(cell));
    let speedup = view.and_then(|view| view.speedup(cell));
    let (times, efficiency) = match (base, speedup) {
        (Some(base), _) if base.cell == cell.cell => ("baseline".to_string(), String::new()),
        (Some(_), Some(speedup)) => (
            wording::interval(&speedup.ratio, significant),
            format!("{:.0} %", 100.0 * speedup.efficiency.median),
        ),
        _ => (String::new(), String::new()),
    };
    let n = figures.n().to_string();
    vec![
        cell.label.clone(),
        grouped(rate.median),
        interval,
        n,
        times,
        efficiency,
    ]
}

/// `disturbed 2/6, oversubscribed`: a number where not every repeat has the mark.
fn marks(cell: &CellSummary, figures: &Figures) -> String {
    let all = figures.n();
    let said = cell.marks.iter().map(|(mark, n)| match *n == all {
        true => mark.to_string(),
        false => format!("{mark} {n}/{all}"),
    });
    said.collect::<Vec<_>>().join(", ")
}

fn write_references(
    out: &mut dyn Write,
    summary: &Summary,
    references: &[Reference],
) -> io::Result<()> {
    let mut grid = Grid::new(vec![
        Column::left("reference"),
        Column::right("examples/s"),
        Column::right("n"),
        Column::right("here"),
        Column::left("machine"),
    ]);
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
fn write_wrapped(out: &mut dyn Write, text: &str, indent: &str) -> io::Result<()> {
    let mut line = String::new();
    for word in unbroken(text) {
        if !line.trim().is_empty() && line.chars().count() + 1 + word.chars().count() > WIDTH {
            writeln!(out, "{line}")?;
            line = indent.to_string() + &word;
            continue;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&word);
    }
    writeln!(out, "{line}")
}

/// Words, with the parts of one number, its unit and its interval kept together.
fn unbroken(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for word in text.split(' ') {
        let joins = |last: &String| {
            let number = |text: &str| text.chars().next().is_some_and(|c| c.is_ascii_digit());
            let after_number = last.ends_with(|c: char| c.is_ascii_digit());
            let open = last.matches('[').count() > last.matches(']').count();
            open || (after_number && (number(word) || word.starts_with(['%', '['])))
                || (last.ends_with('%') && word.starts_with('['))
        };
        match words.last_mut().filter(|last| joins(last)) {
            Some(last) => *last = format!("{last} {word}"),
            None => words.push(word.to_string()),
        }
    }
    words
}

#[cfg(test)]
mod tests;
