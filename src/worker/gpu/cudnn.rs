//! Convolutions by cuDNN. In: sizes and places in a GPU's memory. Out: results and gradients on its main queue,
//! by the algorithm that was the fastest there. The one place that knows whether this program was built with
//! the feature `cudnn`; without it all types are there and no value of [`Plan`] exists.

#[cfg(not(feature = "cudnn"))]
mod absent;
#[cfg(feature = "cudnn")]
mod candidates;
#[cfg(feature = "cudnn")]
mod descriptors;
#[cfg(feature = "cudnn")]
mod handle;
#[cfg(feature = "cudnn")]
mod present;

#[cfg(not(feature = "cudnn"))]
pub use absent::{Handle, Plan};
#[cfg(feature = "cudnn")]
pub use {handle::Handle, present::Plan};

/// Whether this program has it.
pub const IS_BUILT_IN: bool = cfg!(feature = "cudnn");

/// A convolution of stride 1 over images `(batch, height, width, channels)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    pub images: [usize; 4],
    pub results: [usize; 4],
    /// Rows and columns of a filter.
    pub kernel: usize,
    /// Rows and columns of zeros on each side.
    pub padding: usize,
}

/// What a plan computes from the other two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    Images,
    Filters,
    Results,
}

/// How filters lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// `(filters, k, k, channels)`
    ChannelsLast,
    /// `(filters, channels, k, k)`
    ChannelsFirst,
}

impl Sizes {
    /// Numbers of all filters.
    pub fn filters(&self) -> usize {
        self.kernel * self.kernel * self.images[3] * self.results[3]
    }
}
