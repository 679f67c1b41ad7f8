//! The parameters of one server and what their optimizer keeps. In: gradients of units. Out: weights.
//! A unit has one lock: whoever reads it sees it before or after an update, never within. Knows no
//! connections.

use super::super::numbers::Numbers;
use super::super::units::{self, Unit};
use super::progress::Progress;
use crate::worker::optimizer::{Config, Optimizer};
use crate::worker::parameters::{Memory, Parameters};
use std::ops::Range;
use std::sync::{Mutex, RwLock, RwLockReadGuard, TryLockError};
use std::time::Instant;

/// The units of a server.
pub struct Store {
    pub progress: Progress,
    cells: Vec<Cell>,
    weights: Numbers,
}

/// One unit.
struct Cell {
    weights: Memory,
    state: RwLock<State>,
    /// Gradients of the present update that wait for others.
    waiting: Mutex<Vec<Waiting>>,
}

/// The gradient of a unit from the worker of some rank, in memory that lives on if its worker is lost.
pub struct Waiting {
    pub rank: usize,
    pub numbers: Numbers,
    pub elements: Range<usize>,
}

struct State {
    optimizer: Optimizer,
    updates: u64,
}

/// A unit that nobody writes while this lives.
pub struct Reading<'s> {
    state: RwLockReadGuard<'s, State>,
    weights: Memory,
}

impl Reading<'_> {
    pub fn weights(&self) -> &[f32] {
        // SAFETY: the store lives, and only who has the lock for writing writes.
        unsafe { self.weights.slice(0..self.weights.len()) }
    }

    /// Updates that it has had.
    pub fn updates(&self) -> u64 {
        self.state.updates
    }
}

impl Store {
    /// Takes the initial values of `units` from all `parameters` of the model. `weights` is memory
    /// for them.
    pub fn new(
        config: Config,
        units: &[Unit],
        parameters: &Parameters,
        weights: Numbers,
        progress: Progress,
    ) -> Self {
        debug_assert!(weights.memory().len() >= units::room(units).0);
        let memory = weights.memory();
        let cell = |unit: &Unit| {
            // SAFETY: units are disjoint, and nobody else has the store or the parameters yet.
            let weights = unsafe { memory.slice_mut(unit.place.clone()) };
            weights.copy_from_slice(unsafe { parameters.piece_mut(&unit.piece) });
            Cell {
                state: RwLock::new(State {
                    optimizer: Optimizer::new(config, &[weights]),
                    updates: 0,
                }),
                weights: Memory::of_slice(weights),
                waiting: Mutex::default(),
            }
        };
        Self {
            progress,
            cells: units.iter().map(cell).collect(),
            weights,
        }
    }

    /// All weights.
    pub fn weights(&self) -> &Numbers {
        &self.weights
    }

    /// A unit, once nobody writes it.
    pub fn read(&self, unit: usize) -> Reading<'_> {
        let cell = &self.cells[unit];
        Reading {
            state: cell.state.read().expect("no update panics"),
            weights: cell.weights,
        }
    }

    /// A unit, if nobody writes it now.
    pub fn try_read(&self, unit: usize) -> Option<Reading<'_>> {
        let cell = &self.cells[unit];
        match cell.state.try_read() {
            Ok(state) => Some(Reading {
                state,
                weights: cell.weights,
            }),
            Err(TryLockError::WouldBlock) => None,
            Err(TryLockError::Poisoned(_)) => panic!("no update panics"),
        }
    }

    /// Updates a unit by a gradient, or by the mean of all gradients of an update once the last of them
    /// is here. Returns seconds of the update.
    ///
    /// # Safety
    /// Nobody writes the gradient before the update that it belongs to is finished.
    pub unsafe fn add(&self, unit: usize, gradient: Waiting) -> f64 {
        let Some(needed) = self.progress.needed() else {
            // SAFETY: the caller's promise.
            return self.update(unit, &[unsafe { gradient.slice() }]);
        };
        let mut waiting = self.cells[unit].waiting.lock().expect("no update panics");
        waiting.push(gradient);
        if waiting.len() < needed {
            return 0.0;
        }
        // The order of ranks, so that the sum does not depend on who was first.
        waiting.sort_unstable_by_key(|gradient| gradient.rank);
        // SAFETY: the promises of those who brought them.
        let slices = waiting.iter().map(|gradient| unsafe { gradient.slice() });
        let seconds = self.update(unit, &slices.collect::<Vec<_>>());
        waiting.clear();
        self.progress.applied();
        seconds
    }

    fn update(&self, unit: usize, gradients: &[&[f32]]) -> f64 {
        let cell = &self.cells[unit];
        let mut state = cell.state.write().expect("no update panics");
        let started = Instant::now();
        // SAFETY: who has the lock for writing is alone with the weights.
        let weights = unsafe { cell.weights.slice_mut(0..cell.weights.len()) };
        state.optimizer.step_by_mean(weights, gradients);
        state.updates += 1;
        started.elapsed().as_secs_f64()
    }
}

