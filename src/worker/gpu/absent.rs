//! GPUs of a program that was built without them: there is none. Every function of a GPU is here with
//! the signature that it has in the other build, and cannot be called.

use super::{Arg, Gemm, Launch, NOT_BUILT_IN, Numbers, Options, Span};
use crate::worker::layer::Scalar;
use candle_core::{Device, Result, Tensor};
use std::convert::Infallible;
use std::marker::PhantomData;

/// No GPU.
#[derive(Clone, Debug)]
pub struct Gpu(Infallible);

/// No stream.
#[derive(Clone, Debug)]
pub struct Queue(Infallible);

/// No event.
#[derive(Debug)]
pub struct Event(Infallible);

/// No graph.
#[derive(Debug)]
pub struct Graph(Infallible);

/// Device memory, of which there is none.
#[derive(Debug)]
pub struct Buffer<T>(PhantomData<T>);

/// Page-locked memory of the host, of which there is none.
#[derive(Debug)]
pub struct Pinned<T>(Infallible, PhantomData<T>);

impl Gpu {
    /// None.
    pub fn visible() -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    /// # Errors
    /// Always: see [`NOT_BUILT_IN`].
    pub fn open(_: &str, _: &Options) -> Result<Self> {
        candle_core::bail!("{NOT_BUILT_IN}")
    }

    pub fn device(&self) -> &Device {
        match self.0 {}
    }

    pub fn uuid(&self) -> &str {
        match self.0 {}
    }

    pub fn name(&self) -> &str {
        match self.0 {}
    }

    pub fn tf32(&self) -> bool {
        match self.0 {}
    }

    pub fn queue(&self) -> &Queue {
        match self.0 {}
    }

    pub fn side_queue(&self) -> Result<Queue> {
        match self.0 {}
    }

    pub fn launch<T: Scalar>(&self, _: &'static str, _: Launch, _: &[Arg]) -> Result<()> {
        match self.0 {}
    }

    pub fn gemm<T: Scalar>(&self, _: Gemm<T>) -> Result<()> {
        match self.0 {}
    }

    pub fn zero<T: Numbers>(&self, _: Span<T>) -> Result<()> {
        match self.0 {}
    }

    pub fn copy<T: Numbers>(&self, _: Span<T>, _: Span<T>) -> Result<()> {
        match self.0 {}
    }

    pub fn reach(&self, _: &Gpu) -> Result<()> {
        match self.0 {}
    }

    pub fn copy_from<T: Numbers>(&self, _: &Gpu, _: Span<T>, _: Span<T>) -> Result<()> {
        match self.0 {}
    }

    pub fn span<T: Numbers>(&self, _: &Tensor) -> Result<Span<T>> {
        match self.0 {}
    }

    pub fn capture<R, E: From<candle_core::Error>>(
        &self,
        _: impl FnOnce() -> std::result::Result<R, E>,
    ) -> std::result::Result<(R, Graph), E> {
        match self.0 {}
    }

    pub fn launches(&self) -> u64 {
        match self.0 {}
    }

    pub fn memory_bytes(&self) -> Result<u64> {
        match self.0 {}
    }

    pub fn synchronize(&self) -> Result<()> {
        match self.0 {}
    }
}

impl Queue {
    pub fn upload<T: Numbers>(&self, _: &Pinned<T>, _: usize, _: Span<T>) -> Result<()> {
        match self.0 {}
    }

    pub fn download<T: Numbers>(&self, _: Span<T>, _: &mut Pinned<T>, _: usize) -> Result<()> {
        match self.0 {}
    }

    /// # Safety
    /// Cannot be called.
    pub unsafe fn upload_slice<T: Numbers>(&self, _: &[T], _: Span<T>) -> Result<()> {
        match self.0 {}
    }

    /// # Safety
    /// Cannot be called.
    pub unsafe fn download_slice<T: Numbers>(&self, _: Span<T>, _: &mut [T]) -> Result<()> {
        match self.0 {}
    }

    pub fn wait(&self, _: &Event) -> Result<()> {
        match self.0 {}
    }

    pub fn synchronize(&self) -> Result<()> {
        match self.0 {}
    }
}

impl Event {
    pub fn new(gpu: &Gpu) -> Result<Self> {
        match gpu.0 {}
    }

    pub fn timed(gpu: &Gpu) -> Result<Self> {
        match gpu.0 {}
    }

    pub fn record(&self, _: &Queue) -> Result<()> {
        match self.0 {}
    }

    pub fn synchronize(&self) -> Result<()> {
        match self.0 {}
    }

    pub fn seconds_since(&self, _: &Event) -> Result<f64> {
        match self.0 {}
    }
}

impl Graph {
    pub fn launch(&self) -> Result<()> {
        match self.0 {}
    }

    pub fn nodes(&self) -> u64 {
        match self.0 {}
    }
}

impl<T> Default for Buffer<T> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T: Numbers> Buffer<T> {
    pub fn at_least(&mut self, gpu: &Gpu, _: usize) -> Result<Span<T>> {
        match gpu.0 {}
    }

    pub fn span(&self) -> Span<T> {
        Span::new(0, 0)
    }
}

impl<T: Numbers> Pinned<T> {
    pub fn zeros(gpu: &Gpu, _: usize) -> Result<Self> {
        match gpu.0 {}
    }

    pub fn start(&self) -> *mut T {
        match self.0 {}
    }

    pub fn as_slice(&self) -> &[T] {
        match self.0 {}
    }

    pub fn as_mut_slice(&mut self) -> &mut [T] {
        match self.0 {}
    }
}
