//! In: the comparisons that an experiment file declares, and the results of one run. Out: a line for
//! each pair of cells, all of them decided together. Prints nothing and knows no flags.

use super::select::{self, KeyValue};
use super::sides::{Line, Part, Sides};
use super::source::Results;
use crate::analysis::{ComparisonStory, Story};

/// One line of a declared comparison.
pub struct Declared<'a> {
    pub asked: ComparisonStory,
    /// Two cells, their ratio, and what was decided among all that the file declares.
    pub line: Line<'a>,
}

/// Every pair of completed cells that `story` declares to be compared, in the order of the file. Their
/// verdicts hold together, above the noise floor of the run's A/A twin; a pair that differs in
/// what the comparison does not name has none.
pub fn declared<'a>(story: &Story, results: &'a Results) -> Vec<Declared<'a>> {
    let mut parts = parts(story, results, &[]);
    super::judge(&mut parts, None);
    let asked = story.comparisons.iter().zip(parts);
    let lines = asked.flat_map(|(asked, part)| {
        let line = |line| Declared {
            asked: asked.clone(),
            line,
        };
        part.lines.into_iter().map(line)
    });
    lines.collect()
}

/// One part for each comparison, undecided. `allowed` may differ in all of them.
pub fn parts<'a>(story: &Story, results: &'a Results, allowed: &[String]) -> Vec<Part<'a>> {
    let part = |asked: &ComparisonStory| {
        let mut cells = select::originals(&results.summary.cells);
        let mut only = asked.only.iter();
        cells.retain(|cell| {
            only.clone()
                .all(|(key, value)| select::value(cell, key) == Some(value))
        });
        let over = KeyValue {
            key: &asked.over,
            value: &asked.base,
        };
        let mut sides = Sides::within(results, cells, over, allowed);
        if let Some((key, value)) = only.next() {
            let rest = only.map(|(key, value)| format!(", {key} = {value}"));
            sides.title[0] += &format!(", where {key} = {value}{}", rest.collect::<String>());
        }
        Part::from(sides)
    };
    story.comparisons.iter().map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::sample_rows::{RowBuilder, cifar_story};
    use crate::analysis::verdict::Verdict;
    use crate::commands::compare::Windows;
    use crate::table::RepeatRow;

    fn asked(over: &str, base: &str, only: &[(&str, &str)]) -> ComparisonStory {
        let only = only.iter();
        ComparisonStory {
            over: over.into(),
            base: base.into(),
            only: only
                .map(|(key, value)| ((*key).into(), (*value).into()))
                .collect(),
        }
    }

    /// Base, other and verdict of each line.
    fn told(rows: &[RepeatRow], comparisons: Vec<ComparisonStory>) -> Vec<String> {
        let story = Story {
            comparisons,
            ..cifar_story()
        };
        let results = Results::of_run("a".into(), rows, 1, Windows::default());
        let lines = declared(&story, &results);
        let told = lines.iter().map(|Declared { asked, line }| {
            let verdict = line.verdict.map(Verdict::word);
            format!(
                "{}: {} / {}: {}",
                asked.over,
                line.other.label,
                line.base.label,
                verdict.unwrap_or("none")
            )
        });
        told.collect()
    }

    /// One and two devices with input on the host, of so many blocks.
    fn rows(blocks: u32) -> Vec<RepeatRow> {
        let mut rows = RowBuilder::cifar10(1).rate(1000.0).repeats(blocks);
        rows.extend(RowBuilder::cifar10(2).rate(1900.0).repeats(blocks));
        rows
    }

    #[test]
    fn each_declared_pair_has_a_verdict_and_what_is_not_measured_has_no_line() {
        let over_devices = asked("devices.per_worker", "1", &[("input", "input on host")]);
        let missing = asked("devices.per_worker", "1", &[("input", "no input")]);
        let told = told(&rows(8), vec![over_devices, missing]);
        assert_eq!(
            told,
            ["devices.per_worker: 2 devices, input on host / 1 device, input on host: faster"]
        );
    }

    #[test]
    fn six_blocks_decide_each_of_all_that_is_declared() {
        let asked = ["1", "2"].map(|base| asked("devices.per_worker", base, &[]));
        assert_eq!(
            told(&rows(6), asked.into()),
            [
                "devices.per_worker: 2 devices, input on host / 1 device, input on host: faster",
                "devices.per_worker: 1 device, input on host / 2 devices, input on host: slower"
            ]
        );
    }

    #[test]
    fn a_pair_that_differs_in_what_is_not_named_has_no_verdict() {
        let mut rows = rows(8);
        for row in rows.iter_mut().filter(|row| row.resolved.replicas == 2) {
            row.provenance.program = "another".into();
        }
        let told = told(&rows, vec![asked("devices.per_worker", "1", &[])]);
        assert!(told[0].ends_with(": none"), "{told:?}");
    }
}
