//! The frozen plan as it is kept beside the results: every cell with all its settings, the order of
//! every block, and the seed.

use super::{Cell, Plan};
use crate::spec::settings::{SettingId, Value};
use crate::spec::{Experiment, to_toml};
use toml::{Table, Value as Toml};

impl Plan {
    /// The text of `plan.toml`. `settings` are those that all cells have with one value; a cell lists
    /// the rest of its own.
    pub fn to_toml(&self, experiment: &Experiment) -> String {
        let mut head = Table::new();
        head.insert("experiment".into(), experiment.name.clone().into());
        head.insert("seed".into(), Toml::Integer(self.seed as i64));
        head.insert("repeats".into(), i64::from(experiment.repeats()).into());
        let common = self.common();
        let settings = common
            .iter()
            .map(|(id, value)| (id.key().to_owned(), to_toml(value)));
        head.insert("settings".into(), settings.collect::<Table>().into());
        let mut text = written(&head);
        for cell in &self.cells {
            let rest = cell
                .values
                .iter()
                .filter(|(id, _)| common.iter().all(|(c, _)| c != id));
            text.push_str(&listed("cell", cell_table(cell, rest)));
        }
        for (index, order) in self.blocks(experiment.repeats()).enumerate() {
            let ids = order.into_iter().map(|cell| self.cells[cell].id.0.clone());
            let mut block = Table::new();
            block.insert("number".into(), (index as i64 + 1).into());
            block.insert("order".into(), ids.collect::<Vec<_>>().into());
            text.push_str(&listed("block", block));
        }
        text
    }

    /// Settings that every cell has with the same value.
    pub fn common(&self) -> Vec<(SettingId, Value)> {
        let Some(first) = self.cells.first() else {
            return Vec::new();
        };
        let everywhere = |id: SettingId, value: &Value| {
            self.cells
                .iter()
                .all(|cell| cell.values.get(id) == Some(value))
        };
        let common = first
            .values
            .iter()
            .filter(|(id, value)| everywhere(*id, value));
        common.map(|(id, value)| (id, value.clone())).collect()
    }
}

fn cell_table<'a>(cell: &Cell, settings: impl Iterator<Item = (SettingId, &'a Value)>) -> Table {
    let mut table = Table::new();
    table.insert("id".into(), cell.id.0.clone().into());
    table.insert("label".into(), cell.label.clone().into());
    if let Some(original) = &cell.twin_of {
        table.insert("twin_of".into(), original.0.clone().into());
    }
    if let Some(reason) = &cell.unbuilt {
        table.insert("skipped".into(), reason.clone().into());
    }
    for (name, label) in &cell.axis_labels {
        table.insert(name.clone(), label.clone().into());
    }
    table.extend(settings.map(|(id, value)| (id.key().to_owned(), to_toml(value))));
    table
}

fn listed(name: &str, table: Table) -> String {
    let list = Toml::Array(vec![table.into()]);
    format!(
        "\n{}",
        written(&Table::from_iter([(name.to_owned(), list)]))
    )
}

fn written(table: &Table) -> String {
    toml::to_string(table).expect("tables of plain values are TOML")
}
