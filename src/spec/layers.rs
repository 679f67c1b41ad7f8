//! The layers of one experiment on top of each other: files, environment, flags. figment merges them
//! once and remembers which layer each value came from; the values themselves stay in their layers,
//! with their places.

use super::document::{Document, Entry};
use super::error::{Problem, Report};
use super::overrides::{meant, unknown_key};
use super::settings::{SETTINGS, SettingId, Value};
use super::value::{self, Misfit, Raw};
use super::{Place, Source};
use figment::value::{Dict, Map};
use figment::{Figment, Metadata, Profile, Provider};

/// All layers, lowest first.
#[derive(Debug)]
pub(super) struct Layers {
    pub documents: Vec<Document>,
    /// The file itself, above all that it extends.
    pub main: usize,
}

/// A value of a known setting that fits, and its layer.
#[derive(Clone, Debug)]
pub(super) struct Checked {
    pub id: SettingId,
    pub value: Value,
    pub layer: usize,
    pub place: Place,
    pub source: Source,
}

/// The settings of one layer: for figment, each value is its place in the list of checked values.
struct Layer<'a> {
    number: usize,
    values: &'a [Checked],
}

impl Provider for Layer<'_> {
    fn metadata(&self) -> Metadata {
        Metadata::named(format!("layer {}", self.number))
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let mut dict = Dict::new();
        for (index, checked) in self.values.iter().enumerate() {
            if checked.layer == self.number {
                let nested = figment::util::nest(checked.id.key(), index.into());
                let section = nested.into_dict().expect("a key with a dot nests");
                merge(&mut dict, section);
            }
        }
        Ok(Map::from([(Profile::Default, dict)]))
    }
}

fn merge(into: &mut Dict, from: Dict) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(figment::value::Value::Dict(_, inner)), figment::value::Value::Dict(_, new)) => {
                inner.extend(new);
            }
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

impl Layers {
    pub fn new(mut files: Vec<Document>, environment: Document, flags: Document) -> Self {
        let main = files.len() - 1;
        files.extend([environment, flags]);
        Self {
            documents: files,
            main,
        }
    }

    /// The files alone, without environment and flags.
    pub fn files(&self) -> Self {
        Self {
            documents: self.documents[..=self.main].to_vec(),
            main: self.main,
        }
    }

    /// The winning value of each setting, by setting. Every wrong value of every layer is reported.
    pub fn settings(&self, report: &mut Report) -> Vec<Option<Checked>> {
        let mut checked = Vec::new();
        for (layer, document) in self.documents.iter().enumerate() {
            for entry in &document.settings {
                checked.extend(setting(entry, layer, report));
            }
        }
        let figment = (0..self.documents.len()).fold(Figment::new(), |figment, number| {
            figment.merge(Layer {
                number,
                values: &checked,
            })
        });
        let winner = |key: &str| {
            let index = figment.find_value(key).ok()?.to_u128()? as usize;
            Some(checked[index].clone())
        };
        SETTINGS.iter().map(|setting| winner(setting.key)).collect()
    }

    /// The topmost layer of which a part is not empty, with its number.
    pub fn last<T>(&self, part: impl Fn(&Document) -> &Vec<T>) -> &[T] {
        let filled = self
            .documents
            .iter()
            .rev()
            .find(|document| !part(document).is_empty());
        filled.map_or(&[], |document| part(document))
    }
}

/// A setting with a value that fits, or a problem.
fn setting(entry: &Entry, layer: usize, report: &mut Report) -> Option<Checked> {
    let id = known(entry, report)?;
    let value = convert(id, entry.place, &entry.value, &entry.source, report)?;
    Some(Checked {
        id,
        value,
        layer,
        place: entry.key_place,
        source: entry.source.clone(),
    })
}

/// The setting of an entry's key. An empty section is no mistake.
pub(super) fn known(entry: &Entry, report: &mut Report) -> Option<SettingId> {
    let id = SettingId::of(&entry.key);
    let section = |key: &str| key.split('.').next() == Some(entry.key.as_str());
    let empty_section =
        entry.value == Raw::Table && SETTINGS.iter().any(|setting| section(setting.key));
    if id.is_none() && report.is_full() {
        report.doubtful = true;
        report.push(Problem::at(entry.key_place, "unknown setting"));
    } else if id.is_none() && !empty_section {
        report.doubtful |= meant(&entry.key).is_none_or(decisive);
        report.push(unknown_key(entry));
    }
    id
}

/// A value of a setting that fits, or a problem.
pub(super) fn convert(
    id: SettingId,
    place: Place,
    value: &Raw,
    source: &Source,
    report: &mut Report,
) -> Option<Value> {
    let kind = id.setting().kind;
    let converted = match (source, value) {
        (Source::File { .. }, _) => value::convert(kind, value),
        (_, Raw::Text(text)) => value::from_text(kind, text),
        _ => value::convert(kind, value),
    };
    let misfit = |misfit: Misfit| {
        report.doubtful |= decisive(id);
        let title = format!("`{}` cannot be {}", id.key(), misfit.found);
        let problem = Problem::at(place, title).help(format!("allowed: {}", kind.allowed()));
        report.push(match misfit.hint {
            Some(hint) => problem.label(hint),
            None => problem,
        });
    };
    converted.map_err(misfit).ok()
}

/// Whether the setting decides which cells there are and which settings they have.
pub(super) fn decisive(id: SettingId) -> bool {
    let section = id.key().split('.').next();
    !matches!(section, Some("measure" | "build"))
}
