//! Where candle keeps the numbers of a tensor. The one place that looks into its storage on a GPU.

use super::{Numbers, Span};
use candle_core::cuda_backend::{CudaStorageSlice, cudarc};
use candle_core::{Result, Storage, Tensor};
use cudarc::driver::{CudaSlice, DevicePtr};

/// The numbers of a contiguous tensor. Event tracking is off, so that the address alone is needed: memory
/// is given back in the order of the main queue, on which it is used.
pub fn span<T: Numbers>(tensor: &Tensor) -> Result<Span<T>> {
    let (storage, layout) = tensor.storage_and_layout();
    let Storage::Cuda(storage) = &*storage else {
        candle_core::bail!("a tensor of shape {:?} is not on the GPU", tensor.shape());
    };
    let Some((start, end)) = layout.contiguous_offsets() else {
        candle_core::bail!("a tensor of shape {:?} is not contiguous", tensor.shape());
    };
    let (address, bytes) = match &storage.slice {
        CudaStorageSlice::F32(slice) => (of(slice), size_of::<f32>()),
        CudaStorageSlice::F64(slice) => (of(slice), size_of::<f64>()),
        CudaStorageSlice::U8(slice) => (of(slice), size_of::<u8>()),
        CudaStorageSlice::U32(slice) => (of(slice), size_of::<u32>()),
        _ => candle_core::bail!("no kernel takes numbers of {:?}", tensor.dtype()),
    };
    if bytes != size_of::<T>() {
        candle_core::bail!(
            "a tensor of {:?} where another type is needed",
            tensor.dtype()
        );
    }
    Ok(Span::new(address + (start * bytes) as u64, end - start))
}

fn of<T>(slice: &CudaSlice<T>) -> u64 {
    slice.device_ptr(slice.stream()).0
}
