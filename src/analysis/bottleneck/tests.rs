use super::*;
use crate::analysis::sample_rows::{RowBuilder, cifar_story, seed_rows};
use crate::analysis::{Summary, arrange};
use crate::table::RepeatRow;
use crate::terms::Phase;

/// The headline and all sentences of some rows, one a line.
fn answer(rows: &[RepeatRow]) -> String {
    let (summary, story) = (Summary::of(rows), cifar_story());
    let view = arrange(&summary, &story, &story.leading_chart()).unwrap();
    let explanation = explain(&view);
    let sentences = explanation
        .findings
        .into_iter()
        .map(|finding| finding.sentence);
    let lines: Vec<String> = [explanation.headline]
        .into_iter()
        .chain(sentences)
        .collect();
    lines.join("\n")
}

fn rows(cells: impl IntoIterator<Item = RowBuilder>) -> Vec<RepeatRow> {
    cells.into_iter().flat_map(|cell| cell.repeats(6)).collect()
}

#[test]
fn the_seed_tables_are_input_bound_on_the_host_and_distort_bound_on_the_device() {
    insta::assert_snapshot!(answer(&seed_rows(6)), @"
    highest throughput: 4 devices, input on host with 7 142 [7 085, 7 199] examples/s (n = 6), against the best single device (1 device, input on host) 1.10 [1.10, 1.10] times as much (n = 6); input-bound: input on host; distort-bound: input on device.
    input on device: distort-bound: 8 replicas reach 5 127 [5 086, 5 168] examples/s (n = 6), 91 % [91, 91] of the step is distortion on the training device; with input on the host 7 138 [7 081, 7 195] examples/s (n = 6), 1.39 [1.39, 1.39] times as much (n = 6), and with 1 replica 3.71 [3.71, 3.71] times as much (n = 6); speedup over 1 replica 2.93 [2.93, 2.93], efficiency 37 % [37, 37] (n = 6), 99 % of the lost time is distortion.
    input on host: input-bound: with 8 replicas the pipeline alone (measured with 1 replica) delivers 7 144 [7 087, 7 201] examples/s (n = 6), the full cell 7 138 [7 081, 7 195] examples/s (n = 6), replicas wait 88 % [88, 88] of the step; speedup over 1 replica 1.10 [1.10, 1.10], efficiency 14 % [14, 14] (n = 6), 100 % of the lost time is input wait.
    ");
}

#[test]
fn three_repeats_decide_nothing() {
    insta::assert_snapshot!(answer(&seed_rows(3)), @"
    highest throughput: 4 devices, input on host with 7 157 examples/s (n = 3), against the best single device (1 device, input on host) 1.10 times as much so far (cannot decide with n = 3); cannot decide with n = 3: input on device and input on host.
    input on device: cannot decide with n = 3: 8 replicas reach 5 137 examples/s (n = 3), distortion 91 %, compute 9 % of the step so far: measure at least 6 repeats; speedup over 1 replica 2.93, efficiency 37 % so far (cannot decide with n = 3).
    input on host: cannot decide with n = 3: 8 replicas reach 7 152 examples/s (n = 3), input wait 88 %, compute 12 % of the step so far: measure at least 6 repeats; speedup over 1 replica 1.10, efficiency 14 % so far (cannot decide with n = 3).
    ");
}

#[test]
fn a_pipeline_that_competes_with_training_is_named() {
    let full = RowBuilder::cifar10(2)
        .rate(2000.0)
        .phase(Phase::InputWait, 0.3);
    let answer = answer(&rows([RowBuilder::pipeline_only(9000.0), full]));
    insta::assert_snapshot!(answer, @"
    highest throughput: 2 devices, input on host with 2 004 [1 988, 2 020] examples/s (n = 6); input-bound: input on host.
    input on host: input-bound: with 2 replicas the pipeline alone (measured with 1 replica) delivers 9 018 [8 946, 9 090] examples/s (n = 6), the full cell 2 004 [1 988, 2 020] examples/s (n = 6), replicas wait 30 % [30, 30] of the step, since beside training the pipeline shares the host.
    ");
}

#[test]
fn a_missing_companion_is_asked_for() {
    let cells = [
        RowBuilder::cifar10(1).phase(Phase::InputWait, 0.4),
        RowBuilder::cifar10(1)
            .input("input on device")
            .phase(Phase::Copy, 0.02),
    ];
    insta::assert_snapshot!(answer(&rows(cells)), @r#"
    highest throughput: 1 device, input on device with 1 002 [994, 1 010] examples/s (n = 6), not to be told from 1 device, input on host; input-bound: input on host; compute-bound: input on device.
    input on device: compute-bound: 1 replica reaches 1 002 [994, 1 010] examples/s (n = 6), forward, backward and update are 98 % [98, 98] of the step; what the input costs cannot be told from these cells: add input.source = "resident".
    input on host: input-bound: 1 replica reaches 1 002 [994, 1 010] examples/s (n = 6) and waits 40 % [40, 40] of the step for input; what the pipeline alone delivers cannot be told from these cells: add a case with model.name = "none".
    "#);
}

#[test]
fn compute_is_the_bound_where_input_costs_nothing() {
    let cells = [
        RowBuilder::cifar10(1).rate(990.0),
        RowBuilder::cifar10(1).input("no input").rate(1000.0),
        RowBuilder::cifar10(2).rate(1960.0),
        RowBuilder::cifar10(2).input("no input").rate(1980.0),
    ];
    insta::assert_snapshot!(answer(&rows(cells)), @"
    highest throughput: 2 devices, no input with 1 984 [1 968, 2 000] examples/s (n = 6), against the best single device (1 device, no input) 1.98 [1.98, 1.98] times as much (n = 6); compute-bound: input on host and no input.
    input on host: compute-bound: 2 replicas reach 1 964 [1 948, 1 980] examples/s (n = 6), forward, backward and update are 100 % [100, 100] of the step, and it reaches 99 % [99, 99] of the throughput without input (n = 6); speedup over 1 replica 1.98 [1.98, 1.98], efficiency 99 % [99, 99] (n = 6).
    no input: compute-bound: 2 replicas reach 1 984 [1 968, 2 000] examples/s (n = 6), forward, backward and update are 100 % [100, 100] of the step and there is no input to wait for; speedup over 1 replica 1.98 [1.98, 1.98], efficiency 99 % [99, 99] (n = 6).
    ");
}

#[test]
fn input_that_takes_cores_without_a_wait_is_not_called_compute() {
    let cells = [
        RowBuilder::cifar10(2)
            .rate(700.0)
            .phase(Phase::InputWait, 0.02),
        RowBuilder::cifar10(2).input("no input").rate(1000.0),
    ];
    insta::assert_snapshot!(answer(&rows(cells)), @"
    highest throughput: 2 devices, no input with 1 002 [994, 1 010] examples/s (n = 6); compute-bound: no input; input takes cores from training: input on host.
    input on host: input takes cores from training: 2 replicas reach 701 [696, 707] examples/s (n = 6), forward, backward and update are 98 % [98, 98] of the step, but it reaches 70 % [70, 70] of the throughput without input (n = 6): beside the input work they take 1.40 [1.40, 1.40] times as long (n = 6).
    no input: compute-bound: 2 replicas reach 1 002 [994, 1 010] examples/s (n = 6), forward, backward and update are 100 % [100, 100] of the step and there is no input to wait for.
    ");
}

#[test]
fn a_small_part_of_the_step_is_named_as_what_the_input_costs() {
    let cells = [
        RowBuilder::cifar10(2)
            .input("input on device")
            .rate(880.0)
            .phase(Phase::Distort, 0.12),
        RowBuilder::cifar10(2).input("no input").rate(1000.0),
    ];
    insta::assert_snapshot!(answer(&rows(cells)), @"
    highest throughput: 2 devices, no input with 1 002 [994, 1 010] examples/s (n = 6); compute-bound: input on device and no input.
    input on device: compute-bound: 2 replicas reach 882 [875, 889] examples/s (n = 6), forward, backward and update are 88 % [88, 88] of the step (compute 88 % [88, 88], distortion 12 % [12, 12]), and it reaches 88 % [88, 88] of the throughput without input (n = 6).
    no input: compute-bound: 2 replicas reach 1 002 [994, 1 010] examples/s (n = 6), forward, backward and update are 100 % [100, 100] of the step and there is no input to wait for.
    ");
}

#[test]
fn exchange_is_named_with_the_time_it_takes_from_scaling() {
    let cells = [
        RowBuilder::cifar10(1).input("no input").rate(1000.0),
        RowBuilder::cifar10(4)
            .input("no input")
            .rate(2000.0)
            .phase(Phase::Exchange, 0.5),
    ];
    insta::assert_snapshot!(answer(&rows(cells)), @"
    highest throughput: 4 devices, no input with 2 004 [1 988, 2 020] examples/s (n = 6), against the best single device (1 device, no input) 2.00 [2.00, 2.00] times as much (n = 6); exchange-bound: no input.
    no input: exchange-bound: 4 replicas reach 2 004 [1 988, 2 020] examples/s (n = 6), 50 % [50, 50] of the step is exchange of gradients and parameters, waiting for the slowest replica included; speedup over 1 replica 2.00 [2.00, 2.00], efficiency 50 % [50, 50] (n = 6), 100 % of the lost time is exchange.
    ");
}

#[test]
fn cores_limit_where_more_replicas_share_them() {
    let mut all = rows([
        RowBuilder::cifar10(1).input("no input").rate(1000.0),
        RowBuilder::cifar10(2).input("no input").rate(1950.0),
        RowBuilder::cifar10(4)
            .input("no input")
            .rate(1970.0)
            .mark(Mark::Oversubscribed),
    ]);
    let eight = RowBuilder::cifar10(8).input("no input");
    all.extend(eight.skipped("8 devices of 1 thread need 8 cores, 2 are here", 1));
    insta::assert_snapshot!(answer(&all), @"
    highest throughput: 4 devices, no input with 1 974 [1 958, 1 990] examples/s (n = 6), against the best single device (1 device, no input) 1.97 [1.97, 1.97] times as much (n = 6); core-limited: no input.
    no input: core-limited: 2 replicas reach 1 954 [1 938, 1 970] examples/s (n = 6), forward, backward and update are 100 % [100, 100] of the step and there is no input to wait for; speedup over 1 replica 1.95 [1.95, 1.95], efficiency 98 % [97, 98] (n = 6); beyond 2 replicas the cores are oversubscribed: 4 replicas deliver 1.01 [1.01, 1.01] times as much (n = 6); 8 replicas not measured (skipped: 8 devices of 1 thread need 8 cores, 2 are here).
    ");
}

#[test]
fn gpus_limit_where_more_replicas_share_them() {
    let on_gpus = |replicas: u32, rate: f64| {
        let cell = RowBuilder::cifar10(replicas).input("no input").rate(rate);
        cell.on_gpus(100.0, 0.1, 100)
    };
    let shared = on_gpus(2, 1050.0).mark(Mark::SharedDevice);
    insta::assert_snapshot!(answer(&rows([on_gpus(1, 1000.0), shared])), @"
    highest throughput: 2 devices, no input with 1 052 [1 044, 1 060] examples/s (n = 6), against the best single GPU (1 device, no input) 1.05 [1.05, 1.05] times as much (n = 6); GPU-limited: no input.
    no input: GPU-limited: 1 replica reaches 1 002 [994, 1 010] examples/s (n = 6), forward, backward and update are 100 % [100, 100] of the step and there is no input to wait for; beyond 1 replica GPUs are shared: 2 replicas deliver 1.05 [1.05, 1.05] times as much (n = 6).
    ");
}

#[test]
fn a_shortage_of_cores_is_said_beside_another_cause_and_replaces_only_compute() {
    let input_bound = |replicas: u32, rate: f64| {
        let cell = RowBuilder::cifar10(replicas).rate(rate);
        cell.phase(Phase::InputWait, 0.4)
    };
    let crowded = input_bound(4, 1010.0).mark(Mark::Oversubscribed);
    insta::assert_snapshot!(answer(&rows([input_bound(2, 1000.0), crowded])), @r#"
    highest throughput: 4 devices, input on host with 1 012 [1 004, 1 020] examples/s (n = 6); input-bound: input on host.
    input on host: input-bound: 2 replicas reach 1 002 [994, 1 010] examples/s (n = 6) and wait 40 % [40, 40] of the step for input; what the pipeline alone delivers cannot be told from these cells: add a case with model.name = "none"; beyond 2 replicas the cores are oversubscribed: 4 replicas deliver 1.01 [1.01, 1.01] times as much (n = 6).
    "#);
}

#[test]
fn what_crosses_between_replicas_is_said_apart_from_the_time_of_the_exchange() {
    let mut all = rows([RowBuilder::cifar10(2)
        .input("no input")
        .phase(Phase::Exchange, 0.5)]);
    for row in &mut all {
        let measured = row.measured.as_mut().unwrap();
        measured.exchanged_bytes = measured.steps * 4_300_000;
    }
    insta::assert_snapshot!(answer(&all), @"
    highest throughput: 2 devices, no input with 1 002 [994, 1 010] examples/s (n = 6); exchange-bound: no input.
    no input: exchange-bound: 2 replicas reach 1 002 [994, 1 010] examples/s (n = 6), 50 % [50, 50] of the step is exchange of gradients and parameters, waiting for the slowest replica included; 4.10 MiB cross per step.
    ");
}

#[test]
fn missing_cells_are_named_by_outcome_with_the_newest_reason() {
    let mut all = rows([RowBuilder::cifar10(2).input("no input")]);
    let skipped = |replicas: u32, reason: &str| {
        let cell = RowBuilder::cifar10(replicas).input("no input");
        cell.skipped(reason, 1)
    };
    all.extend(skipped(4, "1 core is here"));
    let mut failed = skipped(4, "out of memory");
    (failed[0].key.repeat, failed[0].outcome) = (2, crate::terms::Outcome::Failed);
    all.extend(failed);
    all.extend(skipped(8, "2 cores are here"));
    insta::assert_snapshot!(answer(&all), @"
    highest throughput: 2 devices, no input with 1 002 [994, 1 010] examples/s (n = 6); compute-bound: no input.
    no input: compute-bound: 2 replicas reach 1 002 [994, 1 010] examples/s (n = 6), forward, backward and update are 100 % [100, 100] of the step and there is no input to wait for; 4 replicas without figures (failed: out of memory); 8 replicas not measured (skipped: 2 cores are here).
    ");
}

#[test]
fn strong_scaling_is_judged_against_its_own_ideal() {
    let cells = [
        RowBuilder::cifar10(1)
            .strong(128)
            .input("no input")
            .rate(1000.0),
        RowBuilder::cifar10(4)
            .strong(128)
            .input("no input")
            .rate(3000.0)
            .phase(Phase::Exchange, 0.2),
    ];
    insta::assert_snapshot!(answer(&rows(cells)), @"
    highest throughput: 4 devices, no input with 3 006 [2 982, 3 030] examples/s (n = 6), against the best single device (1 device, no input) 3.00 [3.00, 3.00] times as much (n = 6); compute-bound: no input.
    no input: compute-bound: 4 replicas reach 3 006 [2 982, 3 030] examples/s (n = 6), forward, backward and update are 80 % [80, 80] of the step and there is no input to wait for; speedup over 1 replica 3.00 [3.00, 3.00], efficiency 75 % [75, 75] (n = 6), 80 % of the lost time is exchange.
    ");
}

#[test]
fn cells_without_figures_give_no_finding() {
    let skipped = RowBuilder::cifar10(4).skipped("4 GPUs are needed, none is here", 2);
    insta::assert_snapshot!(answer(&skipped), @"
    no cell was completed, so there is no answer.
    input on host: cannot tell from these cells: every cell is without figures (skipped: 4 GPUs are needed, none is here).
    ");
}

#[test]
fn an_interval_across_the_threshold_is_undecided() {
    let mut all = Vec::new();
    for (block, wait) in [0.02, 0.05, 0.09, 0.12, 0.14, 0.2].into_iter().enumerate() {
        let rows = RowBuilder::cifar10(1)
            .phase(Phase::InputWait, wait)
            .repeats(6);
        all.push(rows[block].clone());
    }
    insta::assert_snapshot!(answer(&all), @"
    highest throughput: 1 device, input on host with 1 002 [994, 1 010] examples/s (n = 6); cannot decide with n = 6: input on host.
    input on host: cannot decide with n = 6: 1 replica reaches 1 002 [994, 1 010] examples/s (n = 6), 10 % [2, 20] of the step is input wait, an interval on both sides of 10 %: measure more repeats.
    ");
}
