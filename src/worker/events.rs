//! The pipe up: one event a line on stdout.

use super::exchange::lost::PeerLost;
use crate::protocol::Event;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};

/// Characters of a reason, each of up to four bytes.
const MAX_REASON: usize = 200;

/// Steps that this process has done, for the message of its failure.
static STEPS: AtomicU64 = AtomicU64::new(0);

/// Notes how far this process is, in steps with warm-up.
pub fn note_steps(steps: u64) {
    STEPS.store(steps, Ordering::Relaxed);
}

/// Writes one event. A harness that no longer reads is gone, and `orders` ends the process then, so
/// a failed write needs no answer here.
pub fn emit(event: &Event) {
    let mut line =
        serde_json::to_string(event).expect("an event has only finite numbers and plain keys");
    line.push('\n');
    let mut stdout = std::io::stdout().lock();
    let _ = stdout
        .write_all(line.as_bytes())
        .and_then(|()| stdout.flush());
}

/// Reports `error` and ends the whole process, whatever its other threads wait for.
pub fn abort(error: &anyhow::Error) -> ! {
    fail(error);
    std::process::exit(1)
}

/// The last event of a worker that cannot go on. The log gets all of the error, the event the first
/// line of each of its causes: tensor libraries put backtraces into their messages, and an event has
/// to stay short.
pub fn fail(error: &anyhow::Error) {
    eprintln!("{error:?}");
    emit(&Event::Failed {
        reason: short(error),
        waiting: error
            .downcast_ref::<PeerLost>()
            .map(|lost| lost.waiting(STEPS.load(Ordering::Relaxed))),
    });
}

fn short(error: &anyhow::Error) -> String {
    let causes: Vec<String> = error
        .chain()
        .map(|cause| {
            cause
                .to_string()
                .lines()
                .next()
                .unwrap_or_default()
                .to_owned()
        })
        .collect();
    causes.join(": ").chars().take(MAX_REASON).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::MAX_EVENT_BYTES;

    #[test]
    fn a_long_error_makes_a_short_event() {
        let error =
            anyhow::anyhow!("no such tensor\n   0: backtrace\n").context("\u{1F980}".repeat(2000));
        let event = Event::Failed {
            reason: short(&error),
            waiting: None,
        };
        assert!(serde_json::to_string(&event).unwrap().len() < MAX_EVENT_BYTES);
        let error = anyhow::anyhow!("no such tensor\n   0: backtrace\n").context("in step 3");
        assert_eq!(short(&error), "in step 3: no such tensor");
    }
}
