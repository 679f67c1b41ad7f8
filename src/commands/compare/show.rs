//! In: compared pairs. Out: plain text of at most 100 columns: what is compared, tables of lines, and what
//! stands in the way of a verdict.

mod lines;

use super::pairs::Difference;
use super::sides::Part;
use crate::analysis::CellSummary;
use crate::cli::CompareArgs;
use crate::commands::report::{Restless, write_restless, write_wrapped};
use crate::stats;
use crate::units::counted;
use anyhow::Result;
use lines::{Shape, grid};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

/// Cells without a pair that are named.
const MAX_ALONE: usize = 5;

/// Writes all of it.
///
/// # Errors
/// `--row` or `--col` do not name what tells the lines apart; `out` cannot be written.
pub fn print(out: &mut dyn Write, parts: &[Part], arguments: &CompareArgs) -> Result<()> {
    let shape = Shape {
        row: &arguments.row,
        col: arguments.col.as_deref(),
        rates: true,
    };
    if let Some(head) = parts.first().and_then(|part| part.sides.head.as_ref()) {
        writeln!(out, "{head}")?;
    }
    tables(out, parts, shape)?;
    write_wrapped(out, &method(parts, shape), "")?;
    for text in warnings(parts, "").iter().chain(&notes(parts)) {
        write_wrapped(out, text, "  ")?;
    }
    Ok(write_restless(out, restless(parts))?)
}

/// Cells of both sides whose steps came to no rest.
fn restless<'a>(parts: &[Part<'a>]) -> Vec<Restless<'a>> {
    let mut cells = Vec::new();
    for found in parts.iter().flat_map(|part| part.sides.restless()) {
        if !cells.contains(&found) {
            cells.push(found);
        }
    }
    cells
}

/// Writes what a run's own table is followed by: ratios and verdicts, where `call` compares again.
///
/// # Errors
/// `out` cannot be written.
pub fn print_below(out: &mut dyn Write, parts: &[Part], call: &str) -> Result<()> {
    let shape = Shape {
        row: &[],
        col: None,
        rates: false,
    };
    tables(out, parts, shape)?;
    write_wrapped(out, &method(parts, shape), "")?;
    for text in warnings(parts, call).iter().chain(&gaps(parts)) {
        write_wrapped(out, text, "  ")?;
    }
    Ok(())
}

/// What is A and what is B of each comparison, and its lines.
fn tables(out: &mut dyn Write, parts: &[Part], shape: Shape) -> Result<()> {
    for part in parts {
        for line in &part.sides.title {
            writeln!(out, "{line}")?;
        }
        match part.lines.is_empty() {
            true => writeln!(out, "\nnothing completed can be compared\n")?,
            false => write!(out, "\n{}\n", grid(&part.lines, shape)?)?,
        }
    }
    Ok(())
}

/// How ratios came about, and what verdicts rest on.
fn method(parts: &[Part], shape: Shape) -> String {
    let mut text = String::from(match shape.rates {
        true => "A/s and B/s are examples per second at the median step, B / A their ratio. ",
        false => "B / A is the ratio of examples per second at the median step. ",
    });
    let in_blocks = parts.iter().all(|part| part.sides.is_one_run());
    let correction = if in_blocks { "max-T" } else { "Holm" };
    text += &match in_blocks {
        true => format!(
            "Repeats are paired by block, so that drift falls out: exact signed-rank intervals, bootstrapped from {} blocks up.",
            stats::BOOTSTRAP_FROM
        ),
        false => "A and B share no block: exact intervals of unpaired repeats (Mann-Whitney), and what changed on the machine between A and B is part of the ratio.".to_owned(),
    };
    let lines = parts.iter().flat_map(|part| &part.lines);
    let shown = lines.clone().filter(|line| line.verdict.is_some()).count();
    match parts.first().map_or(0, |part| part.family) {
        0 | 1 => {}
        all if all == shown => {
            text += &format!(" The {all} verdicts hold together at 95 % ({correction}).");
        }
        all => {
            text += &format!(
                " Verdicts hold together over all {all} that are declared, at 95 % ({correction})."
            );
        }
    }
    text
}

/// One sentence for each difference that nobody named, then how to name them.
fn warnings(parts: &[Part], call: &str) -> Vec<String> {
    let mut hidden: BTreeMap<&Difference, usize> = BTreeMap::new();
    let lines = parts.iter().flat_map(|part| &part.lines);
    for difference in lines.flat_map(|line| &line.hidden) {
        *hidden.entry(difference).or_default() += 1;
    }
    let shown = |text: &str| match text {
        "" => "nothing".to_owned(),
        text => format!("`{text}`"),
    };
    let warning = |(difference, count): (&&Difference, &usize)| {
        let Difference { key, base, other } = difference;
        let affected = counted(*count as u64, "comparison");
        format!(
            "warning: {key} is {} in A and {} in B, which was not named: no verdict on {affected}",
            shown(base),
            shown(other)
        )
    };
    let mut said: Vec<String> = hidden.iter().map(warning).collect();
    let keys: BTreeSet<&str> = hidden.keys().map(|one| one.key.as_str()).collect();
    if !keys.is_empty() {
        let flags = keys.iter().map(|key| format!("--allow-different {key}"));
        said.push(format!(
            "to compare all the same, say so: {call}{}",
            flags.collect::<Vec<_>>().join(" ")
        ));
    }
    said
}

/// The noise floor, then what could not be checked or compared.
fn notes(parts: &[Part]) -> Vec<String> {
    let mut notes = Vec::new();
    for Part { sides, .. } in parts {
        notes.extend(sides.floors().map(|floor| floor.to_string()));
        for side in sides.without_record() {
            notes.push(format!(
                "{side} has no machine.toml: whether kernel, driver and compiler differ is not known"
            ));
        }
    }
    notes.extend(gaps(parts));
    once_each(notes)
}

/// Cells and pairs that are not compared.
fn gaps(parts: &[Part]) -> Vec<String> {
    let mut notes = Vec::new();
    for Part { sides, lost, .. } in parts {
        let alone = sides.alone.iter().filter(|(_, cells)| !cells.is_empty());
        notes.extend(alone.map(|(side, cells)| without_pair(side, cells)));
        if !lost.is_empty() {
            notes.push(format!(
                "not compared, without a block in common or without a rate: {}",
                counted(lost.len() as u64, "pair")
            ));
        }
    }
    once_each(notes)
}

fn without_pair(side: &str, cells: &[&CellSummary]) -> String {
    let of = match side {
        "" => String::new(),
        side => format!(" of {side}"),
    };
    let named = cells.iter().take(MAX_ALONE).map(|cell| cell.label.as_str());
    let named = named.collect::<Vec<_>>().join("; ");
    let more = match cells.len().saturating_sub(MAX_ALONE) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let count = counted(cells.len() as u64, "cell");
    format!("not compared, since nothing completed is declared like it: {count}{of}: {named}{more}")
}

/// Several comparisons of one result have notes in common.
fn once_each(mut notes: Vec<String>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    notes.retain(|note| seen.insert(note.clone()));
    notes
}
