//! The table below the first one, where cells train with several processes that exchange: their steps,
//! beside those of one process, and what their links reach.

use super::WIDTH;
use super::grid::{Column, Grid};
use crate::analysis::cluster::{
    Exchange, against_single, is_cluster, steps_per_second, steps_per_second_per_worker,
};
use crate::analysis::companions::Companions;
use crate::analysis::{CellSummary, Estimate, Figures, wording};
use crate::units::{grouped, significant};

/// One line for each completed cell, after an empty one; nothing where no cell exchanges between
/// processes.
pub fn table(cells: &[&CellSummary], companions: &Companions) -> String {
    let columns = vec![
        Column::left("cell"),
        Column::right("steps/s"),
        Column::right("a worker"),
        Column::right("of single"),
        Column::right("GB/s"),
        Column::right("of ceiling"),
        Column::right("staleness"),
    ];
    let mut grid = Grid::within(WIDTH, columns);
    if cells.iter().any(|cell| is_cluster(cell)) {
        for cell in cells {
            if let Some(figures) = &cell.figures {
                grid.push(line(cell, figures, companions));
            }
        }
    }
    match grid.is_empty() {
        true => String::new(),
        false => format!("\n{grid}"),
    }
}

/// A text for each column.
fn line(cell: &CellSummary, figures: &Figures, companions: &Companions) -> Vec<String> {
    let against = against_single(companions, cell);
    let exchange = Exchange::of(cell);
    let said = |value: Option<f64>, say: fn(f64) -> String| value.map_or(String::new(), say);
    let percent = |share: f64| format!("{:.0} %", 100.0 * share);
    let median = |of: fn(&Exchange) -> Option<Estimate>| Some(of(exchange.as_ref()?)?.median);
    vec![
        cell.label.clone(),
        grouped(figures.estimate(|m| steps_per_second(cell, m)).median),
        grouped(
            figures
                .estimate(|m| steps_per_second_per_worker(cell, m))
                .median,
        ),
        against.map_or(String::new(), |against| wording::ratio(&against.all)),
        said(median(|exchange| exchange.rate), significant),
        said(median(|exchange| exchange.share), percent),
        said(median(|exchange| exchange.staleness), significant),
    ]
}
