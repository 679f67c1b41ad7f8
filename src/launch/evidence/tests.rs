use super::*;
use crate::launch::fixture::{honest, pair};
use crate::terms::Topology;

/// The reason that one change of a report must get.
type Lie<Report> = (&'static str, fn(&mut Report));

/// The verdict on an honest worker after one change.
fn verdict(change: impl FnOnce(&mut WorkerResult)) -> String {
    let (settings, slots) = pair();
    let mut worker = honest();
    change(&mut worker);
    check(&settings, &slots, &[worker], &[])
        .err()
        .unwrap_or_else(|| "fine".into())
}

#[test]
fn an_honest_worker_passes() {
    assert_eq!(verdict(|_| ()), "fine");
    assert_eq!(verdict(|worker| worker.replicas.reverse()), "fine");
    assert_eq!(verdict(|worker| worker.wall_seconds = 9.9995), "fine");
}

#[test]
fn work_that_was_not_done_is_found() {
    let lies: [Lie<WorkerResult>; 7] = [
        ("worker 0 claims 5 steps of 4", |w| w.report.steps = 5),
        ("worker 0 replica 1 trained on 31 examples of 32", |w| {
            w.replicas[1].examples = 31
        }),
        ("worker 0 replica 0 did not report once", |w| {
            w.replicas[1].replica = 0
        }),
        ("worker 0 replica 1 did not report once", |w| {
            w.replicas.truncate(1)
        }),
        (
            r#"worker 0 replica 0 ran on cores "" instead of "0""#,
            |w| w.replicas[0].cores.clear(),
        ),
        (
            r#"worker 0 replica 1 ran on cores "0" instead of "1""#,
            |w| w.replicas[1].cores = "0".to_owned(),
        ),
        (
            r#"worker 0 replica 0 ran on cores "0-1" instead of "0""#,
            |w| w.replicas[0].cores += "-1",
        ),
    ];
    for (reason, lie) in lies {
        assert_eq!(verdict(lie), reason);
    }
}

#[test]
fn times_that_do_not_hold_together_are_found() {
    let lies: [Lie<WorkerResult>; 11] = [
        ("worker 0 claims 0 s for its steps", |w| {
            w.report.elapsed_seconds = 0.0
        }),
        ("worker 0 claims NaN s for its steps", |w| {
            w.report.elapsed_seconds = f64::NAN
        }),
        (
            "worker 0 claims 10.000000 s for its steps, of which the harness saw 9.500000 s pass",
            |w| w.wall_seconds = 9.5,
        ),
        (
            "worker 0 claims 1.000000 s for steps that took 10.000000 s",
            |w| w.report.elapsed_seconds = 1.0,
        ),
        (
            "worker 0 claims 10.000000 s for steps that took 0.000000 s",
            |w| {
                w.windows
                    .iter_mut()
                    .for_each(|w| (w.seconds, w.phases) = (0.0, Default::default()))
            },
        ),
        (
            "worker 0 replica 0 fills 1 s of step 0 with 11 phases of 1.5 s",
            |w| w.windows[0].phases[0] = 1.0,
        ),
        (
            "worker 0 replica 0 claims impossible times for step 1",
            |w| w.windows[1].seconds = -1.0,
        ),
        (
            "worker 0 replica 0 claims impossible times for step 1",
            |w| w.windows[1].phases[0] = f64::INFINITY,
        ),
        ("worker 0 replica 1 sent times of 3 steps of 4", |w| {
            w.windows.truncate(7)
        }),
        ("worker 0 replica 1 sent step 3 where step 2 was due", |w| {
            _ = w.windows.remove(6)
        }),
        (
            "worker 0 replica 0 claims 18446744073709551615 steps from step 3 on",
            |w| w.windows[3].steps = u64::MAX,
        ),
    ];
    for (reason, lie) in lies {
        assert_eq!(verdict(lie), reason);
    }
}

#[test]
fn losses_must_be_finite_and_move() {
    let lies: [Lie<ReplicaReport>; 3] = [
        ("worker 0 replica 0 reported no loss", |r| {
            r.last_loss = None
        }),
        ("worker 0 replica 0 ended with loss NaN from 2", |r| {
            r.last_loss = Some(f64::NAN)
        }),
        ("worker 0 replica 0 did not learn: its loss stayed 2", |r| {
            r.last_loss = r.first_loss
        }),
    ];
    for (reason, lie) in lies {
        assert_eq!(verdict(|worker| lie(&mut worker.replicas[0])), reason);
    }
}

#[test]
fn a_null_model_proves_its_input_alone() {
    let (mut settings, slots) = pair();
    settings.model = ModelName::None;
    settings.input_source = InputSource::Generated;
    settings.local_batch = 16;
    let mut worker = honest();
    for replica in &mut worker.replicas {
        (
            replica.first_loss,
            replica.last_loss,
            replica.parameter_digest,
        ) = (None, None, None);
        replica.examples = 64;
    }
    assert_eq!(check(&settings, &slots, &[worker.clone()], &[]), Ok(()));
    worker.replicas[1].input_checksum = 0;
    let reason = check(&settings, &slots, &[worker], &[]).unwrap_err();
    assert_eq!(reason, "worker 0 replica 1 read no labels");
}

#[test]
fn replicas_of_an_exchange_share_one_digest() {
    let differ = |w: &mut WorkerResult| w.replicas[1].parameter_digest = Some("d2".into());
    assert_eq!(
        verdict(differ),
        "replicas ended with 2 different sets of parameters"
    );
    let missing = |w: &mut WorkerResult| w.replicas[1].parameter_digest = None;
    assert_eq!(
        verdict(missing),
        "a replica reported no digest of its parameters"
    );
    let (mut settings, slots) = pair();
    settings.topology = Topology::Independent;
    let mut worker = honest();
    differ(&mut worker);
    assert_eq!(check(&settings, &slots, &[worker], &[]), Ok(()));
}
