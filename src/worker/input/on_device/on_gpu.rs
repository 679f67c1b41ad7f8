//! In: records. Out: batches that kernels of a GPU distort inside the step. Knows neither threads nor
//! models.
//!
//! The bytes of a batch's images, what is drawn for them and their labels lie in one piece of page-locked
//! memory and go to the GPU in one copy, on the main queue. Then come kernels: `fused` has one for the
//! batch. `per-image` has six for each image: crop with mirror and cast, brightness, means of the channels,
//! contrast, mean and deviation, standardisation; so a graph of TensorFlow launches about as many, from its
//! slice to its division by the deviation. `batched` has the same six once for all images.

use super::super::cifar10_file::{CHANNELS, IMAGE_BYTES};
use super::super::distort::{CROP, Distortion, LENGTH};
use super::super::examples::{Examples, Share};
use super::super::{Batch, Input};
use crate::terms::{DevicePipeline, Phase};
use crate::worker::clock::StepClock;
use crate::worker::gpu::{Arg, Event, Gpu, Launch, Pinned, Span};
use candle_core::{DType, Result, Tensor};
use std::ops::Range;

/// Bytes of a `Distortion` of the kernels: six words.
const DISTORTION_BYTES: usize = 24;
/// `IMAGE_THREADS` of the kernels.
const THREADS: u32 = 192;

/// The input of a replica that distorts on its GPU.
pub struct DistortionOnGpu {
    examples: Examples,
    share: Share,
    pipeline: DevicePipeline,
    gpu: Gpu,
    /// Filled in turn, so that one can be filled while the other is copied.
    packed: [Packed; 2],
    turn: usize,
    memory: Memory,
    /// Examples taken so far.
    taken: u64,
}

/// A batch as it goes to the GPU: the images, then a `Distortion` for each.
struct Packed {
    bytes: Pinned<u8>,
    copied: Event,
}

/// What a batch takes on the GPU.
struct Memory {
    /// As it comes from the host.
    packed: Tensor,
    inputs: Tensor,
    targets: Tensor,
    /// Of the channels of each image.
    means: Tensor,
    /// Mean and standard deviation of each image.
    moments: Tensor,
}

impl DistortionOnGpu {
    pub fn new(
        examples: Examples,
        share: Share,
        batch: usize,
        pipeline: DevicePipeline,
        gpu: Gpu,
    ) -> Result<Self> {
        Ok(Self {
            examples,
            share,
            pipeline,
            packed: [Packed::new(&gpu, batch)?, Packed::new(&gpu, batch)?],
            turn: 0,
            memory: Memory::new(&gpu, batch)?,
            taken: 0,
            gpu,
        })
    }

    fn batch(&self) -> usize {
        self.memory.targets.elem_count()
    }

    /// Puts the copy of the next examples to the GPU on the main queue. Returns the sum of their labels.
    ///
    /// Where the host is two steps ahead it waits here, for the memory of the batch before the last one.
    /// That is no work of the host's, and the device does not notice: `input_wait`, of no seconds.
    fn copy(&mut self, clock: &mut StepClock) -> Result<u64> {
        let numbers = self.share.numbers(self.taken, self.batch());
        self.taken += numbers.len() as u64;
        let packed = &mut self.packed[self.turn];
        self.turn = 1 - self.turn;
        packed.copied.synchronize()?;
        clock.book(Phase::InputWait);
        let label_sum = pack(&self.examples, &numbers, packed.bytes.as_mut_slice());
        let queue = self.gpu.queue();
        queue.upload(&packed.bytes, 0, self.gpu.span(&self.memory.packed)?)?;
        packed.copied.record(queue)?;
        Ok(label_sum)
    }

    fn distort(&self) -> Result<()> {
        let batch = self.batch();
        match self.pipeline {
            DevicePipeline::PerImage => (0..batch).try_for_each(|i| self.chain(i..i + 1)),
            DevicePipeline::Batched => self.chain(0..batch),
            DevicePipeline::Fused => self.fused(),
        }
    }

    fn fused(&self) -> Result<()> {
        let batch = self.batch();
        let part = self.memory.part(&self.gpu, 0..batch)?;
        let args = [part.images, part.distortions, part.values, part.targets];
        let launch = Launch::blocks(batch, THREADS);
        self.gpu.launch::<f32>("distort_fused", launch, &args)
    }

    /// The small kernels, once for all of `images`.
    fn chain(&self, images: Range<usize>) -> Result<()> {
        let one = Launch::blocks(images.len(), THREADS);
        let parts = LENGTH.div_ceil(THREADS as usize) as u32;
        let all = Launch {
            grid: [one.grid[0], parts, 1],
            ..one
        };
        let Part {
            images,
            distortions,
            values,
            targets,
            means,
            moments,
        } = self.memory.part(&self.gpu, images)?;
        let launch = |kernel, launch, args: &[Arg]| self.gpu.launch::<f32>(kernel, launch, args);
        launch("distort_crop", all, &[images, distortions, values, targets])?;
        launch("distort_brightness", all, &[distortions, values])?;
        launch("distort_means", one, &[values, means])?;
        launch("distort_contrast", all, &[distortions, means, values])?;
        launch("distort_moments", one, &[values, moments])?;
        launch("distort_standardise", all, &[moments, values])
    }
}

impl Input for DistortionOnGpu {
    fn next(&mut self, clock: &mut StepClock) -> Result<Batch> {
        let label_sum = self.copy(clock)?;
        clock.book(Phase::Copy);
        self.distort()?;
        clock.book(Phase::Distort);
        Ok(Batch {
            examples: self.batch(),
            inputs: self.memory.inputs.clone(),
            targets: self.memory.targets.clone(),
            label_sum,
        })
    }
}

