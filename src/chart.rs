//! In: a [`View`](crate::analysis::View) of one result folder, or what several compare. Out: a [`Figure`] or a
//! [`HeatMap`], which are data, and from them SVG and PNG. Only `draw` knows a drawing library.

mod axes;
mod band;
mod bars;
mod caption;
pub mod draw;
pub mod elapsed;
pub mod exchange;
pub mod heat;
mod layout;
mod legend;
mod lines;
pub mod phases;
pub mod scaling;
mod scene;
pub mod speedup;
pub mod steps;
mod ticks;

pub use band::Band;
pub use heat::HeatMap;

use crate::analysis::{ChartStory, MixedConventions, Story, Summary, arrange};
use crate::terms::ChartKind;
use scene::Scene;

/// What can be drawn.
pub trait Picture {
    /// Everything in its place.
    fn scene(&self) -> Scene;
}

/// One picture of axes as data, complete but for its geometry.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    pub title: String,
    /// Machine, n, and what the bars mean.
    pub subtitle: String,
    /// Side by side, sharing one legend.
    pub panels: Vec<Panel>,
    /// Under the picture: marks, failed and skipped cells.
    pub notes: Vec<String>,
}

/// One pair of axes and what is drawn on it.
#[derive(Clone, Debug, PartialEq)]
pub struct Panel {
    pub x_label: String,
    /// With its unit.
    pub y_label: String,
    pub x: XAxis,
    pub content: Content,
}

/// How values of `x` are spread.
#[derive(Clone, Debug, PartialEq)]
pub enum XAxis {
    /// Numbers at their real places, with a tick at each.
    Numbers(Vec<f64>),
    /// Words; `x` of a point is an index.
    Words(Vec<String>),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    Lines {
        series: Vec<LineSeries>,
        guides: Vec<Guide>,
        /// Behind all else.
        band: Option<Band>,
    },
    /// Stacked bars; parts in the order of [`Stack::parts`].
    Bars {
        parts: Vec<String>,
        palette: Palette,
        stacks: Vec<Stack>,
    },
}

/// What the parts of bars are, which says how they are coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Palette {
    /// Phases of a step in their order, then the rest.
    Phases,
    /// What was reached, then what is missing to a ceiling.
    Ceiling,
}

/// Points that belong together, joined by straight lines.
#[derive(Clone, Debug, PartialEq)]
pub struct LineSeries {
    pub name: String,
    pub points: Vec<Point>,
}

/// One cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    pub x: f64,
    pub y: f64,
    /// Ends of the error bar.
    pub low: f64,
    pub high: f64,
    /// Its cell carries a mark.
    pub hollow: bool,
}

/// A line that was not measured along the series: an ideal, a ceiling.
#[derive(Clone, Debug, PartialEq)]
pub struct Guide {
    pub name: String,
    pub dash: Dash,
    /// It may leave through the top, where it is far above all that was measured.
    pub ideal: bool,
    /// In rising order of `x`. A single point is drawn as a short level.
    pub points: Vec<(f64, f64)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dash {
    Dashed,
    Dotted,
}

/// One bar.
#[derive(Clone, Debug, PartialEq)]
pub struct Stack {
    /// Bars of one group stand together above its name.
    pub group: String,
    /// Under the bar.
    pub label: String,
    /// Heights from below.
    pub parts: Vec<f64>,
    /// Ends of the error bar of the lowest part.
    pub ends: Option<(f64, f64)>,
    pub hollow: bool,
}

/// Why there is no picture.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoFigure {
    #[error(transparent)]
    Mixed(#[from] MixedConventions),
    #[error("no completed cell: {0}")]
    Empty(String),
    #[error("no cell was measured whose processes exchange")]
    NoExchange,
    #[error("nothing to compare: {0}")]
    NothingCompared(String),
}

impl Picture for Figure {
    fn scene(&self) -> Scene {
        layout::layout(self)
    }
}

/// Builds the figure of one chart.
///
/// # Errors
/// When no cell has the figures that the chart shows, and when cells of weak and strong scaling would share the picture.
pub fn build(summary: &Summary, story: &Story, chart: &ChartStory) -> Result<Figure, NoFigure> {
    let view = arrange(summary, story, chart)?;
    if view
        .series
        .iter()
        .all(|series| series.measured().next().is_none())
    {
        let notes = caption::absent_cells(&view);
        let why = notes.first().map_or("there are no rows", String::as_str);
        return Err(NoFigure::Empty(why.to_string()));
    }
    Ok(match chart.kind {
        ChartKind::Scaling => scaling::figure(&view, story),
        ChartKind::Speedup => speedup::figure(&view, story),
        ChartKind::Efficiency => speedup::efficiency_figure(&view, story),
        ChartKind::Phases => phases::figure(&view, story),
        ChartKind::Elapsed => elapsed::figure(&view, story),
        ChartKind::Steps => steps::figure(&view, story),
        ChartKind::Exchange => exchange::figure(&view, story).ok_or(NoFigure::NoExchange)?,
    })
}

impl Guide {
    /// An ideal between places.
    pub fn dashed(name: &str, points: Vec<(f64, f64)>) -> Guide {
        Guide {
            name: name.to_string(),
            dash: Dash::Dashed,
            ideal: true,
            points,
        }
    }
}

#[cfg(test)]
mod tests;
