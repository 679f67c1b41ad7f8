//! One recorded call: its function, its arguments and the memory that it keeps. Knows nothing of the
//! calls around it.

use super::super::on_gpu;
use super::super::operation::{self, Call, Function};
use super::super::scalar::Scalar;
use super::node::Target;
use crate::worker::gpu::Gpu;
use candle_core::{Result, Tensor};
use std::any::Any;

/// A recorded call, whatever its function and type of numbers.
pub trait Recorded: Any + Send {
    fn name(&self) -> &'static str;

    fn args(&self) -> &[Tensor];

    /// Writes or adds the gradient by each argument, where it is wanted, on `gpu` if the tensors are there.
    fn backward(
        &mut self,
        gpu: Option<&Gpu>,
        result: &Tensor,
        gradient: &Tensor,
        targets: &[Option<Target>],
    ) -> Result<()>;

    /// Whether the gradients by variables and by the first argument cost hardly more one after the
    /// other.
    fn has_cheap_parts(&self) -> bool;

    fn places(&self) -> Option<&[u8]>;
}

/// Memory of a call: that of the place where it computes is in use.
#[derive(Default)]
pub struct Rooms<H, G> {
    pub host: H,
    pub gpu: G,
}

/// A call with numbers of one type.
pub struct CallOf<T: Scalar, F: Function<N>, const N: usize> {
    pub function: F,
    pub room: Rooms<F::Room<T>, F::GpuRoom<T>>,
    pub args: [Tensor; N],
}

impl<T: Scalar, F: Function<N>, const N: usize> Recorded for CallOf<T, F, N> {
    fn name(&self) -> &'static str {
        F::NAME
    }

    fn args(&self) -> &[Tensor] {
        &self.args
    }

    fn backward(
        &mut self,
        gpu: Option<&Gpu>,
        result: &Tensor,
        gradient: &Tensor,
        targets: &[Option<Target>],
    ) -> Result<()> {
        let call = Call {
            args: std::array::from_fn(|i| &self.args[i]),
            result,
            gradient,
            gradients: std::array::from_fn(|i| Some(&targets[i].as_ref()?.into)),
        };
        let Rooms { host, gpu: device } = &mut self.room;
        match gpu {
            None => operation::backward(&self.function, host, call)?,
            Some(gpu) => on_gpu::backward(gpu, &self.function, device, call)?,
        }
        for target in targets.iter().flatten() {
            match (gpu, &target.part_of) {
                (_, None) => {}
                (None, Some(sum)) => operation::add::<T>(sum, &target.into)?,
                (Some(gpu), Some(sum)) => on_gpu::add::<T>(gpu, sum, &target.into)?,
            }
        }
        Ok(())
    }

    fn has_cheap_parts(&self) -> bool {
        F::CHEAP_PARTS
    }

    fn places(&self) -> Option<&[u8]> {
        F::places(&self.room.host)
    }
}
