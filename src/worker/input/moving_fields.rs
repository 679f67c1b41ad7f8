//! In: a seed and sizes. Out: batches of sequences, each the frames of a smooth field that moves at a
//! speed of its own, drawn inside the step. Knows no model.
//!
//! A stand-in for sequences of satellite images, where clouds drift between exposures: what comes next
//! follows from the frames before. The field is a sum of waves that fit into the image, so that what
//! leaves it on one side comes back on the other.

use super::super::clock::StepClock;
use super::examples::Share;
use super::random::{Draws, Use};
use super::{Batch, Input};
use crate::terms::Phase;
use candle_core::{Device, Result, Tensor};
use rayon::prelude::*;
use std::f32::consts::TAU;
use std::ops::Range;

mod on_gpu;

const WAVES: usize = 4;
/// Most periods of a wave over the image, in each direction.
const MOST_PERIODS: usize = 3;
/// Largest speed in each direction, in pixels a frame.
const FASTEST: f32 = 2.0;

/// How large a sequence is.
#[derive(Clone, Copy, Debug)]
pub struct Sequence {
    /// Height and width of a frame.
    pub side: usize,
    /// Frames of the input.
    pub frames: usize,
    /// Frames of the target, which follow those of the input.
    pub predicted_frames: usize,
}

/// Fresh sequences for each step: inputs `(batch, side, side, frames)`, targets `(batch, side, side,
/// predicted frames)`, from 0 to 1. Made in the rayon pool of whoever calls, booked as `distort`.
pub struct MovingFields {
    pub seed: u64,
    pub share: Share,
    pub batch: usize,
    pub sequence: Sequence,
    /// Examples taken so far.
    pub taken: u64,
}

impl MovingFields {
    /// These frames of each example of the batch.
    fn draw(&self, frames: Range<usize>) -> Result<Tensor> {
        let (side, count) = (self.sequence.side, frames.len());
        let mut values = vec![0.0; self.batch * side * side * count];
        let examples = values.par_chunks_exact_mut(side * side * count).enumerate();
        examples.for_each(|(place, values)| {
            let number = self.share.number(self.taken + place as u64);
            let field = Field::draw(self.seed, number);
            for (channel, frame) in frames.clone().enumerate() {
                let pixels = values[channel..].iter_mut().step_by(count);
                field.frame(side, frame, pixels);
            }
        });
        Tensor::from_vec(values, (self.batch, side, side, count), &Device::Cpu)
    }
}

impl Input for MovingFields {
    fn next(&mut self, clock: &mut StepClock) -> Result<Batch> {
        let seen = self.sequence.frames;
        let (inputs, targets) = rayon::join(
            || self.draw(0..seen),
            || self.draw(seen..seen + self.sequence.predicted_frames),
        );
        let (inputs, targets) = (inputs?, targets?);
        self.taken += self.batch as u64;
        clock.book(Phase::Distort);
        Ok(Batch {
            examples: self.batch,
            inputs,
            targets,
            label_sum: 0,
        })
    }
}

/// `½ + Σ a cos(across · (x − vt) + down · (y − wt) + phase)` over all waves, with `Σ a = ½`.
#[derive(Debug)]
struct Field {
    /// Pixels a frame to the right and down.
    velocity: [f32; 2],
    waves: [Wave; WAVES],
}

#[derive(Clone, Copy, Debug)]
struct Wave {
    /// Periods over the width and over the height of the image.
    across: f32,
    down: f32,
    phase: f32,
    amplitude: f32,
}

impl Field {
    /// That of example `number`.
    fn draw(seed: u64, number: u64) -> Self {
        let mut draws = Draws::new(seed, Use::Field, number);
        let velocity = [(); 2].map(|()| draws.uniform(-FASTEST, FASTEST));
        let mut waves = [(); WAVES].map(|()| Wave {
            across: 1.0 + draws.below(MOST_PERIODS) as f32,
            down: draws.below(2 * MOST_PERIODS + 1) as f32 - MOST_PERIODS as f32,
            phase: draws.uniform(0.0, TAU),
            amplitude: draws.uniform(0.2, 1.0),
        });
        let sum: f32 = waves.iter().map(|wave| wave.amplitude).sum();
        waves
            .iter_mut()
            .for_each(|wave| wave.amplitude *= 0.5 / sum);
        Self { velocity, waves }
    }

    /// Writes the pixels of one frame, row by row.
    fn frame<'p>(&self, side: usize, frame: usize, mut pixels: impl Iterator<Item = &'p mut f32>) {
        let columns = self.turns(side, |wave, x| {
            wave.across * (x - self.velocity[0] * frame as f32)
        });
        for y in 0..side {
            let row = self.waves.map(|wave| {
                let y = y as f32 - self.velocity[1] * frame as f32;
                turn(wave.down * y, side, wave.phase, wave.amplitude)
            });
            for (column, pixel) in columns.iter().zip(&mut pixels) {
                // cos(a + b) = cos a cos b − sin a sin b
                let parts = (column.iter().zip(&row)).map(|((s, c), (t, d))| c * d - s * t);
                *pixel = 0.5 + parts.sum::<f32>();
            }
        }
    }

    /// Sine and cosine of each wave at each place from left to right.
    fn turns(&self, side: usize, periods: impl Fn(&Wave, f32) -> f32) -> Vec<[(f32, f32); WAVES]> {
        let at = |x: usize| {
            self.waves
                .map(|wave| turn(periods(&wave, x as f32), side, 0.0, 1.0))
        };
        (0..side).map(at).collect()
    }
}

/// Sine and cosine of an angle, `pixels` of a period of `side` behind `phase`, times `amplitude`.
fn turn(pixels: f32, side: usize, phase: f32, amplitude: f32) -> (f32, f32) {
    let (sine, cosine) = (TAU * pixels / side as f32 + phase).sin_cos();
    (amplitude * sine, amplitude * cosine)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIDE: usize = 12;

    fn frame(field: &Field, frame: usize) -> Vec<f32> {
        let mut pixels = vec![f32::NAN; SIDE * SIDE];
        field.frame(SIDE, frame, pixels.iter_mut());
        pixels
    }

    #[test]
    fn a_frame_is_the_one_before_moved_by_the_velocity() {
        for number in 0..20 {
            let field = Field {
                velocity: [2.0, -1.0],
                ..Field::draw(3, number)
            };
            let (before, after) = (frame(&field, 4), frame(&field, 5));
            for (at, pixel) in after.iter().enumerate() {
                let (y, x) = (at / SIDE, at % SIDE);
                let came_from = (y + 1) % SIDE * SIDE + (x + SIDE - 2) % SIDE;
                let error = (pixel - before[came_from]).abs();
                assert!(error < 1e-5, "{field:?}: {error} at {x}, {y}");
            }
        }
    }

    #[test]
    fn pixels_go_from_0_to_1_and_fields_differ() {
        let frames: Vec<_> = (0..200).map(|n| frame(&Field::draw(1, n), 3)).collect();
        let pixels = || frames.iter().flatten();
        assert!(pixels().all(|pixel| (-1e-5..=1.0 + 1e-5).contains(pixel)));
        let mean = pixels().sum::<f32>() / pixels().count() as f32;
        assert!((mean - 0.5).abs() < 1e-3, "{mean}");
        let variance = pixels().map(|x| (x - mean).powi(2)).sum::<f32>() / pixels().count() as f32;
        assert!(variance > 0.01, "{variance}");
        assert!(frames.windows(2).all(|pair| pair[0] != pair[1]));
        assert_ne!(frames[0], frame(&Field::draw(2, 0), 3), "the seed counts");
    }
}
