//! Queues of work, the events that order them, and the memory that they copy between.

use super::{Gpu, Numbers, Span};
use candle_core::Result;
use candle_core::cuda_backend::{WrapErr, cudarc};
use cudarc::driver::{CudaEvent, CudaSlice, CudaStream, DevicePtr, result, sys};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A CUDA stream: its work is done in order, later than it is asked for.
#[derive(Clone, Debug)]
pub struct Queue {
    stream: Arc<CudaStream>,
    launches: Arc<AtomicU64>,
}

impl Queue {
    pub(super) fn of(stream: Arc<CudaStream>) -> Self {
        Self {
            stream,
            launches: Arc::default(),
        }
    }

    pub(super) fn stream(&self) -> &Arc<CudaStream> {
        &self.stream
    }

    pub(super) fn raw(&self) -> sys::CUstream {
        self.stream.cu_stream()
    }

    /// Notes that so many things were put on it.
    pub(super) fn count(&self, launches: u64) {
        self.launches.fetch_add(launches, Ordering::Relaxed);
    }

    /// Takes back what was noted, since it went into a graph.
    pub(super) fn uncount(&self, launches: u64) {
        self.launches.fetch_sub(launches, Ordering::Relaxed);
    }

    /// What was put on it so far.
    pub fn launches(&self) -> u64 {
        self.launches.load(Ordering::Relaxed)
    }

    /// Copies numbers of the host, from number `first` on, to all of `to`. The caller leaves them alone
    /// until that is done.
    pub fn upload<T: Numbers>(&self, from: &Pinned<T>, first: usize, to: Span<T>) -> Result<()> {
        // SAFETY: the slice lives as long as the memory; the rest is the caller's promise.
        unsafe { self.upload_slice(&from.as_slice()[first..first + to.len()], to) }
    }

    /// The same from page-locked memory that somebody else owns. Panics where the two differ in length.
    ///
    /// # Safety
    /// Until it is done, the memory lives and nobody writes it.
    pub unsafe fn upload_slice<T: Numbers>(&self, from: &[T], to: Span<T>) -> Result<()> {
        assert_eq!(from.len(), to.len(), "both ends of a copy");
        self.bind()?;
        self.count(1);
        // SAFETY: both sides are that long; the rest is the caller's promise.
        unsafe { result::memcpy_htod_async(to.address(), from, self.raw()) }.w()
    }

    /// Copies all of `from` to numbers of the host, from number `first` on. The caller leaves them alone
    /// until that is done.
    pub fn download<T: Numbers>(
        &self,
        from: Span<T>,
        to: &mut Pinned<T>,
        first: usize,
    ) -> Result<()> {
        // SAFETY: as in `upload`.
        unsafe { self.download_slice(from, &mut to.as_mut_slice()[first..first + from.len()]) }
    }

    /// The same to page-locked memory that somebody else owns. Panics where the two differ in length.
    ///
    /// # Safety
    /// Until it is done, the memory lives and nobody uses it.
    pub unsafe fn download_slice<T: Numbers>(&self, from: Span<T>, to: &mut [T]) -> Result<()> {
        assert_eq!(from.len(), to.len(), "both ends of a copy");
        self.bind()?;
        self.count(1);
        // SAFETY: both sides are that long; the rest is the caller's promise.
        unsafe { result::memcpy_dtoh_async(to, from.address(), self.raw()) }.w()
    }

    /// Copies numbers from one place of device memory to another, of another GPU too. Panics where the
    /// spans differ in length.
    pub fn copy<T: Numbers>(&self, from: Span<T>, to: Span<T>) -> Result<()> {
        assert_eq!(from.len(), to.len(), "both ends of a copy");
        self.bind()?;
        self.count(1);
        let bytes = from.len() * size_of::<T>();
        // SAFETY: both sides are that long. One address space holds the memory of all GPUs.
        unsafe { result::memcpy_dtod_async(to.address(), from.address(), bytes, self.raw()) }.w()
    }

    pub(super) fn zero<T: Numbers>(&self, span: Span<T>) -> Result<()> {
        self.bind()?;
        self.count(1);
        let bytes = span.len() * size_of::<T>();
        // SAFETY: the span is that long.
        unsafe { result::memset_d8_async(span.address(), 0, bytes, self.raw()) }.w()
    }

    /// Lets what comes next wait until the device has come to `event`.
    pub fn wait(&self, event: &Event) -> Result<()> {
        self.stream.wait(&event.0).w()
    }

    /// Waits until all of it is done.
    pub fn synchronize(&self) -> Result<()> {
        self.stream.synchronize().w()
    }

    /// Makes the GPU the one of this thread, which CUDA asks for.
    pub(super) fn bind(&self) -> Result<()> {
        self.stream.context().bind_to_thread().w()
    }
}

/// A place in a queue.
#[derive(Debug)]
pub struct Event(CudaEvent);

