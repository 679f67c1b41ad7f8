//! Replicas on GPUs that share a global batch end with the parameters of one replica that has all of it:
//! the test of `tests/topology`, whose workers and servers these are, on GPUs.

#[path = "../topology/batch.rs"]
mod batch;
#[path = "../topology/training.rs"]
mod training;

use std::collections::HashSet;
use training::{Devices, alone, check_within, relative_distance, train_on};
use xrun::spec::settings::Settings;
use xrun::terms::*;

const STEPS: u64 = 10;

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

/// So many replicas' GPUs, different ones as far as there are some, or all the same one.
fn devices(replicas: usize, shared: bool) -> Option<Devices> {
    let mut uuids: Vec<String> = crate::gpus(replicas)?
        .iter()
        .map(|gpu| gpu.uuid().to_owned())
        .collect();
    if shared {
        uuids = vec![uuids[0].clone(); replicas];
    }
    Some(Devices(Some(uuids)))
}

/// Whether replicas share a GPU.
fn repeat(devices: &Devices) -> bool {
    let uuids = devices.0.iter().flatten();
    uuids.clone().collect::<HashSet<_>>().len() < uuids.count()
}

/// Every kind of group on its GPUs, with and without graphs, against one replica on a CPU.
fn check(settings: &Settings, shared: bool) {
    let replicas = settings.workers * settings.devices_per_worker;
    let Some(devices) = devices(replicas, shared) else {
        return;
    };
    // On a machine with one GPU all replicas share it.
    let shared = shared || repeat(&devices);
    for optimizer in [OptimizerName::Sgd, OptimizerName::Adam] {
        let alone = alone(&dense(optimizer));
        for cuda_graph in [false, true] {
            let settings = Settings {
                share_devices: shared,
                cuda_graph,
                optimizer,
                learning_rate: dense(optimizer).learning_rate,
                ..settings.clone()
            };
            let what = (optimizer, settings.topology, settings.parameters, shared);
            check_within(1e-5, &settings, &devices, &alone, &(what, cuda_graph));
        }
    }
}

#[test]
fn one_gpu_trains_as_a_cpu_does() {
    check(&dense(OptimizerName::Sgd), false);
}

#[test]
fn replicated_gpus_train_as_one_replica_does() {
    for parameters in [Placement::Host, Placement::Device] {
        for shared in [false, true] {
            for devices_per_worker in [1, 2, 3] {
                let settings = Settings {
                    topology: Topology::Replicated,
                    devices_per_worker,
                    parameters,
                    ..dense(OptimizerName::Sgd)
                };
                // Three replicas share two GPUs, if there are no more.
                check(&settings, shared);
            }
        }
    }
}

#[test]
fn workers_on_gpus_reduce_all_gradients() {
    for transport in [Transport::Auto, Transport::SharedMemory, Transport::Tcp] {
        for (workers, devices_per_worker) in [(2, 1), (1, 2), (2, 2)] {
            let settings = Settings {
                topology: Topology::AllReduce,
                workers,
                devices_per_worker,
                transport,
                ..dense(OptimizerName::Sgd)
            };
            // With more replicas than GPUs NCCL is not taken.
            check(&settings, workers * devices_per_worker > 2);
        }
    }
}

#[test]
fn workers_on_gpus_use_servers() {
    for (workers, devices_per_worker) in [(1, 1), (2, 1), (2, 2)] {
        let settings = Settings {
            topology: Topology::ParameterServer,
            update: Update::Sync,
            workers,
            devices_per_worker,
            servers: 2,
            ..dense(OptimizerName::Sgd)
        };
        check(&settings, workers * devices_per_worker > 2);
    }
}

#[test]
fn all_replicas_of_a_group_have_the_same_bits_and_count_what_they_exchange() {
    let bytes = 4 * (7 * 33 + 33 + 33 * 20 + 20 + 20 * 5 + 5) as u64;
    for (parameters, shared, each) in [
        // Gradients down, parameters up.
        (Placement::Host, true, 2 * bytes),
        // Those of the other one.
        (Placement::Device, true, bytes),
        (Placement::Device, false, bytes),
    ] {
        let Some(devices) = devices(2, shared) else {
            return;
        };
        let settings = Settings {
            topology: Topology::Replicated,
            devices_per_worker: 2,
            parameters,
            ..dense(OptimizerName::Adam)
        };
        let (trained, _) = train_on(&settings, &devices);
        let [first, second] = &trained[0].replicas[..] else {
            panic!("two replicas");
        };
        assert_eq!(relative_distance(first, second), 0.0);
        for seen in &trained[0].seen {
            let measured = settings.steps * each;
            assert_eq!(seen.exchanged_bytes, measured, "{parameters}, {shared}");
        }
    }
}
