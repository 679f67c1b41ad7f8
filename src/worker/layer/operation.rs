//! What a layer computes, as a function of slices, and how it gets at the numbers of candle's
//! tensors. The one place that looks into candle's storage.

use super::partition::{self, examples_per_thread};
use super::scalar::Scalar;
use crate::worker::gpu::{self, Gpu};
use candle_core::{CpuStorage, InplaceOp1, Layout, Result, Shape, Storage, StorageRef, Tensor};
use rayon::prelude::*;
use std::cell::RefCell;

/// All numbers of one tensor, in order, and its dimensions.
#[derive(Clone, Copy)]
pub struct View<'a, T> {
    pub data: &'a [T],
    pub dims: &'a [usize],
}

/// What is known when gradients are asked for.
#[derive(Clone, Copy)]
pub struct Backward<'a, T, const N: usize> {
    pub args: [View<'a, T>; N],
    pub result: View<'a, T>,
    /// Of the loss, by each number of the result.
    pub gradient: View<'a, T>,
}

/// A differentiable function of `N` tensors.
pub trait Function<const N: usize>: Send + 'static {
    const NAME: &'static str;

    /// Whether gradients that are asked for one after the other cost hardly more than all at once.
    const CHEAP_PARTS: bool = false;

    /// What the gradient needs of the forward pass, and memory that both take again in the next
    /// step. It stays with a function's place on a tape.
    type Room<T: Scalar>: Default + Send + 'static;

    /// The same for passes on a GPU, in whose memory it is.
    type GpuRoom<T: Scalar>: Default + Send + 'static;

    /// The shape of the result. An error where the shapes of the arguments do not fit.
    fn result(&self, args: [&[usize]; N]) -> Result<Shape>;

    /// Overwrites `out`, which has the shape of the result. Uses the current rayon pool.
    fn forward<T: Scalar>(&self, args: [View<T>; N], out: &mut [T], room: &mut Self::Room<T>);

    /// Overwrites the gradient by each argument; those that nobody needs are none.
    fn backward<T: Scalar>(
        &self,
        call: Backward<T, N>,
        gradients: [Option<&mut [T]>; N],
        room: &mut Self::Room<T>,
    );

    /// Puts on the queue of `gpu` what overwrites `out`. Takes no memory from the second pass on, and
    /// never waits, so that passes may be captured in graphs.
    fn forward_on_gpu<T: Scalar>(
        &self,
        gpu: &Gpu,
        args: [gpu::View<T>; N],
        out: gpu::Span<T>,
        room: &mut Self::GpuRoom<T>,
    ) -> Result<()>;

    /// Puts on the queue of `gpu` what overwrites the gradient by each argument; those that nobody needs
    /// are none.
    fn backward_on_gpu<T: Scalar>(
        &self,
        gpu: &Gpu,
        call: gpu::Backward<T, N>,
        gradients: [Option<gpu::Span<T>>; N],
        room: &mut Self::GpuRoom<T>,
    ) -> Result<()>;

    /// Where the maxima of a pooling function were found in the pass forward.
    fn places<T: Scalar>(_: &Self::Room<T>) -> Option<&[u8]> {
        None
    }
}

/// Writes what `function` gives for `args` into the numbers of `result`.
pub(super) fn forward<T: Scalar, F: Function<N>, const N: usize>(
    function: &F,
    room: &mut F::Room<T>,
    args: [&Tensor; N],
    result: &Tensor,
) -> Result<()> {
    let locked = args.map(Tensor::storage_and_layout);
    let args = views(&locked)?;
    with_numbers_mut(&[Some(result)], Vec::new(), &mut |mut out| {
        let out = out[0].take().expect("the result is there");
        function.forward(args, out, room);
    })
}

