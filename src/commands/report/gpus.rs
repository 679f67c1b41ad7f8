//! The table of cells on GPUs: what a step puts on their queues, how much of it that takes the host, and
//! what it takes of their memory.

use super::WIDTH;
use super::grid::{Column, Grid};
use crate::analysis::{CellSummary, Figures, Repeat};
use crate::table::Gpus;
use crate::units::{Bytes, grouped, significant};

/// One line for each completed cell on GPUs, after an empty one; nothing where there is none.
pub fn table(cells: &[&CellSummary]) -> String {
    let columns = vec![
        Column::left("cell on GPUs"),
        Column::right("launches/step"),
        Column::right("graphs/step"),
        Column::right("host busy"),
        Column::right("GPU memory"),
    ];
    let mut grid = Grid::within(WIDTH, columns);
    for cell in cells.iter().filter(|cell| cell.is_on_gpus()) {
        if let Some(figures) = &cell.figures {
            grid.push(line(cell, figures));
        }
    }
    match grid.is_empty() {
        true => String::new(),
        false => format!("\n{grid}"),
    }
}

/// A text for each column, of a step of one replica.
fn line(cell: &CellSummary, figures: &Figures) -> Vec<String> {
    let steps = |repeat: &Repeat| (repeat.measured.steps * u64::from(cell.replicas)) as f64;
    let graphs = figures.optional(|repeat| {
        let graphs = repeat.measured.gpus.graph_launches? as f64;
        Some(graphs / steps(repeat).max(1.0))
    });
    let median = |of: fn(&Gpus) -> Option<f64>| {
        let figure = figures.optional(|repeat| of(&repeat.measured.gpus));
        figure.map(|estimate| estimate.median)
    };
    let said = |value: Option<f64>, say: fn(f64) -> String| value.map_or(String::new(), say);
    vec![
        cell.label.clone(),
        said(median(|gpus| gpus.launches_per_step), grouped),
        said(graphs.map(|graphs| graphs.median), significant),
        said(median(|gpus| gpus.host_bound_share), |share| {
            format!("{:.0} %", 100.0 * share)
        }),
        said(
            median(|gpus| gpus.memory_bytes.map(|bytes| bytes as f64)),
            |bytes| Bytes(bytes as u64).to_string(),
        ),
    ]
}
