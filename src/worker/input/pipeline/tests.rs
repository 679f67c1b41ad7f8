use super::*;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicUsize, Ordering};

fn shape(threads: usize, buffer: usize) -> Shape {
    Shape {
        width: 3,
        batch: 8,
        buffer,
        threads,
        consumers: 1,
        seed: 1,
    }
}

/// A source that asks a function for three equal values and the label of each example.
struct Triples<F>(F);

impl<F: Fn(u64) -> (f32, u8) + Send + Sync + 'static> Source for Triples<F> {
    type Example = (f32, u8);

    fn make(&self, first: u64, examples: &mut [Box<(f32, u8)>]) {
        for (number, example) in (first..).zip(examples) {
            **example = (self.0)(number);
        }
    }

    fn append(&self, examples: &[Box<(f32, u8)>], batch: &mut HostBatch) {
        for (value, label) in examples.iter().map(|example| **example) {
            // SAFETY: all three are written.
            unsafe {
                batch
                    .values
                    .append(|room| *room = [MaybeUninit::new(value); 3])
            };
            batch.labels.push(label);
        }
    }
}

/// A pipeline whose example `n` is `[n, n, n]` with the label `n` modulo 251.
fn counting(shape: Shape) -> Pipeline<Triples<impl Fn(u64) -> (f32, u8) + Send + Sync + 'static>> {
    let source = Triples(|number| (number as f32, (number % 251) as u8));
    Pipeline::new(shape, source).unwrap()
}

/// The example numbers of `batch`, after a check that each example is whole.
fn numbers(batch: &HostBatch) -> Vec<u64> {
    let examples = batch.values.chunks_exact(3).zip(&batch.labels);
    examples
        .map(|(values, label)| {
            assert_eq!(values, [values[0]; 3]);
            assert_eq!(values[0] as u64 % 251, u64::from(*label));
            values[0] as u64
        })
        .collect()
}

#[test]
fn batches_are_the_same_for_any_number_of_threads() {
    let batches = |threads| -> Vec<HostBatch> {
        let pipeline = counting(shape(threads, 100));
        (0..200).map(|_| pipeline.next().unwrap()).collect()
    };
    let one = batches(1);
    assert!(one.iter().all(|batch| batch.labels.len() == 8));
    assert!(one == batches(2));
    assert!(one == batches(16));
}

#[test]
fn prefill_fills_the_buffer_and_no_more_than_there_is_room_for() {
    let written = Arc::new(AtomicUsize::new(0));
    let count = written.clone();
    let source = Triples(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        (0.0, 0)
    });
    let shape = shape(2, 1_000);
    let pipeline = Pipeline::new(shape, source).unwrap();
    assert_eq!(
        written.load(Ordering::Relaxed),
        0,
        "threads wait for prefill"
    );
    pipeline.prefill().unwrap();
    let filled = written.load(Ordering::Relaxed);
    // A draw's examples, those ahead of it, and those of the batches that wait to be taken.
    let most = 1_008 + 64 + shape.queue() * shape.batch;
    assert!((1_008..=most).contains(&filled), "{filled} examples");
    pipeline.prefill().unwrap();
    pipeline.next().unwrap();
    pipeline.prefill().unwrap();
}

#[test]
fn consumers_of_one_pipeline_share_its_batches_without_loss() {
    let pipeline = counting(Shape {
        consumers: 2,
        ..shape(3, 64)
    });
    pipeline.prefill().unwrap();
    let take = || {
        (0..100)
            .flat_map(|_| numbers(&pipeline.next().unwrap()))
            .collect()
    };
    let (one, two): (Vec<u64>, Vec<u64>) = std::thread::scope(|scope| {
        let other = scope.spawn(take);
        (take(), other.join().unwrap())
    });
    let mut shared = [one, two].concat();
    shared.sort();
    let alone = counting(shape(1, 64));
    let mut expected: Vec<u64> = (0..200)
        .flat_map(|_| numbers(&alone.next().unwrap()))
        .collect();
    expected.sort();
    assert_eq!(shared, expected);
}

#[test]
fn batches_are_made_in_memory_that_is_kept() {
    let pipeline = counting(shape(1, 0));
    pipeline.keep(HostBatch {
        values: Values::Own(Vec::with_capacity(1000)),
        labels: vec![7; 5],
    });
    let first = [(); 2].map(|()| pipeline.next().unwrap());
    let rooms = first.map(|batch| match batch.values {
        Values::Own(values) => (values.len(), values.capacity(), batch.labels.len()),
        Values::Pinned { .. } => unreachable!("no GPU has given memory"),
    });
    assert_eq!(rooms, [(24, 1000, 8), (24, 24, 8)]);
}

#[test]
fn a_batch_that_is_ready_is_taken_in_turn() {
    let pipeline = counting(shape(1, 0));
    let first = pipeline.next().unwrap();
    let second = (0..1000).find_map(|_| {
        std::thread::sleep(Duration::from_millis(1));
        pipeline.next_if_ready()
    });
    let third = pipeline.next().unwrap();
    let mut all = [first, second.unwrap(), third]
        .map(|batch| numbers(&batch))
        .concat();
    all.sort();
    assert!(all.into_iter().eq(0..24));
}

#[test]
fn dropping_a_pipeline_ends_its_threads() {
    for started in [false, true] {
        let held = Arc::new(());
        let holder = held.clone();
        let source = Triples(move |_| {
            let _ = &holder;
            (0.0, 0)
        });
        let pipeline = Pipeline::new(shape(4, 10), source).unwrap();
        if started {
            pipeline.next().unwrap();
        }
        let threads = Arc::downgrade(&pipeline.shared);
        drop(pipeline);
        assert_eq!(threads.strong_count(), 0, "no thread holds the pipeline");
        assert_eq!(Arc::strong_count(&held), 1);
    }
}

#[test]
fn a_panic_of_a_thread_reaches_whoever_takes_batches() {
    let source = Triples(|number| {
        assert!(number < 300, "no example {number}");
        (0.0, 0)
    });
    let pipeline = Pipeline::new(shape(4, 10), source).unwrap();
    let error = (0..100)
        .find_map(|_| pipeline.next().err())
        .unwrap()
        .to_string();
    assert!(
        error.starts_with("the input pipeline failed: no example 3"),
        "{error}"
    );
    assert!(pipeline.next().is_err());
}

#[test]
fn threads_leave_the_cores_of_whoever_started_them() {
    let all = process_cpus().unwrap();
    let pinned = std::thread::spawn(move || {
        let mut first = CpuSet::new();
        let cpu = (0..CpuSet::MAX_CPU).find(|cpu| all.is_set(*cpu)).unwrap();
        first.set(cpu);
        sched_setaffinity(None, &first).unwrap();
        let source = Triples(|_| (sched_getaffinity(None).unwrap().count() as f32, 0));
        Pipeline::new(shape(1, 0), source).unwrap().next().unwrap()
    });
    assert_eq!(pinned.join().unwrap().values[0], all.count() as f32);
}

#[test]
fn a_pipeline_without_threads_is_refused() {
    let error = Pipeline::new(shape(0, 10), Triples(|_| (0.0, 0)))
        .err()
        .unwrap();
    assert_eq!(
        error.to_string(),
        "an input pipeline needs input.threads and a batch of at least 1"
    );
}
