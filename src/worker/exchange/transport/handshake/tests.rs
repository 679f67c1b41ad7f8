use super::*;
use crate::terms::Phase;
use crate::worker::exchange::lost::PeerLost;
use std::thread;

const SILENCE: Duration = Duration::from_millis(300);

fn token(seed: u8) -> Token {
    // Unlike any other test's, since abstract names are known to the whole machine.
    let mut token = [seed; 32];
    token[..4].copy_from_slice(&std::process::id().to_ne_bytes());
    Token(token)
}

fn peer(role: RoleName, rank: usize) -> Peer {
    Peer { role, rank }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_millis(500)
}

/// What a caller is told, and whom the listener takes in the end.
fn call(
    listener: &Listener,
    known: &Token,
    caller: impl FnOnce(String) -> Result<Socket> + Send,
) -> (Result<Socket>, Result<Socket>) {
    let address = listener.address().unwrap();
    thread::scope(|scope| {
        let calling = scope.spawn(|| caller(address));
        let taken = listener.accept(known, soon(), SILENCE);
        (calling.join().unwrap(), taken)
    })
}

/// A worker's connection to a server, and the server's to it.
fn meet(transport: Transport, seed: u8, ends: (Peer, Peer)) -> (Socket, Socket) {
    let token = token(seed);
    let listener = Listener::bind(transport, &token, ends.1).unwrap();
    let (called, taken) = call(&listener, &token, |address| {
        connect(&address, &token, ends, SILENCE)
    });
    (called.unwrap(), taken.unwrap())
}

#[test]
fn processes_of_one_repeat_find_each_other() {
    for (seed, transport) in [Transport::Tcp, Transport::Unix, Transport::SharedMemory]
        .into_iter()
        .enumerate()
    {
        let (me, server) = (peer(RoleName::Worker, 3), peer(RoleName::Server, 0));
        let (mut called, mut taken) = meet(transport, seed as u8, (me, server));
        assert_eq!((called.peer(), taken.peer()), (server, me));
        called.send(&[b"ab", b"", b"c"], Phase::Push).unwrap();
        let mut bytes = [0; 3];
        taken.receive(&mut bytes, Phase::Push).unwrap();
        assert_eq!(&bytes, b"abc");
    }
}

#[test]
fn a_caller_with_another_token_is_sent_away() {
    let (ours, theirs) = (token(10), token(11));
    let server = peer(RoleName::Server, 0);
    let listener = Listener::bind(Transport::Tcp, &ours, server).unwrap();
    let (called, taken) = call(&listener, &ours, |address| {
        connect(
            &address,
            &theirs,
            (peer(RoleName::Worker, 0), server),
            SILENCE,
        )
    });
    let told = format!("{:#}", called.unwrap_err());
    assert!(
        told.ends_with("it does not know the token of this repeat"),
        "{told}"
    );
    let told = taken.unwrap_err().to_string();
    assert_eq!(
        told,
        "the other processes of the repeat have not called in time"
    );
}

#[test]
fn another_version_is_refused_on_both_sides() {
    let known = token(12);
    let hello = Hello {
        magic: MAGIC,
        version: VERSION + 1,
        role: 0,
        rank: 0,
        token: known.0,
    };
    let refusal = refusal(&hello, &known).unwrap();
    assert_eq!(
        refusal,
        "it speaks version 2 of the exchange, this process version 1"
    );
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = format!("tcp {}", listener.local_addr().unwrap());
    let answering = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut hello = [0; size_of::<Hello>()];
        stream.read_exact(&mut hello).unwrap();
        let answer = Answer {
            version: VERSION + 1,
            welcome: 0,
        };
        stream.write_all(bytemuck::bytes_of(&answer)).unwrap();
    });
    let us = (peer(RoleName::Worker, 0), peer(RoleName::Server, 0));
    let told = format!("{:#}", connect(&address, &known, us, SILENCE).unwrap_err());
    answering.join().unwrap();
    assert!(
        told.contains("speaks version 2 of the exchange and this process version 1"),
        "{told}"
    );
}

#[test]
fn who_is_no_process_of_xrun_does_not_end_the_listening() {
    let known = token(13);
    let server = peer(RoleName::Server, 0);
    let listener = Listener::bind(Transport::Tcp, &known, server).unwrap();
    let (called, taken) = call(&listener, &known, |address| {
        let place = address.strip_prefix("tcp ").unwrap();
        let mut stranger = TcpStream::connect(place).unwrap();
        stranger
            .write_all(b"GET / HTTP/1.1\r\nHost: here\r\nAccept: everything at all\r\n\r\n")
            .unwrap();
        connect(
            &address,
            &known,
            (peer(RoleName::Worker, 1), server),
            SILENCE,
        )
    });
    called.unwrap();
    assert_eq!(taken.unwrap().peer(), peer(RoleName::Worker, 1));
}

#[test]
fn who_hangs_up_or_stays_silent_is_lost() {
    let ends = (peer(RoleName::Worker, 0), peer(RoleName::Server, 2));
    let (mut called, taken) = meet(Transport::Unix, 14, ends);
    let silent = called.receive(&mut [0; 4], Phase::Pull).unwrap_err();
    let lost = silent.downcast_ref::<PeerLost>().unwrap();
    assert_eq!(lost.peer, "server 2");
    assert_eq!((lost.phase, lost.silent), (Phase::Pull, Some(SILENCE)));
    drop(taken);
    let closed = called.receive(&mut [0; 4], Phase::Wait).unwrap_err();
    assert_eq!(
        closed.to_string(),
        "server 2 closed the connection during wait"
    );
}

#[test]
fn open_files_cross_a_unix_socket() {
    use super::super::Segment;
    let ends = (peer(RoleName::Worker, 0), peer(RoleName::Server, 0));
    let (mut called, mut taken) = meet(Transport::SharedMemory, 15, ends);
    let ours = Segment::create(5).unwrap();
    called.send_descriptor(ours.as_fd()).unwrap();
    let theirs = Segment::open(taken.receive_descriptor().unwrap(), 5).unwrap();
    // SAFETY: this thread alone uses the segment, one slice at a time.
    unsafe {
        ours.memory().slice_mut(4..5)[0] = 7.0;
        assert_eq!(theirs.memory().slice(0..5), [0.0, 0.0, 0.0, 0.0, 7.0]);
    }
    drop(called);
    assert!(taken.receive_descriptor().is_err());
}

#[test]
fn tokens_are_hexadecimal() {
    assert!(Token::parse(&"0f".repeat(32)).unwrap() == Token([15; 32]));
    assert!(Token::parse("0f").is_err());
    assert!(Token::parse(&"zz".repeat(32)).is_err());
}
