//! One direction of a convolution by cuDNN.

use super::super::{Buffer, Gpu, Span};
use super::candidates::{Algorithm, Candidate, Memory};
use super::descriptors::Descriptors;
use super::{Order, Sizes, Target};
use crate::worker::layer::Scalar;
use candle_core::cuda_backend::cudarc::cudnn::{result, sys};
use candle_core::{Error, Result};
use std::ffi::c_void;
use sys::cudnnMathType_t;

/// Each algorithm is tried so often: one time may be disturbed, and would choose others in the next process.
const TRIALS: usize = 3;

/// Bytes that an algorithm may take for itself.
const WORKSPACE: usize = 256 << 20;

/// How one target of a convolution is computed: by the algorithm, and with filters in the order, that took the
/// least time when it was made.
#[derive(Debug)]
pub struct Plan<T> {
    descriptors: Descriptors,
    algorithm: Algorithm,
    order: Order,
    workspace: Buffer<u8>,
    numbers: std::marker::PhantomData<T>,
}

/// Memory with the numbers of one call, whatever they are.
struct Trial<T> {
    images: Buffer<T>,
    filters: Buffer<T>,
    results: Buffer<T>,
    workspace: Buffer<u8>,
}

impl<T: Scalar> Plan<T> {
    /// Tries what there is. Waits for the GPU and takes memory: nothing for a pass that is captured. Panics for
    /// numbers other than f32, which are all that cuDNN is told of.
    ///
    /// # Errors
    /// cuDNN has no algorithm for these sizes, or its words.
    pub fn find(gpu: &Gpu, sizes: Sizes, target: Target) -> Result<Self> {
        assert_eq!(size_of::<T>(), size_of::<f32>(), "numbers for cuDNN");
        let trial = Trial::<T>::new(gpu, sizes)?;
        let mut best: Option<(Candidate, Order)> = None;
        for order in [Order::ChannelsLast, Order::ChannelsFirst] {
            let descriptors = Descriptors::new(sizes, order, first_math(gpu))?;
            let candidates = gpu.cudnn().with(gpu.queue(), |handle| {
                // SAFETY: the trial has as much memory as the sizes ask for.
                let once =
                    |_| unsafe { Candidate::all(handle, target, &descriptors, trial.memory()) };
                Ok((0..TRIALS).flat_map(once).collect::<Vec<_>>())
            })?;
            let tf32 = gpu.tf32();
            let wanted = |candidate: &Candidate| {
                candidate.is_wanted(tf32) && Algorithm::of(target, candidate.algorithm).is_some()
            };
            let wanted = candidates.into_iter().filter(wanted);
            let all = wanted.map(|candidate| (candidate, order)).chain(best);
            best = all.min_by(|(one, _), (other, _)| one.better(other, tf32));
        }
        let Some((candidate, order)) = best else {
            candle_core::bail!(
                "cuDNN has no repeatable algorithm for {sizes:?} ({target:?}): \
                 model.convolution = \"im2col\" does without it"
            );
        };
        Self::by(gpu, sizes, target, candidate, order)
    }

    fn by(
        gpu: &Gpu,
        sizes: Sizes,
        target: Target,
        candidate: Candidate,
        order: Order,
    ) -> Result<Self> {
        let math = match first_math(gpu) {
            cudnnMathType_t::CUDNN_FMA_MATH => cudnnMathType_t::CUDNN_FMA_MATH,
            _ => candidate.math(),
        };
        let mut workspace = Buffer::default();
        workspace.at_least(gpu, candidate.memory)?;
        Ok(Self {
            descriptors: Descriptors::new(sizes, order, math)?,
            algorithm: Algorithm::of(target, candidate.algorithm).expect("it was chosen"),
            order,
            workspace,
            numbers: std::marker::PhantomData,
        })
    }

    /// In which the filters are.
    pub fn order(&self) -> Order {
        self.order
    }

    /// Overwrites one of images, filters and results, all as long as the sizes say, by the other two.
    pub fn run(&self, gpu: &Gpu, [images, filters, results]: [Span<T>; 3]) -> Result<()> {
        gpu.queue().count(1);
        let [x, w, y] = [images, filters, results].map(|span| span.address() as *mut c_void);
        let Descriptors {
            images,
            filters,
            results,
            convolution,
        } = self.descriptors;
        let workspace = self.workspace.span();
        let (room, bytes) = (workspace.address() as *mut c_void, workspace.len());
        let factors = [T::one(), T::zero()];
        let [one, zero] = [0, 1].map(|i| std::ptr::from_ref(&factors[i]).cast::<c_void>());
        gpu.cudnn().with(gpu.queue(), |handle| {
            // SAFETY: the descriptors say how long the spans are, and the workspace is as long as the
            // algorithm has asked for.
            let done = unsafe {
                match self.algorithm {
                    Algorithm::Results(by) => result::convolution_forward(
                        handle,
                        one,
                        images,
                        x,
                        filters,
                        w,
                        convolution,
                        by,
                        room,
                        bytes,
                        zero,
                        results,
                        y,
                    ),
                    Algorithm::Images(by) => result::convolution_backward_data(
                        handle,
                        one,
                        filters,
                        w,
                        results,
                        y,
                        convolution,
                        by,
                        room,
                        bytes,
                        zero,
                        images,
                        x,
                    ),
                    Algorithm::Filters(by) => result::convolution_backward_filter(
                        handle,
                        one,
                        images,
                        x,
                        results,
                        y,
                        convolution,
                        by,
                        room,
                        bytes,
                        zero,
                        filters,
                        w,
                    ),
                }
            };
            done.map_err(|error| Error::wrap(error).context("convolution by cuDNN"))
        })
    }
}

impl<T: Scalar> Trial<T> {
    fn new(gpu: &Gpu, sizes: Sizes) -> Result<Self> {
        let mut trial = Self {
            images: Buffer::default(),
            filters: Buffer::default(),
            results: Buffer::default(),
            workspace: Buffer::default(),
        };
        // Zeros, since numbers that are none could slow a trial down.
        gpu.zero(trial.images.at_least(gpu, sizes.images.iter().product())?)?;
        gpu.zero(trial.filters.at_least(gpu, sizes.filters())?)?;
        gpu.zero(
            trial
                .results
                .at_least(gpu, sizes.results.iter().product())?,
        )?;
        trial.workspace.at_least(gpu, WORKSPACE)?;
        Ok(trial)
    }

    fn memory(&self) -> Memory {
        Memory {
            images: self.images.span().address(),
            filters: self.filters.span().address(),
            results: self.results.span().address(),
            workspace: self.workspace.span().address(),
            workspace_bytes: self.workspace.span().len(),
        }
    }
}

/// The arithmetic that is asked for: products of f32 that are not rounded, unless TF32 is allowed.
fn first_math(gpu: &Gpu) -> cudnnMathType_t {
    match gpu.tf32() {
        true => cudnnMathType_t::CUDNN_DEFAULT_MATH,
        false => cudnnMathType_t::CUDNN_FMA_MATH,
    }
}
