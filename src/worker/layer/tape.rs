//! What layers did in a step, and the way back through it.
//!
//! A pass forward records one call after the other. An argument is a variable, the result of an earlier
//! call of the pass, or else a constant, which has no gradient; both of the former may be taken by any
//! number of calls, as skip connections, recurrent states and shared weights are. [`Tape::backward`]
//! goes back over the calls: the first that it meets writes a gradient into memory that the tape keeps,
//! each further one adds to it. So in a chain of layers every gradient is written once. The next pass
//! takes the same slots again: from the second step on no large buffer is allocated. Candle's own
//! differentiation makes a tensor of zeros for every gradient and adds to it.
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

mod call;
mod node;

use super::on_gpu;
use super::operation::{self, Function};
use super::scalar::Scalar;
use crate::worker::gpu::Gpu;
use call::{CallOf, Recorded, Rooms};
use candle_core::{DType, Device, Error, Result, Shape, Tensor, TensorId};
use node::Node;
use std::any::Any;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// The calls of one pass, and the gradients of their variables.
#[derive(Default)]
pub struct Tape {
    /// Where the tensors are; none for the CPU.
    gpu: Option<Gpu>,
    /// The first `used` are those of this pass, the others are left of a longer one.
    slots: Vec<Slot>,
    used: usize,
    /// All that has a gradient: variables, and results that depend on some.
    nodes: HashMap<TensorId, Node>,
    /// Results that have no gradient, by the order of their calls in a pass.
    aside: Vec<Slot>,
    used_aside: usize,
    /// Tensors of one number, the same in every pass: no pass but the first has to make them.
    constants: Vec<(f64, Tensor)>,
}

/// A call of a function, with memory that outlives the pass.
struct Slot {
    call: Box<dyn Recorded>,
    result: Tensor,
}

type RoomsOf<T, F, const N: usize> =
    Rooms<<F as Function<N>>::Room<T>, <F as Function<N>>::GpuRoom<T>>;

impl Slot {
    /// Its memory, as far as it fits a call of `F` with a result of this shape.
    fn into_parts<T: Scalar, F: Function<N>, const N: usize>(
        self,
        shape: &Shape,
    ) -> (RoomsOf<T, F, N>, Option<Tensor>) {
        let call: Box<dyn Any> = self.call;
        let room = match call.downcast::<CallOf<T, F, N>>() {
            Ok(call) => call.room,
            Err(_) => Default::default(),
        };
        let fits = self.result.shape() == shape && self.result.dtype() == T::DTYPE;
        (room, fits.then_some(self.result))
    }
}

/// Which gradients of a call are asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    All,
    Variables,
    Results,
}

/// Takes a variable and its gradient, to which no later call of the pass backward adds.
type Ready<'r, E> = dyn FnMut(&Tensor, &Tensor) -> std::result::Result<(), E> + 'r;

impl Tape {
    /// For tensors on a GPU.
    pub fn on(gpu: Gpu) -> Self {
        Self {
            gpu: Some(gpu),
            ..Self::default()
        }
    }

    /// Where its tensors are; none for the CPU.
    pub fn gpu(&self) -> Option<&Gpu> {
        self.gpu.as_ref()
    }

    /// A tensor like `model` whose numbers are all `number`, the same in every pass.
    pub fn constant(&mut self, number: f64, model: &Tensor) -> Result<Tensor> {
        let fits = |(has, tensor): &&(f64, Tensor)| {
            *has == number && tensor.shape() == model.shape() && tensor.dtype() == model.dtype()
        };
        if let Some((_, tensor)) = self.constants.iter().find(fits) {
            return Ok(tensor.clone());
        }
        let numbers = vec![number; model.elem_count()];
        let tensor = Tensor::from_vec(numbers, model.shape(), &Device::Cpu)?;
        let tensor = tensor.to_dtype(model.dtype())?.to_device(model.device())?;
        self.constants.push((number, tensor.clone()));
        Ok(tensor)
    }

