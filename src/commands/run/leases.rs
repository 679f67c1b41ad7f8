//! The right to use GPUs, asked for before each repeat, since others come and go. In: the GPUs of a
//! repeat, and someone who reads them. Out: [`Lease`], or in plain words why the repeat must not use them
//! now. Afterwards their memory must be free again before others get them.

use crate::machine::gpu::occupancy::{Library, Reading};
use crate::units::Bytes;
use std::cell::OnceCell;
use std::collections::HashMap;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long the memory of processes that have ended may take to be free.
const MEMORY_RETURNS: Duration = Duration::from_secs(10);
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

/// Memory of a GPU that may be in use again or still after a repeat: what the driver keeps moves a little.
const SLACK: Bytes = Bytes(64 << 20);

/// Memory in use that no visible process accounts for is somebody's from here on; the driver's own is less.
const UNSEEN: Bytes = Bytes(1 << 30);

/// Reads a GPU by its UUID, or says why it does not answer.
type Reader = Box<dyn Fn(&str) -> Result<Reading, String>>;

/// All leases of a run.
pub struct Leases {
    read: Reader,
    /// Memory in use on each GPU of the present repeat before it began.
    levels: Vec<(String, Bytes)>,
    /// What an earlier repeat has left in the memory of a GPU, in words, until the next one there.
    left: HashMap<String, String>,
}

/// The right to use the GPUs of one repeat.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lease {
    /// Who else uses them, where the cell allows that.
    pub occupied: Option<String>,
    /// What earlier repeats have left in their memory.
    pub left: Option<String>,
}

impl Default for Leases {
    /// NVML is opened for the first GPU and stays open.
    fn default() -> Self {
        let library: OnceCell<Result<Library, String>> = OnceCell::new();
        Self::of(Box::new(move |uuid| {
            let library = library.get_or_init(Library::open);
            library.as_ref().map_err(Clone::clone)?.read(uuid)
        }))
    }
}

impl Leases {
    fn of(read: Reader) -> Self {
        Self {
            read,
            levels: Vec::new(),
            left: HashMap::new(),
        }
    }

    /// Before a repeat on `gpus`, which are named by UUID; a repeat without GPUs has nothing to ask.
    ///
    /// # Errors
    /// Why it cannot use them now, and what to do.
    pub fn ask(&mut self, gpus: &[&str], allow_occupied: bool) -> Result<Lease, String> {
        self.levels.clear();
        let (mut occupied, mut left) = (Vec::new(), Vec::new());
        for uuid in gpus {
            let reading = (self.read)(uuid).map_err(|why| lost(uuid, &why))?;
            self.levels
                .push(((*uuid).to_owned(), Bytes(reading.used_bytes)));
            let leftover = self.left.get(*uuid);
            occupied.extend(user(uuid, &reading, leftover.is_some()));
            left.extend(leftover.cloned());
        }
        let joined = |parts: Vec<String>| (!parts.is_empty()).then(|| parts.join("; "));
        match joined(occupied) {
            Some(users) if !allow_occupied => Err(format!(
                "{users}: wait until that has ended, or set devices.allow_occupied = true to measure \
                 beside it, marked"
            )),
            occupied => {
                gpus.iter().for_each(|uuid| _ = self.left.remove(*uuid));
                if occupied.is_some() {
                    // What others do with their memory is not for a repeat to wait for.
                    self.levels.clear();
                }
                Ok(Lease {
                    occupied,
                    left: joined(left),
                })
            }
        }
    }

    /// After a repeat: waits until the memory of its GPUs is free again, and takes note where it is not.
    pub fn give_back(&mut self) {
        self.give_back_by(Instant::now() + MEMORY_RETURNS);
    }

    fn give_back_by(&mut self, deadline: Instant) {
        for (uuid, level) in std::mem::take(&mut self.levels) {
            let kept = self.kept(&uuid, level, deadline);
            if kept > SLACK {
                let words = format!(
                    "{kept} more than before the repeat there were still in use on {uuid} {} s after it",
                    MEMORY_RETURNS.as_secs()
                );
                self.left.insert(uuid, words);
            }
        }
    }

    /// Memory above the level that is in use when little enough is, or when time is up. A GPU that does
    /// not answer is told by the next lease.
    fn kept(&self, uuid: &str, level: Bytes, deadline: Instant) -> Bytes {
        loop {
            let used = (self.read)(uuid).map_or(0, |reading| reading.used_bytes);
            let kept = Bytes(used.saturating_sub(level.0));
            if kept <= SLACK || Instant::now() >= deadline {
                return kept;
            }
            sleep(BETWEEN_LOOKS);
        }
    }
}

fn lost(uuid: &str, why: &str) -> String {
    format!(
        "{uuid} does not answer NVML ({why}): `nvidia-smi` shows its state; a GPU that was lost comes \
         back with a reset or a restart of the machine"
    )
}

