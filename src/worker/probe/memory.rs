//! Ceilings of memory on one core: copies from array to array, and into and out of memory that other
//! processes could map.

use super::filled;
use super::pair::alone;
use crate::worker::exchange::transport::Segment;
use crate::worker::passes::{Store, bring};
use anyhow::Result;

/// All tensors from one array to another.
pub fn copy(lengths: &[usize], place: usize) -> Result<Vec<f64>> {
    alone(place, || {
        let (from, mut into) = (filled(lengths), filled(lengths));
        Ok(move || {
            for (into, from) in into.iter_mut().zip(&from) {
                bring(from, into, Store::Streamed);
            }
            Ok(())
        })
    })
}

/// All tensors into shared memory.
pub fn into(lengths: &[usize], place: usize) -> Result<Vec<f64>> {
    alone(place, || {
        let (gradients, pushed) = (filled(lengths), Segment::create(lengths.iter().sum())?);
        Ok(move || {
            write(&gradients, &pushed);
            Ok(())
        })
    })
}

/// All tensors into shared memory, and as many out of it.
pub fn into_and_out_of(lengths: &[usize], place: usize) -> Result<Vec<f64>> {
    alone(place, || {
        let elements = lengths.iter().sum();
        let (gradients, mut parameters) = (filled(lengths), filled(lengths));
        let (pushed, pulled) = (Segment::create(elements)?, Segment::create(elements)?);
        Ok(move || {
            write(&gradients, &pushed);
            read(&pulled, &mut parameters);
            Ok(())
        })
    })
}

fn write(tensors: &[Vec<f32>], segment: &Segment) {
    let mut at = 0;
    for tensor in tensors {
        // SAFETY: nobody else has this segment, which is as long as all tensors together.
        let part = unsafe { segment.memory().slice_mut(at..at + tensor.len()) };
        bring(tensor, part, Store::Streamed);
        at += tensor.len();
    }
}

fn read(segment: &Segment, tensors: &mut [Vec<f32>]) {
    let mut at = 0;
    for tensor in tensors {
        let until = at + tensor.len();
        // SAFETY: nobody else has this segment, which is as long as all tensors together.
        let part = unsafe { segment.memory().slice(at..until) };
        bring(part, tensor, Store::Streamed);
        at = until;
    }
}
