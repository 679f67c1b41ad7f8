//! Steps a second of all workers together, beside what one process makes of the same training.

use crate::analysis::cluster::steps_per_second;
use crate::analysis::companions::is;
use crate::analysis::{CellSummary, Story, View, noise};
use crate::chart::scaling::{across, lines_of, noise_band, x_axis, x_label};
use crate::chart::{Band, Content, Dash, Figure, Guide, Panel, caption};

/// The figure of steps a second, each of one worker's batch.
pub fn figure(view: &View, story: &Story) -> Figure {
    let series = lines_of(view, |_, cell| {
        let figures = cell.figures.as_ref()?;
        let steps = |m: &_| steps_per_second(cell, m);
        Some((figures.estimate(steps), figures.range(steps)))
    });
    Figure {
        title: format!("{}: steps per second over {}", story.name, view.x_label()),
        subtitle: caption::subtitle(view, story),
        panels: vec![Panel {
            x_label: x_label(view),
            y_label: "steps per second, all workers".into(),
            x: x_axis(view),
            content: Content::Lines {
                series,
                guides: single_process(view),
                band: band(view),
            },
        }],
        notes: caption::notes(view),
    }
}

/// What is not told from the steps of the cell that has a twin, which has its replicas.
fn band(view: &View) -> Option<Band> {
    let twins = noise::floor(view.summary)?.original;
    noise_band(view, |m| steps_per_second(twins, m))
}

/// A level for each cell of one process, named apart where there are several.
fn single_process(view: &View) -> Vec<Guide> {
    let single = |cell: &&CellSummary| {
        is(cell, "cluster.topology", "single") && !is(cell, "model.name", "none")
    };
    let cells = view.summary.originals().filter(single);
    let cells: Vec<_> = cells.filter(|cell| cell.figures.is_some()).collect();
    let level = |cell: &&CellSummary| {
        let figures = cell.figures.as_ref()?;
        let steps = figures.estimate(|m| steps_per_second(cell, m)).median;
        let name = match cells.len() {
            1 => "single process".to_string(),
            _ => format!("single process: {}", cell.label),
        };
        Some(Guide {
            name,
            dash: Dash::Dashed,
            ideal: false,
            points: across(view, steps),
        })
    };
    cells.iter().filter_map(level).collect()
}