    /// Begins a new pass. Results and gradients of the one before will be overwritten.
    pub fn rewind(&mut self) {
        self.used = 0;
        self.used_aside = 0;
        self.nodes.values_mut().for_each(Node::forget_uses);
    }

    /// Calls that this pass has recorded.
    pub fn calls(&self) -> usize {
        self.used
    }

    /// Applies `function` and records the call. An error where shapes do not fit, where one argument
    /// is there twice, or is a result of the pass before.
    pub fn apply<F: Function<N>, const N: usize>(
        &mut self,
        function: F,
        args: [&Tensor; N],
    ) -> Result<Tensor> {
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
        let depends = self.note_uses(F::NAME, &args)?;
        let (room, memory) = self.take::<T, F, N>(&shape);
        let slot = self.call::<T, F, N>(function, args, shape, room, memory)?;
        let result = slot.result.clone();
        if depends {
            let node = self.nodes.entry(result.id()).or_default();
            node.made_by = Some(self.used);
        }
        self.slots.insert(self.used, slot);
        self.used += 1;
        Ok(result)
    }

    /// Computes what `function` gives, in memory that is there, if any.
    fn call<T: Scalar, F: Function<N>, const N: usize>(
        &self,
        function: F,
        args: [&Tensor; N],
        shape: Shape,
        mut room: RoomsOf<T, F, N>,
        memory: Option<Tensor>,
    ) -> Result<Slot> {
        let result = match memory {
            Some(memory) => memory,
            None => Tensor::zeros(shape, T::DTYPE, args[0].device())?,
        };
        match &self.gpu {
            None => operation::forward(&function, &mut room.host, args, &result)?,
            Some(gpu) => on_gpu::forward(gpu, &function, &mut room.gpu, args, &result)?,
        }
        let args = args.map(Tensor::clone);
        let call = Box::new(CallOf::<T, F, N> {
            function,
            room,
            args,
        });
        Ok(Slot { call, result })
    }

    /// What `function` gives for a tensor, without a gradient: a figure of the pass beside its result.
    pub fn aside<T: Scalar, F: Function<1>>(
        &mut self,
        function: F,
        arg: &Tensor,
    ) -> Result<Tensor> {
        let shape = function.result([arg.dims()])?;
        let (room, memory) = match self.used_aside < self.aside.len() {
            true => self
                .aside
                .remove(self.used_aside)
                .into_parts::<T, F, 1>(&shape),
            false => Default::default(),
        };
        let slot = self.call::<T, F, 1>(function, [arg], shape, room, memory)?;
        let result = slot.result.clone();
        self.aside.insert(self.used_aside, slot);
        self.used_aside += 1;
        Ok(result)
    }

    /// Notes that the call that comes next takes these, and says whether any of them has a gradient.
    fn note_uses(&mut self, name: &str, args: &[&Tensor]) -> Result<bool> {
        let mut depends = false;
        for arg in args {
            let node = match self.nodes.entry(arg.id()) {
                Entry::Occupied(node) => node.into_mut(),
                Entry::Vacant(entry) if arg.is_variable() => entry.insert(Node::default()),
                Entry::Vacant(_) => continue,
            };
            if node.made_by.is_some_and(|slot| slot >= self.used) {
                candle_core::bail!("{name} takes a result of the pass before");
            }
            if !node.take_by(self.used) {
                candle_core::bail!("{name} takes one tensor twice");
            }
            depends = true;
        }
        Ok(depends)
    }

    /// What the slot that comes next has from the pass before, as far as it fits.
    fn take<T: Scalar, F: Function<N>, const N: usize>(
        &mut self,
        shape: &Shape,
    ) -> (RoomsOf<T, F, N>, Option<Tensor>) {
        if self.used == self.slots.len() {
            return Default::default();
        }
        let slot = self.slots.remove(self.used);
        let id = slot.result.id();
        let (room, memory) = slot.into_parts::<T, F, N>(shape);
        if memory.is_none() {
            self.nodes.remove(&id);
        }
        (room, memory)
    }

