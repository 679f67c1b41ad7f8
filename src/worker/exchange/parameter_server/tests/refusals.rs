//! Peers that know the token and then say nonsense.

use super::super::messages::Kind;
use super::super::units;
use super::*;
use crate::worker::exchange::transport::frame::Head;
use crate::worker::exchange::transport::{self, Peer, Socket, Token};

/// A server of one worker, which shows the token and then does as it likes. What the server ends with.
fn error_after(misbehave: impl FnOnce(&mut Socket)) -> anyhow::Error {
    let settings = settings();
    let ((), servers) = with_servers(&settings, |jobs, addresses| {
        let peer = |role| Peer { role, rank: 0 };
        let between = (peer(RoleName::Worker), peer(RoleName::Server));
        let token = Token::parse(&jobs[0].token).unwrap();
        let silence = Duration::from_secs(5);
        misbehave(&mut transport::connect(&addresses[0], &token, between, silence).unwrap());
    });
    servers.into_iter().next().unwrap().unwrap_err()
}

fn say(socket: &mut Socket, head: Head) {
    socket.send(&[head.as_bytes()], Phase::Push).unwrap();
}

/// Pulls like an honest worker.
fn pull(socket: &mut Socket) {
    say(socket, Head::new(Kind::Pull as u32, 0, 0, 0));
    let units = &units::of_servers(&settings(), parameters(&settings()).variables())[0];
    let heads = (units.len() + 1) * size_of::<Head>();
    let bytes = units
        .iter()
        .map(|unit| unit.bytes() as usize)
        .sum::<usize>();
    socket
        .receive(&mut vec![0; heads + bytes], Phase::Pull)
        .unwrap();
}

#[test]
fn a_message_of_unknown_kind_is_refused() {
    let error = error_after(|socket| say(socket, Head::new(99, 0, 0, 0)));
    assert_eq!(
        format!("{error:#}"),
        "worker 0 broke the protocol: is it the same build?: no message between workers and \
         servers is of kind 99"
    );
}

#[test]
fn a_gradient_of_another_length_is_refused() {
    for (unit, bytes, reason) in [
        (
            0,
            33 * 4 + 1,
            "a message of 133 bytes came where 132 are due (kind 5, unit 0)",
        ),
        (0, u64::MAX, "a message of 18446744073709551615 bytes came"),
        (4, 33 * 4, "there is no unit 4"),
    ] {
        let error = error_after(|socket| {
            pull(socket);
            say(socket, Head::new(Kind::Push as u32, unit, 0, bytes));
        });
        assert!(format!("{error:#}").contains(reason), "{error:#}");
    }
}

#[test]
fn messages_out_of_turn_are_refused() {
    let push = || Head::new(Kind::Push as u32, 0, 0, 33 * 4);
    let error = error_after(|socket| say(socket, push()));
    assert!(format!("{error:#}").ends_with("unit 0 came out of turn"));
    let error = error_after(|socket| {
        pull(socket);
        say(socket, Head::new(Kind::End as u32, 0, 0, 0));
    });
    assert!(format!("{error:#}").ends_with("a gradient that is not whole"));
    for kind in [Kind::Goodbye, Kind::Pull, Kind::Push] {
        let error = error_after(|socket| {
            pull(socket);
            say(socket, push());
            socket.send(&[&[0; 33 * 4]], Phase::Push).unwrap();
            say(
                socket,
                Head::new(
                    kind as u32,
                    0,
                    0,
                    [0, 33 * 4][usize::from(kind == Kind::Push)],
                ),
            );
        });
        assert!(
            format!("{error:#}").starts_with("worker 0 broke the protocol"),
            "{error:#}"
        );
    }
    let error = error_after(|socket| say(socket, Head::new(Kind::Answer as u32, 0, 0, 0)));
    assert!(format!("{error:#}").ends_with("Answer out of turn"));
}

#[test]
fn bytes_that_are_no_message_are_refused() {
    let error = error_after(|socket| socket.send(&[&[7; 32]], Phase::Push).unwrap());
    assert!(
        format!("{error:#}").contains("a message of worker 0: bytes came where"),
        "{error:#}"
    );
}

#[test]
fn a_message_that_ends_too_early_is_a_lost_worker() {
    for sent in [0, 100] {
        let error = error_after(|socket| {
            pull(socket);
            say(socket, Head::new(Kind::Push as u32, 0, 0, 33 * 4));
            socket.send(&[&vec![0; sent]], Phase::Push).unwrap();
        });
        let lost = error.downcast_ref::<PeerLost>().unwrap();
        assert_eq!(
            (&lost.peer[..], lost.phase, lost.silent),
            ("worker 0", Phase::Push, None)
        );
    }
    let error = error_after(|socket| socket.send(&[&[7; 16]], Phase::Push).unwrap());
    let lost = error.downcast_ref::<PeerLost>().unwrap();
    assert_eq!((&lost.peer[..], lost.phase), ("worker 0", Phase::Wait));
}
