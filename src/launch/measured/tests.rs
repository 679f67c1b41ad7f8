use super::*;
use crate::launch::fixture::{honest, pair};
use proptest::prelude::*;

#[test]
fn workers_that_start_apart_are_measured_from_the_first_start_to_the_last_end() {
    let (settings, _) = pair();
    let mut late = honest();
    late.report.measured_from_seconds = 5.0;
    let measured = measure(&settings, &[honest(), late], &[], 30.0);
    assert_eq!(measured.elapsed_seconds, 15.0);
    assert_eq!(measured.throughput_examples_per_second, 128.0 / 15.0);
}

#[test]
fn a_synchronous_step_takes_as_long_as_its_slowest_replica() {
    let (settings, _) = pair();
    let mut second = honest();
    second.windows[2].seconds = 9.0;
    second.report.elapsed_seconds = 20.0;
    second.replicas[0].parameter_digest = Some("d2".into());
    let measured = measure(&settings, &[honest(), second], &[], 30.0);
    assert_eq!(measured.examples, 4 * 32);
    assert_eq!(measured.throughput_examples_per_second, 128.0 / 20.0);
    let steps = (
        measured.step_seconds_min,
        measured.step_seconds_median,
        measured.step_seconds_max,
    );
    assert_eq!(steps, (1.0, 3.0, 9.0));
    // Deviations from 3 are 2, 1, 6 and 1.
    assert!((measured.step_seconds_mad - 1.4826 * 1.5).abs() < 1e-4);
    assert_eq!(measured.step_seconds_mean, (4.0 * 10.0 + 6.0) / 16.0);
    assert_eq!(
        measured.phase_seconds[Phase::Forward as usize],
        4.0 * 5.0 / 16.0
    );
    assert_eq!(
        (measured.first_loss, measured.last_loss),
        (Some(2.5), Some(1.5))
    );
    assert_eq!(measured.parameter_digest, "d1|d2");
    assert_eq!(
        (measured.exchanged_bytes, measured.cpu_seconds),
        (2000, 40.0)
    );
}

#[test]
fn a_window_of_several_steps_counts_by_its_mean_step() {
    let (settings, _) = pair();
    let mut worker = honest();
    let window = StepWindow {
        steps: 4,
        seconds: 10.0,
        ..worker.windows[0]
    };
    worker.windows = vec![
        window,
        StepWindow {
            replica: 1,
            ..window
        },
    ];
    let measured = measure(&settings, &[worker], &[], 1.0);
    assert_eq!(
        (measured.step_seconds_median, measured.step_seconds_mean),
        (2.5, 2.5)
    );
    assert_eq!(measured.step_seconds_mad, 0.0);
}

proptest! {
    #[test]
    fn phases_and_the_rest_sum_to_the_step(
        shares in prop::collection::vec((0.001f64..10.0, prop::array::uniform11(0.0f64..0.09)), 1..20),
    ) {
        let (settings, _) = pair();
        let mut worker = honest();
        worker.windows = shares.iter().enumerate().map(|(step, (seconds, shares))| StepWindow {
            replica: 0,
            first_step: step as u64,
            steps: 1,
            seconds: *seconds,
            phases: shares.map(|share| share * seconds),
        }).collect();
        let measured = measure(&settings, &[worker], &[], 1.0);
        let parts = measured.phase_seconds.iter().sum::<f64>() + measured.other_seconds;
        prop_assert!((parts - measured.step_seconds_mean).abs() < 1e-9);
        prop_assert!(measured.step_seconds_min <= measured.step_seconds_median);
        prop_assert!(measured.step_seconds_median <= measured.step_seconds_max);
    }
}
