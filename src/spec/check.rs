//! From layers to an [`Experiment`]. Reports every problem that can be seen without expanding the
//! sweep, and returns what could be read in spite of them.

use super::compare::{Sweep, comparisons};
use super::document::Entry;
use super::error::{Problem, Report, Texts};
use super::layers::{Checked, Layers};
use super::settings::{SettingId, Value};
use super::sweep::{self, Varied};
use super::value::{Raw, describe};
use super::{Declared, Experiment, Origin, Source, chart, flavour, pick};
use std::path::Path;

/// The version of the file format that this program reads.
pub(super) const SCHEMA: u64 = 1;

/// The experiment of a file, as far as it could be read.
pub(super) fn experiment(path: &Path, layers: &Layers, report: &mut Report) -> Experiment {
    report.doubtful |= layers.documents.iter().any(|document| document.broken);
    let mut base = layers.settings(report);
    let mut axes = sweep::axes(layers, report);
    sweep::settle(&base, &mut axes, report);
    one_batch(&mut base, &mut axes, report);
    let cases = pick::cases(layers, report);
    let sound = report.is_empty();
    let excludes = pick::excludes(layers, &axes, report);
    let charts = chart::charts(layers, &axes, report);
    let flavours = flavour::flavours(path, layers, report);
    flavour::references(&flavours, &base, &axes, &cases, report);
    let (name, question) = header(path, layers, report);
    let before = Before::of(layers, &report.texts);
    let sweep = Sweep {
        base: &base,
        axes: &axes,
        cases: &cases,
    };
    let of_files = Sweep {
        base: &before.base,
        axes: &before.axes,
        ..sweep
    };
    // What could not be read may be the very axis that is compared over.
    let comparisons = comparisons(layers, sweep, sound.then_some(of_files), report);
    let changes = changes(&before, &base, &axes);
    let overridden = !changes.is_empty();
    let origin = Origin {
        texts: report.texts.clone(),
        base: base.iter().map(|b| b.as_ref().map(|b| b.place)).collect(),
        axes: axes.iter().map(|varied| varied.places.clone()).collect(),
        cases: cases.iter().map(|(_, places)| places.clone()).collect(),
        excludes: excludes.iter().map(|(_, place)| *place).collect(),
        charts: charts.iter().map(|(_, place)| *place).collect(),
        moot: comparisons.moot,
        changes,
    };
    Experiment {
        name,
        question,
        path: path.into(),
        base: base.into_iter().map(declared).collect(),
        axes: axes.into_iter().map(|varied| varied.axis).collect(),
        cases: cases.into_iter().map(|(case, _)| case).collect(),
        excludes: excludes.into_iter().map(|(pairs, _)| pairs).collect(),
        charts: charts.into_iter().map(|(chart, _)| chart).collect(),
        comparisons: comparisons.made,
        flavours,
        overridden,
        origin,
    }
}

fn declared(checked: Option<Checked>) -> Declared {
    match checked {
        Some(checked) => Declared {
            value: Some(checked.value),
            source: checked.source,
        },
        None => Declared {
            value: None,
            source: Source::Default,
        },
    }
}

/// Local and global batch are two ways to say one thing: the upper layer counts, and in one layer
/// both are a contradiction.
fn one_batch(base: &mut [Option<Checked>], axes: &mut Vec<Varied>, report: &mut Report) {
    let ids = [SettingId::LOCAL_BATCH, SettingId::GLOBAL_BATCH];
    let [local, global] = ids.map(|id| {
        let plain = base[id.index()]
            .iter()
            .map(|checked| (checked.layer, checked.place));
        let swept = axes.iter().filter_map(|varied| varied.of(id));
        plain.chain(swept).max()
    });
    let (Some((local_layer, _)), Some((global_layer, place))) = (local, global) else {
        return;
    };
    if local_layer == global_layer {
        report.doubtful = true;
        report.push(
            Problem::at(place, "`model.local_batch` and `model.global_batch` are both set")
                .label("set only one")
                .help("local_batch keeps the work of a replica (weak scaling), global_batch that of a step (strong scaling)"),
        );
    } else {
        let lower = ids[usize::from(local_layer > global_layer)];
        base[lower.index()] = None;
        axes.retain(|varied| varied.axis.settings != [lower]);
    }
}

/// What the files alone give, without flags and the environment.
struct Before {
    base: Vec<Option<Checked>>,
    axes: Vec<Varied>,
}

impl Before {
    fn of(layers: &Layers, texts: &Texts) -> Before {
        let files = layers.files();
        // Their problems are reported already.
        let mut unheard = Report::new(texts.clone());
        let base = files.settings(&mut unheard);
        let mut axes = sweep::axes(&files, &mut unheard);
        sweep::settle(&base, &mut axes, &mut unheard);
        Before { base, axes }
    }
}

