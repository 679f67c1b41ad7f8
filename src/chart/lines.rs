//! Series and guides on a pair of axes.

use crate::chart::axes::Axes;
use crate::chart::scene::{At, Colour, SERIES, Scene, Shape, WHITE};
use crate::chart::{Dash, Guide, LineSeries, Point};

/// Half the size of a marker, in pixels.
const MARKER: f64 = 5.0;
/// Pixels between neighbouring series at the same place of the horizontal axis.
const ASIDE: f64 = 9.0;
/// Guides of one picture differ in grey, dark first.
const GUIDES: [Colour; 3] = [
    Colour(0x44, 0x44, 0x44),
    Colour(0x8c, 0x8c, 0x8c),
    Colour(0xb0, 0xb0, 0xb0),
];

/// Colour of the series with this number.
pub fn series_colour(index: usize) -> Colour {
    SERIES[index % SERIES.len()]
}

pub fn guide_colour(index: usize) -> Colour {
    GUIDES[index.min(GUIDES.len() - 1)]
}

/// The value that the vertical axis must reach: all measured points and levels. An ideal line far
/// above them leaves through the top.
pub fn highest(series: &[LineSeries], guides: &[Guide]) -> f64 {
    let points = series.iter().flat_map(|series| &series.points);
    let data = points
        .map(|point| point.high.max(point.y))
        .fold(0.0, f64::max);
    let top = |ideal: bool| {
        let kind = guides.iter().filter(move |guide| guide.ideal == ideal);
        kind.flat_map(|guide| &guide.points)
            .map(|p| p.1)
            .fold(0.0, f64::max)
    };
    let measured = f64::max(data, top(false));
    let ideal = top(true);
    match ideal <= 1.6 * measured {
        true => measured.max(ideal),
        false => measured,
    }
}

/// Draws guides behind series.
pub fn draw(scene: &mut Scene, axes: &Axes, series: &[LineSeries], guides: &[Guide]) {
    for (i, guide) in guides.iter().enumerate() {
        draw_guide(scene, axes, guide, guide_colour(i));
    }
    for (i, line) in series.iter().enumerate() {
        let aside = aside(i, series.len());
        draw_path(scene, axes, line, aside, series_colour(i));
    }
    for (i, line) in series.iter().enumerate() {
        let aside = aside(i, series.len());
        for point in &line.points {
            let (x, y) = axes.at((point.x, point.y));
            marker(scene, (x + aside, y), i, point.hollow);
        }
    }
}

/// How far a series stands beside its place on the horizontal axis, in pixels, so that the error bars
/// of series with the same values can be told apart.
fn aside(index: usize, series: usize) -> f64 {
    (index as f64 - (series as f64 - 1.0) / 2.0) * ASIDE
}

/// The line of a series, where the order along the axis means something, and its error bars.
fn draw_path(scene: &mut Scene, axes: &Axes, line: &LineSeries, aside: f64, colour: Colour) {
    let place = |point: &Point| {
        let (x, y) = axes.at((point.x, point.y));
        (x + aside, y)
    };
    let path: Vec<At> = line.points.iter().map(place).collect();
    if path.len() > 1 && axes.is_ordered() {
        scene.line(path, colour, 2.0);
    }
    for point in &line.points {
        error_bar(scene, axes, point, aside, colour);
    }
}

/// A bar from low to high with caps; none where the marker hides it.
fn error_bar(scene: &mut Scene, axes: &Axes, point: &Point, aside: f64, colour: Colour) {
    let x = axes.x(point.x) + aside;
    let (low, high) = (axes.y(point.low), axes.y(point.high));
    if low - high < 1.6 * MARKER {
        return;
    }
    scene.line(vec![(x, low), (x, high)], colour, 1.5);
    for end in [low, high] {
        scene.line(vec![(x - 6.0, end), (x + 6.0, end)], colour, 1.5);
    }
}

/// The marker of a series: its own shape and colour, white inside where the cell is marked.
pub fn marker(scene: &mut Scene, centre: At, index: usize, hollow: bool) {
    let colour = series_colour(index);
    shape(scene, centre, index, MARKER, colour);
    if hollow {
        shape(scene, centre, index, MARKER - 2.0, WHITE);
    }
}

fn shape(scene: &mut Scene, (x, y): At, index: usize, r: f64, fill: Colour) {
    let points = match index % 4 {
        0 => {
            let centre = (x, y);
            scene.shapes.push(Shape::Disc {
                centre,
                radius: r,
                fill,
            });
            return;
        }
        1 => vec![
            (x - r, y - r),
            (x + r, y - r),
            (x + r, y + r),
            (x - r, y + r),
        ],
        2 => vec![(x, y - 1.3 * r), (x + 1.2 * r, y + r), (x - 1.2 * r, y + r)],
        _ => vec![
            (x, y - 1.35 * r),
            (x + 1.35 * r, y),
            (x, y + 1.35 * r),
            (x - 1.35 * r, y),
        ],
    };
    scene.shapes.push(Shape::Polygon { points, fill });
}

fn draw_guide(scene: &mut Scene, axes: &Axes, guide: &Guide, colour: Colour) {
    let path: Vec<At> = match guide.points[..] {
        [point] => {
            let (x, y) = axes.at(point);
            vec![(x - 18.0, y), (x + 18.0, y)]
        }
        _ => within(axes, &guide.points),
    };
    draw_dashes(scene, &path, guide.dash, colour);
}

/// The path up to where it leaves through the top of the axes. Straight on paper from one place to the
/// next, as series are, so that a series above it is above it at a place.
fn within(axes: &Axes, points: &[(f64, f64)]) -> Vec<At> {
    let top = axes.frame.top;
    let mut path = Vec::new();
    for pair in points.windows(2) {
        let ((x0, y0), (x1, y1)) = (axes.at(pair[0]), axes.at(pair[1]));
        if y0 < top {
            continue;
        }
        let t = if y1 < top {
            (top - y0) / (y1 - y0)
        } else {
            1.0
        };
        path.extend([(x0, y0), (x0 + t * (x1 - x0), y0 + t * (y1 - y0))]);
    }
    path
}

/// Cuts a path into strokes and gaps.
pub fn draw_dashes(scene: &mut Scene, path: &[At], dash: Dash, colour: Colour) {
    let (stroke, gap, width) = match dash {
        Dash::Dashed => (9.0, 6.0, 1.5),
        Dash::Dotted => (2.0, 4.0, 2.0),
    };
    let mut walked = 0.0;
    for pair in path.windows(2) {
        let ((x0, y0), (x1, y1)) = (pair[0], pair[1]);
        let length = (x1 - x0).hypot(y1 - y0);
        let at = |d: f64| (x0 + (x1 - x0) * d / length, y0 + (y1 - y0) * d / length);
        let mut from = 0.0;
        while from < length {
            let phase = (walked + from) % (stroke + gap);
            let to = length.min(from + if phase < stroke { stroke } else { stroke + gap } - phase);
            if phase < stroke {
                scene.line(vec![at(from), at(to)], colour, width);
            }
            from = to + 1e-9;
        }
        walked += length;
    }
}
