//! What cuDNN is told of a convolution.

use super::{Order, Sizes};
use candle_core::cuda_backend::cudarc::cudnn::{CudnnError, result, sys};
use candle_core::{Error, Result};
use std::ffi::c_int;

/// Images, filters, results, and how they belong together. It owns them.
#[derive(Debug)]
pub struct Descriptors {
    pub images: sys::cudnnTensorDescriptor_t,
    pub filters: sys::cudnnFilterDescriptor_t,
    pub results: sys::cudnnTensorDescriptor_t,
    pub convolution: sys::cudnnConvolutionDescriptor_t,
}

// SAFETY: nobody writes to them once they are set.
unsafe impl Send for Descriptors {}

impl Descriptors {
    pub fn new(sizes: Sizes, order: Order, math: sys::cudnnMathType_t) -> Result<Self> {
        let create = || {
            Ok(Self {
                images: result::create_tensor_descriptor()?,
                filters: result::create_filter_descriptor()?,
                results: result::create_tensor_descriptor()?,
                convolution: result::create_convolution_descriptor()?,
            })
        };
        let new = create().map_err(wrap)?;
        // SAFETY: all four were created above.
        unsafe { new.set(sizes, order, math) }.map_err(wrap)?;
        Ok(new)
    }

    /// # Safety
    /// The descriptors live.
    unsafe fn set(
        &self,
        sizes: Sizes,
        order: Order,
        math: sys::cudnnMathType_t,
    ) -> std::result::Result<(), CudnnError> {
        use sys::cudnnTensorFormat_t::{CUDNN_TENSOR_NCHW, CUDNN_TENSOR_NHWC};
        let numbers = sys::cudnnDataType_t::CUDNN_DATA_FLOAT;
        let format = match order {
            Order::ChannelsLast => CUDNN_TENSOR_NHWC,
            Order::ChannelsFirst => CUDNN_TENSOR_NCHW,
        };
        let nchw = |[n, h, w, c]: [usize; 4]| [n, c, h, w].map(int);
        let kernel = int(sizes.kernel);
        let of_filters = [int(sizes.results[3]), int(sizes.images[3]), kernel, kernel];
        let across = sys::cudnnConvolutionMode_t::CUDNN_CROSS_CORRELATION;
        let padding = int(sizes.padding);
        // SAFETY: the caller's promise.
        unsafe {
            for (tensor, dims) in [(self.images, sizes.images), (self.results, sizes.results)] {
                result::set_tensor4d_descriptor(tensor, CUDNN_TENSOR_NHWC, numbers, nchw(dims))?;
            }
            result::set_filter4d_descriptor(self.filters, numbers, format, of_filters)?;
            let convolution = self.convolution;
            sys::cudnnSetConvolution2dDescriptor(
                convolution,
                padding,
                padding,
                1,
                1,
                1,
                1,
                across,
                numbers,
            )
            .result()?;
            sys::cudnnSetConvolutionMathType(convolution, math).result()
        }
    }
}

impl Drop for Descriptors {
    /// A failure would mean that they are no descriptors.
    fn drop(&mut self) {
        // SAFETY: they were created once, and this was their only owner.
        unsafe {
            let _ = result::destroy_tensor_descriptor(self.images);
            let _ = result::destroy_filter_descriptor(self.filters);
            let _ = result::destroy_tensor_descriptor(self.results);
            let _ = result::destroy_convolution_descriptor(self.convolution);
        }
    }
}

fn int(size: usize) -> c_int {
    c_int::try_from(size).expect("sizes of images fit into 31 bits")
}

fn wrap(error: CudnnError) -> Error {
    Error::wrap(error).context("describing a convolution to cuDNN")
}
