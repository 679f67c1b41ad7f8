//! In: a [`HeatMap`]. Out: a [`Scene`]: title, legend of colours, blocks below each other, notes.

mod legend;

use super::{HeatBlock, HeatBox, HeatMap, HeatRow, Tint};
use crate::chart::draw::text_width;
use crate::chart::layout::{self, MARGIN, WIDTH};
use crate::chart::scene::{
    Anchor, Colour, FAINT, Frame, GREY, INK, Scene, Text, WHITE, shortened, wrap,
};

const HEAD_SIZE: f64 = 14.0;
const LABEL_SIZE: f64 = 12.5;
const RATIO_SIZE: f64 = 13.0;
const INTERVAL_SIZE: f64 = 10.0;
const LINE: f64 = 15.0;
/// Height of a row of boxes.
const ROW: f64 = 36.0;
const FLOOR_ROW: f64 = 22.0;
const BETWEEN_BLOCKS: f64 = 26.0;
/// Room for the words of verdicts.
const VERDICT: f64 = 88.0;
/// The widest columns of text on the left.
const MAX_GROUP: f64 = 170.0;
const MAX_LABEL: f64 = 130.0;
const MAX_BOX: f64 = 130.0;
const GAP: f64 = 12.0;
/// Lines of a column's head.
const HEAD_LINES: usize = 4;
/// Fills what is not told from noise.
const NEUTRAL: Colour = Colour(0xec, 0xec, 0xec);
const FASTER: Colour = Colour(0x00, 0x72, 0xb2);
const SLOWER: Colour = Colour(0xd5, 0x5e, 0x00);

/// Places everything.
pub fn scene(map: &HeatMap) -> Scene {
    let mut scene = Scene {
        width: WIDTH,
        ..Scene::default()
    };
    let mut y = layout::heading(&mut scene, &map.title, &map.subtitle);
    y = legend::draw(&mut scene, map.limit, y);
    let columns = Columns::of(map);
    for block in &map.blocks {
        y = draw_block(&mut scene, map, &columns, block, y + BETWEEN_BLOCKS);
    }
    layout::ending(&mut scene, &map.notes, y + 16.0);
    scene
}

/// Where columns begin, in pixels from the left.
struct Columns {
    group: f64,
    label: f64,
    boxes: f64,
    /// The width of a box.
    width: f64,
    n: usize,
}

impl Columns {
    fn of(map: &HeatMap) -> Columns {
        let rows = || map.blocks.iter().flat_map(|block| &block.rows);
        let widest = |texts: &mut dyn Iterator<Item = &String>, most: f64| {
            let widths = texts.map(|text| text_width(text, LABEL_SIZE));
            match widths.fold(0.0, f64::max).min(most) {
                0.0 => 0.0,
                width => width + GAP,
            }
        };
        let group = widest(&mut rows().map(|row| &row.group), MAX_GROUP);
        let floor = text_width("noise floor", LABEL_SIZE) + GAP;
        let label = widest(&mut rows().map(|row| &row.label), MAX_LABEL).max(floor);
        let boxes = MARGIN + group + label;
        let n = map.columns.len();
        let width = (WIDTH - MARGIN - VERDICT - boxes) / n.max(1) as f64;
        Columns {
            group: MARGIN,
            label: MARGIN + group,
            boxes,
            width: width.min(MAX_BOX),
            n,
        }
    }

    fn frame(&self, column: usize, top: f64, height: f64) -> Frame {
        let left = self.boxes + column as f64 * self.width;
        Frame {
            left: left + 1.0,
            right: left + self.width - 1.0,
            top: top + 1.0,
            bottom: top + height - 1.0,
        }
    }

    /// Where verdicts begin.
    fn verdict(&self) -> f64 {
        self.boxes + self.n as f64 * self.width + 8.0
    }

    fn right(&self) -> f64 {
        self.boxes + self.n as f64 * self.width + VERDICT
    }
}

/// Title, heads, floors and rows below `top`; gives where they end.
fn draw_block(
    scene: &mut Scene,
    map: &HeatMap,
    columns: &Columns,
    block: &HeatBlock,
    top: f64,
) -> f64 {
    let title = shortened(&block.title, HEAD_SIZE, WIDTH - 2.0 * MARGIN);
    scene.text(Text::new((MARGIN, top), title, HEAD_SIZE));
    let mut y = draw_heads(scene, map, columns, top + 20.0);
    if !block.floors.is_empty() {
        draw_floors(scene, columns, &block.floors, y);
        y += FLOOR_ROW;
    }
    for rows in block.rows.chunk_by(|a, b| a.group == b.group) {
        scene.line(vec![(MARGIN, y), (columns.right(), y)], FAINT, 1.0);
        draw_group(scene, columns, rows, y);
        for row in rows {
            draw_row(scene, map.limit, columns, row, y);
            y += ROW;
        }
    }
    y
}

