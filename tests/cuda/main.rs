//! Layers, models, inputs and exchanges on a GPU, each held against the same thing on the CPU. Without a
//! GPU, or in a program that was built without the feature `cuda`, a test prints `skipped: no CUDA device`.

mod beside;
mod conv;
mod dense;
mod exchange;
mod input;
mod loss;
mod lrn;
mod models;
mod optimizer;
mod pointwise;
mod pool;
mod probe;
mod queue;
mod steps;

use std::cell::RefCell;
use std::io::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};
use xrun::worker::gpu::{Gpu, Options};

/// Held by the test whose turn it is, until its thread ends.
static TURN: Mutex<()> = Mutex::new(());

thread_local! {
    static OWN_TURN: RefCell<Option<MutexGuard<'static, ()>>> = const { RefCell::new(None) };
}

/// Tests use GPUs one after the other: while one captures a graph, another must not wait for its device.
fn wait_for_turn() {
    let wait = || TURN.lock().unwrap_or_else(PoisonError::into_inner);
    OWN_TURN.with(|turn| {
        turn.borrow_mut().get_or_insert_with(wait);
    });
}

/// The first GPU of this process.
fn gpu() -> Option<Gpu> {
    gpus(1).map(|mut gpus| gpus.remove(0))
}

/// `count` replicas' GPUs: different ones as far as there are so many, then the same again.
fn gpus(count: usize) -> Option<Vec<Gpu>> {
    let visible = Gpu::visible().unwrap_or_default();
    if visible.is_empty() {
        // Past the capture of the test runner: that nothing was checked is to be seen.
        let _ = writeln!(std::io::stdout(), "skipped: no CUDA device");
        return None;
    }
    wait_for_turn();
    let open = |uuid: &String| Gpu::open(uuid, &Options::default()).unwrap();
    Some(visible.iter().cycle().take(count).map(open).collect())
}
