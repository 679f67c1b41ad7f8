//! Fully connected layers on a GPU. In: places of tensors. Out: products of matrices, and kernels for what is
//! around them, on its main queue.

use super::super::Activation;
use super::super::scalar::Scalar;
use super::Affine;
use crate::worker::gpu::{Arg, Backward, Buffer, Gemm, Gpu, Launch, Span, View};
use candle_core::Result;

/// Memory of one call.
#[derive(Debug, Default)]
pub struct GpuRoom<T> {
    /// The gradient by what the rectifier takes.
    dy: Buffer<T>,
}

/// Columns that a block of `dense_back` has, and rows that it takes at a time.
const COLUMNS: usize = 32;

impl Affine {
    pub(super) fn forward_there<T: Scalar>(
        &self,
        gpu: &Gpu,
        [x, w, b]: [View<T>; 3],
        y: Span<T>,
    ) -> Result<()> {
        let [batch, inputs, outputs] = sizes(&x, &w);
        gpu.gemm(Gemm::new([batch, inputs, outputs], x.data, w.data, y))?;
        self.activation.add_biases_on_gpu(gpu, y, b.data)
    }

    pub(super) fn backward_there<T: Scalar>(
        &self,
        gpu: &Gpu,
        call: Backward<T, 3>,
        [dx, dw, db]: [Option<Span<T>>; 3],
        room: &mut GpuRoom<T>,
    ) -> Result<()> {
        let [x, w, _] = call.args;
        let [batch, inputs, outputs] = sizes(&x, &w);
        let dy = self.through_activation_there(gpu, &call, db, room)?;
        if let Some(dw) = dw {
            self.weight_gradient_there(gpu, [batch, inputs, outputs], [x.data, dy, w.data], dw)?;
        }
        if let Some(dx) = dx {
            gpu.gemm(Gemm {
                b_transposed: true,
                ..Gemm::new([batch, outputs, inputs], dy, w.data, dx)
            })?;
        }
        Ok(())
    }

    /// `xᵀ · dy`, and what decay adds.
    fn weight_gradient_there<T: Scalar>(
        &self,
        gpu: &Gpu,
        [batch, inputs, outputs]: [usize; 3],
        [x, dy, w]: [Span<T>; 3],
        dw: Span<T>,
    ) -> Result<()> {
        if self.decay != 0.0 {
            gpu.copy(w, dw)?;
        }
        gpu.gemm(Gemm {
            a_transposed: true,
            beta: self.decay,
            ..Gemm::new([inputs, batch, outputs], x, dy, dw)
        })
    }

    /// The gradient by what the activation takes, and the sums of its columns.
    fn through_activation_there<T: Scalar>(
        &self,
        gpu: &Gpu,
        call: &Backward<T, 3>,
        sums: Option<Span<T>>,
        room: &mut GpuRoom<T>,
    ) -> Result<Span<T>> {
        let dy = call.gradient.data;
        let (y, passed) = match self.activation {
            Activation::Relu => (
                Some(call.result.data),
                Some(room.dy.at_least(gpu, dy.len())?),
            ),
            Activation::Identity => (None, None),
        };
        if passed.is_some() || sums.is_some() {
            let &[rows, columns] = call.result.dims else {
                unreachable!("a dense layer's result is a matrix");
            };
            let launch = Launch {
                block: [COLUMNS as u32, COLUMNS as u32, 1],
                ..Launch::blocks(columns.div_ceil(COLUMNS), 0)
            };
            let args = [
                Arg::maybe(y),
                dy.into(),
                Arg::maybe(passed),
                Arg::maybe(sums),
                Arg::size(rows),
                Arg::size(columns),
            ];
            gpu.launch::<T>("dense_back", launch, &args)?;
        }
        Ok(passed.unwrap_or(dy))
    }
}

/// Examples, inputs and outputs.
fn sizes<T>(x: &View<T>, w: &View<T>) -> [usize; 3] {
    [x.dims[0], w.dims[0], w.dims[1]]
}
