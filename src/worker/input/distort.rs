//! In: the bytes of an image and random numbers. Out: the distorted image. Knows neither where images
//! come from nor where they go.
//!
//! The distortion of TensorFlow's CIFAR-10 tutorial, in its order: a random crop of 24x24 pixels, a
//! random horizontal flip, random brightness, random contrast about the mean of each channel, and
//! standardisation of the image.
//!
//! With contrast f, brightness d and channel means m, the tutorial's steps give f (x - m) + m + d for a
//! byte x; standardisation takes off the mean of all that, in which d cancels, and divides by a deviation
//! that follows from sums of x and x². So each channel's output is affine in x, and an image can wait as
//! bytes, a quarter of the size, until a batch needs its values.

use super::super::layer::simd::{self, Kernel, Vector};
use super::cifar10_file::{CHANNELS, IMAGE_BYTES, SIDE};
use super::pipeline::Values;
use super::random::{Draws, Use};
use std::array::from_fn;
use std::mem::MaybeUninit;

/// Rows and columns of a distorted image.
pub const CROP: usize = 24;
/// Values of a distorted image.
pub const LENGTH: usize = CROP * CROP * CHANNELS;
/// Pixels of a distorted image.
const PIXELS: usize = CROP * CROP;
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

/// A distorted image as bytes and the map to its values.
pub struct Distorted {
    /// `(row, column, channel)`.
    bytes: [u8; LENGTH],
    affine: Affine,
}

impl Default for Distorted {
    /// Zeros.
    fn default() -> Self {
        Self {
            bytes: [0; LENGTH],
            affine: Affine::default(),
        }
    }
}

impl Distorted {
    /// Becomes the distortion of `image`, which is given as `(channel, row, column)`.
    pub fn take(&mut self, image: &[u8; IMAGE_BYTES], distortion: &Distortion) {
        let bytes = &mut self.bytes;
        let sums = simd::run(Crop {
            image,
            distortion,
            bytes,
        });
        self.affine = Affine::new(&sums, f64::from(distortion.contrast));
    }

    /// Appends the values, `(row, column, channel)`, [`LENGTH`] of them.
    pub fn append(&self, values: &mut Values) {
        // SAFETY: the kernel writes LENGTH values.
        unsafe { values.append(|out| simd::run(Standardise { image: self, out })) };
    }
}

/// One channel of a crop.
type Plane = [u8; PIXELS];
/// Sum and sum of squares of the crop's bytes, for each channel.
type Sums = [(u32, u32); CHANNELS];

/// Crops and mirrors an image, and sums over it. Plain loops over bytes of a fixed number, which the
/// compiler turns into the vector instructions of the level.
struct Crop<'a> {
    image: &'a [u8; IMAGE_BYTES],
    distortion: &'a Distortion,
    bytes: &'a mut [u8; LENGTH],
}

impl Kernel<f32> for Crop<'_> {
    type Output = Sums;

    #[inline(always)]
    fn run<V: Vector<Element = f32>>(self) -> Sums {
        let mut planes = [[0; PIXELS]; CHANNELS];
        for (channel, plane) in planes.iter_mut().enumerate() {
            self.crop(channel, plane);
        }
        let [red, green, blue] = &planes;
        for i in 0..PIXELS {
            self.bytes[CHANNELS * i] = red[i];
            self.bytes[CHANNELS * i + 1] = green[i];
            self.bytes[CHANNELS * i + 2] = blue[i];
        }
        [sums(red), sums(green), sums(blue)]
    }
}

impl Crop<'_> {
    #[inline(always)]
    fn crop(&self, channel: usize, plane: &mut Plane) {
        let Distortion {
            top, left, flip, ..
        } = *self.distortion;
        let start = (channel * SIDE + top) * SIDE + left;
        for row in 0..CROP {
            let from: &[u8; CROP] = self.image[start + row * SIDE..]
                .first_chunk()
                .expect("a crop ends within its image");
            let to: &mut [u8; CROP] = plane[row * CROP..]
                .first_chunk_mut()
                .expect("a plane has CROP rows");
            *to = if flip {
                from_fn(|i| from[CROP - 1 - i])
            } else {
                *from
            };
        }
    }
}

#[inline(always)]
fn sums(plane: &Plane) -> (u32, u32) {
    // 576 squares of bytes are far below 2^32.
    let (mut sum, mut squares) = (0, 0);
    for byte in plane {
        let x = u32::from(*byte);
        sum += x;
        squares += x * x;
    }
    (sum, squares)
}

/// The map from bytes to values: `scale * (x - centre) + shift`, with the whole number `centre` next to
/// the channel's mean, so that nothing large cancels in f32.
#[derive(Default)]
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
            (PIXELS as u64 * squares - sum * sum) as f64 / (pixels * pixels)
        });
        let within = contrast * contrast * variances.iter().sum::<f64>();
        let between: f64 = means.iter().map(|m| (m - mean) * (m - mean)).sum();
        let deviation = ((within + between) / CHANNELS as f64).sqrt();
        let deviation = deviation.max(least_deviation());
        let centres = means.map(f64::round);
        let shifts = from_fn(|c| {
            ((contrast * (centres[c] - means[c]) + means[c] - mean) / deviation) as f32
        });
        Self {
            scale: (contrast / deviation) as f32,
            centres: centres.map(|centre| centre as f32),
            shifts,
        }
    }
}

/// Writes the values of an image.
struct Standardise<'a> {
    image: &'a Distorted,
    out: &'a mut [MaybeUninit<f32>; LENGTH],
}

impl Kernel<f32> for Standardise<'_> {
    type Output = ();

    /// Rounds after each operation, so that every level gives the same bits.
    #[inline(always)]
    fn run<V: Vector<Element = f32>>(self) {
        const { assert!(LENGTH.is_multiple_of(CHANNELS * V::LANES)) }
        let affine = &self.image.affine;
        let scale = V::splat(affine.scale);
        let centres = in_turn::<V>(&affine.centres);
        let shifts = in_turn::<V>(&affine.shifts);
        for at in (0..LENGTH).step_by(CHANNELS * V::LANES) {
            for part in 0..CHANNELS {
                let at = at + part * V::LANES;
                // SAFETY: `LENGTH` is a multiple of `CHANNELS` registers, so this one lies within both.
                unsafe {
                    let x = V::load_bytes(self.image.bytes.as_ptr().add(at));
                    let value = x.sub(centres[part]).mul(scale).add(shifts[part]);
                    value.store(self.out.as_mut_ptr().cast::<f32>().add(at));
                }
            }
        }
    }
}

/// The numbers of all channels over and over: after `CHANNELS` registers, of any width, they are back
/// at the first lane.
#[inline(always)]
fn in_turn<V: Vector<Element = f32>>(numbers: &[f32; CHANNELS]) -> [V; CHANNELS] {
    const WIDEST: usize = 16;
    const { assert!(V::LANES <= WIDEST) }
    let lanes: [f32; CHANNELS * WIDEST] = from_fn(|lane| numbers[lane % CHANNELS]);
    // SAFETY: there are `CHANNELS` registers of lanes, of at most `WIDEST` each.
    from_fn(|part| unsafe { V::load(lanes.as_ptr().add(part * V::LANES)) })
}

#[cfg(test)]
pub(super) mod tests;
