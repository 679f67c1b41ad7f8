//! Charts of cells whose processes exchange.

use super::*;
use crate::analysis::sample_cluster::{ClusterBuilder, cluster_story};

/// One process, and 1, 2 and 4 workers of three kinds; more than two share cores.
pub fn rows(n: u32) -> Vec<RepeatRow> {
    let mut rows = ClusterBuilder::single(20.0).repeats(n);
    for workers in [1, 2, 4] {
        let share = f64::from(workers);
        let sync = ClusterBuilder::seed(workers)
            .named("sync")
            .rate(9.0 / share, 10.0)
            .phase(Phase::Wait, 0.2 + 0.1 * share)
            .phase(Phase::Checkpoint, 0.05);
        let ring = ClusterBuilder::ring(workers, 14.0 / share).phase(Phase::Exchange, 0.3);
        for mut cell in [ClusterBuilder::seed(workers), sync, ring] {
            if workers > 2 {
                cell.row = cell.row.mark(Mark::Oversubscribed);
            }
            rows.extend(cell.repeats(n));
        }
    }
    rows
}

fn drawn(kind: ChartKind, x: &str, rows: &[RepeatRow]) -> Figure {
    let story = cluster_story();
    let spec = ChartStory {
        kind,
        x: x.into(),
        series: Some("topology".into()),
        baseline: Vec::new(),
    };
    build(&Summary::of(rows), &story, &spec).unwrap()
}

#[test]
fn steps_stand_beside_the_level_of_one_process_over_replicas_and_over_workers() {
    let by_replicas = drawn(ChartKind::Steps, "replicas", &rows(6));
    insta::assert_snapshot!(outline(&by_replicas), @"
    local_cluster: steps per second over replicas
    test-machine · n = 6 · median, bars: its 95 % interval
    steps per second, all workers over replicas (weak scaling: local batch fixed), Numbers([1.0, 2.0, 4.0])
      single: 1: 20.04 [19.88, 20.20]
      async: 1: 2.20 [2.19, 2.22]; 2: 2.87 [2.84, 2.89]; 4: 5.73 [5.69, 5.78] hollow
      sync: 1: 2.20 [2.19, 2.22]; 2: 2.87 [2.84, 2.89]; 4: 5.73 [5.69, 5.78] hollow
      all-reduce: 1: 14.03 [13.92, 14.14]; 2: 14.03 [13.92, 14.14]; 4: 14.03 [13.92, 14.14] hollow
      single process (Dashed): 1: 20.0; 2: 20.0; 4: 20.0
    note: hollow: oversubscribed
    ");
    let by_workers = drawn(ChartKind::Steps, "cluster.workers", &rows(6));
    assert_eq!(by_workers.panels[0].content, by_replicas.panels[0].content);
}

#[test]
fn several_processes_of_their_own_are_named_apart() {
    let mut rows = rows(1);
    let small = ClusterBuilder::single(90.0).set("model.local_batch", "8");
    rows.extend(
        ClusterBuilder {
            row: small.row.label("single, batch 8"),
            ..small
        }
        .repeats(1),
    );
    let figure = drawn(ChartKind::Steps, "replicas", &rows);
    let Content::Lines { guides, .. } = &figure.panels[0].content else {
        panic!("steps are lines");
    };
    let names: Vec<_> = guides.iter().map(|guide| guide.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "single process: single, 1 worker",
            "single process: single, batch 8"
        ]
    );
}

