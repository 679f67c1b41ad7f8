//! What every way to compute convolutions on a GPU gives.

use super::super::super::scalar::Scalar;
use super::super::geometry::Geometry;
use super::by_cudnn::ByCudnn;
use super::direct::Direct;
use super::im2col::Im2col;
use crate::terms::Convolution;
use crate::worker::gpu::{Arg, Buffer, Gpu, Launch, Span};
use candle_core::Result;

/// Sizes of the convolution of one batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    pub batch: usize,
    pub geometry: Geometry,
    pub filters: usize,
}

impl Sizes {
    /// Numbers of all results.
    pub fn results(&self) -> usize {
        self.pixels() * self.filters
    }

    /// Pixels of all results.
    pub fn pixels(&self) -> usize {
        self.batch * self.geometry.pixels()
    }

    /// Numbers of the weights.
    pub fn weights(&self) -> usize {
        self.geometry.patch() * self.filters
    }

    /// Of the convolution of the results' gradient that gives the images' one.
    pub fn transposed(&self) -> Self {
        Self {
            batch: self.batch,
            geometry: self.geometry.transposed(self.filters),
            filters: self.geometry.channels,
        }
    }
}

/// Height, width, channels, kernel and padding, as kernels take them.
pub fn args_of(geometry: Geometry) -> [Arg; 5] {
    let Geometry {
        height,
        width,
        channels,
        kernel,
        padding,
    } = geometry;
    [height, width, channels, kernel, padding].map(Arg::size)
}

/// Gradients of the filters that are still to be added up.
pub struct Parts<T> {
    pub numbers: Span<T>,
    pub count: usize,
    /// How the filters lie, as `conv.cu` numbers the orders.
    pub order: u32,
}

impl<T> Parts<T> {
    /// Parts that a thread of `conv_gradients` adds up one after the other.
    const FEW: usize = 32;

    /// Blocks of `conv_gradients` for so many numbers.
    pub fn blocks(&self, weights: usize) -> usize {
        let numbers = if self.count > Self::FEW { 32 } else { 1024 };
        weights.div_ceil(numbers)
    }
}

/// One way to compute the convolutions of one layer. Sizes are the same in every call.
pub trait Method<T>: Send {
    /// Overwrites `y` by images and weights.
    fn convolve(&mut self, gpu: &Gpu, sizes: Sizes, xw: [Span<T>; 2], y: Span<T>) -> Result<()>;

    /// Overwrites `dw` by images and gradients of results; or gives what it is the sum of.
    fn filter_gradient(
        &mut self,
        gpu: &Gpu,
        sizes: Sizes,
        x_dy: [Span<T>; 2],
        dw: Span<T>,
    ) -> Result<Option<Parts<T>>>;

    /// Overwrites `dx` by gradients of results and weights. In a pass it comes last.
    fn image_gradient(
        &mut self,
        gpu: &Gpu,
        sizes: Sizes,
        dy_w: [Span<T>; 2],
        dx: Span<T>,
    ) -> Result<()>;
}

/// What computes by an algorithm that `resolve_on_gpu` names. cuDNN has none for f64 with channels last: models
/// train in f32.
pub fn of<T: Scalar>(algorithm: Convolution) -> Box<dyn Method<T>> {
    match algorithm {
        Convolution::Cudnn if size_of::<T>() == 4 => Box::new(ByCudnn::default()),
        Convolution::Direct => Box::new(Direct::default()),
        Convolution::Cudnn | Convolution::Im2col | Convolution::Auto | Convolution::Winograd => {
            Box::new(Im2col::default())
        }
    }
}

/// Weights `[u][v][c][o]` as `[k − 1 − u][k − 1 − v][o][c]`.
pub fn flipped<T: Scalar>(
    gpu: &Gpu,
    sizes: Sizes,
    weights: Span<T>,
    room: &mut Buffer<T>,
) -> Result<Span<T>> {
    let flipped = room.at_least(gpu, sizes.weights())?;
    let args = [
        weights.into(),
        flipped.into(),
        Arg::size(flipped.len()),
        Arg::size(sizes.geometry.channels),
        Arg::size(sizes.filters),
    ];
    gpu.launch::<T>("flip_filters", Launch::each(flipped.len()), &args)?;
    Ok(flipped)
}
