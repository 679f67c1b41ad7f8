//! In: records. Out: distorted batches, made by operations on the replica's own device, inside its step:
//! by tensor operations in the rayon pool of whoever calls, or by kernels of a GPU. Knows no threads.

use super::super::clock::StepClock;
use super::cifar10_file::{CHANNELS, IMAGE_BYTES, SIDE};
use super::distort::{CROP, Distortion, least_deviation};
use super::examples::{Examples, Share};
use super::host::targets;
use super::{Batch, Input};
use crate::terms::Phase;
use candle_core::{D, DType, Device, Result, Tensor};
use rayon::prelude::*;

mod on_gpu;

pub use on_gpu::DistortionOnGpu;

/// How the operations on the device are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// A chain of small operations for each image, as in a graph that handles one example at a time.
    PerImage,
    /// The same chain once for the whole batch, or for one part of it for each thread of a CPU device.
    Batched,
}

/// The input of a replica that distorts on its own cores, inside its step.
pub struct DeviceInput {
    examples: Examples,
    share: Share,
    batch: usize,
    cut: Cut,
    /// Examples taken so far.
    taken: u64,
}

impl DeviceInput {
    pub fn new(examples: Examples, share: Share, batch: usize, cut: Cut) -> Self {
        Self {
            examples,
            share,
            batch,
            cut,
            taken: 0,
        }
    }

    /// The next records' images `(batch, channel, row, column)` on the device, as bytes, and labels.
    fn copy(&self, numbers: &[u64]) -> Result<(Tensor, Vec<u8>)> {
        let mut bytes = Vec::with_capacity(numbers.len() * IMAGE_BYTES);
        let mut labels = Vec::with_capacity(numbers.len());
        for number in numbers {
            let record = self.examples.record(*number);
            bytes.extend_from_slice(record.image);
            labels.push(record.label);
        }
        let shape = (numbers.len(), CHANNELS, SIDE, SIDE);
        Ok((Tensor::from_vec(bytes, shape, &Device::Cpu)?, labels))
    }
}

impl Input for DeviceInput {
    fn next(&mut self, clock: &mut StepClock) -> Result<Batch> {
        let numbers = self.share.numbers(self.taken, self.batch);
        self.taken += self.batch as u64;
        let (images, labels) = self.copy(&numbers)?;
        let (targets, label_sum) = targets(&labels, &Device::Cpu)?;
        clock.book(Phase::Copy);
        let draw = |number: &u64| self.examples.distortion(*number);
        let distortions: Vec<Distortion> = numbers.iter().map(draw).collect();
        let inputs = match self.cut {
            Cut::PerImage => per_image(&images, &distortions)?,
            Cut::Batched => batched(&images, &distortions)?,
        };
        clock.book(Phase::Distort);
        Ok(Batch {
            examples: self.batch,
            inputs,
            targets,
            label_sum,
        })
    }
}

/// Distorts `images` `(batch, channel, row, column)` of bytes one by one, to `(batch, row, column,
/// channel)` in f32.
pub fn per_image(images: &Tensor, distortions: &[Distortion]) -> Result<Tensor> {
    let distorted: Result<Vec<Tensor>> = distortions
        .par_iter()
        .enumerate()
        .map(|(index, distortion)| one_image(&images.get(index)?, distortion))
        .collect();
    Tensor::stack(&distorted?, 0)
}

/// One image of bytes `(channel, row, column)` to `(row, column, channel)` in f32.
fn one_image(image: &Tensor, distortion: &Distortion) -> Result<Tensor> {
    let mut crop = image
        .to_dtype(DType::F32)?
        .narrow(1, distortion.top, CROP)?
        .narrow(2, distortion.left, CROP)?
        .contiguous()?;
    if distortion.flip {
        crop = crop.flip(&[2])?;
    }
    let bright = (crop + f64::from(distortion.brightness))?;
    let mean = plane_means(&bright)?;
    let contrast = (bright.broadcast_sub(&mean)? * f64::from(distortion.contrast))?;
    let contrast = contrast.broadcast_add(&mean)?;
    standardise(&contrast)?.permute((1, 2, 0))?.contiguous()
}

