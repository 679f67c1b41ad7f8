//! Rings of threads that talk through real sockets and real shared memory.

use super::*;
use crate::protocol::VERSION;
use crate::spec::settings::Settings;
use crate::terms::{ModelName, RoleName, Topology, Transport};
use crate::worker::exchange::lost::PeerLost;
use crate::worker::exchange::transport::Peer;
use crate::worker::exchange::{Joined, Meeting};
use candle_core::{Device, Var};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

const TRANSPORTS: [Transport; 3] = [Transport::SharedMemory, Transport::Unix, Transport::Tcp];

/// The token of a repeat that no other test has.
fn fresh_token() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{:08x}{number:08x}{:048x}", std::process::id(), 0)
}

/// Runs `rank` for each rank of a ring on a thread of its own.
fn ring<R: Send>(
    ranks: usize,
    transport: Transport,
    silence: Duration,
    rank: impl Fn(usize, Ring) -> R + Sync,
) -> Vec<R> {
    let token = Token::parse(&fresh_token()).unwrap();
    let seat = |rank| Seat {
        rank,
        ranks,
        transport,
        token,
        silence,
    };
    let bind = |rank| {
        let role = RoleName::Worker;
        Listener::bind(transport, &token, Peer { role, rank }).unwrap()
    };
    let listeners: Vec<Listener> = (0..ranks).map(bind).collect();
    let addresses: Vec<String> = listeners.iter().map(|l| l.address().unwrap()).collect();
    thread::scope(|scope| {
        let (rank, addresses) = (&rank, &addresses);
        let run = |(number, listener): (usize, Listener)| {
            scope.spawn(move || {
                rank(
                    number,
                    Ring::join(&seat(number), &listener, addresses).unwrap(),
                )
            })
        };
        let threads: Vec<_> = listeners.into_iter().enumerate().map(run).collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    })
}

fn reduce(ring: &mut Ring, parts: &mut [Vec<f32>], number: u32, scale: f32) -> Result<()> {
    let parts = parts.iter_mut().map(|part| Memory::of_slice(part));
    let bucket = Bucket {
        step: 3,
        number,
        parts: parts.collect(),
    };
    // SAFETY: the caller has lent the numbers.
    unsafe { ring.all_reduce(&bucket, scale) }
}

/// A whole number that depends on rank and place.
fn number(rank: usize, at: usize) -> f32 {
    ((at * 7 + rank * 131) % 1009) as f32 - 500.0
}

