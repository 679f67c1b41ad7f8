//! The scale of colours as a row of samples, with its ends in words, and the samples without a colour.

use super::{NEUTRAL, colour};
use crate::chart::draw::text_width;
use crate::chart::heat::Tint;
use crate::chart::layout::MARGIN;
use crate::chart::scene::{Colour, FAINT, Frame, Scene, Text, WHITE};
use crate::units::significant;

const SIZE: f64 = 12.5;
const HEIGHT: f64 = 14.0;
const SAMPLE: f64 = 24.0;
/// Samples on each side of 1.
const SIDE: i32 = 4;
const SPACE: f64 = 8.0;
const BETWEEN: f64 = 26.0;

/// Draws the legend below `top` and gives where it ends.
pub fn draw(scene: &mut Scene, limit: f64, top: f64) -> f64 {
    let middle = top + HEIGHT / 2.0 + 4.0;
    let mut x = MARGIN;
    x = word(
        scene,
        x,
        middle,
        &format!("slower, {} or less", significant(1.0 / limit)),
    );
    for i in (-SIDE..=SIDE).filter(|i| *i != 0) {
        let ratio = limit.powf(f64::from(i) / f64::from(SIDE));
        x = sample(scene, x, middle, colour(Tint::Ratio(ratio), limit));
    }
    x = word(
        scene,
        x + SPACE,
        middle,
        &format!("faster, {} or more", significant(limit)),
    );
    x = sample(scene, x + BETWEEN, middle, NEUTRAL);
    x = word(scene, x + SPACE, middle, "does not stand out of noise");
    x = sample(scene, x + BETWEEN, middle, WHITE);
    word(scene, x + SPACE, middle, "– hardly any time");
    middle + HEIGHT / 2.0
}

fn word(scene: &mut Scene, x: f64, y: f64, text: &str) -> f64 {
    scene.text(Text::new((x, y), text, SIZE));
    x + text_width(text, SIZE) + SPACE
}

fn sample(scene: &mut Scene, x: f64, y: f64, fill: Colour) -> f64 {
    let frame = Frame {
        left: x,
        right: x + SAMPLE,
        top: y - HEIGHT / 2.0,
        bottom: y + HEIGHT / 2.0,
    };
    if fill == WHITE {
        scene.rectangle(frame, FAINT);
    }
    let edge = if fill == WHITE { 1.0 } else { 0.0 };
    let inner = Frame {
        left: frame.left + edge,
        right: frame.right - edge,
        top: frame.top + edge,
        bottom: frame.bottom - edge,
    };
    scene.rectangle(inner, fill);
    x + SAMPLE
}
