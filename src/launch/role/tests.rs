use super::*;
use crate::launch::cast::of_cell;
use crate::launch::fixture::{cluster, settings, slots};
use crate::protocol::{CeilingOf, LinkReport, ReplicaReport, StepWindow};

fn ready(address: Option<&str>) -> Event {
    Event::Ready {
        protocol: VERSION,
        program: "test".into(),
        address: address.map(str::to_owned),
    }
}

/// One worker of one step, which has said nothing.
fn worker() -> Role {
    let settings = Settings {
        steps: 1,
        ..settings()
    };
    Role::new(&settings, &of_cell(&settings, &slots(&settings))[0])
}

/// Workers 0 and 1, and server 0.
fn cluster_roles() -> Vec<Role> {
    let (settings, slots) = cluster();
    let parts = of_cell(&settings, &slots);
    parts
        .iter()
        .map(|part| Role::new(&settings, part))
        .collect()
}

fn start(mut role: Role, address: Option<&str>) -> Role {
    role.take(ready(address)).unwrap();
    role.start();
    role
}

fn started() -> Role {
    start(worker(), None)
}

/// A server that works.
fn serving() -> Role {
    start(cluster_roles().remove(2), Some("unix x"))
}

/// The text of what was broken.
fn broke(result: Result<(), Trouble>) -> String {
    match result {
        Err(Trouble::Broke(text)) => text,
        other => panic!("{other:?}"),
    }
}

/// How it ended, in one piece.
fn ended(role: &Role) -> String {
    match role.verdict() {
        Err(Trouble::Ended { how, when }) => format!("{how} {when}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn success_is_a_finished_event_and_status_zero() {
    let mut role = started();
    role.take(Event::Finished(WorkerReport::default())).unwrap();
    assert!(role.ending_since().is_some() && !role.is_over() && role.has_spoken());
    role.exit(Ok(ExitStatus::from_raw(0)));
    assert_eq!(
        role.lingers(),
        "left a process outside its group that holds its output open"
    );
    role.close();
    assert!(role.is_over() && role.ending_since().is_none());
    assert_eq!(role.verdict(), Ok(()));
    assert_eq!(role.into_worker(7).unwrap().group, 7);
    let mut server = serving();
    server.take(Event::Served(ServerReport::default())).unwrap();
    assert!(server.into_server().is_some());
}

#[test]
fn every_other_end_has_a_reason() {
    let mut role = started();
    role.exit(Ok(ExitStatus::from_raw(0)));
    assert_eq!(
        ended(&role),
        "ended with exit status: 0 without a finished event"
    );
    role.exit(Ok(ExitStatus::from_raw(9)));
    assert_eq!(
        ended(&role),
        "ended with signal: 9 (SIGKILL) (out of memory?) without a finished event"
    );
    role.take(Event::Finished(WorkerReport::default())).unwrap();
    role.exit(Ok(ExitStatus::from_raw(1 << 8)));
    assert_eq!(
        ended(&role),
        "ended with exit status: 1 after its finished event"
    );
    let mut early = worker();
    early.exit(Ok(ExitStatus::from_raw(3 << 8)));
    assert_eq!(
        ended(&early),
        "ended with exit status: 3 before it was ready"
    );
    let mut lost = started();
    lost.exit(Err("no child processes".to_owned()));
    assert_eq!(
        broke(lost.verdict()),
        "ended, and its exit status was lost: no child processes"
    );
}

#[test]
fn events_out_of_turn_are_refused() {
    let mut role = worker();
    assert_eq!(
        broke(role.take(Event::Step(StepWindow::default()))),
        "sent events before it was started"
    );
    let other = Event::Ready {
        protocol: 99,
        program: String::new(),
        address: None,
    };
    assert!(broke(role.take(other)).starts_with("speaks version 99 of the protocol"));
    role.take(ready(None)).unwrap();
    assert_eq!(broke(role.take(ready(None))), "was ready twice");
    let mut role = started();
    role.take(Event::Step(StepWindow::default())).unwrap();
    assert_eq!(
        broke(role.take(Event::Step(StepWindow::default()))),
        "sent more steps or replicas than it was asked for"
    );
    role.take(Event::Finished(WorkerReport::default())).unwrap();
    assert_eq!(
        broke(role.take(Event::Progress { steps: 1 })),
        "went on after its finished event"
    );
}

#[test]
fn replicas_that_do_not_exist_are_refused() {
    let window = StepWindow {
        replica: 1,
        ..StepWindow::default()
    };
    let report = ReplicaReport {
        replica: usize::MAX,
        ..ReplicaReport::default()
    };
    assert_eq!(
        broke(started().take(Event::Step(window))),
        "told of replica 1, which it does not have"
    );
    assert_eq!(
        broke(started().take(Event::Replica(report))),
        format!("told of replica {}, which it does not have", usize::MAX)
    );
}

#[test]
fn who_is_called_by_others_tells_where() {
    let server = || cluster_roles().remove(2);
    for none in [None, Some("")] {
        assert_eq!(
            broke(server().take(ready(none))),
            "was ready without an address that others can call"
        );
    }
    let long = "x".repeat(257);
    assert_eq!(
        broke(server().take(ready(Some(&long)))),
        "told an address of 257 bytes"
    );
    assert_eq!(serving().address(), Some("unix x"));
    assert_eq!(start(worker(), Some("unix y")).address(), None);
}

#[test]
fn each_role_has_its_own_events() {
    let ceiling = crate::protocol::Ceiling {
        of: CeilingOf::Copy,
        median: 1.0,
        fastest: 1.0,
        slowest: 1.0,
    };
    assert_eq!(
        broke(started().take(Event::Ceiling(ceiling))),
        "sent an event that no worker sends"
    );
    assert_eq!(
        broke(started().take(Event::Served(ServerReport::default()))),
        "sent an event that no worker sends"
    );
    assert_eq!(
        broke(serving().take(Event::Finished(WorkerReport::default()))),
        "sent an event that no server sends"
    );
}

#[test]
fn a_worker_tells_once_of_each_of_its_links() {
    let link = |peer: &str| {
        Event::Link(LinkReport {
            peer: peer.to_owned(),
            ..LinkReport::default()
        })
    };
    let mut role = start(cluster_roles().remove(0), None);
    role.take(link("server 0")).unwrap();
    assert_eq!(
        broke(role.take(link("server 0"))),
        "told twice of its link to server 0"
    );
    assert_eq!(
        broke(role.take(link("worker 1"))),
        "told of a link to `worker 1`, which it does not have"
    );
    assert!(broke(started().take(link("\u{1b}"))).contains(r"`\u{1b}`"));
}

#[test]
fn a_reason_of_a_worker_becomes_one_line() {
    let failed = |waiting| Event::Failed {
        reason: "no\n\n  \x1b[1mmemory\n".into(),
        waiting,
    };
    let waiting = Waiting {
        peer: "server 0".into(),
        phase: crate::terms::Phase::Pull,
        step: 3,
        silent_seconds: Some(1e300),
    };
    let reason = Trouble::Failed("no | [1mmemory".into());
    assert_eq!(started().take(failed(None)), Err(reason.clone()));
    // A process without links waits for nobody.
    assert_eq!(started().take(failed(Some(waiting.clone()))), Err(reason));
    let mut linked = start(cluster_roles().remove(0), None);
    let bounded = Waiting {
        silent_seconds: Some(LONGEST_SILENCE),
        ..waiting.clone()
    };
    assert_eq!(
        linked.take(failed(Some(waiting))),
        Err(Trouble::Lost(bounded))
    );
}
