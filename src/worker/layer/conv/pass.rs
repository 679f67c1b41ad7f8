//! What one thread does with its part of a batch, in both directions.

use super::super::Activation;
use super::super::max_pool::Windows;
use super::super::partition::add_rows;
use super::super::scalar::Scalar;
use super::geometry::Geometry;
use super::im2col::{Patches, block_of};

/// One convolution, the same for all threads.
#[derive(Clone, Copy)]
pub struct Pass {
    pub geometry: Geometry,
    pub filters: usize,
    pub activation: Activation,
    /// Of the maxima behind the convolution, if there are any.
    pub windows: Option<Windows>,
}

/// The images of one thread, and where their results go.
pub struct ForwardShare<'a, T> {
    pub x: &'a [T],
    pub y: &'a mut [T],
    /// Empty without pooling.
    pub places: &'a mut [u8],
}

/// The images of one thread with results and gradients, and where the gradient of the images goes.
pub struct BackwardShare<'a, T> {
    pub x: &'a [T],
    pub y: &'a [T],
    pub dy: &'a [T],
    /// Empty without pooling.
    pub places: &'a [u8],
    /// Empty where it is not wanted.
    pub dx: &'a mut [T],
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

    /// Fills `y` and `places`, a block of images at a time.
    pub fn forward<T: Scalar>(&self, share: ForwardShare<T>, weights: &[T], biases: &[T]) {
        let mut patches = Patches::new(self.geometry);
        let mut whole = self.room_before_pooling();
        let [image, result, before] = self.block();
        let mut places = share.places.chunks_mut(result);
        let blocks = share.x.chunks(image).zip(share.y.chunks_mut(result));
        for (x, y) in blocks {
            match self.windows {
                None => patches.times(x, weights, y),
                Some(windows) => {
                    let whole = &mut whole[..before * x.len() / image];
                    patches.times(x, weights, whole);
                    windows.pool(whole, y, places.next().unwrap_or_default());
                }
            }
            self.activation.finish(y, biases);
        }
    }

    /// Fills `dx` where it is wanted; returns the gradients of weights and biases.
    /// `flipped` are the weights as [`flip`](Self::flip) gives them, for `dx`.
    pub fn backward<T: Scalar>(&self, share: BackwardShare<T>, flipped: &[T]) -> (Vec<T>, Vec<T>) {
        let mut dw = vec![T::zero(); self.geometry.patch() * self.filters];
        let mut db = vec![T::zero(); self.filters];
        let mut patches = Patches::new(self.geometry);
        let mut patches_of_dy = Patches::new(self.geometry.transposed(self.filters));
        let mut whole = self.room_before_pooling();
        let [image, result, _] = self.block();
        let mut dx = share.dx.chunks_mut(image);
        let mut places = share.places.chunks(result);
        let gradients = share.y.chunks(result).zip(share.dy.chunks(result));
        for (x, (y, dy)) in share.x.chunks(image).zip(gradients) {
            let dy = self.activation.backward(y, dy);
            add_rows(&mut db, &dy);
            let dy = match self.windows {
                None => &dy[..],
                Some(windows) => windows.spread(&dy, places.next().unwrap_or_default(), &mut whole),
            };
            patches.add_transposed_times(x, dy, &mut dw);
            if let Some(dx) = dx.next() {
                patches_of_dy.times(dy, flipped, dx);
            }
        }
        (dw, db)
    }

    /// Filters `[u][v][c][o]` as `[k − 1 − u][k − 1 − v][o][c]`.
    pub fn flip<T: Scalar>(&self, weights: &[T]) -> Vec<T> {
        let taps = weights.chunks(self.geometry.channels * self.filters);
        let mut flipped = Vec::with_capacity(weights.len());
        for tap in taps.rev() {
            for o in 0..self.filters {
                flipped.extend(tap[o..].iter().step_by(self.filters));
            }
        }
        flipped
    }

    /// Numbers of a block of images, of its results, and of those before pooling.
    fn block(&self) -> [usize; 3] {
        let before = self.geometry.pixels() * self.filters;
        [self.geometry.image(), self.result(), before].map(|size| size * block_of(self.geometry))
    }

    fn room_before_pooling<T: Scalar>(&self) -> Vec<T> {
        let [_, _, before] = self.block();
        vec![T::zero(); if self.windows.is_some() { before } else { 0 }]
    }
}
