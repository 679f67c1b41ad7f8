//! Reduces buckets beside the backward pass. In: buckets. Out: that they are done. One thread, on the
//! cores that the worker has anyway.

use super::collective::{Bucket, Collective};
use crate::worker::cores;
use anyhow::{Context, Result, bail};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

/// A thread that reduces the buckets that it is handed, one after the other.
pub struct Courier {
    /// None when it ends.
    buckets: Option<Sender<Bucket>>,
    results: Receiver<Result<()>>,
    under_way: usize,
    thread: Option<JoinHandle<()>>,
}

impl Courier {
    /// Starts the thread. Sums are multiplied with `scale`.
    pub fn start(
        mut collective: Box<dyn Collective>,
        scale: f32,
        cores: Vec<usize>,
    ) -> Result<Self> {
        let (buckets, handed) = channel::<Bucket>();
        let (told, results) = channel();
        let work = move || {
            let bound = cores::bind(&cores);
            let mut go_on = bound.is_ok() || told.send(bound).is_ok();
            while let (true, Ok(bucket)) = (go_on, handed.recv()) {
                // SAFETY: whoever handed it has promised so.
                let result = unsafe { collective.all_reduce(&bucket, scale) };
                go_on = result.is_ok();
                go_on &= told.send(result).is_ok();
            }
        };
        let thread = std::thread::Builder::new().name("all-reduce".into());
        Ok(Self {
            buckets: Some(buckets),
            results,
            under_way: 0,
            thread: Some(
                thread
                    .spawn(work)
                    .context("starting a thread to exchange")?,
            ),
        })
    }

    /// Hands a bucket over.
    ///
    /// # Errors
    /// What an earlier bucket has failed of.
    ///
    /// # Safety
    /// Until [`wait`](Self::wait) returns, nobody else uses the memory.
    pub unsafe fn hand(&mut self, bucket: Bucket) -> Result<()> {
        self.under_way += 1;
        match self.buckets.as_ref().map(|buckets| buckets.send(bucket)) {
            Some(Ok(())) => Ok(()),
            _ => self.wait(),
        }
    }

    /// Waits until all buckets are done; the thread bounds that.
    ///
    /// # Errors
    /// What the first of them has failed of; then nobody uses their memory any more.
    pub fn wait(&mut self) -> Result<()> {
        while self.under_way > 0 {
            match self.results.recv() {
                Ok(result) => result?,
                Err(_) => bail!("the thread that exchanges gradients has ended"),
            }
            self.under_way -= 1;
        }
        Ok(())
    }
}

impl Drop for Courier {
    fn drop(&mut self) {
        self.buckets = None;
        if let Some(thread) = self.thread.take() {
            // A panic has told its message, and there is nobody to hand an error to.
            let _ = thread.join();
        }
    }
}
