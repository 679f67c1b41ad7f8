//! The points at which polynomials are taken, and the numbers that follow from them.
//!
//! `N` points: zero, `±a` for some `a`, and infinity, which stands for the leading coefficient. The
//! numbers are those of Toom and Cook's product of polynomials (Winograd 1980). Pairs of points of
//! opposite sign share the even and the odd part of a polynomial, which halves the work.

use super::super::super::scalar::Scalar;
use super::super::super::simd::Vector;
use std::array::from_fn;

/// The most pairs of points.
const PAIRS: usize = 3;

/// The `a` of all pairs `±a`: of all choices from 17 numbers in `[3/8, 5/2]`, those with the smallest
/// product of the f32 rounding errors of convolution and weight gradient, for random images without
/// negative numbers. The next best choices are hardly worse.
const fn pairs<const N: usize>() -> &'static [f64] {
    match N {
        6 => &[0.625, 1.5],
        8 => &[0.5, 1.0, 2.0],
        _ => panic!("no points for tiles of this size"),
    }
}

/// The numbers that transforms multiply by, as f64 or as registers.
pub struct Points<X, const N: usize> {
    /// The points in their order: zero, `a₀, −a₀, a₁, …`, and a zero that stands for infinity.
    pub at: [X; N],
    /// Of each pair: `a²`.
    pub square: [X; PAIRS],
    /// Of each pair: `aⁿ`.
    pub powers: [[X; N]; PAIRS],
    /// The coefficients of `Π (z − a²)` over all pairs.
    pub product: [X; PAIRS + 1],
    /// Of each pair: the coefficients of that product without the pair's factor.
    pub others: [[X; PAIRS + 1]; PAIRS],
    /// Of each point: `1 / Π (point − other)` over all other points but infinity.
    pub scale: [X; N],
}

impl<X: Copy, const N: usize> Points<X, N> {
    pub const PAIRS: usize = pairs::<N>().len();

    #[inline(always)]
    fn filled(x: X) -> Self {
        Self {
            at: [x; N],
            square: [x; PAIRS],
            powers: [[x; N]; PAIRS],
            product: [x; PAIRS + 1],
            others: [[x; PAIRS + 1]; PAIRS],
            scale: [x; N],
        }
    }
}

impl<const N: usize> Points<f64, N> {
    fn exact() -> Self {
        let pairs = pairs::<N>();
        let mut all = Self::filled(0.0);
        all.product = product_without(pairs, None);
        for (pair, a) in pairs.iter().enumerate() {
            all.at[2 * pair + 1] = *a;
            all.at[2 * pair + 2] = -a;
            all.square[pair] = a * a;
            all.powers[pair] = from_fn(|power| a.powi(power as i32));
            all.others[pair] = product_without(pairs, Some(pair));
        }
        let finite = &all.at[..N - 1];
        for (i, point) in finite.iter().enumerate() {
            let others = finite.iter().enumerate().filter(|(j, _)| *j != i);
            all.scale[i] = 1.0 / others.map(|(_, other)| point - other).product::<f64>();
        }
        all.scale[N - 1] = 1.0;
        all
    }
}

impl<V: Vector, const N: usize> Points<V, N> {
    /// Each number in all lanes of a register.
    #[inline(always)]
    pub fn new() -> Self {
        let exact = Points::<f64, N>::exact();
        let mut all = Self::filled(splat(0.0));
        for i in 0..N {
            all.at[i] = splat(exact.at[i]);
            all.scale[i] = splat(exact.scale[i]);
        }
        for k in 0..=PAIRS {
            all.product[k] = splat(exact.product[k]);
        }
        for pair in 0..PAIRS {
            all.square[pair] = splat(exact.square[pair]);
            for i in 0..N {
                all.powers[pair][i] = splat(exact.powers[pair][i]);
            }
            for k in 0..=PAIRS {
                all.others[pair][k] = splat(exact.others[pair][k]);
            }
        }
        all
    }
}

#[inline(always)]
fn splat<T: Scalar, V: Vector<Element = T>>(x: f64) -> V {
    V::splat(T::from_f64(x))
}

/// The coefficients, from that of `z⁰` on, of `Π (z − a²)` over all pairs but one.
fn product_without(pairs: &[f64], omitted: Option<usize>) -> [f64; PAIRS + 1] {
    let mut product = [0.0; PAIRS + 1];
    product[0] = 1.0;
    for (pair, a) in pairs.iter().enumerate() {
        if Some(pair) != omitted {
            for k in (0..=PAIRS).rev() {
                let below = if k == 0 { 0.0 } else { product[k - 1] };
                product[k] = below - a * a * product[k];
            }
        }
    }
    product
}
