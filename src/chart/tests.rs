mod cluster;
mod heat;
mod pictures;

use super::*;
use crate::analysis::sample_flavours::{FLAVOURS, NETWORKS, flavour_rows, flavour_story};
use crate::analysis::sample_rows::{RowBuilder, cifar_story, seed_rows};
use crate::table::RepeatRow;
use crate::terms::{Mark, Phase};

fn chart(kind: ChartKind) -> ChartStory {
    ChartStory {
        kind,
        x: "replicas".into(),
        series: Some("input".into()),
        baseline: Vec::new(),
    }
}

fn figure(rows: &[RepeatRow], kind: ChartKind) -> Figure {
    build(&Summary::of(rows), &cifar_story(), &chart(kind)).unwrap()
}

/// All that a figure says, a line for each thing.
fn outline(figure: &Figure) -> String {
    let mut lines = vec![figure.title.clone(), figure.subtitle.clone()];
    for panel in &figure.panels {
        lines.push(format!(
            "{} over {}, {:?}",
            panel.y_label, panel.x_label, panel.x
        ));
        match &panel.content {
            Content::Lines {
                series,
                guides,
                band,
            } => {
                lines.extend(series.iter().map(series_line));
                lines.extend(guides.iter().map(guide_line));
                let band = band.iter();
                lines.extend(band.map(|b| format!("  {}: [{:.2}, {:.2}]", b.name, b.low, b.high)));
            }
            Content::Bars { parts, stacks, .. } => lines.extend(stacks.iter().map(|stack| {
                let filled = parts.iter().zip(&stack.parts).filter(|(_, ms)| **ms > 0.0);
                let parts: Vec<_> = filled.map(|(name, ms)| format!("{name} {ms:.1}")).collect();
                format!("  {} {}: {}", stack.group, stack.label, parts.join(", "))
            })),
        }
    }
    lines.extend(figure.notes.iter().map(|note| format!("note: {note}")));
    lines.join("\n")
}

fn series_line(series: &LineSeries) -> String {
    let points = series.points.iter().map(|p| {
        let hollow = if p.hollow { " hollow" } else { "" };
        format!("{}: {:.2} [{:.2}, {:.2}]{hollow}", p.x, p.y, p.low, p.high)
    });
    format!(
        "  {}: {}",
        series.name,
        points.collect::<Vec<_>>().join("; ")
    )
}

fn guide_line(guide: &Guide) -> String {
    let points = guide.points.iter().map(|(x, y)| format!("{x}: {y:.1}"));
    let points: Vec<_> = points.collect();
    format!("  {} ({:?}): {}", guide.name, guide.dash, points.join("; "))
}

