//! In: compared pairs. Out: plain text of at most 100 columns: what is compared, a table that names lines
//! by what differs between them, and what stands in the way of a verdict.

use super::pairs::{Difference, declared_place};
use super::select::{check_key, value, values};
use super::sides::{Line, Sides, median_rate};
use super::wrong;
use crate::analysis::CellSummary;
use crate::cli::CompareArgs;
use crate::commands::report::grid::{Column, Grid};
use crate::commands::report::write_wrapped;
use crate::stats;
use crate::units::{counted, grouped, significant};
use anyhow::Result;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

/// Columns of text that lines are wrapped to.
const WIDTH: usize = 100;
/// Cells without a pair that are named.
const MAX_ALONE: usize = 5;

/// Writes all of it.
///
/// # Errors
/// `--row` or `--col` do not name what tells the lines apart; `out` cannot be written.
pub fn print(
    out: &mut dyn Write,
    sides: &Sides,
    lines: &[Line],
    arguments: &CompareArgs,
) -> Result<()> {
    let grid = grid(lines, arguments)?;
    for line in &sides.title {
        writeln!(out, "{line}")?;
    }
    write!(out, "\n{grid}\n")?;
    write_wrapped(out, &method(sides, lines), "")?;
    for warning in warnings(lines) {
        write_wrapped(out, &warning, "  ")?;
    }
    for note in notes(sides, lines) {
        write_wrapped(out, &note, "  ")?;
    }
    Ok(())
}

/// One line for each comparison, or for each value of `--row` with a column for each of `--col`.
fn grid(lines: &[Line], arguments: &CompareArgs) -> Result<Grid> {
    let cells: Vec<&CellSummary> = lines.iter().map(|line| line.other).collect();
    for key in &arguments.row {
        check_key("--row", key, &cells)?;
    }
    if let Some(col) = &arguments.col {
        check_key("--col", col, &cells)?;
    }
    let mut keys = match arguments.row.as_slice() {
        [] => telling_keys(&cells, arguments.col.as_deref()),
        given => given.to_vec(),
    };
    check_apart(&cells, &keys, arguments)?;
    keys.retain(|key| !arguments.row.is_empty() || arguments.col.as_ref() != Some(key));
    Ok(match &arguments.col {
        Some(col) => beside(&in_order(lines, &keys), &keys, col),
        None => below(&in_order(lines, &keys), &keys),
    })
}

/// By the values of the keys, numbers by their size.
fn in_order<'a, 'b>(lines: &'a [Line<'b>], keys: &[String]) -> Vec<&'a Line<'b>> {
    let mut ordered: Vec<&Line> = lines.iter().collect();
    ordered.sort_by(|a, b| {
        let (a, b) = (name(a.other, keys), name(b.other, keys));
        let pairs = a.iter().zip(&b);
        let each = pairs.map(|(a, b)| by_size(a, b));
        each.fold(Ordering::Equal, Ordering::then)
    });
    ordered
}

fn by_size(a: &str, b: &str) -> Ordering {
    match (a.parse::<f64>(), b.parse::<f64>()) {
        (Ok(a), Ok(b)) => a.total_cmp(&b),
        _ => a.cmp(b),
    }
}

/// The keys that tell all cells apart, as few as an eager choice finds: labels of zip axes first, then
/// settings in their order.
fn telling_keys(cells: &[&CellSummary], first: Option<&str>) -> Vec<String> {
    let labels: BTreeSet<&String> = cells.iter().flat_map(|c| c.axis_labels.keys()).collect();
    let settings: BTreeSet<&String> = cells.iter().flat_map(|c| c.settings.keys()).collect();
    let mut settings: Vec<&str> = settings.into_iter().map(String::as_str).collect();
    settings.sort_by_key(|key| declared_place(key));
    let all = first
        .into_iter()
        .chain(labels.into_iter().map(String::as_str));
    let mut keys: Vec<String> = Vec::new();
    for key in all.chain(settings) {
        let apart = |keys: &[String]| {
            cells
                .iter()
                .map(|c| name(c, keys))
                .collect::<BTreeSet<_>>()
                .len()
        };
        let before = apart(&keys);
        keys.push(key.to_owned());
        if apart(&keys) == before {
            keys.pop();
        }
    }
    keys
}

fn name<'a>(cell: &'a CellSummary, keys: &[String]) -> Vec<&'a str> {
    keys.iter()
        .map(|key| value(cell, key).unwrap_or(""))
        .collect()
}

/// # Errors
/// Two comparisons would stand in one place.
fn check_apart(cells: &[&CellSummary], keys: &[String], arguments: &CompareArgs) -> Result<()> {
    let chosen: Vec<String> = keys.iter().chain(&arguments.col).cloned().collect();
    let mut seen = BTreeSet::new();
    let twice = cells.iter().find(|cell| !seen.insert(name(cell, &chosen)));
    match twice {
        // Cells that nothing tells apart are shown below each other.
        Some(_) if arguments.row.is_empty() && arguments.col.is_none() => Ok(()),
        Some(cell) => Err(wrong(format!(
            "several comparisons are of {}: tell them apart with one more --row, or choose with --where",
            said(cell, &chosen)
        ))),
        None => Ok(()),
    }
}

/// `devices.threads = 2, input = no input`.
fn said(cell: &CellSummary, keys: &[String]) -> String {
    let said = keys
        .iter()
        .map(|key| format!("{key} = {}", value(cell, key).unwrap_or("")));
    said.collect::<Vec<_>>().join(", ")
}

