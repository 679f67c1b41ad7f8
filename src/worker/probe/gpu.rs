//! Ceilings of GPUs. In: the GPUs of a cell, each once. Out: how fast one of them copies, multiplies and is
//! given work, and how fast all of them sum together where NCCL connects them. Host clocks around work that
//! is waited for: a round repeats it until the wait does not count.
//!
//! | ceiling | what is done | what counts |
//! |---|---|---|
//! | host-to-device, device-to-host | copies between page-locked memory and the GPU | bytes, once |
//! | device-to-device | copies within the GPU's memory | bytes, once |
//! | gemm, gemm-tf32 | products of square matrices of f32, without and with rounding to TF32 | operations |
//! | launch | kernels of one thread, one after the other | time of one |
//! | nccl | sums over all GPUs, in place | bytes of a ring's link |

use super::super::clock::timed;
use super::{ROUNDS, spread, times};
use crate::protocol::{Ceiling, CeilingOf};
use crate::worker::gpu::nccl::{self, Rank};
use crate::worker::gpu::{Arg, Buffer, Gemm, Gpu, Launch, Options, Pinned, Span};
use anyhow::{Context, Result};
use std::path::Path;
use std::sync::Barrier;

/// How much a round does.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Numbers that are copied or summed at a time.
    pub numbers: usize,
    /// Rows and columns of a matrix, which has no more numbers than these.
    pub side: usize,
}

impl Sizes {
    /// Large enough for the fastest GPU that there is: 256 MiB, which no cache holds, and products of
    /// 0.1 · 10¹² operations.
    pub const FULL: Self = Self {
        numbers: 64 << 20,
        side: 4096,
    };
}

/// A round lasts so long, in seconds: a wait takes some microseconds.
const ROUND: f64 = 20e-3;
/// Work that takes longer than this is measured as it is done for the first time.
const TOO_LONG: f64 = 1.0;
/// Launches of a round at most.
const MOST_AGAIN: f64 = 20_000.0;
/// Sums of a round: all GPUs must do as many.
const SUMS: usize = 5;

/// The GPUs of a cell, each once.
#[derive(Debug)]
pub struct GpuProbe {
    uuids: Vec<String>,
    sizes: Sizes,
}

impl GpuProbe {
    pub fn new(uuids: Vec<String>, sizes: Sizes) -> Self {
        Self { uuids, sizes }
    }

    /// Measures all ceilings of the first GPU, then those of all together, and tells of each as it is known.
    ///
    /// # Errors
    /// A GPU that cannot be used, or has too little memory free.
    pub fn measure(&self, cache: &Path, tell: &mut dyn FnMut(Ceiling)) -> Result<()> {
        let Some(first) = self.uuids.first() else {
            return Ok(());
        };
        for tf32 in [false, true] {
            let gpu = open(first, tf32, cache)?;
            let bench = Bench::new(&gpu, self.sizes)?;
            for of in ceilings(tf32) {
                let rounds = bench.rounds(*of);
                let rounds = rounds.with_context(|| format!("measuring {of:?}"))?;
                tell(spread(*of, rounds));
            }
        }
        if nccl::BUILT_IN && self.uuids.len() > 1 {
            let rounds = self.sums(cache).context("measuring NCCL")?;
            tell(spread(CeilingOf::Nccl, rounds));
        }
        Ok(())
    }

    /// Gigabytes per second of a link in each round, as the slowest GPU has seen it.
    fn sums(&self, cache: &Path) -> Result<Vec<f64>> {
        let open = |uuid: &String| open(uuid, false, cache);
        let gpus = self.uuids.iter().map(open).collect::<Result<Vec<_>>>()?;
        let ranks = Rank::join(&gpus, 0, gpus.len(), &nccl::Id::new()?)?;
        let (sizes, start) = (self.sizes, Barrier::new(gpus.len()));
        let seconds = std::thread::scope(|threads| {
            let work =
                |(rank, gpu): (Rank, Gpu)| threads.spawn(|| summed(gpu, rank, sizes, &start));
            let workers: Vec<_> = ranks.into_iter().zip(gpus).map(work).collect();
            let seconds = workers.into_iter().map(|worker| {
                let joined = worker.join();
                joined.expect("a thread that sums returns its errors")
            });
            seconds.collect::<Result<Vec<_>>>()
        })?;
        let bytes = nccl::ring_bytes(self.uuids.len(), (4 * sizes.numbers) as u64);
        let rate = |round: usize| {
            let slowest = seconds
                .iter()
                .map(|of_gpu| of_gpu[round])
                .fold(0.0, f64::max);
            (bytes * SUMS as u64) as f64 / slowest / 1e9
        };
        Ok((0..ROUNDS).map(rate).collect())
    }
}

fn open(uuid: &str, tf32: bool, cache: &Path) -> Result<Gpu> {
    let options = Options {
        tf32,
        cache: Some(cache.to_owned()),
    };
    Gpu::open(uuid, &options).with_context(|| format!("opening {uuid}"))
}

