//! Which repeats are measured, in which order, and why; and what is said of it beforehand.

use super::record;
use crate::cli::{Rerun, RunArgs};
use crate::commands::estimate::Estimate;
use crate::commands::prepare::{Fate, Prepared, Runs};
use crate::plan::{Cell, Plan};
use crate::table::resume::{self, Action, Decision, Mode, Wanted, Why};
use crate::table::{Journal, RepeatRow, Resolved};
use anyhow::Result;
use std::collections::{BTreeMap, HashMap};
use std::io::Write;

/// Everything that one call measures.
pub struct Schedule<'a> {
    /// Chosen cells of the plan with what this machine makes of them.
    cells: Vec<(&'a Cell, Fate<'a>)>,
    /// In the order of measuring.
    pub tasks: Vec<Task>,
    /// Index of a cell and the number of its row.
    skips: Vec<(usize, u32)>,
    /// The cell of each repeat by the reason why it is measured or not.
    reasons: BTreeMap<String, Vec<usize>>,
    estimate: Estimate,
}

/// One repeat to be measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    pub run: u32,
    /// Index into the cells of the schedule.
    pub cell: usize,
    pub block: u32,
    /// Place within the block, from 1.
    pub position: u32,
    pub repeat: u32,
    /// The second attempt at a repeat that was disturbed.
    pub is_retake: bool,
}

impl<'a> Schedule<'a> {
    /// Decides on every repeat of every cell. Changes nothing.
    pub fn new(prepared: &'a Prepared, journal: &Journal, arguments: &RunArgs) -> Self {
        let (places, cells): (Vec<usize>, Vec<_>) = prepared
            .cells()
            .map(|(place, cell)| (place, (cell, prepared.fate(cell))))
            .unzip();
        let decisions = resume::decide(
            journal.rows(),
            journal.run(),
            &wanted(prepared, &cells),
            mode(arguments),
            arguments.add_repeats,
        );
        let tasks = order(&prepared.plan, &places, &decisions, journal.run());
        Self {
            skips: decisions.iter().filter_map(skip).collect(),
            reasons: group_by_reason(&decisions),
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

    /// Marks rows that another program has measured than the one that would measure now.
    pub fn mark_stale(&self, prepared: &Prepared, run: u32, rows: &mut [RepeatRow]) {
        resume::mark_stale(rows, run, &wanted(prepared, &self.cells));
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
    ///
    /// # Errors
    /// Failures of `out`.
    pub fn announce(&self, prepared: &Prepared, out: &mut dyn Write) -> Result<()> {
        let experiment = &prepared.experiment;
        writeln!(out, "{}: {}", experiment.name, experiment.question.trim())?;
        let cells = self.cells.len();
        writeln!(
            out,
            "on {}: {cells} cells, repeats: {}",
            prepared.machine_name,
            self.reasons_text()
        )?;
        for (reason, labels) in self.skipped() {
            writeln!(out, "skipped: {}\n         {reason}", labels.join("; "))?;
        }
        match self.tasks.len() {
            0 => writeln!(out, "nothing to measure{}", self.why_nothing())?,
            count => writeln!(
                out,
                "measuring {count} repeats in random order; time: {}",
                self.estimate
            )?,
        }
        Ok(writeln!(out)?)
    }

    /// For each reason how many repeats it has, and the first cells that it is about.
    fn reasons_text(&self) -> String {
        let text = |(reason, cells): (&String, &Vec<usize>)| {
            let mut distinct = cells.clone();
            distinct.dedup();
            let first = &self.cells[distinct[0]].0.label;
            let of = match distinct.len() {
                _ if self.reasons.len() == 1 => String::new(),
                1 => format!(" ({first})"),
                several => format!(" ({first} and {} more)", several - 1),
            };
            format!("{} {reason}{of}", cells.len())
        };
        let reasons: Vec<_> = self.reasons.iter().map(text).collect();
        if reasons.is_empty() {
            "none".to_owned()
        } else {
            reasons.join(", ")
        }
    }

    fn why_nothing(&self) -> &'static str {
        let all_done = self
            .reasons
            .keys()
            .all(|reason| *reason == Why::Done.to_string());
        match (self.reasons.is_empty(), all_done) {
            (true, _) => ": every cell is skipped",
            (_, true) => ": every repeat is done (--rerun all starts a new run)",
            (_, false) => " of the kind that --rerun asks for",
        }
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

/// What the table is asked about each chosen cell.
fn wanted<'a>(prepared: &Prepared, cells: &'a [(&Cell, Fate)]) -> Vec<Wanted<'a>> {
    let of_cell = |(cell, fate): &'a (&Cell, Fate)| {
        let (program, resolved, skip) = match fate {
            Fate::Runs(runs) => (runs.program(1).identity.as_str(), &runs.resolved, None),
            Fate::Skipped(reason) => ("", &NOTHING, Some(reason.as_str())),
        };
        Wanted {
            cell: &cell.id.0,
            repeats: prepared.experiment.repeats(),
            program,
            builds: prepared.plan.builds,
            resolved,
            skip,
        }
    };
    cells.iter().map(of_cell).collect()
}

/// What a machine makes of a cell that it skips.
static NOTHING: Resolved = Resolved {
    device_kind: String::new(),
    replicas: 0,
    global_batch: 0,
    cores: String::new(),
    server_cores: String::new(),
    threads_per_core: 0.0,
};

fn mode(arguments: &RunArgs) -> Mode {
    match arguments.rerun {
        None => Mode::Continue,
        Some(Rerun::Failed) => Mode::RerunFailed,
        Some(Rerun::Stale) => Mode::RerunStale,
        Some(Rerun::All) => Mode::RerunAll,
    }
}

/// Block by block, within a block as the whole plan is shuffled. `places` are those of the chosen
/// cells in the plan.
fn order(plan: &Plan, places: &[usize], decisions: &[Decision], run: u32) -> Vec<Task> {
    let mut positions: HashMap<u32, Vec<u32>> = HashMap::new();
    let task = |decision: &Decision| match decision.action {
        Action::Measure { repeat } => {
            let of_block = positions
                .entry(decision.block)
                .or_insert_with(|| positions_of(plan, decision.block));
            let position = of_block[places[decision.wanted]];
            Some(Task {
                run,
                cell: decision.wanted,
                block: decision.block,
                position,
                repeat,
                is_retake: false,
            })
        }
        Action::RecordSkip { .. } | Action::Nothing => None,
    };
    let mut tasks: Vec<Task> = decisions.iter().filter_map(task).collect();
    tasks.sort_by_key(|task| (task.block, task.position));
    tasks
}

/// The position of each cell of the plan in a block, from 1.
fn positions_of(plan: &Plan, block: u32) -> Vec<u32> {
    let mut positions = vec![0; plan.cells.len()];
    for (cell, position) in plan.block(block).into_iter().zip(1..) {
        positions[cell] = position;
    }
    positions
}

fn skip(decision: &Decision) -> Option<(usize, u32)> {
    match decision.action {
        Action::RecordSkip { repeat } => Some((decision.wanted, repeat)),
        Action::Measure { .. } | Action::Nothing => None,
    }
}

/// The cell of each repeat by reason. Skipped cells have lines of their own.
fn group_by_reason(decisions: &[Decision]) -> BTreeMap<String, Vec<usize>> {
    let mut cells: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for decision in decisions
        .iter()
        .filter(|decision| !matches!(decision.why, Why::Skipped(_)))
    {
        cells
            .entry(decision.why.to_string())
            .or_default()
            .push(decision.wanted);
    }
    cells
}
