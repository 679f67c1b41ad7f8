//! Two threads on two cores that start their rounds together. In: what each side does in a round. Out:
//! seconds of each round as the first side sees it. Knows neither sockets nor memory.

use super::{repeated, times};
use crate::worker::cores::bind;
use anyhow::{Context, Result};
use std::thread;

/// One side, which is made on its own thread so that its memory is near its core.
pub trait Side {
    /// Tells the other side something without content.
    fn signal(&mut self) -> Result<()>;
    /// Waits for such a message.
    fn wait(&mut self) -> Result<()>;
    /// Its part of a round, or of one repetition in it.
    fn round(&mut self) -> Result<()>;
}

/// Runs all rounds, of so many repetitions each. A side that fails is dropped, which must end all waits of the other one.
///
/// # Errors
/// Those of the first side before those of the second.
pub fn run<A: Side, B: Side>(
    places: [usize; 2],
    again: usize,
    first: impl FnOnce() -> Result<A> + Send,
    second: impl FnOnce() -> Result<B> + Send,
) -> Result<Vec<f64>> {
    let leading = || {
        bind(&places[..1])?;
        let mut side = first()?;
        side.wait()?;
        times(|| {
            side.signal()?;
            repeated(again, || side.round())?;
            side.wait()
        })
    };
    let following = || {
        bind(&places[1..2])?;
        let mut side = second()?;
        side.signal()?;
        for _ in 0..=super::ROUNDS {
            side.wait()?;
            repeated(again, || side.round())?;
            side.signal()?;
        }
        anyhow::Ok(())
    };
    thread::scope(|scope| {
        let (leading, following) = (scope.spawn(leading), scope.spawn(following));
        let times = leading
            .join()
            .ok()
            .context("the first side of a probe panicked")?;
        let followed = following
            .join()
            .ok()
            .context("the second side of a probe panicked")?;
        times.and_then(|times| followed.map(|()| times))
    })
}

/// Does rounds, of so many repetitions each, of one side alone, on a core.
pub fn alone<A: FnMut() -> Result<()>>(
    place: usize,
    again: usize,
    make: impl FnOnce() -> Result<A> + Send,
) -> Result<Vec<f64>> {
    let work = || {
        bind(&[place])?;
        let mut part = make()?;
        times(|| repeated(again, &mut part))
    };
    thread::scope(|scope| scope.spawn(work).join().ok().context("a probe panicked")?)
}
