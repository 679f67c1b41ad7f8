//! What a chain of layers did in a step, and the way back through it.
//!
//! A pass forward records one call after the other: the first argument of each is the result of the
//! one before, the others are variables. [`Tape::backward`] goes back over them, so that each
//! gradient is written once, into memory that the tape keeps. The next pass takes the same slots
//! again: from the second step on no large buffer is allocated. Candle's own differentiation, of any
//! graph, makes a tensor of zeros for every gradient and adds to it.
//!
//! ```
//! use candle_core::{Device, Tensor, Var};
//! use xrun::worker::layer::{Activation, Dense, Layer, Tape};
//!
//! # fn main() -> candle_core::Result<()> {
//! let (w, b) = (Var::new(&[[2f32], [1.0]], &Device::Cpu)?, Var::new(&[0f32], &Device::Cpu)?);
//! let dense = Dense::new(w.clone(), b, Activation::Identity);
//! let mut tape = Tape::default();
//! for x in [[3f32, 1.0], [5.0, 2.0]] {
//!     tape.rewind();
//!     dense.forward(&mut tape, &Tensor::new(&[x], &Device::Cpu)?)?;
//!     tape.backward()?;
//!     let gradient = tape.gradient(&w).unwrap();
//!     assert_eq!(gradient.flatten_all()?.to_vec1::<f32>()?, x);
//! }
//! # Ok(())
//! # }
//! ```

use super::operation::{self, Call, Function};
use super::scalar::Scalar;
use candle_core::{DType, Result, Shape, Tensor, TensorId};
use std::any::Any;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// One chain of calls, and the gradients of its variables.
#[derive(Default)]
pub struct Tape {
    /// The first `used` are those of this pass, the others are left of a longer one.
    slots: Vec<Slot>,
    used: usize,
    /// Gradients by variables.
    gradients: HashMap<TensorId, Tensor>,
}

/// The result of a call, and the gradient by it.
type Memory = (Tensor, Option<Tensor>);

/// A call of a function, with memory that outlives the pass.
struct Slot {
    call: Box<dyn Recorded>,
    result: Tensor,
    /// Of the loss by each number of `result`; made when it is needed first.
    gradient: Option<Tensor>,
}

impl Tape {
    /// Begins a new pass. Results and gradients of the one before will be overwritten.
    pub fn rewind(&mut self) {
        self.used = 0;
    }

    /// Applies `function` and records the call. An error where the first argument is not the result
    /// of the call before, or shapes do not fit.
    pub fn apply<F: Function<N>, const N: usize>(
        &mut self,
        function: F,
        args: [&Tensor; N],
    ) -> Result<Tensor> {
        if let Some(before) = self.last()
            && before.result.id() != args[0].id()
        {
            candle_core::bail!("{} breaks the chain of the tape", F::NAME);
        }
        match args[0].dtype() {
            DType::F32 => self.apply_as::<f32, F, N>(function, args),
            DType::F64 => self.apply_as::<f64, F, N>(function, args),
            _ => candle_core::bail!("{} computes with f32 or f64", F::NAME),
        }
    }

    fn apply_as<T: Scalar, F: Function<N>, const N: usize>(
        &mut self,
        function: F,
        args: [&Tensor; N],
    ) -> Result<Tensor> {
        let shape = function.result(args.map(Tensor::dims))?;
        let (mut room, memory) = self.take::<T, F, N>(&shape);
        let (result, gradient) = match memory {
            Some(memory) => memory,
            None => (Tensor::zeros(shape, T::DTYPE, args[0].device())?, None),
        };
        operation::forward(&function, &mut room, args, &result)?;
        let call = Box::new(CallOf::<T, F, N> {
            function,
            room,
            args: args.map(Tensor::clone),
        });
        let slot = Slot {
            call,
            result: result.clone(),
            gradient,
        };
        self.slots.insert(self.used, slot);
        self.used += 1;
        Ok(result)
    }

    /// What the slot that comes next has from the pass before, as far as it fits.
    fn take<T: Scalar, F: Function<N>, const N: usize>(
        &mut self,
        shape: &Shape,
    ) -> (F::Room<T>, Option<Memory>) {
        if self.used == self.slots.len() {
            return Default::default();
        }
        let slot = self.slots.remove(self.used);
        let call: Box<dyn Any> = slot.call;
        let room = match call.downcast::<CallOf<T, F, N>>() {
            Ok(call) => call.room,
            Err(_) => Default::default(),
        };
        let fits = slot.result.shape() == shape && slot.result.dtype() == T::DTYPE;
        (room, fits.then_some((slot.result, slot.gradient)))
    }

    /// The result of the last call of this pass.
    fn last(&self) -> Option<&Slot> {
        self.slots[..self.used].last()
    }

    /// Goes back through the pass from its last result, whose numbers each count once.
    pub fn backward(&mut self) -> Result<()> {
        let Some(last) = self.last() else {
            candle_core::bail!("a tape without calls has no gradients");
        };
        let ones = last.result.ones_like()?;
        self.backward_from(&ones)
    }

