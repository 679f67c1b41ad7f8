//! `[[chart]]`: what is drawn over what. In: layers and axes. Out: checked charts.

use super::check::text;
use super::document::{Entry, Group};
use super::error::{Problem, Report};
use super::layers::Layers;
use super::pick::selector;
use super::settings::{SETTINGS, SettingId, one_of, words};
use super::sweep::Varied;
use super::{ChartSpec, Place};
use crate::terms::ChartKind;

/// The charts of the topmost layer that has some.
pub(super) fn charts(
    layers: &Layers,
    axes: &[Varied],
    report: &mut Report,
) -> Vec<(ChartSpec, Place)> {
    let groups = layers.last(|document| &document.charts);
    groups
        .iter()
        .filter_map(|group| chart(group, axes, report))
        .collect()
}

fn chart(group: &Group, axes: &[Varied], report: &mut Report) -> Option<(ChartSpec, Place)> {
    let mut kind = None;
    let mut chart = ChartSpec {
        kind: ChartKind::Scaling,
        x: "replicas".into(),
        series: None,
        baseline: Vec::new(),
    };
    for entry in &group.entries {
        match (entry.key.as_str(), entry.key.strip_prefix("baseline.")) {
            ("kind", _) => kind = Some(chart_kind(entry, report)?),
            ("x", _) => chart.x = variable(entry, axes, &["replicas"], report)?,
            ("series", _) => chart.series = Some(variable(entry, axes, &[], report)?),
            (_, Some(key)) => chart.baseline.extend(selector(entry, key, axes, report)),
            (key, None) => report.push(
                Problem::at(entry.key_place, format!("a chart has no `{key}`"))
                    .nearest(key, ["kind", "x", "series", "baseline"])
                    .help("a chart has kind, x, series and baseline = { KEY = VALUE }"),
            ),
        }
    }
    let Some(kind) = kind else {
        let kinds = words::<ChartKind>();
        let problem = Problem::at(group.place, "a chart does not say its `kind`");
        report.push(problem.help(format!("allowed: {}", one_of(&kinds))));
        return None;
    };
    Some((ChartSpec { kind, ..chart }, group.place))
}

fn chart_kind(entry: &Entry, report: &mut Report) -> Option<ChartKind> {
    let kind = text(entry, report)?;
    let kinds = words::<ChartKind>();
    kind.parse()
        .map_err(|_| {
            report.push(
                Problem::at(
                    entry.place,
                    format!("there is no chart of the kind `{kind}`"),
                )
                .nearest(&kind, kinds.iter().copied())
                .help(format!("allowed: {}", one_of(&kinds))),
            );
        })
        .ok()
}

/// What a chart has on its x axis or as its series, or what a comparison is over.
pub(super) fn variable(
    entry: &Entry,
    axes: &[Varied],
    more: &[&str],
    report: &mut Report,
) -> Option<String> {
    let name = text(entry, report)?;
    let axes: Vec<_> = axes
        .iter()
        .map(|varied| varied.axis.name.as_str())
        .collect();
    if axes.contains(&name.as_str())
        || more.contains(&name.as_str())
        || SettingId::of(&name).is_some()
    {
        return Some(name);
    }
    let here: Vec<_> = axes.into_iter().chain(more.iter().copied()).collect();
    let settings = SETTINGS.iter().map(|setting| setting.key);
    report.push(
        Problem::at(entry.place, format!("`{name}` is no axis and no setting"))
            .nearest(&name, settings.chain(here.iter().copied()))
            .help(format!("this file varies {}", one_of(&here))),
    );
    None
}
