//! An [`Experiment`] as a file again: all layers in one, nothing inherited. Reading it gives the same
//! experiment and the same cells.

use super::check::SCHEMA;
use super::settings::{SettingId, Value};
use super::{Axis, Case, ChartSpec, CompareSpec, Experiment, Flavour, Selector};
use toml::{Table, Value as Toml};

impl Experiment {
    /// The resolved file: question, every declared setting, sweep, charts, comparisons and flavours.
    pub fn to_toml(&self) -> String {
        let mut file = Table::new();
        file.insert("schema".into(), Toml::Integer(SCHEMA as i64));
        file.insert("name".into(), self.name.clone().into());
        file.insert("question".into(), self.question.clone().into());
        self.sections(&mut file);
        put(&mut file, "sweep", self.sweep());
        let excludes = self.excludes.iter().map(|pairs| pairs_table(pairs));
        list(&mut file, "exclude", excludes);
        list(&mut file, "chart", self.charts.iter().map(chart));
        list(&mut file, "compare", self.comparisons.iter().map(compare));
        let flavours = self
            .flavours
            .iter()
            .map(|f| (f.name.clone(), flavour(f).into()));
        put(&mut file, "flavours", flavours.collect());
        toml::to_string_pretty(&file).expect("tables of plain values are TOML")
    }

    fn sections(&self, file: &mut Table) {
        for id in SettingId::all() {
            let Some(value) = &self.base[id.index()].value else {
                continue;
            };
            let (section, key) = id.key().split_once('.').expect("keys have a section");
            let section = file.entry(section).or_insert_with(|| Table::new().into());
            let section = section.as_table_mut().expect("a section is a table");
            section.insert(key.into(), to_toml(value));
        }
    }

    fn sweep(&self) -> Table {
        let mut sweep = Table::new();
        for axis in self.axes.iter().filter(|axis| !axis.is_zip()) {
            sweep.insert(axis.name.clone(), column(axis, 0));
        }
        list(
            &mut sweep,
            "zip",
            self.axes.iter().filter(|axis| axis.is_zip()).map(zip),
        );
        list(&mut sweep, "cases", self.cases.iter().map(case));
        sweep
    }
}

/// A value as TOML that reads back as the same value.
pub(crate) fn to_toml(value: &Value) -> Toml {
    match value {
        Value::Bool(value) => (*value).into(),
        Value::Integer(number) => Toml::Integer(*number as i64),
        Value::Number(number) => (*number).into(),
        Value::Integers(widths) => widths
            .iter()
            .map(|width| *width as i64)
            .collect::<Vec<_>>()
            .into(),
        Value::Word(_) | Value::Text(_) | Value::Duration(_) => value.to_string().into(),
    }
}

fn put(table: &mut Table, key: &str, part: Table) {
    if !part.is_empty() {
        table.insert(key.into(), part.into());
    }
}

fn list(table: &mut Table, key: &str, parts: impl Iterator<Item = Table>) {
    let parts: Vec<Toml> = parts.map(Toml::from).collect();
    if !parts.is_empty() {
        table.insert(key.into(), parts.into());
    }
}

fn column(axis: &Axis, column: usize) -> Toml {
    let values = axis.rows.iter().map(|row| to_toml(&row[column]));
    values.collect::<Vec<_>>().into()
}

fn zip(axis: &Axis) -> Table {
    let mut table = Table::new();
    table.insert("name".into(), axis.name.clone().into());
    for (index, id) in axis.settings.iter().enumerate() {
        table.insert(id.key().into(), column(axis, index));
    }
    table.insert("labels".into(), axis.labels.clone().into());
    table
}

fn case(case: &Case) -> Table {
    let mut table = Table::new();
    for (id, value) in &case.settings {
        table.insert(id.key().into(), to_toml(value));
    }
    table.insert("label".into(), case.label.clone().into());
    table
}

fn pairs_table(pairs: &[(Selector, Value)]) -> Table {
    pairs
        .iter()
        .map(|(selector, value)| (selector.key().to_owned(), to_toml(value)))
        .collect()
}

fn chart(chart: &ChartSpec) -> Table {
    let mut table = Table::new();
    table.insert("kind".into(), chart.kind.to_string().into());
    table.insert("x".into(), chart.x.clone().into());
    if let Some(series) = &chart.series {
        table.insert("series".into(), series.clone().into());
    }
    put(&mut table, "baseline", pairs_table(&chart.baseline));
    table
}

fn compare(compare: &CompareSpec) -> Table {
    let mut table = Table::new();
    table.insert("over".into(), compare.over.clone().into());
    table.insert("base".into(), compare.base.clone().into());
    put(&mut table, "where", pairs_table(&compare.only));
    table
}

/// Lists and numbers were kept as their TOML text, all else as plain text.
fn flavour(flavour: &Flavour) -> Table {
    let value = |key: &str, text: &str| match key {
        "features" | "target_features" | "rustflags" | "codegen-units" => {
            text.parse::<Toml>().unwrap_or_else(|_| text.into())
        }
        _ => text.into(),
    };
    let (mut table, mut environment) = (Table::new(), Table::new());
    for (key, text) in &flavour.definition {
        match key.strip_prefix("env.") {
            Some(name) => environment.insert(name.into(), text.as_str().into()),
            None => table.insert(key.clone(), value(key, text)),
        };
    }
    put(&mut table, "env", environment);
    table
}