fn below(lines: &[&Line], keys: &[String]) -> Grid {
    let mut columns: Vec<Column> = keys.iter().map(Column::left).collect();
    columns.extend([
        Column::right("A/s"),
        Column::right("B/s"),
        Column::right("B / A"),
        Column::left("[95 %]"),
        Column::right("n"),
        Column::left("verdict"),
    ]);
    let mut grid = Grid::within(WIDTH, columns);
    for line in lines {
        let named = name(line.other, keys).into_iter().map(str::to_owned);
        let figures = [
            examples(line.base),
            examples(line.other),
            ratio(line.comparison.ratio.median),
            interval(line),
            line.comparison.repeats.to_string(),
            verdict(line),
        ];
        grid.push(named.chain(figures).collect());
    }
    grid
}

/// Each place holds ratio, interval, n and verdict of one comparison.
fn beside(lines: &[&Line], keys: &[String], col: &str) -> Grid {
    let cells: Vec<&CellSummary> = lines.iter().map(|line| line.other).collect();
    let mut across = values(&cells, col);
    across.sort_by(|a, b| by_size(a, b));
    let headers = across.iter().map(|value| format!("{col} = {value}"));
    let columns = keys.iter().cloned().chain(headers).map(Column::left);
    let mut grid = Grid::new(columns.collect());
    let mut places: BTreeMap<Vec<&str>, Vec<String>> = BTreeMap::new();
    let mut order: Vec<Vec<&str>> = Vec::new();
    for line in lines {
        let row = name(line.other, keys);
        let at = across
            .iter()
            .position(|v| value(line.other, col) == Some(v));
        if !order.contains(&row) {
            order.push(row.clone());
        }
        let texts = places
            .entry(row)
            .or_insert_with(|| vec![String::new(); across.len()]);
        if let Some(at) = at {
            texts[at] = in_one_place(line);
        }
    }
    for row in order {
        let texts = places.remove(&row).unwrap_or_default();
        grid.push(row.into_iter().map(str::to_owned).chain(texts).collect());
    }
    grid
}

fn in_one_place(line: &Line) -> String {
    let middle = ratio(line.comparison.ratio.median);
    let word = line.verdict.map_or("no verdict", |verdict| verdict.word());
    let n = line.comparison.repeats;
    let parts = [
        middle,
        interval(line),
        word.to_owned(),
        format!("(n = {n})"),
    ];
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join(" ")
}

fn examples(cell: &CellSummary) -> String {
    let figures = cell.figures.as_ref();
    figures.map_or_else(String::new, |figures| grouped(median_rate(figures)))
}

/// Three decimals near 1, where a per cent counts.
fn ratio(value: f64) -> String {
    match (0.1..10.0).contains(&value) {
        true => format!("{value:.3}"),
        false => significant(value),
    }
}

fn interval(line: &Line) -> String {
    match (line.comparison.ratio.low, line.comparison.ratio.high) {
        (Some(low), Some(high)) => format!("[{}, {}]", ratio(low), ratio(high)),
        _ => String::new(),
    }
}

fn verdict(line: &Line) -> String {
    line.verdict
        .map_or_else(|| "no verdict".to_owned(), |verdict| verdict.to_string())
}

/// How ratios came about, and what verdicts rest on.
fn method(sides: &Sides, lines: &[Line]) -> String {
    let mut text =
        String::from("A/s and B/s are examples per second at the median step, B / A their ratio. ");
    text += &match sides.is_one_run() {
        true => format!(
            "Repeats are paired by block, so that drift falls out: exact signed-rank intervals, bootstrapped from {} blocks up.",
            stats::BOOTSTRAP_FROM
        ),
        false => "A and B share no block: exact intervals of unpaired repeats (Mann-Whitney), and what changed on the machine between A and B is part of the ratio.".to_owned(),
    };
    let judged = lines.iter().filter(|line| line.verdict.is_some()).count();
    if judged > 1 {
        text += &format!(" The {judged} verdicts hold together at 95 % (Holm).");
    }
    text
}

/// One sentence for each difference that nobody named, then how to name them.
fn warnings(lines: &[Line]) -> Vec<String> {
    let mut hidden: BTreeMap<&Difference, usize> = BTreeMap::new();
    for difference in lines.iter().flat_map(|line| &line.hidden) {
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
            "to compare all the same, say so: {}",
            flags.collect::<Vec<_>>().join(" ")
        ));
    }
    said
}

/// Cells that are not compared, and what could not be checked.
fn notes(sides: &Sides, lines: &[Line]) -> Vec<String> {
    let mut notes: Vec<String> = sides.floors().map(|floor| floor.to_string()).collect();
    for side in sides.without_record() {
        notes.push(format!(
            "{side} has no machine.toml: whether kernel, driver and compiler differ is not known"
        ));
    }
    for (label, restless, all) in sides.restless() {
        notes.push(format!(
            "no steady state in {restless} of {all} repeats of {label}: its step time still changes while it is measured; more measure.warmup_steps may help"
        ));
    }
    for (side, cells) in sides.alone.iter().filter(|(_, cells)| !cells.is_empty()) {
        let of = match *side {
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
        notes.push(format!(
            "not compared, since nothing completed is declared like it: {count}{of}: {named}{more}"
        ));
    }
    match sides.pairs.len() - lines.len() {
        0 => {}
        lost => notes.push(format!(
            "not compared, without a block in common or without a rate: {}",
            counted(lost as u64, "pair")
        )),
    }
    notes
}
