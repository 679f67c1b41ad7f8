//! What workers that exchange make of the same training, against one process; and how fast the exchange
//! would have to be for them to lose little.

use crate::analysis::bottleneck::crowded;
use crate::analysis::cluster::{AgainstSingle, Exchange, against_single, is_cluster};
use crate::analysis::scaling::View;
use crate::analysis::summary::CellSummary;
use crate::analysis::wording::{interval, ratio, settled};
use crate::units::{grouped, significant};

/// The share of one process's steps that the break-even is told for.
const WANTED: f64 = 0.9;

/// Steps against those of one process; none for a cell that exchanges nothing between processes.
pub fn clause(view: &View, cell: &CellSummary) -> Option<String> {
    if !is_cluster(cell) {
        return None;
    }
    let Some(against) = against_single(&view.companions(), cell) else {
        let missing = "how it compares with one process cannot be told from these cells: add \
                       cluster.topology = \"single\"";
        return Some(missing.to_string());
    };
    let rate = interval(&against.single_steps_per_second, grouped);
    let (all, each) = (ratio(&against.all), ratio(&against.per_worker));
    let each = match cell.replicas {
        1 => String::new(),
        _ => format!(" and {each} per worker"),
    };
    let told = format!(
        "against one process with {rate} steps/s {all} times the steps{each}{}",
        settled(&against.all)
    );
    let needed = break_even(&against, cell).map(|needed| format!(", {needed}"));
    Some(format!("{told}{}", needed.unwrap_or_default()))
}

/// What a worker's exchange must deliver to reach [`WANTED`] of one process: where it follows the
/// computing, it may take the rest of the time; where it is hidden behind it, all of it. None where it is
/// reached, where cores are shared, or nobody knows how much crosses.
fn break_even(against: &AgainstSingle, cell: &CellSummary) -> Option<String> {
    if crowded(cell) || against.per_worker.high.is_none_or(|high| high >= WANTED) {
        return None;
    }
    let bytes = Exchange::of(cell)?.bytes_per_step?.median;
    let all_the_time = 1e-9 * bytes * against.single_steps_per_second.median * WANTED;
    let after = significant(all_the_time / (1.0 - WANTED));
    let hidden = significant(all_the_time);
    let wanted = 100.0 * WANTED;
    Some(format!(
        "{wanted:.0} % per worker would need an exchange at {after} GB/s, or at {hidden} GB/s hidden \
         behind computing"
    ))
}
