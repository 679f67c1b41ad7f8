//! Stacked bars on a pair of axes, in groups.

use crate::chart::axes::{Axes, LINE_HEIGHT, TICK_SIZE};
use crate::chart::draw::text_width;
use crate::chart::scene::{Anchor, At, Colour, FAINT, Frame, GREY, INK, Scene, Text, WHITE, wrap};
use crate::chart::{Palette, Stack};
use crate::terms::Phase;
use crate::units::grouped;

/// Colours of phases in their order, the rest last: input is warm, computing blue, exchange purple,
/// waiting for others dark.
const PHASES: [Colour; Phase::COUNT + 1] = [
    Colour(0xd5, 0x5e, 0x00),
    Colour(0xf0, 0xe4, 0x42),
    Colour(0xe6, 0x9f, 0x00),
    Colour(0x88, 0x22, 0x55),
    Colour(0x00, 0x72, 0xb2),
    Colour(0x56, 0xb4, 0xe9),
    Colour(0x9b, 0x6f, 0xd0),
    Colour(0xcc, 0x79, 0xa7),
    Colour(0x5a, 0x5a, 0x5a),
    Colour(0x00, 0x9e, 0x73),
    Colour(0x7f, 0x4f, 0x24),
    REST,
];
/// What no phase accounts for, or is missing to a ceiling.
const REST: Colour = Colour(0xc4, 0xc4, 0xc4);
const REACHED: Colour = Colour(0x00, 0x72, 0xb2);
/// Empty room between groups, in bars.
const GAP: f64 = 0.7;
/// Lines of a group's name, and of a bar's label.
const NAME_LINES: usize = 6;
const LABEL_LINES: usize = 2;
const SHARE_SIZE: f64 = 11.0;
/// Of the thinnest part that its share is written in.
const SHARE_HEIGHT: f64 = SHARE_SIZE + 3.0;

pub fn part_colour(palette: Palette, index: usize) -> Colour {
    match (palette, index) {
        (Palette::Phases, phase) => PHASES[phase],
        (Palette::Ceiling, 0) => REACHED,
        (Palette::Ceiling, _) => REST,
    }
}

/// The highest bar.
pub fn highest(stacks: &[Stack]) -> f64 {
    stacks
        .iter()
        .map(|stack| {
            let high = stack.ends.map_or(0.0, |(_, high)| high);
            stack.parts.iter().sum::<f64>().max(high)
        })
        .fold(0.0, f64::max)
}

/// Lines of text that the bars need under the axis: their labels, then the names of their groups.
pub fn text_lines(stacks: &[Stack], width: f64) -> f64 {
    let places = Places::new(stacks, width);
    let lines = |group: &Group| wrap(&group.name, TICK_SIZE, places.room(group), NAME_LINES).len();
    let named = groups(stacks)
        .into_iter()
        .filter(|group| !group.name.is_empty());
    places.label_lines(stacks) + named.map(|group| lines(&group)).max().unwrap_or(0) as f64
}

/// Draws all bars with their labels and the names of their groups.
pub fn draw(scene: &mut Scene, axes: &Axes, stacks: &[Stack], palette: Palette) {
    let places = Places::new(stacks, axes.frame.width());
    let left = axes.frame.left;
    let below_labels = axes.frame.bottom + 14.0 + places.label_lines(stacks) * LINE_HEIGHT;
    for (g, group) in groups(stacks).iter().enumerate() {
        for (i, stack) in (group.from..).zip(&stacks[group.from..group.to]) {
            let middle = left + places.middle(i, g);
            let (left, right) = (middle - places.bar / 2.0, middle + places.bar / 2.0);
            bar(scene, axes, (left, right), stack, palette);
            let label = places.label(&stack.label);
            lines(scene, (middle, axes.frame.bottom + 14.0), label);
        }
        let middle = (places.middle(group.from, g) + places.middle(group.to - 1, g)) / 2.0;
        let name = wrap(&group.name, TICK_SIZE, places.room(group), NAME_LINES);
        lines(scene, (left + middle, below_labels), name);
        if g > 0 {
            let x = left + places.middle(group.from, g) - places.slot * (0.5 + GAP / 2.0);
            scene.line(
                vec![(x, axes.frame.top), (x, axes.frame.bottom)],
                FAINT,
                1.0,
            );
        }
    }
}

/// Centred lines of text, the first at `y`.
fn lines(scene: &mut Scene, (x, y): At, lines: Vec<String>) {
    for (i, line) in lines
        .into_iter()
        .enumerate()
        .filter(|(_, line)| !line.is_empty())
    {
        let text = Text::new((x, y + i as f64 * LINE_HEIGHT), line, TICK_SIZE);
        scene.text(text.anchor(Anchor::Middle));
    }
}

