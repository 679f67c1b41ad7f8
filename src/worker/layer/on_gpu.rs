//! Calls of functions whose tensors are on a GPU. In: candle's tensors. Out: work on the GPU's queue.
//! Knows no kernel but the one that adds.

mod sums;

pub(super) use sums::Sums;

use super::operation::{Call, Function};
use super::scalar::Scalar;
use crate::worker::gpu::{Arg, Backward, Gpu, Launch, Numbers, Span, View};
use candle_core::{Result, Tensor};

/// Puts on the queue what `function` gives for `args`, into `result`.
pub(super) fn forward<T: Scalar, F: Function<N>, const N: usize>(
    gpu: &Gpu,
    function: &F,
    room: &mut F::GpuRoom<T>,
    args: [&Tensor; N],
    result: &Tensor,
) -> Result<()> {
    let args = views(gpu, args)?;
    function.forward_on_gpu(gpu, args, gpu.span(result)?, room)
}

/// Puts on the queue the gradients of one call of `function`.
pub(super) fn backward<T: Scalar, F: Function<N>, const N: usize>(
    gpu: &Gpu,
    function: &F,
    room: &mut F::GpuRoom<T>,
    call: Call<N>,
) -> Result<()> {
    let known = Backward {
        args: views(gpu, call.args)?,
        result: view(gpu, call.result)?,
        gradient: view(gpu, call.gradient)?,
    };
    let mut gradients = [None; N];
    for (gradient, tensor) in gradients.iter_mut().zip(call.gradients) {
        *gradient = tensor.map(|tensor| gpu.span(tensor)).transpose()?;
    }
    function.backward_on_gpu(gpu, known, gradients, room)
}

/// Adds the numbers of `part` to those of `sum`.
pub(super) fn add<T: Scalar>(gpu: &Gpu, sum: &Tensor, part: &Tensor) -> Result<()> {
    let [sum, part]: [Span<T>; 2] = [gpu.span(sum)?, gpu.span(part)?];
    each::<T>(gpu, "add_to", [sum.into(), part.into()], sum.len())
}

/// Puts a kernel on the queue that has a thread for each of `count` numbers, and takes their number as
/// its last argument.
pub(super) fn each<T: Scalar>(
    gpu: &Gpu,
    kernel: &'static str,
    args: impl IntoIterator<Item = Arg>,
    count: usize,
) -> Result<()> {
    let args: Vec<Arg> = args.into_iter().chain([Arg::size(count)]).collect();
    gpu.launch::<T>(kernel, Launch::each(count), &args)
}

fn view<'t, T: Numbers>(gpu: &Gpu, tensor: &'t Tensor) -> Result<View<'t, T>> {
    Ok(View {
        data: gpu.span(tensor)?,
        dims: tensor.dims(),
    })
}

fn views<'t, T: Numbers, const N: usize>(
    gpu: &Gpu,
    tensors: [&'t Tensor; N],
) -> Result<[View<'t, T>; N]> {
    let views = tensors.iter().map(|tensor| view(gpu, tensor));
    let views = views.collect::<Result<Vec<_>>>()?.try_into();
    Ok(views.unwrap_or_else(|_| unreachable!("one view for each of {N}")))
}
