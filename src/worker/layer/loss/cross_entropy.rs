//! Mean cross-entropy of a softmax: `−1/n Σ log(e^z[t] / Σ e^z[c])` over `n` examples with logits
//! `z`, classes `c` and the right class `t`. The gradient is `(softmax(z) − onehot(t)) / n`.
//!
//! ```
//! use candle_core::{Device, Tensor};
//! use xrun::worker::layer::{Layer, Tape, loss::CrossEntropy};
//!
//! # fn main() -> candle_core::Result<()> {
//! let logits = Tensor::new(&[[1f64, 1.0, 1.0, 1.0]], &Device::Cpu)?;
//! let labels = Tensor::new(&[2u32], &Device::Cpu)?;
//! let loss = CrossEntropy(&labels).forward(&mut Tape::default(), &logits)?;
//! assert!((loss.to_scalar::<f64>()? - 4f64.ln()).abs() < 1e-15);
//! # Ok(())
//! # }
//! ```

use super::super::Layer;
use super::super::on_gpu::Sums;
use super::super::operation::{Backward, Function, View};
use super::super::scalar::Scalar;
use super::super::tape::Tape;
use crate::worker::gpu::{self, Arg, Gpu, Launch};
use candle_core::{DType, Result, Shape, Tensor};

/// The mean over a batch of logits `(batch, classes)`, for labels `(batch,)` of u32.
pub struct CrossEntropy<'t>(pub &'t Tensor);

impl Layer for CrossEntropy<'_> {
    fn forward(&self, tape: &mut Tape, x: &Tensor) -> Result<Tensor> {
        if self.0.dtype() != DType::U32 {
            candle_core::bail!("labels are u32, not {:?}", self.0.dtype());
        }
        let on_host = match tape.gpu() {
            None => self.0.to_vec1()?,
            Some(_) => Vec::new(),
        };
        let labels = self.0.clone();
        tape.apply(OfLabels { labels, on_host }, [x])
    }
}

/// On a GPU labels stay there, and one that is no class makes the loss no number: to see it before, the
/// host would have to wait.
struct OfLabels {
    labels: Tensor,
    /// Empty on a GPU.
    on_host: Vec<u32>,
}

impl Function<1> for OfLabels {
    const NAME: &'static str = "cross-entropy";
    type Room<T: Scalar> = ();
    type GpuRoom<T: Scalar> = Sums;

    fn result(&self, [logits]: [&[usize]; 1]) -> Result<Shape> {
        let &[batch, classes] = logits else {
            candle_core::bail!("logits {logits:?}: not batch and classes");
        };
        if self.labels.dims() != [batch] {
            let labels = self.labels.dims();
            candle_core::bail!("labels of shape {labels:?} for {batch} examples");
        }
        if let Some(label) = self
            .on_host
            .iter()
            .find(|label| **label as usize >= classes)
        {
            candle_core::bail!("label {label} is none of {classes} classes");
        }
        Ok(().into())
    }

    fn forward<T: Scalar>(&self, [logits]: [View<T>; 1], out: &mut [T], (): &mut ()) {
        let rows = logits.data.chunks(logits.dims[1]);
        let losses = rows.zip(&self.on_host).map(|(row, label)| {
            let (largest, sum) = exponentials(row);
            sum.ln() - (row[*label as usize].to_f64() - largest)
        });
        out[0] = T::from_f64(losses.sum::<f64>() / logits.dims[0] as f64);
    }

    fn backward<T: Scalar>(&self, call: Backward<T, 1>, [dx]: [Option<&mut [T]>; 1], (): &mut ()) {
        let Some(dx) = dx else { return };
        let [logits] = call.args;
        let classes = logits.dims[1];
        let scale = call.gradient.data[0].to_f64() / logits.dims[0] as f64;
        let rows = logits.data.chunks(classes).zip(dx.chunks_mut(classes));
        for ((row, dx), label) in rows.zip(&self.on_host) {
            let (largest, sum) = exponentials(row);
            for (class, (dx, z)) in dx.iter_mut().zip(row).enumerate() {
                let right = f64::from(class == *label as usize);
                *dx = T::from_f64(((z.to_f64() - largest).exp() / sum - right) * scale);
            }
        }
    }

    fn forward_on_gpu<T: Scalar>(
        &self,
        gpu: &Gpu,
        [logits]: [gpu::View<T>; 1],
        out: gpu::Span<T>,
        sums: &mut Sums,
    ) -> Result<()> {
        let labels = gpu.span::<u32>(&self.labels)?;
        let launch = a_thread_for_each(labels.len());
        let [sums, arrived] = sums.args(gpu, &launch)?;
        let [batch, classes] = [logits.dims[0], logits.dims[1]].map(Arg::size);
        let [logits, labels, out] = [logits.data.into(), labels.into(), out.into()];
        let args = [logits, labels, sums, arrived, out, classes, batch];
        gpu.launch::<T>("cross_entropy_forward", launch, &args)
    }

    fn backward_on_gpu<T: Scalar>(
        &self,
        gpu: &Gpu,
        call: gpu::Backward<T, 1>,
        [dx]: [Option<gpu::Span<T>>; 1],
        _: &mut Sums,
    ) -> Result<()> {
        let Some(dx) = dx else { return Ok(()) };
        let [logits] = call.args;
        let labels = gpu.span::<u32>(&self.labels)?;
        let [batch, classes] = [logits.dims[0], logits.dims[1]].map(Arg::size);
        let [logits, dy] = [logits.data, call.gradient.data].map(Arg::from);
        let args = [logits, labels.into(), dy, dx.into(), classes, batch];
        let launch = a_thread_for_each(labels.len());
        gpu.launch::<T>("cross_entropy_backward", launch, &args)
    }
}

/// Small blocks, since there are few examples and many multiprocessors.
fn a_thread_for_each(examples: usize) -> Launch {
    const THREADS: u32 = 64;
    Launch::blocks(examples.div_ceil(THREADS as usize).max(1), THREADS)
}

/// The largest logit, and the sum of `e^(z − largest)`, which cannot overflow. In f64: there are few.
fn exponentials<T: Scalar>(row: &[T]) -> (f64, f64) {
    let numbers = || row.iter().map(|z| z.to_f64());
    let largest = numbers().fold(f64::NEG_INFINITY, f64::max);
    (largest, numbers().map(|z| (z - largest).exp()).sum())
}
