//! The algorithms that cuDNN has for a convolution, each of them tried once.

use super::Target;
use super::descriptors::Descriptors;
use candle_core::cuda_backend::cudarc::cudnn::sys::{
    self, cudnnConvolutionBwdDataAlgo_t as ForImages,
    cudnnConvolutionBwdFilterAlgo_t as ForFilters, cudnnConvolutionFwdAlgo_t as ForResults,
    cudnnDeterminism_t, cudnnMathType_t, cudnnStatus_t,
};
use std::cmp::Ordering;
use std::ffi::{c_int, c_void};

/// Where the numbers of a trial lie, and memory that an algorithm may use.
#[derive(Clone, Copy)]
pub struct Memory {
    pub images: u64,
    pub filters: u64,
    pub results: u64,
    pub workspace: u64,
    pub workspace_bytes: usize,
}

/// What cuDNN says of one algorithm: its three structures for that, which are the same, with numbers instead
/// of names, since a newer cuDNN may know more of them.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Candidate {
    pub algorithm: u32,
    status: u32,
    milliseconds: f32,
    pub memory: usize,
    determinism: u32,
    math: u32,
    reserved: [c_int; 3],
}

/// At most as many are asked for.
const MOST: usize = 16;

impl Candidate {
    /// Those that ran, in any order; none where cuDNN knows no way. Overwrites the numbers of the target, and
    /// waits for the GPU.
    ///
    /// # Safety
    /// The handle and the descriptors live, and the memory has the numbers that they say.
    pub unsafe fn all(
        handle: sys::cudnnHandle_t,
        target: Target,
        of: &Descriptors,
        memory: Memory,
    ) -> Vec<Self> {
        let mut found = [Self::default(); MOST];
        let mut count = 0;
        // SAFETY: the caller's promise; there is room for as many answers as are asked for.
        let status = unsafe { ask(handle, target, of, memory, &mut found, &mut count) };
        let count = match status {
            cudnnStatus_t::CUDNN_STATUS_SUCCESS => count as usize,
            _ => 0,
        };
        let ran = |candidate: &&Self| candidate.status == 0;
        found[..count].iter().filter(ran).copied().collect()
    }

    /// Whether it gives the same bits each time, in numbers that may be rounded to TF32 or not.
    pub fn is_wanted(&self, tf32: bool) -> bool {
        let rounds_to_half = cudnnMathType_t::CUDNN_TENSOR_OP_MATH_ALLOW_CONVERSION as u32;
        let rounds = [cudnnMathType_t::CUDNN_TENSOR_OP_MATH as u32, rounds_to_half];
        self.determinism == cudnnDeterminism_t::CUDNN_DETERMINISTIC as u32
            && self.math != rounds_to_half
            && (tf32 || !rounds.contains(&self.math))
    }

    /// The one of two that comes first: the faster one. Where nothing may be rounded, what was tried without
    /// rounding is before what cuDNN chose the arithmetic for, whose time may be that of tensor cores.
    pub fn better(&self, other: &Self, tf32: bool) -> Ordering {
        let chosen = |one: &Self| !tf32 && one.math != cudnnMathType_t::CUDNN_FMA_MATH as u32;
        let by_time = self.milliseconds.total_cmp(&other.milliseconds);
        chosen(self).cmp(&chosen(other)).then(by_time)
    }

    /// The arithmetic that it was tried with.
    pub fn math(&self) -> cudnnMathType_t {
        match self.math {
            1 => cudnnMathType_t::CUDNN_TENSOR_OP_MATH,
            3 => cudnnMathType_t::CUDNN_FMA_MATH,
            _ => cudnnMathType_t::CUDNN_DEFAULT_MATH,
        }
    }
}

/// # Safety
/// As [`Candidate::all`].
unsafe fn ask(
    handle: sys::cudnnHandle_t,
    target: Target,
    of: &Descriptors,
    memory: Memory,
    found: &mut [Candidate; MOST],
    count: &mut c_int,
) -> cudnnStatus_t {
    let [x, w, y] =
        [memory.images, memory.filters, memory.results].map(|place| place as *mut c_void);
    let (room, bytes) = (memory.workspace as *mut c_void, memory.workspace_bytes);
    let (most, found) = (MOST as c_int, found.as_mut_ptr());
    let Descriptors {
        images,
        filters,
        results,
        convolution,
    } = *of;
    // SAFETY: the caller's promise.
    unsafe {
        match target {
            Target::Results => sys::cudnnFindConvolutionForwardAlgorithmEx(
                handle,
                images,
                x,
                filters,
                w,
                convolution,
                results,
                y,
                most,
                count,
                found.cast(),
                room,
                bytes,
            ),
            Target::Images => sys::cudnnFindConvolutionBackwardDataAlgorithmEx(
                handle,
                filters,
                w,
                results,
                y,
                convolution,
                images,
                x,
                most,
                count,
                found.cast(),
                room,
                bytes,
            ),
            Target::Filters => sys::cudnnFindConvolutionBackwardFilterAlgorithmEx(
                handle,
                images,
                x,
                results,
                y,
                convolution,
                filters,
                w,
                most,
                count,
                found.cast(),
                room,
                bytes,
            ),
        }
    }
}