/// One bar, with its shares and its total where their texts fit.
fn bar(scene: &mut Scene, axes: &Axes, (left, right): (f64, f64), stack: &Stack, palette: Palette) {
    let (middle, width) = ((left + right) / 2.0, right - left);
    let total: f64 = stack.parts.iter().sum();
    let mut below = 0.0;
    for (i, part) in stack.parts.iter().enumerate() {
        let frame = Frame {
            left,
            right,
            top: axes.y(below + part),
            bottom: axes.y(below),
        };
        below += part;
        let colour = part_colour(palette, i);
        segment(scene, frame, colour, stack.hollow);
        let fill = if stack.hollow { WHITE } else { colour };
        let said = match (palette, i) {
            (Palette::Phases, _) => Some((frame, part)),
            (Palette::Ceiling, 0) => (total > *part).then_some((frame, part)),
            (Palette::Ceiling, _) => above_thin(axes, frame, stack),
        };
        if let Some((frame, part)) = said {
            share(scene, frame, format!("{:.0} %", 100.0 * part / total), fill);
        }
    }
    if let Some(ends) = stack.ends {
        error_bar(scene, axes, right - width / 8.0, ends);
    }
    let text = grouped(total);
    if text_width(&text, SHARE_SIZE) <= 1.35 * width {
        let total = Text::new((middle, axes.y(total) - 9.0), text, SHARE_SIZE);
        scene.text(total.anchor(Anchor::Middle).colour(GREY));
    }
}

/// The lower end of `rest`, for the share of the part below it where that is too thin, and that part.
fn above_thin<'a>(axes: &Axes, rest: Frame, stack: &'a Stack) -> Option<(Frame, &'a f64)> {
    let (part, low) = (stack.parts.first()?, axes.y(0.0));
    let bottom = rest.bottom - 4.0;
    let room = Frame {
        top: bottom - SHARE_HEIGHT,
        bottom,
        ..rest
    };
    (low - rest.bottom < SHARE_HEIGHT && room.top > rest.top).then_some((room, part))
}

/// A share in the middle of its part, where it fits.
fn share(scene: &mut Scene, frame: Frame, text: String, fill: Colour) {
    let fits = text_width(&text, SHARE_SIZE) + 4.0 <= frame.width();
    if fits && frame.height() >= SHARE_HEIGHT {
        let at = (
            (frame.left + frame.right) / 2.0,
            (frame.top + frame.bottom) / 2.0,
        );
        let text = Text::new(at, text, SHARE_SIZE).colour(fill.readable_on());
        scene.text(text.anchor(Anchor::Middle));
    }
}

/// A bar with caps beside the share, which stands in the middle.
fn error_bar(scene: &mut Scene, axes: &Axes, x: f64, (low, high): (f64, f64)) {
    let (low, high) = (axes.y(low), axes.y(high));
    scene.line(vec![(x, low), (x, high)], INK, 1.5);
    for end in [low, high] {
        scene.line(vec![(x - 4.0, end), (x + 4.0, end)], INK, 1.5);
    }
}

/// A filled box; a marked cell's is only a coloured edge around a light middle.
fn segment(scene: &mut Scene, frame: Frame, colour: Colour, hollow: bool) {
    if frame.height() < 0.5 {
        return;
    }
    scene.rectangle(frame, colour);
    let edge = 3.0;
    if hollow && frame.height() > 2.0 * edge {
        let inner = Frame {
            left: frame.left + edge,
            right: frame.right - edge,
            top: frame.top + edge,
            bottom: frame.bottom - edge,
        };
        scene.rectangle(inner, colour.lighter(0.8));
    }
}

/// Consecutive bars with one name.
struct Group {
    name: String,
    from: usize,
    to: usize,
}

fn groups(stacks: &[Stack]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for (i, stack) in stacks.iter().enumerate() {
        match groups.last_mut() {
            Some(group) if group.name == stack.group => group.to = i + 1,
            _ => groups.push(Group {
                name: stack.group.clone(),
                from: i,
                to: i + 1,
            }),
        }
    }
    groups
}

/// Horizontal room of bars, in pixels from the left edge of the axes.
struct Places {
    slot: f64,
    bar: f64,
    left: f64,
}

impl Places {
    fn new(stacks: &[Stack], width: f64) -> Places {
        let slots = stacks.len() as f64 + GAP * groups(stacks).len() as f64;
        let slot = (width / slots.max(1.0)).min(130.0);
        Places {
            slot,
            bar: (0.74 * slot).min(72.0),
            left: (width - slot * slots) / 2.0,
        }
    }

    fn middle(&self, bar: usize, group: usize) -> f64 {
        self.left + self.slot * (bar as f64 + 0.5 + GAP * (group as f64 + 0.5))
    }

    /// The label of a bar; a single word that would reach its neighbour's is left out.
    fn label(&self, text: &str) -> Vec<String> {
        match text.contains(' ') || text_width(text, TICK_SIZE) <= self.slot {
            true => wrap(text, TICK_SIZE, self.slot - 2.0, LABEL_LINES),
            false => Vec::new(),
        }
    }

    fn label_lines(&self, stacks: &[Stack]) -> f64 {
        let lines = stacks.iter().map(|stack| self.label(&stack.label).len());
        lines.max().unwrap_or(1) as f64
    }

    /// Room for a group's name.
    fn room(&self, group: &Group) -> f64 {
        self.slot * ((group.to - group.from) as f64 + GAP) - 6.0
    }
}
