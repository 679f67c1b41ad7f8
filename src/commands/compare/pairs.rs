//! In: cells of two sides. Out: which is compared with which, and in which settings they differ all the
//! same. Pure.

use crate::analysis::CellSummary;
use crate::spec::settings::{Role, SETTINGS, SettingId};
use std::collections::BTreeSet;

/// Two cells that are declared alike but for what the sides as wholes differ in.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair<'a> {
    pub base: &'a CellSummary,
    pub other: &'a CellSummary,
    pub differences: Vec<Difference>,
}

/// One setting or fact that is not the same on both sides.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Difference {
    pub key: String,
    pub base: String,
    pub other: String,
}

/// What a setting that only one side has means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// It does not apply there, which follows from what is compared: both sides are of one table.
    Follows,
    /// Another value.
    Differs,
}

/// Pairs of the same id, and of the rest those that agree in all settings but the ones that have one value
/// throughout `base` and another one throughout `other`, which are differences of each such pair. Of several
/// cells of `base` that are declared alike the first counts; a cell that fits several others has no pair.
pub fn pair<'a>(
    base: &[&'a CellSummary],
    other: &[&'a CellSummary],
    absent: Absent,
) -> Vec<Pair<'a>> {
    let keys = compared_keys(base, other);
    let (differing, agreeing): (Vec<_>, Vec<_>) = keys
        .into_iter()
        .partition(|key| difference(base, other, key).is_some());
    let mut differences: Vec<Difference> = differing
        .iter()
        .filter_map(|key| difference(base, other, key))
        .collect();
    if absent == Absent::Follows {
        differences.retain(|one| !one.base.is_empty() && !one.other.is_empty());
    }
    let partner = |cell: &&'a CellSummary| {
        if let Some(same) = base.iter().find(|base| base.cell == cell.cell) {
            return Some((*same, *cell, Vec::new()));
        }
        let fits = |base: &&&CellSummary| agree(base, cell, &agreeing, absent);
        let fitting: Vec<_> = base.iter().filter(fits).collect();
        let (first, more) = fitting.split_first()?;
        let alike = |other: &&&&CellSummary| agree(first, other, &agreeing, Absent::Differs);
        let alone = more.iter().all(|other| alike(&other));
        alone.then(|| (**first, *cell, differences.clone()))
    };
    let paired = other.iter().filter_map(partner);
    paired
        .map(|(base, other, differences)| Pair {
            base,
            other,
            differences,
        })
        .collect()
}

/// Settings of any cell that are part of what is measured, in the order of the list of settings.
fn compared_keys(base: &[&CellSummary], other: &[&CellSummary]) -> Vec<String> {
    let cells = base.iter().chain(other);
    let keys: BTreeSet<&String> = cells.flat_map(|cell| cell.settings.keys()).collect();
    let counts = |key: &str| {
        let id = SettingId::of(key);
        id.is_none_or(|id| id.setting().role == Role::Identity)
    };
    let mut keys: Vec<String> = keys
        .into_iter()
        .filter(|key| counts(key))
        .cloned()
        .collect();
    keys.sort_by_key(|key| declared_place(key));
    keys
}

/// Where a setting stands in the list; those of other versions come last.
pub fn declared_place(key: &str) -> usize {
    let place = SETTINGS.iter().position(|setting| setting.key == key);
    place.unwrap_or(SETTINGS.len())
}

/// That a setting has one value throughout each side, and not the same.
fn difference(base: &[&CellSummary], other: &[&CellSummary], key: &str) -> Option<Difference> {
    let (base, other) = (constant(base, key)?, constant(other, key)?);
    (base != other).then(|| Difference {
        key: key.to_owned(),
        base: base.to_owned(),
        other: other.to_owned(),
    })
}

/// The only value of a setting, empty where it applies to no cell.
fn constant<'a>(cells: &[&'a CellSummary], key: &str) -> Option<&'a str> {
    let value = |cell: &&'a CellSummary| cell.settings.get(key).map_or("", String::as_str);
    let first = value(cells.first()?);
    cells
        .iter()
        .all(|cell| value(cell) == first)
        .then_some(first)
}

