use super::*;
use crate::launch::fixture::{cluster as asked, honest_server, honest_workers};
use crate::launch::measured::measure;

#[test]
fn links_and_servers_are_figures() {
    let (settings, _) = asked();
    let measured = measure(&settings, &honest_workers(), &[honest_server()], 30.0);
    let wanted = Cluster {
        steps_per_second: 8.0 / 10.0,
        steps_per_second_per_worker: 4.0 / 10.0,
        total_steps: 10,
        global_steps: 10,
        worker_starts: "0.000|0.000".into(),
        alone_updates: Some(3),
        checkpoints: 0,
        links: "worker 0 - server 0|worker 1 - server 0".into(),
        link_pulled_bytes: "160|160".into(),
        link_pushed_bytes: "160|160".into(),
        // 320 bytes in 40 ns.
        link_gigabytes_per_second: "8.000|8.000".into(),
        pulled_bytes: 320,
        pushed_bytes: 320,
        exchange_gigabytes_per_second: measured.cluster.exchange_gigabytes_per_second,
        server_share: Some(1.0),
        server_apply_seconds: Some(0.2),
        server_busy_share: Some(0.5),
        pushed_gradients: Some(10),
        applied_updates: Some(10),
        dropped_gradients: Some(0),
        staleness: "0:4 1:5 2:1".into(),
        staleness_mean: Some(0.7),
    };
    assert_eq!(measured.cluster, wanted);
    let rate = measured.cluster.exchange_gigabytes_per_second.unwrap();
    assert!((rate - 8.0).abs() < 1e-9);
    assert_eq!(measured.peak_memory_bytes, 4500);
    assert_eq!(measured.cpu_seconds, 46.0);
}

#[test]
fn the_last_place_of_staleness_counts_all_older_gradients() {
    let mut counts = vec![0; STALENESS_PLACES];
    (counts[1], counts[STALENESS_PLACES - 1]) = (2, 2);
    assert_eq!(staleness(&counts), "1:2 23+:2");
    assert_eq!(staleness_mean(&counts), Some(12.0));
    assert_eq!(
        (staleness(&[0, 0]).as_str(), staleness_mean(&[0, 0])),
        ("", None)
    );
}

#[test]
fn the_most_loaded_server_is_told() {
    let (settings, _) = asked();
    let mut other = honest_server();
    other.report.held_bytes = 120;
    other.report.updates = 0;
    let figures = cluster(
        &settings,
        &honest_workers(),
        &[honest_server(), other],
        10.0,
    );
    assert_eq!(figures.server_share, Some(0.75));
    assert_eq!(figures.server_apply_seconds, Some(2.0));
}

#[test]
fn workers_that_do_unequal_work_are_counted_by_what_they_did() {
    let (settings, _) = asked();
    let mut workers = honest_workers();
    let late = &mut workers[1];
    late.windows.truncate(1);
    late.replicas[0].examples = 8;
    (late.report.steps, late.report.total_steps) = (1, 2);
    (
        late.report.measured_from_seconds,
        late.report.elapsed_seconds,
    ) = (8.0, 1.0);
    let measured = measure(&settings, &workers, &[honest_server()], 30.0);
    assert_eq!((measured.steps, measured.examples), (4, 40));
    assert_eq!(measured.throughput_examples_per_second, 4.0);
    // Steps of 1, 2, 3, 4 and 1 seconds.
    assert_eq!(measured.step_seconds_median, 2.0);
    assert_eq!(measured.cluster.steps_per_second, 0.5);
    assert_eq!(measured.cluster.steps_per_second_per_worker, 0.7);
    assert_eq!(measured.cluster.worker_starts, "0.000|8.000");

    workers[1].report.steps = 0;
    workers[1].windows.clear();
    workers[1].replicas[0].examples = 0;
    (
        workers[1].report.measured_from_seconds,
        workers[1].report.elapsed_seconds,
    ) = (50.0, 0.0);
    let measured = measure(&settings, &workers, &[honest_server()], 30.0);
    assert_eq!(measured.elapsed_seconds, 10.0);
    assert_eq!(measured.cluster.steps_per_second_per_worker, 0.4);
    assert_eq!(measured.cluster.worker_starts, "0.000|-");
}
