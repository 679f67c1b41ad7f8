//! Memory for the mean gradients of a group. In: lengths of the variables. Out: places that members write
//! and read in turns, as they promise each other.

use crate::worker::parameters::Memory;
use crate::worker::parameters::mirror::Mirror;

/// The mean gradient of each variable; none in a group of one. Members write it in turns: their own
/// pieces, then the first member all of them.
pub struct Means {
    parts: Vec<Memory>,
    _owner: Owner,
}

/// What keeps the memory of means.
enum Owner {
    Nobody,
    Numbers { _arrays: Vec<Vec<f32>> },
    Mirror { _mirror: Mirror },
}

impl Means {
    /// Where the mean of each variable is.
    pub fn parts(&self) -> &[Memory] {
        &self.parts
    }

    pub fn none() -> Self {
        Self {
            parts: Vec::new(),
            _owner: Owner::Nobody,
        }
    }

    pub fn zeros(lengths: impl Iterator<Item = usize>) -> Self {
        let mut arrays: Vec<Vec<f32>> = lengths.map(|length| vec![0.0; length]).collect();
        Self {
            parts: arrays.iter_mut().map(|a| Memory::of_slice(a)).collect(),
            _owner: Owner::Numbers { _arrays: arrays },
        }
    }

    /// In memory that a GPU copies from by itself.
    pub fn page_locked(mirror: Mirror) -> Self {
        Self {
            parts: mirror.parts().to_vec(),
            _owner: Owner::Mirror { _mirror: mirror },
        }
    }
}
