//! Which repeats are measured, in which order, and why; and what is said of it beforehand.

use super::record;
use crate::cli::{Rerun, RunArgs};
use crate::commands::estimate::Estimate;
use crate::commands::prepare::{Fate, Prepared, Runs};
use crate::plan::Cell;
use crate::table::resume::{self, Action, Decision, Mode, Wanted, Why};
use crate::table::{Journal, Resolved};
use anyhow::Result;
use std::collections::{BTreeMap, HashMap};

/// Everything that one call measures.
pub struct Schedule<'a> {
    /// Cells of the plan with what this machine makes of them.
    pub cells: Vec<(&'a Cell, Fate<'a>)>,
    /// In the order of measuring.
    pub tasks: Vec<Task>,
    /// Index of a cell and the number of its row.
    skips: Vec<(usize, u32)>,
    /// How many repeats there are for each reason, those that are done included.
    reasons: BTreeMap<String, usize>,
    estimate: Estimate,
}

/// One repeat to be measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// Index into the cells of the schedule.
    pub cell: usize,
    pub block: u32,
    /// Place within the block, from 1.
    pub position: u32,
    pub repeat: u32,
}

impl<'a> Schedule<'a> {
    /// Decides on every repeat of every cell. Changes nothing.
    pub fn new(prepared: &'a Prepared, journal: &Journal, arguments: &RunArgs) -> Self {
        let cells: Vec<_> = prepared
            .plan
            .cells
            .iter()
            .map(|cell| (cell, prepared.fate(cell)))
            .collect();
        let decisions = decide(prepared, &cells, journal, arguments);
        let tasks = order(prepared, &decisions);
        Self {
            skips: decisions.iter().filter_map(skip).collect(),
            reasons: count_reasons(&decisions),
            estimate: Estimate::of(
                tasks.iter().map(|task| cells[task.cell].0.id.0.as_str()),
                journal.rows(),
            ),
            cells,
            tasks,
        }
    }

    /// The fate of a task's cell, which can be measured.
    pub fn runs(&self, task: &Task) -> (&'a Cell, &Runs<'a>) {
        match &self.cells[task.cell] {
            (cell, Fate::Runs(runs)) => (cell, runs),
            (_, Fate::Skipped(_)) => unreachable!("a skipped cell has no task"),
        }
    }

    /// Writes the row of each skipped cell that has none yet.
    pub fn record_skips(&self, prepared: &Prepared, journal: &mut Journal) -> Result<()> {
        for (index, repeat) in &self.skips {
            let (cell, fate) = &self.cells[*index];
            if let Fate::Skipped(reason) = fate {
                let row = record::skipped(prepared, journal.run(), cell, *repeat, reason);
                journal.append(&row, &[])?;
            }
        }
        Ok(())
    }

    /// Says what is going to happen.
    pub fn announce(&self, prepared: &Prepared) {
        let experiment = &prepared.experiment;
        println!("{}: {}", experiment.name, experiment.question.trim());
        println!(
            "on {}, {} cells, {}",
            prepared.machine_name,
            self.cells.len(),
            self.reasons_text()
        );
        for (reason, labels) in self.skipped() {
            println!("skipped: {}\n         {reason}", labels.join("; "));
        }
        match self.tasks.len() {
            0 => {
                println!("nothing to measure: every repeat is done (--rerun all starts a new run)")
            }
            count => println!(
                "measuring {count} repeats in random order, {}",
                self.estimate
            ),
        }
        println!();
    }

    fn reasons_text(&self) -> String {
        let text = |(reason, count): (&String, &usize)| format!("{count} {reason}");
        let reasons: Vec<_> = self.reasons.iter().map(text).collect();
        format!(
            "repeats: {}",
            if reasons.is_empty() {
                "none".to_owned()
            } else {
                reasons.join(", ")
            }
        )
    }

    /// Labels of skipped cells by reason, in the order of the plan.
    fn skipped(&self) -> Vec<(&str, Vec<&str>)> {
        let mut by_reason: Vec<(&str, Vec<&str>)> = Vec::new();
        for (cell, fate) in &self.cells {
            let Fate::Skipped(reason) = fate else {
                continue;
            };
            match by_reason.iter_mut().find(|(known, _)| known == reason) {
                Some((_, labels)) => labels.push(&cell.label),
                None => by_reason.push((reason, vec![&cell.label])),
            }
        }
        by_reason
    }
}

fn decide(
    prepared: &Prepared,
    cells: &[(&Cell, Fate)],
    journal: &Journal,
    arguments: &RunArgs,
) -> Vec<Decision> {
    let nothing = Resolved::default();
    let repeats = prepared.experiment.repeats();
    let wanted: Vec<Wanted> = cells
        .iter()
        .map(|(cell, fate)| match fate {
            Fate::Runs(runs) => Wanted {
                cell: &cell.id.0,
                repeats,
                program: &runs.program.identity,
                resolved: &runs.resolved,
                skip: None,
            },
            Fate::Skipped(reason) => Wanted {
                cell: &cell.id.0,
                repeats,
                program: "",
                resolved: &nothing,
                skip: Some(reason),
            },
        })
        .collect();
    let mode = match arguments.rerun {
        None => Mode::Continue,
        Some(Rerun::Failed) => Mode::RerunFailed,
        Some(Rerun::Stale) => Mode::RerunStale,
        Some(Rerun::All) => Mode::RerunAll,
    };
    resume::decide(
        journal.rows(),
        journal.run(),
        &wanted,
        mode,
        arguments.add_repeats,
    )
}

/// Block by block, within a block as the plan has shuffled it.
fn order(prepared: &Prepared, decisions: &[Decision]) -> Vec<Task> {
    let mut positions: HashMap<u32, HashMap<usize, u32>> = HashMap::new();
    let mut tasks: Vec<Task> = decisions
        .iter()
        .filter_map(|decision| match decision.action {
            Action::Measure { repeat } => {
                let of_block = positions.entry(decision.block).or_insert_with(|| {
                    let order = prepared.plan.block(decision.block);
                    order.into_iter().zip(1..).collect()
                });
                let position = of_block[&decision.wanted];
                Some(Task {
                    cell: decision.wanted,
                    block: decision.block,
                    position,
                    repeat,
                })
            }
            Action::RecordSkip { .. } | Action::Nothing => None,
        })
        .collect();
    tasks.sort_by_key(|task| (task.block, task.position));
    tasks
}

fn skip(decision: &Decision) -> Option<(usize, u32)> {
    match decision.action {
        Action::RecordSkip { repeat } => Some((decision.wanted, repeat)),
        Action::Measure { .. } | Action::Nothing => None,
    }
}

/// Skipped cells have lines of their own.
fn count_reasons(decisions: &[Decision]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for decision in decisions
        .iter()
        .filter(|decision| !matches!(decision.why, Why::Skipped(_)))
    {
        *counts.entry(decision.why.to_string()).or_default() += 1;
    }
    counts
}
