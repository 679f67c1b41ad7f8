use crate::analysis::bottleneck::{Cause, Finding, explain};
use crate::analysis::sample_cluster::{ClusterBuilder, cluster_story};
use crate::analysis::{Summary, arrange};
use crate::terms::{Mark, Phase};

const SINGLE: f64 = 150.0;

/// The finding on the last series of these cells.
fn finding(cells: impl IntoIterator<Item = ClusterBuilder>, repeats: u32) -> Finding {
    let rows: Vec<_> = cells.into_iter().flat_map(|c| c.repeats(repeats)).collect();
    let (summary, story) = (Summary::of(&rows), cluster_story());
    let view = arrange(&summary, &story, &story.leading_chart()).unwrap();
    explain(&view).findings.pop().unwrap()
}

fn sentence(cells: impl IntoIterator<Item = ClusterBuilder>) -> String {
    finding(cells, 6).sentence
}

#[test]
fn the_reported_job_is_told_with_bytes_rate_server_and_one_process() {
    let cells = [
        ClusterBuilder::single(SINGLE),
        ClusterBuilder::seed(1),
        ClusterBuilder::seed(4).server(0.45, 0.051),
    ];
    insta::assert_snapshot!(sentence(cells), @"async: exchange-bound: 4 replicas reach 734 [728, 739] examples/s (n = 6), 98 % [98, 98] of the step is exchange (pull 49 %, push 40 %, wait 9 %; 144 MiB a step and worker at 0.333 [0.330, 0.335] GB/s a link, 2 % [2, 2] of the ceiling of 18.0 GB/s; the server takes 51.0 ms for an update and is busy 45 % [45, 45] of the time; gradients are 3.00 [3.00, 3.00] updates old on average): neither the server nor the transport is at its limit; against one process with 150 [149, 152] steps/s 0.0381 [0.0381, 0.0381] times the steps and 0.00953 [0.00953, 0.00953] per worker (n = 6), 90 % per worker would need an exchange at 204 GB/s, or at 20.4 GB/s hidden behind computing; speedup over 1 replica 2.60 [2.60, 2.60], efficiency 65 % [65, 65] (n = 6), 98 % of the lost time is exchange.");
}

#[test]
fn a_busy_server_is_the_bottleneck_with_the_share_of_its_updates() {
    let busy = ClusterBuilder::seed(4).server(0.93, 0.140);
    let mut two = busy.clone().set("cluster.servers", "2");
    two.cluster.server_share = Some(0.9996);
    insta::assert_snapshot!(sentence([ClusterBuilder::single(SINGLE), busy]), @"async: exchange-bound: 4 replicas reach 734 [728, 739] examples/s (n = 6), 98 % [98, 98] of the step is exchange (pull 49 %, push 40 %, wait 9 %; 144 MiB a step and worker at 0.333 [0.330, 0.335] GB/s a link, 2 % [2, 2] of the ceiling of 18.0 GB/s; the server takes 140 ms for an update and is busy 93 % [93, 93] of the time; gradients are 3.00 [3.00, 3.00] updates old on average): the server is the bottleneck (updates take 80 % [80, 81] of its time); against one process with 150 [149, 152] steps/s 0.0381 [0.0381, 0.0381] times the steps and 0.00953 [0.00953, 0.00953] per worker (n = 6), 90 % per worker would need an exchange at 204 GB/s, or at 20.4 GB/s hidden behind computing.");
    insta::assert_snapshot!(sentence([ClusterBuilder::single(SINGLE), two]), @"async: exchange-bound: 4 replicas reach 734 [728, 739] examples/s (n = 6), 98 % [98, 98] of the step is exchange (pull 49 %, push 40 %, wait 9 %; 144 MiB a step and worker at 0.333 [0.330, 0.335] GB/s a link, 2 % [2, 2] of the ceiling of 18.0 GB/s; the busiest of 2 servers takes 140 ms for an update and is busy 93 % [93, 93] of the time, the most loaded holds 99.96 % of the parameters; gradients are 3.00 [3.00, 3.00] updates old on average): the busiest of 2 servers is the bottleneck (updates take 80 % [80, 81] of its time); against one process with 150 [149, 152] steps/s 0.0381 [0.0381, 0.0381] times the steps and 0.00953 [0.00953, 0.00953] per worker (n = 6), 90 % per worker would need an exchange at 204 GB/s, or at 20.4 GB/s hidden behind computing.");
}

