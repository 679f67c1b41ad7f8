//! In: one or two results and what the user asks of them. Out: lines, each of two cells with their
//! comparison and with what differs between them that nobody named. Prints nothing.

use super::facts;
use super::pairs::{Absent, Difference, Pair, pair};
use super::select::{self, KeyValue};
use super::source::Results;
use super::wrong;
use crate::analysis::noise::{self, Floor};
use crate::analysis::verdict::{Comparison, Verdict};
use crate::analysis::{CellSummary, Figures};
use crate::cli::CompareArgs;
use crate::stats::{self, Block, Draws, Steady};
use crate::table::{Measured, RepeatRow};
use anyhow::Result;
use std::collections::{BTreeMap, BTreeSet};

/// Cells of both sides, paired.
pub struct Sides<'a> {
    base: &'a Results,
    other: &'a Results,
    pub pairs: Vec<Pair<'a>>,
    /// What is A and what is B, a line each.
    pub title: Vec<String>,
    /// Cells that have no pair, by side.
    pub alone: Vec<(&'static str, Vec<&'a CellSummary>)>,
    /// Settings and facts that are meant to differ.
    named: Vec<String>,
}

/// One pair of cells, compared.
pub struct Line<'a> {
    pub base: &'a CellSummary,
    pub other: &'a CellSummary,
    pub comparison: Comparison,
    /// What differs and was not named; there is no verdict then.
    pub hidden: Vec<Difference>,
    pub verdict: Option<Verdict>,
}

impl<'a> Sides<'a> {
    /// How far the A/A twin of each result is from its original.
    pub fn floors(&self) -> impl Iterator<Item = Floor<'a>> {
        let apart = !std::ptr::eq(self.base, self.other);
        let results = std::iter::once(self.base).chain(apart.then_some(self.other));
        results.filter_map(|results| noise::floor_of(&results.summary, rate))
    }

    /// Cells of two results, by their declared settings.
    ///
    /// # Errors
    /// A key or value of the arguments that no cell has.
    pub fn between(base: &'a Results, other: &'a Results, arguments: &CompareArgs) -> Result<Self> {
        let base_cells = select::filter(&base.summary.cells, &arguments.only)?;
        let other_cells = select::filter(&other.summary.cells, &arguments.only)?;
        let pairs = pair(
            &measured(&base_cells),
            &measured(&other_cells),
            Absent::Differs,
        );
        let named = |side: &str, results: &Results| {
            format!("{side}  {}, run {}", results.name, results.summary.run)
        };
        let alone = [("A", base_cells), ("B", other_cells)];
        Ok(Sides {
            alone: alone
                .map(|(side, cells)| (side, unpaired(cells, &pairs)))
                .into(),
            title: vec![named("A", base), named("B", other)],
            named: arguments.allow_different.clone(),
            base,
            other,
            pairs,
        })
    }

    /// Cells of one result that differ in the key of `over` alone.
    ///
    /// # Errors
    /// A key or value of the arguments that no cell has.
    pub fn within(results: &'a Results, over: &str, arguments: &CompareArgs) -> Result<Self> {
        let cells = select::filter(&results.summary.cells, &arguments.only)?;
        let KeyValue { key, value } = KeyValue::parse("--over", over)?;
        select::check_key("--over", key, &cells)?;
        let values = select::values(&cells, key);
        select::check_value("--over", KeyValue { key, value }, &values)?;
        let others: Vec<&str> = values.into_iter().filter(|other| *other != value).collect();
        if others.is_empty() {
            return Err(wrong(format!(
                "--over {over}: every cell has this value, so there is nothing to compare it with"
            )));
        }
        let side = |value: &str| {
            let of_side = cells.iter().copied();
            let of_side = of_side.filter(|cell| select::value(cell, key) == Some(value));
            measured(&of_side.collect::<Vec<_>>())
        };
        let base = side(value);
        let pairs: Vec<_> = others
            .iter()
            .flat_map(|other| pair(&base, &side(other), Absent::Follows))
            .collect();
        let mut named = arguments.allow_different.clone();
        named.push(key.to_owned());
        if select::is_zip(&cells, key) {
            // Its labels stand for the settings that differ with them.
            let differences = pairs.iter().flat_map(|pair| &pair.differences);
            named.extend(differences.map(|difference| difference.key.clone()));
        }
        let compared = match others.as_slice() {
            [one] => format!("B  {key} = {one}"),
            _ => format!("B  every other {key}"),
        };
        let title = vec![
            format!("{}, run {}", results.name, results.summary.run),
            format!("A  {key} = {value}"),
            compared,
        ];
        Ok(Sides {
            base: results,
            other: results,
            alone: vec![("", unpaired(cells, &pairs))],
            title,
            named,
            pairs,
        })
    }

    /// Whether both sides are of one run, so that blocks pair them.
    pub fn is_one_run(&self) -> bool {
        std::ptr::eq(self.base, self.other)
    }

    /// The pairs that can be compared, in their order.
    pub fn lines(&self) -> Vec<Line<'a>> {
        let of_machines = self.of_machines();
        let line = |pair: &Pair<'a>| {
            let mut hidden = pair.differences.clone();
            hidden.extend(facts::of_rows(pair, &self.base.rows, &self.other.rows));
            hidden.extend(of_machines.iter().cloned());
            hidden.extend(self.of_clocks(pair));
            hidden.retain(|difference| !facts::is_named(difference, &self.named));
            Some(Line {
                base: pair.base,
                other: pair.other,
                comparison: self.comparison(pair)?,
                hidden,
                verdict: None,
            })
        };
        self.pairs.iter().filter_map(line).collect()
    }

    /// Sides whose machine is not on record, of two that are to be compared.
    pub fn without_record(&self) -> Vec<&'static str> {
        let sides = [("A", self.base), ("B", self.other)];
        let missing = sides.into_iter().filter(|(_, side)| side.machine.is_none());
        match self.is_one_run() {
            true => Vec::new(),
            false => missing.map(|(name, _)| name).collect(),
        }
    }

    fn of_machines(&self) -> Vec<Difference> {
        match (&self.base.machine, &self.other.machine) {
            (Some(base), Some(other)) if !self.is_one_run() => facts::of_machines(base, other),
            _ => Vec::new(),
        }
    }

    /// Within one run a clock follows from what the cells do.
    fn of_clocks(&self, pair: &Pair) -> Option<Difference> {
        match self.is_one_run() {
            true => None,
            false => facts::of_clocks(pair, &self.base.rows, &self.other.rows),
        }
    }

    /// Cells with repeats whose steps came to no rest while they were measured: the label, how many, and of
    /// how many.
    pub fn restless(&self) -> Vec<(&'a str, usize, usize)> {
        let mut seen = BTreeSet::new();
        let cells = self
            .pairs
            .iter()
            .flat_map(|pair| [(self.base, pair.base), (self.other, pair.other)]);
        let cells = cells.filter(|(side, cell)| seen.insert((&side.name, &cell.cell)));
        let counted = cells.map(|(side, cell)| {
            let processes = processes(side, cell);
            let windows = processes.values().map(|process| &process.windows);
            let restless = windows.filter(|windows| stats::steady(windows) == Steady::NotFound);
            (cell.label.as_str(), restless.count(), processes.len())
        });
        counted.filter(|(_, restless, _)| *restless > 0).collect()
    }

    fn comparison(&self, pair: &Pair) -> Option<Comparison> {
        let over = processes(self.other, pair.other);
        let under = processes(self.base, pair.base);
        if !self.is_one_run() {
            let rates = |side: &BTreeMap<u32, Process>| -> Vec<f64> {
                side.values().map(|process| process.rate).collect()
            };
            return Comparison::apart(&rates(&over), &rates(&under));
        }
        let shared = over
            .iter()
            .filter_map(|(block, process)| Some((process, under.get(block)?)));
        let shared: Vec<(&Process, &Process)> = shared.collect();
        let with_windows = shared.len() >= stats::BOOTSTRAP_FROM;
        let block = |(over, under): &(&Process, &Process)| Block {
            build: over.build,
            over: over.rates(with_windows),
            under: under.rates(with_windows),
        };
        let blocks: Vec<Block> = shared.iter().map(block).collect();
        Comparison::of_blocks(&blocks, Draws::default())
    }
}