/// Those that a GPU is opened for with and without TF32.
fn ceilings(tf32: bool) -> &'static [CeilingOf] {
    match tf32 {
        false => &[
            CeilingOf::HostToDevice,
            CeilingOf::DeviceToHost,
            CeilingOf::DeviceToDevice,
            CeilingOf::Launch,
            CeilingOf::Gemm,
        ],
        true => &[CeilingOf::GemmTf32],
    }
}

/// Seconds of each round of sums by one GPU.
fn summed(gpu: Gpu, rank: Rank, sizes: Sizes, start: &Barrier) -> Result<Vec<f64>> {
    let mut buffer = Buffer::default();
    let numbers: Span<f32> = buffer.at_least(&gpu, sizes.numbers)?;
    gpu.zero(numbers)?;
    times(|| {
        gpu.synchronize()?;
        start.wait();
        (0..SUMS).try_for_each(|_| rank.sum(&gpu, &[numbers]))?;
        Ok(gpu.synchronize()?)
    })
}

/// Numbers in [-1, 1) without a pattern: products of zeros take less power, and so are faster.
fn fill(numbers: &mut [f32]) {
    let mut state = 1u32;
    for number in numbers {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *number = (state >> 8) as f32 / (1 << 23) as f32 - 1.0;
    }
}

/// One GPU and memory to work on.
struct Bench<'a> {
    gpu: &'a Gpu,
    sizes: Sizes,
    host: std::cell::RefCell<Pinned<f32>>,
    /// Two arrays as long as the host's memory, three matrices.
    arrays: [Span<f32>; 2],
    matrices: [Span<f32>; 3],
    _memory: Vec<Buffer<f32>>,
}

impl<'a> Bench<'a> {
    fn new(gpu: &'a Gpu, sizes: Sizes) -> Result<Self> {
        let mut host = Pinned::zeros(gpu, sizes.numbers)?;
        fill(host.as_mut_slice());
        let mut memory = Vec::new();
        let mut take = |length| -> Result<Span<f32>> {
            let mut buffer = Buffer::default();
            let span = buffer.at_least(gpu, length)?;
            gpu.queue().upload(&host, 0, span)?;
            memory.push(buffer);
            Ok(span)
        };
        let arrays = [take(sizes.numbers)?, take(sizes.numbers)?];
        let matrix = sizes.side * sizes.side;
        let matrices = [take(matrix)?, take(matrix)?, take(matrix)?];
        Ok(Self {
            host: host.into(),
            arrays,
            matrices,
            gpu,
            sizes,
            _memory: memory,
        })
    }

    /// What each round comes to, in the unit of the ceiling.
    fn rounds(&self, of: CeilingOf) -> Result<Vec<f64>> {
        let round = |again: usize| -> Result<f64> {
            let (done, seconds) = timed(|| {
                (0..again).try_for_each(|_| self.once(of))?;
                self.gpu.synchronize()
            });
            done?;
            Ok(seconds.max(1e-9) / again as f64)
        };
        // The first time of all may load a kernel or wake the GPU up.
        let first = round(1)?;
        let seconds = if first > TOO_LONG {
            vec![first]
        } else {
            let again = (ROUND / round(1)?).clamp(1.0, MOST_AGAIN) as usize;
            round(again)?;
            (0..ROUNDS)
                .map(|_| round(again))
                .collect::<Result<Vec<_>>>()?
        };
        let value = |seconds: f64| match of {
            CeilingOf::Launch => seconds * 1e6,
            _ => self.work(of) / seconds,
        };
        Ok(seconds.into_iter().map(value).collect())
    }

    /// Of one time, in gigabytes or in 10¹² operations.
    fn work(&self, of: CeilingOf) -> f64 {
        match of {
            CeilingOf::Gemm | CeilingOf::GemmTf32 => 2.0 * (self.sizes.side as f64).powi(3) / 1e12,
            _ => (4 * self.sizes.numbers) as f64 / 1e9,
        }
    }

    fn once(&self, of: CeilingOf) -> candle_core::Result<()> {
        let [a, b] = self.arrays;
        match of {
            CeilingOf::HostToDevice => self.gpu.queue().upload(&self.host.borrow(), 0, a),
            CeilingOf::DeviceToHost => self.gpu.queue().download(a, &mut self.host.borrow_mut(), 0),
            CeilingOf::DeviceToDevice => self.gpu.copy(a, b),
            CeilingOf::Launch => {
                let args = [a.into(), b.into(), Arg::size(1)];
                self.gpu.launch::<f32>("add_to", Launch::each(1), &args)
            }
            _ => {
                let [x, y, z] = self.matrices;
                self.gpu.gemm(Gemm::new([self.sizes.side; 3], x, y, z))
            }
        }
    }
}
