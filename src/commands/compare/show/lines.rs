//! In: compared pairs of one comparison. Out: a table that names its lines by what differs between them.

use crate::analysis::CellSummary;
use crate::commands::compare::pairs::declared_place;
use crate::commands::compare::process::median_rate;
use crate::commands::compare::select::{check_key, value, values};
use crate::commands::compare::sides::Line;
use crate::commands::compare::wrong;
use crate::commands::report::grid::{Column, Grid};
use crate::units::{grouped, significant};
use anyhow::Result;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

/// Columns of text that lines are wrapped to.
const WIDTH: usize = 100;

/// How lines are arranged.
#[derive(Clone, Copy)]
pub struct Shape<'a> {
    /// Keys that name lines; none takes all that differ.
    pub row: &'a [String],
    /// The key whose values stand beside each other.
    pub col: Option<&'a str>,
    /// Whether the rates of both sides are shown.
    pub rates: bool,
}

/// One line for each comparison, or for each value of `shape.row` with a column for each of `shape.col`.
///
/// # Errors
/// They do not name what tells the lines apart.
pub fn grid(lines: &[Line], shape: Shape) -> Result<Grid> {
    let cells: Vec<&CellSummary> = lines.iter().map(|line| line.other).collect();
    for key in shape.row {
        check_key("--row", key, &cells)?;
    }
    if let Some(col) = shape.col {
        check_key("--col", col, &cells)?;
    }
    let mut keys = match shape.row {
        [] => telling_keys(&cells, shape.col),
        given => given.to_vec(),
    };
    check_apart(&cells, &keys, shape)?;
    keys.retain(|key| !shape.row.is_empty() || shape.col != Some(key));
    Ok(match shape.col {
        Some(col) => beside(&in_order(lines, &keys), &keys, col),
        None => below(&in_order(lines, &keys), &keys, shape.rates),
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
fn check_apart(cells: &[&CellSummary], keys: &[String], shape: Shape) -> Result<()> {
    let col = shape.col.map(str::to_owned);
    let chosen: Vec<String> = keys.iter().cloned().chain(col).collect();
    let mut seen = BTreeSet::new();
    let twice = cells.iter().find(|cell| !seen.insert(name(cell, &chosen)));
    match twice {
        // Cells that nothing tells apart are shown below each other.
        Some(_) if shape.row.is_empty() && shape.col.is_none() => Ok(()),
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

fn below(lines: &[&Line], keys: &[String], rates: bool) -> Grid {
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
        // A column without any text is left out.
        let rate = |cell| rates.then(|| examples(cell)).unwrap_or_default();
        let figures = [
            rate(line.base),
            rate(line.other),
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