/// What flags and variables change of what the files alone would give: `key=value` for each.
fn changes(before: &Before, base: &[Option<Checked>], axes: &[Varied]) -> Vec<String> {
    let value = |checked: &Option<Checked>, id: SettingId| {
        let declared = checked.as_ref().map(|checked| checked.value.clone());
        declared.or_else(|| (id.setting().default)(model(base)))
    };
    let swept = |axes: &[Varied], id| axes.iter().any(|varied| varied.of(id).is_some());
    let plain = SettingId::all().filter_map(|id| {
        let now = value(&base[id.index()], id);
        let ended = swept(&before.axes, id) && !swept(axes, id);
        let changed = ended || now != value(&before.base[id.index()], id);
        changed.then(|| {
            format!(
                "{}={}",
                id.key(),
                now.map_or(String::new(), |v| v.to_string())
            )
        })
    });
    let rows = |varied: &&Varied| {
        !before
            .axes
            .iter()
            .any(|b| b.axis.rows == varied.axis.rows && b.axis.name == varied.axis.name)
    };
    let axis = |varied: &Varied| format!("{}={}", varied.axis.name, varied.axis.labels.join(","));
    plain.chain(axes.iter().filter(rows).map(axis)).collect()
}

fn model(base: &[Option<Checked>]) -> crate::terms::ModelName {
    match &base[SettingId::MODEL.index()] {
        Some(Checked {
            value: Value::Word(word),
            ..
        }) => word.parse().ok(),
        _ => None,
    }
    .unwrap_or(crate::terms::ModelName::Cifar10)
}

/// `schema`, `name` and `question`.
fn header(path: &Path, layers: &Layers, report: &mut Report) -> (String, String) {
    for document in &layers.documents {
        if let Some(entry) = document.header.iter().find(|entry| entry.key == "schema") {
            schema(entry, report);
        }
    }
    let main = &layers.documents[layers.main];
    let of_main = |key: &str| main.header.iter().find(|entry| entry.key == key);
    if of_main("schema").is_none() && !main.broken {
        report.push(
            Problem::about(main.start, "the file does not say its `schema`")
                .help(format!("write above everything else: schema = {SCHEMA}")),
        );
    }
    let name = of_main("name").and_then(|entry| name(entry, report));
    if of_main("name").is_none() && !main.broken {
        let stem = path.file_stem().map(|stem| slug(&stem.to_string_lossy()));
        report.push(
            Problem::about(main.start, "the experiment has no `name`")
                .help(format!("write: name = {:?}", stem.unwrap_or_default())),
        );
    }
    let questions = layers
        .documents
        .iter()
        .rev()
        .flat_map(|document| &document.header);
    let question = questions.into_iter().find(|entry| entry.key == "question");
    let question = question.and_then(|entry| text(entry, report));
    (name.unwrap_or_default(), question.unwrap_or_default())
}

fn schema(entry: &Entry, report: &mut Report) {
    let number = match &entry.value {
        Raw::Integer(number) => number.value,
        _ => None,
    };
    let problem = match number {
        Some(SCHEMA) => return,
        Some(newer) if newer > SCHEMA => {
            let title = format!("the file is written for a newer xrun: schema {newer}");
            Problem::at(entry.place, title)
                .label(format!("this xrun reads schema {SCHEMA}"))
                .help("update xrun")
        }
        _ => {
            let title = format!("`schema` cannot be {}", describe(&entry.value));
            Problem::at(entry.place, title).help(format!("write: schema = {SCHEMA}"))
        }
    };
    report.push(problem);
}

/// The text of an entry, or a problem.
pub(super) fn text(entry: &Entry, report: &mut Report) -> Option<String> {
    match &entry.value {
        Raw::Text(text) => Some(text.to_string()),
        other => {
            let title = format!("`{}` cannot be {}", entry.key, describe(other));
            report.push(Problem::at(entry.place, title).help("allowed: a text in quotes"));
            None
        }
    }
}

/// The experiment's name: it is also the name of folders, so it is no path.
fn name(entry: &Entry, report: &mut Report) -> Option<String> {
    let name = text(entry, report)?;
    if is_name(&name) {
        return Some(name);
    }
    let title = format!(
        "`{}` cannot be the name of an experiment",
        name.escape_debug()
    );
    let problem = Problem::at(entry.place, title)
        .help("results go to a folder of this name: 1 to 64 of a-z, 0-9, _ and -, a letter or digit first");
    report.push(match slug(&name).as_str() {
        "" => problem,
        near => problem.label(format!("write {near:?}?")),
    });
    None
}

/// Whether the text may name an experiment, an axis or a flavour.
pub(super) fn is_name(text: &str) -> bool {
    let first = text
        .chars()
        .next()
        .is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    first && text.len() <= 64 && text.chars().all(allowed_in_name)
}

fn allowed_in_name(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-'
}

/// The nearest text that may be a name.
fn slug(text: &str) -> String {
    let lower = text.to_lowercase();
    let kept = lower
        .chars()
        .map(|c| if allowed_in_name(c) { c } else { '_' });
    let kept: String = kept.take(64).collect();
    kept.trim_matches(['_', '-']).to_owned()
}
