//! All-reduce of two ranks, one core each, over every transport, beside the same memory accesses
//! without a word between the ranks. Rounds in turn, medians of GB/s: bytes of the array over time.
//!
//!     cargo bench --bench all_reduce

use anyhow::{Result, ensure};
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};
use xrun::stats::quantile;
use xrun::terms::{RoleName, Transport};
use xrun::worker::cores;
use xrun::worker::exchange::all_reduce::collective::{Bucket, Collective};
use xrun::worker::exchange::all_reduce::ring::{Ring, Seat};
use xrun::worker::exchange::all_reduce::schedule::Schedule;
use xrun::worker::exchange::transport::{Listener, Peer, Segment, Token};
use xrun::worker::parameters::Memory;
use xrun::worker::passes::bring;

/// As the program has: large arrays lie in huge pages.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The multilayer perceptron 256-4096-4096-256.
const ELEMENTS: usize = 18_882_816;
const ROUNDS: usize = 15;
const RANKS: usize = 2;
const TRANSPORTS: [Transport; 3] = [Transport::SharedMemory, Transport::Unix, Transport::Tcp];

/// Numbers between two processes in the probe: as many as in a pipe.
const SHARED: usize = 256 << 10;

fn main() -> Result<()> {
    let mut listeners = Vec::new();
    for (number, transport) in TRANSPORTS.into_iter().enumerate() {
        let token = token(number)?;
        for rank in 0..RANKS {
            let role = RoleName::Worker;
            listeners.push(Listener::bind(transport, &token, Peer { role, rank })?);
        }
    }
    let segments = [Segment::create(SHARED)?, Segment::create(SHARED)?];
    let barrier = Barrier::new(RANKS);
    let rates = thread::scope(|scope| {
        let (listeners, segments, barrier) = (&listeners, &segments, &barrier);
        let run = |rank| scope.spawn(move || measure(rank, listeners, segments, barrier));
        let threads = [run(0), run(1)];
        threads.map(|thread| thread.join().expect("no rank panics"))
    });
    let [rates, _] = rates;
    report(&rates?);
    Ok(())
}

fn token(number: usize) -> Result<Token> {
    Token::parse(&format!("{:08x}{number:08x}{:048x}", std::process::id(), 0))
}

/// Seconds of each round: of the probe, then of each transport.
type Seconds = [Vec<f64>; 1 + TRANSPORTS.len()];

fn measure(
    rank: usize,
    listeners: &[Listener],
    segments: &[Segment; RANKS],
    barrier: &Barrier,
) -> Result<Seconds> {
    cores::bind(&[rank])?;
    let mut rings = join(rank, listeners)?;
    let mut numbers = vec![1.0f32; ELEMENTS];
    let memory = Memory::of_slice(&mut numbers);
    let mut seconds = Seconds::default();
    let mut timed = |place: usize, work: &mut dyn FnMut() -> Result<()>| -> Result<()> {
        barrier.wait();
        let start = Instant::now();
        work()?;
        barrier.wait();
        seconds[place].push(start.elapsed().as_secs_f64());
        Ok(())
    };
    for round in 0..=ROUNDS {
        timed(0, &mut || {
            probe(rank, memory, segments);
            Ok(())
        })?;
        for (place, ring) in rings.iter_mut().enumerate() {
            // SAFETY: this thread alone has the numbers.
            unsafe { memory.slice_mut(0..ELEMENTS) }.fill(1.0 + rank as f32);
            let bucket = Bucket {
                step: round as u64,
                number: 0,
                parts: vec![memory],
            };
            // SAFETY: the same.
            timed(1 + place, &mut || unsafe { ring.all_reduce(&bucket, 1.0) })?;
            // SAFETY: the same.
            let sums = unsafe { memory.slice(0..ELEMENTS) };
            ensure!(sums.iter().all(|sum| *sum == 3.0), "a sum is wrong");
        }
    }
    // The first round finds cold memory.
    Ok(seconds.map(|seconds| seconds[1..].to_vec()))
}

fn join(rank: usize, listeners: &[Listener]) -> Result<Vec<Ring>> {
    let mut rings = Vec::new();
    for (number, transport) in TRANSPORTS.into_iter().enumerate() {
        let listeners = &listeners[number * RANKS..][..RANKS];
        let addresses = listeners.iter().map(Listener::address);
        let addresses = addresses.collect::<Result<Vec<String>>>()?;
        let seat = Seat {
            rank,
            ranks: RANKS,
            transport,
            token: token(number)?,
            silence: Duration::from_secs(10),
        };
        rings.push(Ring::join(&seat, &listeners[rank], &addresses)?);
    }
    Ok(rings)
}

/// What one rank reads and writes, without asking whether the other is that far.
fn probe(rank: usize, numbers: Memory, segments: &[Segment; RANKS]) {
    let schedule = Schedule {
        rank,
        ranks: RANKS,
        elements: ELEMENTS,
        scale: 1.0,
    };
    let (leave, come) = (segments[rank].memory(), segments[1 - rank].memory());
    let (mut left, mut came) = (0, 0);
    let side_by_side = |at: &mut usize, length: usize| {
        let start = if *at + length > SHARED { 0 } else { *at };
        *at = start + length;
        start..*at
    };
    for (send, receive) in schedule.sends().zip(schedule.receives()) {
        let into = side_by_side(&mut left, send.elements.len());
        let from = side_by_side(&mut came, receive.elements.len());
        // SAFETY: the numbers are this thread's; what it reads of the segment may be any.
        unsafe {
            leave
                .slice_mut(into)
                .copy_from_slice(numbers.slice(send.elements));
            let own = numbers.slice_mut(receive.elements);
            bring(come.slice(from), own, receive.store);
        }
    }
}

fn report(seconds: &Seconds) {
    let rate = |seconds: f64| 4.0 * ELEMENTS as f64 / seconds / 1e9;
    let names = ["without synchronising", "shared-memory", "unix", "tcp"];
    for (name, taken) in names.into_iter().zip(seconds) {
        let shares: Vec<f64> = taken.iter().zip(&seconds[0]).map(|(t, p)| p / t).collect();
        let median = |values: &[f64]| quantile(values, 0.5).unwrap_or_default();
        println!(
            "{name:22} {:6.2} GB/s  {:4.0} % of the probe in the same round",
            rate(median(taken)),
            100.0 * median(&shares)
        );
    }
    let named = names.into_iter().zip(seconds);
    let rates: Vec<String> = named
        .map(|(name, taken)| {
            format!(
                "\"{name}\": {:.4}",
                rate(quantile(taken, 0.5).unwrap_or_default())
            )
        })
        .collect();
    // For programs: benches/peers/cluster.py reads the last line.
    println!("{{{}}}", rates.join(", "));
}
