use super::*;
use crate::launch::evidence::check;
use crate::launch::fixture::{cluster, honest_server, honest_workers, settings, slots};
use crate::protocol::LinkReport;

type Processes = (Vec<WorkerResult>, ServerResult);

/// The verdict on two honest workers and their server after one change.
fn verdict(
    settings: &dyn Fn(&mut Settings),
    change: impl FnOnce(&mut Vec<WorkerResult>, &mut ServerReport),
) -> String {
    let (mut asked, slots) = cluster();
    settings(&mut asked);
    let (mut workers, mut server): Processes = (honest_workers(), honest_server());
    change(&mut workers, &mut server.report);
    check(&asked, &slots, &workers, &[server])
        .err()
        .unwrap_or_else(|| "fine".into())
}

fn asynchronous(change: fn(&mut Vec<WorkerResult>, &mut ServerReport)) -> String {
    verdict(&|_| (), change)
}

/// Five updates of both workers' gradients.
fn synchronous(change: fn(&mut ServerReport)) -> String {
    verdict(&|settings| settings.update = Update::Sync, |_, server| {
        (server.updates, server.gradients) = (5, 10);
        change(server);
    })
}

#[test]
fn an_honest_cluster_passes() {
    assert_eq!(asynchronous(|_, _| ()), "fine");
    assert_eq!(synchronous(|_| ()), "fine");
    let differ = |workers: &mut Vec<WorkerResult>, _: &mut ServerReport| {
        workers[1].replicas[0].parameter_digest = Some("d2".into());
    };
    assert_eq!(asynchronous(differ), "fine");
}

#[test]
fn a_server_proves_its_cores_and_its_parameters() {
    assert_eq!(
        asynchronous(|_, server| server.cores = "0".into()),
        r#"server 0 ran on cores "0" instead of "2""#
    );
    assert_eq!(
        asynchronous(|_, server| server.held_bytes = 0),
        "all servers together hold 0 bytes of the 40 of the model"
    );
}

#[test]
fn no_gradient_is_lost_or_counts_twice() {
    let lost = asynchronous(|_, server| server.updates = 9);
    let reason = "server 0 made 9 updates of 10 gradients and dropped 0, where all workers together \
                  took 10 steps";
    assert_eq!(lost, reason);
    assert!(asynchronous(|_, server| server.dropped = 1).contains("dropped 1"));
    assert_eq!(
        synchronous(|server| server.updates = 4),
        "server 0 made 4 updates of 5"
    );
    assert_eq!(
        synchronous(|server| server.gradients = 9),
        "server 0 used 9 gradients without 0 that it dropped for 5 updates of 2 gradients each"
    );
    assert!(synchronous(|server| server.dropped = 11).contains("11 that it dropped"));
}

#[test]
fn backup_workers_may_do_less_and_their_late_gradients_are_dropped() {
    let with_backup = |settings: &mut Settings| {
        (settings.update, settings.backup_workers) = (Update::Sync, 1);
    };
    let late = |workers: &mut Vec<WorkerResult>, server: &mut ServerReport| {
        (server.updates, server.gradients, server.dropped) = (5, 9, 4);
        let worker = &mut workers[1];
        (worker.report.steps, worker.report.total_steps) = (3, 4);
        worker.report.elapsed_seconds = 6.0;
        worker.replicas[0].examples = 24;
        worker.windows.truncate(3);
        worker.links[0].pulled_bytes = 120;
        worker.links[0].pushed_bytes = 120;
    };
    assert_eq!(verdict(&with_backup, late), "fine");
    let more = |workers: &mut Vec<WorkerResult>, _: &mut ServerReport| workers[1].report.steps = 5;
    assert_eq!(
        verdict(&with_backup, more),
        "worker 1 claims 5 steps of at most 4"
    );
}

#[test]
fn a_stop_may_leave_nothing_to_one_worker_but_not_to_all() {
    let stop = |settings: &mut Settings| settings.stop_at_global_step = Some(6);
    let idle = |worker: &mut WorkerResult| {
        (worker.report.steps, worker.report.total_steps) = (0, 1);
        worker.report.elapsed_seconds = 0.0;
        worker.replicas[0].examples = 0;
        worker.replicas[0].last_loss = None;
        worker.windows.clear();
        worker.links[0] = LinkReport {
            peer: "server 0".into(),
            pulled_bytes: 40,
            ..LinkReport::default()
        };
    };
    let one = |workers: &mut Vec<WorkerResult>, server: &mut ServerReport| {
        idle(&mut workers[1]);
        (server.updates, server.gradients) = (6, 6);
    };
    assert_eq!(verdict(&stop, one), "fine");
    let all = |workers: &mut Vec<WorkerResult>, _: &mut ServerReport| {
        workers.iter_mut().for_each(idle);
    };
    assert!(verdict(&stop, all).starts_with("no worker measured a step"));
}

#[test]
fn every_step_moves_the_whole_model() {
    let less = |workers: &mut Vec<WorkerResult>, _: &mut ServerReport| {
        workers[1].links[0].pulled_bytes = 159;
    };
    assert_eq!(
        asynchronous(less),
        "worker 1 pulled 159 bytes in 4 steps of a model of 40 bytes"
    );
    let none = |workers: &mut Vec<WorkerResult>, _: &mut ServerReport| workers[0].links.clear();
    assert!(asynchronous(none).starts_with("worker 0 pulled 0 bytes in 4 steps"));
    let more = |workers: &mut Vec<WorkerResult>, _: &mut ServerReport| {
        workers[0].links[0].pushed_bytes = u64::MAX;
    };
    assert!(asynchronous(more).starts_with("worker 0 pushed 18446744073709551615 bytes"));
}

/// The verdict on two workers of a ring of which each has pushed so many bytes.
fn ring(pushed: u64, digest: &str) -> String {
    let asked = Settings {
        topology: Topology::AllReduce,
        workers: 2,
        ..settings()
    };
    let mut workers = honest_workers();
    workers[1].replicas[0].parameter_digest = Some(digest.to_owned());
    for (rank, worker) in workers.iter_mut().enumerate() {
        worker.links[0].peer = format!("worker {}", 1 - rank);
        worker.links[0].pushed_bytes = pushed;
    }
    check(&asked, &slots(&asked), &workers, &[])
        .err()
        .unwrap_or_else(|| "fine".into())
}

#[test]
fn a_ring_moves_its_share_and_ends_with_one_set_of_parameters() {
    assert_eq!(ring(160, "d1"), "fine");
    assert_eq!(
        ring(160, "d2"),
        "replicas ended with 2 different sets of parameters"
    );
    assert_eq!(
        ring(0, "d1"),
        "worker 0 pushed 0 bytes in 4 steps, of 160 in a ring of 2 workers with a model of 40 bytes"
    );
}
