//! `[sweep]`: what varies. In: layers. Out: checked axes in order, plain ones before zips; nothing
//! is expanded here.

use super::check::{is_name, text};
use super::document::{Entry, Group};
use super::error::{Problem, Report};
use super::layers::{Checked, Layers, convert, decisive, known};
use super::settings::{Role, SETTINGS, SettingId, Value};
use super::value::{Raw, describe};
use super::{Axis, Place};
use std::collections::HashSet;
use toml::Spanned;

/// Names of columns that a zip cannot take.
const TAKEN: [&str; 9] = [
    "run", "cell", "repeat", "block", "position", "label", "outcome", "reason", "replicas",
];

/// An axis with the places of its settings, and its layer.
#[derive(Clone, Debug)]
pub(super) struct Varied {
    pub axis: Axis,
    pub places: Vec<Place>,
    pub layer: usize,
    pub zip: bool,
}

impl Varied {
    /// Layer and place of a setting that this axis varies.
    pub fn of(&self, id: SettingId) -> Option<(usize, Place)> {
        let column = self
            .axis
            .settings
            .iter()
            .position(|setting| *setting == id)?;
        Some((self.layer, self.places[column]))
    }
}

impl Axis {
    /// Whether its rows have labels of their own, under its name.
    pub fn is_zip(&self) -> bool {
        self.settings.len() != 1 || self.name != self.settings[0].key()
    }
}

/// The axes of all layers: an axis of an upper layer takes the place of the lower one.
pub(super) fn axes(layers: &Layers, report: &mut Report) -> Vec<Varied> {
    let (mut plain, mut zips): (Vec<Varied>, Vec<Varied>) = Default::default();
    for (layer, document) in layers.documents.iter().enumerate() {
        for entry in &document.axes {
            put(&mut plain, axis(entry, layer, report));
        }
        for group in &document.zips {
            put(&mut zips, zip(group, layer, report));
        }
    }
    plain.append(&mut zips);
    plain
}

fn put(axes: &mut Vec<Varied>, varied: Option<Varied>) {
    let Some(varied) = varied else { return };
    match axes
        .iter_mut()
        .find(|other| other.axis.name == varied.axis.name)
    {
        Some(lower) if lower.layer < varied.layer => *lower = varied,
        _ => axes.push(varied),
    }
}

/// A plain axis.
fn axis(entry: &Entry, layer: usize, report: &mut Report) -> Option<Varied> {
    let id = sweepable(entry, report)?;
    if id.setting().role == Role::Bound {
        let title = format!(
            "an axis over `{}` alone measures one thing many times",
            entry.key
        );
        report.push(Problem::at(entry.key_place, title).help("make it a column of a zip"));
        return None;
    }
    let values = column(id, entry, report)?;
    let labels = values.iter().map(Value::to_string).collect();
    let axis = Axis {
        name: entry.key.clone(),
        settings: vec![id],
        rows: values.into_iter().map(|value| vec![value]).collect(),
        labels,
        source: entry.source.clone(),
    };
    let varied = Varied {
        axis,
        places: vec![entry.key_place],
        layer,
        zip: false,
    };
    distinct(&varied, entry, report);
    Some(varied)
}

/// The setting of an entry that may differ between cells.
pub(super) fn sweepable(entry: &Entry, report: &mut Report) -> Option<SettingId> {
    let id = known(entry, report)?;
    if id.setting().role == Role::Campaign {
        report.push(
            Problem::at(
                entry.key_place,
                format!("`{}` is the same for all cells", entry.key),
            )
            .help("set it in [measure]"),
        );
        return None;
    }
    Some(id)
}

/// The values of an axis, or of a column of a zip.
fn column(id: SettingId, entry: &Entry, report: &mut Report) -> Option<Vec<Value>> {
    let Raw::List(items) = &entry.value else {
        report.doubtful |= decisive(id);
        let title = format!(
            "an axis needs a list of values, not {}",
            describe(&entry.value)
        );
        let section = entry.key.split('.').next().unwrap_or_default();
        let help = format!(
            "write {} = [VALUE, VALUE], or set it in [{section}]",
            entry.key
        );
        report.push(Problem::at(entry.place, title).help(help));
        return None;
    };
    if items.is_empty() {
        report.doubtful |= decisive(id);
        let title = format!("the axis `{}` has no values", entry.key);
        report.push(Problem::at(entry.place, title).help("give it values, or remove the line"));
        return None;
    }
    let value = |item: &Spanned<Raw>, report: &mut Report| {
        let place = entry.place.span(&report.texts, item.span());
        convert(id, place, item.get_ref(), &entry.source, report)
    };
    let values: Vec<_> = items.iter().map(|item| value(item, report)).collect();
    values.into_iter().collect()
}

/// Reports rows that an axis has twice.
fn distinct(varied: &Varied, entry: &Entry, report: &mut Report) {
    let mut seen = HashSet::new();
    for (row, label) in varied.axis.rows.iter().zip(&varied.axis.labels) {
        if !seen.insert(format!("{row:?}")) {
            let title = format!("the axis `{}` has {label} twice", varied.axis.name);
            report
                .push(Problem::at(entry.place, title).help("a value is measured once: remove one"));
        }
    }
}

