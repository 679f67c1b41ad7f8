//! Ceilings of memory on one core: copies from array to array, and into and out of memory that other
//! processes could map.

use super::pair::alone;
use super::{Load, filled};
use crate::worker::exchange::transport::Segment;
use crate::worker::passes::{Store, bring};
use anyhow::Result;

/// All tensors from one array to another.
pub fn copy(load: &Load, place: usize) -> Result<Vec<f64>> {
    alone(place, load.again, || {
        let (from, mut into) = (filled(&load.lengths), filled(&load.lengths));
        Ok(move || {
            for (into, from) in into.iter_mut().zip(&from) {
                bring(from, into, Store::Streamed);
            }
            Ok(())
        })
    })
}

/// All tensors into shared memory.
pub fn into(load: &Load, place: usize) -> Result<Vec<f64>> {
    alone(place, load.again, || {
        let (gradients, pushed) = (filled(&load.lengths), Segment::create(load.elements())?);
        Ok(move || {
            write(&gradients, &pushed);
            Ok(())
        })
    })
}

/// All tensors into shared memory, and as many out of it.
pub fn into_and_out_of(load: &Load, place: usize) -> Result<Vec<f64>> {
    alone(place, load.again, || {
        let elements = load.elements();
        let (gradients, mut parameters) = (filled(&load.lengths), filled(&load.lengths));
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
