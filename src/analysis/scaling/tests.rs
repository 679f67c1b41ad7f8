use super::*;
use crate::analysis::sample_rows::{RowBuilder, cifar_story, seed_rows};
use crate::terms::ChartKind;

fn chart(x: &str, series: Option<&str>) -> ChartStory {
    ChartStory {
        kind: ChartKind::Scaling,
        x: x.into(),
        series: series.map(String::from),
        baseline: Vec::new(),
    }
}

fn outline(view: &View) -> Vec<String> {
    let line = |series: &Series| {
        let xs: Vec<_> = series
            .points
            .iter()
            .map(|point| point.x.to_string())
            .collect();
        let base = series.baseline.map_or("-", |cell| cell.label.as_str());
        format!("{}: {} (over {base})", series.title(), xs.join(" "))
    };
    view.series.iter().map(line).collect()
}

#[test]
fn series_stand_in_declared_order_and_the_null_model_beside_them() {
    let summary = Summary::of(&seed_rows(6));
    let view = arrange(&summary, &cifar_story(), &chart("replicas", Some("input"))).unwrap();
    assert_eq!(
        outline(&view),
        [
            "input on device: 1 2 4 8 (over 1 device, input on device)",
            "input on host: 1 2 4 8 (over 1 device, input on host)",
        ]
    );
    assert_eq!(view.pipelines.len(), 1);
    assert_eq!(view.convention, Convention::Weak);
}

#[test]
fn the_null_model_is_a_series_where_nothing_else_is() {
    let rows = RowBuilder::pipeline_only(100.0).repeats(1);
    let summary = Summary::of(&rows);
    let view = arrange(&summary, &Story::default(), &chart("replicas", None)).unwrap();
    assert_eq!((view.series.len(), view.pipelines.len()), (1, 0));
}

#[test]
fn an_axis_that_nothing_shows_splits_the_series() {
    let mut story = cifar_story();
    story.axes.push(AxisStory {
        name: "devices.threads".into(),
        settings: vec!["devices.threads".into()],
        labels: vec!["1".into(), "2".into()],
    });
    let mut rows = RowBuilder::cifar10(1)
        .set("devices.threads", "2")
        .repeats(1);
    rows.extend(
        RowBuilder::cifar10(1)
            .set("devices.threads", "1")
            .repeats(1),
    );
    let summary = Summary::of(&rows);
    let view = arrange(&summary, &story, &chart("replicas", Some("input"))).unwrap();
    let names: Vec<_> = view.series.iter().map(|series| series.title()).collect();
    assert_eq!(
        names,
        ["input on host, threads 1", "input on host, threads 2"]
    );
}

#[test]
fn words_along_the_axis_keep_their_declared_order() {
    let mut rows = RowBuilder::cifar10(1).input("no input").repeats(1);
    rows.extend(RowBuilder::cifar10(1).input("input on device").repeats(1));
    let summary = Summary::of(&rows);
    let view = arrange(&summary, &cifar_story(), &chart("input", None)).unwrap();
    let words = view.categories.clone().unwrap();
    assert_eq!(words, ["input on device", "no input"]);
    assert_eq!(
        outline(&view),
        ["all cells: 0 1 (over 1 device, input on device)"]
    );
}

#[test]
fn a_named_baseline_is_taken_from_the_series_first() {
    let summary = Summary::of(&seed_rows(2));
    let mut chart = chart("replicas", Some("input"));
    chart.baseline = vec![("devices.per_worker".into(), "2".into())];
    let view = arrange(&summary, &cifar_story(), &chart).unwrap();
    assert_eq!(
        view.series[1].baseline.unwrap().label,
        "2 devices, input on host"
    );
}

#[test]
fn weak_and_strong_scaling_do_not_share_a_chart() {
    let mut rows = RowBuilder::cifar10(1).repeats(1);
    rows.extend(
        RowBuilder::cifar10(2)
            .strong(128)
            .label("strong one")
            .repeats(1),
    );
    let summary = Summary::of(&rows);
    let error = arrange(&summary, &cifar_story(), &chart("replicas", None)).unwrap_err();
    insta::assert_snapshot!(error, @"cells of weak and of strong scaling cannot share a chart: `1 device, input on host` fixes the local batch, `strong one` the global batch; declare them in two experiments");
}
