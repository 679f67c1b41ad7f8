//! Maximum over 3×3 windows with stride 2 and TensorFlow's SAME padding.
//!
//! `y[n, i, j, c] = max x[n, 2i + u − t, 2j + v − l, c]` over `u, v` in 0..3 that lie within the
//! image, with `t` and `l` such that the padding is halved and the odd row or column is behind:
//! for an even size all of it is behind. The gradient goes to the first maximum of a window in
//! row-major order.
//!
//! `(batch, height, width, channels)` becomes `(batch, ⌈height / 2⌉, ⌈width / 2⌉, channels)`.
//!
//! ```
//! use candle_core::{Device, Tensor};
//! use xrun::worker::layer::{Layer, MaxPool, Tape};
//!
//! # fn main() -> candle_core::Result<()> {
//! let x = Tensor::arange(0f32, 16.0, &Device::Cpu)?.reshape((1, 4, 4, 1))?;
//! let y = MaxPool.forward(&mut Tape::default(), &x)?;
//! assert_eq!(y.flatten_all()?.to_vec1::<f32>()?, [10.0, 11.0, 14.0, 15.0]);
//! # Ok(())
//! # }
//! ```

use super::Layer;
use super::activation::STOPPED;
use super::operation::{Backward, Function, View};
use super::partition::examples_per_thread;
use super::scalar::Scalar;
use super::tape::Tape;
use candle_core::{Result, Shape, Tensor};
use rayon::prelude::*;
use std::ops::Range;

const WINDOW: usize = 3;
const STRIDE: usize = 2;

/// A layer of maxima of windows of images `(batch, height, width, channels)`.
#[derive(Clone, Copy, Debug)]
pub struct MaxPool;

impl Layer for MaxPool {
    fn forward(&self, tape: &mut Tape, x: &Tensor) -> Result<Tensor> {
        tape.apply(*self, [x])
    }
}

impl Function<1> for MaxPool {
    const NAME: &'static str = "max pool";

    /// Where in its window, row by row, each result was found.
    type Room<T: Scalar> = Vec<u8>;

    fn result(&self, [x]: [&[usize]; 1]) -> Result<Shape> {
        Windows::check(x)?;
        let windows = Windows::of(x);
        let (height, width) = (windows.out_height(), windows.out_width());
        Ok((x[0], height, width, windows.channels).into())
    }

    fn forward<T: Scalar>(&self, [x]: [View<T>; 1], y: &mut [T], places: &mut Vec<u8>) {
        let windows = Windows::of(x.dims);
        places.resize(y.len(), 0);
        let part = examples_per_thread(x.dims[0]);
        x.data
            .par_chunks(part * windows.image())
            .zip(y.par_chunks_mut(part * windows.result()))
            .zip(places.par_chunks_mut(part * windows.result()))
            .for_each(|((x, y), places)| windows.pool(x, y, places));
    }

    fn backward<T: Scalar>(
        &self,
        call: Backward<T, 1>,
        [dx]: [Option<&mut [T]>; 1],
        places: &mut Vec<u8>,
    ) {
        let Some(dx) = dx else { return };
        let [x] = call.args;
        let windows = Windows::of(x.dims);
        let part = examples_per_thread(x.dims[0]);
        dx.par_chunks_mut(part * windows.image())
            .zip(call.gradient.data.par_chunks(part * windows.result()))
            .zip(places.par_chunks(part * windows.result()))
            .for_each(|((dx, dy), places)| {
                windows.spread(dy, places, dx);
            });
    }

    fn places<T: Scalar>(places: &Vec<u8>) -> Option<&[u8]> {
        Some(places)
    }
}

/// The windows of images of one size.
#[derive(Clone, Copy, Debug)]
pub(super) struct Windows {
    pub height: usize,
    pub width: usize,
    pub channels: usize,
}

impl Windows {
    /// An error unless `dims` are those of images.
    pub fn check(dims: &[usize]) -> Result<()> {
        match *dims {
            [_, height, width, channels] if height * width * channels > 0 => Ok(()),
            _ => candle_core::bail!("{dims:?} is no shape of images to pool"),
        }
    }

    /// Of images whose shape was checked.
    pub fn of(dims: &[usize]) -> Self {
        Self {
            height: dims[1],
            width: dims[2],
            channels: dims[3],
        }
    }

    pub fn out_height(self) -> usize {
        self.height.div_ceil(STRIDE)
    }

    pub fn out_width(self) -> usize {
        self.width.div_ceil(STRIDE)
    }

    /// Numbers of one image.
    pub fn image(self) -> usize {
        self.height * self.width * self.channels
    }

    /// Maxima of one image.
    pub fn result(self) -> usize {
        self.out_height() * self.out_width() * self.channels
    }

    /// Puts the maxima of the images `x` into `y`, and where in its window each was found.
    pub fn pool<T: Scalar>(self, x: &[T], y: &mut [T], places: &mut [u8]) {
        let results = y
            .chunks_mut(self.result())
            .zip(places.chunks_mut(self.result()));
        for (x, (y, places)) in x.chunks(self.image()).zip(results) {
            self.pool_image(x, y, places);
        }
    }

