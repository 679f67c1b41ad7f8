//! The A/A twin: the baseline cell once more, under a name of its own. What a comparison of the two
//! finds is noise. In: the cells of an experiment. Out: the twin, where `measure.aa` asks for it.

use super::Cell;
use crate::spec::settings::{SettingId, Value};
use crate::spec::{ChartSpec, Experiment};
use crate::terms::{ChartKind, ModelName};

/// The twin of the baseline among `cells`; none where the experiment asks for none.
pub(super) fn of_baseline(experiment: &Experiment, cells: &[Cell]) -> Option<Cell> {
    if experiment.value(SettingId::AA) != Some(Value::Bool(true)) {
        return None;
    }
    let original = baseline(experiment, cells)?;
    Some(Cell {
        id: original.id.twin(),
        label: format!("{} (twin)", original.label),
        twin_of: Some(original.id.clone()),
        ..original.clone()
    })
}

/// Of the cells that the leading chart's `baseline` names, or of all where it names none, the first
/// with the fewest replicas. Cells that can be built and that train come before others.
fn baseline<'a>(experiment: &Experiment, cells: &'a [Cell]) -> Option<&'a Cell> {
    let pairs = leading_chart(&experiment.charts).map_or(&[][..], |chart| &chart.baseline);
    let named = |cell: &&Cell| pairs.iter().all(|(key, value)| cell.matches(key, value));
    let rank = |cell: &&Cell| (cell.unbuilt.is_some(), !trains(cell), cell.replicas());
    cells.iter().filter(named).min_by_key(rank)
}

/// The chart whose baselines the table and the sentences use.
fn leading_chart(charts: &[ChartSpec]) -> Option<&ChartSpec> {
    let over_throughput = |chart: &&ChartSpec| chart.kind != ChartKind::Phases;
    charts.iter().find(over_throughput).or(charts.first())
}

fn trains(cell: &Cell) -> bool {
    let none: &'static str = ModelName::None.into();
    cell.values.get(SettingId::MODEL) != Some(&Value::Word(none))
}
