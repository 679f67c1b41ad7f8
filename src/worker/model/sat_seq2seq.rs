//! A stand-in for the satellite-image network of a report on build flavours (PSIque: Hong, Kim, Joh,
//! Song 2017): a convolutional sequence-to-sequence autoencoder with skip connections that predicts the
//! next images of a sequence. **All sizes are ours**: that paper's layers, widths and lengths are not
//! known to us. What is kept is its character: a step is some hundred small operations, one after the
//! other, so that what each of them costs beside its arithmetic counts.
//!
//! ```text
//! seen frame ─► encoder ─► first ConvLSTM ┐ state
//!                                         ▼
//! last frame ─► encoder ─► second ConvLSTM ─► decoder ─► next frame ─┐
//!     ▲           └─────── skip connections ────▲                    │
//!     └──────────────────────────────────────────────────────────────┘
//! ```
//!
//! With `model.channels = [8, 16]` and images of 32 × 32 pixels, all kernels 3 × 3:
//!
//! | layer | result | parameters |
//! |---|---|---|
//! | frame | 32 × 32 × 1 | |
//! | encoder01, rectifier; max pool | 32 × 32 × 8; 16 × 16 × 8 | 80 |
//! | encoder02, rectifier; max pool | 16 × 16 × 16; 8 × 8 × 16 | 1,168 |
//! | lstm01, lstm02 | 8 × 8 × 16 | 18,496 each |
//! | doubled, beside encoder02; decoder02, rectifier | 16 × 16 × 32; 16 × 16 × 16 | 4,624 |
//! | doubled, beside encoder01; decoder01, rectifier | 32 × 32 × 24; 32 × 32 × 8 | 1,736 |
//! | output | 32 × 32 × 1 | 73 |
//!
//! The loss is the mean squared error over all pixels of all predicted frames.

mod cell;

use super::variables::Variables;
use super::{Loss, Model};
use crate::spec::settings::Settings;
use crate::terms::Convolution;
use crate::worker::input::Batch;
use crate::worker::layer::loss::SquaredError;
use crate::worker::layer::{Activation, Conv, Layer, MaxPool, Tape, Upsample, channels};
use candle_core::{DType, Result, Tensor, Var};
use cell::{Cell, State};

/// Height and width of every kernel.
const KERNEL: usize = 3;

/// What a network is made of.
#[derive(Clone, Debug)]
pub struct Sizes {
    /// Channels of each level of the encoder; the last ones are those of the cells, too.
    pub channels: Vec<usize>,
    /// Height and width of a frame, which every level halves.
    pub image: usize,
    pub predicted_frames: usize,
}

/// The network with its variables. Inputs `(batch, height, width, seen frames)`, targets `(batch,
/// height, width, predicted frames)`.
pub struct SatSeq2seq {
    sizes: Sizes,
    /// From the full size to the smallest.
    encoder: Vec<Conv>,
    /// Goes over the frames that are seen.
    reader: Cell,
    /// Goes over the frames that are predicted, from the state in which the reader ends.
    writer: Cell,
    /// From the smallest size to the full one.
    decoder: Vec<Conv>,
    output: Conv,
    parameters: Vec<(String, Var)>,
}

/// What the encoder makes of a frame.
struct Features {
    smallest: Tensor,
    /// Of each level, before it is pooled.
    skips: Vec<Tensor>,
}

impl Sizes {
    pub fn of(settings: &Settings) -> Self {
        Self {
            channels: settings.channels.clone(),
            image: settings.image_size,
            predicted_frames: settings.predicted_frames,
        }
    }
}

impl SatSeq2seq {
    /// On the CPU.
    pub fn new(sizes: Sizes, seed: u64, dtype: DType) -> Result<Self> {
        Self::of(sizes, Variables::new(seed, dtype))
    }

    /// Weights Xavier uniform, biases 0, but 1 for what cells keep.
    pub fn of(sizes: Sizes, mut v: Variables) -> Result<Self> {
        let Some(&smallest) = sizes.channels.last() else {
            candle_core::bail!("an encoder without levels: set model.channels");
        };
        if !sizes.image.is_multiple_of(1 << sizes.channels.len()) {
            let (image, levels) = (sizes.image, sizes.channels.len());
            candle_core::bail!("images of {image} pixels cannot be halved {levels} times");
        }
        let (mut encoder, mut decoder) = (Vec::new(), Vec::new());
        for (level, filters) in sizes.channels.iter().enumerate() {
            let below = level
                .checked_sub(1)
                .map_or(1, |below| sizes.channels[below]);
            let above = sizes.channels.get(level + 1).unwrap_or(&smallest);
            let name = |part: &str| format!("{part}{:02}", level + 1);
            encoder.push(conv(&mut v, &name("encoder"), [below, *filters])?);
            decoder.push(conv(&mut v, &name("decoder"), [above + filters, *filters])?);
        }
        decoder.reverse();
        let reader = Cell::new(&mut v, "lstm01", smallest)?;
        let writer = Cell::new(&mut v, "lstm02", smallest)?;
        let output = conv(&mut v, "output", [sizes.channels[0], 1])?;
        Ok(Self {
            sizes,
            encoder,
            reader,
            writer,
            decoder,
            output: output.activated_by(Activation::Identity),
            parameters: v.in_name_order(),
        })
    }

