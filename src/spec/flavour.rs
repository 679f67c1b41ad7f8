//! `[flavours.NAME]`: ways to build the program. In: layers. Out: checked flavours, each with all
//! that it takes over from the one that it extends. Builds nothing.

use super::check::is_name;
use super::document::{Entry, Group};
use super::error::{Place, Problem, Report};
use super::layers::{Checked, Layers};
use super::settings::{SettingId, Value, one_of};
use super::sweep::Varied;
use super::value::{Raw, describe};
use super::{Case, Flavour};
use std::collections::BTreeMap;
use std::path::Path;
use toml::Spanned;

/// Flavours that every file has. The first one cannot be declared; a file may say what the other one is.
const BUILT_IN: [&str; 2] = ["default", "cuda"];

/// What a key of a flavour may be.
enum Shape {
    Text,
    Texts,
    Words(&'static [&'static str]),
    Number,
}

static KEYS: [(&str, Shape); 13] = [
    ("binary", Shape::Text),
    ("features", Shape::Texts),
    ("profile", Shape::Text),
    ("opt-level", Shape::Words(&["0", "1", "2", "3", "s", "z"])),
    (
        "lto",
        Shape::Words(&["true", "false", "off", "thin", "fat"]),
    ),
    ("codegen-units", Shape::Number),
    ("panic", Shape::Words(&["abort", "unwind"])),
    ("debug-assertions", Shape::Words(&["true", "false"])),
    ("target_cpu", Shape::Text),
    ("target_features", Shape::Texts),
    ("rustflags", Shape::Texts),
    ("cuda", Shape::Text),
    ("extends", Shape::Text),
];

/// The flavours of all layers; one of an upper layer replaces its namesake.
pub(super) fn flavours(path: &Path, layers: &Layers, report: &mut Report) -> Vec<Flavour> {
    let mut declared: Vec<(&Group, Definition)> = Vec::new();
    for group in layers
        .documents
        .iter()
        .flat_map(|document| &document.flavours)
    {
        let definition = definition(group, report);
        declared.retain(|(other, _)| other.name != group.name);
        declared.push((group, definition));
    }
    let resolved = declared.iter().map(|(group, _)| {
        let definition = inherit(group, &declared, report);
        let binary = definition.get("binary");
        Flavour {
            name: group.name.clone(),
            binary: binary.map(|binary| path.parent().unwrap_or(Path::new("")).join(binary)),
            definition: definition.into_iter().collect(),
        }
    });
    resolved.collect()
}

type Definition = BTreeMap<String, String>;

impl Flavour {
    /// The flavour `cuda`, which every file has.
    pub fn cuda() -> Self {
        Self {
            name: "cuda".to_owned(),
            binary: None,
            definition: vec![("cuda".to_owned(), "built-in".to_owned())],
        }
    }

    /// The text of a key.
    pub fn text(&self, key: &str) -> Option<&str> {
        let (_, text) = self.definition.iter().find(|(name, _)| name == key)?;
        Some(text)
    }

    /// The texts of a key that has a list of them; empty where it is not declared.
    pub fn texts(&self, key: &str) -> Vec<String> {
        let list = self.text(key).and_then(|text| text.parse().ok());
        let items = match list {
            Some(toml::Value::Array(items)) => items,
            _ => Vec::new(),
        };
        let text = |item: toml::Value| item.as_str().map(str::to_owned);
        items.into_iter().filter_map(text).collect()
    }
}

fn definition(group: &Group, report: &mut Report) -> Definition {
    if group.name == BUILT_IN[0] || !is_name(&group.name) {
        let title = format!(
            "`{}` cannot be the name of a flavour",
            group.name.escape_debug()
        );
        let help = "`default` is the running program; others are of a-z, 0-9, _ and -";
        report.push(Problem::at(group.place, title).help(help));
    }
    let pairs = group
        .entries
        .iter()
        .map(|entry| Some((entry.key.clone(), part(entry, report)?)));
    pairs.flatten().collect()
}

/// The value of a flavour's key as text.
fn part(entry: &Entry, report: &mut Report) -> Option<String> {
    let shape = shape(entry, report)?;
    let fits = fit(shape, &entry.value);
    if fits.is_none() {
        let allowed = match shape {
            Shape::Text => "a text in quotes".into(),
            Shape::Texts => "a list of texts such as [\"-C\", \"target-cpu=native\"]".into(),
            Shape::Words(words) => one_of(words),
            Shape::Number => "a whole number from 1".into(),
        };
        let title = format!("`{}` cannot be {}", entry.key, describe(&entry.value));
        report.push(Problem::at(entry.place, title).help(format!("allowed: {allowed}")));
    }
    fits
}

/// What the key of an entry may be, if a flavour has it.
fn shape(entry: &Entry, report: &mut Report) -> Option<&'static Shape> {
    let key = entry.key.as_str();
    if key.starts_with("env.") {
        return Some(&Shape::Text);
    }
    let known = KEYS.iter().find(|(name, _)| *name == key);
    if known.is_none() {
        let keys = || KEYS.iter().map(|(name, _)| *name).chain(["env"]);
        let help = format!("a flavour has {}", keys().collect::<Vec<_>>().join(", "));
        let problem = Problem::at(entry.key_place, format!("a flavour has no `{key}`"));
        report.push(problem.nearest(key, keys()).help(help));
    }
    known.map(|(_, shape)| shape)
}

