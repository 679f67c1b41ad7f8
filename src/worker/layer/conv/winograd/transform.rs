//! The linear maps of Winograd's algorithm, in one dimension and of squares of rows.
//!
//! Take a product of two polynomials as *evaluate* both, multiply the values, *interpolate*. It is
//! linear in each factor. Transposed with respect to one of them it is a convolution of the image
//! with the other (Winograd 1980; Lavin, Gray 2016): with `E` for evaluate and `I` for interpolate,
//!
//! | | |
//! |---|---|
//! | convolution | `y = Eᵀ (E w ⊙ Iᵀ x)` |
//! | gradient of the weights | `dw = Eᵀ (E dy ⊙ Iᵀ x)` |
//!
//! The factors of `I` that belong to one point are left to the weights, which are transformed once
//! for all images.

use super::super::super::scalar::Scalar;
use super::super::super::simd::Vector;
use super::points::Points;
use super::tiling::Square;
use std::ops::Range;

/// A linear map of `I` numbers to `O` numbers, in every lane; one of the two is the number `N` of
/// points.
pub trait Map<const N: usize, const I: usize, const O: usize> {
    fn line<V: Vector>(points: &Points<V, N>, x: [V; I]) -> [V; O];
}

/// The values at all points of the polynomial with `M` coefficients `x`.
pub struct Evaluate;

/// The transpose of [`Evaluate`].
pub struct EvaluateTransposed;

/// The transpose of finding a polynomial's `N` coefficients from its values, without
/// [`Points::scale`].
pub struct InterpolateTransposed;

/// [`Evaluate`] for weights: with [`Points::scale`].
pub struct Weights;

/// The transpose of [`Weights`].
pub struct WeightsTransposed;

impl<const N: usize, const M: usize> Map<N, M, N> for Evaluate {
    #[inline(always)]
    fn line<V: Vector>(points: &Points<V, N>, x: [V; M]) -> [V; N] {
        let mut y = [x[0]; N];
        for pair in 0..Points::<V, N>::PAIRS {
            // Horner's rule in `a²`, from the last coefficient of each part.
            let last = M - 1;
            let (mut even, mut odd) = (x[last - last % 2], x[last - (last + 1) % 2]);
            for k in (0..last / 2).rev() {
                even = even.mul_add(points.square[pair], x[2 * k]);
            }
            for k in (0..(last - 1) / 2).rev() {
                odd = odd.mul_add(points.square[pair], x[2 * k + 1]);
            }
            for point in [2 * pair + 1, 2 * pair + 2] {
                y[point] = odd.mul_add(points.at[point], even);
            }
        }
        y[N - 1] = x[M - 1];
        y
    }
}

impl<const N: usize, const M: usize> Map<N, N, M> for EvaluateTransposed {
    #[inline(always)]
    fn line<V: Vector>(points: &Points<V, N>, x: [V; N]) -> [V; M] {
        let (sum, difference) = (x[1].add(x[2]), x[1].sub(x[2]));
        let mut y = [sum; M];
        y[0] = x[0].add(sum);
        for power in 1..M {
            let part = if power % 2 == 0 { sum } else { difference };
            y[power] = part.mul(points.powers[0][power]);
        }
        for pair in 1..Points::<V, N>::PAIRS {
            let [plus, minus] = [x[2 * pair + 1], x[2 * pair + 2]];
            let (sum, difference) = (plus.add(minus), plus.sub(minus));
            y[0] = y[0].add(sum);
            for power in 1..M {
                let part = if power % 2 == 0 { sum } else { difference };
                y[power] = part.mul_add(points.powers[pair][power], y[power]);
            }
        }
        y[M - 1] = y[M - 1].add(x[N - 1]);
        y
    }
}

impl<const N: usize> Map<N, N, N> for InterpolateTransposed {
    #[inline(always)]
    fn line<V: Vector>(points: &Points<V, N>, x: [V; N]) -> [V; N] {
        let pairs = Points::<V, N>::PAIRS;
        let mut y = x;
        // Zero and infinity: the leading coefficient of the product is one.
        (y[0], y[N - 1]) = (x[N - 2], x[N - 1]);
        for k in 0..pairs {
            y[0] = x[2 * k].mul_add(points.product[k], y[0]);
            y[N - 1] = x[2 * k + 1].mul_add(points.product[k], y[N - 1]);
        }
        for pair in 0..pairs {
            let (mut even, mut odd) = (x[N - 2], x[N - 3]);
            for k in 0..pairs - 1 {
                even = x[2 * k + 2].mul_add(points.others[pair][k], even);
                odd = x[2 * k + 1].mul_add(points.others[pair][k], odd);
            }
            for point in [2 * pair + 1, 2 * pair + 2] {
                y[point] = odd.mul_add(points.at[point], even);
            }
        }
        y
    }
}

