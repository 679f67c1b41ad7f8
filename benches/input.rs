//! How fast the input pipeline on the host is: the fused distortion on one core, and the whole
//! pipeline, shuffle buffer and batches included, with 1, 2 and 16 threads.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::sync::Arc;
use xrun::worker::input::cifar10_file::Records;
use xrun::worker::input::distort::LENGTH;
use xrun::worker::input::examples::Examples;
use xrun::worker::input::generated;
use xrun::worker::input::pipeline::{Pipeline, Shape};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BATCH: usize = 128;

fn examples() -> Examples {
    let cache = tempfile::tempdir().expect("there is room for 31 MB");
    let folder = generated::folder(cache.path(), 1).expect("there is room for 31 MB");
    let records = Records::read(&folder).expect("generated files are well formed");
    Examples::new(Arc::new(records), 1)
}

fn distortion(criterion: &mut Criterion) {
    let examples = examples();
    let mut image = [0.0; LENGTH];
    let mut number = 0;
    let mut group = criterion.benchmark_group("distort");
    group.throughput(Throughput::Elements(1));
    group.bench_function("one core", |bencher| {
        bencher.iter(|| {
            number += 1;
            examples.write(number, black_box(&mut image))
        });
    });
    group.finish();
}

fn pipeline(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("pipeline");
    group.throughput(Throughput::Elements(BATCH as u64));
    for threads in [1, 2, 16] {
        let examples = examples();
        let shape = Shape {
            width: LENGTH,
            batch: BATCH,
            buffer: 20_000,
            threads,
            consumers: 1,
            seed: 1,
        };
        let write = move |number, image: &mut [f32]| examples.write(number, image);
        let pipeline = Pipeline::new(shape, Box::new(write)).expect("threads can be started");
        pipeline.prefill().expect("generated input does not fail");
        group.bench_function(BenchmarkId::new("threads", threads), |bencher| {
            bencher.iter(|| pipeline.next().expect("generated input does not fail"));
        });
    }
    group.finish();
}

criterion_group!(benches, distortion, pipeline);
criterion_main!(benches);
