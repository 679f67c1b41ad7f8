//! Sequences of moving fields, drawn by a kernel of a GPU.

use super::super::drawn_on_gpu::Drawn;
use super::super::random::{Draws, Use};
use super::MovingFields;
use crate::worker::gpu::{Arg, Gpu, Launch, Span};
use candle_core::Result;

impl Drawn for MovingFields {
    fn examples(&self) -> usize {
        self.batch
    }

    fn dims(&self) -> [Vec<usize>; 2] {
        let (side, sequence) = (self.sequence.side, self.sequence);
        [sequence.frames, sequence.predicted_frames]
            .map(|count| vec![self.batch, side, side, count])
    }

    fn draw(&mut self, gpu: &Gpu, [inputs, targets]: [Span<f32>; 2]) -> Result<()> {
        let sequence = self.sequence;
        let frames = sequence.frames + sequence.predicted_frames;
        let of_example = Launch::each(sequence.side * sequence.side * frames);
        let launch = Launch {
            // The first dimension of a grid alone has room for any batch.
            grid: [self.batch as u32, of_example.grid[0], 1],
            ..of_example
        };
        let args = [
            inputs.into(),
            targets.into(),
            Arg::U64(Draws::key(self.seed, Use::Field)),
            Arg::U64(self.share.number(self.taken)),
            Arg::U64(self.share.stride),
            Arg::size(sequence.side),
            Arg::size(sequence.frames),
            Arg::size(sequence.predicted_frames),
        ];
        self.taken += self.batch as u64;
        gpu.launch::<f32>("draw_fields", launch, &args)
    }
}