    /// The same network, its convolutions computed in another way.
    pub fn by(self, algorithm: Convolution) -> Self {
        let all = |convs: Vec<Conv>| convs.into_iter().map(|conv| conv.by(algorithm)).collect();
        Self {
            encoder: all(self.encoder),
            reader: self.reader.by(algorithm),
            writer: self.writer.by(algorithm),
            decoder: all(self.decoder),
            output: self.output.by(algorithm),
            ..self
        }
    }

    fn encode(&self, tape: &mut Tape, frame: &Tensor) -> Result<Features> {
        let mut x = frame.clone();
        let mut skips = Vec::with_capacity(self.encoder.len());
        for conv in &self.encoder {
            let y = conv.forward(tape, &x)?;
            x = MaxPool.forward(tape, &y)?;
            skips.push(y);
        }
        Ok(Features { smallest: x, skips })
    }

    fn decode(&self, tape: &mut Tape, hidden: &Tensor, skips: &[Tensor]) -> Result<Tensor> {
        let mut x = hidden.clone();
        for (conv, skip) in self.decoder.iter().zip(skips.iter().rev()) {
            let large = Upsample.forward(tape, &x)?;
            let joined = channels::concatenate(tape, &large, skip)?;
            x = conv.forward(tape, &joined)?;
        }
        self.output.forward(tape, &x)
    }

    /// Goes over all `frames`: the state after them, and what the encoder makes of the last one.
    fn read(&self, tape: &mut Tape, frames: &Tensor) -> Result<(State, Features)> {
        let mut before: Option<(State, Features)> = None;
        for t in 0..frames.dim(3)? {
            let frame = channels::select(tape, frames, t..t + 1)?;
            let features = self.encode(tape, &frame)?;
            let x = &features.smallest;
            let state = match &before {
                Some((state, _)) => self.reader.step(tape, x, state)?,
                None => {
                    let start = Cell::start(tape, x)?;
                    self.reader.step(tape, x, &start)?
                }
            };
            before = Some((state, features));
        }
        before.ok_or_else(|| candle_core::Error::Msg("a sequence without frames".into()))
    }

    /// The frames that follow, each predicted from the one before.
    fn write(&self, tape: &mut Tape, state: State, last: Features) -> Result<Tensor> {
        let (mut state, mut features) = (state, last);
        let mut predicted: Option<Tensor> = None;
        for left in (0..self.sizes.predicted_frames).rev() {
            state = self.writer.step(tape, &features.smallest, &state)?;
            let frame = self.decode(tape, &state.hidden, &features.skips)?;
            if left > 0 {
                features = self.encode(tape, &frame)?;
            }
            predicted = Some(match predicted {
                Some(before) => channels::concatenate(tape, &before, &frame)?,
                None => frame,
            });
        }
        predicted.ok_or_else(|| candle_core::Error::Msg("no frame to predict".into()))
    }
}

/// A layer with a rectifier that keeps the size of its images.
fn conv(v: &mut Variables, name: &str, [channels, filters]: [usize; 2]) -> Result<Conv> {
    let shape = (KERNEL, KERNEL, channels, filters);
    let weights = v.xavier_uniform_filters(&format!("{name}/weights"), shape)?;
    let biases = v.constant(&format!("{name}/biases"), filters, 0.0)?;
    Ok(Conv::new(weights, biases, KERNEL / 2, Activation::Relu))
}

impl Model for SatSeq2seq {
    /// The mean of `(prediction − pixel)²` over all predicted frames.
    fn record(&self, tape: &mut Tape, batch: &Batch) -> Result<Option<Loss>> {
        let (state, last) = self.read(tape, &batch.inputs)?;
        let predicted = self.write(tape, state, last)?;
        let mean = SquaredError(&batch.targets).forward(tape, &predicted)?;
        Ok(Some(Loss::of(mean)))
    }

    fn parameters(&self) -> &[(String, Var)] {
        &self.parameters
    }

    /// Of the encoder, of both cells, of the decoder and of the output, in this order.
    fn convolutions(&self) -> Result<Vec<Convolution>> {
        let levels = self.encoder.len();
        let side = |level: usize| self.sizes.image >> level;
        let encoder = self.encoder.iter().zip(0..);
        let cells = [&self.reader, &self.writer].map(|cell| (&cell.gates, levels));
        let decoder = self.decoder.iter().zip((0..levels).rev());
        (encoder.chain(cells).chain(decoder))
            .chain([(&self.output, 0)])
            .map(|(conv, level)| conv.algorithm([side(level); 2]))
            .collect()
    }
}

#[cfg(test)]
mod tests;
