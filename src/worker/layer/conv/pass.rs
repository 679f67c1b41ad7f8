//! Both directions of a convolution for the images of one thread. In: slices. Out: results and
//! gradients in place. Knows neither threads nor how convolutions are computed.

use super::super::Activation;
use super::super::activation::rows;
use super::super::lrn::Lrn;
use super::super::lrn::pixels::Pixels;
use super::super::max_pool::windows::Windows;
use super::super::scalar::Scalar;
use super::super::simd::Level;
use super::algorithm::Algorithm;
use super::geometry::Geometry;

/// What stands behind a convolution and its activation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Behind {
    Nothing,
    Maxima,
    NormalisedMaxima(Lrn),
    MaximaOfNormalised(Lrn),
}

/// What is computed of each image, the same for all threads.
#[derive(Clone, Copy)]
pub struct Pass {
    pub geometry: Geometry,
    pub filters: usize,
    pub activation: Activation,
    pub level: Level,
    pub behind: Behind,
    /// Of the maxima behind the convolution, if there are any.
    pub windows: Windows,
}

/// Memory of one thread, kept from step to step.
#[derive(Default)]
pub struct Room<T> {
    /// Results of a block of images before pooling, then their gradients.
    whole: Vec<T>,
    /// Gradients of a block of images before they are normalised.
    normalised: Vec<T>,
    /// Whatever the algorithm keeps in it.
    scratch: Vec<T>,
    /// What becomes the gradients of weights and biases.
    pub sums: Vec<T>,
    pub biases: Vec<T>,
}

/// The images of one thread, and where their results go.
pub struct Forward<'a, T> {
    pub x: &'a [T],
    pub y: &'a mut [T],
    /// Empty without pooling.
    pub places: &'a mut [u8],
    /// What is normalised; empty if nothing is.
    pub kept: &'a mut [T],
}

/// The images of one thread with results and gradients, and where the gradient of the images goes.
pub struct Backward<'a, T> {
    pub x: &'a [T],
    pub y: &'a [T],
    pub dy: &'a [T],
    /// Empty without pooling.
    pub places: &'a [u8],
    /// What was normalised; empty if nothing was.
    pub kept: &'a [T],
    /// Empty where it is not wanted.
    pub dx: &'a mut [T],
}

/// Results of some images, the gradients by them, and the places of maxima.
struct Results<'a, T> {
    y: &'a [T],
    dy: &'a [T],
    places: &'a [u8],
}

/// An algorithm with weights in its own form.
#[derive(Clone, Copy)]
pub struct Prepared<'a, T> {
    pub algorithm: &'a dyn Algorithm<T>,
    pub weights: &'a [T],
}

impl Pass {
    /// Height and width of a result.
    pub fn result_size(&self) -> [usize; 2] {
        match self.behind {
            Behind::Nothing => [self.geometry.out_height(), self.geometry.out_width()],
            _ => [self.windows.out_height(), self.windows.out_width()],
        }
    }

    /// Maxima of one image.
    pub fn places(&self) -> usize {
        match self.behind {
            Behind::Nothing => 0,
            _ => self.windows.result(),
        }
    }

    /// Numbers of one image that are normalised.
    pub fn kept(&self) -> usize {
        match self.behind {
            Behind::Nothing | Behind::Maxima => 0,
            Behind::NormalisedMaxima(_) => self.windows.result(),
            Behind::MaximaOfNormalised(_) => self.whole(),
        }
    }

    /// Numbers of the result for one image.
    pub fn result(&self) -> usize {
        self.result_size().iter().product::<usize>() * self.filters
    }

    /// Numbers of one image before pooling.
    fn whole(&self) -> usize {
        self.geometry.pixels() * self.filters
    }

    /// Fills `y`, `places` and `kept`, a block of images at a time, so that what goes from one step
    /// to the next is in the cache.
    pub fn forward<T: Scalar>(
        &self,
        share: Forward<T>,
        filters: Prepared<T>,
        biases: &[T],
        room: &mut Room<T>,
    ) {
        let (image, result) = (self.geometry.image(), self.result());
        let block = filters.algorithm.block();
        let mut places = blocks_mut(share.places, block * self.places());
        let mut kept = blocks_mut(share.kept, block * self.kept());
        let blocks = share
            .x
            .chunks(block * image)
            .zip(share.y.chunks_mut(block * result));
        for (x, y) in blocks {
            let block = Forward {
                x,
                y,
                places: places.next().unwrap_or_default(),
                kept: kept.next().unwrap_or_default(),
            };
            self.forward_block(block, filters, biases, room);
        }
    }