/// One repeat of a cell, as it is compared.
struct Process {
    /// Which build of its flavour it is.
    build: u32,
    rate: f64,
    /// Seconds of a step in each window; empty where they are not known.
    windows: Vec<f64>,
}

impl Process {
    /// One for the process, or one for each of its windows.
    fn rates(&self, with_windows: bool) -> Vec<f64> {
        match stats::median(&self.windows).filter(|_| with_windows) {
            Some(middle) => {
                let rate = |seconds: &f64| self.rate * middle / seconds;
                self.windows.iter().map(rate).collect()
            }
            None => vec![self.rate],
        }
    }
}

/// The completed repeats of a cell by block. The later of two repeats of a block counts.
fn processes(side: &Results, cell: &CellSummary) -> BTreeMap<u32, Process> {
    let mut rows: Vec<&RepeatRow> = side.rows.iter().collect();
    rows.retain(|row| row.key.cell == cell.cell && row.counts());
    rows.sort_by_key(|row| row.key.repeat);
    let process = |row: &&RepeatRow| {
        let process = Process {
            build: row.build(),
            rate: rate(row.measured.as_ref()?),
            windows: side.windows.of(&cell.cell, row.key.repeat),
        };
        Some((row.block, process))
    };
    rows.iter().filter_map(process).collect()
}

/// Examples per second over all replicas while a step takes as long as the median one does: what disturbs
/// a few steps does not count.
pub fn rate(measured: &Measured) -> f64 {
    let examples_per_step = measured.examples as f64 / measured.steps as f64;
    examples_per_step / measured.step_seconds_median
}

/// The median over a cell's repeats.
pub fn median_rate(figures: &Figures) -> f64 {
    figures.estimate(rate).median
}

fn measured<'a>(cells: &[&'a CellSummary]) -> Vec<&'a CellSummary> {
    let completed = cells.iter().filter(|cell| cell.figures.is_some());
    completed.copied().collect()
}

fn unpaired<'a>(cells: Vec<&'a CellSummary>, pairs: &[Pair]) -> Vec<&'a CellSummary> {
    let paired: BTreeSet<&str> = pairs
        .iter()
        .flat_map(|pair| [pair.base.cell.as_str(), pair.other.cell.as_str()])
        .collect();
    let alone = cells
        .into_iter()
        .filter(|cell| !paired.contains(cell.cell.as_str()));
    alone.collect()
}