    /// Goes back through the pass from its last result, whose numbers each count once.
    pub fn backward(&mut self) -> Result<()> {
        let ones = self.ones()?;
        self.backward_from(&ones)
    }

    /// Goes back like [`Tape::backward`], and calls `ready` with each variable and its gradient as soon
    /// as no later call can add to it; where that costs little, before the gradient by what the layer
    /// took.
    pub fn backward_telling<E: From<Error>>(
        &mut self,
        ready: &mut Ready<E>,
    ) -> std::result::Result<(), E> {
        let ones = self.ones()?;
        self.go_back(ones, Some(ready))
    }

    /// Goes back through the pass, given the gradient of a loss by each number of its last result.
    pub fn backward_from(&mut self, gradient: &Tensor) -> Result<()> {
        self.go_back::<Error>(gradient.contiguous()?, None)
    }

    /// As many as the last result of this pass has numbers.
    fn ones(&mut self) -> Result<Tensor> {
        let last = self.last()?.clone();
        self.constant(1.0, &last)
    }

    /// The result of the last call of this pass.
    fn last(&self) -> Result<&Tensor> {
        match self.slots[..self.used].last() {
            Some(slot) => Ok(&slot.result),
            None => candle_core::bail!("a tape without calls has no gradients"),
        }
    }

    fn go_back<E: From<Error>>(
        &mut self,
        of_last: Tensor,
        mut ready: Option<&mut Ready<E>>,
    ) -> std::result::Result<(), E> {
        let mut of_last = Some(of_last);
        for at in (0..self.used).rev() {
            let gradient = match of_last.take() {
                Some(gradient) => Some(gradient),
                None => self.gradient_by_result(at)?,
            };
            let Some(gradient) = gradient else { continue };
            let apart = ready.is_some() && self.slots[at].call.has_cheap_parts();
            let first = if apart { Part::Variables } else { Part::All };
            self.call_back(at, &gradient, first)?;
            if let Some(ready) = &mut ready {
                self.tell(at, ready)?;
            }
            if apart {
                self.call_back(at, &gradient, Part::Results)?;
            }
        }
        Ok(())
    }

    /// What later calls have made of the gradient by a result; none where it depends on no variable.
    /// An error where no call has taken it, since a gradient ends there that was meant to go on.
    fn gradient_by_result(&self, at: usize) -> Result<Option<Tensor>> {
        let Slot { call, result } = &self.slots[at];
        match self.nodes.get(&result.id()) {
            None => Ok(None),
            Some(node) if node.is_taken() => Ok(node.gradient().cloned()),
            Some(_) => candle_core::bail!("no call takes the result of {}", call.name()),
        }
    }

    /// Lets a call add to the gradients by its arguments, given that by its result.
    fn call_back(&mut self, at: usize, gradient: &Tensor, part: Part) -> Result<()> {
        let Slot { call, result } = &mut self.slots[at];
        let target = |arg: &Tensor| match self.nodes.get_mut(&arg.id()) {
            Some(node) if part.wants(arg) => node.target(arg, at).map(Some),
            _ => Ok(None),
        };
        let targets = call.args().iter().map(target);
        let targets = targets.collect::<Result<Vec<_>>>()?;
        call.backward(self.gpu.as_ref(), result, gradient, &targets)
    }

    /// Hands out the gradients that a call was the last to add to.
    fn tell<E: From<Error>>(&self, at: usize, ready: &mut Ready<E>) -> std::result::Result<(), E> {
        for arg in self.slots[at].call.args() {
            if arg.is_variable()
                && let Some(gradient) = self.nodes[&arg.id()].final_after(at)
            {
                ready(arg, gradient)?;
            }
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
        self.nodes.get(&variable.id())?.gradient()
    }
}

impl Part {
    fn wants(self, arg: &Tensor) -> bool {
        match self {
            Self::All => true,
            Self::Variables => arg.is_variable(),
            Self::Results => !arg.is_variable(),
        }
    }
}
