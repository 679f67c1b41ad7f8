//! One recorded call: its function, its arguments and the memory that it keeps. Knows nothing of the
//! calls around it.

use super::super::operation::{self, Call, Function};
use super::super::scalar::Scalar;
use super::node::Target;
use candle_core::{Result, Tensor};
use std::any::Any;

/// A recorded call, whatever its function and type of numbers.
pub trait Recorded: Any + Send {
    fn name(&self) -> &'static str;

    fn args(&self) -> &[Tensor];

    /// Writes or adds the gradient by each argument, where it is wanted.
    fn backward(
        &mut self,
        result: &Tensor,
        gradient: &Tensor,
        targets: &[Option<Target>],
    ) -> Result<()>;

    /// Whether the gradients by variables and by the first argument cost hardly more one after the
    /// other.
    fn has_cheap_parts(&self) -> bool;

    fn places(&self) -> Option<&[u8]>;
}

/// A call with numbers of one type.
pub struct CallOf<T: Scalar, F: Function<N>, const N: usize> {
    pub function: F,
    pub room: F::Room<T>,
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
        operation::backward(&self.function, &mut self.room, call)?;
        for target in targets.iter().flatten() {
            if let Some(sum) = &target.part_of {
                operation::add::<T>(sum, &target.into)?;
            }
        }
        Ok(())
    }

    fn has_cheap_parts(&self) -> bool {
        F::CHEAP_PARTS
    }

    fn places(&self) -> Option<&[u8]> {
        F::places(&self.room)
    }
}
