//! In: rows of a folder, and the cells that a plan wants measured. Out: for each repeat of each cell
//! whether it is measured, under which number, and why. Pure: knows no files and no clock.

use super::stale::{self, Now};
use super::{RepeatRow, Resolved};
use crate::plan::build_of;
use crate::terms::Outcome;
use std::collections::HashMap;

/// One cell of the plan, as this machine would measure it now.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    pub cell: &'a str,
    pub repeats: u32,
    /// Identity of the program that would train, whichever build of it.
    pub program: &'a str,
    /// How many builds of that program blocks take turns with.
    pub builds: u32,
    /// What this machine makes of the cell.
    pub resolved: &'a Resolved,
    /// Why the cell cannot be measured here; none where it can.
    pub skip: Option<&'a str>,
}

/// Which of the repeats that do not count are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Everything that is missing, failed before, or is stale.
    Continue,
    /// Only what failed before.
    RerunFailed,
    /// Only what is stale.
    RerunStale,
    /// Everything, done or not. For a run that was just started: see [`Opening`](super::Opening).
    RerunAll,
}

/// What becomes of one repeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Index into the wanted cells.
    pub wanted: usize,
    /// From 1; 0 for a skipped cell, which is decided on as a whole.
    pub block: u32,
    pub why: Why,
    pub action: Action,
}

/// What the rows say of a repeat.
#[derive(Clone, Debug, PartialEq, Eq, strum::Display)]
pub enum Why {
    #[strum(to_string = "done")]
    Done,
    #[strum(to_string = "missing")]
    Missing,
    /// What failed.
    #[strum(to_string = "failed before: {0}")]
    Failed(String),
    /// What changed.
    #[strum(to_string = "stale: {0}")]
    Stale(String),
    /// All is to be measured again.
    #[strum(to_string = "measured again, done or not")]
    Again,
    /// What is missing on this machine.
    #[strum(to_string = "skipped: {0}")]
    Skipped(String),
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Measure it and append the row under this number.
    Measure {
        repeat: u32,
    },
    /// Append a row with outcome `skipped`, of block 0 and position 0, under this number.
    RecordSkip {
        repeat: u32,
    },
    Nothing,
}

/// Decides on every repeat from block 1 to the last one wanted, cell by cell in the order of `wanted`.
///
/// A block keeps its number when a repeat of it is measured again; the repeat gets the next number of
/// its cell, and no number is used twice. `add_repeats` asks for that many blocks behind the last one
/// that every cell has tried, or behind the wanted ones.
///
/// A skipped cell gets one row with the reason. It belongs to block 0, so it counts as no repeat of
/// any block; the next call leaves it alone while the reason stays, adds a row when the reason is
/// another, and measures the cell when there is none.
pub fn decide(
    rows: &[RepeatRow],
    run: u32,
    wanted: &[Wanted],
    mode: Mode,
    add_repeats: u32,
) -> Vec<Decision> {
    let by_cell = group(rows, run);
    let of_cell = |wanted: &Wanted| by_cell.get(wanted.cell).map_or(&[][..], Vec::as_slice);
    let tried = if add_repeats > 0 {
        blocks_tried(wanted, of_cell)
    } else {
        0
    };
    let blocks = |cell: &Wanted| match add_repeats {
        0 => cell.repeats,
        more => cell.repeats.max(tried) + more,
    };
    let decide = |(i, cell)| decide_cell(i, cell, of_cell(cell), mode, blocks(cell));
    wanted.iter().enumerate().flat_map(decide).collect()
}

/// Marks completed rows of the run that were measured by another program, or resolved otherwise, than `wanted`
/// now says. Rows of cells that are no longer wanted, or cannot be measured now, stay as they are.
pub fn mark_stale(rows: &mut [RepeatRow], run: u32, wanted: &[Wanted]) {
    let by_cell: HashMap<&str, &Wanted> = wanted.iter().map(|cell| (cell.cell, cell)).collect();
    for row in rows.iter_mut().filter(|row| row.key.run == run) {
        let cell = by_cell.get(row.key.cell.as_str());
        if cell.is_some_and(|cell| change_since(row, cell).is_some()) {
            stale::mark(row);
        }
    }
}

fn group(rows: &[RepeatRow], run: u32) -> HashMap<&str, Vec<&RepeatRow>> {
    let mut by_cell: HashMap<&str, Vec<&RepeatRow>> = HashMap::new();
    for row in rows.iter().filter(|row| row.key.run == run) {
        by_cell.entry(&row.key.cell).or_default().push(row);
    }
    by_cell
}

