//! A topology does not change the mathematics: replicas that share a global batch end with the
//! parameters of one replica that has all of it. Workers and servers are threads here, with the sockets
//! and the shared memory of processes.

mod all_reduce;
mod batch;
mod parameter_server;
mod replicated;
mod training;

use std::fmt::Debug;
use training::{CPUS, Trained, alone, check_within, train_on};
use xrun::protocol::ServerReport;
use xrun::spec::settings::Settings;
use xrun::terms::*;

const STEPS: u64 = 10;
const OPTIMIZERS: [OptimizerName; 2] = [OptimizerName::Sgd, OptimizerName::Adam];
const TRANSPORTS: [Transport; 3] = [Transport::SharedMemory, Transport::Unix, Transport::Tcp];
const RANKS: [usize; 4] = [1, 2, 3, 5];

/// Dense layers.
fn dense(optimizer: OptimizerName) -> Settings {
    Settings {
        layers: vec![7, 33, 20, 5],
        optimizer,
        learning_rate: match optimizer {
            OptimizerName::Sgd => 0.5,
            OptimizerName::Adam => 1e-2,
        },
        warmup_steps: 2,
        steps: STEPS - 2,
        ..Settings::defaults(ModelName::Mlp)
    }
}

/// A small network whose calls are no chain.
fn sequences() -> Settings {
    Settings {
        channels: vec![2, 3],
        image_size: 8,
        frames: 3,
        predicted_frames: 2,
        optimizer: OptimizerName::Sgd,
        learning_rate: 0.1,
        warmup_steps: 2,
        steps: STEPS - 2,
        ..Settings::defaults(ModelName::SatSeq2seq)
    }
}

/// Runs all processes of a cell on CPUs.
fn train(settings: &Settings) -> (Vec<Trained>, Vec<ServerReport>) {
    train_on(settings, &CPUS)
}

/// Every replica has the parameters of one with the whole batch.
fn check(settings: &Settings, alone: &[f32], what: &dyn Debug) -> Vec<ServerReport> {
    check_within(1e-5, settings, &CPUS, alone, what)
}

#[test]
fn a_network_that_is_no_chain_trains_as_one_replica_does() {
    let alone = alone(&sequences());
    let cases = [
        (Topology::Replicated, 1, 2, 0, true),
        (Topology::AllReduce, 2, 1, 0, false),
        (Topology::AllReduce, 2, 1, 0, true),
        (Topology::AllReduce, 3, 2, 0, true),
        (Topology::ParameterServer, 2, 1, 2, true),
    ];
    for (topology, workers, devices_per_worker, servers, overlap) in cases {
        let settings = Settings {
            topology,
            workers,
            devices_per_worker,
            servers,
            overlap,
            update: Update::Sync,
            ..sequences()
        };
        let what = (topology, workers, devices_per_worker, overlap);
        check(&settings, &alone, &what);
    }
}
