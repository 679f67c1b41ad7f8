//! Each kernel alone on one pinned core: arithmetic in GFLOP/s with its share of the rate at which
//! the core multiplies and adds in registers, passes over memory in GB/s with their share of a copy of
//! the same size. Both ceilings are measured at the start.
//!
//!     cargo bench --bench kernels              # all, at the widest level of the processor
//!     cargo bench --bench kernels -- conv2     # those with this word in their name

#[path = "kernels/ceiling.rs"]
mod ceiling;
#[path = "kernels/measurement.rs"]
mod measurement;

use candle_core::{Device, Tensor, Var};
use ceiling::Ceilings;
use criterion::{Criterion, criterion_group, criterion_main};
use measurement::{Shares, bytes, flops};
use rustix::thread::{CpuSet, sched_setaffinity};
use std::time::Duration;
use xrun::terms::{Convolution, OptimizerName};
use xrun::worker::layer::conv::{self, Geometry};
use xrun::worker::layer::dense::product::{Affine, Correlation, Product, Sizes};
use xrun::worker::layer::lrn::Lrn;
use xrun::worker::layer::{Activation, Layer, MaxPool, Tape};
use xrun::worker::optimizer::{Config, Optimizer};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CONV1: Geometry = Geometry {
    height: 24,
    width: 24,
    channels: 3,
    kernel: 5,
    padding: 2,
};
const CONV2: Geometry = Geometry {
    height: 12,
    width: 12,
    channels: 64,
    ..CONV1
};
const FILTERS: usize = 64;

fn numbers(count: usize) -> Vec<f32> {
    let number = |i: usize| (i.wrapping_mul(0x9e37_79b9) >> 7 & 0xffff) as f32 / 32768.0 - 1.0;
    (0..count).map(number).collect()
}

/// Multiplications and additions of a convolution of one image, without those by the padding.
fn flops_of(geometry: Geometry) -> u64 {
    let seen = |size: usize, out: usize| -> usize {
        let inside = |o: usize, k: usize| (o + k).checked_sub(geometry.padding);
        (0..out)
            .flat_map(|o| (0..geometry.kernel).filter_map(move |k| inside(o, k)))
            .filter(|at| *at < size)
            .count()
    };
    let rows = seen(geometry.height, geometry.out_height());
    let columns = seen(geometry.width, geometry.out_width());
    (2 * rows * columns * geometry.channels * FILTERS) as u64
}

fn convolutions(criterion: &mut Criterion<Shares>) {
    const IMAGES: usize = 8;
    for (name, geometry) in [("conv1", CONV1), ("conv2", CONV2)] {
        let images = numbers(IMAGES * geometry.image());
        let weights = numbers(geometry.patch() * FILTERS);
        let gradients = numbers(IMAGES * geometry.pixels() * FILTERS);
        let mut group = criterion.benchmark_group(name);
        group.throughput(flops(IMAGES as u64 * flops_of(geometry)));
        for way in [
            Convolution::Direct,
            Convolution::Winograd,
            Convolution::Im2col,
        ] {
            if conv::resolve(way, geometry, FILTERS) != way {
                continue;
            }
            let algorithm = conv::algorithm::<f32>(way, geometry, FILTERS);
            let (mut prepared, mut room) = (Vec::new(), Vec::new());
            algorithm.prepare(&weights, &mut prepared);
            let mut out = vec![0.0; gradients.len()];
            group.bench_function(format!("{way}, forward"), |bencher| {
                bencher.iter(|| algorithm.convolve(&images, &prepared, &mut out, &mut room));
            });
            let mut sums = vec![0.0; algorithm.sums()];
            group.bench_function(format!("{way}, gradient of weights"), |bencher| {
                bencher.iter(|| algorithm.correlate(&images, &gradients, &mut sums, &mut room));
            });
        }
        group.finish();
    }
}