impl Packed {
    fn new(gpu: &Gpu, batch: usize) -> Result<Self> {
        Ok(Self {
            bytes: Pinned::zeros(gpu, batch * (IMAGE_BYTES + DISTORTION_BYTES))?,
            copied: Event::new(gpu)?,
        })
    }
}

/// Where the kernels find some images of the batch.
struct Part {
    images: Arg,
    distortions: Arg,
    values: Arg,
    targets: Arg,
    means: Arg,
    moments: Arg,
}

impl Memory {
    fn new(gpu: &Gpu, batch: usize) -> Result<Self> {
        let numbers = |dims: &[usize]| Tensor::zeros(dims, DType::F32, gpu.device());
        let packed = batch * (IMAGE_BYTES + DISTORTION_BYTES);
        Ok(Self {
            packed: Tensor::zeros(packed, DType::U8, gpu.device())?,
            inputs: numbers(&[batch, CROP, CROP, CHANNELS])?,
            targets: Tensor::zeros(batch, DType::U32, gpu.device())?,
            means: numbers(&[batch, CHANNELS])?,
            moments: numbers(&[batch, 2])?,
        })
    }

    fn part(&self, gpu: &Gpu, images: Range<usize>) -> Result<Part> {
        let (first, count) = (images.start, images.len());
        let packed: Span<u8> = gpu.span(&self.packed)?;
        let behind_images = self.targets.elem_count() * IMAGE_BYTES;
        let numbers = |tensor: &Tensor, each: usize| -> Result<Arg> {
            let all: Span<f32> = gpu.span(tensor)?;
            Ok(all.part(first * each, count * each).into())
        };
        let targets: Span<u32> = gpu.span(&self.targets)?;
        let distortions = behind_images + first * DISTORTION_BYTES;
        Ok(Part {
            images: packed.part(first * IMAGE_BYTES, count * IMAGE_BYTES).into(),
            distortions: packed.part(distortions, count * DISTORTION_BYTES).into(),
            values: numbers(&self.inputs, LENGTH)?,
            targets: targets.part(first, count).into(),
            means: numbers(&self.means, CHANNELS)?,
            moments: numbers(&self.moments, 2)?,
        })
    }
}

/// Writes the images of these examples, and then a `Distortion` for each. Returns the sum of their labels.
fn pack(examples: &Examples, numbers: &[u64], bytes: &mut [u8]) -> u64 {
    let (images, distortions) = bytes.split_at_mut(numbers.len() * IMAGE_BYTES);
    let images = images.chunks_exact_mut(IMAGE_BYTES);
    let places = images.zip(distortions.chunks_exact_mut(DISTORTION_BYTES));
    let mut label_sum = 0;
    for (number, (image, distortion)) in numbers.iter().zip(places) {
        let record = examples.record(*number);
        image.copy_from_slice(record.image);
        let words = words(&examples.distortion(*number), record.label);
        for (bytes, word) in distortion.chunks_exact_mut(size_of::<u32>()).zip(words) {
            bytes.copy_from_slice(&word.to_ne_bytes());
        }
        label_sum += u64::from(record.label);
    }
    label_sum
}

/// A `Distortion` of the kernels.
fn words(distortion: &Distortion, label: u8) -> [u32; DISTORTION_BYTES / size_of::<u32>()] {
    [
        distortion.top as u32,
        distortion.left as u32,
        u32::from(distortion.flip),
        distortion.brightness.to_bits(),
        distortion.contrast.to_bits(),
        u32::from(label),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::super::cifar10_file::{FILES, RECORD_BYTES, Records};
    use super::*;
    use std::sync::Arc;

    #[test]
    fn a_batch_is_packed_as_kernels_read_it() {
        let folder = tempfile::tempdir().unwrap();
        for (file, name) in FILES.iter().enumerate() {
            let bytes = (0..RECORD_BYTES).map(|byte| (byte * (file + 3)) as u8 % 200);
            let mut record: Vec<u8> = bytes.collect();
            record[0] = file as u8;
            std::fs::write(folder.path().join(name), record).unwrap();
        }
        let records = Arc::new(Records::read(folder.path()).unwrap());
        let examples = Examples::new(records, 7);
        let numbers = [12, 3, 8];
        let mut bytes = vec![0xee; numbers.len() * (IMAGE_BYTES + DISTORTION_BYTES)];
        let label_sum = pack(&examples, &numbers, &mut bytes);
        let (images, words) = bytes.split_at(numbers.len() * IMAGE_BYTES);
        let mut labels = 0;
        for (place, number) in numbers.into_iter().enumerate() {
            let (record, drawn) = (examples.record(number), examples.distortion(number));
            assert!(images[place * IMAGE_BYTES..].starts_with(record.image));
            let word = |at: usize| -> [u8; 4] {
                let start = place * DISTORTION_BYTES + 4 * at;
                words[start..start + 4].try_into().unwrap()
            };
            let read = Distortion {
                top: u32::from_ne_bytes(word(0)) as usize,
                left: u32::from_ne_bytes(word(1)) as usize,
                flip: u32::from_ne_bytes(word(2)) == 1,
                brightness: f32::from_ne_bytes(word(3)),
                contrast: f32::from_ne_bytes(word(4)),
            };
            assert_eq!(read, drawn);
            assert_eq!(u32::from_ne_bytes(word(5)), u32::from(record.label));
            labels += u64::from(record.label);
        }
        assert_eq!(label_sum, labels);
    }
}
