//! Vectors of the standard normal distribution, drawn by a kernel of a GPU.

use super::super::drawn_on_gpu::Drawn;
use super::super::random::{Draws, Use};
use super::NormalInput;
use crate::worker::gpu::{Arg, Gpu, Launch, Span};
use candle_core::Result;

impl Drawn for NormalInput {
    fn examples(&self) -> usize {
        self.batch
    }

    fn dims(&self) -> [Vec<usize>; 2] {
        [self.widths.0, self.widths.1].map(|width| vec![self.batch, width])
    }

    fn draw(&mut self, gpu: &Gpu, [inputs, targets]: [Span<f32>; 2]) -> Result<()> {
        let pairs = self.widths.0.div_ceil(2) + self.widths.1.div_ceil(2);
        let args = [
            inputs.into(),
            targets.into(),
            Arg::U64(Draws::key(self.seed, Use::NormalInput)),
            Arg::U64(Draws::key(self.seed, Use::NormalTarget)),
            Arg::U64(self.share.number(self.taken)),
            Arg::U64(self.share.stride),
            Arg::size(self.batch),
            Arg::size(self.widths.0),
            Arg::size(self.widths.1),
        ];
        self.taken += self.batch as u64;
        gpu.launch::<f32>("draw_normal", Launch::each(self.batch * pairs), &args)
    }
}