fn agree(a: &CellSummary, b: &CellSummary, keys: &[String], absent: Absent) -> bool {
    keys.iter()
        .all(|key| match (a.settings.get(key), b.settings.get(key)) {
            (None, Some(_)) | (Some(_), None) => absent == Absent::Follows,
            (a, b) => a == b,
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::Summary;
    use crate::analysis::sample_rows::RowBuilder;
    use crate::table::RepeatRow;

    /// Cells of each combination of threads and convolution.
    fn cells(threads: &[&str], convolutions: &[&str]) -> Summary {
        let combinations = threads
            .iter()
            .flat_map(|t| convolutions.iter().map(move |c| (*t, *c)));
        let rows: Vec<RepeatRow> = combinations
            .flat_map(|(threads, convolution)| {
                let row = RowBuilder::cifar10(1).set("devices.threads", threads);
                row.set("model.convolution", convolution).repeats(1)
            })
            .collect();
        Summary::of(&rows)
    }

    /// Threads and convolution of both cells of each pair, then the keys of its differences.
    fn pairs(base: &Summary, other: &Summary, absent: Absent) -> Vec<String> {
        fn all(summary: &Summary) -> Vec<&CellSummary> {
            summary.cells.iter().collect()
        }
        let name = |cell: &CellSummary| {
            let value = |key: &str| cell.value(key).unwrap_or("-").to_owned();
            format!("{}{}", value("devices.threads"), value("model.convolution"))
        };
        let said = |pair: &Pair| {
            let keys: Vec<&str> = pair.differences.iter().map(|d| d.key.as_str()).collect();
            format!(
                "{} {} {}",
                name(pair.base),
                name(pair.other),
                keys.join(" ")
            )
        };
        let paired = pair(&all(base), &all(other), absent);
        paired.iter().map(said).collect()
    }

    #[test]
    fn products_that_may_round_are_no_hidden_difference() {
        let of = |word: &str| {
            let row = RowBuilder::cifar10(1).set("devices.tf32", word);
            Summary::of(&row.repeats(1))
        };
        let (exact, rounded) = (of("false"), of("true"));
        let pairs = pair(&[&exact.cells[0]], &[&rounded.cells[0]], Absent::Differs);
        assert_eq!(pairs[0].differences[0].key, "devices.tf32");
    }

    #[test]
    fn cells_of_the_same_id_are_paired_and_those_of_one_side_are_not() {
        let found = pairs(
            &cells(&["1", "2"], &["direct"]),
            &cells(&["2", "4"], &["direct"]),
            Absent::Differs,
        );
        assert_eq!(found, ["2direct 2direct "]);
    }

    #[test]
    fn what_differs_throughout_is_told_and_the_rest_is_paired() {
        let found = pairs(
            &cells(&["1"], &["direct", "im2col"]),
            &cells(&["2"], &["im2col", "direct"]),
            Absent::Differs,
        );
        assert_eq!(
            found,
            [
                "1im2col 2im2col devices.threads",
                "1direct 2direct devices.threads"
            ]
        );
    }

    #[test]
    fn a_setting_that_does_not_apply_is_no_difference_within_one_table() {
        let mut other = cells(&["2"], &["direct"]);
        other.cells[0].settings.remove("model.convolution");
        let base = cells(&["1"], &["direct"]);
        let within = pairs(&base, &other, Absent::Follows);
        assert_eq!(within, ["1direct 2- devices.threads"]);
        let between = pairs(&base, &other, Absent::Differs);
        assert_eq!(between, ["1direct 2- model.convolution devices.threads"]);
    }

    #[test]
    fn a_cell_that_fits_several_has_no_pair_and_a_twin_is_no_other_cell() {
        let mut other = cells(&["2"], &["direct", "im2col"]);
        other.cells.truncate(1);
        other.cells[0].settings.remove("model.convolution");
        let base = cells(&["1"], &["direct", "im2col"]);
        assert_eq!(pairs(&base, &other, Absent::Follows), [""; 0]);
        let mut twins = cells(&["1"], &["direct"]);
        let mut twin = twins.cells[0].clone();
        twin.cell = "twin".into();
        twins.cells.push(twin);
        let found = pairs(&twins, &cells(&["2"], &["direct"]), Absent::Follows);
        assert_eq!(found, ["1direct 2direct devices.threads"]);
    }
}