    /// Overwrites the images at the start of `dx` with `dy`, each number where its maximum was
    /// found, and returns these images.
    pub fn spread<'a, T: Scalar>(self, dy: &[T], places: &[u8], dx: &'a mut [T]) -> &'a [T] {
        let dx = &mut dx[..dy.len() / self.result() * self.image()];
        dx.fill(T::zero());
        let results = dy.chunks(self.result()).zip(places.chunks(self.result()));
        for (dx, (dy, places)) in dx.chunks_mut(self.image()).zip(results) {
            self.spread_image(dy, places, dx);
        }
        dx
    }

    /// For each output pixel where its channels start in the result, and for each pixel of its
    /// window that lies within the image the place in the window and where its channels start.
    fn each(self) -> impl Iterator<Item = (usize, impl Iterator<Item = (u8, usize)>)> {
        let pixels =
            (0..self.out_height()).flat_map(move |i| (0..self.out_width()).map(move |j| (i, j)));
        pixels.enumerate().map(move |(pixel, (i, j))| {
            let (rows, skipped_rows) = reach(i, self.height);
            let (columns, skipped_columns) = reach(j, self.width);
            let inside = rows.enumerate().flat_map(move |(u, y)| {
                columns.clone().enumerate().map(move |(v, x)| {
                    let place = (u + skipped_rows) * WINDOW + v + skipped_columns;
                    (place as u8, (y * self.width + x) * self.channels)
                })
            });
            (pixel * self.channels, inside)
        })
    }

    fn pool_image<T: Scalar>(self, x: &[T], y: &mut [T], places: &mut [u8]) {
        let mut window = Vec::with_capacity(WINDOW * WINDOW);
        for (at, pixels) in self.each() {
            window.clear();
            window.extend(pixels);
            let results = y[at..][..self.channels].chunks_mut(LANES);
            let places = places[at..][..self.channels].chunks_mut(LANES);
            for (lane, (y, places)) in results.zip(places).enumerate() {
                pool_lanes(&x[lane * LANES..], &window, y, places);
            }
        }
    }

    fn spread_image<T: Scalar>(self, dy: &[T], places: &[u8], dx: &mut [T]) {
        let mut starts = [0; WINDOW * WINDOW];
        for (at, window) in self.each() {
            window.for_each(|(place, from)| starts[usize::from(place)] = from);
            let gradients = dy[at..][..self.channels].iter().zip(&places[at..]);
            for (channel, (dy, place)) in gradients.enumerate() {
                if *place != STOPPED {
                    dx[starts[usize::from(*place)] + channel] += *dy;
                }
            }
        }
    }
}

/// Channels whose maxima stay in registers while a window is searched.
const LANES: usize = 16;

/// Finds up to `LANES` maxima. `window` has places and where in `x` their channels start.
fn pool_lanes<T: Scalar>(x: &[T], window: &[(u8, usize)], y: &mut [T], places: &mut [u8]) {
    let width = y.len();
    let mut best = [T::zero(); LANES];
    // As wide as a number, so that comparing and choosing are vector instructions.
    let mut found = [0u32; LANES];
    let (first, from) = window[0];
    best[..width].copy_from_slice(&x[from..][..width]);
    found.fill(u32::from(first));
    for &(place, from) in &window[1..] {
        let mut seen = [T::zero(); LANES];
        match x[from..].first_chunk::<LANES>() {
            Some(whole) if width == LANES => seen = *whole,
            _ => seen[..width].copy_from_slice(&x[from..][..width]),
        }
        for ((best, found), seen) in best.iter_mut().zip(&mut found).zip(seen) {
            let larger = seen > *best;
            *best = if larger { seen } else { *best };
            *found = if larger { u32::from(place) } else { *found };
        }
    }
    y.copy_from_slice(&best[..width]);
    for (place, found) in places.iter_mut().zip(found) {
        *place = found as u8;
    }
}

/// The rows, or columns, of an image of `size` that output row `i` sees, and how many it has
/// before the image.
fn reach(i: usize, size: usize) -> (Range<usize>, usize) {
    let padding = (size.div_ceil(STRIDE) - 1) * STRIDE + WINDOW - size;
    let before = padding / 2;
    let start = (i * STRIDE).saturating_sub(before);
    let end = (i * STRIDE + WINDOW - before).min(size);
    (start..end, before.saturating_sub(i * STRIDE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_reach_as_tensorflow_pads_even_and_odd_sizes() {
        assert_eq!([0, 1].map(|i| reach(i, 4)), [(0..3, 0), (2..4, 0)]);
        assert_eq!(
            [0, 1, 2].map(|i| reach(i, 5)),
            [(0..2, 1), (1..4, 0), (3..5, 0)]
        );
        assert_eq!(reach(0, 1), (0..1, 1));
        assert_eq!(reach(0, 2), (0..2, 0));
    }
}
