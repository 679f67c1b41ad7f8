//! In: the bytes of an image and random numbers. Out: the distorted image. Knows neither where images
//! come from nor where they go.
//!
//! The distortion of TensorFlow's CIFAR-10 tutorial, in its order: a random crop of 24x24 pixels, a
//! random horizontal flip, random brightness, random contrast about the mean of each channel, and
//! standardisation of the image.

use super::cifar10_file::{CHANNELS, IMAGE_BYTES, SIDE};
use super::random::{Draws, Use};

/// Rows and columns of a distorted image.
pub const CROP: usize = 24;
/// Values of a distorted image.
pub const LENGTH: usize = CROP * CROP * CHANNELS;
/// Pixels of a distorted image.
const PIXELS: u64 = (CROP * CROP) as u64;
/// Places that a crop can have in each direction.
const OFFSETS: usize = SIDE - CROP + 1;
const MAX_BRIGHTNESS: f32 = 63.0;
const CONTRAST: (f32, f32) = (0.2, 1.8);

/// The random part of a distortion.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Distortion {
    /// First row and column of the crop, 0 to 8.
    pub top: usize,
    pub left: usize,
    /// Whether columns are mirrored.
    pub flip: bool,
    /// What is added to every value.
    pub brightness: f32,
    /// By what a value's distance from its channel's mean is multiplied.
    pub contrast: f32,
}

impl Distortion {
    /// The distortion of example `number`: the same wherever and whenever it is drawn.
    pub fn draw(seed: u64, number: u64) -> Self {
        let mut draws = Draws::new(seed, Use::Distortion, number);
        Self {
            top: draws.below(OFFSETS),
            left: draws.below(OFFSETS),
            flip: draws.below(2) == 1,
            brightness: draws.uniform(-MAX_BRIGHTNESS, MAX_BRIGHTNESS),
            contrast: draws.uniform(CONTRAST.0, CONTRAST.1),
        }
    }
}

/// The least standard deviation by which an image is divided: that of TensorFlow's
/// `per_image_standardization`, so that a constant image becomes zero instead of infinite.
pub fn least_deviation() -> f64 {
    1.0 / (LENGTH as f64).sqrt()
}

/// Writes the distorted `image`, given as `(channel, row, column)`, to `out` as `(row, column,
/// channel)`, [`LENGTH`] values.
///
/// One pass over the crop's bytes and one over the output. With contrast f, brightness d and channel
/// means m, the tutorial's steps give f (x - m) + m + d for a byte x; standardisation takes off the
/// mean of all that, in which d cancels, and divides by a deviation that follows from sums of x and x².
/// So each channel's output is affine in x.
pub fn write(image: &[u8; IMAGE_BYTES], distortion: &Distortion, out: &mut [f32]) {
    assert_eq!(out.len(), LENGTH, "an image has its own place in a batch");
    let sums = crop_sums(image, distortion);
    let affine = Affine::new(&sums, f64::from(distortion.contrast));
    let start = distortion.top * SIDE + distortion.left;
    for (row, out) in out.chunks_exact_mut(CROP * CHANNELS).enumerate() {
        let start = start + row * SIDE;
        let planes: [[f32; CROP]; CHANNELS] = std::array::from_fn(|channel| {
            let row = crop_row(image, channel, start);
            affine.apply(channel, row)
        });
        interleave(&planes, distortion.flip, out);
    }
}

/// Sum and sum of squares of the crop's bytes, for each channel.
type Sums = [(u32, u32); CHANNELS];

fn crop_sums(image: &[u8; IMAGE_BYTES], distortion: &Distortion) -> Sums {
    let start = distortion.top * SIDE + distortion.left;
    std::array::from_fn(|channel| {
        let rows = (0..CROP).map(|row| crop_row(image, channel, start + row * SIDE));
        // A row's sums fit into 32 bits with much room, and so do 24 rows of them.
        rows.fold((0, 0), |(sum, squares), row| {
            let row_sum: u32 = row.iter().map(|x| u32::from(*x)).sum();
            let row_squares: u32 = row.iter().map(|x| u32::from(*x) * u32::from(*x)).sum();
            (sum + row_sum, squares + row_squares)
        })
    })
}

/// The crop's bytes of the row of `channel` that starts at `start` within its plane.
fn crop_row(image: &[u8; IMAGE_BYTES], channel: usize, start: usize) -> &[u8; CROP] {
    let start = channel * SIDE * SIDE + start;
    image[start..start + CROP]
        .try_into()
        .expect("a slice of CROP bytes has CROP bytes")
}

/// The map from bytes to values: `scale * (x - centre) + shift`, with the whole number `centre` next to
/// the channel's mean, so that nothing large cancels in f32.
struct Affine {
    scale: f32,
    centres: [f32; CHANNELS],
    shifts: [f32; CHANNELS],
}

impl Affine {
    fn new(sums: &Sums, contrast: f64) -> Self {
        let pixels = PIXELS as f64;
        let means = sums.map(|(sum, _)| f64::from(sum) / pixels);
        let mean = means.iter().sum::<f64>() / CHANNELS as f64;
        // Exact in whole numbers; in floating point a constant image would leave a rest.
        let variances = sums.map(|(sum, squares)| {
            let (sum, squares) = (u64::from(sum), u64::from(squares));
            (PIXELS * squares - sum * sum) as f64 / (pixels * pixels)
        });
        let within = contrast * contrast * variances.iter().sum::<f64>();
        let between: f64 = means.iter().map(|m| (m - mean) * (m - mean)).sum();
        let deviation = ((within + between) / CHANNELS as f64).sqrt();
        let deviation = deviation.max(least_deviation());
        let centres = means.map(f64::round);
        let shifts = std::array::from_fn(|c| {
            ((contrast * (centres[c] - means[c]) + means[c] - mean) / deviation) as f32
        });
        Self {
            scale: (contrast / deviation) as f32,
            centres: centres.map(|centre| centre as f32),
            shifts,
        }
    }

    fn apply(&self, channel: usize, row: &[u8; CROP]) -> [f32; CROP] {
        let (centre, shift) = (self.centres[channel], self.shifts[channel]);
        row.map(|x| self.scale * (f32::from(x) - centre) + shift)
    }
}

/// Writes one row of each plane to `out` as `(column, channel)`, mirrored with `flip`.
fn interleave(planes: &[[f32; CROP]; CHANNELS], flip: bool, out: &mut [f32]) {
    let [red, green, blue] = planes;
    let pixels = out.chunks_exact_mut(CHANNELS);
    let values = red.iter().zip(green).zip(blue);
    let write = |(pixel, ((r, g), b)): (&mut [f32], ((&f32, &f32), &f32))| {
        pixel.copy_from_slice(&[*r, *g, *b]);
    };
    if flip {
        pixels.rev().zip(values).for_each(write);
    } else {
        pixels.zip(values).for_each(write);
    }
}

#[cfg(test)]
pub(super) mod tests;