#[test]
fn exchange_fills_a_bar_of_its_ceiling() {
    let figure = drawn(ChartKind::Exchange, "replicas", &rows(6));
    insta::assert_snapshot!(outline(&figure), @"
    local_cluster: exchange over replicas
    test-machine · n = 6 · median, bars: its 95 % interval
    GB/s of a link while bytes move, and its share of the ceiling over replicas (weak scaling: local batch fixed), Numbers([1.0, 2.0, 4.0])
      async 1: reached 0.3, up to the ceiling 17.7
      async 2: reached 0.3, up to the ceiling 17.7
      async 4: reached 0.3, up to the ceiling 17.7
      sync 1: reached 9.0, up to the ceiling 1.0
      sync 2: reached 4.5, up to the ceiling 5.5
      sync 4: reached 2.3, up to the ceiling 7.7
      all-reduce 1: reached 4.0, up to the ceiling 1.0
      all-reduce 2: reached 4.0, up to the ceiling 1.0
      all-reduce 4: reached 4.0, up to the ceiling 1.0
    note: hollow: oversubscribed
    ");
}

#[test]
fn phases_of_an_exchange_are_stacked_apart() {
    let figure = drawn(ChartKind::Phases, "replicas", &rows(6));
    insta::assert_snapshot!(outline(&figure), @"
    local_cluster: where a step goes
    test-machine · n = 6 · mean over replicas and repeats
    milliseconds per step over replicas (weak scaling: local batch fixed), Numbers([1.0, 2.0, 4.0])
      single 1: forward 20.0, backward 29.9
      async 1: pull 222.1, forward 3.8, backward 5.7, push 181.2, wait 40.8
      async 2: pull 341.7, forward 5.9, backward 8.8, push 278.8, wait 62.8
      async 4: pull 341.7, forward 5.9, backward 8.8, push 278.8, wait 62.8
      sync 1: pull 147.7, forward 2.5, backward 3.8, push 120.5, wait 156.4, checkpoint 22.7
      sync 2: pull 194.8, forward 3.3, backward 5.0, push 158.9, wait 301.0, checkpoint 34.9
      sync 4: pull 129.8, forward 2.2, backward 3.3, push 105.9, wait 421.7, checkpoint 34.9
      all-reduce 1: forward 20.0, backward 29.9, exchange 21.4
      all-reduce 2: forward 39.9, backward 59.9, exchange 42.8
      all-reduce 4: forward 79.8, backward 119.8, exchange 85.5
    note: hollow: oversubscribed
    ");
}

#[test]
fn cells_without_a_place_along_the_axis_are_in_no_series() {
    let figure = drawn(ChartKind::Scaling, "cluster.servers", &rows(1));
    let Content::Lines { series, .. } = &figure.panels[0].content else {
        panic!("throughput is lines");
    };
    let names: Vec<_> = series.iter().map(|series| series.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "async, workers 1",
            "async, workers 2",
            "async, workers 4",
            "sync, workers 1",
            "sync, workers 2",
            "sync, workers 4"
        ]
    );
}

#[test]
fn nothing_that_crosses_gives_no_chart_of_exchange() {
    let rows = ClusterBuilder::single(20.0).repeats(1);
    let story = cluster_story();
    let spec = ChartStory {
        kind: ChartKind::Exchange,
        ..story.leading_chart()
    };
    let none = build(&Summary::of(&rows), &story, &spec).unwrap_err();
    insta::assert_snapshot!(none, @"no cell was measured whose processes exchange");
}

#[test]
fn the_level_of_one_process_is_in_sight_where_it_has_no_place_along_the_axis() {
    let rows = [ClusterBuilder::single(150.0), ClusterBuilder::seed(1)];
    let rows: Vec<_> = rows.into_iter().flat_map(|cell| cell.repeats(1)).collect();
    let figure = drawn(ChartKind::Steps, "cluster.servers", &rows);
    let Content::Lines { series, guides, .. } = &figure.panels[0].content else {
        panic!("steps are lines");
    };
    assert_eq!(series.len(), 1);
    assert!(lines::highest(series, guides) >= 150.0);
}

#[test]
fn a_bar_without_a_ceiling_is_noted() {
    let mut rows = ClusterBuilder::seed(1).repeats(1);
    rows[0].ceilings = Default::default();
    let figure = drawn(ChartKind::Exchange, "replicas", &rows);
    assert_eq!(figure.notes, ["no ceiling was measured: async, 1 worker"]);
}
