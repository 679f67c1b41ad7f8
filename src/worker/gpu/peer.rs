//! Copies from one GPU of this process to another.

use super::{Gpu, Numbers, Span};
use candle_core::Result;
use candle_core::cuda_backend::{WrapErr, cudarc};
use cudarc::driver::{result, sys};

/// `CUmemAccessDesc` as CUDA's ABI has it. The names of its fields differ between CUDA's versions.
#[repr(C)]
struct Access {
    place: sys::CUmemLocationType,
    device: i32,
    flags: sys::CUmemAccess_flags,
}

impl Gpu {
    /// Lets this GPU read the memory of another one by itself, where the hardware can: copies between
    /// the two need not go through the host's memory then.
    pub fn reach(&self, other: &Gpu) -> Result<()> {
        if self.uuid() == other.uuid() {
            return Ok(());
        }
        let (own, peer) = (self.context(), other.context());
        let mut can = 0;
        // SAFETY: a place for one number, and two devices that exist.
        unsafe { sys::cuDeviceCanAccessPeer(&mut can, own.cu_device(), peer.cu_device()) }
            .result()
            .w()?;
        if can == 0 {
            return Ok(());
        }
        own.bind_to_thread().w()?;
        // SAFETY: both contexts live.
        match unsafe { sys::cuCtxEnablePeerAccess(peer.cu_ctx(), 0) } {
            sys::CUresult::CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED => {}
            code => code.result().w()?,
        }
        self.reach_pool(other)
    }

    /// Memory that is taken in the order of a queue comes from a pool, which has access rights of its own.
    fn reach_pool(&self, other: &Gpu) -> Result<()> {
        let access = Access {
            place: sys::CUmemLocationType::CU_MEM_LOCATION_TYPE_DEVICE,
            device: self.context().cu_device(),
            flags: sys::CUmemAccess_flags::CU_MEM_ACCESS_FLAGS_PROT_READWRITE,
        };
        let mut pool = std::ptr::null_mut();
        // SAFETY: a place for the pool of a device that exists, and one description of access.
        unsafe {
            sys::cuDeviceGetDefaultMemPool(&mut pool, other.context().cu_device())
                .result()
                .w()?;
            sys::cuMemPoolSetAccess(pool, std::ptr::from_ref(&access).cast(), 1)
                .result()
                .w()
        }
    }

    /// Puts on this GPU's main queue a copy of numbers of another GPU, or of the same one. Panics where
    /// the spans differ in length.
    pub fn copy_from<T: Numbers>(&self, other: &Gpu, from: Span<T>, to: Span<T>) -> Result<()> {
        if self.uuid() == other.uuid() {
            return self.copy(from, to);
        }
        assert_eq!(from.len(), to.len(), "both ends of a copy");
        let (own, peer) = (self.context(), other.context());
        own.bind_to_thread().w()?;
        self.queue().count(1);
        // SAFETY: both sides are that long, in the memory of these two contexts.
        unsafe {
            result::memcpy_peer_async(
                own.cu_ctx(),
                to.address(),
                peer.cu_ctx(),
                from.address(),
                from.len() * size_of::<T>(),
                self.queue().raw(),
            )
        }
        .w()
    }
}
