//! The inputs of replicas, from the job that a worker gets to the batches of its steps.

use std::collections::HashMap;
use std::path::Path;
use xrun::protocol::{DeviceJob, Job, VERSION};
use xrun::spec::settings::Settings;
use xrun::terms::*;
use xrun::worker::clock::StepClock;
use xrun::worker::input::{self, Batch, Input};

/// The generated files hold this many records.
const EPOCH: usize = 10_000;

fn job(cache: &Path, change: impl FnOnce(&mut Settings)) -> Job {
    let mut settings = Settings {
        local_batch: 100,
        layers: vec![256, 4096, 64],
        device_pipeline: DevicePipeline::Batched,
        input_threads: 3,
        shuffle_buffer: 500,
        topology: Topology::Replicated,
        ..Settings::defaults(ModelName::Cifar10)
    };
    change(&mut settings);
    Job {
        protocol: VERSION,
        rank: 0,
        world_size: 1,
        role: xrun::terms::RoleName::Worker,
        token: String::new(),
        checkpoints: None,
        devices: vec![DeviceJob::Cpu { cores: vec![0] }; settings.devices_per_worker],
        settings,
        cache: cache.to_path_buf(),
    }
}

fn open(job: &Job) -> Vec<Box<dyn Input>> {
    input::open(job, &vec![None; job.devices.len()]).unwrap()
}

fn next(input: &mut Box<dyn Input>) -> Batch {
    input.next(&mut StepClock::start()).unwrap()
}

/// The images of `batches` batches, in one sequence.
fn images(input: &mut Box<dyn Input>, batches: usize) -> Vec<Vec<f32>> {
    let rows = (0..batches).flat_map(|_| {
        let batch = next(input);
        assert_eq!(batch.inputs.dims(), [batch.examples, 24, 24, 3]);
        let labels: Vec<u32> = batch.targets.to_vec1().unwrap();
        assert_eq!(labels.len(), batch.examples);
        assert_eq!(
            labels.iter().map(|l| u64::from(*l)).sum::<u64>(),
            batch.label_sum
        );
        batch.inputs.flatten_from(1).unwrap().to_vec2().unwrap()
    });
    rows.collect()
}

/// An image by which it can be found again in spite of rounding.
fn key(image: &[f32]) -> [i32; 6] {
    std::array::from_fn(|i| (image[i * 311] * 1e3).round() as i32)
}

#[test]
fn host_and_device_make_the_same_images() {
    let cache = tempfile::tempdir().unwrap();
    // Without a buffer, a batch of the host is the device's in another order.
    let mut host = open(&job(cache.path(), |s| s.shuffle_buffer = 0));
    let host = images(&mut host[0], 5);
    for cut in [DevicePipeline::PerImage, DevicePipeline::Batched] {
        let mut device = open(&job(cache.path(), |settings| {
            settings.input_placement = Placement::Device;
            settings.device_pipeline = cut;
        }));
        for image in images(&mut device[0], 5) {
            let distance = |other: &Vec<f32>| -> f32 {
                let differences = image.iter().zip(other).map(|(a, b)| (a - b).abs());
                differences.fold(0.0, f32::max)
            };
            let nearest = host.iter().map(distance).fold(f32::MAX, f32::min);
            assert!(
                nearest < 1e-5,
                "{cut}: the nearest image differs by {nearest}"
            );
        }
    }
}

#[test]
fn an_epoch_on_the_device_holds_every_record_once() {
    let cache = tempfile::tempdir().unwrap();
    let job = job(cache.path(), |settings| {
        settings.input_placement = Placement::Device;
        settings.devices_per_worker = 2;
    });
    let mut inputs = open(&job);
    let sum = |inputs: &mut Vec<Box<dyn Input>>| -> u64 {
        let steps = 0..EPOCH / 100 / 2;
        steps
            .flat_map(|_| {
                inputs
                    .iter_mut()
                    .map(|input| next(input).label_sum)
                    .collect::<Vec<_>>()
            })
            .sum()
    };
    let first = sum(&mut inputs);
    assert!(
        first.abs_diff(45_000) < 1_000,
        "labels 0 to 9 sum to {first}"
    );
    assert_eq!(first, sum(&mut inputs), "both epochs hold the same records");
}

#[test]
fn no_two_replicas_and_no_two_workers_see_the_same_image() {
    let cache = tempfile::tempdir().unwrap();
    let mut seen = HashMap::new();
    for rank in 0..2 {
        let mut job = job(cache.path(), |settings| settings.devices_per_worker = 2);
        job.rank = rank;
        job.world_size = 2;
        for input in &mut open(&job) {
            input.prefill().unwrap();
            images(input, 10)
                .iter()
                .for_each(|image| *seen.entry(key(image)).or_insert(0) += 1);
        }
    }
    assert_eq!(seen.len(), 4 * 10 * 100);
}

