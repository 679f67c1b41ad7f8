//! Workers in a ring.

use crate::training::alone;
use crate::{OPTIMIZERS, RANKS, TRANSPORTS, check, dense};
use xrun::spec::settings::Settings;
use xrun::terms::*;

#[test]
fn all_reduce_trains_as_one_replica_does() {
    for optimizer in OPTIMIZERS {
        let alone = alone(&dense(optimizer));
        for (workers, transport) in RANKS.iter().flat_map(|r| TRANSPORTS.map(|t| (*r, t))) {
            for (overlap, devices_per_worker) in [(false, 1), (true, 1), (true, 2)] {
                let settings = Settings {
                    topology: Topology::AllReduce,
                    workers,
                    transport,
                    overlap,
                    devices_per_worker,
                    ..dense(optimizer)
                };
                let what = (optimizer, workers, transport, overlap, devices_per_worker);
                check(&settings, &alone, &what);
            }
        }
    }
}