fn draw_heads(scene: &mut Scene, map: &HeatMap, columns: &Columns, top: f64) -> f64 {
    let wrapped = |head: &String| wrap(head, LABEL_SIZE, columns.width - 6.0, HEAD_LINES);
    let heads: Vec<_> = map.columns.iter().map(wrapped).collect();
    let lines = heads.iter().map(Vec::len).max().unwrap_or(0);
    let line = |from_below: usize| top + (lines - from_below) as f64 * LINE - LINE / 2.0;
    for (column, head) in heads.iter().enumerate() {
        let frame = columns.frame(column, top, 0.0);
        for (i, text) in head.iter().enumerate() {
            let at = ((frame.left + frame.right) / 2.0, line(head.len() - 1 - i));
            scene.text(
                Text::new(at, text, LABEL_SIZE)
                    .anchor(Anchor::Middle)
                    .colour(GREY),
            );
        }
    }
    let verdict = Text::new((columns.verdict(), line(0)), "verdict", LABEL_SIZE);
    scene.text(verdict.colour(GREY));
    top + lines as f64 * LINE + 4.0
}

fn draw_floors(scene: &mut Scene, columns: &Columns, floors: &[String], top: f64) {
    let middle = top + FLOOR_ROW / 2.0;
    scene.text(Text::new((columns.label, middle), "noise floor", LABEL_SIZE).colour(GREY));
    for (column, floor) in floors
        .iter()
        .enumerate()
        .filter(|(_, floor)| !floor.is_empty())
    {
        let frame = columns.frame(column, top, FLOOR_ROW);
        let at = ((frame.left + frame.right) / 2.0, middle);
        scene.text(
            Text::new(at, floor, LABEL_SIZE - 1.0)
                .anchor(Anchor::Middle)
                .colour(GREY),
        );
    }
}

/// The name of a group beside its first rows, in as many lines as they leave room for.
fn draw_group(scene: &mut Scene, columns: &Columns, rows: &[HeatRow], top: f64) {
    let room = columns.label - columns.group - GAP;
    let lines = ((rows.len() as f64 * ROW) / LINE).floor() as usize;
    let Some(row) = rows.first().filter(|row| !row.group.is_empty()) else {
        return;
    };
    let text = wrap(&row.group, LABEL_SIZE, room, lines);
    // One line stands beside the label of the first row, two around it.
    let first = top + ROW / 2.0 - if text.len() > 1 { LINE / 2.0 } else { 0.0 };
    for (i, line) in text.into_iter().enumerate() {
        let at = (columns.group, first + i as f64 * LINE);
        scene.text(Text::new(at, line, LABEL_SIZE));
    }
}

fn draw_row(scene: &mut Scene, limit: f64, columns: &Columns, row: &HeatRow, top: f64) {
    let middle = top + ROW / 2.0;
    let label = shortened(&row.label, LABEL_SIZE, columns.boxes - columns.label - GAP);
    scene.text(Text::new((columns.label, middle), label, LABEL_SIZE));
    for (column, entry) in row.boxes.iter().enumerate() {
        draw_box(scene, columns.frame(column, top, ROW), entry, limit);
    }
    let verdict = Text::new((columns.verdict(), middle), &row.verdict, LABEL_SIZE);
    let decided = ["faster", "slower"].contains(&row.verdict.as_str());
    scene.text(verdict.colour(if decided { INK } else { GREY }));
}

fn draw_box(scene: &mut Scene, frame: Frame, entry: &HeatBox, limit: f64) {
    let fill = colour(entry.tint, limit);
    scene.rectangle(frame, fill);
    let ink = match entry.tint {
        Tint::Ratio(_) => fill.readable_on(),
        Tint::Noise | Tint::Empty => GREY,
    };
    let (x, y) = (
        (frame.left + frame.right) / 2.0,
        (frame.top + frame.bottom) / 2.0,
    );
    let mut text = |y: f64, text: &str, size: f64| {
        let text = Text::new((x, y), text, size).colour(ink);
        scene.text(text.anchor(Anchor::Middle));
    };
    match (entry.ratio.as_str(), entry.interval.as_str()) {
        ("", _) => text(y, "–", RATIO_SIZE),
        (ratio, "") => text(y, ratio, RATIO_SIZE),
        (ratio, interval) => {
            text(y - 7.0, ratio, RATIO_SIZE);
            text(y + 8.0, interval, INTERVAL_SIZE);
        }
    }
}

/// Blue for faster, orange for slower, which any kind of colour vision tells apart; the fuller, the farther
/// from 1 on a logarithmic scale.
fn colour(tint: Tint, limit: f64) -> Colour {
    let Tint::Ratio(ratio) = tint else {
        return if tint == Tint::Empty { WHITE } else { NEUTRAL };
    };
    let far = (ratio.ln().abs() / limit.ln()).min(1.0);
    let full = if ratio > 1.0 { FASTER } else { SLOWER };
    // The faintest is still told from grey.
    full.lighter(0.72 * (1.0 - far))
}
