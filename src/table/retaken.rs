//! In: rows. Out: which of them were disturbed and measured again, so that their figures give way to
//! those of the second attempt. Pure: knows no files.

use super::RepeatRow;
use crate::terms::Mark;
use std::collections::HashMap;

/// The number of the last repeat that counts of each cell and block of each run.
pub struct Retaken<'a>(HashMap<Place<'a>, u32>);

/// Run with its token, cell and block.
type Place<'a> = (u32, &'a str, &'a str, u32);

impl<'a> Retaken<'a> {
    pub fn among(rows: impl IntoIterator<Item = &'a RepeatRow>) -> Self {
        let mut last = HashMap::new();
        for row in rows.into_iter().filter(|row| row.counts()) {
            let newest: &mut u32 = last.entry(place(row)).or_default();
            *newest = row.key.repeat.max(*newest);
        }
        Self(last)
    }

    /// Whether `row` was disturbed and a later repeat of its cell counts for its block. The later one
    /// counts whatever it says, disturbed or not: nobody chooses by the figures.
    pub fn gave_way(&self, row: &RepeatRow) -> bool {
        let last = self.0.get(&place(row));
        row.marks.contains(&Mark::Disturbed) && last.is_some_and(|last| *last > row.key.repeat)
    }
}

fn place(row: &RepeatRow) -> Place<'_> {
    let (key, token) = (&row.key, &row.provenance.run_token);
    (key.run, token, &key.cell, row.block)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terms::Outcome;

    fn row(repeat: u32, block: u32, marks: &[Mark]) -> RepeatRow {
        let mut row = RepeatRow::blank(Outcome::Completed);
        (row.key.repeat, row.block) = (repeat, block);
        row.marks = marks.to_vec();
        row
    }

    fn that_gave_way(rows: &[RepeatRow]) -> Vec<u32> {
        let retaken = Retaken::among(rows);
        let rows = rows.iter().filter(|row| retaken.gave_way(row));
        rows.map(|row| row.key.repeat).collect()
    }

    #[test]
    fn a_disturbed_repeat_gives_way_to_a_later_one_of_its_block() {
        let disturbed = [Mark::Disturbed];
        let rows = [
            row(1, 1, &disturbed),
            row(2, 2, &disturbed),
            row(3, 3, &[]),
            row(7, 1, &[]),
            row(8, 3, &disturbed),
        ];
        assert_eq!(that_gave_way(&rows), [1]);
        let both = [row(1, 1, &disturbed), row(7, 1, &disturbed)];
        assert_eq!(that_gave_way(&both), [1]);
    }

    #[test]
    fn a_second_attempt_that_failed_or_is_of_another_run_replaces_nothing() {
        let mut failed = row(7, 1, &[]);
        failed.outcome = Outcome::Failed;
        let mut elsewhere = row(8, 1, &[]);
        elsewhere.provenance.run_token = "other".to_owned();
        let stale = row(9, 1, &[Mark::Stale]);
        let rows = [row(1, 1, &[Mark::Disturbed]), failed, elsewhere, stale];
        assert_eq!(that_gave_way(&rows), [0; 0]);
    }
}
