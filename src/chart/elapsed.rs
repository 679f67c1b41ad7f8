//! Time of all measured steps: flat is ideal under weak scaling, inverse under strong scaling.

use crate::analysis::{Convention, Story, View};
use crate::chart::scaling::{lines, noise_band, x_axis, x_label};
use crate::chart::{Content, Figure, Guide, Panel, XAxis, caption};

/// The figure of `elapsed_seconds`.
pub fn figure(view: &View, story: &Story) -> Figure {
    Figure {
        title: format!("{}: elapsed time over {}", story.name, view.x_label()),
        subtitle: caption::subtitle(view, story),
        panels: vec![Panel {
            x_label: x_label(view),
            y_label: "seconds for all measured steps, start and prefill apart".into(),
            x: x_axis(view),
            content: Content::Lines {
                series: lines(view, |m| m.elapsed_seconds),
                guides: ideal(view).into_iter().collect(),
                band: noise_band(view, |m| m.elapsed_seconds),
            },
        }],
        notes: caption::notes(view),
    }
}

/// The ideal of the fastest baseline.
fn ideal(view: &View) -> Option<Guide> {
    let XAxis::Numbers(places) = x_axis(view) else {
        return None;
    };
    if view.x != "replicas" || places.len() < 2 {
        return None;
    }
    let bases = view.series.iter().filter_map(|series| {
        let base = series.baseline?;
        let seconds = base.figures.as_ref()?.elapsed_seconds().median;
        Some((f64::from(base.replicas), seconds))
    });
    let (replicas, seconds) = bases.min_by(|a, b| a.1.total_cmp(&b.1))?;
    let at = |x: f64| match view.convention {
        Convention::Weak => seconds,
        Convention::Strong => seconds * replicas / x,
    };
    let name = match (view.convention, view.series.len()) {
        (Convention::Weak, 1) => "ideal: flat",
        (Convention::Weak, _) => "ideal: flat, as the fastest series",
        (Convention::Strong, _) => "ideal: inverse",
    };
    Some(Guide::dashed(
        name,
        places.iter().map(|x| (*x, at(*x))).collect(),
    ))
}