/// The last of the blocks from 1 in which every cell that can be measured has a row.
fn blocks_tried<'a>(wanted: &[Wanted], of_cell: impl Fn(&Wanted) -> &'a [&'a RepeatRow]) -> u32 {
    let tried = |block| {
        let mut cells = wanted.iter().filter(|cell| cell.skip.is_none());
        cells.all(|cell| of_cell(cell).iter().any(|row| row.block == block))
    };
    let most = wanted
        .iter()
        .flat_map(&of_cell)
        .map(|row| row.block)
        .max()
        .unwrap_or(0);
    (1..=most)
        .take_while(|block| tried(*block))
        .last()
        .unwrap_or(0)
}

fn decide_cell(
    index: usize,
    cell: &Wanted,
    rows: &[&RepeatRow],
    mode: Mode,
    blocks: u32,
) -> Vec<Decision> {
    let mut repeat = rows.iter().map(|row| row.key.repeat).max().unwrap_or(0);
    let decide_block = |block| {
        let of_block = rows.iter().filter(|row| row.block == block);
        let why = if mode == Mode::RerunAll {
            Why::Again
        } else {
            standing(of_block, cell)
        };
        let measure = asked(&why, mode);
        repeat += u32::from(measure);
        let action = if measure {
            Action::Measure { repeat }
        } else {
            Action::Nothing
        };
        Decision {
            wanted: index,
            block,
            why,
            action,
        }
    };
    let mut decisions: Vec<Decision> = (1..=blocks).map(decide_block).collect();
    let open = |decision: &Decision| decision.action != Action::Nothing;
    if let Some(reason) = cell.skip
        && decisions.iter().any(open)
    {
        decisions.retain(|decision| !open(decision));
        decisions.push(skip(index, reason, rows));
    }
    decisions
}

fn skip(index: usize, reason: &str, rows: &[&RepeatRow]) -> Decision {
    let last = rows.iter().max_by_key(|row| row.key.repeat);
    let told = last.is_some_and(|row| row.outcome == Outcome::Skipped && row.reason == reason);
    let repeat = last.map_or(0, |row| row.key.repeat) + 1;
    let action = if told {
        Action::Nothing
    } else {
        Action::RecordSkip { repeat }
    };
    Decision {
        wanted: index,
        block: 0,
        why: Why::Skipped(reason.to_owned()),
        action,
    }
}

/// Whether the mode measures a repeat that stands so.
fn asked(why: &Why, mode: Mode) -> bool {
    match mode {
        Mode::Continue => *why != Why::Done,
        Mode::RerunFailed => matches!(why, Why::Failed(_)),
        Mode::RerunStale => matches!(why, Why::Stale(_)),
        Mode::RerunAll => true,
    }
}

/// How a repeat of one block stands: one row that counts is enough, else the newest one speaks.
fn standing<'a>(rows: impl Iterator<Item = &'a &'a RepeatRow> + Clone, cell: &Wanted) -> Why {
    let verdict = |row: &RepeatRow| match (row.outcome, change_since(row, cell)) {
        (Outcome::Completed, None) => Why::Done,
        (Outcome::Completed, Some(change)) => Why::Stale(change),
        _ => Why::Failed(failure(row)),
    };
    if rows.clone().any(|row| verdict(row) == Why::Done) {
        return Why::Done;
    }
    rows.max_by_key(|row| row.key.repeat)
        .map_or(Why::Missing, |row| verdict(row))
}

/// What differs between how a row was measured and how the cell would be measured now. What the
/// machine would make of a cell that it cannot measure is not known, and no difference.
fn change_since(row: &RepeatRow, cell: &Wanted) -> Option<String> {
    let known = row.outcome == Outcome::Completed && cell.skip.is_none();
    let now = Now {
        program: cell.program,
        build: build_of(row.block, cell.builds),
        resolved: cell.resolved,
    };
    known.then(|| stale::change(row, &now)).flatten()
}

/// What a row says went wrong, on one line.
fn failure(row: &RepeatRow) -> String {
    let reason = row.reason.lines().next().unwrap_or_default();
    match (row.outcome, reason) {
        (Outcome::Failed, reason) => reason.to_owned(),
        (outcome, "") => outcome.to_string(),
        (outcome, reason) => format!("{outcome}: {reason}"),
    }
}

#[cfg(test)]
mod tests;
