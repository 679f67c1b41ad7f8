//! The variables of one model as flat memory, in name order, so that replicas that share them can
//! update them together. Those of a GPU have a [`mirror`] in the host's memory, which is what
//! exchanges through the host read and write.

mod memory;
pub mod mirror;

pub use memory::Memory;

use super::gpu::{Gpu, Span};
use candle_core::{CpuStorage, Result, Storage, StorageRef, Tensor, TensorId, Var};
use mirror::Mirror;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::ops::{Deref, Range};

/// The variables that one group of replicas reads and updates.
pub struct Parameters {
    variables: Vec<(String, Var)>,
    /// Each variable's storage, in the order of `variables`, which keeps it alive; on a GPU that of its
    /// mirror.
    memory: Vec<Memory>,
    on_gpu: Option<OnGpu>,
}

/// Variables in a GPU's memory.
struct OnGpu {
    gpu: Gpu,
    spans: Vec<Span<f32>>,
    mirror: Mirror,
}

/// A part of one variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Index of the variable in name order.
    pub variable: usize,
    /// Elements of its flat storage.
    pub elements: Range<usize>,
}

impl Parameters {
    /// Takes f32 variables that own their whole, contiguous storage, as `Var` makes them on the CPU.
    pub fn new(variables: &[(String, Var)]) -> Result<Self> {
        let memory = variables
            .iter()
            .map(|(_, variable)| Memory::of(variable))
            .collect::<Result<_>>()?;
        Ok(Self {
            variables: variables.to_vec(),
            memory,
            on_gpu: None,
        })
    }

    /// Takes f32 variables in the memory of `gpu`.
    pub fn on_gpu(gpu: &Gpu, variables: &[(String, Var)]) -> Result<Self> {
        let lengths: Vec<usize> = variables.iter().map(|(_, v)| v.elem_count()).collect();
        let spans = variables.iter().map(|(_, variable)| gpu.span(variable));
        let on_gpu = OnGpu {
            gpu: gpu.clone(),
            spans: spans.collect::<Result<_>>()?,
            mirror: Mirror::new(gpu, &lengths)?,
        };
        let parameters = Self {
            variables: variables.to_vec(),
            memory: on_gpu.mirror.parts().to_vec(),
            on_gpu: Some(on_gpu),
        };
        // SAFETY: nobody else has them yet.
        unsafe { parameters.bring_down()? };
        Ok(parameters)
    }

    /// Their GPU, if they are on one.
    pub fn gpu(&self) -> Option<&Gpu> {
        self.on_gpu.as_ref().map(|on_gpu| &on_gpu.gpu)
    }

    /// Where variables lie in their GPU's memory, in name order; empty on a CPU.
    pub fn spans(&self) -> &[Span<f32>] {
        self.on_gpu.as_ref().map_or(&[], |on_gpu| &on_gpu.spans)
    }

    /// Brings [`Parameters::memory`] up to date with what the GPU has done so far, and waits for that.
    /// Nothing on a CPU, where the two are the same.
    ///
    /// # Safety
    /// Nobody else uses the memory meanwhile.
    pub unsafe fn bring_down(&self) -> Result<()> {
        let Some(on_gpu) = &self.on_gpu else {
            return Ok(());
        };
        // SAFETY: as promised.
        unsafe { mirror::bring_down(on_gpu.gpu.queue(), &on_gpu.spans, &self.memory)? };
        on_gpu.gpu.synchronize()
    }

    /// Scalars in all variables together.
    pub fn elements(&self) -> usize {
        self.memory.iter().map(Memory::len).sum()
    }

    /// The memory of each variable, in name order.
    pub fn memory(&self) -> &[Memory] {
        &self.memory
    }

    /// The place of each variable in name order.
    pub fn places(&self) -> HashMap<TensorId, usize> {
        let variables = self.variables.iter().enumerate();
        variables.map(|(at, (_, v))| (v.id(), at)).collect()
    }

    /// Names and variables, in name order.
    pub fn variables(&self) -> &[(String, Var)] {
        &self.variables
    }

    /// Part `index` of `parts` nearly equal parts of all elements, cut at element boundaries.
    pub fn share(&self, index: usize, parts: usize) -> Vec<Piece> {
        let total = self.elements();
        let (from, until) = (total * index / parts, total * (index + 1) / parts);
        let mut start = 0;
        let mut pieces = Vec::new();
        for (variable, length) in self.memory.iter().map(Memory::len).enumerate() {
            let elements = from.clamp(start, start + length) - start
                ..until.clamp(start, start + length) - start;
            if !elements.is_empty() {
                pieces.push(Piece { variable, elements });
            }
            start += length;
        }
        pieces
    }

