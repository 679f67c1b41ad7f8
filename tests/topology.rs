//! A topology does not change the mathematics: replicas that share a global batch end with the
//! parameters of one replica that has all of it.

use candle_core::{Device, Result, Tensor};
use std::sync::{Arc, Barrier};
use xrun::spec::settings::Settings;
use xrun::terms::{Convolution, ModelName};
use xrun::worker::clock::StepClock;
use xrun::worker::exchange::group;
use xrun::worker::input::{Batch, Input};
use xrun::worker::layer::Tape;
use xrun::worker::model::{self, Model};
use xrun::worker::parameters::{Parameters, values};
use xrun::worker::step_loop::{Pace, StepLoop};

const GLOBAL_BATCH: usize = 128;
const STEPS: u64 = 5;

/// The same part of one fixed global batch in every step, others in other steps.
struct Part {
    replica: usize,
    replicas: usize,
    step: u64,
}

/// A number in [0, 1) for each (step, example, element).
fn uniform(step: u64, example: usize, element: usize) -> f32 {
    let mut x =
        step.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ ((example as u64) << 32 | element as u64);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((x ^ (x >> 31)) >> 40) as f32 / (1u64 << 24) as f32
}

impl Input for Part {
    fn next(&mut self, _: &mut StepClock) -> Result<Batch> {
        let count = GLOBAL_BATCH / self.replicas;
        let examples = self.replica * count..(self.replica + 1) * count;
        let pixels = 24 * 24 * 3;
        let image = |example: usize| (0..pixels).map(move |i| (example, i));
        let inputs: Vec<f32> = examples
            .clone()
            .flat_map(image)
            .map(|(example, i)| 4.0 * uniform(self.step, example, i) - 2.0)
            .collect();
        let targets: Vec<u32> = examples
            .map(|e| (uniform(self.step, e, pixels) * 10.0) as u32)
            .collect();
        self.step += 1;
        Ok(Batch {
            examples: count,
            inputs: Tensor::from_vec(inputs, (count, 24, 24, 3), &Device::Cpu)?,
            label_sum: targets.iter().map(|label| u64::from(*label)).sum(),
            targets: Tensor::from_vec(targets, count, &Device::Cpu)?,
        })
    }
}

fn settings(learning_rate: f64) -> Settings {
    Settings {
        learning_rate,
        warmup_steps: 1,
        steps: STEPS - 1,
        ..Settings::defaults(ModelName::Cifar10)
    }
}

/// All parameters after the steps, and the digest that each replica reports.
fn train(settings: &Settings, replicas: usize) -> (Vec<f32>, Vec<String>) {
    let model: Arc<dyn Model> = Arc::from(model::build(settings, settings.seed).unwrap());
    let parameters = Arc::new(Parameters::new(model.parameters()).unwrap());
    let members = group::form(settings, &parameters, replicas);
    let start_line = Arc::new(Barrier::new(replicas));
    let threads: Vec<_> = members
        .into_iter()
        .enumerate()
        .map(|(replica, member)| {
            let mut steps = StepLoop {
                replica,
                model: model.clone(),
                input: Box::new(Part {
                    replica,
                    replicas,
                    step: 0,
                }),
                exchange: member,
                tape: Tape::default(),
                start_line: start_line.clone(),
                pace: Pace::of(settings),
                places: parameters.places(),
                checkpoints: None,
            };
            let parameters = parameters.clone();
            std::thread::spawn(move || {
                let pool = rayon::ThreadPoolBuilder::new()
                    .num_threads(1)
                    .build()
                    .unwrap();
                pool.install(|| {
                    let seen = steps.run().unwrap();
                    assert_eq!(
                        seen.examples as usize,
                        (STEPS as usize - 1) * GLOBAL_BATCH / replicas
                    );
                    parameters.digest().unwrap()
                })
            })
        })
        .collect();
    let digests = threads
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .collect();
    let flat = model
        .parameters()
        .iter()
        .flat_map(|(_, variable)| values(variable).unwrap().to_vec())
        .collect();
    (flat, digests)
}

/// ‖a − b‖ / ‖b‖ over all parameters.
fn relative_distance(a: &[f32], b: &[f32]) -> f64 {
    let square = |x: f64| x * x;
    let difference: f64 = a.iter().zip(b).map(|(a, b)| square(f64::from(a - b))).sum();
    let norm: f64 = b.iter().map(|b| square(f64::from(*b))).sum();
    (difference / norm).sqrt()
}

#[test]
fn replicas_that_share_a_batch_train_as_one_does() {
    // Winograd's rounding errors are a few times larger, and five steps make more of them.
    check(Convolution::Direct, 1e-5);
    check(Convolution::Winograd, 1e-4);
}

/// Holds two and four replicas against one.
fn check(convolution: Convolution, bound: f64) {
    let settings = Settings {
        convolution,
        ..settings(0.1)
    };
    let initial = model::build(&settings, settings.seed).unwrap();
    let initial: Vec<f32> = initial
        .parameters()
        .iter()
        .flat_map(|(_, variable)| values(variable).unwrap().to_vec())
        .collect();
    let (alone, _) = train(&settings, 1);
    let moved = relative_distance(&alone, &initial);
    assert!(moved > 1e-3, "training moves the parameters: {moved}");
    for replicas in [2, 4] {
        let (shared, digests) = train(&settings, replicas);
        let distance = relative_distance(&shared, &alone);
        assert!(
            distance < bound,
            "{convolution}: {replicas} replicas are {distance:e} from one"
        );
        assert!(
            digests.windows(2).all(|pair| pair[0] == pair[1]),
            "every replica reads the same variables"
        );
    }
}

#[test]
fn the_same_replicas_end_with_the_same_bits() {
    let settings = settings(0.1);
    let (first, second) = (train(&settings, 2), train(&settings, 2));
    assert_eq!(first.1, second.1);
}
