//! In: cells, and keys and values as the user gave them. Out: the cells that are meant, or what is wrong
//! with a key. Pure.

use super::wrong;
use crate::analysis::CellSummary;
use crate::spec::nearest;
use anyhow::Result;
use std::collections::BTreeSet;

/// What one key is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyValue<'a> {
    pub key: &'a str,
    pub value: &'a str,
}

impl<'a> KeyValue<'a> {
    /// The argument of `flag`.
    ///
    /// # Errors
    /// It has no `=`.
    pub fn parse(flag: &str, text: &'a str) -> Result<Self> {
        match text.split_once('=') {
            Some((key, value)) => Ok(KeyValue { key, value }),
            None => Err(wrong(format!("{flag} {text}: write {flag} KEY=VALUE"))),
        }
    }
}

/// The value of a setting or zip axis, the label or the id of a cell.
pub fn value<'a>(cell: &'a CellSummary, key: &str) -> Option<&'a str> {
    match key {
        "label" => Some(&cell.label),
        "cell" => Some(&cell.cell),
        _ => cell.value(key),
    }
}

/// Whether a key names a zip axis, which stands for several settings.
pub fn is_zip(cells: &[&CellSummary], key: &str) -> bool {
    cells.iter().any(|cell| cell.axis_labels.contains_key(key))
}

/// The cells that answer a question: all but A/A twins.
pub fn originals(cells: &[CellSummary]) -> Vec<&CellSummary> {
    cells.iter().filter(|cell| cell.twin_of.is_none()).collect()
}

/// The original cells with the wanted values.
///
/// # Errors
/// As [`narrow`].
pub fn filter<'a>(cells: &'a [CellSummary], only: &[String]) -> Result<Vec<&'a CellSummary>> {
    narrow(originals(cells), only)
}

/// The cells with the wanted values: several values of one key are alternatives, several keys must all
/// hold.
///
/// # Errors
/// A key that no cell has, or a value that leaves no cell.
pub fn narrow<'a>(
    mut chosen: Vec<&'a CellSummary>,
    only: &[String],
) -> Result<Vec<&'a CellSummary>> {
    let wanted = only.iter().map(|text| KeyValue::parse("--where", text));
    let wanted = wanted.collect::<Result<Vec<_>>>()?;
    for one in &wanted {
        check_key("--where", one.key, &chosen)?;
        let alternatives: Vec<&str> = wanted
            .iter()
            .filter(|other| other.key == one.key)
            .map(|other| other.value)
            .collect();
        let before = values(&chosen, one.key);
        check_value("--where", *one, &before)?;
        chosen.retain(|cell| value(cell, one.key).is_some_and(|v| alternatives.contains(&v)));
    }
    Ok(chosen)
}

/// Every value of a key, in the order of the cells.
pub fn values<'a>(cells: &[&'a CellSummary], key: &str) -> Vec<&'a str> {
    let mut values = Vec::new();
    for found in cells.iter().filter_map(|cell| value(cell, key)) {
        if !values.contains(&found) {
            values.push(found);
        }
    }
    values
}

/// # Errors
/// No cell has the key.
pub fn check_key(flag: &str, key: &str, cells: &[&CellSummary]) -> Result<()> {
    if cells.iter().any(|cell| value(cell, key).is_some()) {
        return Ok(());
    }
    let known = cells
        .iter()
        .flat_map(|cell| cell.axis_labels.keys().chain(cell.settings.keys()));
    let known: BTreeSet<&str> = known.map(String::as_str).chain(["label", "cell"]).collect();
    Err(wrong(format!(
        "{flag} {key}: no cell has a setting or zip axis of that name{}",
        meant(key, known)
    )))
}

/// # Errors
/// The value is none of those there are.
pub fn check_value(flag: &str, wanted: KeyValue, there: &[&str]) -> Result<()> {
    if there.contains(&wanted.value) {
        return Ok(());
    }
    let KeyValue { key, value } = wanted;
    let listed = there
        .iter()
        .take(10)
        .copied()
        .collect::<Vec<_>>()
        .join(", ");
    Err(wrong(format!(
        "{flag} {key}={value}: no cell has this value; there are {listed}"
    )))
}

/// `; did you mean ...?`, where a known word is near.
pub fn meant<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, known).map_or_else(String::new, |near| format!("; did you mean `{near}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::Summary;
    use crate::analysis::sample_rows::RowBuilder;

    fn cells() -> Vec<CellSummary> {
        let mut rows = RowBuilder::cifar10(1).repeats(1);
        rows.extend(RowBuilder::cifar10(1).input("no input").repeats(1));
        rows.extend(RowBuilder::cifar10(2).repeats(1));
        Summary::of(&rows).cells
    }

    fn labels(only: &[&str]) -> Vec<String> {
        let only: Vec<String> = only.iter().map(|text| (*text).to_owned()).collect();
        match filter(&cells(), &only) {
            Ok(chosen) => chosen.iter().map(|cell| cell.label.clone()).collect(),
            Err(error) => vec![error.to_string()],
        }
    }

    #[test]
    fn values_of_one_key_are_alternatives_and_keys_must_all_hold() {
        assert_eq!(labels(&[]).len(), 3);
        assert_eq!(labels(&["input=no input"]), ["1 device, no input"]);
        let two = ["devices.per_worker=1", "devices.per_worker=2"];
        assert_eq!(labels(&two).len(), 3);
        let both = ["devices.per_worker=1", "input=input on host"];
        assert_eq!(labels(&both), ["1 device, input on host"]);
    }

    #[test]
    fn wrong_keys_and_values_are_named() {
        let wrong = ["input", "devices.per_workers=1", "input=no inputs"];
        let messages = wrong.map(|text| labels(&[text]).join(""));
        insta::assert_debug_snapshot!(messages, @r#"
        [
            "--where input: write --where KEY=VALUE",
            "--where devices.per_workers: no cell has a setting or zip axis of that name; did you mean `devices.per_worker`?",
            "--where input=no inputs: no cell has this value; there are input on host, no input",
        ]
        "#);
        let none = ["input=no input", "devices.per_worker=2"];
        assert_eq!(
            labels(&none),
            ["--where devices.per_worker=2: no cell has this value; there are 1"]
        );
    }
}
