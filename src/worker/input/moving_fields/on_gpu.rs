//! Sequences of moving fields that a kernel of a GPU draws: those that the host would draw, within
//! rounding.

use super::super::random::{Draws, Use};
use super::super::{Batch, Input};
use super::MovingFields;
use crate::terms::Phase;
use crate::worker::clock::StepClock;
use crate::worker::gpu::{Arg, Gpu, Launch};
use candle_core::{DType, Result, Tensor};

/// Draws each batch into the same tensors, inside the step, by one kernel. Booked as `distort`.
pub struct FieldsOnGpu {
    input: MovingFields,
    gpu: Gpu,
    inputs: Tensor,
    targets: Tensor,
}

impl FieldsOnGpu {
    /// Draws what `input` would.
    pub fn new(input: MovingFields, gpu: Gpu) -> Result<Self> {
        let (batch, side) = (input.batch, input.sequence.side);
        let of_frames = |count| Tensor::zeros((batch, side, side, count), DType::F32, gpu.device());
        Ok(Self {
            inputs: of_frames(input.sequence.frames)?,
            targets: of_frames(input.sequence.predicted_frames)?,
            input,
            gpu,
        })
    }

    fn draw(&self) -> Result<()> {
        let MovingFields {
            seed,
            share,
            batch,
            sequence,
            taken,
        } = self.input;
        let frames = sequence.frames + sequence.predicted_frames;
        let example = Launch::each(sequence.side * sequence.side * frames);
        let launch = Launch {
            grid: [example.grid[0], batch as u32, 1],
            ..example
        };
        let args = [
            self.gpu.span::<f32>(&self.inputs)?.into(),
            self.gpu.span::<f32>(&self.targets)?.into(),
            Arg::U64(Draws::key(seed, Use::Field)),
            Arg::U64(share.number(taken)),
            Arg::U64(share.stride),
            Arg::size(sequence.side),
            Arg::size(sequence.frames),
            Arg::size(sequence.predicted_frames),
        ];
        self.gpu.launch::<f32>("draw_fields", launch, &args)
    }
}

impl Input for FieldsOnGpu {
    fn next(&mut self, clock: &mut StepClock) -> Result<Batch> {
        self.draw()?;
        self.input.taken += self.input.batch as u64;
        clock.book(Phase::Distort);
        Ok(Batch {
            examples: self.input.batch,
            inputs: self.inputs.clone(),
            targets: self.targets.clone(),
            label_sum: 0,
        })
    }
}
