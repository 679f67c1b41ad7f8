//! In: an [`Experiment`](crate::spec::Experiment). Out: frozen [`Cell`]s and the order in which
//! repeats of them run. Pure: the same file gives the same cells, ids and order on every machine.

use crate::spec::settings::{Settings, Value};

/// One combination of axis values, one point of a chart.
#[derive(Clone, Debug)]
pub struct Cell {
    pub id: CellId,
    /// What differs from other cells, for people: `2 devices, input on host`.
    pub label: String,
    /// The declared value of every setting, in the order of the list; none where it does not apply.
    pub values: Vec<Option<Value>>,
    /// The label of each zip axis, in the order of the experiment's axes; none for a case.
    pub axis_labels: Vec<(String, String)>,
    /// Why no machine can run this cell with this version of xrun.
    pub unbuilt: Option<String>,
}

/// Twelve hexadecimal digits: a hash of the declared, applicable settings that differ from their
/// default, of the flavour's definition, and of `twin`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CellId(pub String);

impl Cell {
    /// The cell's settings, typed.
    pub fn settings(&self) -> Settings {
        unimplemented!()
    }
}
