//! What one core can do at most, measured.

use std::hint::black_box;
use std::time::Instant;
use xrun::worker::layer::simd::{self, Kernel, Vector};

/// Rates that no kernel exceeds.
#[derive(Clone, Copy)]
pub struct Ceilings {
    /// Multiplications and additions in registers, at the widest level.
    pub flops_per_second: f64,
    /// Bytes read and written by a copy of as much memory as a layer's result.
    pub bytes_per_second: f64,
}

impl Ceilings {
    /// The best of many short runs: others use the machine too.
    pub fn measure() -> Self {
        let flops = (0..50).map(|_| {
            let started = Instant::now();
            let flops = simd::run(Multiply);
            flops / started.elapsed().as_secs_f64()
        });
        let from = vec![1f32; 128 * 12 * 12 * 64];
        let mut to = from.clone();
        let bytes = (0..200).map(|_| {
            let started = Instant::now();
            to.copy_from_slice(black_box(&from));
            black_box(&mut to);
            8.0 * from.len() as f64 / started.elapsed().as_secs_f64()
        });
        Self {
            flops_per_second: flops.fold(0.0, f64::max),
            bytes_per_second: bytes.fold(0.0, f64::max),
        }
    }
}

/// Twelve sums that do not wait for each other; gives the number of operations.
struct Multiply;

impl Kernel<f32> for Multiply {
    type Output = f64;

    #[inline(always)]
    fn run<V: Vector<Element = f32>>(self) -> f64 {
        const SUMS: usize = 12;
        const TURNS: usize = 100_000;
        let factor = V::splat(black_box(0.999));
        let mut sums = [V::splat(1.0); SUMS];
        for _ in 0..TURNS {
            for sum in &mut sums {
                *sum = sum.mul_add(factor, factor);
            }
        }
        for sum in sums {
            black_box(sum.sum());
        }
        (2 * TURNS * SUMS * V::LANES) as f64
    }
}
