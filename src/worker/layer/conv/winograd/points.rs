//! The points at which polynomials are taken, and the numbers that follow from them.
//!
//! `N` points: zero, `±a` for some `a`, and infinity, which stands for the leading coefficient. The
//! numbers are those of Toom and Cook's product of polynomials (Winograd 1980). Pairs of points of
//! opposite sign share the even and the odd part of a polynomial, which halves the work.

use super::super::super::scalar::Scalar;
use super::super::super::simd::Vector;

/// The most pairs of points.
const PAIRS: usize = 3;

/// The `a` of all pairs `±a`. The choices with the smallest rounding errors of forward and weight
/// gradient in f32 among all pairs from a grid of fractions in `[3/8, 5/2]`.
const fn pairs<const N: usize>() -> &'static [f64] {
    match N {
        6 => &[0.625, 1.5],
        8 => &[0.5, 1.0, 2.0],
        _ => panic!("no points for tiles of this size"),
    }
}

/// Registers with the numbers that transforms multiply by.
pub struct Points<V, const N: usize> {
    /// The points in their order: zero, `a₀, −a₀, a₁, …`, and a number of no use for infinity.
    pub at: [V; N],
    /// Of each pair: `a²`.
    pub square: [V; PAIRS],
    /// Of each pair: `aⁿ`.
    pub powers: [[V; N]; PAIRS],
    /// The coefficients of `Π (z − a²)` over all pairs.
    pub product: [V; PAIRS + 1],
    /// Of each pair: the coefficients of that product without the pair's factor.
    pub others: [[V; PAIRS]; PAIRS],
    /// Of each point: `1 / Π (point − other)` over all other points but infinity.
    pub scale: [V; N],
}

impl<T: Scalar, V: Vector<Element = T>, const N: usize> Points<V, N> {
    pub const PAIRS: usize = pairs::<N>().len();

    #[inline(always)]
    pub fn new() -> Self {
        let pairs = pairs::<N>();
        let of = |x: f64| V::splat(T::from_f64(x));
        let mut points = [0.0; N];
        for (pair, a) in pairs.iter().enumerate() {
            points[2 * pair + 1] = *a;
            points[2 * pair + 2] = -a;
        }
        let mut all = Self {
            at: points.map(of),
            square: [of(0.0); PAIRS],
            powers: [[of(0.0); N]; PAIRS],
            product: product_without(pairs, None).map(of),
            others: [[of(0.0); PAIRS]; PAIRS],
            scale: [of(1.0); N],
        };
        for (pair, a) in pairs.iter().enumerate() {
            all.square[pair] = of(a * a);
            let others = product_without(pairs, Some(pair));
            all.others[pair].copy_from_slice(&others.map(of)[..PAIRS]);
            for power in 0..N {
                all.powers[pair][power] = of(a.powi(power as i32));
            }
        }
        let finite = &points[..N - 1];
        for (i, point) in finite.iter().enumerate() {
            let others = finite.iter().enumerate().filter(|(j, _)| *j != i);
            all.scale[i] = of(1.0 / others.map(|(_, other)| point - other).product::<f64>());
        }
        all
    }
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
