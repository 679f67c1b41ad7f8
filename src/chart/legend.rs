//! What colours and dashes mean: rows above the panels, so that no data is covered.

use crate::chart::band;
use crate::chart::bars::part_colour;
use crate::chart::draw::text_width;
use crate::chart::lines::{draw_dashes, guide_colour, marker, series_colour};
use crate::chart::scene::{At, Colour, Frame, Scene, Text, shortened};
use crate::chart::{Content, Dash, Figure};

const SIZE: f64 = 13.0;
const ROW: f64 = 22.0;
/// Sample and the space after it.
const SAMPLE: f64 = 38.0;
const BETWEEN: f64 = 22.0;

/// One sample with its name.
struct Entry {
    name: String,
    sample: Sample,
}

enum Sample {
    Series(usize),
    Guide(Dash, Colour),
    Part(Colour),
}

/// Draws the legend below `top` and gives the height that it takes.
pub fn draw(scene: &mut Scene, figure: &Figure, room: Frame) -> f64 {
    let entries = entries(figure);
    let (mut x, mut y) = (room.left, room.top + ROW / 2.0);
    for entry in &entries {
        let name = shortened(&entry.name, SIZE, room.width() - SAMPLE);
        let width = SAMPLE + text_width(&name, SIZE);
        if x > room.left && x + width > room.right {
            (x, y) = (room.left, y + ROW);
        }
        sample(scene, (x, y), &entry.sample);
        scene.text(Text::new((x + SAMPLE, y), name, SIZE));
        x += width + BETWEEN;
    }
    match entries.is_empty() {
        true => 0.0,
        false => y + ROW / 2.0 - room.top,
    }
}

fn sample(scene: &mut Scene, (x, y): At, sample: &Sample) {
    let path = vec![(x, y), (x + SAMPLE - 8.0, y)];
    match sample {
        Sample::Series(index) => {
            scene.line(path, series_colour(*index), 2.0);
            marker(scene, (x + (SAMPLE - 8.0) / 2.0, y), *index, false);
        }
        Sample::Guide(dash, colour) => draw_dashes(scene, &path, *dash, *colour),
        Sample::Part(colour) => {
            let (left, right) = (x + 12.0, x + SAMPLE - 8.0);
            let (top, bottom) = (y - 7.0, y + 7.0);
            let frame = Frame {
                left,
                top,
                right,
                bottom,
            };
            scene.rectangle(frame, *colour);
        }
    }
}

/// Every name once, over all panels; parts only where a bar has them; one unnamed series needs none.
fn entries(figure: &Figure) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for panel in &figure.panels {
        let new = match &panel.content {
            Content::Lines {
                series,
                guides,
                band,
            } => {
                let named = series
                    .iter()
                    .enumerate()
                    .filter(|(_, s)| !s.name.is_empty());
                let series = named.map(|(i, series)| Entry {
                    name: series.name.clone(),
                    sample: Sample::Series(i),
                });
                let guides = guides.iter().enumerate().map(|(i, guide)| Entry {
                    name: guide.name.clone(),
                    sample: Sample::Guide(guide.dash, guide_colour(i)),
                });
                let band = band.iter().map(|band| Entry {
                    name: band.name.clone(),
                    sample: Sample::Part(band::COLOUR),
                });
                series.chain(guides).chain(band).collect::<Vec<_>>()
            }
            Content::Bars {
                parts,
                palette,
                stacks,
            } => {
                let used = |i: &usize| stacks.iter().any(|stack| stack.parts[*i] > 0.0);
                let part = |i: usize| Entry {
                    name: parts[i].clone(),
                    sample: Sample::Part(part_colour(*palette, i)),
                };
                (0..parts.len()).filter(used).map(part).collect()
            }
        };
        for entry in new {
            if entries.iter().all(|known| known.name != entry.name) {
                entries.push(entry);
            }
        }
    }
    entries
}
