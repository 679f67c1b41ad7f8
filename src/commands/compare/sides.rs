//! In: one or two results and what the user asks of them. Out: lines, each of two cells with their
//! comparison and with what differs between them that nobody named. Prints nothing.

use super::facts;
use super::pairs::{Absent, Difference, Pair, pair};
use super::process::{Process, processes, rate};
use super::select::{self, KeyValue};
use super::source::Results;
use crate::analysis::CellSummary;
use crate::analysis::noise::{self, Floor};
use crate::analysis::verdict::{Comparison, Verdict};
use crate::cli::CompareArgs;
use crate::commands::report::Restless;
use crate::stats::{self, Block, Draws};
use anyhow::Result;
use std::collections::{BTreeMap, BTreeSet};

/// Cells of both sides, paired.
pub struct Sides<'a> {
    base: &'a Results,
    other: &'a Results,
    pub pairs: Vec<Pair<'a>>,
    /// What both sides are of, where that is one result.
    pub head: Option<String>,
    /// What is A and what is B, a line each.
    pub title: Vec<String>,
    pub missing: Vec<Missing<'a>>,
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

/// A comparison that cannot be made, since only one of its sides has completed repeats.
#[derive(Clone, Copy)]
pub struct Missing<'a> {
    /// The cell that has none; where nothing is declared like it, the one that has some.
    pub cell: &'a CellSummary,
    /// What would be B.
    pub other: &'a CellSummary,
}

/// Both sides of one comparison with its lines.
pub struct Part<'a> {
    pub sides: Sides<'a>,
    pub lines: Vec<Line<'a>>,
    /// Cells of B whose pairs have no line: they share no block with A, or have no rate.
    pub lost: Vec<&'a CellSummary>,
    /// How many lines of all parts were decided together, whether or not they are shown.
    pub family: usize,
}

impl<'a> From<Sides<'a>> for Part<'a> {
    /// Undecided.
    fn from(sides: Sides<'a>) -> Part<'a> {
        let lines = sides.lines();
        let has_line = |cell: &CellSummary| lines.iter().any(|line| std::ptr::eq(line.other, cell));
        let paired = sides.pairs.iter().map(|pair| pair.other);
        Part {
            lost: paired.filter(|cell| !has_line(cell)).collect(),
            family: 0,
            lines,
            sides,
        }
    }
}

impl<'a> Pair<'a> {
    fn missing(&self) -> Option<Missing<'a>> {
        let (base, other) = (self.base, self.other);
        let cell = match (&base.figures, &other.figures) {
            (None, Some(_)) => base,
            (Some(_), None) => other,
            _ => return None,
        };
        Some(Missing { cell, other })
    }
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
        let sides = [measured(&base_cells), measured(&other_cells)];
        let pairs = pair(&sides[0], &sides[1], Absent::Differs);
        let planned = pair(&base_cells, &other_cells, Absent::Differs);
        let missing = planned.iter().filter_map(Pair::missing);
        // What A has and B does not may have got lost; what is new in B is compared with nothing.
        let gone = unpaired(unpaired(sides[0].clone(), &pairs), &planned);
        let gone = gone.into_iter().map(|cell| Missing { cell, other: cell });
        let missing = missing.chain(gone).collect();
        let named = |side: &str, results: &Results| {
            format!("{side}  {}, run {}", results.name, results.summary.run)
        };
        let alone = [("A", base_cells), ("B", other_cells)];
        Ok(Sides {
            alone: alone
                .map(|(side, cells)| (side, unpaired(cells, &pairs)))
                .into(),
            missing,
            head: None,
            title: vec![named("A", base), named("B", other)],
            named: arguments.allow_different.clone(),
            base,
            other,
            pairs,
        })
    }

    /// Those of `cells`, all of one result, that differ in the key of `over` alone. What is `allowed` may
    /// differ, too.
    pub fn within(
        results: &'a Results,
        cells: Vec<&'a CellSummary>,
        over: KeyValue,
        allowed: &[String],
    ) -> Self {
        let KeyValue { key, value } = over;
        let mut others = select::values(&cells, key);
        others.retain(|other| *other != value);
        let side = |value: &str| {
            let mut side = cells.clone();
            side.retain(|cell| select::value(cell, key) == Some(value));
            side
        };
        let paired = |chosen: fn(&[&'a CellSummary]) -> Vec<&'a CellSummary>| -> Vec<Pair<'a>> {
            let base = chosen(&side(value));
            let pairs = others.iter().map(|other| chosen(&side(other)));
            let pairs = pairs.flat_map(|other| pair(&base, &other, Absent::Follows));
            pairs.collect()
        };
        let (pairs, planned) = (paired(measured), paired(<[_]>::to_vec));
        let mut named = allowed.to_vec();
        named.push(key.to_owned());
        if select::is_zip(&cells, key) {
            // Its labels stand for the settings that differ with them.
            let both = pairs.iter().chain(&planned);
            let differences = both.flat_map(|pair| &pair.differences);
            named.extend(differences.map(|difference| difference.key.clone()));
        }
        let is_named = |one: &Difference| facts::is_named(one, &named);
        let planned = planned.iter();
        let planned = planned.filter(|pair| pair.differences.iter().all(is_named));
        let missing = planned.filter_map(Pair::missing).collect();
        let compared = match others.as_slice() {
            [one] => format!("B  {key} = {one}"),
            _ => format!("B  every other {key}"),
        };
        Sides {
            base: results,
            other: results,
            head: Some(format!("{}, run {}", results.name, results.summary.run)),
            title: vec![format!("A  {key} = {value}"), compared],
            alone: vec![("", unpaired(cells, &pairs))],
            missing,
            named,
            pairs,
        }
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
    fn of_clocks(&self, pair: &Pair) -> Vec<Difference> {
        match self.is_one_run() {
            true => Vec::new(),
            false => facts::of_clocks(pair, &self.base.rows, &self.other.rows),
        }
    }

    /// Cells with repeats whose steps came to no rest while they were measured.
    pub fn restless(&self) -> impl Iterator<Item = Restless<'a>> {
        let pairs = self.pairs.iter();
        let cells = pairs.flat_map(|pair| [(self.base, pair.base), (self.other, pair.other)]);
        let mut seen = BTreeSet::new();
        let cells = cells.filter(move |(side, cell)| seen.insert((&side.name, &cell.cell)));
        cells.filter_map(|(side, cell)| side.restless(cell))
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
            .filter_map(|(block, process)| Some((*block, process, under.get(block)?)))
            .filter(|(_, over, under)| over.build == under.build);
        let shared: Vec<(u32, &Process, &Process)> = shared.collect();
        let with_windows = shared.len() >= stats::BOOTSTRAP_FROM;
        let block = |(block, over, under): &(u32, &Process, &Process)| Block {
            block: *block,
            build: over.build,
            over: over.rates(with_windows),
            under: under.rates(with_windows),
        };
        let blocks: Vec<Block> = shared.iter().map(block).collect();
        Comparison::of_blocks(&blocks, Draws::default())
    }
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
