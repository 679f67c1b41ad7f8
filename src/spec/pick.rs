//! `[[sweep.cases]]` and `[[exclude]]`: cells beside the product, and cells that are left out. In:
//! layers and checked axes. Out: cases, and pairs that pick cells, as a chart's `baseline` has them too.

use super::check::text;
use super::document::{Entry, Group};
use super::error::{Problem, Report};
use super::layers::{Layers, convert};
use super::settings::{SETTINGS, SettingId, Value, one_of};
use super::sweep::{Varied, sweepable};
use super::value::{Raw, describe};
use super::{Case, Place, Selector};

/// Cells beside the product. The topmost layer that has some counts.
pub(super) fn cases(layers: &Layers, report: &mut Report) -> Vec<(Case, Vec<Place>)> {
    let groups = layers.last(|document| &document.cases);
    groups
        .iter()
        .filter_map(|group| case(group, report))
        .collect()
}

fn case(group: &Group, report: &mut Report) -> Option<(Case, Vec<Place>)> {
    let (mut label, mut settings, mut places) = (None, Vec::new(), vec![group.place]);
    for entry in &group.entries {
        if entry.key == "label" {
            label = text(entry, report);
        } else if let Some(id) = sweepable(entry, report) {
            let value = convert(id, entry.place, &entry.value, &entry.source, report)?;
            settings.push((id, value));
            places.push(entry.key_place);
        }
    }
    let sets = |id| settings.iter().any(|(setting, _)| *setting == id);
    if sets(SettingId::LOCAL_BATCH) && sets(SettingId::GLOBAL_BATCH) {
        let title = "`model.local_batch` and `model.global_batch` are both set";
        report.push(Problem::at(group.place, title).label("set only one"));
    }
    let words = settings.iter().map(|(id, value)| id.setting().say(value));
    let label = label.unwrap_or_else(|| words.collect::<Vec<_>>().join(", "));
    let source = group.source.clone();
    Some((
        Case {
            label,
            settings,
            source,
        },
        places,
    ))
}

/// What `[[exclude]]` tables match on.
pub(super) fn excludes(
    layers: &Layers,
    axes: &[Varied],
    report: &mut Report,
) -> Vec<(Vec<(Selector, Value)>, Place)> {
    let groups = layers.last(|document| &document.excludes);
    let exclude = |group: &Group| {
        let pairs = group
            .entries
            .iter()
            .map(|entry| selector(entry, &entry.key, axes, report));
        let pairs: Option<Vec<_>> = pairs.collect();
        report.doubtful |= pairs.is_none();
        if group.entries.is_empty() {
            let problem = Problem::at(group.place, "an empty exclude would drop every cell");
            report.push(problem.help("name what to drop: devices.per_worker = 8"));
        }
        Some((pairs?, group.place))
    };
    groups.iter().filter_map(exclude).collect()
}

/// A pair of `[[exclude]]` or `baseline`: a setting and its value, or a zip and a label of it.
pub(super) fn selector(
    entry: &Entry,
    key: &str,
    axes: &[Varied],
    report: &mut Report,
) -> Option<(Selector, Value)> {
    let zips = || {
        axes.iter()
            .filter(|varied| varied.zip)
            .map(|varied| &varied.axis)
    };
    if let Some(id) = SettingId::of(key) {
        let value = convert(id, entry.place, &entry.value, &entry.source, report)?;
        return Some((Selector::Setting(id), value));
    }
    let Some(zip) = zips().find(|axis| axis.name == key) else {
        let names = zips().map(|axis| axis.name.as_str());
        let known = SETTINGS.iter().map(|setting| setting.key).chain(names);
        let title = format!("`{key}` is neither a setting nor a zip of this file");
        let help = "a key is a setting such as devices.per_worker, or the name of a [[sweep.zip]]";
        let problem = Problem::at(entry.key_place, title).nearest(key, known);
        report.push(problem.help(help));
        return None;
    };
    let labels: Vec<_> = zip.labels.iter().map(String::as_str).collect();
    match &entry.value {
        Raw::Text(label) if labels.contains(&label.as_str()) => Some((
            Selector::Label(zip.name.clone()),
            Value::Text(label.as_str().into()),
        )),
        other => {
            let title = format!("the zip `{key}` has no row with {}", describe(other));
            let problem = Problem::at(entry.place, title);
            report.push(problem.help(format!("its labels are {}", one_of(&labels))));
            None
        }
    }
}
