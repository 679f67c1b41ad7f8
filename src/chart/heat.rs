//! In: a [`PhaseTable`]. Out: a [`HeatMap`], a box for each part of each compared cell, machine by machine.
//! A box has a colour only where its ratio stands out, so that what may be noise is seen to be grey.

mod place;

use crate::analysis::phase_table::{Block, PhaseEntry, PhaseRow, PhaseTable, TimePart};
use crate::analysis::wording::{list, thousandths};
use crate::chart::scene::Scene;
use crate::chart::{NoFigure, Picture};
use crate::units::counted;
use std::collections::{BTreeMap, BTreeSet};

/// Ratios at which colours are full: the least that holds all ratios that stand out, or the last.
const LIMITS: [f64; 6] = [1.1, 1.25, 1.5, 2.0, 3.0, 4.0];
/// Lines on verdicts and absent cells under a picture.
const MAX_NOTES: usize = 8;
const COLOURS: [&str; 2] = [
    "whole step: coloured where the verdict is faster or slower; all verdicts of a machine hold \
     together at 95 % (max-T)",
    "other parts, on which there is no verdict: coloured where their whole interval, which holds by \
     itself, lies outside their noise floor, or on one side of 1 where no A/A twin tells the floor",
];

/// One picture of boxes as data, complete but for its geometry.
#[derive(Clone, Debug, PartialEq)]
pub struct HeatMap {
    pub title: String,
    pub subtitle: String,
    /// Heads of the columns of boxes.
    pub columns: Vec<String>,
    /// Colours are full from this ratio up, and from its inverse down.
    pub limit: f64,
    /// Below each other.
    pub blocks: Vec<HeatBlock>,
    /// Under the picture: what colours mean, marks, absent cells.
    pub notes: Vec<String>,
}

/// What was compared on one machine.
#[derive(Clone, Debug, PartialEq)]
pub struct HeatBlock {
    pub title: String,
    /// The noise floor of each column; empty where there is none.
    pub floors: Vec<String>,
    pub rows: Vec<HeatRow>,
}

/// One compared cell.
#[derive(Clone, Debug, PartialEq)]
pub struct HeatRow {
    /// Rows of one group stand together beside its name.
    pub group: String,
    /// With a star where the cell or its base is marked.
    pub label: String,
    pub boxes: Vec<HeatBox>,
    pub verdict: String,
}

/// One part of its time.
#[derive(Clone, Debug, PartialEq)]
pub struct HeatBox {
    /// Empty where there is none.
    pub ratio: String,
    /// Empty where the blocks are too few for one.
    pub interval: String,
    pub tint: Tint,
}

/// How a box is filled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Tint {
    /// There is no ratio.
    Empty,
    /// It does not stand out.
    Noise,
    /// By a ratio that stands out.
    Ratio(f64),
}

impl Picture for HeatMap {
    fn scene(&self) -> Scene {
        place::scene(self)
    }
}

/// The heat map of everything that an experiment compares.
///
/// # Errors
/// When nothing was compared.
pub fn figure(table: &PhaseTable) -> Result<HeatMap, NoFigure> {
    let blocks: Vec<&Block> = table
        .blocks
        .iter()
        .filter(|block| !block.rows.is_empty())
        .collect();
    if blocks.is_empty() {
        let absent = table.blocks.iter().flat_map(|block| &block.absent).next();
        let why = absent.map_or("no completed cell has a completed base", String::as_str);
        return Err(NoFigure::NothingCompared(why.to_owned()));
    }
    let parts = table.parts();
    Ok(HeatMap {
        title: format!("{}: how many times as fast, part by part", table.experiment),
        subtitle:
            "time of the base over time of the other, for the same examples: above 1 is faster · \
                   paired by block, with the 95 % interval of each ratio"
                .to_owned(),
        columns: parts.iter().map(|part| part.title()).collect(),
        limit: limit(&blocks),
        notes: notes(table, &blocks),
        blocks: blocks
            .iter()
            .map(|block| heat_block(block, &parts))
            .collect(),
    })
}