/// Who uses a GPU that is to be ours alone.
fn user(uuid: &str, reading: &Reading, has_leftover: bool) -> Option<String> {
    let processes = reading.processes.iter().map(ToString::to_string);
    let processes = processes.collect::<Vec<_>>().join(", ");
    let used = Bytes(reading.used_bytes);
    match processes.as_str() {
        "" if used >= UNSEEN && !has_leftover && !reading.draws => Some(format!(
            "{used} of {uuid} are in use by someone who is not seen from here"
        )),
        "" => None,
        processes => Some(format!("{uuid} is used by {processes}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::gpu::occupancy::GpuProcess;
    use std::cell::RefCell;
    use std::rc::Rc;

    /// Leases of GPUs whose readings the test sets, all with the same one.
    fn leases(reading: Result<Reading, String>) -> (Leases, Rc<RefCell<Result<Reading, String>>>) {
        let reading = Rc::new(RefCell::new(reading));
        let read = Rc::clone(&reading);
        let leases = Leases::of(Box::new(move |_| read.borrow().clone()));
        (leases, reading)
    }

    fn used(megabytes: u64) -> Reading {
        Reading {
            used_bytes: megabytes << 20,
            ..Reading::default()
        }
    }

    #[test]
    fn free_gpus_are_leased_and_cells_without_any_ask_nobody() {
        let (mut free, _) = leases(Ok(used(500)));
        assert_eq!(free.ask(&["GPU-1"], false), Ok(Lease::default()));
        let (mut lost, _) = leases(Err("no driver".into()));
        assert_eq!(lost.ask(&[], false), Ok(Lease::default()));
        lost.give_back();
    }

    #[test]
    fn a_gpu_that_others_use_is_leased_only_where_the_cell_allows_it() {
        let process = |pid, memory_bytes| GpuProcess {
            pid,
            name: "python".into(),
            memory_bytes,
        };
        let reading = Reading {
            processes: vec![process(7, Some(3 << 29)), process(9, None)],
            ..used(1600)
        };
        let (mut leases, _) = leases(Ok(reading));
        let refused = leases.ask(&["GPU-1"], false).unwrap_err();
        insta::assert_snapshot!(refused, @"GPU-1 is used by process 7 (python, 1.50 GiB), process 9 (python): wait until that has ended, or set devices.allow_occupied = true to measure beside it, marked");
        let lease = leases.ask(&["GPU-1", "GPU-2"], true).unwrap();
        assert!(leases.levels.is_empty(), "nobody waits for others' memory");
        insta::assert_snapshot!(lease.occupied.unwrap(), @"GPU-1 is used by process 7 (python, 1.50 GiB), process 9 (python); GPU-2 is used by process 7 (python, 1.50 GiB), process 9 (python)");
    }

    #[test]
    fn much_memory_in_use_by_nobody_is_somebodys() {
        let (mut leases, _) = leases(Ok(used(2048)));
        let refused = leases.ask(&["GPU-1"], false).unwrap_err();
        insta::assert_snapshot!(refused, @"2.00 GiB of GPU-1 are in use by someone who is not seen from here: wait until that has ended, or set devices.allow_occupied = true to measure beside it, marked");
        let display = Reading {
            draws: true,
            ..used(2048)
        };
        let mut drawing = Leases::of(Box::new(move |_| Ok(display.clone())));
        assert!(drawing.ask(&["GPU-1"], false).is_ok());
    }

    #[test]
    fn a_lost_gpu_is_no_reason_to_stop() {
        let (mut leases, reading) = leases(Ok(used(0)));
        assert!(leases.ask(&["GPU-1"], false).is_ok());
        *reading.borrow_mut() = Err("fallen off the bus".into());
        leases.give_back();
        let refused = leases.ask(&["GPU-1"], true).unwrap_err();
        insta::assert_snapshot!(refused, @"GPU-1 does not answer NVML (fallen off the bus): `nvidia-smi` shows its state; a GPU that was lost comes back with a reset or a restart of the machine");
    }

    #[test]
    fn memory_that_stays_in_use_is_told_to_the_next_repeat_alone() {
        let (mut leases, reading) = leases(Ok(used(100)));
        leases.ask(&["GPU-1"], false).unwrap();
        *reading.borrow_mut() = Ok(used(150));
        let started = Instant::now();
        leases.give_back();
        assert!(started.elapsed() < MEMORY_RETURNS, "it was near enough");
        assert_eq!(leases.ask(&["GPU-1"], false), Ok(Lease::default()));
        *reading.borrow_mut() = Ok(used(2000));
        leases.give_back_by(Instant::now());
        let lease = leases.ask(&["GPU-1"], false).unwrap();
        insta::assert_snapshot!(lease.left.unwrap(), @"1.81 GiB more than before the repeat there were still in use on GPU-1 10 s after it");
        let refused = leases.ask(&["GPU-1"], false);
        assert!(refused.is_err(), "who still has it is not seen");
    }
}
