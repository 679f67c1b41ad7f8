use super::*;
use crate::terms::RoleName;
use crate::worker::exchange::lost::PeerLost;
use crate::worker::exchange::transport::Peer;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// Both ends of a pipe, in one process.
fn pipe() -> (Writer, Reader) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let socket = |stream, rank| {
        let role = RoleName::Worker;
        Socket::unix(stream, Peer { role, rank }, Duration::from_secs(5)).unwrap()
    };
    (
        Writer::open(socket(ours, 1)).unwrap(),
        Reader::open(socket(theirs, 0)).unwrap(),
    )
}

fn readable(socket: &Socket) -> bool {
    let mut ends = [PollFd::new(socket, PollFlags::IN)];
    poll(&mut ends, Some(&Timespec::default())).unwrap() == 1
}

#[test]
fn numbers_come_in_order_around_the_ring_again_and_again() {
    let (mut writer, mut reader) = pipe();
    let (mut pushed, mut taken) = (0, 0);
    let total = 3 * CAPACITY + 12_345;
    while taken < total {
        let most = (pushed % 7919 + 1).min(total - pushed);
        let numbers: Vec<f32> = (pushed..pushed + most).map(|n| n as f32).collect();
        pushed += writer.push(&numbers).unwrap();
        let come = reader.peek(taken % 5003 + 1).unwrap();
        let count = come.len();
        assert!((taken..).zip(come).all(|(n, come)| n as f32 == *come));
        reader.advance(count);
        taken += count;
    }
    assert!(reader.peek(1).unwrap().is_empty());
}

#[test]
fn a_full_pipe_takes_nothing_until_it_is_read() {
    let (mut writer, mut reader) = pipe();
    let numbers = vec![1.0; PIECE];
    let mut pushed = 0;
    loop {
        match writer.push(&numbers).unwrap() {
            0 => break,
            count => pushed += count,
        }
    }
    assert_eq!(pushed, CAPACITY);
    reader.peek(5).unwrap();
    reader.advance(5);
    assert_eq!(writer.push(&numbers).unwrap(), 5);
}

#[test]
fn only_a_side_that_sleeps_is_called() {
    let (mut writer, mut reader) = pipe();
    writer.push(&[1.0]).unwrap();
    assert!(!readable(reader.socket()));
    reader.announce_sleep();
    writer.push(&[2.0]).unwrap();
    assert!(readable(reader.socket()));
    reader.hear().unwrap();
    writer.push(&[3.0]).unwrap();
    assert!(!readable(reader.socket()));
    writer.announce_sleep();
    assert_eq!(reader.peek(3).unwrap(), [1.0, 2.0, 3.0]);
    reader.advance(1);
    assert!(readable(writer.socket()));
}

#[test]
fn what_was_written_before_the_end_is_read() {
    let (mut writer, mut reader) = pipe();
    writer.push(&[7.0]).unwrap();
    drop(writer);
    reader.hear().unwrap();
    assert_eq!(reader.peek(9).unwrap(), [7.0]);
    reader.advance(1);
    let error = reader.hear().unwrap_err();
    let lost: &PeerLost = error.downcast_ref().unwrap();
    assert_eq!((lost.peer.as_str(), lost.silent), ("worker 0", None));
}

#[test]
fn positions_that_cannot_be_are_refused() {
    for nonsense in [CAPACITY as u64 + 1, u64::MAX] {
        let (mut writer, mut reader) = pipe();
        reader.ring.read().store(nonsense, Ordering::Relaxed);
        writer.push(&vec![0.0; PIECE]).unwrap();
        let full = (0..2 * CAPACITY / PIECE).try_for_each(|_| writer.push(&[0.0; PIECE]).map(drop));
        let error = full.unwrap_err().to_string();
        assert!(error.starts_with("worker 1 says that"), "{error}");
        writer.ring.written().store(nonsense, Ordering::Relaxed);
        let error = reader.peek(1).unwrap_err().to_string();
        assert!(error.starts_with("worker 0 says that"), "{error}");
    }
}
