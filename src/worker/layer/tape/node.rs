//! The gradient by one tensor of a tape: its memory, and which calls add to it. Knows no functions.

use candle_core::{Result, Tensor};

/// A variable, or a result that depends on one.
#[derive(Default)]
pub struct Node {
    /// The call whose result it is; none for a variable.
    pub made_by: Option<usize>,
    /// The first and the last call of this pass that takes it.
    taken: Option<(usize, usize)>,
    /// Of the loss by each of its numbers; made when it is needed first.
    gradient: Option<Tensor>,
    /// What one call adds to it, where several do.
    part: Option<Tensor>,
}

/// Where a call writes a gradient.
pub struct Target {
    pub into: Tensor,
    /// What it is added to; none where the call is the first to write it.
    pub part_of: Option<Tensor>,
}

impl Node {
    pub fn forget_uses(&mut self) {
        self.taken = None;
    }

    /// Notes that call `at`, later than those before, takes it. False where it does so already.
    pub fn take_by(&mut self, at: usize) -> bool {
        let (first, last) = self.taken.unwrap_or((at, usize::MAX));
        self.taken = Some((first, at));
        last != at
    }

    pub fn is_taken(&self) -> bool {
        self.taken.is_some()
    }

    pub fn gradient(&self) -> Option<&Tensor> {
        self.gradient.as_ref()
    }

    /// The gradient, if calls before `at` add nothing to it.
    pub fn final_after(&self, at: usize) -> Option<&Tensor> {
        self.taken
            .is_some_and(|(first, _)| first == at)
            .then_some(self.gradient.as_ref())
            .flatten()
    }

    /// Where call `at` writes the gradient by this node, which is `tensor`. Calls come last to first.
    pub fn target(&mut self, tensor: &Tensor, at: usize) -> Result<Target> {
        let gradient = kept(&mut self.gradient, tensor)?;
        if self.taken.is_some_and(|(_, last)| last == at) {
            return Ok(Target {
                into: gradient,
                part_of: None,
            });
        }
        Ok(Target {
            into: kept(&mut self.part, tensor)?,
            part_of: Some(gradient),
        })
    }
}

/// Memory of the size of `tensor`, made at the first call.
fn kept(memory: &mut Option<Tensor>, tensor: &Tensor) -> Result<Tensor> {
    let made = match memory.take() {
        Some(made) => made,
        None => tensor.zeros_like()?,
    };
    Ok(memory.insert(made).clone())
}
