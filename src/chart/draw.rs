//! In: a [`Picture`]. Out: the bytes of an SVG and the file of a PNG. The only place that knows the
//! drawing library. The same picture gives the same bytes.

use crate::chart::Picture;
use crate::chart::scene::{Anchor, At, Colour, Scene, Shape, Text};
use anyhow::{Context, Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::register_font;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::sync::LazyLock;

/// Roboto Regular, so that every machine draws the same letters.
static FONT: &[u8] = include_bytes!("../../assets/Roboto-Regular.ttf");

/// Dots of a PNG for each pixel of the layout, for sharp text on dense screens.
const PNG_SCALE: usize = 2;

/// Dots drawn, in each direction, for each dot of a PNG. The library rounds strokes to whole dots, so
/// that slanted ones would be thin; their mean over finer dots has the right width and smooth edges.
const FINER: usize = 2;

/// The height of a line of this font over its size, as the library counts sizes.
const SIZE_OF_EM: f64 = 1.24;

/// Red, green and blue.
const CHANNELS: usize = 3;

/// How far the two backends draw text above its middle, in ems.
const SVG_RISE: f64 = 0.0;
const PNG_RISE: f64 = 0.17;

static REGISTERED: LazyLock<()> = LazyLock::new(|| {
    if register_font("sans-serif", FontStyle::Normal, FONT).is_err() {
        unreachable!("the embedded font is a font");
    }
});

/// The picture as an SVG document.
///
/// # Errors
/// When the library cannot draw, which is a fault of xrun.
pub fn svg(picture: &impl Picture) -> Result<String> {
    let scene = picture.scene();
    let size = (scene.width as u32, scene.height as u32);
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, size).into_drawing_area();
        paint(&area, &scene, 1.0, SVG_RISE)?;
    }
    Ok(text)
}

/// Writes the picture as a PNG of twice the layout's size.
///
/// # Errors
/// When the file cannot be written.
pub fn png(picture: &impl Picture, path: &Path) -> Result<()> {
    let scene = picture.scene();
    let fine = PNG_SCALE * FINER;
    let (width, height) = (scene.width as usize * fine, scene.height as usize * fine);
    let mut dots = vec![0u8; width * height * CHANNELS];
    {
        let size = (width as u32, height as u32);
        let area = BitMapBackend::with_buffer(&mut dots, size).into_drawing_area();
        paint(&area, &scene, fine as f64, PNG_RISE)?;
    }
    let size = ((width / FINER) as u32, (height / FINER) as u32);
    encode(path, size, &averaged(&dots, width))
        .with_context(|| format!("writing {}", path.display()))
}

/// Writes dots as PNG. Areas of one colour are smallest without a filter: half of what filters leave.
fn encode(path: &Path, (width, height): (u32, u32), dots: &[u8]) -> Result<()> {
    let mut encoder = png::Encoder::new(BufWriter::new(File::create(path)?), width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_compression(png::Compression::Best);
    encoder.set_filter(png::FilterType::NoFilter);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(dots)?;
    Ok(writer.finish()?)
}

/// Means of squares of `FINER` by `FINER` dots.
fn averaged(dots: &[u8], width: usize) -> Vec<u8> {
    let height = dots.len() / (width * CHANNELS);
    let mut means = Vec::with_capacity(dots.len() / (FINER * FINER));
    for y in 0..height / FINER {
        for x in 0..width / FINER {
            for channel in 0..CHANNELS {
                let at = |i: usize| {
                    let (row, column) = (y * FINER + i / FINER, x * FINER + i % FINER);
                    usize::from(dots[(row * width + column) * CHANNELS + channel])
                };
                let sum: usize = (0..FINER * FINER).map(at).sum();
                means.push((sum / (FINER * FINER)) as u8);
            }
        }
    }
    means
}

/// Width of a text in pixels of the layout. Viewers of an SVG may have a wider font, so that there
/// is some reserve.
pub fn text_width(text: &str, size: f64) -> f64 {
    LazyLock::force(&REGISTERED);
    let font = ("sans-serif", 10.0 * size * SIZE_OF_EM).into_font();
    let width = font.box_size(text).map_or(0, |(width, _)| width);
    f64::from(width) / 10.0 * 1.08
}

fn paint<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    scene: &Scene,
    scale: f64,
    rise: f64,
) -> Result<()> {
    LazyLock::force(&REGISTERED);
    let failed = |error: DrawingAreaErrorKind<B::ErrorType>| anyhow!("drawing: {error}");
    area.fill(&WHITE).map_err(failed)?;
    for shape in &scene.shapes {
        paint_shape(area, shape, scale, rise).map_err(failed)?;
    }
    area.present().map_err(failed)
}

fn paint_shape<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    shape: &Shape,
    scale: f64,
    rise: f64,
) -> Result<(), DrawingAreaErrorKind<B::ErrorType>> {
    let at = |(x, y): At| ((x * scale).round() as i32, (y * scale).round() as i32);
    let all = |points: &[At]| points.iter().map(|point| at(*point)).collect::<Vec<_>>();
    match shape {
        Shape::Line {
            points,
            colour,
            width,
        } => {
            // One stroke a segment: the library thins the joints of longer thick paths.
            let style = rgb(*colour).stroke_width((width * scale).round().max(1.0) as u32);
            points
                .windows(2)
                .try_for_each(|pair| area.draw(&PathElement::new(all(pair), style)))
        }
        Shape::Polygon { points, fill } => {
            area.draw(&Polygon::new(all(points), rgb(*fill).filled()))
        }
        Shape::Disc {
            centre,
            radius,
            fill,
        } => {
            let radius = (radius * scale).round() as i32;
            area.draw(&Circle::new(at(*centre), radius, rgb(*fill).filled()))
        }
        Shape::Text(text) => paint_text(area, text, scale, rise),
    }
}

fn paint_text<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    text: &Text,
    scale: f64,
    rise: f64,
) -> Result<(), DrawingAreaErrorKind<B::ErrorType>> {
    let across = match text.anchor {
        Anchor::Start => HPos::Left,
        Anchor::Middle => HPos::Center,
        Anchor::End => HPos::Right,
    };
    let (x, y) = text.at;
    let at = (
        (x * scale).round() as i32,
        ((y + rise * text.size) * scale).round() as i32,
    );
    let font = ("sans-serif", text.size * SIZE_OF_EM * scale).into_font();
    let style = font
        .color(&rgb(text.colour))
        .pos(Pos::new(across, VPos::Center));
    area.draw(&plotters::element::Text::new(text.text.clone(), at, style))
}

fn rgb(Colour(red, green, blue): Colour) -> RGBColor {
    RGBColor(red, green, blue)
}
