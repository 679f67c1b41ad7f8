//! The noise floor on a pair of axes: a band around the level of the cell that has a twin.

use crate::analysis::noise::Floor;
use crate::chart::axes::Axes;
use crate::chart::scene::{Colour, Frame, Scene};

/// Light, since everything is drawn over it.
pub const COLOUR: Colour = Colour(0xe3, 0xea, 0xf1);

/// Values that are not told from one level.
#[derive(Clone, Debug, PartialEq)]
pub struct Band {
    pub name: String,
    pub low: f64,
    pub high: f64,
}

impl Band {
    /// The band of a ratio: around `level`, which is the baseline's own.
    pub fn of_ratio(floor: Option<Floor>, level: f64) -> Option<Band> {
        let floor = floor?;
        Some(Band::around(
            level,
            &floor,
            format!("noise floor {}", floor.percent()),
        ))
    }

    /// The band of a figure: around `level`, which is that of the floor's cell.
    pub fn of_figure(floor: Option<Floor>, level: impl Fn(&Floor) -> Option<f64>) -> Option<Band> {
        let floor = floor?;
        let name = format!(
            "noise floor {} of {}",
            floor.percent(),
            floor.original.label
        );
        Some(Band::around(level(&floor)?, &floor, name))
    }

    fn around(level: f64, floor: &Floor, name: String) -> Band {
        Band {
            name,
            low: level * (1.0 - floor.half_width).max(0.0),
            high: level * (1.0 + floor.half_width),
        }
    }
}

/// Fills the band over the whole width; at least a pixel and a half, so that it is seen.
pub fn draw(scene: &mut Scene, axes: &Axes, band: &Band) {
    let (top, bottom) = (axes.y(band.high), axes.y(band.low));
    let thin = (1.5 - (bottom - top)).max(0.0) / 2.0;
    let frame = Frame {
        top: (top - thin).max(axes.frame.top),
        bottom: bottom + thin,
        ..axes.frame
    };
    scene.rectangle(frame, COLOUR);
}
