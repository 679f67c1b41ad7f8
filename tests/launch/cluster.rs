//! Workers and servers that need each other: how they meet, and what is told when one of them fails.

use super::script::Stage;
use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;
use xrun::terms::Outcome;

/// Workers of two steps and a server of their four gradients.
const HONEST: &str = "job
    if is server 0; then ready '\"unix a\"'; start; served 4; exit; fi
    ready; start; progress; step 0; step 1; trained; link 'server 0'; finished 0.00002";

/// A server of this life, and workers of that one.
fn stage(server: &str, worker: &str) -> Stage {
    let life = format!(
        "job; if is server 0; then ready '\"unix a\"'; start; {server}; exit; fi
        ready; start; {worker}"
    );
    Stage::new(&life).cluster(3)
}

/// The outcome and reason, which come long before any timeout.
fn run(stage: &Stage) -> (Outcome, String) {
    let result = stage.run();
    assert!(result.measured.is_none());
    assert!(result.seconds < 15.0, "the end took {} s", result.seconds);
    (result.outcome, result.reason)
}

fn failed(server: &str, worker: &str, reason: &str) {
    let wanted = (Outcome::Failed, reason.to_owned());
    assert_eq!(run(&stage(server, worker)), wanted);
}

#[test]
fn an_honest_cluster_completes() {
    let result = Stage::new(HONEST).cluster(2).run();
    assert_eq!(
        (result.outcome, result.reason.as_str()),
        (Outcome::Completed, "")
    );
    let measured = result.measured.unwrap();
    assert_eq!((measured.steps, measured.examples), (2, 16));
    let cluster = measured.cluster;
    assert_eq!(cluster.links, "worker 0 - server 0|worker 1 - server 0");
    assert_eq!((cluster.pulled_bytes, cluster.pushed_bytes), (160, 160));
    assert_eq!(cluster.applied_updates, Some(4));
    assert_eq!(cluster.staleness, "0:2 1:2");
    assert_eq!((result.workers.len(), result.servers.len()), (2, 1));
}

/// What each process of two runs of `stage` was told: its job, then its start.
fn told(stage: &Stage) -> Vec<(serde_json::Value, serde_json::Value)> {
    stage.run();
    let read = |path: &std::path::Path| {
        let text = fs::read_to_string(path).unwrap();
        let mut lines = text
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        (lines.next().unwrap(), lines.next().unwrap())
    };
    let entries = fs::read_dir(stage.folder()).unwrap().flatten();
    let paths = entries.map(|entry| entry.path());
    let mut all: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|e| e == "told"))
        .map(|path| read(&path))
        .collect();
    all.sort_by_key(|(job, _)| (job["role"] == "server", job["rank"].as_u64()));
    all
}

const TELL: &str = "{ echo \"$job\"; echo \"$command\"; } > \"$FOLDER/$$.told\"; sleep 0.2";

#[test]
fn workers_learn_where_servers_are_and_all_share_a_secret() {
    let mut stage = stage(TELL, TELL);
    stage.settings.servers = 1;
    stage.settings.checkpoint_every = Some(5);
    let told = told(&stage);
    assert_eq!(told.len(), 4);
    let peers: Vec<_> = told.iter().map(|(_, start)| &start["peers"]).collect();
    let address = serde_json::json!(["unix a"]);
    assert_eq!(peers[..3], [&address, &address, &address]);
    assert_eq!(*peers[3], serde_json::json!([]));
    let tokens: BTreeSet<_> = told.iter().map(|(job, _)| job["token"].as_str()).collect();
    assert_eq!(tokens.len(), 1);
    assert_eq!(told[0].0["token"].as_str().unwrap().len(), 64);
    let folder = format!("{}.checkpoints", stage.log().display());
    assert_eq!(told[0].0["checkpoints"], folder);
    assert!(
        told[1..]
            .iter()
            .all(|(job, _)| job["checkpoints"].is_null())
    );
    assert_eq!(told[3].0["world_size"], 3);
}

