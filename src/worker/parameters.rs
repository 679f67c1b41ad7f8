//! The variables of one model as flat memory, in name order, so that replicas that share them can
//! update them together.

use candle_core::{CpuStorage, InplaceOp1, Layout, Result, Storage, StorageRef, Tensor, Var};
use sha2::{Digest, Sha256};
use std::ops::{Deref, Range};
use std::sync::Mutex;

/// The variables that one group of replicas reads and updates.
pub struct Parameters {
    variables: Vec<(String, Var)>,
    /// Start and length of each variable's storage, in the order of `variables`.
    memory: Vec<(*mut f32, usize)>,
}

// SAFETY: the pointers lead into storage that `variables` keeps alive. All access through them goes
// by `piece_mut`, whose callers promise to keep apart.
unsafe impl Send for Parameters {}
unsafe impl Sync for Parameters {}

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
            .map(|(_, variable)| address(variable))
            .collect::<Result<_>>()?;
        Ok(Self {
            variables: variables.to_vec(),
            memory,
        })
    }

    /// Scalars in all variables together.
    pub fn elements(&self) -> usize {
        self.memory.iter().map(|(_, length)| length).sum()
    }

    /// Part `index` of `parts` nearly equal parts of all elements, cut at element boundaries.
    pub fn share(&self, index: usize, parts: usize) -> Vec<Piece> {
        let total = self.elements();
        let (from, until) = (total * index / parts, total * (index + 1) / parts);
        let mut start = 0;
        let mut pieces = Vec::new();
        for (variable, (_, length)) in self.memory.iter().enumerate() {
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
        let (start, length) = self.memory[piece.variable];
        assert!(
            piece.elements.end <= length,
            "a piece lies within its variable"
        );
        // SAFETY: the range lies within the storage, which `self.variables` keeps alive, and the
        // caller promises that the access is exclusive.
        unsafe {
            std::slice::from_raw_parts_mut(start.add(piece.elements.start), piece.elements.len())
        }
    }

    /// SHA-256 over all values in name order, as hexadecimal digits.
    pub fn digest(&self) -> Result<String> {
        let mut hash = Sha256::new();
        for (_, variable) in &self.variables {
            // Chunks keep the copy small; bytes are little-endian on every machine.
            for chunk in values(variable)?.chunks(4096) {
                let bytes: Vec<u8> = chunk.iter().flat_map(|value| value.to_le_bytes()).collect();
                hash.update(&bytes);
            }
        }
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

fn address(variable: &Var) -> Result<(*mut f32, usize)> {
    let op = Address(Mutex::new(None));
    variable.inplace_op1(&op)?;
    let found =
        op.0.into_inner()
            .expect("no thread panics while it holds this lock");
    let Found(start, length) = found.expect("an operation that succeeds has run");
    Ok((start, length))
}

/// Finds where a variable's storage lies; candle lends mutable storage to operations alone.
struct Address(Mutex<Option<Found>>);

struct Found(*mut f32, usize);

// SAFETY: an address is only a number until `Parameters::piece_mut` is called.
unsafe impl Send for Found {}

impl InplaceOp1 for Address {
    fn name(&self) -> &'static str {
        "address"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        let (CpuStorage::F32(values), true) = (
            storage,
            layout.is_contiguous() && layout.start_offset() == 0,
        ) else {
            candle_core::bail!("variables are contiguous f32 in this version");
        };
        let found = Found(values.as_mut_ptr(), values.len());
        *self
            .0
            .lock()
            .expect("no thread panics while it holds this lock") = Some(found);
        Ok(())
    }
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
