//! From a function of slices with a gradient to a candle operation. The one place that looks into
//! candle's storage.

use super::scalar::Scalar;
use candle_core::{
    CpuStorage, CustomOp1, CustomOp3, DType, Layout, Result, Shape, Storage, Tensor,
};

/// All numbers of one tensor, in order, and its dimensions.
#[derive(Clone, Copy)]
pub struct View<'a, T> {
    pub data: &'a [T],
    pub dims: &'a [usize],
}

/// What is known when gradients are asked for.
pub struct Backward<'a, T, const N: usize> {
    pub args: [View<'a, T>; N],
    pub result: View<'a, T>,
    /// Of the loss, by each number of the result.
    pub gradient: View<'a, T>,
    /// Which arguments are variables or depend on one. The others need no gradient.
    pub wanted: [bool; N],
}

/// A differentiable function of `N` tensors. One value serves one call, and may keep in itself
/// what the gradient needs of the forward pass.
pub trait Function<const N: usize>: Send + Sync + 'static {
    const NAME: &'static str;

    /// The result and its shape. An error where shapes do not fit.
    fn forward<T: Scalar>(&self, args: [View<T>; N]) -> Result<(Vec<T>, Shape)>;

    /// The gradient by each wanted argument, as long as the argument.
    fn backward<T: Scalar>(&self, call: Backward<T, N>) -> Result<[Option<Vec<T>>; N]>;
}

/// Applies a function of one tensor, so that candle can differentiate it.
pub fn apply1(function: impl Function<1>, x: &Tensor) -> Result<Tensor> {
    x.contiguous()?.apply_op1(Operation(function))
}

/// Applies a function of three tensors, so that candle can differentiate it.
pub fn apply3(function: impl Function<3>, args: [&Tensor; 3]) -> Result<Tensor> {
    let [a, b, c] = args;
    let (a, b, c) = (a.contiguous()?, b.contiguous()?, c.contiguous()?);
    a.apply_op3(&b, &c, Operation(function))
}

struct Operation<F>(F);

impl<F: Function<1>> CustomOp1 for Operation<F> {
    fn name(&self) -> &'static str {
        F::NAME
    }

    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> Result<(CpuStorage, Shape)> {
        forward(&self.0, [(s, l)])
    }

    fn bwd(&self, x: &Tensor, result: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let [dx] = backward(&self.0, [x], result, gradient)?;
        Ok(dx)
    }
}

type Three<T> = (T, T, T);

impl<F: Function<3>> CustomOp3 for Operation<F> {
    fn name(&self) -> &'static str {
        F::NAME
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        forward(&self.0, [(s1, l1), (s2, l2), (s3, l3)])
    }

    fn bwd(
        &self,
        a: &Tensor,
        b: &Tensor,
        c: &Tensor,
        result: &Tensor,
        gradient: &Tensor,
    ) -> Result<Three<Option<Tensor>>> {
        let [da, db, dc] = backward(&self.0, [a, b, c], result, gradient)?;
        Ok((da, db, dc))
    }
}

fn forward<F: Function<N>, const N: usize>(
    function: &F,
    args: [(&CpuStorage, &Layout); N],
) -> Result<(CpuStorage, Shape)> {
    match args[0].0 {
        CpuStorage::F32(_) => forward_as::<f32, F, N>(function, args),
        CpuStorage::F64(_) => forward_as::<f64, F, N>(function, args),
        _ => candle_core::bail!("{} computes with f32 or f64", F::NAME),
    }
}

fn forward_as<T: Scalar, F: Function<N>, const N: usize>(
    function: &F,
    args: [(&CpuStorage, &Layout); N],
) -> Result<(CpuStorage, Shape)> {
    let views = try_each(args, |(storage, layout)| view::<T>(storage, layout))?;
    let (result, shape) = function.forward(views)?;
    Ok((T::to_cpu_storage_owned(result), shape))
}

fn backward<F: Function<N>, const N: usize>(
    function: &F,
    args: [&Tensor; N],
    result: &Tensor,
    gradient: &Tensor,
) -> Result<[Option<Tensor>; N]> {
    let gradient = &gradient.contiguous()?;
    match result.dtype() {
        DType::F32 => backward_as::<f32, F, N>(function, args, result, gradient),
        DType::F64 => backward_as::<f64, F, N>(function, args, result, gradient),
        _ => candle_core::bail!("{} computes with f32 or f64", F::NAME),
    }
}

fn backward_as<T: Scalar, F: Function<N>, const N: usize>(
    function: &F,
    args: [&Tensor; N],
    result: &Tensor,
    gradient: &Tensor,
) -> Result<[Option<Tensor>; N]> {
    let locked = args.map(Tensor::storage_and_layout);
    let (result, result_layout) = result.storage_and_layout();
    let (gradient, gradient_layout) = gradient.storage_and_layout();
    let call = Backward {
        args: try_each(std::array::from_fn(|i| i), |i: usize| {
            view::<T>(on_cpu(&locked[i].0)?, locked[i].1)
        })?,
        result: view(on_cpu(&result)?, result_layout)?,
        gradient: view(on_cpu(&gradient)?, gradient_layout)?,
        wanted: args.map(Tensor::track_op),
    };
    let mut gradients = function.backward(call)?;
    try_each(std::array::from_fn(|i| i), |i: usize| {
        let gradient = gradients[i].take();
        gradient
            .map(|data| Tensor::from_vec(data, args[i].shape(), args[i].device()))
            .transpose()
    })
}

fn on_cpu(storage: &Storage) -> Result<&CpuStorage> {
    match storage {
        Storage::Cpu(storage) => Ok(storage),
        _ => candle_core::bail!("this layer has no kernel for the device of its tensors"),
    }
}

fn view<'a, T: Scalar>(storage: &'a CpuStorage, layout: &'a Layout) -> Result<View<'a, T>> {
    let Some((start, end)) = layout.contiguous_offsets() else {
        candle_core::bail!("a tensor of shape {:?} is not contiguous", layout.shape());
    };
    Ok(View {
        data: &T::cpu_storage_as_slice(storage)?[start..end],
        dims: layout.dims(),
    })
}

/// `array.map(f)` that stops at the first error.
fn try_each<A, B, const N: usize>(array: [A; N], f: impl FnMut(A) -> Result<B>) -> Result<[B; N]> {
    let values = array.into_iter().map(f).collect::<Result<Vec<_>>>()?;
    Ok(values
        .try_into()
        .unwrap_or_else(|_| unreachable!("one value for each of {N}")))
}