#[test]
fn a_shared_pipeline_serves_replicas_without_loss() {
    let cache = tempfile::tempdir().unwrap();
    let shared = job(cache.path(), |settings| {
        settings.devices_per_worker = 2;
        settings.pipelines = Pipelines::Shared;
    });
    let mut inputs = open(&shared);
    let halves: Vec<_> = std::thread::scope(|scope| {
        let spawn = |input| {
            scope.spawn(|| {
                let input: &mut Box<dyn Input> = input;
                input.prefill().unwrap();
                images(input, 20)
            })
        };
        let threads: Vec<_> = inputs.iter_mut().map(spawn).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    let alone = images(&mut open(&job(cache.path(), |_| ()))[0], 40);
    let keys = |images: &[Vec<f32>]| {
        let mut keys: Vec<_> = images.iter().map(|image| key(image)).collect();
        keys.sort();
        keys
    };
    assert_eq!(keys(&halves.concat()), keys(&alone));
}

#[test]
fn a_resident_batch_never_changes_and_costs_no_phase() {
    let cache = tempfile::tempdir().unwrap();
    let job = job(cache.path(), |s| s.input_source = InputSource::Resident);
    let input = &mut open(&job)[0];
    let mut clock = StepClock::start();
    let sums = [(); 3].map(|()| input.next(&mut clock).unwrap().label_sum);
    assert_eq!(sums, [sums[0]; 3]);
    assert_eq!(clock.finish(0, 0).unwrap().phases, [0.0; Phase::COUNT]);
    assert_eq!(images(input, 1), images(input, 1));
}

#[test]
fn normal_vectors_are_new_in_each_step_and_replica_and_the_same_for_a_seed() {
    let cache = tempfile::tempdir().unwrap();
    let job = job(cache.path(), |settings| {
        settings.input_source = InputSource::Normal;
        settings.devices_per_worker = 2;
    });
    let draw = || {
        let mut inputs = open(&job);
        let batches = [
            next(&mut inputs[0]),
            next(&mut inputs[0]),
            next(&mut inputs[1]),
        ];
        batches.map(|batch| {
            assert_eq!(batch.inputs.dims(), [100, 256]);
            assert_eq!(batch.targets.dims(), [100, 64]);
            assert_eq!(batch.label_sum, 0);
            let values: Vec<f32> = batch.inputs.flatten_all().unwrap().to_vec1().unwrap();
            let variance = values.iter().map(|v| v * v).sum::<f32>() / values.len() as f32;
            assert!((variance - 1.0).abs() < 0.05, "variance {variance}");
            values
        })
    };
    let [first, second, other] = draw();
    assert!(first != second && first != other && second != other);
    assert!(draw() == [first, second, other]);
}

/// Inputs and targets of a batch of sequences, one after the other for each example.
fn sequences(batch: &Batch, [side, frames, predicted]: [usize; 3]) -> Vec<[Vec<f32>; 2]> {
    assert_eq!(batch.inputs.dims(), [batch.examples, side, side, frames]);
    let targets = batch.targets.dims();
    assert_eq!(targets, [batch.examples, side, side, predicted]);
    let rows = |x: &candle_core::Tensor| x.flatten_from(1).unwrap().to_vec2().unwrap();
    let both = rows(&batch.inputs).into_iter().zip(rows(&batch.targets));
    both.map(|(inputs, targets)| [inputs, targets]).collect()
}

fn without_files(change: impl FnOnce(&mut Settings)) -> Job {
    let folder = Path::new("/no/such/folder");
    let mut job = job(folder, |_| ());
    job.settings = Settings {
        local_batch: 6,
        image_size: 10,
        frames: 4,
        predicted_frames: 2,
        ..Settings::defaults(ModelName::SatSeq2seq)
    };
    change(&mut job.settings);
    job.devices = vec![DeviceJob::Cpu { cores: vec![0] }; job.settings.devices_per_worker];
    job
}

#[test]
fn sequences_follow_from_seed_and_number_whatever_the_threads_and_replicas() {
    let drawn = |threads: usize, replicas: usize, seed: u64| {
        let job = without_files(|settings| {
            settings.devices_per_worker = replicas;
            settings.local_batch = 6 / replicas;
            settings.seed = seed;
        });
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        pool.build().unwrap().install(|| {
            let mut inputs = open(&job);
            let steps: Vec<_> = (0..3)
                .flat_map(|_| {
                    let batches: Vec<_> = inputs
                        .iter_mut()
                        .map(|input| sequences(&next(input), [10, 4, 2]))
                        .collect();
                    // Replicas take examples in turn.
                    (0..6 / replicas).flat_map(move |row| {
                        let batches = batches.clone();
                        batches.into_iter().map(move |batch| batch[row].clone())
                    })
                })
                .collect();
            steps
        })
    };
    let alone = drawn(1, 1, 1);
    assert_eq!(alone.len(), 18);
    assert!(alone.windows(2).all(|pair| pair[0] != pair[1]));
    for (threads, replicas) in [(2, 1), (5, 1), (1, 2), (3, 3)] {
        assert!(
            drawn(threads, replicas, 1) == alone,
            "{threads} threads, {replicas} replicas"
        );
    }
    assert!(drawn(1, 1, 2) != alone, "the seed counts");
}

#[test]
fn frames_move_and_resident_ones_stay() {
    let fresh = without_files(|_| ());
    let mut clock = StepClock::start();
    let batch = open(&fresh)[0].next(&mut clock).unwrap();
    assert!(clock.finish(0, 0).unwrap().phases[Phase::Distort as usize] > 0.0);
    let first = sequences(&batch, [10, 4, 2]);
    for [inputs, targets] in &first {
        let frames = (0..4).map(|t| inputs.iter().skip(t).step_by(4).collect::<Vec<_>>());
        let frames: Vec<_> = frames.collect();
        assert!(frames.windows(2).all(|pair| pair[0] != pair[1]), "it moves");
        let pixels = || inputs.iter().chain(targets);
        assert!(pixels().all(|pixel| (-1e-5..=1.0 + 1e-5).contains(pixel)));
    }
    let resident = without_files(|settings| settings.input_source = InputSource::Resident);
    let input = &mut open(&resident)[0];
    for _ in 0..3 {
        let mut clock = StepClock::start();
        let again = sequences(&input.next(&mut clock).unwrap(), [10, 4, 2]);
        assert!(again == first, "the first batch stays");
        assert_eq!(clock.finish(0, 0).unwrap().phases, [0.0; Phase::COUNT]);
    }
}

#[test]
fn a_resident_batch_is_the_first_one_of_the_vectors_of_a_model() {
    let vectors = |source| {
        let job = without_files(|settings| {
            let layers = vec![9, 4, 3];
            *settings = Settings {
                layers,
                input_source: source,
                ..Settings::defaults(ModelName::Mlp)
            };
        });
        let mut input = open(&job).remove(0);
        [(); 2].map(|()| {
            let batch = next(&mut input);
            assert_eq!(batch.targets.dims(), [128, 3]);
            batch.inputs.to_vec2::<f32>().unwrap()
        })
    };
    let [fresh, resident] = [InputSource::Normal, InputSource::Resident].map(vectors);
    assert!(fresh[0] != fresh[1]);
    assert!(resident == [fresh[0].clone(), fresh[0].clone()]);
}

#[test]
fn each_placement_books_its_own_phases() {
    let cache = tempfile::tempdir().unwrap();
    let phases = |placement| {
        let job = job(cache.path(), |s| s.input_placement = placement);
        let mut clock = StepClock::start();
        open(&job)[0].next(&mut clock).unwrap();
        let window = clock.finish(0, 0).unwrap();
        [Phase::InputWait, Phase::Copy, Phase::Distort].map(|p| window.phases[p as usize] > 0.0)
    };
    assert_eq!(phases(Placement::Host), [true, true, false]);
    assert_eq!(phases(Placement::Device), [false, true, true]);
}

#[test]
fn an_input_that_cannot_be_opened_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let error = |change: fn(&mut Settings)| {
        let error = input::open(&job(folder.path(), change), &[None])
            .err()
            .unwrap();
        format!("{error:#}")
    };
    let missing = error(|settings| {
        settings.input_source = InputSource::Cifar10;
        settings.input_directory = "no/such/folder".into();
    });
    insta::assert_snapshot!(missing, @"cannot open the input: cannot read no/such/folder/data_batch_1.bin: No such file or directory (os error 2); set input.directory to the folder with data_batch_1.bin to data_batch_5.bin of the binary version of CIFAR-10");
    let widths = error(|settings| {
        settings.input_source = InputSource::Normal;
        settings.layers = vec![256];
    });
    insta::assert_snapshot!(widths, @"normal input needs the widths of its vectors: set model.layers to at least two");
    let fused = error(|settings| {
        settings.input_placement = Placement::Device;
        settings.device_pipeline = DevicePipeline::Fused;
    });
    insta::assert_snapshot!(fused, @"a fused input pipeline needs a GPU");
}
