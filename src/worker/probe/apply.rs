//! The ceiling of an update: arrays as long as the parameters, read and written once by each thread of
//! who updates them, with next to no arithmetic.

use super::{Load, repeated, times};
use crate::spec::settings::Settings;
use crate::terms::OptimizerName;
use crate::worker::cores::pinned_pool;
use crate::worker::layer::simd::{self, Kernel, Vector};
use crate::worker::optimizer::Config;
use crate::worker::passes::AHEAD;
use anyhow::Result;
use std::sync::Mutex;

/// Arrays that are read and written: the weights, and what the rule keeps.
fn written(settings: &Settings) -> usize {
    let config = Config::of(settings);
    let moments = match config.rule {
        OptimizerName::Sgd => 0,
        OptimizerName::Adam => 2,
    };
    1 + moments + usize::from(config.averages)
}

/// Times that an update reads or writes an array of the model's size: those that are written are read
/// too, and the gradient is read alone.
pub fn accesses(settings: &Settings) -> usize {
    2 * written(settings) + 1
}

/// Rounds of an update of all tensors, shared by a thread on each core.
pub fn rounds(settings: &Settings, load: &Load, cores: &[usize]) -> Result<Vec<f64>> {
    let pool = pinned_pool(0, cores)?;
    let share = load.elements().div_ceil(cores.len());
    let arrays = pool.broadcast(|_| Mutex::new(Arrays::new(written(settings), share)));
    let update = || {
        pool.broadcast(|thread| {
            let own = arrays[thread.index()].lock();
            own.expect("no pass panics").pass();
        });
        Ok(())
    };
    times(|| repeated(load.again, update))
}

/// One thread's share of all arrays, made by this thread.
struct Arrays {
    gradient: Vec<f32>,
    written: Vec<Vec<f32>>,
}

impl Arrays {
    fn new(written: usize, length: usize) -> Self {
        let array = || vec![1e-3; length];
        Self {
            gradient: array(),
            written: (0..written).map(|_| array()).collect(),
        }
    }

    fn pass(&mut self) {
        let gradient = &self.gradient[..];
        match &mut self.written[..] {
            [a] => simd::run(Pass {
                gradient,
                written: [a],
            }),
            [a, b] => simd::run(Pass {
                gradient,
                written: [a, b],
            }),
            [a, b, c] => simd::run(Pass {
                gradient,
                written: [a, b, c],
            }),
            [a, b, c, d] => simd::run(Pass {
                gradient,
                written: [a, b, c, d],
            }),
            others => unreachable!("no rule keeps {} arrays", others.len()),
        }
    }
}

/// Adds the gradient to all other arrays, which are as long.
struct Pass<'a, const N: usize> {
    gradient: &'a [f32],
    written: [&'a mut Vec<f32>; N],
}

impl<const N: usize> Kernel<f32> for Pass<'_, N> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Element = f32>>(mut self) {
        let length = self.gradient.len();
        for array in &self.written {
            assert_eq!(array.len(), length, "arrays of one update");
        }
        // What is left over is less than a register.
        for at in (0..length - length % V::LANES).step_by(V::LANES) {
            // SAFETY: a whole register lies in each array from `at` on; prefetching takes any address.
            unsafe {
                let gradient = V::load(self.gradient.as_ptr().add(at));
                V::prefetch(self.gradient.as_ptr().wrapping_add(at + AHEAD));
                for array in &mut self.written {
                    let place = array.as_mut_ptr().add(at);
                    V::prefetch(place.wrapping_add(AHEAD));
                    gradient.add(V::load(place)).store(place);
                }
            }
        }
    }
}
