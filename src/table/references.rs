//! In: rows of the present run, and rows that were measured before or elsewhere. Out: for each cell
//! what others measured and how the present figure compares. Pure: knows no files.

use super::RepeatRow;
use super::retaken::Retaken;
use crate::stats;
use crate::units::Throughput;
use std::collections::BTreeMap;

/// What another run measured of one cell.
#[derive(Clone, Debug, PartialEq)]
pub struct Reference {
    pub run: u32,
    pub machine: String,
    /// Median over the run's completed repeats.
    pub throughput: Throughput,
    /// How many repeats that rests on.
    pub n: usize,
    /// The present median over this one; none where the present run has no figure yet.
    pub ratio: Option<f64>,
}

/// References of each cell id, by run and machine. Only rows whose figures count are looked at, so
/// callers derive which rows are stale first, folder by folder
/// ([`mark_superseded`](super::stale::mark_superseded)): rows as they are read carry no such mark. A
/// cell that no other run completed has no entry.
pub fn references<'a>(
    present: impl IntoIterator<Item = &'a RepeatRow>,
    others: impl IntoIterator<Item = &'a RepeatRow>,
) -> BTreeMap<String, Vec<Reference>> {
    let here = throughputs(present, |row| row.key.cell.as_str());
    let by_run = |row: &'a RepeatRow| {
        (
            row.key.cell.as_str(),
            row.key.run,
            row.provenance.machine.as_str(),
            row.provenance.run_token.as_str(),
        )
    };
    let mut found: BTreeMap<String, Vec<Reference>> = BTreeMap::new();
    for ((cell, run, machine, _), values) in throughputs(others, by_run) {
        let Some(median) = stats::median(&values) else {
            continue;
        };
        let present = here.get(cell).and_then(|values| stats::median(values));
        found.entry(cell.to_owned()).or_default().push(Reference {
            run,
            machine: machine.to_owned(),
            throughput: Throughput(median),
            n: values.len(),
            ratio: present.map(|present| present / median),
        });
    }
    found
}

fn throughputs<'a, K: Ord>(
    rows: impl IntoIterator<Item = &'a RepeatRow>,
    key: impl Fn(&'a RepeatRow) -> K,
) -> BTreeMap<K, Vec<f64>> {
    let rows: Vec<&RepeatRow> = rows.into_iter().filter(|row| row.counts()).collect();
    let retaken = Retaken::among(rows.iter().copied());
    let mut values: BTreeMap<K, Vec<f64>> = BTreeMap::new();
    for row in rows.into_iter().filter(|row| !retaken.gave_way(row)) {
        if let Some(measured) = &row.measured {
            values
                .entry(key(row))
                .or_default()
                .push(measured.throughput_examples_per_second);
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Measured;
    use crate::terms::{Mark, Outcome};

    fn row(run: u32, cell: &str, machine: &str, throughput: f64) -> RepeatRow {
        let mut row = RepeatRow::blank(Outcome::Completed);
        row.key.run = run;
        row.key.cell = cell.to_owned();
        row.provenance.machine = machine.to_owned();
        row.measured = Some(Measured {
            throughput_examples_per_second: throughput,
            ..Measured::default()
        });
        row
    }

    #[test]
    fn each_run_of_a_cell_stands_beside_the_present_figure() {
        let present = [
            row(3, "a", "here", 30.0),
            row(3, "a", "here", 10.0),
            row(3, "a", "here", 20.0),
        ];
        let mut stale = row(1, "a", "there", 999.0);
        stale.marks = vec![Mark::Stale];
        let mut failed = row(1, "a", "there", 999.0);
        failed.outcome = Outcome::Failed;
        let others = [
            row(1, "a", "there", 10.0),
            stale,
            failed,
            row(2, "a", "here", 40.0),
            row(1, "b", "there", 5.0),
        ];
        let found = references(&present, &others);
        let of = |run, machine: &str, throughput, ratio| Reference {
            run,
            machine: machine.to_owned(),
            throughput: Throughput(throughput),
            n: 1,
            ratio,
        };
        assert_eq!(
            found["a"],
            [
                of(1, "there", 10.0, Some(2.0)),
                of(2, "here", 40.0, Some(0.5))
            ]
        );
        assert_eq!(found["b"], [of(1, "there", 5.0, None)]);
        assert_eq!(found.len(), 2);
    }
}
