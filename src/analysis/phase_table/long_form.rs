//! The table as rows of text, one for each part of each compared cell: every row has the same columns in
//! the same order, and what is not known is empty.

use super::{Block, PhaseEntry, PhaseRow, PhaseTable, TimePart};
use crate::analysis::estimate::Estimate;
use crate::analysis::summary_rows::SummaryRow;

impl PhaseTable {
    /// The rows of `comparison.csv`.
    pub fn long_form(&self) -> Vec<SummaryRow> {
        let axes = self.axes();
        let parts = self.parts();
        let mut lines = Vec::new();
        for block in &self.blocks {
            for row in &block.rows {
                let entries = row.parts.iter().filter(|entry| parts.contains(&entry.part));
                lines.extend(entries.map(|entry| self.line(block, row, entry, &axes)));
            }
        }
        lines
    }

    /// Names of all axes that are not compared, in the order of first appearance.
    fn axes(&self) -> Vec<String> {
        let rows = self.blocks.iter().flat_map(|block| &block.rows);
        let mut names: Vec<String> = Vec::new();
        for (name, _) in rows.flat_map(|row| &row.axes) {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        names
    }

    fn line(
        &self,
        block: &Block,
        row: &PhaseRow,
        entry: &PhaseEntry,
        axes: &[String],
    ) -> SummaryRow {
        let mut line = vec![
            column("experiment", self.experiment.as_str()),
            column("machine", block.machine.as_str()),
            column("run", block.run.to_string()),
            column("over", block.comparison.over.as_str()),
            column("base", block.comparison.base.as_str()),
            column("value", row.value.as_str()),
        ];
        for name in axes {
            let value = row.axes.iter().find(|(axis, _)| axis == name);
            line.push(column(name, value.map_or("", |(_, value)| value)));
        }
        line.extend(figures(entry, block.floor(entry.part)));
        let (verdict, reason) = match entry.part {
            TimePart::WholeStep => (row.verdict_word(), row.reason()),
            _ => ("", String::new()),
        };
        let marks: Vec<String> = row.marks.iter().map(|mark| mark.to_string()).collect();
        line.extend([
            column("verdict", verdict),
            column("reason", reason),
            column("marks", marks.join(" ")),
        ]);
        line
    }
}

fn figures(entry: &PhaseEntry, floor: Option<f64>) -> [(String, String); 8] {
    let of_ratio = |figure: fn(Estimate) -> Option<f64>| number(entry.ratio.and_then(figure));
    let n = entry
        .ratio
        .map_or(String::new(), |ratio| ratio.n.to_string());
    [
        column("part", entry.part.to_string()),
        column("base_seconds", entry.base_seconds.median.to_string()),
        column("seconds", entry.seconds.median.to_string()),
        column("ratio", of_ratio(|ratio| Some(ratio.median))),
        column("low", of_ratio(|ratio| ratio.low)),
        column("high", of_ratio(|ratio| ratio.high)),
        column("n", n),
        column("noise_floor", number(floor)),
    ]
}

fn column(name: &str, value: impl Into<String>) -> (String, String) {
    (name.to_owned(), value.into())
}

fn number(value: Option<f64>) -> String {
    value.map_or(String::new(), |value| value.to_string())
}