/// Distorts `images` `(batch, channel, row, column)` of bytes together, to `(batch, row, column,
/// channel)` in f32.
pub fn batched(images: &Tensor, distortions: &[Distortion]) -> Result<Tensor> {
    if images.device().is_cpu() && rayon::current_num_threads() > 1 {
        let part = distortions.len().div_ceil(rayon::current_num_threads());
        let parts: Result<Vec<Tensor>> = distortions
            .par_chunks(part)
            .enumerate()
            .map(|(index, some)| one_batch(&images.narrow(0, index * part, some.len())?, some))
            .collect();
        return Tensor::cat(&parts?, 0);
    }
    one_batch(images, distortions)
}

fn one_batch(images: &Tensor, distortions: &[Distortion]) -> Result<Tensor> {
    let numbers = |of: fn(&Distortion) -> f32| -> Result<Tensor> {
        let values: Vec<f32> = distortions.iter().map(of).collect();
        Tensor::from_vec(values, (distortions.len(), 1, 1, 1), images.device())
    };
    let crops = crop_and_flip(images, distortions)?.to_dtype(DType::F32)?;
    let bright = crops.broadcast_add(&numbers(|d| d.brightness)?)?;
    let mean = plane_means(&bright)?;
    let contrast = bright
        .broadcast_sub(&mean)?
        .broadcast_mul(&numbers(|d| d.contrast)?)?
        .broadcast_add(&mean)?;
    standardise(&contrast)?.permute((0, 2, 3, 1))?.contiguous()
}

/// Crops of the bytes `(batch, channel, row, column)`, mirrored where they should be, by one gather.
fn crop_and_flip(images: &Tensor, distortions: &[Distortion]) -> Result<Tensor> {
    let batch = distortions.len();
    let mut places = Vec::with_capacity(batch * CHANNELS * CROP * CROP);
    for distortion in distortions {
        for _ in 0..CHANNELS {
            places.extend(crop_places(distortion));
        }
    }
    let shape = (batch, CHANNELS, CROP * CROP);
    let places = Tensor::from_vec(places, shape, images.device())?;
    images
        .reshape((batch, CHANNELS, SIDE * SIDE))?
        .contiguous()?
        .gather(&places, 2)?
        .reshape((batch, CHANNELS, CROP, CROP))
}

/// For each pixel of a crop, where it lies in a plane.
fn crop_places(distortion: &Distortion) -> impl Iterator<Item = u32> + use<> {
    let Distortion {
        top, left, flip, ..
    } = *distortion;
    (0..CROP * CROP).map(move |pixel| {
        let (row, column) = (pixel / CROP, pixel % CROP);
        let column = if flip { CROP - 1 - column } else { column };
        ((top + row) * SIDE + left + column) as u32
    })
}

/// The mean of each plane of `(…, row, column)`. Rows first: the partial sums stay small, and f32
/// keeps more of them.
fn plane_means(planes: &Tensor) -> Result<Tensor> {
    planes.mean_keepdim(D::Minus1)?.mean_keepdim(D::Minus2)
}

/// Each image of `(…, channel, row, column)` less its mean, over its standard deviation or the least.
fn standardise(images: &Tensor) -> Result<Tensor> {
    let centred = images.broadcast_sub(&image_means(images)?)?;
    let deviation = image_means(&centred.sqr()?)?.sqrt()?;
    centred.broadcast_div(&deviation.maximum(least_deviation())?)
}

fn image_means(images: &Tensor) -> Result<Tensor> {
    plane_means(images)?.mean_keepdim(D::Minus(3))
}

#[cfg(test)]
mod tests;
