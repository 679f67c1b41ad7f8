//! Workers and parameter servers.

use crate::training::{alone, relative_distance};
use crate::{OPTIMIZERS, RANKS, STEPS, TRANSPORTS, check, dense, train};
use xrun::spec::settings::Settings;
use xrun::terms::*;

#[test]
fn synchronous_servers_train_as_one_replica_does() {
    for optimizer in OPTIMIZERS {
        let alone = alone(&dense(optimizer));
        for (workers, transport) in RANKS.iter().flat_map(|r| TRANSPORTS.map(|t| (*r, t))) {
            for shards in [Shards::RoundRobin, Shards::Greedy, Shards::Split] {
                for encoding in [Encoding::Raw, Encoding::Serialised] {
                    let settings = Settings {
                        topology: Topology::ParameterServer,
                        update: Update::Sync,
                        workers,
                        servers: 1 + workers % 2,
                        transport,
                        shards,
                        encoding,
                        ..dense(optimizer)
                    };
                    let what = (optimizer, workers, transport, shards, encoding);
                    let served = check(&settings, &alone, &what);
                    for server in served {
                        assert_eq!(server.updates, STEPS, "{what:?}");
                        assert_eq!(server.gradients, STEPS * workers as u64, "{what:?}");
                        assert_eq!(server.dropped, 0, "{what:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn workers_of_several_replicas_share_servers() {
    for optimizer in OPTIMIZERS {
        let settings = Settings {
            topology: Topology::ParameterServer,
            update: Update::Sync,
            workers: 2,
            servers: 1,
            devices_per_worker: 2,
            ..dense(optimizer)
        };
        check(&settings, &alone(&dense(optimizer)), &optimizer);
    }
}

#[test]
fn one_asynchronous_worker_trains_as_one_replica_does() {
    for optimizer in OPTIMIZERS {
        let alone = alone(&dense(optimizer));
        for (transport, consistency) in TRANSPORTS
            .iter()
            .flat_map(|t| [Consistency::Strict, Consistency::Relaxed].map(|c| (*t, c)))
        {
            let settings = Settings {
                topology: Topology::ParameterServer,
                servers: 2,
                shards: Shards::Split,
                transport,
                consistency,
                ..dense(optimizer)
            };
            let (trained, served) = train(&settings);
            let distance = relative_distance(&trained[0].parameters, &alone);
            assert!(
                distance < 1e-6,
                "{transport}, {consistency}: {distance:e} from one replica"
            );
            for server in served {
                assert_eq!((server.gradients, server.updates), (STEPS, STEPS));
                assert_eq!(server.staleness.iter().sum::<u64>(), STEPS);
                assert_eq!(server.staleness[0], STEPS, "nobody else updates");
            }
        }
    }
}

#[test]
fn asynchronous_workers_learn_and_lose_nothing() {
    for transport in TRANSPORTS {
        let settings = Settings {
            topology: Topology::ParameterServer,
            workers: 4,
            servers: 1,
            transport,
            learning_rate: 2e-3,
            warmup_steps: 5,
            steps: 75,
            ..dense(OptimizerName::Adam)
        };
        let (trained, served) = train(&settings);
        let losses = trained.iter().map(|worker| {
            let seen = &worker.seen[0];
            assert_eq!(seen.total_steps, 80);
            (seen.first_loss.unwrap(), seen.last_loss.unwrap())
        });
        let (first, last) = losses.fold((0.0, 0.0), |sums: (f64, f64), loss| {
            (sums.0 + loss.0, sums.1 + loss.1)
        });
        assert!(
            last < 0.6 * first,
            "{transport}: loss {first} became {last}"
        );
        let server = &served[0];
        assert_eq!(
            (server.gradients, server.updates, server.dropped),
            (320, 320, 0)
        );
        assert_eq!(server.staleness.iter().sum::<u64>(), 320);
    }
}

#[test]
fn backup_workers_are_not_waited_for() {
    let settings = Settings {
        topology: Topology::ParameterServer,
        update: Update::Sync,
        workers: 3,
        backup_workers: 1,
        servers: 2,
        warmup_steps: 5,
        steps: 45,
        ..dense(OptimizerName::Sgd)
    };
    let (trained, served) = train(&settings);
    for server in &served {
        assert_eq!(server.updates, 50);
        assert_eq!(server.gradients - server.dropped, 2 * 50);
    }
    for worker in &trained {
        assert_eq!(worker.seen[0].global_steps, 50);
        assert_eq!(worker.parameters, trained[0].parameters);
    }
}

#[test]
fn a_job_stops_at_its_global_step() {
    let settings = Settings {
        topology: Topology::ParameterServer,
        workers: 3,
        servers: 1,
        warmup_steps: 1,
        stop_at_global_step: Some(40),
        ..dense(OptimizerName::Sgd)
    };
    let (trained, served) = train(&settings);
    let own: u64 = trained
        .iter()
        .map(|worker| worker.seen[0].total_steps)
        .sum();
    assert_eq!(own, served[0].updates);
    // Steps that were under way when the last one was counted are done all the same.
    assert!((40..43).contains(&own), "{own} steps");
}