/// The tensors of one call of a function.
pub(super) struct Call<'a, const N: usize> {
    pub args: [&'a Tensor; N],
    pub result: &'a Tensor,
    pub gradient: &'a Tensor,
    /// Where the gradient by each argument goes; none where nobody needs it.
    pub gradients: [Option<&'a Tensor>; N],
}

/// Writes the gradients of one call of `function`.
pub(super) fn backward<T: Scalar, F: Function<N>, const N: usize>(
    function: &F,
    room: &mut F::Room<T>,
    call: Call<N>,
) -> Result<()> {
    let locked = call.args.map(Tensor::storage_and_layout);
    let (result, result_layout) = call.result.storage_and_layout();
    let (gradient, gradient_layout) = call.gradient.storage_and_layout();
    let known = Backward {
        args: views(&locked)?,
        result: view(on_cpu(&result)?, result_layout)?,
        gradient: view(on_cpu(&gradient)?, gradient_layout)?,
    };
    with_numbers_mut(&call.gradients, Vec::new(), &mut |gradients| {
        let gradients = gradients.try_into();
        let gradients = gradients.unwrap_or_else(|_| unreachable!("one for each of {N}"));
        function.backward(known, gradients, room);
    })
}

/// Adds the numbers of `part` to those of `sum`.
pub(super) fn add<T: Scalar>(sum: &Tensor, part: &Tensor) -> Result<()> {
    let (storage, layout) = part.storage_and_layout();
    let part = view(on_cpu(&storage)?, layout)?;
    with_numbers_mut::<T>(&[Some(sum)], Vec::new(), &mut |mut sum| {
        let sum = sum[0].take().expect("the sum is there");
        let share = examples_per_thread(sum.len());
        (sum.par_chunks_mut(share))
            .zip(part.data.par_chunks(share))
            .for_each(|(sum, part)| partition::add(sum, part));
    })
}

/// What is done with the numbers of several tensors at once.
type Work<'w, T> = dyn FnMut(Vec<Option<&mut [T]>>) + 'w;

/// Does `work` with `numbers` and the numbers of all `tensors`, each of which is locked meanwhile.
fn with_numbers_mut<T: Scalar>(
    tensors: &[Option<&Tensor>],
    mut numbers: Vec<Option<&mut [T]>>,
    work: &mut Work<T>,
) -> Result<()> {
    match tensors {
        [] => {
            work(numbers);
            Ok(())
        }
        [None, rest @ ..] => {
            numbers.push(None);
            with_numbers_mut(rest, numbers, work)
        }
        [Some(tensor), rest @ ..] => tensor.inplace_op1(&Access {
            rest,
            parts: RefCell::new(Some((numbers, work))),
        }),
    }
}

/// The candle operation that lets one more tensor's numbers be written.
struct Access<'a, 'n, 'w, 'f, T> {
    rest: &'a [Option<&'a Tensor>],
    parts: RefCell<Option<Parts<'n, 'w, 'f, T>>>,
}

type Parts<'n, 'w, 'f, T> = (Vec<Option<&'n mut [T]>>, &'w mut Work<'f, T>);

impl<T: Scalar> InplaceOp1 for Access<'_, '_, '_, '_, T> {
    fn name(&self) -> &'static str {
        "gradient"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        let parts = self.parts.take();
        let (mut numbers, work) = parts.expect("candle calls an operation once");
        numbers.push(Some(numbers_mut(storage, layout)?));
        with_numbers_mut(self.rest, numbers, work)
    }
}

/// What `read` makes of the numbers of one contiguous tensor.
pub(super) fn numbers<T: Scalar, R>(tensor: &Tensor, read: impl FnOnce(&[T]) -> R) -> Result<R> {
    let (storage, layout) = tensor.storage_and_layout();
    Ok(read(view(on_cpu(&storage)?, layout)?.data))
}

fn on_cpu(storage: &Storage) -> Result<&CpuStorage> {
    match storage {
        Storage::Cpu(storage) => Ok(storage),
        _ => candle_core::bail!("this layer has no kernel for the device of its tensors"),
    }
}

fn view<'a, T: Scalar>(storage: &'a CpuStorage, layout: &'a Layout) -> Result<View<'a, T>> {
    let (start, end) = bounds(layout)?;
    Ok(View {
        data: &T::cpu_storage_as_slice(storage)?[start..end],
        dims: layout.dims(),
    })
}

fn numbers_mut<'a, T: Scalar>(storage: &'a mut CpuStorage, layout: &Layout) -> Result<&'a mut [T]> {
    let (start, end) = bounds(layout)?;
    Ok(&mut T::numbers_mut(storage)?[start..end])
}

fn bounds(layout: &Layout) -> Result<(usize, usize)> {
    match layout.contiguous_offsets() {
        Some(bounds) => Ok(bounds),
        None => candle_core::bail!("a tensor of shape {:?} is not contiguous", layout.shape()),
    }
}

/// The numbers of locked tensors.
fn views<'a, T: Scalar, const N: usize>(
    locked: &'a [(StorageRef<'_>, &'a Layout); N],
) -> Result<[View<'a, T>; N]> {
    let views = (locked.iter()).map(|(storage, layout)| view(on_cpu(storage)?, layout));
    let views = views.collect::<Result<Vec<_>>>()?.try_into();
    Ok(views.unwrap_or_else(|_| unreachable!("one view for each of {N}")))
}