fn limit(blocks: &[&Block]) -> f64 {
    let rows = blocks.iter().flat_map(|block| &block.rows);
    let outstanding = rows
        .flat_map(|row| &row.parts)
        .filter(|entry| entry.stands_out);
    let ratios = outstanding.filter_map(|entry| entry.ratio);
    let farthest = ratios
        .map(|ratio| ratio.median.ln().abs())
        .fold(0.0, f64::max);
    let holds = |limit: &&f64| farthest <= limit.ln();
    let last = LIMITS.last().expect("there are limits");
    *LIMITS.iter().find(holds).unwrap_or(last)
}

fn heat_block(block: &Block, parts: &[TimePart]) -> HeatBlock {
    let floor = |part: &TimePart| {
        let floor = block.floor(*part);
        floor.map_or(String::new(), |floor| format!("± {:.1} %", 100.0 * floor))
    };
    let title = format!("{}, {}", block.title(), block.counts());
    HeatBlock {
        title: match block.machine.is_empty() {
            true => title,
            false => format!("{}: {title}", block.machine),
        },
        floors: match block.floors.is_empty() {
            true => Vec::new(),
            false => parts.iter().map(floor).collect(),
        },
        rows: block.rows.iter().map(|row| heat_row(row, parts)).collect(),
    }
}

fn heat_row(row: &PhaseRow, parts: &[TimePart]) -> HeatRow {
    let entries = row.parts.iter().filter(|entry| parts.contains(&entry.part));
    let star = if row.marks.is_empty() { "" } else { " *" };
    HeatRow {
        group: row.context.clone(),
        label: format!("{}{star}", row.value),
        boxes: entries.map(heat_box).collect(),
        verdict: row.verdict_word().to_owned(),
    }
}

fn heat_box(entry: &PhaseEntry) -> HeatBox {
    let Some(ratio) = entry.ratio else {
        return HeatBox {
            ratio: String::new(),
            interval: String::new(),
            tint: Tint::Empty,
        };
    };
    let interval = match (ratio.low, ratio.high) {
        (Some(low), Some(high)) => format!("[{}, {}]", thousandths(low), thousandths(high)),
        _ => String::new(),
    };
    HeatBox {
        ratio: thousandths(ratio.median),
        interval,
        tint: match entry.stands_out {
            true => Tint::Ratio(ratio.median),
            false => Tint::Noise,
        },
    }
}

/// What colours mean, then what is said of rows, then what is absent, each with its machine where there are
/// several.
fn notes(table: &PhaseTable, blocks: &[&Block]) -> Vec<String> {
    let mut notes = COLOURS.map(str::to_owned).to_vec();
    notes.extend(marks(blocks));
    let machines: BTreeSet<&str> = table
        .blocks
        .iter()
        .map(|block| block.machine.as_str())
        .collect();
    let mut rest: Vec<String> = Vec::new();
    for block in &table.blocks {
        for line in reasons(block)
            .into_iter()
            .chain(block.absent.iter().cloned())
        {
            let line = match machines.len() {
                1 => line,
                _ => format!("{}: {line}", block.machine),
            };
            if !rest.contains(&line) {
                rest.push(line);
            }
        }
    }
    let more = rest.len().saturating_sub(MAX_NOTES);
    rest.truncate(MAX_NOTES);
    notes.extend(rest);
    notes.extend((more > 0).then(|| format!("and {more} more")));
    notes
}

fn marks(blocks: &[&Block]) -> Option<String> {
    let rows = blocks.iter().flat_map(|block| &block.rows);
    let marks: BTreeSet<_> = rows.flat_map(|row| &row.marks).collect();
    let words: Vec<String> = marks.iter().map(|mark| mark.to_string()).collect();
    (!words.is_empty()).then(|| format!("* the cell or its base is {}", list(&words)))
}

/// Why verdicts are none or undecided: one line for each reason, with how many rows have it.
fn reasons(block: &Block) -> Vec<String> {
    let mut reasons: BTreeMap<String, u64> = BTreeMap::new();
    for row in block.rows.iter().filter(|row| !row.reason().is_empty()) {
        let why = match row.verdict {
            Some(_) => row.reason(),
            None => format!("unnamed differences: {}", row.reason()),
        };
        *reasons
            .entry(format!("{}: {why}", row.verdict_word()))
            .or_default() += 1;
    }
    let reasons = reasons.into_iter();
    reasons
        .map(|(why, rows)| format!("{why} ({})", counted(rows, "row")))
        .collect()
}