#[test]
fn throughput_has_an_ideal_line_and_the_ceiling_of_the_pipeline() {
    insta::assert_snapshot!(outline(&figure(&seed_rows(6), ChartKind::Scaling)), @"
    cifar_scaling: throughput over replicas
    test-machine · n = 6 · median, bars: its 95 % interval
    examples per second, all replicas over replicas (weak scaling: local batch fixed), Numbers([1.0, 2.0, 4.0, 8.0])
      input on device: 1: 1750.49 [1736.52, 1764.47]; 2: 3362.71 [3335.86, 3389.56]; 4: 4768.52 [4730.45, 4806.59]; 8: 5127.23 [5086.30, 5168.17]
      input on host: 1: 6488.95 [6437.14, 6540.76]; 2: 7075.12 [7018.63, 7131.61]; 4: 7142.26 [7085.23, 7199.28]; 8: 7138.25 [7081.26, 7195.24]
      ideal for input on host (Dashed): 1: 6489.0; 2: 12977.9; 4: 25955.8; 8: 51911.6
      pipeline alone, input on host (Dotted): 1: 7144.3; 2: 7144.3; 4: 7144.3; 8: 7144.3
    ");
}

#[test]
fn a_ceiling_far_above_all_points_is_noted_instead() {
    let mut rows = RowBuilder::cifar10(1).rate(250.0).repeats(1);
    rows.extend(RowBuilder::pipeline_only(5200.0).repeats(1));
    insta::assert_snapshot!(outline(&figure(&rows, ChartKind::Scaling)), @"
    cifar_scaling: throughput over replicas
    test-machine · n = 1 · one repeat of each cell, no interval
    examples per second, all replicas over replicas (weak scaling: local batch fixed), Numbers([1.0])
      input on host: 1: 251.00 [251.00, 251.00]
    note: above the chart: pipeline alone, input on host, 5 221 examples/s
    ");
}

#[test]
fn speedup_and_efficiency_are_two_pictures() {
    insta::assert_snapshot!(outline(&figure(&seed_rows(6), ChartKind::Speedup)), @"
    cifar_scaling: speedup over replicas
    test-machine · n = 6 · median, bars: its 95 % interval
    speedup (times the baseline) over replicas (weak scaling: local batch fixed), Numbers([1.0, 2.0, 4.0, 8.0])
      input on device: 1: 1.00 [1.00, 1.00]; 2: 1.92 [1.92, 1.92]; 4: 2.72 [2.72, 2.72]; 8: 2.93 [2.93, 2.93]
      input on host: 1: 1.00 [1.00, 1.00]; 2: 1.09 [1.09, 1.09]; 4: 1.10 [1.10, 1.10]; 8: 1.10 [1.10, 1.10]
      ideal (Dashed): 1: 1.0; 2: 2.0; 4: 4.0; 8: 8.0
    note: baseline of each series: its cell with 1 replica · best single device: 1 device, input on host
    ");
    insta::assert_snapshot!(outline(&figure(&seed_rows(6), ChartKind::Efficiency)), @"
    cifar_scaling: efficiency over replicas
    test-machine · n = 6 · median, bars: its 95 % interval
    efficiency (%) over replicas (weak scaling: local batch fixed), Numbers([1.0, 2.0, 4.0, 8.0])
      input on device: 1: 100.00 [100.00, 100.00]; 2: 96.05 [96.05, 96.05]; 4: 68.10 [68.10, 68.10]; 8: 36.61 [36.61, 36.61]
      input on host: 1: 100.00 [100.00, 100.00]; 2: 54.52 [54.52, 54.52]; 4: 27.52 [27.52, 27.52]; 8: 13.75 [13.75, 13.75]
      ideal (Dashed): 1: 100.0; 2: 100.0; 4: 100.0; 8: 100.0
    note: baseline of each series: its cell with 1 replica · best single device: 1 device, input on host
    ");
}

#[test]
fn over_words_only_speedup_is_drawn_and_its_baseline_is_named() {
    let rows = ["input on host", "no input"].map(|l| RowBuilder::cifar10(1).input(l).repeats(1));
    let mut spec = chart(ChartKind::Speedup);
    (spec.x, spec.series) = ("input".into(), None);
    let figure = build(&Summary::of(&rows.concat()), &cifar_story(), &spec).unwrap();
    insta::assert_snapshot!(outline(&figure), @r#"
    cifar_scaling: speedup over input
    test-machine · n = 1 · one repeat of each cell, no interval
    speedup (times the baseline) over input, Words(["input on host", "no input"])
      : 0: 1.00 [1.00, 1.00]; 1: 1.00 [1.00, 1.00]
    note: baseline of each series: 1 device, input on host · best single device: 1 device, no input
    "#);
}

#[test]
fn a_baseline_of_another_series_is_named() {
    let mut spec = chart(ChartKind::Speedup);
    spec.baseline = vec![
        ("devices.per_worker".into(), "1".into()),
        ("input".into(), "input on host".into()),
    ];
    let figure = build(&Summary::of(&seed_rows(6)), &cifar_story(), &spec).unwrap();
    insta::assert_snapshot!(figure.notes.join("\n"), @"baseline of each series: 1 device, input on host · best single device: 1 device, input on host");
}

#[test]
fn phases_are_milliseconds_of_a_step() {
    insta::assert_snapshot!(outline(&figure(&seed_rows(6), ChartKind::Phases)), @"
    cifar_scaling: where a step goes
    test-machine · n = 6 · mean over replicas and repeats
    milliseconds per step over replicas (weak scaling: local batch fixed), Numbers([1.0, 2.0, 4.0, 8.0])
      input on device 1: distort 57.0, forward 6.4, backward 9.7
      input on device 2: distort 60.1, forward 6.4, backward 9.6
      input on device 4: distort 91.3, forward 6.4, backward 9.7
      input on device 8: distort 181.7, forward 7.2, backward 10.8
      input on host 1: input wait 2.0, forward 7.1, backward 10.7
      input on host 2: input wait 19.5, forward 6.7, backward 10.0
      input on host 4: input wait 55.2, forward 6.6, backward 9.9
      input on host 8: input wait 126.2, forward 6.9, backward 10.3
    ");
}

#[test]
fn many_narrow_bars_are_named_below_the_picture() {
    let notes = |networks: &[&str]| {
        let summary = Summary::of(&flavour_rows(2, &FLAVOURS, networks));
        let spec = ChartStory {
            x: "build.flavour".into(),
            series: Some("network".into()),
            ..chart(ChartKind::Phases)
        };
        let figure = build(&summary, &flavour_story("here"), &spec).unwrap();
        let named = |note: &&String| note.starts_with("bars of a group");
        figure.notes.iter().find(named).cloned()
    };
    insta::assert_snapshot!(notes(&NETWORKS).unwrap(), @"bars of a group, from the left: plain, native, avx512, native-lto, checked");
    assert_eq!(notes(&NETWORKS[..1]), None);
}

#[test]
fn elapsed_time_is_ideally_flat_or_inverse() {
    let weak = [1, 2].map(|r| {
        RowBuilder::cifar10(r)
            .rate(1000.0 * f64::from(r))
            .repeats(2)
    });
    insta::assert_snapshot!(outline(&figure(&weak.concat(), ChartKind::Elapsed)), @"
    cifar_scaling: elapsed time over replicas
    test-machine · n = 2 · median, bars: lowest and highest repeat (too few for an interval)
    seconds for all measured steps, start and prefill apart over replicas (weak scaling: local batch fixed), Numbers([1.0, 2.0])
      input on host: 1: 12.81 [12.75, 12.88]; 2: 12.81 [12.75, 12.88]
      ideal: flat (Dashed): 1: 12.8; 2: 12.8
    ");
    let strong = [1, 2].map(|r| RowBuilder::cifar10(r).strong(128).rate(1000.0).repeats(2));
    insta::assert_snapshot!(outline(&figure(&strong.concat(), ChartKind::Elapsed)), @"
    cifar_scaling: elapsed time over replicas
    test-machine · n = 2 · median, bars: lowest and highest repeat (too few for an interval)
    seconds for all measured steps, start and prefill apart over replicas (strong scaling: global batch fixed), Numbers([1.0, 2.0])
      input on host: 1: 12.81 [12.75, 12.88]; 2: 12.81 [12.75, 12.88]
      ideal: inverse (Dashed): 1: 12.8; 2: 6.4
    ");
}

#[test]
fn marks_are_hollow_and_absent_cells_are_noted() {
    insta::assert_snapshot!(outline(&figure(&partial_rows(), ChartKind::Scaling)), @"
    cifar_scaling: throughput over replicas
    test-machine · n = 3 · median, bars: lowest and highest repeat (too few for an interval)
    examples per second, all replicas over replicas (weak scaling: local batch fixed), Numbers([1.0, 2.0, 4.0])
      input on host: 1: 251.00 [248.50, 252.50]; 2: 481.92 [477.12, 484.80]; 4: 491.96 [487.06, 494.90] hollow
      ideal (Dashed): 1: 251.0; 2: 502.0; 4: 1004.0
    note: hollow: oversubscribed
    note: skipped (8 devices of 1 thread need 8 cores, 2 are here): 8 devices, input on host
    note: skipped (9 devices of 1 thread need 9 cores, 2 are here): 9 devices, input on host
    note: skipped (10 devices of 1 thread need 10 cores, 2 are here): 10 devices, input on host
    note: skipped (11 devices of 1 thread need 11 cores, 2 are here): 11 devices, input on host
    note: skipped (12 devices of 1 thread need 12 cores, 2 are here): 12 devices, input on host
    note: skipped (13 devices of 1 thread need 13 cores, 2 are here): 13 devices, input on host
    note: and 2 more
    ");
}

#[test]
fn a_figure_without_data_is_refused_with_the_reason() {
    let rows = RowBuilder::cifar10(1).skipped("no GPU is here", 1);
    let none = build(
        &Summary::of(&rows),
        &cifar_story(),
        &chart(ChartKind::Scaling),
    )
    .unwrap_err();
    insta::assert_snapshot!(none, @"no completed cell: skipped (no GPU is here): 1 device, input on host");
    let none = build(
        &Summary::default(),
        &cifar_story(),
        &chart(ChartKind::Phases),
    )
    .unwrap_err();
    insta::assert_snapshot!(none, @"no completed cell: there are no rows");
}

/// Three repeats, one cell oversubscribed, many skipped for reasons of their own.
fn partial_rows() -> Vec<RepeatRow> {
    let mut rows = RowBuilder::cifar10(1).rate(250.0).repeats(3);
    rows.extend(RowBuilder::cifar10(2).rate(480.0).repeats(3));
    let four = RowBuilder::cifar10(4)
        .rate(490.0)
        .mark(Mark::Oversubscribed);
    rows.extend(four.phase(Phase::Exchange, 0.04).repeats(3));
    for replicas in 8..16 {
        let reason = format!("{replicas} devices of 1 thread need {replicas} cores, 2 are here");
        rows.extend(RowBuilder::cifar10(replicas).skipped(&reason, 1));
    }
    rows
}

#[test]
fn a_twin_is_no_point_but_the_band_of_its_floor() {
    let mut rows = RowBuilder::cifar10(1).rate(1000.0).repeats(6);
    let twin = RowBuilder::cifar10(1).twin_of(&rows[0]).rate(980.0);
    rows.extend(twin.repeats(6));
    rows.extend(RowBuilder::cifar10(2).rate(1500.0).repeats(6));
    let panel = |kind| {
        let outline = outline(&figure(&rows, kind));
        let lines = outline.lines().filter(|line| line.starts_with("  "));
        lines.map(str::trim).collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!(panel(ChartKind::Scaling), @"
    input on host: 1: 1002.00 [994.00, 1010.00]; 2: 1503.00 [1491.00, 1515.00]
    ideal (Dashed): 1: 1002.0; 2: 2004.0
    noise floor ± 2.0 % of 1 device, input on host: [981.96, 1022.04]
    ");
    insta::assert_snapshot!(panel(ChartKind::Speedup), @"
    input on host: 1: 1.00 [1.00, 1.00]; 2: 1.50 [1.50, 1.50]
    ideal (Dashed): 1: 1.0; 2: 2.0
    noise floor ± 2.0 %: [0.98, 1.02]
    ");
    insta::assert_snapshot!(panel(ChartKind::Efficiency), @"
    input on host: 1: 100.00 [100.00, 100.00]; 2: 75.00 [75.00, 75.00]
    ideal (Dashed): 1: 100.0; 2: 100.0
    noise floor ± 2.0 %: [98.00, 102.00]
    ");
    insta::assert_snapshot!(panel(ChartKind::Elapsed), @"
    input on host: 1: 12.77 [12.67, 12.88]; 2: 17.03 [16.90, 17.17]
    ideal: flat (Dashed): 1: 12.8; 2: 12.8
    noise floor ± 2.0 % of 1 device, input on host: [12.51, 13.04]
    ");
}
