//! Convolutions on a GPU, with what stands behind them. In: places of tensors. Out: work on its main queue.
//! How a convolution itself is computed is a [`Method`]'s; what is behind it is one kernel, or two.

mod behind;
mod by_cudnn;
mod direct;
mod im2col;
mod method;

use super::super::Activation;
use super::super::scalar::Scalar;
use super::choice;
use super::pass::{Behind, Pass};
use crate::terms;
use crate::worker::gpu::{Arg, Backward, Buffer, Gpu, Launch, Span};
use behind::Stage;
use candle_core::Result;
use method::{Method, Parts, Sizes};

/// Memory of one call.
#[derive(Default)]
pub struct GpuRoom<T: Scalar> {
    method: Option<Chosen<T>>,
    /// Results of the convolution where something stands behind it.
    whole: Buffer<T>,
    /// Maxima before they were normalised.
    maxima: Buffer<T>,
    /// Where in its window each maximum was found.
    places: Buffer<u8>,
    /// Gradients by the results of the convolution, and by maxima before they were normalised.
    before: Buffer<T>,
    of_maxima: Buffer<T>,
    /// Rows of sums for the biases.
    sums: Buffer<T>,
}

/// How sizes are computed.
struct Chosen<T> {
    sizes: Sizes,
    algorithm: terms::Convolution,
    method: Box<dyn Method<T>>,
}

impl<T: Scalar> GpuRoom<T> {
    /// The method for these sizes: that of the pass before, where it fits.
    fn method(
        &mut self,
        asked: terms::Convolution,
        sizes: Sizes,
    ) -> Result<&mut Box<dyn Method<T>>> {
        let algorithm = choice::resolve_on_gpu(asked)?;
        let fits = |chosen: &Chosen<T>| chosen.sizes == sizes && chosen.algorithm == algorithm;
        if !self.method.as_ref().is_some_and(fits) {
            // Kernels count the numbers of images by signed integers.
            if sizes.batch * sizes.geometry.image() > i32::MAX as usize {
                candle_core::bail!(
                    "the images of a convolution have more than 2^31 numbers: lower model.local_batch"
                );
            }
            self.method = Some(Chosen {
                sizes,
                algorithm,
                method: method::of(algorithm),
            });
        }
        let chosen = self.method.as_mut().expect("it was chosen above");
        Ok(&mut chosen.method)
    }
}

/// One call of a convolution on a GPU.
pub struct Call<'a> {
    pub gpu: &'a Gpu,
    pub pass: Pass,
    pub batch: usize,
    pub algorithm: terms::Convolution,
}

impl Call<'_> {
    fn sizes(&self) -> Sizes {
        Sizes {
            batch: self.batch,
            geometry: self.pass.geometry,
            filters: self.pass.filters,
        }
    }

    /// What stands behind the convolution, given these of its tensors.
    fn stage<T: Scalar>(&self, spans: &[Span<T>]) -> Stage<'_> {
        Stage {
            gpu: self.gpu,
            pass: &self.pass,
            batch: self.batch,
            takes_fours: self.pass.filters.is_multiple_of(4)
                && spans.iter().all(|span| span.has_fours()),
        }
    }

    /// Overwrites `out`.
    pub fn forward<T: Scalar>(
        &self,
        [x, w, b]: [Span<T>; 3],
        out: Span<T>,
        room: &mut GpuRoom<T>,
    ) -> Result<()> {
        let sizes = self.sizes();
        let whole = match self.pass.behind {
            Behind::Nothing => out,
            _ => room.whole.at_least(self.gpu, sizes.results())?,
        };
        let method = room.method(self.algorithm, sizes)?;
        method.convolve(self.gpu, sizes, [x, w], whole)?;
        self.stage(&[out, b]).forward(whole, b, out, room)
    }

    /// Overwrites the gradients that are wanted.
    pub fn backward<T: Scalar>(
        &self,
        call: Backward<T, 3>,
        [dx, dw, db]: [Option<Span<T>>; 3],
        room: &mut GpuRoom<T>,
    ) -> Result<()> {
        let [x, w, b] = call.args.map(|arg| arg.data);
        let (y, dy) = (call.result.data, call.gradient.data);
        let (before, sums) = self.stage(&[y, dy, b]).backward([y, dy, b], room)?;
        let sizes = self.sizes();
        let method = room.method(self.algorithm, sizes)?;
        let parts = match dw {
            Some(dw) => method.filter_gradient(self.gpu, sizes, [x, before], dw)?,
            None => None,
        };
        self.finish(sums, db, parts, dw)?;
        match dx {
            Some(dx) => method.image_gradient(self.gpu, sizes, [before, w], dx),
            None => Ok(()),
        }
    }

    /// Adds up what was summed in parts.
    fn finish<T: Scalar>(
        &self,
        sums: Span<T>,
        db: Option<Span<T>>,
        parts: Option<Parts<T>>,
        dw: Option<Span<T>>,
    ) -> Result<()> {
        let sizes = self.sizes();
        let biases = db.map_or(0, |db| db.len().div_ceil(32));
        let filters = parts
            .as_ref()
            .map_or(0, |parts| parts.blocks(sizes.weights()));
        if biases + filters == 0 {
            return Ok(());
        }
        let kernel = sizes.geometry.kernel;
        let args = [
            sums.into(),
            Arg::size(sums.len() / sizes.filters),
            Arg::maybe(db),
            Arg::maybe(parts.as_ref().map(|parts| parts.numbers)),
            Arg::size(parts.as_ref().map_or(0, |parts| parts.count)),
            Arg::maybe(dw),
            Arg::U32(parts.map_or(0, |parts| parts.order)),
            Arg::size(kernel * kernel),
            Arg::size(sizes.geometry.channels),
            Arg::size(sizes.filters),
        ];
        let launch = Launch {
            block: [32, 32, 1],
            ..Launch::blocks(biases + filters, 0)
        };
        self.gpu.launch::<T>("conv_gradients", launch, &args)
    }
}
