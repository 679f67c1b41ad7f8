//! Shapes of a picture in pixels, from the top left corner; and how text is fitted into a width.

use crate::chart::draw::text_width;

/// A picture as shapes, in drawing order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scene {
    pub width: f64,
    pub height: f64,
    pub shapes: Vec<Shape>,
}

/// Horizontal and vertical pixels.
pub type At = (f64, f64);

/// Red, green and blue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Colour(pub u8, pub u8, pub u8);

/// One thing that is drawn.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    Line {
        points: Vec<At>,
        colour: Colour,
        width: f64,
    },
    Polygon {
        points: Vec<At>,
        fill: Colour,
    },
    Disc {
        centre: At,
        radius: f64,
        fill: Colour,
    },
    Text(Text),
}

/// One line of text; `at` is its vertical middle.
#[derive(Clone, Debug, PartialEq)]
pub struct Text {
    pub at: At,
    pub text: String,
    pub size: f64,
    pub colour: Colour,
    pub anchor: Anchor,
}

/// Which end of a text `at` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    Start,
    Middle,
    End,
}

/// An upright box.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Frame {
    pub left: f64,
    pub top: f64,
    pub right: f64,
    pub bottom: f64,
}

pub const INK: Colour = Colour(0x22, 0x22, 0x22);
pub const GREY: Colour = Colour(0x5f, 0x5f, 0x5f);
pub const FAINT: Colour = Colour(0xe4, 0xe4, 0xe4);
pub const WHITE: Colour = Colour(0xff, 0xff, 0xff);

/// Colours that readers with any kind of colour vision tell apart, after Okabe and Ito, "Color
/// Universal Design" (2008), without the yellow, which is too light for lines on white.
pub const SERIES: [Colour; 7] = [
    Colour(0x00, 0x72, 0xb2),
    Colour(0xd5, 0x5e, 0x00),
    Colour(0x00, 0x9e, 0x73),
    Colour(0xcc, 0x79, 0xa7),
    Colour(0xe6, 0x9f, 0x00),
    Colour(0x56, 0xb4, 0xe9),
    Colour(0x00, 0x00, 0x00),
];

impl Colour {
    /// The colour, `part` of the way to white.
    pub fn lighter(self, part: f64) -> Colour {
        let mix = |c: u8| (f64::from(c) + (255.0 - f64::from(c)) * part).round() as u8;
        Colour(mix(self.0), mix(self.1), mix(self.2))
    }

    /// Ink or white, whichever is read better on this colour (relative luminance, Rec. 709).
    pub fn readable_on(self) -> Colour {
        let [r, g, b] = [self.0, self.1, self.2].map(f64::from);
        let luminance = 0.2126 * r + 0.7152 * g + 0.0722 * b;
        if luminance > 125.0 { INK } else { WHITE }
    }
}

impl Frame {
    pub fn width(&self) -> f64 {
        self.right - self.left
    }

    pub fn height(&self) -> f64 {
        self.bottom - self.top
    }
}

impl Scene {
    pub fn line(&mut self, points: Vec<At>, colour: Colour, width: f64) {
        self.shapes.push(Shape::Line {
            points,
            colour,
            width,
        });
    }

    pub fn rectangle(&mut self, frame: Frame, fill: Colour) {
        let Frame {
            left,
            top,
            right,
            bottom,
        } = frame;
        let points = vec![(left, top), (right, top), (right, bottom), (left, bottom)];
        self.shapes.push(Shape::Polygon { points, fill });
    }

    pub fn text(&mut self, text: Text) {
        self.shapes.push(Shape::Text(text));
    }
}

impl Text {
    pub fn new(at: At, text: impl Into<String>, size: f64) -> Text {
        Text {
            at,
            text: text.into(),
            size,
            colour: INK,
            anchor: Anchor::Start,
        }
    }

    pub fn anchor(self, anchor: Anchor) -> Text {
        Text { anchor, ..self }
    }

    pub fn colour(self, colour: Colour) -> Text {
        Text { colour, ..self }
    }
}

/// Breaks `text` at spaces into at most `max_lines` lines of at most `width` pixels; what does not
/// fit ends in an ellipsis.
pub fn wrap(text: &str, size: f64, width: f64, max_lines: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.last_mut().expect("there is always a line");
        let longer = match last.is_empty() {
            true => word.to_string(),
            false => format!("{last} {word}"),
        };
        if last.is_empty() || text_width(&longer, size) <= width || lines.len() == max_lines {
            *lines.last_mut().expect("there is always a line") = longer;
        } else {
            lines.push(word.to_string());
        }
    }
    lines
        .iter()
        .map(|line| shortened(line, size, width))
        .collect()
}

/// `text`, or as much of it as fits before an ellipsis.
pub fn shortened(text: &str, size: f64, width: f64) -> String {
    if text_width(text, size) <= width {
        return text.to_string();
    }
    let mut kept: Vec<char> = text.chars().collect();
    while !kept.is_empty() {
        kept.pop();
        let short: String = kept.iter().collect::<String>().trim_end().to_string() + "…";
        if text_width(&short, size) <= width {
            return short;
        }
    }
    "…".to_string()
}