    fn forward_block<T: Scalar>(
        &self,
        Forward { x, y, places, kept }: Forward<T>,
        Prepared { algorithm, weights }: Prepared<T>,
        biases: &[T],
        Room { whole, scratch, .. }: &mut Room<T>,
    ) {
        let whole = grown(whole, x.len() / self.geometry.image() * self.whole());
        let maxima = |whole: &[T], y: &mut [T], places: &mut [u8]| {
            self.windows.pool(self.level, whole, y, places);
            (self.activation).add_biases_to_maxima(self.level, y, places, biases);
        };
        match self.behind {
            Behind::Nothing => {
                algorithm.convolve(x, weights, y, scratch);
                self.activation.add_biases(self.level, y, biases);
            }
            Behind::Maxima => {
                algorithm.convolve(x, weights, whole, scratch);
                maxima(whole, y, places);
            }
            Behind::NormalisedMaxima(lrn) => {
                algorithm.convolve(x, weights, whole, scratch);
                maxima(whole, kept, places);
                self.pixels(lrn).normalise(self.level, kept, y);
            }
            Behind::MaximaOfNormalised(lrn) => {
                algorithm.convolve(x, weights, kept, scratch);
                self.activation.add_biases(self.level, kept, biases);
                self.pixels(lrn).normalise(self.level, kept, whole);
                self.windows.pool(self.level, whole, y, places);
            }
        }
    }

    fn pixels(&self, lrn: Lrn) -> Pixels {
        Pixels {
            lrn,
            channels: self.filters,
        }
    }

    /// Sums up in `room` what becomes the gradients of weights and biases, by the algorithm that
    /// `forward` took, and fills `dx`, where it is wanted, by the one of the way back.
    pub fn backward<T: Scalar>(
        &self,
        share: Backward<T>,
        forward: &dyn Algorithm<T>,
        back: Option<Prepared<T>>,
        room: &mut Room<T>,
    ) {
        room.sums.clear();
        room.sums.resize(forward.sums(), T::zero());
        room.biases.clear();
        room.biases.resize(self.filters, T::zero());
        let (image, result) = (self.geometry.image(), self.result());
        let block = forward.block();
        let mut dx = share.dx.chunks_mut(block * image);
        let mut places = blocks(share.places, block * self.places());
        let mut kept = blocks(share.kept, block * self.kept());
        let results = share
            .y
            .chunks(block * result)
            .zip(share.dy.chunks(block * result));
        for (x, (y, dy)) in share.x.chunks(block * image).zip(results) {
            let whole = grown(&mut room.whole, x.len() / image * self.whole());
            let places = places.next().unwrap_or_default();
            let kept = kept.next().unwrap_or_default();
            let (y, dy) = match self.behind {
                Behind::Nothing | Behind::Maxima => (y, dy),
                Behind::NormalisedMaxima(lrn) => {
                    let normalised = grown(&mut room.normalised, kept.len());
                    self.pixels(lrn).gradient(self.level, kept, dy, normalised);
                    (kept, &*normalised)
                }
                Behind::MaximaOfNormalised(lrn) => {
                    let normalised = grown(&mut room.normalised, kept.len());
                    self.windows.spread(self.level, dy, places, whole);
                    self.pixels(lrn)
                        .gradient(self.level, kept, whole, normalised);
                    (kept, &*normalised)
                }
            };
            let before = Results { y, dy, places };
            let whole = self.through_activation(before, whole, &mut room.biases);
            forward.correlate(x, whole, &mut room.sums, &mut room.scratch);
            if let (Some(back), Some(dx)) = (back, dx.next()) {
                back.algorithm
                    .convolve(whole, back.weights, dx, &mut room.scratch);
            }
        }
    }

    /// The gradient by what the convolution gives; adds its rows to `biases`.
    fn through_activation<'a, T: Scalar>(
        &self,
        Results { y, dy, places }: Results<'a, T>,
        whole: &'a mut [T],
        biases: &mut [T],
    ) -> &'a [T] {
        match (self.behind, self.activation) {
            (Behind::Maxima | Behind::NormalisedMaxima(_), _) => {
                rows::add_passed(self.level, dy, places, biases);
                self.windows.spread(self.level, dy, places, whole);
                whole
            }
            (_, Activation::Relu) => {
                rows::rectify_gradient(self.level, y, dy, whole, biases);
                whole
            }
            (_, Activation::Identity) => {
                rows::add_rows(self.level, dy, biases);
                dy
            }
        }
    }

    /// Filters `[u][v][c][o]` as `[k − 1 − u][k − 1 − v][o][c]`.
    pub fn flip<T: Scalar>(&self, weights: &[T], flipped: &mut Vec<T>) {
        flipped.clear();
        let taps = weights.chunks(self.geometry.channels * self.filters);
        for tap in taps.rev() {
            for o in 0..self.filters {
                flipped.extend(tap[o..].iter().step_by(self.filters));
            }
        }
    }
}

/// The first `length` numbers of memory that grows at need.
fn grown<T: Scalar>(memory: &mut Vec<T>, length: usize) -> &mut [T] {
    if memory.len() < length {
        memory.resize(length, T::zero());
    }
    &mut memory[..length]
}

/// Parts of `length`; none of what is empty.
pub fn blocks<T>(of: &[T], length: usize) -> impl Iterator<Item = &[T]> {
    of.chunks(length.max(1))
}

/// [`blocks`] to be written.
pub fn blocks_mut<T>(of: &mut [T], length: usize) -> impl Iterator<Item = &mut [T]> {
    of.chunks_mut(length.max(1))
}
