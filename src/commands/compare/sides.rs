//! In: one or two results and what the user asks of them. Out: lines, each of two cells with their
//! comparison and with what differs between them that nobody named. Prints nothing.

use super::facts;
use super::pairs::{Absent, Difference, Pair, pair};
use super::select::{self, KeyValue};
use super::source::Results;
use super::wrong;
use crate::analysis::verdict::{Comparison, Verdict};
use crate::analysis::{CellSummary, Figures};
use crate::cli::CompareArgs;
use crate::table::Measured;
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
    /// Cells of two results, by their declared settings.
    ///
    /// # Errors
    /// A key or value of the arguments that no cell has.
    pub fn between(base: &'a Results, other: &'a Results, arguments: &CompareArgs) -> Result<Self> {
        let base_cells = select::filter(&base.cells, &arguments.only)?;
        let other_cells = select::filter(&other.cells, &arguments.only)?;
        let pairs = pair(
            &measured(&base_cells),
            &measured(&other_cells),
            Absent::Differs,
        );
        let named = |side: &str, results: &Results| {
            format!("{side}  {}, run {}", results.name, results.run)
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
        let cells = select::filter(&results.cells, &arguments.only)?;
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
            format!("{}, run {}", results.name, results.run),
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

    fn comparison(&self, pair: &Pair) -> Option<Comparison> {
        let (over, under) = (rates(pair.other)?, rates(pair.base)?);
        if self.is_one_run() {
            return Comparison::by_block(&over, &under);
        }
        let values = |side: Vec<(u32, f64)>| side.into_iter().map(|(_, rate)| rate).collect();
        let (over, under): (Vec<f64>, Vec<f64>) = (values(over), values(under));
        Comparison::apart(&over, &under)
    }
}

/// Rates of a cell's repeats, one for each block.
fn rates(cell: &CellSummary) -> Option<Vec<(u32, f64)>> {
    // The later of two repeats of a block counts.
    let by_block: BTreeMap<u32, f64> = cell.figures.as_ref()?.by_block(rate).into_iter().collect();
    Some(by_block.into_iter().collect())
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
