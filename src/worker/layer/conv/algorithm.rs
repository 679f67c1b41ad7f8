//! What every way to compute convolutions gives.

use super::super::scalar::Scalar;

/// One way to compute convolutions of one geometry and number of filters. Images are
/// `(height, width, channels)`, results `(height, width, filters)`, one after the other.
pub trait Algorithm<T: Scalar>: Sync {
    /// Overwrites `prepared` with the weights `(k, k, channels, filters)` in the form that
    /// [`convolve`](Self::convolve) takes. Uses the current rayon pool.
    fn prepare(&self, weights: &[T], prepared: &mut Vec<T>);

    /// Images that are best handed over at a time: what is computed of them stays in the
    /// second-level cache of a core.
    fn block(&self) -> usize;

    /// Overwrites `out` with the convolution of some images. Runs on the calling thread. `room` may
    /// hold anything; it grows at need and is kept for the next call.
    fn convolve(&self, images: &[T], prepared: &[T], out: &mut [T], room: &mut Vec<T>);

    /// Numbers of what [`correlate`](Self::correlate) adds to.
    fn sums(&self) -> usize;

    /// Adds to `sums` what some images and the gradients of their results contribute to the gradient
    /// of the weights. Runs on the calling thread; `room` as in [`convolve`](Self::convolve).
    fn correlate(&self, images: &[T], gradients: &[T], sums: &mut [T], room: &mut Vec<T>);

    /// Overwrites `out` with the gradient of the weights, from the sums of all images. Uses the
    /// current rayon pool.
    fn weight_gradient(&self, sums: &[T], out: &mut [T]);
}