impl Waiting {
    /// # Safety
    /// Nobody writes the gradient while the slice lives.
    unsafe fn slice(&self) -> &[f32] {
        // SAFETY: `self.numbers` keeps the memory alive; the rest is the caller's promise.
        unsafe { self.numbers.memory().slice(self.elements.clone()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terms::OptimizerName;
    use crate::worker::parameters::Piece;
    use candle_core::{Device, Var};
    use std::time::Duration;

    fn store(needed: Option<usize>) -> Store {
        let weights = Var::from_vec(vec![1f32, 2.0, 3.0], 3, &Device::Cpu).unwrap();
        let parameters = Parameters::new(&[("w".to_owned(), weights)]).unwrap();
        let unit = Unit {
            piece: Piece {
                variable: 0,
                elements: 1..3,
            },
            place: 0..2,
            slot: 0..2,
        };
        let config = Config {
            rule: OptimizerName::Sgd,
            learning_rate: 1.0,
            decay: None,
            averages: false,
        };
        let progress = Progress::new(1, needed, Duration::from_millis(20));
        Store::new(config, &[unit], &parameters, Numbers::own(2), progress)
    }

    /// Adds a gradient of two equal numbers.
    fn add(store: &Store, rank: usize, number: f32) {
        let numbers = Numbers::own(2);
        // SAFETY: nobody else has these numbers.
        unsafe {
            numbers.memory().slice_mut(0..2).fill(number);
            let elements = 0..2;
            store.add(
                0,
                Waiting {
                    rank,
                    numbers,
                    elements,
                },
            );
        }
    }

    #[test]
    fn a_gradient_is_an_update_where_nobody_waits() {
        let store = store(None);
        assert_eq!(
            store.read(0).weights(),
            [2.0, 3.0],
            "its part of the variable"
        );
        add(&store, 1, 0.5);
        assert_eq!(store.read(0).weights(), [1.5, 2.5]);
        assert_eq!(store.read(0).updates(), 1);
    }

    #[test]
    fn an_update_is_the_mean_of_all_its_gradients_in_any_order() {
        let results = [[0, 1, 2], [2, 0, 1]].map(|order| {
            let store = store(Some(3));
            for rank in order {
                assert_eq!(store.read(0).updates(), 0);
                assert!(store.progress.admit(0).unwrap());
                add(&store, rank, [0.1, 1e7, -1e7][rank]);
            }
            assert_eq!(store.read(0).updates(), 1);
            assert_eq!(store.progress.wait_for(1).unwrap(), 1);
            store.read(0).weights().to_vec()
        });
        assert_eq!(
            results[0], results[1],
            "bits, though sums depend on their order"
        );
    }

    #[test]
    fn readers_keep_writers_out_and_not_each_other() {
        let store = store(None);
        let first = store.read(0);
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| add(&store, 0, 0.5));
            assert_eq!(first.weights(), [2.0, 3.0]);
            drop(first);
            writer.join().unwrap();
        });
        assert_eq!(store.try_read(0).unwrap().weights(), [1.5, 2.5]);
    }
}
