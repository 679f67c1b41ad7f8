//! The pipe up: one event a line on stdout.

use crate::protocol::Event;
use std::io::Write;

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
    emit(&Event::Failed {
        reason: format!("{error:#}"),
    });
    std::process::exit(1)
}