#[test]
fn a_transport_near_its_ceiling_is_the_bound() {
    let fast = ClusterBuilder::seed(4).server(0.45, 0.010).rate(15.0, 18.0);
    insta::assert_snapshot!(sentence([ClusterBuilder::single(SINGLE), fast]), @"async: exchange-bound: 4 replicas reach 734 [728, 739] examples/s (n = 6), 98 % [98, 98] of the step is exchange (pull 49 %, push 40 %, wait 9 %; 144 MiB a step and worker at 15.0 [14.9, 15.2] GB/s a link, 84 % [83, 84] of the ceiling of 18.0 GB/s; the server takes 10.0 ms for an update and is busy 45 % [45, 45] of the time; gradients are 3.00 [3.00, 3.00] updates old on average): it is bound by the transport; against one process with 150 [149, 152] steps/s 0.0381 [0.0381, 0.0381] times the steps and 0.00953 [0.00953, 0.00953] per worker (n = 6), 90 % per worker would need an exchange at 204 GB/s, or at 20.4 GB/s hidden behind computing.");
    let ring = ClusterBuilder::ring(2, 20.0).phase(Phase::Exchange, 0.7);
    insta::assert_snapshot!(sentence([ClusterBuilder::single(SINGLE), ring]), @"all-reduce: exchange-bound: 2 replicas reach 5 130 [5 089, 5 171] examples/s (n = 6), 70 % [70, 70] of the step is exchange (144 MiB a step and worker at 4.01 [3.98, 4.04] GB/s a link, 80 % [80, 81] of the ceiling of 5.00 GB/s): it is bound by the transport; against one process with 150 [149, 152] steps/s 0.267 [0.267, 0.267] times the steps and 0.133 [0.133, 0.133] per worker (n = 6), 90 % per worker would need an exchange at 204 GB/s, or at 20.4 GB/s hidden behind computing.");
}

#[test]
fn waiting_that_outweighs_moving_is_named_whatever_the_rate_while_bytes_move() {
    let server = ClusterBuilder::seed(4).server(0.6, 0.1).rate(15.0, 18.0);
    let server = server.phase(Phase::Wait, 0.7);
    insta::assert_snapshot!(sentence([ClusterBuilder::single(SINGLE), server]), @"async: exchange-bound: 4 replicas reach 734 [728, 739] examples/s (n = 6), 99 % [99, 99] of the step is exchange (wait 73 %, pull 15 %, push 12 %; 144 MiB a step and worker at 15.0 [14.9, 15.2] GB/s a link, 84 % [83, 84] of the ceiling of 18.0 GB/s; the server takes 100 ms for an update and is busy 60 % [60, 60] of the time; gradients are 3.00 [3.00, 3.00] updates old on average): most of it waits for the server or other workers; against one process with 150 [149, 152] steps/s 0.0381 [0.0381, 0.0381] times the steps and 0.00953 [0.00953, 0.00953] per worker (n = 6), 90 % per worker would need an exchange at 204 GB/s, or at 20.4 GB/s hidden behind computing.");
    let ring = ClusterBuilder::ring(3, 20.0).phase(Phase::Exchange, 0.2);
    let ring = ring.phase(Phase::Wait, 0.5);
    insta::assert_snapshot!(sentence([ClusterBuilder::single(SINGLE), ring]), @"all-reduce: exchange-bound: 3 replicas reach 7 695 [7 634, 7 757] examples/s (n = 6), 60 % [60, 60] of the step is exchange (wait 50 %, exchange 10 %; 144 MiB a step and worker at 4.01 [3.98, 4.04] GB/s a link, 80 % [80, 81] of the ceiling of 5.00 GB/s): most of it waits for other workers; against one process with 150 [149, 152] steps/s 0.400 [0.400, 0.400] times the steps and 0.133 [0.133, 0.133] per worker (n = 6), 90 % per worker would need an exchange at 204 GB/s, or at 20.4 GB/s hidden behind computing.");
}

