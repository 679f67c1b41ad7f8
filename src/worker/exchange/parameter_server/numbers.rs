//! Memory for numbers that several threads, or two processes, use in turns.

use super::super::transport::Segment;
use crate::worker::parameters::Memory;
use std::sync::Arc;

/// Memory that lives as long as anyone who has it. Whose turn it is, a lock or the protocol says.
#[derive(Clone)]
pub struct Numbers {
    memory: Memory,
    owner: Owner,
}

#[derive(Clone)]
enum Owner {
    Own { _numbers: Arc<Vec<f32>> },
    Shared(Arc<Segment>),
}

impl Numbers {
    /// So many zeros of this process.
    pub fn own(length: usize) -> Self {
        let mut numbers = vec![0.0; length];
        Self {
            memory: Memory::of_slice(&mut numbers),
            owner: Owner::Own {
                _numbers: Arc::new(numbers),
            },
        }
    }

    /// Those of a segment.
    pub fn shared(segment: Arc<Segment>) -> Self {
        Self {
            memory: segment.memory(),
            owner: Owner::Shared(segment),
        }
    }

    pub fn memory(&self) -> Memory {
        self.memory
    }

    /// The segment that they lie in, if another process has it too.
    pub fn segment(&self) -> Option<&Arc<Segment>> {
        match &self.owner {
            Owner::Own { .. } => None,
            Owner::Shared(segment) => Some(segment),
        }
    }
}