fn dense_layers(criterion: &mut Criterion<Shares>) {
    let layers = [(128, 2304, 384), (128, 4096, 4096)];
    for (batch, inputs, outputs) in layers {
        let product = Product::new(Sizes {
            batch,
            inputs,
            outputs,
        });
        let (x, weights, biases) = (
            numbers(batch * inputs),
            numbers(inputs * outputs),
            numbers(outputs),
        );
        let dy = numbers(batch * outputs);
        let (mut y, mut dx) = (dy.clone(), x.clone());
        let (mut dw, mut room) = (weights.clone(), Vec::new());
        let mut group = criterion.benchmark_group(format!("dense {batch}x{inputs}x{outputs}"));
        group.throughput(flops(2 * (batch * inputs * outputs) as u64));
        let layer = Affine {
            x: &x,
            weights: &weights,
            biases: &biases,
            activation: Activation::Relu,
        };
        group.bench_function("forward", |bencher| {
            bencher.iter(|| product.forward(layer, &mut y, &mut room));
        });
        group.bench_function("gradient of inputs", |bencher| {
            bencher.iter(|| product.input_gradient(&dy, &weights, &mut dx, &mut room));
        });
        let of = Correlation {
            x: &x,
            dy: &dy,
            weights: &weights,
            decay: 0.0,
        };
        group.bench_function("gradient of weights", |bencher| {
            bencher.iter(|| product.weight_gradient(of, &mut dw, &mut room));
        });
        group.finish();
    }
}

/// Layers without arithmetic to speak of, in both directions, for a batch of 128.
fn passes(criterion: &mut Criterion<Shares>) {
    let lrn = Lrn {
        radius: 4,
        bias: 1.0,
        alpha: 0.001 / 9.0,
    };
    let layers: [(&str, &dyn Layer); 2] = [("normalisation", &lrn), ("max pool", &MaxPool)];
    let x = Tensor::from_vec(numbers(128 * 12 * 12 * 64), (128, 12, 12, 64), &Device::Cpu);
    let x = Var::from_tensor(&x.expect("the shape fits")).expect("a tensor becomes a variable");
    for (name, layer) in layers {
        let mut tape = Tape::default();
        let y = layer.forward(&mut tape, &x).expect("the shape fits");
        let (in_bytes, out_bytes) = (4 * x.elem_count(), 4 * y.elem_count());
        let dy = y.ones_like().expect("it has a shape");
        let mut group = criterion.benchmark_group(name);
        group.throughput(bytes((in_bytes + out_bytes) as u64));
        group.bench_function("forward", |bencher| {
            bencher.iter(|| {
                tape.rewind();
                layer.forward(&mut tape, &x)
            });
        });
        group.throughput(bytes((2 * in_bytes + out_bytes) as u64));
        group.bench_function("gradient", |bencher| {
            bencher.iter(|| tape.backward_from(&dy))
        });
        group.finish();
    }
}

/// Update rules; what is read and what is written count.
fn updates(criterion: &mut Criterion<Shares>) {
    const NUMBERS: usize = 128 * 12 * 12 * 64;
    let mut group = criterion.benchmark_group("update");
    let rules = [
        ("sgd", OptimizerName::Sgd, false, 3),
        ("sgd with averages", OptimizerName::Sgd, true, 5),
        ("adam", OptimizerName::Adam, false, 7),
    ];
    for (name, rule, averages, passes) in rules {
        let config = Config {
            rule,
            learning_rate: 1e-4,
            decay: None,
            averages,
        };
        let (mut weights, gradient) = (numbers(NUMBERS), numbers(NUMBERS));
        let mut optimizer = Optimizer::new(config, &[&weights]);
        group.throughput(bytes((passes * 4 * NUMBERS) as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| optimizer.step(vec![(&mut weights[..], &gradient[..])]));
        });
    }
    group.finish();
}

/// On one core of its own: kernels split their work over the threads of the pool they are in.
fn configured() -> Criterion<Shares> {
    let mut core = CpuSet::new();
    core.set(0);
    sched_setaffinity(None, &core).expect("core 0 is there");
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1);
    pool.build_global().expect("nobody has used the pool yet");
    let ceilings = Ceilings::measure();
    println!(
        "ceilings of this core: {:.0} GFLOP/s in registers, {:.1} GB/s copying 5 MB",
        ceilings.flops_per_second / 1e9,
        ceilings.bytes_per_second / 1e9
    );
    Criterion::default()
        .with_measurement(Shares::of(ceilings))
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
}

criterion_group! {
    name = benches;
    config = configured();
    targets = convolutions, dense_layers, passes, updates
}
criterion_main!(benches);