    /// The memory of a piece.
    ///
    /// # Safety
    /// While the slice lives, nobody else may read or write the piece: neither through this function
    /// nor through the variable, as a forward pass does.
    #[allow(clippy::mut_from_ref)] // what keeps borrowers apart is a barrier, which types do not see
    pub unsafe fn piece_mut(&self, piece: &Piece) -> &mut [f32] {
        // SAFETY: `self.variables` keeps the storage alive, and the caller promises that the access is
        // exclusive.
        unsafe { self.memory[piece.variable].slice_mut(piece.elements.clone()) }
    }

    /// Hands the present numbers of each variable, in name order, to `take`: those of a GPU once it has
    /// done all that is on its main queue. Meanwhile no replica updates the parameters.
    pub fn visit(&self, mut take: impl FnMut(usize, &[f32])) -> Result<()> {
        // SAFETY: between updates, those who read the memory find in it what it is overwritten with.
        unsafe { self.bring_down()? };
        for (at, (_, variable)) in self.variables.iter().enumerate() {
            match self.on_gpu {
                // SAFETY: the copy has ended, and nobody updates.
                Some(_) => take(at, unsafe {
                    self.memory[at].slice(0..self.memory[at].len())
                }),
                None => take(at, &values(variable)?),
            }
        }
        Ok(())
    }

    /// SHA-256 over all values in name order, as hexadecimal digits.
    pub fn digest(&self) -> Result<String> {
        let mut hash = Sha256::new();
        self.visit(|_, numbers| {
            // Chunks keep the copy small; bytes are little-endian on every machine.
            for chunk in numbers.chunks(4096) {
                let bytes: Vec<u8> = chunk.iter().flat_map(|value| value.to_le_bytes()).collect();
                hash.update(&bytes);
            }
        })?;
        Ok(hash
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect())
    }
}

/// The elements of a contiguous f32 tensor on the CPU, borrowed.
pub struct Values<'t> {
    storage: StorageRef<'t>,
    elements: Range<usize>,
}

impl Deref for Values<'_> {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match &*self.storage {
            Storage::Cpu(CpuStorage::F32(values)) => &values[self.elements.clone()],
            _ => unreachable!("`values` has looked at the storage"),
        }
    }
}

/// Borrows the elements of `tensor`.
pub fn values(tensor: &Tensor) -> Result<Values<'_>> {
    let (storage, layout) = tensor.storage_and_layout();
    let Some((from, until)) = layout.contiguous_offsets() else {
        candle_core::bail!(
            "gradients and parameters are contiguous, this one has layout {layout:?}"
        );
    };
    if !matches!(&*storage, Storage::Cpu(CpuStorage::F32(_))) {
        candle_core::bail!("gradients and parameters are f32 on the CPU in this version");
    }
    Ok(Values {
        storage,
        elements: from..until,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;
    use proptest::prelude::*;

    fn parameters(lengths: &[usize]) -> Parameters {
        let variables: Vec<_> = lengths
            .iter()
            .enumerate()
            .map(|(i, length)| {
                let values: Vec<f32> = (0..*length).map(|j| (i * 1000 + j) as f32).collect();
                (
                    format!("v{i}"),
                    Var::from_vec(values, *length, &Device::Cpu).unwrap(),
                )
            })
            .collect();
        Parameters::new(&variables).unwrap()
    }

    proptest! {
        #[test]
        fn shares_cover_every_element_once(lengths in prop::collection::vec(1usize..50, 1..6), parts in 1usize..9) {
            let parameters = parameters(&lengths);
            let mut covered: Vec<Vec<u32>> = lengths.iter().map(|length| vec![0; *length]).collect();
            for index in 0..parts {
                for piece in parameters.share(index, parts) {
                    covered[piece.variable][piece.elements].iter_mut().for_each(|count| *count += 1);
                }
            }
            prop_assert!(covered.iter().flatten().all(|count| *count == 1));
        }
    }

    #[test]
    fn a_piece_is_the_variables_own_memory() {
        let parameters = parameters(&[3, 4]);
        let before = parameters.digest().unwrap();
        let piece = Piece {
            variable: 1,
            elements: 1..3,
        };
        // SAFETY: this test has the only reference.
        let values = unsafe { parameters.piece_mut(&piece) };
        assert_eq!(values, [1001.0, 1002.0]);
        values[0] = -1.0;
        let variable = &parameters.variables[1].1;
        assert_eq!(
            variable.to_vec1::<f32>().unwrap(),
            [1000.0, -1.0, 1002.0, 1003.0]
        );
        assert_ne!(parameters.digest().unwrap(), before);
    }
}
