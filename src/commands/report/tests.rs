use super::*;
use crate::analysis::sample_cluster::{ClusterBuilder, cluster_story};
use crate::analysis::sample_rows::{RowBuilder, cifar_story, seed_rows};
use crate::table::RepeatRow;
use crate::terms::{Mark, Phase};

fn printed(rows: &[RepeatRow], references: &[Reference]) -> String {
    let mut out = Vec::new();
    report(
        &mut out,
        &Summary::of(rows),
        &cifar_story(),
        references,
        Vec::new(),
    )
    .unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn the_seed_tables_are_printed_with_their_answer() {
    let rows = seed_rows(6);
    let reference = Reference {
        cell: rows[6].key.cell.clone(),
        machine: "8x-m40".into(),
        run: 1,
        throughput_examples_per_second: 6007.0,
        n: 6,
        ratio: Some(1.08),
    };
    insta::assert_snapshot!(printed(&rows, &[reference]), @"
    cell                        examples/s  [95 %]          n  speedup            eff.  overhead
    1 device, input on device        1 750  [1 737, 1 764]  6  baseline                 distort 78 %
    2 devices, input on device       3 363  [3 336, 3 390]  6  1.92 [1.92, 1.92]  96 %  distort 79 %
    4 devices, input on device       4 769  [4 730, 4 807]  6  2.72 [2.72, 2.72]  68 %  distort 85 %
    8 devices, input on device       5 127  [5 086, 5 168]  6  2.93 [2.93, 2.93]  37 %  distort 91 %
    1 device, input on host          6 489  [6 437, 6 541]  6  baseline                 wait 10 %
    2 devices, input on host         7 075  [7 019, 7 132]  6  1.09 [1.09, 1.09]  55 %  wait 54 %
    4 devices, input on host         7 142  [7 085, 7 199]  6  1.10 [1.10, 1.10]  28 %  wait 77 %
    8 devices, input on host         7 138  [7 081, 7 195]  6  1.10 [1.10, 1.10]  14 %  wait 88 %
    pipeline only                    7 144  [7 087, 7 201]  6

    reference                examples/s  n    here  machine
    1 device, input on host       6 007  6  1.08 x  8x-m40, run 1

    highest throughput: 4 devices, input on host with 7 142 [7 085, 7 199] examples/s (n = 6), against
    the best single device (1 device, input on host) 1.10 [1.10, 1.10] times as much (n = 6);
    input-bound: input on host; distort-bound: input on device.
    input on device: distort-bound: 8 replicas reach 5 127 [5 086, 5 168] examples/s (n = 6),
      91 % [91, 91] of the step is distortion on the training device; with input on the host
      7 138 [7 081, 7 195] examples/s (n = 6), 1.39 [1.39, 1.39] times as much (n = 6), and with 1
      replica 3.71 [3.71, 3.71] times as much (n = 6); speedup over 1 replica 2.93 [2.93, 2.93],
      efficiency 37 % [37, 37] (n = 6), 99 % of the lost time is distortion.
    input on host: input-bound: with 8 replicas the pipeline alone (measured with 1 replica) delivers
      7 144 [7 087, 7 201] examples/s (n = 6), the full cell 7 138 [7 081, 7 195] examples/s (n = 6),
      replicas wait 88 % [88, 88] of the step; speedup over 1 replica 1.10 [1.10, 1.10], efficiency
      14 % [14, 14] (n = 6), 100 % of the lost time is input wait.
    ");
}

#[test]
fn cells_that_exchange_between_processes_have_a_second_table() {
    let mut rows = ClusterBuilder::single(150.0).repeats(6);
    rows.extend(ClusterBuilder::seed(1).repeats(6));
    rows.extend(ClusterBuilder::seed(4).repeats(6));
    rows.extend(ClusterBuilder::ring(4, 20.0).repeats(6));
    let mut out = Vec::new();
    report(
        &mut out,
        &Summary::of(&rows),
        &cluster_story(),
        &[],
        Vec::new(),
    )
    .unwrap();
    let printed = String::from_utf8(out).unwrap();
    insta::assert_snapshot!(printed, @r#"
    cell                   examples/s  [95 %]            n  speedup            eff.  overhead
    single, 1 worker           19 238  [19 085, 19 392]  6  baseline
    async, 1 worker               282  [280, 284]        6  baseline                 exchange 98 %
    async, 4 workers              734  [728, 739]        6  2.60 [2.60, 2.60]  65 %  exchange 98 %
    all-reduce, 4 workers      10 260  [10 179, 10 342]  6  baseline

    cell                   steps/s  a worker                of single   GB/s  of ceiling  staleness
    single, 1 worker           150       150
    async, 1 worker           2.20      2.20  0.0147 [0.0147, 0.0147]  0.333         2 %          0
    async, 4 workers          5.73      1.43  0.0381 [0.0381, 0.0381]  0.333         2 %       3.00
    all-reduce, 4 workers     80.2      20.0     0.533 [0.533, 0.533]   4.01        80 %

    highest throughput: single, 1 worker with 19 238 [19 085, 19 392] examples/s (n = 6);
    exchange-bound: async; compute-bound: single and all-reduce.
    single: compute-bound: 1 replica reaches 19 238 [19 085, 19 392] examples/s (n = 6), forward,
      backward and update are 100 % [100, 100] of the step; what the input costs cannot be told from
      these cells: add input.source = "resident".
    async: exchange-bound: 4 replicas reach 734 [728, 739] examples/s (n = 6), 98 % [98, 98] of the step
      is exchange (pull 49 %, push 40 %, wait 9 %; 144 MiB a step and worker at 0.333 [0.330, 0.335]
      GB/s a link, 2 % [2, 2] of the ceiling of 18.0 GB/s; the server takes 51.0 ms for an update and is
      busy 93 % [93, 93] of the time; gradients are 3.00 [3.00, 3.00] updates old on average): the
      server is the bottleneck (updates take 29 % [29, 29] of its time); against one process with
      150 [149, 152] steps/s 0.0381 [0.0381, 0.0381] times the steps and 0.00953 [0.00953, 0.00953] per
      worker (n = 6), 90 % per worker would need an exchange at 204 GB/s, or at 20.4 GB/s hidden behind
      computing; speedup over 1 replica 2.60 [2.60, 2.60], efficiency 65 % [65, 65] (n = 6), 98 % of the
      lost time is exchange.
    all-reduce: compute-bound: 4 replicas reach 10 260 [10 179, 10 342] examples/s (n = 6), forward,
      backward and update are 100 % [100, 100] of the step; what the input costs cannot be told from
      these cells: add input.source = "resident"; against one process with 150 [149, 152] steps/s
      0.533 [0.533, 0.533] times the steps and 0.133 [0.133, 0.133] per worker (n = 6), 90 % per worker
      would need an exchange at 204 GB/s, or at 20.4 GB/s hidden behind computing.
    "#);
    assert!(printed.lines().all(|line| line.chars().count() <= WIDTH));
}

#[test]
fn marks_skips_and_too_few_repeats_are_said() {
    let mut rows = RowBuilder::cifar10(1).repeats(3);
    rows[0].marks.push(Mark::Disturbed);
    rows.extend(
        RowBuilder::cifar10(4).skipped("4 devices of 1 thread need 4 cores, 2 are here", 1),
    );
    insta::assert_snapshot!(printed(&rows, &[]), @"
    cell                        examples/s  n  speedup
    1 device, input on host  *       1 004  3  baseline
    * disturbed in 1 of 3 repeats: 1 device, input on host
    skipped (4 devices of 1 thread need 4 cores, 2 are here): 4 devices, input on host

    highest throughput: 1 device, input on host with 1 004 examples/s (n = 3); cannot decide with n = 3:
    input on host.
    input on host: cannot decide with n = 3: 1 replica reaches 1 004 examples/s (n = 3), compute 100 %
      of the step so far: measure at least 6 repeats; 4 replicas not measured (skipped: 4 devices of 1
      thread need 4 cores, 2 are here).
    ");
}

#[test]
fn the_table_fits_the_width_whatever_the_labels_and_overheads() {
    let mut rows = Vec::new();
    for (label, phase) in [
        ("input on device, one batch after the other", Phase::Distort),
        (
            "input on host, sixteen threads for each pipeline",
            Phase::Exchange,
        ),
    ] {
        for replicas in [1, 8] {
            let cell = RowBuilder::cifar10(replicas).input(label).rate(123_456.0);
            let cell = cell.phase(phase, 0.5).mark(Mark::Oversubscribed);
            rows.extend(cell.repeats(6));
        }
    }
    let printed = printed(&rows, &[]);
    insta::assert_snapshot!(printed.split("\n\n").next().unwrap(), @"
    cell                       examples/s  [95 %]              n  speedup            eff.  overhead
    1 device, input on      *     123 703  [122 715, 124 691]  6  baseline                 distort 50 %
      device, one batch
      after the other
    8 devices, input on     *     123 703  [122 715, 124 691]  6  1.00 [1.00, 1.00]  12 %  distort 50 %
      device, one batch
      after the other
    1 device, input on      *     123 703  [122 715, 124 691]  6  baseline                 exchange 50 %
      host, sixteen
      threads for each
      pipeline
    8 devices, input on     *     123 703  [122 715, 124 691]  6  1.00 [1.00, 1.00]  12 %  exchange 50 %
      host, sixteen
      threads for each
      pipeline
    * oversubscribed: 1 device, input on device, one batch after the other; 8 devices, input on device,
      one batch after the other; 1 device, input on host, sixteen threads for each pipeline; 8 devices,
      input on host, sixteen threads for each pipeline
    ");
    assert!(printed.lines().all(|line| line.chars().count() <= WIDTH));
}

#[test]
fn cells_on_gpus_have_a_table_of_what_they_launch() {
    let gpu = |replicas: u32| RowBuilder::cifar10(replicas).input("no input");
    let mut rows = gpu(1).rate(20_000.0).on_gpus(812.0, 0.96, 0).repeats(6);
    let shared = gpu(2).rate(21_000.0).on_gpus(812.4, 0.12, 200);
    rows.extend(shared.mark(Mark::SharedDevice).repeats(6));
    insta::assert_snapshot!(printed(&rows, &[]), @"
    cell                    examples/s  [95 %]            n  speedup            eff.
    1 device, no input          20 040  [19 880, 20 200]  6  baseline
    2 devices, no input  *      21 042  [20 874, 21 210]  6  1.05 [1.05, 1.05]  53 %

    cell on GPUs         launches/step  graphs/step  host busy  GPU memory
    1 device, no input             812            0       96 %    1.00 GiB
    2 devices, no input            812         1.00       12 %    1.00 GiB
    * shared-device: 2 devices, no input

    highest throughput: 2 devices, no input with 21 042 [20 874, 21 210] examples/s (n = 6), against the
    best single GPU (1 device, no input) 1.05 [1.05, 1.05] times as much (n = 6); launch-bound: no
    input.
    no input: launch-bound: 1 replica reaches 20 040 [19 880, 20 200] examples/s (n = 6), compute
      100 % [100, 100] of the step; the host puts 812 launches a step on the queue in 7.55 µs each,
      which takes 96 % [96, 96] of the step; nothing of it was captured in a CUDA graph; a larger local
      batch gives each launch more to do; beyond 1 replica GPUs are shared: 2 replicas deliver
      1.05 [1.05, 1.05] times as much (n = 6).
    ");
}

#[test]
fn a_comparison_of_fewer_blocks_than_were_measured_says_so() {
    let mut rows = RowBuilder::cifar10(1).repeats(6);
    rows.extend(RowBuilder::cifar10(2).rate(1900.0).repeats(6).split_off(2));
    rows.extend(RowBuilder::cifar10(2).rate(1900.0).repeats(8).split_off(6));
    insta::assert_snapshot!(printed(&rows, &[]).split("\n\n").next().unwrap(), @"
    cell                      examples/s  [95 %]          n  speedup       eff.
    1 device, input on host        1 002  [994, 1 010]    6  baseline
    2 devices, input on host       1 904  [1 889, 1 919]  6  1.90 (n = 4)  95 %
    ");
}

#[test]
fn without_a_completed_cell_one_line_says_so_below_the_reasons() {
    let mut rows = RowBuilder::cifar10(4).skipped("4 GPUs are needed, none is here", 1);
    rows.extend(RowBuilder::cifar10(8).skipped("8 GPUs are needed, none is here", 1));
    insta::assert_snapshot!(printed(&rows, &[]), @"
    skipped (4 GPUs are needed, none is here): 4 devices, input on host
    skipped (8 GPUs are needed, none is here): 8 devices, input on host

    no cell was completed, so there is no answer.
    ");
}

#[test]
fn mixed_conventions_are_refused_below_the_table() {
    let mut rows = RowBuilder::cifar10(1).repeats(1);
    rows.extend(
        RowBuilder::cifar10(2)
            .strong(128)
            .label("strong")
            .repeats(1),
    );
    insta::assert_snapshot!(printed(&rows, &[]), @"
    cell                     examples/s  n
    1 device, input on host       1 004  1
    strong                        1 004  1

    cells of weak and of strong scaling cannot share a chart: `1 device, input on host` fixes the local
    batch, `strong` the global batch; declare them in two experiments
    ");
}

#[test]
fn nothing_measured_is_said_plainly() {
    insta::assert_snapshot!(printed(&[], &[]), @"no cell was completed, so there is no answer.");
}

#[test]
fn the_floor_stands_below_the_table_and_what_was_taken_again_too() {
    let mut rows = RowBuilder::cifar10(1).rate(1000.0).repeats(6);
    let twin = RowBuilder::cifar10(1).twin_of(&rows[0]).rate(980.0);
    rows.extend(twin.repeats(6));
    let disturbed = RowBuilder::cifar10(2).mark(Mark::Disturbed);
    rows.extend(disturbed.rate(700.0).repeats(1));
    let mut again = RowBuilder::cifar10(2).rate(1500.0).repeats(6);
    again[0].key.repeat = 7;
    rows.extend(again);
    let printed = printed(&rows, &[]);
    let tables = printed.split("\n\n").next().unwrap();
    insta::assert_snapshot!(tables, @"
    cell                            examples/s  [95 %]          n  speedup            eff.
    1 device, input on host              1 002  [994, 1 010]    6  baseline
    2 devices, input on host             1 503  [1 491, 1 515]  6  1.50 [1.50, 1.50]  75 %
    1 device, input on host (twin)         982  [974, 990]      6
    noise floor ± 2.0 %: A/A twin of `1 device, input on host` 0.980 x [0.980, 0.980], n = 6
    1 disturbed repeat taken again: 2 devices, input on host
    ");
}

#[test]
fn cells_without_a_steady_state_are_told_by_how_often_in_few_lines() {
    let restless = |label, repeats| Restless {
        label,
        repeats,
        of: 6,
    };
    let cells = vec![
        restless("a", 1),
        restless("b", 6),
        restless("c", 1),
        restless("d", 2),
        restless("e", 3),
        restless("f", 4),
        restless("g", 5),
    ];
    let mut out = Vec::new();
    write_restless(&mut out, cells).unwrap();
    insta::assert_snapshot!(String::from_utf8(out).unwrap(), @"
    no steady state in 6 of 6 repeats: b
    no steady state in 5 of 6 repeats: g
    no steady state in 4 of 6 repeats: f
    no steady state in 3 of 6 repeats: e
    no steady state in 2 of 6 repeats: d
    and 1 more
    steps of such repeats still change while they are measured; more measure.warmup_steps may help
    ");
    let mut out = Vec::new();
    write_restless(&mut out, Vec::new()).unwrap();
    assert_eq!(out, b"");
}
