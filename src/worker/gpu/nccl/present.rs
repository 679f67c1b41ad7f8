//! Ranks of NCCL, as this process has them.

use super::super::{Gpu, Span};
use candle_core::cuda_backend::{WrapErr, cudarc};
use candle_core::{Error, Result};
use cudarc::nccl::sys;
use std::ffi::{CStr, c_char, c_int};
use std::fmt;

/// What ranks find each other by.
#[derive(Clone)]
pub struct Id(sys::ncclUniqueId);

impl Id {
    /// A new one. This process answers to those who know it.
    pub fn new() -> Result<Self> {
        let mut id = sys::ncclUniqueId { internal: [0; 128] };
        // SAFETY: a place for one identity.
        done(
            unsafe { sys::ncclGetUniqueId(&mut id) },
            "making an identity",
        )?;
        Ok(Self(id))
    }

    /// From the text of another one.
    pub fn parse(text: &str) -> Result<Self> {
        let mut id = sys::ncclUniqueId { internal: [0; 128] };
        if text.len() != 2 * id.internal.len() || !text.is_ascii() {
            candle_core::bail!("{text:?} is no identity of NCCL's ranks")
        }
        for (byte, digits) in id.internal.iter_mut().zip(text.as_bytes().chunks(2)) {
            let digits = std::str::from_utf8(digits).expect("ASCII is UTF-8");
            *byte = u8::from_str_radix(digits, 16).map_err(Error::wrap)? as c_char;
        }
        Ok(Self(id))
    }
}

/// As hexadecimal digits.
impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = self.0.internal.iter();
        bytes.try_for_each(|byte| write!(f, "{:02x}", *byte as u8))
    }
}

/// One of the ranks that sum together: one GPU of this process.
#[derive(Debug)]
pub struct Rank {
    communicator: sys::ncclComm_t,
    ranks: usize,
}

// SAFETY: NCCL lets any thread use a communicator, one at a time: it has no `Sync`.
unsafe impl Send for Rank {}

impl Rank {
    /// Makes ranks of all `gpus`, of number `first` on, and waits until there are `ranks` in all
    /// processes.
    ///
    /// # Errors
    /// NCCL's words, such as those on two ranks that share a GPU.
    pub fn join(gpus: &[Gpu], first: usize, ranks: usize, id: &Id) -> Result<Vec<Self>> {
        let joining = || {
            format!(
                "joining NCCL as ranks {first} to {}",
                first + gpus.len() - 1
            )
        };
        let mut communicators = vec![std::ptr::null_mut(); gpus.len()];
        // SAFETY: the group is ended below.
        done(unsafe { sys::ncclGroupStart() }, "opening a group")?;
        let mut each = communicators.iter_mut().zip(gpus).enumerate();
        let asked = each.try_for_each(|(at, (communicator, gpu))| {
            gpu.context().bind_to_thread().w()?;
            let rank = (first + at) as c_int;
            // SAFETY: a place for one communicator, which lives until the group has ended.
            let code = unsafe { sys::ncclCommInitRank(communicator, ranks as c_int, id.0, rank) };
            done(code, &joining())
        });
        // SAFETY: it was opened above.
        let ended = done(unsafe { sys::ncclGroupEnd() }, &joining());
        asked.and(ended)?;
        let rank = |communicator| Self {
            communicator,
            ranks,
        };
        Ok(communicators.into_iter().map(rank).collect())
    }

    /// Of all processes.
    pub fn ranks(&self) -> usize {
        self.ranks
    }

    /// Puts on the main queue of `gpu`, whose rank this is, what replaces the numbers of each span by
    /// their sums over all ranks, which get the same bits. All ranks have the same spans in the same
    /// order.
    pub fn sum(&self, gpu: &Gpu, spans: &[Span<f32>]) -> Result<()> {
        gpu.context().bind_to_thread().w()?;
        gpu.queue().count(1);
        // SAFETY: the group is ended below.
        done(unsafe { sys::ncclGroupStart() }, "opening a group")?;
        let asked = spans.iter().try_for_each(|span| self.sum_one(gpu, *span));
        // SAFETY: it was opened above. What a group has becomes one launch.
        let ended = done(unsafe { sys::ncclGroupEnd() }, "summing gradients");
        asked.and(ended)
    }

    fn sum_one(&self, gpu: &Gpu, span: Span<f32>) -> Result<()> {
        let (from, to) = (span.address() as *const _, span.address() as *mut _);
        let (kind, sum) = (sys::ncclDataType_t::ncclFloat32, sys::ncclRedOp_t::ncclSum);
        let stream = gpu.queue().raw().cast();
        // SAFETY: so many numbers lie there, on the GPU of this rank; sums in place are allowed.
        let code = unsafe {
            sys::ncclAllReduce(from, to, span.len(), kind, sum, self.communicator, stream)
        };
        done(code, "summing a gradient")
    }
}

impl Drop for Rank {
    /// Without waiting for other ranks, which may have failed. Sums that are still going on end.
    fn drop(&mut self) {
        // SAFETY: it was made by `join`, and nobody uses it any more.
        let _ = unsafe { sys::ncclCommAbort(self.communicator) };
    }
}

/// NCCL's own words where something failed.
fn done(code: sys::ncclResult_t, what: &str) -> Result<()> {
    let hint = match code {
        sys::ncclResult_t::ncclSuccess | sys::ncclResult_t::ncclInProgress => return Ok(()),
        sys::ncclResult_t::ncclInvalidUsage => {
            "; it refuses two ranks that share a GPU: cluster.transport = \"shared-memory\" takes the \
             gradients through the host"
        }
        _ => "",
    };
    // SAFETY: without a communicator NCCL tells the last error of this process.
    let last = unsafe { text(sys::ncclGetLastError(std::ptr::null_mut())) };
    // SAFETY: any code has a text.
    let kind = unsafe { text(sys::ncclGetErrorString(code)) };
    candle_core::bail!("{what}: NCCL says: {kind} {last}{hint}")
}

/// # Safety
/// A text that ends with a zero and lives, or null.
unsafe fn text(from: *const c_char) -> String {
    if from.is_null() {
        return String::new();
    }
    // SAFETY: the caller's promise.
    let text = unsafe { CStr::from_ptr(from) };
    text.to_string_lossy().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_read_back_from_its_text() {
        let mut id = Id(sys::ncclUniqueId { internal: [0; 128] });
        (id.0.internal[0], id.0.internal[127]) = (-1, 5);
        let text = id.to_string();
        assert_eq!(Id::parse(&text).unwrap().0.internal, id.0.internal);
        assert!(Id::parse(&text[1..]).is_err());
        assert!(Id::parse(&text.replace('f', "x")).is_err());
    }
}