/// A value of this shape as text.
fn fit(shape: &Shape, value: &Raw) -> Option<String> {
    match (shape, value) {
        (Shape::Text, Raw::Text(text)) => (!text.is_empty()).then(|| text.clone()),
        (Shape::Texts, Raw::Text(text)) => Some(format!("{:?}", [text])),
        (Shape::Texts, Raw::List(items)) => texts(items),
        (Shape::Words(words), value) => plain(value).filter(|word| words.contains(&word.as_str())),
        (Shape::Number, Raw::Integer(number)) => {
            number.value.filter(|n| *n > 0).map(|n| n.to_string())
        }
        _ => None,
    }
}

fn texts(items: &[Spanned<Raw>]) -> Option<String> {
    let texts = items.iter().map(|item| match item.get_ref() {
        Raw::Text(text) => Some(text.as_str()),
        _ => None,
    });
    let texts: Vec<&str> = texts.collect::<Option<_>>()?;
    Some(format!("{texts:?}"))
}

fn plain(value: &Raw) -> Option<String> {
    match value {
        Raw::Text(text) => Some(text.to_string()),
        Raw::Integer(number) => Some(number.text.clone()),
        Raw::Bool(value) => Some(value.to_string()),
        _ => None,
    }
}

/// A flavour's definition over that of the flavour which it extends.
fn inherit(group: &Group, declared: &[(&Group, Definition)], report: &mut Report) -> Definition {
    let mut chain = vec![group.name.as_str()];
    let mut definition = Definition::new();
    loop {
        let name = *chain
            .last()
            .expect("the chain begins with the flavour itself");
        let Some((_, own)) = declared.iter().find(|(other, _)| other.name == name) else {
            break;
        };
        for (key, value) in own {
            definition
                .entry(key.clone())
                .or_insert_with(|| value.clone());
        }
        let Some(parent) = own.get("extends") else {
            break;
        };
        let problem = Problem::at(group.place, "");
        let known = declared.iter().any(|(other, _)| other.name == *parent);
        if chain.contains(&parent.as_str()) {
            let title = format!("the flavour `{}` extends itself", group.name);
            report.push(
                problem
                    .titled(title)
                    .label([&chain[..], &[parent]].concat().join(" → ")),
            );
            break;
        }
        if !known && !BUILT_IN.contains(&parent.as_str()) {
            let names = declared.iter().map(|(group, _)| group.name.as_str());
            let title = format!("the flavour `{name}` extends `{parent}`, which is no flavour");
            report.push(problem.titled(title).nearest(parent, names));
            break;
        }
        chain.push(parent);
    }
    let extended = definition.remove("extends");
    // A binary that is given under this name is taken as it is.
    let built = chain.contains(&"cuda") && !definition.contains_key("binary");
    if built || extended.as_deref() == Some("cuda") {
        definition.entry("cuda".into()).or_insert("built-in".into());
    }
    definition
}

/// Reports names of flavours that no flavour has.
pub(super) fn references(
    flavours: &[Flavour],
    base: &[Option<Checked>],
    axes: &[Varied],
    cases: &[(Case, Vec<Place>)],
    report: &mut Report,
) {
    let names: Vec<_> = flavours
        .iter()
        .map(|flavour| flavour.name.as_str())
        .collect();
    let built_in = BUILT_IN.into_iter().filter(|name| !names.contains(name));
    let names: Vec<&str> = built_in.chain(names.iter().copied()).collect();
    for (value, place) in named(base, axes, cases) {
        let Value::Text(name) = &value else { continue };
        if !names.contains(&name.as_ref()) {
            let help = format!("write [flavours.{name}], or take {}", one_of(&names));
            let problem = Problem::at(place, format!("there is no flavour `{name}`"));
            report.push(problem.nearest(name, names.iter().copied()).help(help));
        }
    }
}

/// Every value of `build.flavour` and its place.
fn named(
    base: &[Option<Checked>],
    axes: &[Varied],
    cases: &[(Case, Vec<Place>)],
) -> Vec<(Value, Place)> {
    let id = SettingId::FLAVOUR;
    let plain = base[id.index()]
        .iter()
        .map(|checked| (checked.value.clone(), checked.place));
    let mut values: Vec<_> = plain.collect();
    for Varied { axis, places, .. } in axes {
        for (column, _) in axis.settings.iter().enumerate().filter(|(_, s)| **s == id) {
            values.extend(
                axis.rows
                    .iter()
                    .map(|row| (row[column].clone(), places[column])),
            );
        }
    }
    for (case, places) in cases {
        let settings = case.settings.iter().zip(&places[1..]);
        let named = settings.filter(|((setting, _), _)| *setting == id);
        values.extend(named.map(|((_, value), place)| (value.clone(), *place)));
    }
    values
}