/// An algorithm for one target.
#[derive(Clone, Copy, Debug)]
pub enum Algorithm {
    Results(ForResults),
    Images(ForImages),
    Filters(ForFilters),
}

impl Algorithm {
    /// By cuDNN's number. None where this program does not know it.
    pub fn of(target: Target, number: u32) -> Option<Self> {
        use {ForFilters as F, ForImages as I, ForResults as R};
        let results = [
            R::CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM,
            R::CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM,
            R::CUDNN_CONVOLUTION_FWD_ALGO_GEMM,
            R::CUDNN_CONVOLUTION_FWD_ALGO_DIRECT,
            R::CUDNN_CONVOLUTION_FWD_ALGO_FFT,
            R::CUDNN_CONVOLUTION_FWD_ALGO_FFT_TILING,
            R::CUDNN_CONVOLUTION_FWD_ALGO_WINOGRAD,
            R::CUDNN_CONVOLUTION_FWD_ALGO_WINOGRAD_NONFUSED,
        ];
        let images = [
            I::CUDNN_CONVOLUTION_BWD_DATA_ALGO_0,
            I::CUDNN_CONVOLUTION_BWD_DATA_ALGO_1,
            I::CUDNN_CONVOLUTION_BWD_DATA_ALGO_FFT,
            I::CUDNN_CONVOLUTION_BWD_DATA_ALGO_FFT_TILING,
            I::CUDNN_CONVOLUTION_BWD_DATA_ALGO_WINOGRAD,
            I::CUDNN_CONVOLUTION_BWD_DATA_ALGO_WINOGRAD_NONFUSED,
        ];
        let filters = [
            F::CUDNN_CONVOLUTION_BWD_FILTER_ALGO_0,
            F::CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1,
            F::CUDNN_CONVOLUTION_BWD_FILTER_ALGO_FFT,
            F::CUDNN_CONVOLUTION_BWD_FILTER_ALGO_3,
            F::CUDNN_CONVOLUTION_BWD_FILTER_ALGO_WINOGRAD,
            F::CUDNN_CONVOLUTION_BWD_FILTER_ALGO_WINOGRAD_NONFUSED,
            F::CUDNN_CONVOLUTION_BWD_FILTER_ALGO_FFT_TILING,
        ];
        let number = number as usize;
        match target {
            Target::Results => results.get(number).copied().map(Self::Results),
            Target::Images => images.get(number).copied().map(Self::Images),
            Target::Filters => filters.get(number).copied().map(Self::Filters),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_candidate_is_laid_out_as_cudnn_writes_it() {
        type Theirs = sys::cudnnConvolutionFwdAlgoPerf_t;
        assert_eq!(size_of::<Candidate>(), size_of::<Theirs>());
        assert_eq!(
            size_of::<Candidate>(),
            size_of::<sys::cudnnConvolutionBwdDataAlgoPerf_t>()
        );
        assert_eq!(
            size_of::<Candidate>(),
            size_of::<sys::cudnnConvolutionBwdFilterAlgoPerf_t>()
        );
        let offsets = [
            std::mem::offset_of!(Theirs, status),
            std::mem::offset_of!(Theirs, time),
            std::mem::offset_of!(Theirs, memory),
            std::mem::offset_of!(Theirs, determinism),
            std::mem::offset_of!(Theirs, mathType),
        ];
        let ours = [
            std::mem::offset_of!(Candidate, status),
            std::mem::offset_of!(Candidate, milliseconds),
            std::mem::offset_of!(Candidate, memory),
            std::mem::offset_of!(Candidate, determinism),
            std::mem::offset_of!(Candidate, math),
        ];
        assert_eq!(ours, offsets);
    }

    #[test]
    fn time_decides_among_those_that_were_tried_with_the_same_arithmetic() {
        let candidate = |milliseconds, math| Candidate {
            milliseconds,
            math,
            ..Candidate::default()
        };
        let (slow, fast, chosen) = (candidate(2.0, 3), candidate(1.0, 3), candidate(0.5, 0));
        assert_eq!(fast.better(&slow, false), Ordering::Less);
        assert_eq!(slow.better(&chosen, false), Ordering::Less);
        assert_eq!(slow.better(&chosen, true), Ordering::Greater);
    }

    #[test]
    fn what_changes_bits_or_rounds_more_than_allowed_is_not_wanted() {
        let candidate = |determinism, math| Candidate {
            determinism,
            math,
            ..Candidate::default()
        };
        assert!(candidate(1, 3).is_wanted(false));
        assert!(!candidate(0, 3).is_wanted(true), "another order each time");
        assert!(!candidate(1, 1).is_wanted(false), "tensor cores");
        assert!(candidate(1, 1).is_wanted(true));
        assert!(!candidate(1, 2).is_wanted(true), "rounded to half");
    }
}
