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
) where
    L: Map<N, I, O>,
    V: Vector,
{
    let mut middle = [[V::splat(V::Element::from_byte(0)); I]; O];
    let whole = from.width.min(to.width) / V::LANES;
    for index in 0..from.width.max(to.width).div_ceil(V::LANES) {
        let at = index * V::LANES;
        // SAFETY: the caller's; `at` plus a register is within the rows where they are whole.
        unsafe {
            if index < whole {
                columns::<L, V, true, N, I, O>(points, from, at, &mut middle);
                rows::<L, V, true, N, I, O>(points, &middle, to, at);
            } else {
                columns::<L, V, false, N, I, O>(points, from, at, &mut middle);
                rows::<L, V, false, N, I, O>(points, &middle, to, at);
            }
        }
    }
}

/// # Safety
/// As [`transform`]; if `WHOLE`, rows have a register of numbers from `at` on.
#[inline(always)]
unsafe fn columns<L, V, const WHOLE: bool, const N: usize, const I: usize, const O: usize>(
    points: &Points<V, N>,
    from: &Square<V::Element, I>,
    at: usize,
    middle: &mut [[V; I]; O],
) where
    L: Map<N, I, O>,
    V: Vector,
{
    let lanes = from.width.saturating_sub(at).min(V::LANES);
    for j in 0..I {
        let mut x = [V::splat(V::Element::from_byte(0)); I];
        for i in 0..I {
            let row = from.rows[i][j].wrapping_add(at);
            // SAFETY: `lanes` numbers are left in the row, all of a register's if it is whole.
            x[i] = unsafe {
                if WHOLE {
                    V::load(row)
                } else {
                    V::load_first(row, lanes)
                }
            };
        }
        let y = L::line(points, x);
        for i in 0..O {
            middle[i][j] = y[i];
        }
    }
}

/// # Safety
/// As [`columns`].
#[inline(always)]
unsafe fn rows<L, V, const WHOLE: bool, const N: usize, const I: usize, const O: usize>(
    points: &Points<V, N>,
    middle: &[[V; I]; O],
    to: &Square<V::Element, O>,
    at: usize,
) where
    L: Map<N, I, O>,
    V: Vector,
{
    let lanes = to.width.saturating_sub(at).min(V::LANES);
    for i in 0..O {
        let y = L::line(points, middle[i]);
        for j in 0..O {
            let row = to.rows[i][j].wrapping_add(at);
            // SAFETY: `lanes` numbers are left in the row, all of a register's if it is whole.
            unsafe {
                if WHOLE {
                    y[j].store(row);
                } else {
                    y[j].store_first(row, lanes);
                }
            }
        }
    }
}
