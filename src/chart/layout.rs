//! In: a [`Figure`]. Out: a [`Scene`] in which nothing overlaps: title, subtitle, legend, panels
//! side by side, notes, from top to bottom, as high as they need.

use crate::chart::axes::{Axes, LINE_HEIGHT, left_margin, x_lines};
use crate::chart::scene::{Frame, GREY, INK, Scene, Text, wrap};
use crate::chart::ticks::{self, Ticks};
use crate::chart::{Content, Figure, Panel, band, bars, legend, lines};

pub const WIDTH: f64 = 960.0;
pub const MARGIN: f64 = 28.0;
const TITLE_SIZE: f64 = 20.0;
const SUBTITLE_SIZE: f64 = 13.0;
const NOTE_SIZE: f64 = 12.0;
const PLOT_HEIGHT: f64 = 360.0;
const BETWEEN_PANELS: f64 = 44.0;

/// Places everything.
pub fn layout(figure: &Figure) -> Scene {
    let mut scene = Scene {
        width: WIDTH,
        ..Scene::default()
    };
    let mut y = heading(&mut scene, &figure.title, &figure.subtitle);
    y += legend::draw(&mut scene, figure, body(y, y));
    y = panels(&mut scene, figure, y + 40.0);
    ending(&mut scene, &figure.notes, y);
    scene
}

/// Title and subtitle at the top; gives where they end.
pub fn heading(scene: &mut Scene, title: &str, subtitle: &str) -> f64 {
    let y = paragraph(scene, MARGIN, title, TITLE_SIZE, 2);
    paragraph(scene, y + 2.0, subtitle, SUBTITLE_SIZE, 2) + 8.0
}

/// Notes below `top`, and then the end of the picture.
pub fn ending(scene: &mut Scene, notes: &[String], top: f64) {
    let mut y = top;
    for note in notes {
        y = paragraph(scene, y, note, NOTE_SIZE, 3);
    }
    scene.height = (y + 14.0).ceil();
}

/// The width between the margins.
fn body(top: f64, bottom: f64) -> Frame {
    Frame {
        left: MARGIN,
        right: WIDTH - MARGIN,
        top,
        bottom,
    }
}

/// Wrapped text below `top`; gives where it ends.
fn paragraph(scene: &mut Scene, top: f64, text: &str, size: f64, max_lines: usize) -> f64 {
    let height = 1.4 * size;
    let colour = if size == TITLE_SIZE { INK } else { GREY };
    let mut y = top;
    for line in wrap(text, size, WIDTH - 2.0 * MARGIN, max_lines) {
        scene.text(Text::new((MARGIN, y + height / 2.0), line, size).colour(colour));
        y += height;
    }
    y
}

/// All panels side by side below `top`; gives where the highest of them ends.
fn panels(scene: &mut Scene, figure: &Figure, top: f64) -> f64 {
    let n = figure.panels.len() as f64;
    let width = (WIDTH - 2.0 * MARGIN - BETWEEN_PANELS * (n - 1.0)) / n;
    let mut end = top;
    for (i, panel) in figure.panels.iter().enumerate() {
        let left = MARGIN + i as f64 * (width + BETWEEN_PANELS);
        let room = Frame {
            left,
            right: left + width,
            top,
            bottom: top + PLOT_HEIGHT,
        };
        end = end.max(draw_panel(scene, panel, room));
    }
    end
}

fn draw_panel(scene: &mut Scene, panel: &Panel, room: Frame) -> f64 {
    let y = vertical(panel);
    let frame = Frame {
        left: room.left + left_margin(&y),
        ..room
    };
    let axes = Axes::new(frame, &panel.x, y);
    if let Content::Lines {
        band: Some(band), ..
    } = &panel.content
    {
        band::draw(scene, &axes, band);
    }
    axes.draw_y(scene, &panel.y_label);
    let text_lines = match &panel.content {
        Content::Lines { series, guides, .. } => {
            axes.draw_x(scene, &panel.x);
            lines::draw(scene, &axes, series, guides);
            x_lines(&panel.x, frame.width())
        }
        Content::Bars {
            stacks, palette, ..
        } => {
            bars::draw(scene, &axes, stacks, *palette);
            bars::text_lines(stacks, frame.width())
        }
    };
    axes.draw_x_label(scene, &panel.x_label, text_lines);
    frame.bottom + 16.0 + (text_lines + 1.0) * LINE_HEIGHT + 12.0
}

/// The vertical axis; totals above bars need a little air.
fn vertical(panel: &Panel) -> Ticks {
    ticks::from_zero(match &panel.content {
        Content::Lines {
            series,
            guides,
            band,
        } => {
            let band = band.as_ref().map_or(0.0, |band| band.high);
            band.max(lines::highest(series, guides))
        }
        Content::Bars { stacks, .. } => 1.05 * bars::highest(stacks),
    })
}
