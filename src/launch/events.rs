//! A worker's output. In: the bytes of its stdout. Out: one [`Message`] per line. A program that
//! prints anything else, or never ends a line, costs no more memory than one line may have.

use crate::protocol::{Event, MAX_EVENT_BYTES};
use std::io;
use std::process::ExitStatus;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::sync::mpsc::Sender;

/// So much of a line that is no event is quoted.
const QUOTED_CHARS: usize = 80;

/// Something that the harness learns of one process.
#[derive(Debug)]
pub enum Message {
    Event(Event),
    /// The beginning of a line that is no event. Nothing is read after it.
    Garbage(String),
    /// The end of its stdout.
    Closed,
    Exited(io::Result<ExitStatus>),
}

/// Sends what `stdout` says until it ends, nobody listens any more, or it stops making sense.
pub async fn forward(stdout: impl AsyncRead + Unpin, index: usize, to: Sender<(usize, Message)>) {
    let mut reader = BufReader::new(stdout);
    loop {
        let message = next(&mut reader).await;
        let last = !matches!(message, Message::Event(_));
        if to.send((index, message)).await.is_err() || last {
            return;
        }
    }
}

async fn next(reader: &mut BufReader<impl AsyncRead + Unpin>) -> Message {
    let mut line = Vec::new();
    let bound = MAX_EVENT_BYTES as u64 + 1;
    match reader.take(bound).read_until(b'\n', &mut line).await {
        Ok(0) | Err(_) => Message::Closed,
        Ok(_) => match serde_json::from_slice(&line) {
            Ok(event) if line.len() <= MAX_EVENT_BYTES => Message::Event(event),
            _ => Message::Garbage(quoted(&line)),
        },
    }
}

/// The beginning of a line, without anything that could move a terminal's cursor.
fn quoted(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let text = text.trim_end_matches('\n');
    let start: String = text.chars().take(QUOTED_CHARS).collect();
    let more = if start.len() < text.len() { "…" } else { "" };
    format!("{}{more}", start.escape_debug())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::mpsc;

    fn messages(bytes: &[u8]) -> Vec<String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(async {
            let (sender, mut receiver) = mpsc::channel(100);
            forward(bytes, 7, sender).await;
            let mut seen = Vec::new();
            while let Some((rank, message)) = receiver.recv().await {
                assert_eq!(rank, 7);
                seen.push(format!("{message:?}"));
            }
            seen
        })
    }

    #[test]
    fn events_come_one_a_line_until_the_end() {
        let text =
            b"{\"event\":\"progress\",\"steps\":1}\n{\"event\":\"failed\",\"reason\":\"r\"}\n";
        assert_eq!(
            messages(text),
            [
                "Event(Progress { steps: 1 })",
                "Event(Failed { reason: \"r\", waiting: None })",
                "Closed"
            ]
        );
    }

    #[test]
    fn garbage_is_quoted_and_ends_the_reading() {
        assert_eq!(
            messages(b"he\x1b\xffllo\n{}\n"),
            ["Garbage(\"he\\\\u{1b}\u{fffd}llo\")"]
        );
        assert_eq!(
            messages(b"{\"event\":\"prog"),
            ["Garbage(\"{\\\\\\\"event\\\\\\\":\\\\\\\"prog\")"]
        );
        assert_eq!(messages(b"\n"), ["Garbage(\"\")"]);
    }

    #[test]
    fn a_line_without_end_is_cut_at_the_bound() {
        let endless = vec![b'x'; 1 << 20];
        let expected = format!("Garbage(\"{}…\")", "x".repeat(QUOTED_CHARS));
        assert_eq!(messages(&endless), [expected]);
    }

    #[test]
    fn an_event_longer_than_the_bound_is_no_event() {
        let reason = "r".repeat(MAX_EVENT_BYTES);
        let line = format!("{{\"event\":\"failed\",\"reason\":\"{reason}\"}}\n");
        assert!(messages(line.as_bytes())[0].starts_with("Garbage"));
    }
}