#[test]
fn threads_that_share_cores_allow_no_conclusion() {
    let mut crowded = ClusterBuilder::seed(4);
    crowded.row = crowded.row.mark(Mark::Oversubscribed);
    insta::assert_snapshot!(sentence([ClusterBuilder::single(SINGLE), crowded]), @"async: exchange-bound: 4 replicas reach 734 [728, 739] examples/s (n = 6), 98 % [98, 98] of the step is exchange (pull 49 %, push 40 %, wait 9 %; 144 MiB a step and worker at 0.333 [0.330, 0.335] GB/s a link, 2 % [2, 2] of the ceiling of 18.0 GB/s; the server takes 51.0 ms for an update and is busy 93 % [93, 93] of the time; gradients are 3.00 [3.00, 3.00] updates old on average): threads share cores, so that nothing on scaling may be concluded from it; against one process with 150 [149, 152] steps/s 0.0381 [0.0381, 0.0381] times the steps and 0.00953 [0.00953, 0.00953] per worker (n = 6).");
}

#[test]
fn one_process_that_was_not_measured_is_asked_for() {
    insta::assert_snapshot!(sentence([ClusterBuilder::seed(4)]), @r#"async: exchange-bound: 4 replicas reach 734 [728, 739] examples/s (n = 6), 98 % [98, 98] of the step is exchange (pull 49 %, push 40 %, wait 9 %; 144 MiB a step and worker at 0.333 [0.330, 0.335] GB/s a link, 2 % [2, 2] of the ceiling of 18.0 GB/s; the server takes 51.0 ms for an update and is busy 93 % [93, 93] of the time; gradients are 3.00 [3.00, 3.00] updates old on average): the server is the bottleneck (updates take 29 % [29, 29] of its time); how it compares with one process cannot be told from these cells: add cluster.topology = "single"."#);
    let other = ClusterBuilder::single(SINGLE).set("model.local_batch", "8");
    assert!(sentence([other, ClusterBuilder::seed(4)]).contains("add cluster.topology"));
}

#[test]
fn three_repeats_give_numbers_and_no_limit() {
    let cells = [ClusterBuilder::single(SINGLE), ClusterBuilder::seed(4)];
    let finding = finding(cells, 3);
    assert_eq!(finding.cause, Cause::Undecided);
    insta::assert_snapshot!(finding.sentence, @"async: cannot decide with n = 3: 4 replicas reach 735 examples/s (n = 3), exchange 98 %, compute 2 % of the step so far (pull 49 %, push 40 %, wait 9 %; 144 MiB a step and worker at 0.333 GB/s a link, 2 % of the ceiling of 18.0 GB/s; the server takes 51.0 ms for an update and is busy 93 % of the time; gradients are 3.00 updates old on average): measure at least 6 repeats; against one process with 151 steps/s 0.0381 times the steps and 0.00953 per worker so far (cannot decide with n = 3).");
}

#[test]
fn what_was_not_recorded_is_neither_said_nor_concluded_from() {
    let mut silent = ClusterBuilder::seed(4);
    silent.cluster = crate::table::Cluster::default();
    insta::assert_snapshot!(sentence([ClusterBuilder::single(SINGLE), silent]), @"async: exchange-bound: 4 replicas reach 734 [728, 739] examples/s (n = 6), 98 % [98, 98] of the step is exchange (pull 49 %, push 40 %, wait 9 %); against one process with 150 [149, 152] steps/s 0.0381 [0.0381, 0.0381] times the steps and 0.00953 [0.00953, 0.00953] per worker (n = 6).");
}

#[test]
fn workers_that_hardly_exchange_are_compared_without_a_break_even() {
    let ring = ClusterBuilder::ring(2, 147.0).phase(Phase::Exchange, 0.02);
    insta::assert_snapshot!(sentence([ClusterBuilder::single(SINGLE), ring]), @r#"all-reduce: compute-bound: 2 replicas reach 37 707 [37 406, 38 008] examples/s (n = 6), forward, backward and update are 98 % [98, 98] of the step; what the input costs cannot be told from these cells: add input.source = "resident"; against one process with 150 [149, 152] steps/s 1.96 [1.96, 1.96] times the steps and 0.980 [0.980, 0.980] per worker (n = 6)."#);
}