#[test]
fn workers_of_a_ring_learn_where_all_of_them_are() {
    let life = format!(
        "job; is worker 1 && sleep 0.1; rank=$(echo \"$job\" | sed 's/.*\"rank\":\\([0-9]*\\).*/\\1/'); ready '\"unix '\"$rank\"'\"'; start; {TELL}"
    );
    let told = told(&Stage::new(&life).ring(3));
    let all = serde_json::json!(["unix 0", "unix 1", "unix 2"]);
    assert!(told.len() == 3 && told.iter().all(|(_, start)| start["peers"] == all));
}

#[test]
fn a_dead_server_is_told_with_those_who_waited() {
    let reason =
        "server 0 ended with signal: 9 (SIGKILL) in step 41; workers 0-2 were waiting in pull";
    let wait = "lost 'server 0' pull";
    failed("kill -9 $$", &format!("sleep 0.2; {wait}"), reason);
    failed("sleep 0.2; kill -9 $$", wait, reason);
    let silent = "trap '' TERM; while :; do sleep 1; done";
    failed(
        "echo no memory >&2; kill -9 $$",
        silent,
        "server 0 ended with signal: 9 (SIGKILL) (out of memory?) without a finished event; stderr: no \
         memory",
    );
}

#[test]
fn a_dead_worker_is_told_with_its_last_step() {
    failed(
        "sleep 0.2; lost 'worker 1' wait",
        "is worker 1 && kill -9 $$; lost 'server 0' pull",
        "worker 1 ended with signal: 9 (SIGKILL) in step 41; workers 0 and 2 were waiting in pull, \
         server 0 in wait",
    );
}

#[test]
fn a_process_that_hangs_is_found_by_those_who_wait_for_it() {
    failed(
        "kill -STOP $$",
        "sleep 0.2; lost 'server 0' pull 30.0",
        "server 0 said nothing for 30.0 s in step 41; workers 0-2 were waiting in pull",
    );
    failed(
        "sleep 0.1; lost 'worker 2' wait 7.5",
        "is worker 2 && kill -STOP $$; sleep 0.3; lost 'server 0' push",
        "worker 2 said nothing for 7.5 s in step 41; workers 0 and 1 were waiting in push, server 0 \
         in wait",
    );
}

#[test]
fn who_says_why_is_quoted_before_those_who_waited() {
    failed(
        "echo '{\"event\":\"failed\",\"reason\":\"no memory\",\"waiting\":null}'; exit 1",
        "lost 'server 0' push",
        "server 0 failed: no memory; workers 0-2 were waiting in push",
    );
}

#[test]
fn a_server_that_lies_is_a_wrong_result() {
    let life = HONEST.replace("served 4", "served 3");
    let reason = "server 0 made 3 updates of 4 gradients and dropped 0, where all workers together \
                  took 4 steps";
    let result = run(&Stage::new(&life).cluster(2));
    assert_eq!(result, (Outcome::WrongResult, reason.to_owned()));
}

#[test]
fn a_server_without_an_address_is_refused() {
    let ready = |address: &str| {
        let life = format!("job; is server 0 && ready {address}; sleep 1000");
        run(&Stage::new(&life).cluster(2)).1
    };
    assert_eq!(
        ready("null"),
        "server 0 was ready without an address that others can call"
    );
    let long = format!("'\"{}\"'", "x".repeat(300));
    assert_eq!(ready(&long), "server 0 told an address of 300 bytes");
}

#[test]
fn events_of_another_role_or_out_of_turn_are_refused() {
    let early = "job; is server 0 && served 4; sleep 1000";
    let reason = "server 0 sent events before it was started";
    assert_eq!(run(&Stage::new(early).cluster(2)).1, reason);
    let reason = "server 0 sent an event that no server sends";
    failed("finished 0.00002", "sleep 1000", reason);
    let reason = "worker 0 sent an event that no worker sends";
    failed("sleep 1000", "is worker 0 && served 4; sleep 1000", reason);
}

#[test]
fn when_time_is_up_everybody_is_somewhere() {
    let mut stage = stage("sleep 1000", "is worker 1 && progress; sleep 1000");
    stage.settings.timeout = Duration::from_secs(1);
    let reason = "workers 0 and 2 had told of 0 steps, worker 1 had told of 1 steps, server 0 was at \
                  work after 1.00 s (measure.timeout)";
    assert_eq!(run(&stage), (Outcome::TimedOut, reason.to_owned()));
}
