//! cuDNN's state of one GPU.

use super::super::Queue;
use candle_core::cuda_backend::cudarc::cudnn::{result, sys};
use candle_core::{Error, Result};
use std::fmt;
use std::sync::{Mutex, MutexGuard};

/// A place for cuDNN's handle, which is made when somebody first asks for it.
#[derive(Default)]
pub struct Handle(Mutex<Option<Raw>>);

struct Raw(sys::cudnnHandle_t);

// SAFETY: a handle may be used from any thread, by one at a time: it lies in a mutex.
unsafe impl Send for Raw {}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handle of cuDNN")
    }
}

impl Handle {
    /// Gives the handle to `work`, which puts its work on `queue`.
    pub fn with<R>(
        &self,
        queue: &Queue,
        work: impl FnOnce(sys::cudnnHandle_t) -> Result<R>,
    ) -> Result<R> {
        queue.bind()?;
        let mut place = self.lock();
        let handle = match &*place {
            Some(raw) => raw.0,
            None => {
                let handle = result::create_handle().map_err(Error::wrap)?;
                place.insert(Raw(handle)).0
            }
        };
        // SAFETY: handle and stream live.
        unsafe { result::set_stream(handle, queue.raw().cast()) }.map_err(Error::wrap)?;
        work(handle)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Raw>> {
        self.0
            .lock()
            .expect("no thread panics while it calls cuDNN")
    }
}

impl Drop for Raw {
    /// A failure means that the device is gone.
    fn drop(&mut self) {
        // SAFETY: the handle was created once, and this was its only owner.
        let _ = unsafe { result::destroy_handle(self.0) };
    }
}