/// One axis of rows.
fn zip(group: &Group, layer: usize, report: &mut Report) -> Option<Varied> {
    let mut names = group.entries.iter().filter(|entry| entry.key == "name");
    let name = names.next().and_then(|entry| zip_name(entry, report));
    if group.entries.iter().all(|entry| entry.key != "name") {
        let problem = Problem::at(group.place, "a zip has no `name`");
        report.push(problem.help("its name is a column of the table: name = \"input\""));
    }
    let entries = || {
        group
            .entries
            .iter()
            .filter(|e| e.key != "name" && e.key != "labels")
    };
    let mut columns = Vec::new();
    for entry in entries() {
        let id = sweepable(entry, report)?;
        columns.push((id, entry, column(id, entry, report)?));
    }
    let length = lengths(group, &columns, report)?;
    let rows: Vec<Vec<Value>> = (0..length)
        .map(|row| {
            columns
                .iter()
                .map(|(_, _, values)| values[row].clone())
                .collect()
        })
        .collect();
    let labels = labels(group, &rows, report)?;
    let axis = Axis {
        name: name?,
        settings: columns.iter().map(|(id, ..)| *id).collect(),
        rows,
        labels,
        source: group.source.clone(),
    };
    let places = columns
        .iter()
        .map(|(_, entry, _)| entry.key_place)
        .collect();
    let varied = Varied {
        axis,
        places,
        layer,
        zip: true,
    };
    distinct(&varied, columns[0].1, report);
    Some(varied)
}

fn zip_name(entry: &Entry, report: &mut Report) -> Option<String> {
    let name = text(entry, report)?;
    if is_name(&name) && !TAKEN.contains(&name.as_str()) {
        return Some(name);
    }
    let title = format!("`{}` cannot be the name of a zip", name.escape_debug());
    let help = "it is a column of the table: a-z, 0-9, _ and -, and not one of";
    report.push(Problem::at(entry.place, title).help(format!("{help} {}", TAKEN.join(", "))));
    None
}

type Column<'a> = (SettingId, &'a Entry, Vec<Value>);

/// How many rows a zip has; all its columns are as long.
fn lengths(group: &Group, columns: &[Column], report: &mut Report) -> Option<usize> {
    let Some((_, first, values)) = columns.first() else {
        report.doubtful = true;
        let problem = Problem::at(group.place, "a zip varies no setting");
        report.push(problem.help("add a list for each: input.placement = [\"device\", \"host\"]"));
        return None;
    };
    let mut equal = true;
    for (_, entry, other) in columns
        .iter()
        .filter(|column| column.2.len() != values.len())
    {
        equal = false;
        report.doubtful = true;
        let title = format!(
            "columns of a zip are as long: `{}` has {}",
            entry.key,
            other.len()
        );
        let label = format!("`{}` has {}", first.key, values.len());
        report.push(Problem::at(entry.place, title).label(label));
    }
    equal.then_some(values.len())
}

/// The labels of a zip's rows: its own, or its values.
fn labels(group: &Group, rows: &[Vec<Value>], report: &mut Report) -> Option<Vec<String>> {
    let joined = |row: &Vec<Value>| {
        let values: Vec<_> = row.iter().map(Value::to_string).collect();
        values.join(", ")
    };
    let Some(entry) = group.entries.iter().find(|entry| entry.key == "labels") else {
        return Some(rows.iter().map(joined).collect());
    };
    let label = |item: &Spanned<Raw>| match item.get_ref() {
        Raw::Text(label) if !label.trim().is_empty() => Some(label.clone()),
        _ => None,
    };
    let labels: Option<Vec<String>> = match &entry.value {
        Raw::List(items) => items.iter().map(label).collect(),
        _ => None,
    };
    let distinct = |labels: &[String]| labels.iter().collect::<HashSet<_>>().len() == labels.len();
    match labels {
        Some(labels) if labels.len() == rows.len() && distinct(&labels) => Some(labels),
        labels => {
            let found = labels.map_or("other things".into(), |l| format!("{} texts", l.len()));
            let title = format!(
                "a zip of {} rows needs as many different labels",
                rows.len()
            );
            report.push(Problem::at(entry.place, title).label(format!("found {found}")));
            None
        }
    }
}

/// Ends axes over which an upper layer has set one value, and reports settings that are varied twice.
pub(super) fn settle(base: &[Option<Checked>], axes: &mut Vec<Varied>, report: &mut Report) {
    let above = |varied: &Varied, id: SettingId| {
        let plain = base[id.index()].as_ref()?;
        (plain.layer > varied.layer).then_some(plain.place)
    };
    axes.retain(|varied| varied.zip || above(varied, varied.axis.settings[0]).is_none());
    let mut owners: Vec<Option<String>> = vec![None; SETTINGS.len()];
    for varied in axes.iter() {
        for (id, place) in varied.axis.settings.iter().zip(&varied.places) {
            if let Some(place) = above(varied, *id) {
                let title = format!(
                    "`{}` is a column of the zip `{}`",
                    id.key(),
                    varied.axis.name
                );
                let help = format!("choose rows instead: --only {}=LABEL", varied.axis.name);
                report.push(Problem::at(place, title).help(help));
            }
            match &owners[id.index()] {
                Some(owner) => {
                    let title = format!("`{}` is varied twice", id.key());
                    let label = format!("the axis `{owner}` varies it too");
                    report.push(Problem::at(*place, title).label(label));
                }
                None => owners[id.index()] = Some(varied.axis.name.clone()),
            }
        }
    }
}
