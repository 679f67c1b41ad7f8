//! One cell and its identity.

use crate::spec::settings::{Choice, Role, SETTINGS, SettingId, Settings, Value};
use crate::terms::Topology;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fmt::{self, Write};
use std::sync::Arc;

/// One combination of axis values, one point of a chart.
#[derive(Clone, Debug)]
pub struct Cell {
    pub id: CellId,
    /// What differs from other cells, for people: `2 devices, input on host`.
    pub label: String,
    /// The value of every setting, in the order of the list; none where it does not apply.
    pub values: Values,
    /// The label of each zip axis, in the order of the experiment's axes; none for a case.
    pub axis_labels: Vec<(String, String)>,
    /// The cell that this one is the A/A twin of: it measures the same, under an id of its own.
    pub twin_of: Option<CellId>,
    /// Why no machine can run this cell with this version of xrun.
    pub unbuilt: Option<String>,
}

/// Twelve hexadecimal digits: a hash of the declared, applicable settings that differ from their
/// default, of the flavour's definition, and of `twin`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CellId(pub String);

impl CellId {
    /// The id of the A/A twin of the cell with this id.
    pub(super) fn twin(&self) -> CellId {
        first_six(&Sha256::digest(format!("{self} twin").as_bytes())).into()
    }
}

impl fmt::Display for CellId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The values of a cell: those of one cell that all share, and what differs from it.
#[derive(Clone, Debug)]
pub struct Values {
    shared: Arc<[Option<Value>]>,
    changed: Box<[(SettingId, Option<Value>)]>,
}

impl Values {
    /// `values` as changes of `shared`; both have one entry per setting.
    pub fn over(shared: &Arc<[Option<Value>]>, values: Vec<Option<Value>>) -> Self {
        let pairs = SettingId::all().zip(values);
        let changed = pairs.filter(|(id, value)| shared[id.index()] != *value);
        Self {
            shared: Arc::clone(shared),
            changed: changed.collect(),
        }
    }

    /// The value of a setting; none where it does not apply to the cell.
    pub fn get(&self, id: SettingId) -> Option<&Value> {
        let changed = self.changed.iter().find(|(changed, _)| *changed == id);
        changed
            .map_or(&self.shared[id.index()], |(_, value)| value)
            .as_ref()
    }

    /// Every setting that applies, in the order of the list.
    pub fn iter(&self) -> impl Iterator<Item = (SettingId, &Value)> {
        SettingId::all().filter_map(|id| Some((id, self.get(id)?)))
    }

    /// One entry per setting.
    pub fn to_vec(&self) -> Vec<Option<Value>> {
        SettingId::all().map(|id| self.get(id).cloned()).collect()
    }
}

impl From<Vec<Option<Value>>> for Values {
    /// Values that are shared with no other cell; one entry per setting.
    fn from(values: Vec<Option<Value>>) -> Self {
        Self {
            shared: values.into(),
            changed: Box::default(),
        }
    }
}

impl Cell {
    /// The cell's settings, typed.
    pub fn settings(&self) -> Settings {
        let values = self.values.to_vec();
        Settings::from_values(&values, replicas(&values))
    }

    /// Copies of the model that train, over all workers.
    pub fn replicas(&self) -> u64 {
        replicas(&self.values.to_vec())
    }
}

/// Copies of the model in a cell of these values.
pub(super) fn replicas(values: &[Option<Value>]) -> u64 {
    let number = |id: SettingId| values[id.index()].as_ref().and_then(Value::integer);
    match values[SettingId::TOPOLOGY.index()] {
        Some(Value::Word(word)) if word.parse() == Ok(Topology::Single) => 1,
        _ => number(SettingId::WORKERS).unwrap_or(1) * number(SettingId::PER_WORKER).unwrap_or(1),
    }
}

/// Computes ids of cells of one experiment.
pub(super) struct Identity {
    /// Settings that identify, by key, so that the order of the list does not matter.
    ids: Vec<SettingId>,
    /// Definitions of flavours by name, each as one text.
    flavours: HashMap<String, String>,
}

impl Identity {
    pub(super) fn new(flavours: &[crate::spec::Flavour]) -> Self {
        let mut ids: Vec<_> = SettingId::all()
            .filter(|id| SETTINGS[id.index()].role == Role::Identity)
            .collect();
        ids.sort_by_key(|id| id.key());
        let text = |flavour: &crate::spec::Flavour| format!("{:?}", flavour.definition);
        let flavours = flavours
            .iter()
            .map(|flavour| (flavour.name.clone(), text(flavour)));
        Self {
            ids,
            flavours: flavours.collect(),
        }
    }

    /// The first six bytes of the SHA-256 of one line `key=value` for each setting that counts.
    pub(super) fn of(&self, choice: &Choice, values: &[Option<Value>]) -> [u8; 6] {
        let mut text = String::with_capacity(256);
        for id in &self.ids {
            let value = &values[id.index()];
            let Some(present) = value else { continue };
            if *value != (id.setting().default)(choice.model) {
                let definition = match present {
                    Value::Text(name) if *id == SettingId::FLAVOUR => self.flavours.get(&**name),
                    _ => None,
                };
                match definition {
                    Some(definition) => writeln!(text, "{}={definition}", id.key()),
                    None => writeln!(text, "{}={}", id.key(), present.to_string().escape_debug()),
                }
                .expect("a String takes all that is written to it");
            }
        }
        first_six(&Sha256::digest(text.as_bytes()))
    }
}

fn first_six(digest: &[u8]) -> [u8; 6] {
    std::array::from_fn(|index| digest[index])
}

impl From<[u8; 6]> for CellId {
    fn from(bytes: [u8; 6]) -> Self {
        let number = bytes
            .iter()
            .fold(0u64, |number, byte| number << 8 | u64::from(*byte));
        Self(format!("{number:012x}"))
    }
}
