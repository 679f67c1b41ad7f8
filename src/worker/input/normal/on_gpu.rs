//! Vectors of the standard normal distribution that a kernel of a GPU draws: the numbers that the host
//! would draw, within rounding.

use super::super::random::{Draws, Use};
use super::super::{Batch, Input};
use super::NormalInput;
use crate::terms::Phase;
use crate::worker::clock::StepClock;
use crate::worker::gpu::{Arg, Gpu, Launch};
use candle_core::{DType, Result, Tensor};

/// Draws each batch into the same tensors, inside the step, by one kernel. Booked as `distort`.
pub struct NormalOnGpu {
    input: NormalInput,
    gpu: Gpu,
    inputs: Tensor,
    targets: Tensor,
}

impl NormalOnGpu {
    /// Draws what `input` would.
    pub fn new(input: NormalInput, gpu: Gpu) -> Result<Self> {
        let of_width = |width| Tensor::zeros((input.batch, width), DType::F32, gpu.device());
        Ok(Self {
            inputs: of_width(input.widths.0)?,
            targets: of_width(input.widths.1)?,
            input,
            gpu,
        })
    }

    fn draw(&self) -> Result<()> {
        let NormalInput {
            seed,
            share,
            batch,
            widths,
            taken,
        } = self.input;
        let pairs = widths.0.div_ceil(2) + widths.1.div_ceil(2);
        let args = [
            self.gpu.span::<f32>(&self.inputs)?.into(),
            self.gpu.span::<f32>(&self.targets)?.into(),
            Arg::U64(Draws::key(seed, Use::NormalInput)),
            Arg::U64(Draws::key(seed, Use::NormalTarget)),
            Arg::U64(share.number(taken)),
            Arg::U64(share.stride),
            Arg::size(batch),
            Arg::size(widths.0),
            Arg::size(widths.1),
        ];
        self.gpu
            .launch::<f32>("draw_normal", Launch::each(batch * pairs), &args)
    }
}

impl Input for NormalOnGpu {
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
