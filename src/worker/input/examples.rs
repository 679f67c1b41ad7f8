//! In: records. Out: an endless sequence of examples, numbered over all replicas of a cell, each of
//! which is a record with a distortion of its own. Knows neither threads nor devices.

use super::cifar10_file::{Record, Records};
use super::distort::{Distorted, Distortion};
use super::pipeline::{HostBatch, Source};
use super::prefetch::prefetch;
use super::random::{Draws, Use, mix};
use std::sync::Arc;

/// The examples of a cell. Example `n` is the same in every replica, thread and placement.
///
/// Each epoch, that is each run of as many examples as there are records, holds every record once, in
/// an order of its own.
#[derive(Clone, Debug)]
pub struct Examples {
    records: Arc<Records>,
    seed: u64,
}

/// A distorted image and its class.
#[derive(Default)]
pub struct Example {
    image: Distorted,
    label: u8,
}

impl Example {
    /// Becomes the distortion of `record`.
    pub fn take(&mut self, record: Record<'_>, distortion: &Distortion) {
        self.image.take(record.image, distortion);
        self.label = record.label;
    }

    /// Appends the image, `(row, column, channel)`, and the label.
    pub fn append(&self, batch: &mut HostBatch) {
        self.image.append(&mut batch.values);
        batch.labels.push(self.label);
    }
}

/// Which example numbers one consumer takes: `first`, `first + stride`, and so on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    pub first: u64,
    pub stride: u64,
}

impl Share {
    /// The number of this share's example `index`.
    pub fn number(&self, index: u64) -> u64 {
        self.first + self.stride * index
    }

    /// The numbers of `count` examples of this share, from example `index` on.
    pub fn numbers(&self, index: u64, count: usize) -> Vec<u64> {
        let indices = index..index + count as u64;
        indices.map(|index| self.number(index)).collect()
    }
}

impl Examples {
    pub fn new(records: Arc<Records>, seed: u64) -> Self {
        Self { records, seed }
    }

    /// The record of example `number`.
    pub fn record(&self, number: u64) -> Record<'_> {
        let count = self.records.count() as u64;
        let key = Draws::new(self.seed, Use::Order, number / count).bits();
        let place = permuted(number % count, count, key);
        self.records.record(place as usize)
    }

    /// What is done to the record of example `number`.
    pub fn distortion(&self, number: u64) -> Distortion {
        Distortion::draw(self.seed, number)
    }
}

/// The examples of one share, as what a pipeline is fed from.
///
/// Records and the examples of a shuffle buffer lie anywhere in tens of megabytes, so each is fetched
/// while the one before it is worked on.
pub struct SharedExamples {
    pub examples: Examples,
    pub share: Share,
}

impl Source for SharedExamples {
    type Example = Example;

    fn make(&self, first: u64, examples: &mut [Box<Example>]) {
        let mut next = self.examples.record(self.share.number(first));
        for (index, place) in (first..).zip(0..examples.len()) {
            let record = next;
            next = self.examples.record(self.share.number(index + 1));
            prefetch(next.image);
            if let Some(example) = examples.get(place + 1) {
                prefetch(&**example);
            }
            let distortion = self.examples.distortion(self.share.number(index));
            examples[place].take(record, &distortion);
        }
    }

    fn append(&self, examples: &[Box<Example>], batch: &mut HostBatch) {
        for (place, example) in examples.iter().enumerate() {
            if let Some(next) = examples.get(place + 1) {
                prefetch(&**next);
            }
            example.append(batch);
        }
    }
}

/// The place of `index` in the permutation of `0..count` that `key` names: a Feistel network over the
/// next even number of bits, applied until it ends below `count` (Black and Rogaway, "Ciphers with
/// arbitrary finite domains", 2002). Needs no table, so any thread can ask for any place.
fn permuted(index: u64, count: u64, key: u64) -> u64 {
    let half = (u64::BITS - (count - 1).leading_zeros()).div_ceil(2);
    let mask = (1 << half) - 1;
    let mut place = index;
    loop {
        let (mut left, mut right) = (place >> half, place & mask);
        for round in 0..4 {
            (left, right) = (right, left ^ (mix(key ^ (right << 2) ^ round) & mask));
        }
        place = left << half | right;
        if place < count {
            return place;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_epoch_holds_every_record_once(count in 1_u64..3_000, key: u64) {
            let mut places: Vec<u64> = (0..count).map(|i| permuted(i, count, key)).collect();
            places.sort();
            prop_assert!(places.into_iter().eq(0..count));
        }
    }

    #[test]
    fn epochs_have_orders_of_their_own() {
        let order = |key| (0..100).map(|i| permuted(i, 100, key)).collect::<Vec<_>>();
        assert_ne!(order(1), order(2));
        assert_ne!(order(1), (0..100).collect::<Vec<_>>());
        let still = order(1).iter().zip(0..).filter(|(a, b)| **a == *b).count();
        assert!(still < 10, "{still} records did not move");
    }

    #[test]
    fn shares_of_all_replicas_cover_every_example_once() {
        let shares = (0..3).map(|first| Share { first, stride: 3 });
        let mut numbers: Vec<u64> = shares
            .flat_map(|share| (0..4).map(move |index| share.number(index)))
            .collect();
        numbers.sort();
        assert!(numbers.into_iter().eq(0..12));
    }
}
