//! Registers of eight numbers, 16 of them.

use super::{Kernel, Vector};
use std::arch::x86_64::*;

/// Eight numbers. Values exist only inside of [`run`], whose caller has asked the processor.
#[derive(Clone, Copy)]
pub struct Lanes(__m256);

pub fn is_available() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
}

/// # Safety
/// [`is_available`] is true.
#[target_feature(enable = "avx2,fma")]
pub unsafe fn run<K: Kernel<f32>>(kernel: K) -> K::Output {
    kernel.run::<Lanes>()
}

/// All bits of the lowest `count` lanes.
#[inline(always)]
fn first(count: usize) -> __m256i {
    debug_assert!(count <= 8);
    // SAFETY: as for all of this file.
    unsafe {
        let numbers = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
        _mm256_cmpgt_epi32(_mm256_set1_epi32(count as i32), numbers)
    }
}

// SAFETY, for every block in this file: a value of `Lanes` exists, or is made, only inside of `run`,
// so the processor has the instructions. Loads and stores are also covered by their callers.
impl Vector for Lanes {
    type Element = f32;
    type Mask = __m256;
    const LANES: usize = 8;
    const COLUMNS: usize = 2;

    #[inline(always)]
    fn splat(x: f32) -> Self {
        unsafe { Self(_mm256_set1_ps(x)) }
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        unsafe { Self(_mm256_add_ps(self.0, other.0)) }
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        unsafe { Self(_mm256_sub_ps(self.0, other.0)) }
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        unsafe { Self(_mm256_mul_ps(self.0, other.0)) }
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, term: Self) -> Self {
        unsafe { Self(_mm256_fmadd_ps(self.0, factor.0, term.0)) }
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        unsafe { Self(_mm256_max_ps(self.0, other.0)) }
    }

    /// An estimate of 12 bits and one step of Newton's method.
    #[inline(always)]
    fn reciprocal_root(self) -> Self {
        let estimate = unsafe { Self(_mm256_rsqrt_ps(self.0)) };
        super::refine_reciprocal_root(self, estimate)
    }

    #[inline(always)]
    fn square_root(self) -> Self {
        unsafe { Self(_mm256_sqrt_ps(self.0)) }
    }

    #[inline(always)]
    fn div(self, other: Self) -> Self {
        unsafe { Self(_mm256_div_ps(self.0, other.0)) }
    }

    #[inline(always)]
    fn greater(self, other: Self) -> __m256 {
        unsafe { _mm256_cmp_ps::<_CMP_GT_OQ>(self.0, other.0) }
    }

    #[inline(always)]
    fn equal(self, other: Self) -> __m256 {
        unsafe { _mm256_cmp_ps::<_CMP_EQ_OQ>(self.0, other.0) }
    }

    #[inline(always)]
    fn select(self, mask: __m256, other: Self) -> Self {
        unsafe { Self(_mm256_blendv_ps(other.0, self.0, mask)) }
    }

    #[inline(always)]
    fn sum(self) -> f32 {
        unsafe {
            let four = _mm_add_ps(
                _mm256_castps256_ps128(self.0),
                _mm256_extractf128_ps::<1>(self.0),
            );
            let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
        }
    }

    #[inline(always)]
    fn interleave(self, other: Self) -> [Self; 2] {
        unsafe {
            // In each half of the registers.
            let lower = _mm256_unpacklo_ps(self.0, other.0);
            let upper = _mm256_unpackhi_ps(self.0, other.0);
            [
                Self(_mm256_permute2f128_ps::<0x20>(lower, upper)),
                Self(_mm256_permute2f128_ps::<0x31>(lower, upper)),
            ]
        }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        unsafe { Self(_mm256_loadu_ps(from)) }
    }

    #[inline(always)]
    unsafe fn load_first(from: *const f32, count: usize) -> Self {
        unsafe { Self(_mm256_maskload_ps(from, first(count))) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe { _mm256_storeu_ps(to, self.0) }
    }

    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, count: usize) {
        unsafe { _mm256_maskstore_ps(to, first(count), self.0) }
    }

    #[inline(always)]
    unsafe fn stream(self, to: *mut f32) {
        unsafe { _mm256_stream_ps(to, self.0) }
    }

    #[inline(always)]
    fn fence() {
        unsafe { _mm_sfence() }
    }

    #[inline(always)]
    fn prefetch(from: *const f32) {
        unsafe { _mm_prefetch::<_MM_HINT_T1>(from.cast()) }
    }

    #[inline(always)]
    unsafe fn load_bytes(from: *const u8) -> Self {
        unsafe {
            let bytes = _mm_loadl_epi64(from.cast());
            Self(_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes)))
        }
    }

    #[inline(always)]
    unsafe fn store_bytes(self, to: *mut u8) {
        unsafe {
            let wide = _mm256_cvttps_epi32(self.0);
            let low = _mm256_castsi256_si128(wide);
            let words = _mm_packus_epi32(low, _mm256_extracti128_si256::<1>(wide));
            _mm_storel_epi64(to.cast(), _mm_packus_epi16(words, words));
        }
    }
}
