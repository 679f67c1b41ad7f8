//! Both directions of a convolution for the images of one thread. In: slices. Out: results and
//! gradients in place. Knows neither threads nor how convolutions are computed.

use super::super::Activation;
use super::super::activation::rows;
use super::super::max_pool::windows::Windows;
use super::super::scalar::Scalar;
use super::super::simd::Level;
use super::algorithm::Algorithm;
use super::geometry::Geometry;

/// What is computed of each image, the same for all threads.
#[derive(Clone, Copy)]
pub struct Pass {
    pub geometry: Geometry,
    pub filters: usize,
    pub activation: Activation,
    pub level: Level,
    /// Of the maxima behind the convolution, if there are any.
    pub windows: Option<Windows>,
}

/// Memory of one thread, kept from step to step.
#[derive(Default)]
pub struct Room<T> {
    /// Results of a block of images before pooling, then their gradients.
    whole: Vec<T>,
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
}

/// The images of one thread with results and gradients, and where the gradient of the images goes.
pub struct Backward<'a, T> {
    pub x: &'a [T],
    pub y: &'a [T],
    pub dy: &'a [T],
    /// Empty without pooling.
    pub places: &'a [u8],
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
        match self.windows {
            None => [self.geometry.out_height(), self.geometry.out_width()],
            Some(windows) => [windows.out_height(), windows.out_width()],
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

    /// Fills `y` and `places`, a block of images at a time, so that what is pooled is in the cache.
    pub fn forward<T: Scalar>(
        &self,
        share: Forward<T>,
        filters: Prepared<T>,
        biases: &[T],
        room: &mut Room<T>,
    ) {
        let Prepared { algorithm, weights } = filters;
        let (image, result) = (self.geometry.image(), self.result());
        let block = algorithm.block();
        let mut places = share.places.chunks_mut(block * result);
        let blocks = share
            .x
            .chunks(block * image)
            .zip(share.y.chunks_mut(block * result));
        for (x, y) in blocks {
            let Some(windows) = self.windows else {
                algorithm.convolve(x, weights, y, &mut room.scratch);
                self.activation.add_biases(self.level, y, biases);
                continue;
            };
            let whole = grown(&mut room.whole, x.len() / image * self.whole());
            algorithm.convolve(x, weights, whole, &mut room.scratch);
            let places = places.next().expect("a place for each maximum");
            windows.pool(self.level, whole, y, places);
            (self.activation).add_biases_to_maxima(self.level, y, places, biases);
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
        let mut places = share.places.chunks(block * result);
        let results = share
            .y
            .chunks(block * result)
            .zip(share.dy.chunks(block * result));
        for (x, (y, dy)) in share.x.chunks(block * image).zip(results) {
            let whole = grown(&mut room.whole, x.len() / image * self.whole());
            let places = places.next().unwrap_or_default();
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
        match (self.windows, self.activation) {
            (Some(windows), _) => {
                rows::add_passed(self.level, dy, places, biases);
                windows.spread(self.level, dy, places, whole);
                whole
            }
            (None, Activation::Relu) => {
                rows::rectify_gradient(self.level, y, dy, whole, biases);
                whole
            }
            (None, Activation::Identity) => {
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