    /// Goes back like [`Tape::backward`], and calls `ready` with each variable and its gradient as soon
    /// as no later call can add to it; where that costs little, before the gradient by what the layer
    /// took.
    pub fn backward_telling<E: From<candle_core::Error>>(
        &mut self,
        ready: &mut dyn FnMut(&Tensor, &Tensor) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let Some(last) = self.last() else {
            let error = candle_core::Error::Msg("a tape without calls has no gradients".into());
            return Err(error.into());
        };
        let mut gradient = last.result.ones_like()?;
        for at in (0..self.used).rev() {
            let (slot, x) = slot_and_input(&mut self.slots, at)?;
            let later = x.as_ref().filter(|_| slot.call.has_cheap_parts());
            let now = x.as_ref().filter(|_| later.is_none());
            slot.backward(&gradient, now, Some(&mut self.gradients))?;
            // Each variable belongs to one call of the chain.
            for variable in slot.call.variables() {
                ready(variable, &self.gradients[&variable.id()])?;
            }
            if later.is_some() {
                slot.backward(&gradient, later, None)?;
            }
            gradient = x.unwrap_or(gradient);
        }
        Ok(())
    }

    /// Goes back through the pass, given the gradient of a loss by each number of its last result.
    pub fn backward_from(&mut self, gradient: &Tensor) -> Result<()> {
        let mut gradient = gradient.contiguous()?;
        for at in (0..self.used).rev() {
            let (slot, x) = slot_and_input(&mut self.slots, at)?;
            slot.backward(&gradient, x.as_ref(), Some(&mut self.gradients))?;
            gradient = x.unwrap_or(gradient);
        }
        Ok(())
    }

    /// Where in their windows the maxima of each pooling function of this pass were found. Gradients
    /// of two passes can only be compared where they agree: a tie that rounding resolves in another
    /// way sends a gradient elsewhere.
    pub fn places(&self) -> impl Iterator<Item = &[u8]> {
        self.slots[..self.used]
            .iter()
            .filter_map(|slot| slot.call.places())
    }

    /// The gradient by a variable of the last pass backward.
    pub fn gradient(&self, variable: &Tensor) -> Option<&Tensor> {
        self.gradients.get(&variable.id())
    }
}

/// A slot, and where the gradient by the first argument of its call goes.
fn slot_and_input(slots: &mut [Slot], at: usize) -> Result<(&mut Slot, Option<Tensor>)> {
    let (before, rest) = slots.split_at_mut(at);
    let x = before.last_mut().map(Slot::gradient).transpose()?;
    Ok((&mut rest[0], x))
}

impl Slot {
    /// Writes the gradients of its call, given that by its result.
    fn backward(
        &mut self,
        gradient: &Tensor,
        x: Option<&Tensor>,
        variables: Option<&mut HashMap<TensorId, Tensor>>,
    ) -> Result<()> {
        self.call.backward(&self.result, gradient, x, variables)
    }

    /// Memory for the gradient by the result.
    fn gradient(&mut self) -> Result<Tensor> {
        let gradient = match self.gradient.take() {
            Some(gradient) => gradient,
            None => self.result.zeros_like()?,
        };
        Ok(self.gradient.insert(gradient).clone())
    }
}

/// A recorded call, whatever its function and type of numbers.
trait Recorded: Any + Send {
    /// Writes the gradient by the first argument into `x`, and those by variables into `variables`,
    /// where they are wanted.
    fn backward(
        &mut self,
        result: &Tensor,
        gradient: &Tensor,
        x: Option<&Tensor>,
        variables: Option<&mut HashMap<TensorId, Tensor>>,
    ) -> Result<()>;

    /// Whether the gradients by variables and by the first argument cost hardly more one after the
    /// other.
    fn has_cheap_parts(&self) -> bool;

    fn places(&self) -> Option<&[u8]>;

    /// Arguments that have gradients of their own.
    fn variables(&self) -> Vec<&Tensor>;
}

struct CallOf<T: Scalar, F: Function<N>, const N: usize> {
    function: F,
    room: F::Room<T>,
    args: [Tensor; N],
}

impl<T: Scalar, F: Function<N>, const N: usize> Recorded for CallOf<T, F, N> {
    fn backward(
        &mut self,
        result: &Tensor,
        gradient: &Tensor,
        x: Option<&Tensor>,
        mut variables: Option<&mut HashMap<TensorId, Tensor>>,
    ) -> Result<()> {
        if let Some(gradients) = &mut variables {
            for variable in self.args.iter().filter(|arg| arg.is_variable()) {
                if let Entry::Vacant(entry) = gradients.entry(variable.id()) {
                    entry.insert(variable.zeros_like()?);
                }
            }
        }
        let args = std::array::from_fn(|i| &self.args[i]);
        let into = std::array::from_fn(|i| match x {
            Some(x) if i == 0 => Some(x),
            _ => variables.as_ref()?.get(&self.args[i].id()),
        });
        let call = Call {
            args,
            result,
            gradient,
            gradients: into,
        };
        operation::backward(&self.function, &mut self.room, call)
    }

    fn has_cheap_parts(&self) -> bool {
        F::CHEAP_PARTS
    }

    fn places(&self) -> Option<&[u8]> {
        F::places(&self.room)
    }

    fn variables(&self) -> Vec<&Tensor> {
        self.args.iter().filter(|arg| arg.is_variable()).collect()
    }
}
