//! A process that measures ceilings, under the same bounds as any other.

use super::script::Stage;
use xrun::launch::ProbeError;
use xrun::launch::interrupt::{Stage as Urgency, channel};
use xrun::protocol::{Ceiling, CeilingOf};
use xrun::terms::Transport;

const CEILING: &str = "echo '{\"event\":\"ceiling\",\"of\":{\"one-way\":\"tcp\"},\"median\":4.5,\"slowest\":4.0,\"fastest\":5.0}'";

fn reason(life: &str) -> String {
    match Stage::new(life).timeout(2).probe() {
        Err(ProbeError::Failed(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_probe_tells_what_it_has_measured() {
    let life = format!("job; is probe 0 || exit 9; ready; start; {CEILING}; finished 0");
    let ceiling = Ceiling {
        of: CeilingOf::OneWay(Transport::Tcp),
        median: 4.5,
        slowest: 4.0,
        fastest: 5.0,
    };
    assert_eq!(Stage::new(&life).probe(), Ok(vec![ceiling]));
}

#[test]
fn a_probe_that_fails_has_a_reason() {
    assert_eq!(
        reason("begin; exit 3"),
        "probe 0 ended with exit status: 3 without a finished event"
    );
    assert_eq!(
        reason("begin; sleep 1000"),
        "probe 0 was at work after 2.00 s (measure.timeout)"
    );
    assert_eq!(
        reason(&format!("begin; while :; do {CEILING}; done")),
        "probe 0 sent more steps or replicas than it was asked for"
    );
}

#[test]
fn a_user_who_does_not_want_to_wait_need_not() {
    let (pull, interrupt) = channel();
    let mut stage = Stage::new("begin; sleep 1000");
    stage.interrupt = interrupt;
    pull.send_replace(Urgency::Kill);
    let interrupted = stage.probe().unwrap_err();
    assert!(matches!(interrupted, ProbeError::Interrupted(_)));
}
