//! One pair of axes: from values to pixels, with grid, ticks and labels.

use crate::chart::XAxis;
use crate::chart::draw::text_width;
use crate::chart::scene::{Anchor, At, FAINT, Frame, GREY, INK, Scene, Text, wrap};
use crate::chart::ticks::{Ticks, plain};

/// Text at ticks, in pixels.
pub const TICK_SIZE: f64 = 13.0;
/// Text of axis labels.
pub const LABEL_SIZE: f64 = 13.0;
/// Between two lines of tick text.
pub const LINE_HEIGHT: f64 = 16.0;
/// Lines of a word under the horizontal axis.
const WORD_LINES: usize = 3;

/// The frame of the data, and the scale of both axes.
#[derive(Clone, Debug)]
pub struct Axes {
    pub frame: Frame,
    pub y: Ticks,
    x: Spread,
    ordered: bool,
}

/// How values of `x` are spread over the width.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Spread {
    Linear(f64, f64),
    /// Powers of two stand at equal distances.
    Log2(f64, f64),
}

impl Axes {
    /// Axes that show `y` within `frame`.
    pub fn new(frame: Frame, x: &XAxis, y: Ticks) -> Axes {
        let ordered = matches!(x, XAxis::Numbers(_));
        let x = match x {
            XAxis::Words(words) => Spread::Linear(-0.5, words.len() as f64 - 0.5),
            XAxis::Numbers(places) => Spread::of(places),
        };
        Axes {
            frame,
            y,
            x,
            ordered,
        }
    }

    pub fn x(&self, value: f64) -> f64 {
        let part = match self.x {
            Spread::Linear(low, high) => (value - low) / (high - low),
            Spread::Log2(low, high) => (value.log2() - low) / (high - low),
        };
        self.frame.left + part * self.frame.width()
    }

    pub fn y(&self, value: f64) -> f64 {
        self.frame.bottom - value / self.y.top() * self.frame.height()
    }

    pub fn at(&self, (x, y): (f64, f64)) -> At {
        (self.x(x), self.y(y))
    }

    /// Whether places between two ticks mean anything.
    pub fn is_ordered(&self) -> bool {
        self.ordered
    }

    /// Horizontal grid with its numbers, and the base line.
    pub fn draw_y(&self, scene: &mut Scene, label: &str) {
        let Frame {
            left,
            right,
            top,
            bottom,
        } = self.frame;
        for (value, text) in self.y.all() {
            let y = self.y(value);
            scene.line(vec![(left, y), (right, y)], FAINT, 1.0);
            let number = Text::new((left - 8.0, y), text, TICK_SIZE).colour(GREY);
            scene.text(number.anchor(Anchor::End));
        }
        scene.line(vec![(left, bottom), (right, bottom)], INK, 1.0);
        let start = left - left_margin(&self.y);
        scene.text(Text::new((start, top - 20.0), label, LABEL_SIZE).colour(GREY));
    }

    /// Ticks at the places of cells; text that would touch its neighbour is left out.
    pub fn draw_x(&self, scene: &mut Scene, x: &XAxis) {
        let bottom = self.frame.bottom;
        match x {
            XAxis::Words(words) => self.draw_words(scene, words),
            XAxis::Numbers(places) => {
                let mut free_from = f64::NEG_INFINITY;
                for place in places {
                    let (x, text) = (self.x(*place), plain(*place));
                    scene.line(vec![(x, bottom), (x, bottom + 5.0)], INK, 1.0);
                    let half = text_width(&text, TICK_SIZE) / 2.0;
                    if x - half >= free_from {
                        let number = Text::new((x, bottom + 16.0), text, TICK_SIZE);
                        scene.text(number.anchor(Anchor::Middle));
                        free_from = x + half + 6.0;
                    }
                }
            }
        }
    }

    /// The label of the horizontal axis, under `text_lines` lines of text.
    pub fn draw_x_label(&self, scene: &mut Scene, label: &str, text_lines: f64) {
        let middle = (self.frame.left + self.frame.right) / 2.0;
        let y = self.frame.bottom + 20.0 + text_lines * LINE_HEIGHT;
        let label = Text::new((middle, y), label, LABEL_SIZE);
        scene.text(label.anchor(Anchor::Middle).colour(GREY));
    }

    fn draw_words(&self, scene: &mut Scene, words: &[String]) {
        let slot = self.frame.width() / words.len() as f64 - 10.0;
        for (i, word) in words.iter().enumerate() {
            for (line, text) in wrap(word, TICK_SIZE, slot, WORD_LINES)
                .into_iter()
                .enumerate()
            {
                let y = self.frame.bottom + 16.0 + line as f64 * LINE_HEIGHT;
                let text = Text::new((self.x(i as f64), y), text, TICK_SIZE);
                scene.text(text.anchor(Anchor::Middle));
            }
        }
    }
}

impl Spread {
    /// Logarithmic where the places are powers of two and span a factor of four or more.
    fn of(places: &[f64]) -> Spread {
        let (low, high) = match (places.first(), places.last()) {
            (Some(low), Some(high)) => (*low, *high),
            _ => (0.0, 1.0),
        };
        let powers = places.iter().all(|x| *x > 0.0 && x.log2().fract() == 0.0);
        let (low, high, log) = match powers && high / low >= 4.0 {
            true => (low.log2(), high.log2(), true),
            false => (low, high, false),
        };
        let pad = match high > low {
            true => 0.08 * (high - low),
            false => 0.5 * low.abs().max(1.0),
        };
        match log {
            true => Spread::Log2(low - pad, high + pad),
            false => Spread::Linear(low - pad, high + pad),
        }
    }
}

/// Room that the numbers of the vertical axis need.
pub fn left_margin(y: &Ticks) -> f64 {
    let widths = y.all().map(|(_, text)| text_width(&text, TICK_SIZE));
    widths.fold(0.0, f64::max) + 10.0
}

/// Lines of text under the horizontal axis, beside its label.
pub fn x_lines(x: &XAxis, width: f64) -> f64 {
    match x {
        XAxis::Numbers(_) => 1.0,
        XAxis::Words(words) => {
            let slot = width / words.len().max(1) as f64 - 10.0;
            let lines = words
                .iter()
                .map(|word| wrap(word, TICK_SIZE, slot, WORD_LINES).len());
            lines.max().unwrap_or(1) as f64
        }
    }
}
