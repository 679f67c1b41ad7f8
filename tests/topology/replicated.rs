//! Replicas of one process.

use crate::train;
use crate::training::{CPUS, alone, check_within};
use xrun::spec::settings::Settings;
use xrun::terms::*;

fn cifar10(convolution: Convolution, devices_per_worker: usize) -> Settings {
    Settings {
        convolution,
        topology: Topology::Replicated,
        devices_per_worker,
        warmup_steps: 1,
        steps: 4,
        ..Settings::defaults(ModelName::Cifar10)
    }
}

#[test]
fn replicas_that_share_a_batch_train_as_one_does() {
    // Winograd's rounding errors are a few times larger, and five steps make more of them.
    for (convolution, bound) in [(Convolution::Direct, 1e-5), (Convolution::Winograd, 1e-4)] {
        let alone = alone(&cifar10(convolution, 1));
        for replicas in [2, 4] {
            let settings = cifar10(convolution, replicas);
            check_within(bound, &settings, &CPUS, &alone, &(convolution, replicas));
        }
    }
}

#[test]
fn the_same_replicas_end_with_the_same_bits() {
    let settings = cifar10(Convolution::Auto, 2);
    let [first, second] = [(); 2].map(|()| train(&settings).0.remove(0).parameters);
    assert_eq!(first, second);
}
