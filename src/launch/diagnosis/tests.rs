use super::*;
use insta::assert_snapshot;

/// So many workers, and two servers after them.
fn names(workers: usize) -> Vec<Name> {
    let role = |role, count| (0..count).map(move |rank| Name { role, rank });
    role(RoleName::Worker, workers)
        .chain(role(RoleName::Server, 2))
        .collect()
}

fn lost(peer: &str, phase: Phase, silent_seconds: Option<f64>) -> Trouble {
    Trouble::Lost(Waiting {
        peer: peer.to_owned(),
        phase,
        step: 41,
        silent_seconds,
    })
}

fn killed() -> Trouble {
    Trouble::Ended {
        how: "ended with signal: 9 (SIGKILL)".into(),
        when: "(out of memory?) without a finished event".into(),
    }
}

fn text(workers: usize, troubles: &[(usize, Trouble)]) -> String {
    diagnose(&names(workers), troubles, Some(41)).text
}

#[test]
fn who_is_gone_without_a_word_is_to_blame() {
    let pull = |worker: usize| (worker, lost("server 0", Phase::Pull, None));
    let troubles = [pull(2), pull(0), (4, killed()), pull(3), pull(1)];
    assert_snapshot!(text(4, &troubles), @"server 0 ended with signal: 9 (SIGKILL) in step 41; workers 0-3 were waiting in pull");
    assert_eq!(diagnose(&names(4), &troubles, None).culprit, 4);
    let troubles = [pull(0), pull(2), (1, killed()), pull(3)];
    assert_snapshot!(text(4, &troubles), @"worker 1 ended with signal: 9 (SIGKILL) in step 41; workers 0, 2 and 3 were waiting in pull");
}

#[test]
fn a_process_alone_is_told_as_it_ended() {
    let alone = diagnose(&names(1), &[(0, killed())], None).text;
    assert_snapshot!(alone, @"worker 0 ended with signal: 9 (SIGKILL) (out of memory?) without a finished event");
}

#[test]
fn who_says_why_comes_before_who_waits() {
    let troubles = [
        (0, lost("worker 1", Phase::Exchange, None)),
        (1, Trouble::Failed("the loss became NaN".into())),
        (3, lost("worker 1", Phase::Wait, None)),
    ];
    assert_snapshot!(text(3, &troubles), @"worker 1 failed: the loss became NaN; worker 0 was waiting in exchange, server 0 in wait");
    let garbage = [
        (1, Trouble::Failed("no memory".into())),
        (0, Trouble::Broke("printed something".into())),
    ];
    assert_snapshot!(text(2, &garbage), @"worker 0 printed something");
}

#[test]
fn who_hangs_is_found_by_following_those_who_wait() {
    let silent = |peer| lost(peer, Phase::Pull, Some(30.0));
    let all = [(1, silent("server 0")), (0, silent("server 0"))];
    assert_snapshot!(text(2, &all), @"server 0 said nothing for 30.0 s in step 41; workers 0 and 1 were waiting in pull");
    let ring = [
        (0, lost("worker 2", Phase::Exchange, None)),
        (2, lost("worker 1", Phase::Exchange, Some(29.96))),
    ];
    assert_snapshot!(text(3, &ring), @"worker 1 said nothing for 30.0 s in step 41; workers 0 and 2 were waiting in exchange");
    let closed = [(0, lost("worker 1", Phase::Push, None))];
    assert_snapshot!(text(2, &closed), @"worker 1 closed its connections in step 41; worker 0 was waiting in push");
}

#[test]
fn a_circle_has_no_beginning() {
    let wait = |peer| lost(peer, Phase::Exchange, Some(5.0));
    let troubles = [
        (0, wait("worker 2")),
        (1, wait("worker 0")),
        (2, wait("worker 1")),
    ];
    assert_snapshot!(text(3, &troubles), @"no process failed first in step 41; workers 0-2 were waiting in exchange");
}

#[test]
fn a_peer_that_nobody_is_is_quoted() {
    let long = format!("\u{1b}[2J{}", "x".repeat(500));
    let troubles = [(0, lost(&long, Phase::Pull, None))];
    assert_snapshot!(text(1, &troubles), @r"worker 0 lost `\u{1b}[2Jxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx`, which has no part in step 41; worker 0 was waiting in pull");
}

#[test]
fn everybody_is_somewhere_when_time_is_up() {
    let at = |names: &[Name], stage: &str| -> Vec<(Name, String)> {
        names.iter().map(|name| (*name, stage.to_owned())).collect()
    };
    let all = names(3);
    let mut stages = at(&all[..2], "was not ready");
    stages.extend(at(&all[2..3], "was ready and waited for others"));
    stages.extend(at(&all[3..], "was ready and waited for others"));
    assert_snapshot!(whereabouts(&stages), @"workers 0 and 1 were not ready, worker 2 was ready and waited for others, servers 0 and 1 were ready and waited for others");
}