/// A number that rounds when it is added to others.
fn rough(rank: usize, at: usize) -> f32 {
    let bits = (at as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (rank as u64) << 40;
    (bits.wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 40) as f32 / 1e7 - 0.8
}

const PATIENT: Duration = Duration::from_secs(20);

#[test]
fn the_sum_is_the_plain_sum() {
    for transport in TRANSPORTS {
        for ranks in [2, 3, 5] {
            for length in [0, 1, 2, 7, 1_000_003] {
                let sums = ring(ranks, transport, PATIENT, |rank, mut ring| {
                    let mut parts = [(0..length).map(|at| number(rank, at)).collect()];
                    reduce(&mut ring, &mut parts, 0, 1.0).unwrap();
                    parts
                });
                let plain = |at| (0..ranks).map(|rank| number(rank, at)).sum::<f32>();
                let plain: Vec<f32> = (0..length).map(plain).collect();
                assert!(
                    sums.iter().all(|[sum]| *sum == plain),
                    "{transport} {ranks} {length}"
                );
            }
        }
    }
}

#[test]
fn scattered_means_are_right_within_rounding_and_equal_on_all_ranks() {
    let lengths = [3usize, 0, 70_001, 1, 16, 300_000, 5];
    for transport in TRANSPORTS {
        let means = ring(3, transport, PATIENT, |rank, mut ring| {
            let part = |(i, length): (usize, &usize)| {
                (0..*length).map(|at| rough(rank, at + 1000 * i)).collect()
            };
            let mut parts: Vec<Vec<f32>> = lengths.iter().enumerate().map(part).collect();
            for number in 0..3 {
                reduce(&mut ring, &mut parts, number, 1.0 / 3.0).unwrap();
            }
            parts
        });
        assert!(means.iter().all(|mean| *mean == means[0]));
        for (i, part) in means[0].iter().enumerate() {
            for (at, mean) in part.iter().enumerate() {
                let sum: f64 = (0..3).map(|r| f64::from(rough(r, at + 1000 * i))).sum();
                assert!((f64::from(*mean) - sum / 3.0).abs() < 1e-6);
            }
        }
    }
}

#[test]
fn every_byte_is_counted_once() {
    let traffic = ring(3, Transport::Unix, PATIENT, |_, mut ring| {
        reduce(&mut ring, &mut [vec![1.0; 999_999]], 0, 1.0).unwrap();
        let traffic = ring.traffic();
        (traffic.sent_bytes(), traffic.received_bytes())
    });
    let sent: u64 = traffic.iter().map(|(sent, _)| sent).sum();
    let received: u64 = traffic.iter().map(|(_, received)| received).sum();
    assert_eq!((sent, received), (4 * 999_999 * 4 + 3 * 32, sent));
}

#[test]
fn another_bucket_is_refused() {
    for transport in TRANSPORTS {
        let errors = ring(2, transport, PATIENT, |rank, mut ring| {
            let error = reduce(&mut ring, &mut [vec![0.0; 7 + rank]], 4, 1.0).unwrap_err();
            error.to_string()
        });
        assert_eq!(
            errors[0],
            "worker 1 is at bucket 4 of step 3 with 32 bytes, this worker at bucket 4 of step 3 with 28 \
             bytes: all workers must train the same model"
        );
    }
}

#[test]
fn a_neighbour_that_hangs_up_is_lost() {
    for transport in TRANSPORTS {
        let errors = ring(2, transport, PATIENT, |rank, mut ring| {
            (rank == 0).then(|| reduce(&mut ring, &mut [vec![0.0; 2_000_000]], 0, 1.0).unwrap_err())
        });
        let lost: &PeerLost = errors[0].as_ref().unwrap().downcast_ref().unwrap();
        assert_eq!(lost.phase, Phase::Exchange);
        assert_eq!((lost.peer.as_str(), lost.silent), ("worker 1", None));
    }
}

#[test]
fn a_neighbour_that_stays_silent_is_lost_in_time() {
    let silence = Duration::from_millis(80);
    for transport in TRANSPORTS {
        let errors = ring(3, transport, silence, |rank, mut ring| {
            if rank == 1 {
                thread::sleep(3 * silence);
                return None;
            }
            // The one before the silent rank hears nothing either, of a rank that waits itself.
            Some(reduce(&mut ring, &mut [vec![0.0; 2_000_000]], 0, 1.0).unwrap_err())
        });
        let lost: &PeerLost = errors[2].as_ref().unwrap().downcast_ref().unwrap();
        assert_eq!(
            (lost.peer.as_str(), lost.silent),
            ("worker 1", Some(silence))
        );
    }
}

#[test]
fn somebody_else_in_the_place_of_a_neighbour_is_refused() {
    let token = Token::parse(&fresh_token()).unwrap();
    let (transport, silence) = (Transport::Tcp, Duration::from_secs(5));
    let worker = |rank| Peer {
        role: RoleName::Worker,
        rank,
    };
    let listener = Listener::bind(transport, &token, worker(0)).unwrap();
    let address = listener.address().unwrap();
    let seat = Seat {
        rank: 0,
        ranks: 3,
        transport,
        token,
        silence,
    };
    // Rank 0 calls itself in the place of rank 1, and so is not rank 2 that it waits for.
    let addresses = vec![address; 3];
    let error = Ring::join(&seat, &listener, &addresses).err().unwrap();
    assert_eq!(error.to_string(), "worker 0 called where worker 2 was due");
}

/// Two workers of three variables, whose gradients are offered first where `offers` says so.
fn two_workers(overlap: bool, offers: bool) -> Vec<(Vec<Vec<f32>>, Vec<LinkReport>)> {
    let token = fresh_token();
    let settings = Settings {
        topology: Topology::AllReduce,
        transport: Transport::SharedMemory,
        overlap,
        ..Settings::defaults(ModelName::Mlp)
    };
    let job = |rank| Job {
        protocol: VERSION,
        role: RoleName::Worker,
        rank,
        world_size: 2,
        token: token.clone(),
        settings: settings.clone(),
        devices: vec![DeviceJob::Cpu { cores: vec![0] }],
        cache: Default::default(),
        checkpoints: None,
    };
    let meetings: Vec<_> = (0..2)
        .map(|rank| Meeting::bind(&job(rank)).unwrap())
        .collect();
    let peers: Vec<String> = meetings
        .iter()
        .map(|meeting| meeting.address().unwrap().unwrap())
        .collect();
    thread::scope(|scope| {
        let threads: Vec<_> = meetings
            .into_iter()
            .enumerate()
            .map(|(rank, meeting)| {
                let (job, peers) = (job(rank), &peers);
                scope.spawn(move || {
                    let lengths = [10, BUCKET + 1, 5000];
                    let variable = |length: &usize| {
                        let numbers = Var::zeros(*length, candle_core::DType::F32, &Device::Cpu);
                        (length.to_string(), numbers.unwrap())
                    };
                    let variables: Vec<_> = lengths.iter().map(variable).collect();
                    let parameters = Parameters::new(&variables).unwrap();
                    let joined = meeting.join(&job, peers, &parameters).unwrap();
                    let Joined::Exchange(mut exchange) = joined else {
                        panic!("a ring of CPUs is an exchange");
                    };
                    train(&mut *exchange, rank, &lengths, offers)
                })
            })
            .collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    })
}

fn train(
    exchange: &mut dyn Exchange,
    rank: usize,
    lengths: &[usize],
    offers: bool,
) -> (Vec<Vec<f32>>, Vec<LinkReport>) {
    let mut gradients = Vec::new();
    for step in 0..3 {
        let gradient = |length: &usize| (0..*length).map(|at| number(rank, at + step)).collect();
        gradients = lengths.iter().map(gradient).collect::<Vec<Vec<f32>>>();
        let memory: Vec<Memory> = gradients.iter_mut().map(|g| Memory::of_slice(g)).collect();
        let mut clock = StepClock::start();
        // SAFETY: nobody uses the gradients before `exchange` is back.
        unsafe {
            // The first variable is never offered.
            for variable in (1..lengths.len()).rev().filter(|_| offers) {
                exchange
                    .offer(variable, memory[variable], &mut clock)
                    .unwrap();
            }
            exchange.exchange(&memory, &mut clock).unwrap();
        }
    }
    (gradients, exchange.links())
}

#[test]
fn workers_have_the_mean_gradients_however_they_leave() {
    for (overlap, offers) in [(true, true), (true, false), (false, true)] {
        let workers = two_workers(overlap, offers);
        for (gradients, links) in &workers {
            for (at, mean) in gradients.iter().flat_map(|g| g.iter().enumerate()) {
                assert_eq!(*mean, (number(0, at + 2) + number(1, at + 2)) / 2.0);
            }
            assert_eq!(links.len(), 1);
            let bytes = 4 * (10 + BUCKET as u64 + 1 + 5000);
            assert!(links[0].pushed_bytes + links[0].pulled_bytes >= 3 * 2 * bytes);
            assert!(links[0].push_seconds > 0.0);
        }
        assert_eq!(workers[0].1[0].peer, "worker 1");
    }
}