impl Event {
    /// One that orders queues.
    pub fn new(gpu: &Gpu) -> Result<Self> {
        let flags = sys::CUevent_flags::CU_EVENT_DISABLE_TIMING;
        Ok(Self(gpu.context().new_event(Some(flags)).w()?))
    }

    /// One that also tells when the device came to it.
    pub fn timed(gpu: &Gpu) -> Result<Self> {
        let flags = sys::CUevent_flags::CU_EVENT_DEFAULT;
        Ok(Self(gpu.context().new_event(Some(flags)).w()?))
    }

    /// Is behind all that is on `queue` now. In a graph, each replay comes to it anew.
    pub fn record(&self, queue: &Queue) -> Result<()> {
        let capturing = queue.stream.capture_status().w()?
            != sys::CUstreamCaptureStatus::CU_STREAM_CAPTURE_STATUS_NONE;
        if !capturing {
            return self.0.record(&queue.stream).w();
        }
        let external = sys::CUevent_record_flags::CU_EVENT_RECORD_EXTERNAL as u32;
        // SAFETY: event and stream live and are of one context.
        unsafe { sys::cuEventRecordWithFlags(self.0.cu_event(), queue.raw(), external) }
            .result()
            .w()
    }

    /// Waits until the device has come to it.
    pub fn synchronize(&self) -> Result<()> {
        self.0.synchronize().w()
    }

    /// Seconds between two timed events, both of which the device has come to.
    pub fn seconds_since(&self, earlier: &Event) -> Result<f64> {
        // SAFETY: both events live.
        let milliseconds =
            unsafe { result::event::elapsed(earlier.0.cu_event(), self.0.cu_event()) };
        Ok(f64::from(milliseconds.w()?) / 1e3)
    }
}

/// Device memory that grows when more is asked for, and is given back when it ends.
#[derive(Debug)]
pub struct Buffer<T>(Option<(CudaSlice<u8>, Span<T>)>);

impl<T> Default for Buffer<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: Numbers> Buffer<T> {
    /// At least `length` numbers, of any value where they are new.
    pub fn at_least(&mut self, gpu: &Gpu, length: usize) -> Result<Span<T>> {
        if let Some((_, span)) = &self.0
            && span.len() >= length
        {
            return Ok(span.part(0, length));
        }
        let stream = gpu.queue().stream();
        let bytes = (length * size_of::<T>()).max(1);
        // SAFETY: callers of `at_least` expect any values.
        let memory = unsafe { stream.alloc::<u8>(bytes) }.w()?;
        let (address, _) = memory.device_ptr(stream);
        let span = Span::new(address, length);
        self.0 = Some((memory, span));
        Ok(span)
    }

    /// All of it; empty before anything was asked for.
    pub fn span(&self) -> Span<T> {
        self.0.as_ref().map_or(Span::new(0, 0), |(_, span)| *span)
    }
}

/// Page-locked memory of the host, which a device copies from and to by itself.
#[derive(Debug)]
pub struct Pinned<T> {
    start: *mut T,
    length: usize,
    context: Arc<cudarc::driver::CudaContext>,
}

// SAFETY: it owns its memory, as a boxed slice does.
unsafe impl<T: Send> Send for Pinned<T> {}
unsafe impl<T: Sync> Sync for Pinned<T> {}

impl<T: Numbers> Pinned<T> {
    pub fn zeros(gpu: &Gpu, length: usize) -> Result<Self> {
        gpu.context().bind_to_thread().w()?;
        let bytes = (length * size_of::<T>()).max(1);
        // SAFETY: the memory is written below, before anybody reads it.
        let start = unsafe { result::malloc_host(bytes, sys::CU_MEMHOSTALLOC_PORTABLE) }.w()?;
        // SAFETY: so many bytes lie there, and zeros are numbers of every type that there is.
        unsafe { std::ptr::write_bytes(start.cast::<u8>(), 0, bytes) };
        Ok(Self {
            start: start.cast(),
            length,
            context: gpu.context().clone(),
        })
    }

    /// Where its numbers begin, for those who share it by promises that types do not see.
    pub fn start(&self) -> *mut T {
        self.start
    }

    pub fn as_slice(&self) -> &[T] {
        // SAFETY: it owns so many numbers.
        unsafe { std::slice::from_raw_parts(self.start, self.length) }
    }

    pub fn as_mut_slice(&mut self) -> &mut [T] {
        // SAFETY: it owns so many numbers.
        unsafe { std::slice::from_raw_parts_mut(self.start, self.length) }
    }
}

impl<T> Drop for Pinned<T> {
    /// After all work of the GPU, which may still copy. A failure means that the device is gone, and the
    /// memory with it.
    fn drop(&mut self) {
        let _ = self.context.synchronize();
        // SAFETY: the memory came from `malloc_host`, and this was its only owner.
        let _ = unsafe { result::free_host(self.start.cast()) };
    }
}
