use super::super::distort::LENGTH;
use super::super::distort::tests::step_by_step;
use super::super::random::{Draws, Use};
use super::*;

const BATCH: usize = 37;
/// For each image, how many values its bytes take.
const RANGES: [usize; 4] = [256, 120, 40, 1];
/// Steps in f32 lose about 2^-17 of a byte's unit to rounding, which standardisation divides by the
/// deviation: next to nothing for usual images, much for one without contrast.
const BOUNDS: [f64; 4] = [1e-5, 1e-5, 2e-5, 1e-2];

/// Images with strong and weak contrast, and a constant one.
fn images() -> Vec<[u8; IMAGE_BYTES]> {
    let image = |number: usize| {
        let mut draws = Draws::new(1, Use::Record, number as u64);
        let range = RANGES[number % 4];
        std::array::from_fn(|_| (255 - draws.below(range)) as u8)
    };
    (0..BATCH).map(image).collect()
}

/// The largest difference between `distort` and the tutorial's steps in f64, for each of [`RANGES`].
fn differences(distort: fn(&Tensor, &[Distortion]) -> Result<Tensor>) -> [f64; 4] {
    let images = images();
    let shape = (BATCH, CHANNELS, SIDE, SIDE);
    let bytes = Tensor::from_vec(images.concat(), shape, &Device::Cpu).unwrap();
    let distortions: Vec<_> = (0..BATCH as u64).map(|n| Distortion::draw(1, n)).collect();
    let out = distort(&bytes, &distortions).unwrap();
    assert_eq!(out.dims(), [BATCH, CROP, CROP, CHANNELS]);
    let values: Vec<f32> = out.flatten_all().unwrap().to_vec1().unwrap();
    let mut largest = [0.0; 4];
    for (number, image) in values.chunks_exact(LENGTH).enumerate() {
        let steps = step_by_step(&images[number], &distortions[number]);
        for (value, step) in image.iter().zip(steps) {
            let difference = (f64::from(*value) - step).abs();
            assert!(difference.is_finite());
            largest[number % 4] = f64::max(largest[number % 4], difference);
        }
    }
    largest
}

#[test]
fn operations_on_the_device_equal_the_steps() {
    for threads in [1, 2, 5] {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        for differences in pool.install(|| [differences(per_image), differences(batched)]) {
            let holds = differences
                .iter()
                .zip(BOUNDS)
                .all(|(difference, bound)| *difference < bound);
            assert!(
                holds,
                "with {threads} threads they differ by {differences:?}"
            );
        }
    }
}