impl<const N: usize, const M: usize> Map<N, M, N> for Weights {
    #[inline(always)]
    fn line<V: Vector>(points: &Points<V, N>, x: [V; M]) -> [V; N] {
        scaled(points, Evaluate::line(points, x))
    }
}

impl<const N: usize, const M: usize> Map<N, N, M> for WeightsTransposed {
    #[inline(always)]
    fn line<V: Vector>(points: &Points<V, N>, x: [V; N]) -> [V; M] {
        EvaluateTransposed::line(points, scaled(points, x))
    }
}

#[inline(always)]
fn scaled<V: Vector, const N: usize>(points: &Points<V, N>, mut x: [V; N]) -> [V; N] {
    for point in 0..N {
        x[point] = x[point].mul(points.scale[point]);
    }
    x
}

/// Registers of each row of numbers that are mapped together. Four instead of one: about 5 % faster
/// for images that are not in the cache, and about 3 % slower for a convolution of those that are.
const GROUP: usize = 4;

/// Room for a square whose columns are mapped and whose rows are not.
pub type Middle<V, const I: usize, const O: usize> = [[[V; I]; GROUP]; O];

#[inline(always)]
pub fn middle<V: Vector, const I: usize, const O: usize>() -> Middle<V, I, O> {
    [[[V::splat(V::Element::from_byte(0)); I]; GROUP]; O]
}

/// Maps the columns and then the rows of a square, for every number of its rows of numbers. Where
/// `to` has longer rows than `from`, they are filled up with zeros.
///
/// # Safety
/// All rows of `from` can be read and those of `to` written.
#[inline(always)]
pub unsafe fn transform<L, V, const N: usize, const I: usize, const O: usize>(
    points: &Points<V, N>,
    from: &Square<V::Element, I>,
    to: &Square<V::Element, O>,
    middle: &mut Middle<V, I, O>,
) where
    L: Map<N, I, O>,
    V: Vector,
{
    let whole = from.width.min(to.width) / V::LANES;
    let all = from.width.max(to.width).div_ceil(V::LANES);
    let mut first = 0;
    while first < all {
        // SAFETY: the caller's; registers below `whole` are within the rows of numbers.
        unsafe {
            if first < whole {
                let some = first..whole.min(first + GROUP);
                first = some.end;
                columns::<L, V, true, N, I, O>(points, from, some.clone(), middle);
                rows::<L, V, true, N, I, O>(points, middle, to, some);
            } else {
                let some = first..all.min(first + GROUP);
                first = some.end;
                columns::<L, V, false, N, I, O>(points, from, some.clone(), middle);
                rows::<L, V, false, N, I, O>(points, middle, to, some);
            }
        }
    }
}

/// # Safety
/// As [`transform`]; if `WHOLE`, rows have all numbers of `registers`.
#[inline(always)]
unsafe fn columns<L, V, const WHOLE: bool, const N: usize, const I: usize, const O: usize>(
    points: &Points<V, N>,
    from: &Square<V::Element, I>,
    registers: Range<usize>,
    middle: &mut Middle<V, I, O>,
) where
    L: Map<N, I, O>,
    V: Vector,
{
    for j in 0..I {
        for register in registers.clone() {
            let at = register * V::LANES;
            let mut x = [V::splat(V::Element::from_byte(0)); I];
            for i in 0..I {
                let row = from.rows[i][j].wrapping_add(at);
                // SAFETY: at least as many numbers are left in the row.
                x[i] = unsafe {
                    if WHOLE {
                        V::load(row)
                    } else {
                        V::load_first(row, from.width.saturating_sub(at).min(V::LANES))
                    }
                };
            }
            let y = L::line(points, x);
            for i in 0..O {
                middle[i][register - registers.start][j] = y[i];
            }
        }
    }
}

/// # Safety
/// As [`columns`].
#[inline(always)]
unsafe fn rows<L, V, const WHOLE: bool, const N: usize, const I: usize, const O: usize>(
    points: &Points<V, N>,
    middle: &Middle<V, I, O>,
    to: &Square<V::Element, O>,
    registers: Range<usize>,
) where
    L: Map<N, I, O>,
    V: Vector,
{
    for i in 0..O {
        for register in registers.clone() {
            let at = register * V::LANES;
            let y = L::line(points, middle[i][register - registers.start]);
            for j in 0..O {
                let row = to.rows[i][j].wrapping_add(at);
                // SAFETY: at least as many numbers are left in the row.
                unsafe {
                    if WHOLE {
                        y[j].store(row);
                    } else {
                        y[j].store_first(row, to.width.saturating_sub(at).min(V::LANES));
                    }
                }
            }
        }
    }
}
