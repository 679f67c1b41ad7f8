//! From a sweep to cells: the product of the axes, last axis fastest, then the cases, then the A/A
//! twin. In: an experiment. Out: a plan, or everything that is wrong with its cells.

mod finish;

use super::cell::{Cell, Identity, Values};
use super::rules::{Contradiction, Facts};
use super::{CellId, Plan, twin};
use crate::spec::settings::{Choice, SettingId, Value, resolve};
use crate::spec::{Case, Experiment, Place, Problem, Report, Selector, SpecErrors};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Larger sweeps are refused before they are expanded.
const MOST_CELLS: usize = 1_000_000;

/// The cells of an experiment.
///
/// # Errors
///
/// Too many cells or none, cells that contradict themselves, settings that apply to no cell, cases
/// that are in the product already, and excludes and baselines that match nothing.
pub fn expand(experiment: &Experiment) -> Result<Plan, SpecErrors> {
    let mut expansion = Expansion::new(experiment);
    if expansion.fits() {
        expansion.product();
        for (index, case) in experiment.cases.iter().enumerate() {
            expansion.case(index, case);
        }
        expansion.finish();
    }
    if !expansion.report.is_empty() {
        return Err(expansion.report.into_errors());
    }
    let mut cells = expansion.cells;
    cells.extend(twin::of_baseline(experiment, &cells));
    Ok(Plan {
        cells,
        merged: expansion.merged,
        excluded: expansion.excluded,
        seed: experiment.seed(),
        builds: builds(experiment),
    })
}

fn builds(experiment: &Experiment) -> u32 {
    let builds = experiment.value(SettingId::BUILDS);
    let builds = builds.and_then(|value| value.integer());
    builds.map_or(1, |builds| builds as u32)
}

/// An expansion under way.
struct Expansion<'a> {
    experiment: &'a Experiment,
    identity: Identity,
    declared: Vec<Option<Value>>,
    shared: Arc<[Option<Value>]>,
    report: Report,
    cells: Vec<Cell>,
    /// Where in `cells` an identity is.
    places: HashMap<[u8; 6], usize>,
    merged: usize,
    excluded: usize,
    /// Whether some cell has each setting.
    used: Vec<bool>,
    /// How many combinations each exclude has dropped.
    dropped: Vec<usize>,
    contradictions: BTreeMap<(Place, String), (Contradiction, String, usize)>,
}

/// One combination on its way to a cell.
struct Combination<'a> {
    declared: &'a [Option<Value>],
    label: String,
    axis_labels: Vec<(String, String)>,
    /// The case that it is; none for the product.
    case: Option<usize>,
}

impl<'a> Expansion<'a> {
    fn new(experiment: &'a Experiment) -> Self {
        let declared: Vec<_> = experiment.base.iter().map(|d| d.value.clone()).collect();
        Self {
            experiment,
            identity: Identity::new(&experiment.flavours),
            shared: resolve(&declared).1.into(),
            report: Report::new(experiment.origin.texts.clone()),
            cells: Vec::new(),
            places: HashMap::new(),
            merged: 0,
            excluded: 0,
            used: vec![false; declared.len()],
            dropped: vec![0; experiment.excludes.len()],
            contradictions: BTreeMap::new(),
            declared,
        }
    }

    /// Refuses sweeps that are too large to be meant.
    fn fits(&mut self) -> bool {
        let lengths = self
            .experiment
            .axes
            .iter()
            .map(|axis| axis.rows.len() as u128);
        let product = lengths.fold(1u128, |product, length| product.saturating_mul(length));
        let fits = product + self.experiment.cases.len() as u128 <= MOST_CELLS as u128;
        if !fits {
            let place = self.experiment.origin.axes.first().map(|places| places[0]);
            let title =
                format!("the axes make {product} cells, and at most {MOST_CELLS} are planned");
            let problem = Problem::at(place.unwrap_or_default(), title);
            self.report
                .push(problem.help("take fewer values, or zip axes that belong together"));
        }
        fits
    }

    fn product(&mut self) {
        let axes = &self.experiment.axes;
        let sweeps = !axes.is_empty() || self.experiment.cases.is_empty();
        let count = axes.iter().map(|axis| axis.rows.len()).product::<usize>();
        let mut declared = self.declared.clone();
        let mut rows = vec![0; axes.len()];
        for number in 0..if sweeps { count } else { 0 } {
            let mut rest = number;
            for (axis, row) in axes.iter().zip(&mut rows).rev() {
                (rest, *row) = (rest / axis.rows.len(), rest % axis.rows.len());
            }
            for (axis, row) in axes.iter().zip(&rows) {
                for (id, value) in axis.settings.iter().zip(&axis.rows[*row]) {
                    declared[id.index()] = Some(value.clone());
                }
            }
            self.combination(Combination {
                declared: &declared,
                label: self.label(&declared, &rows),
                axis_labels: self.axis_labels(&rows),
                case: None,
            });
        }
    }

    /// What people call a combination: the labels of zips, and the values of plain axes that apply.
    fn label(&self, declared: &[Option<Value>], rows: &[usize]) -> String {
        let choice = Choice::of(declared);
        let parts = self
            .experiment
            .axes
            .iter()
            .zip(rows)
            .filter_map(|(axis, row)| {
                let id = axis.settings[0];
                match axis.is_zip() {
                    true => Some(axis.labels[*row].clone()),
                    false if choice.applies(id) => Some(id.setting().say(&axis.rows[*row][0])),
                    false => None,
                }
            });
        let label = parts.collect::<Vec<_>>().join(", ");
        if label.is_empty() {
            choice.model.to_string()
        } else {
            label
        }
    }

    fn axis_labels(&self, rows: &[usize]) -> Vec<(String, String)> {
        let axes = self.experiment.axes.iter().zip(rows);
        let zips = axes.filter(|(axis, _)| axis.is_zip());
        zips.map(|(axis, row)| (axis.name.clone(), axis.labels[*row].clone()))
            .collect()
    }

    fn case(&mut self, index: usize, case: &Case) {
        let mut declared = self.declared.clone();
        for (id, value) in &case.settings {
            match *id {
                SettingId::LOCAL_BATCH => declared[SettingId::GLOBAL_BATCH.index()] = None,
                SettingId::GLOBAL_BATCH => declared[SettingId::LOCAL_BATCH.index()] = None,
                _ => {}
            }
            declared[id.index()] = Some(value.clone());
        }
        let choice = Choice::of(&declared);
        for (column, (id, _)) in case.settings.iter().enumerate() {
            if !choice.applies(*id) {
                let title = format!("`{}` does not apply to the case `{}`", id.key(), case.label);
                let place = self.experiment.origin.cases[index][column + 1];
                self.report
                    .push(Problem::at(place, title).help(id.setting().rule.reason));
            }
        }
        self.combination(Combination {
            declared: &declared,
            label: case.label.clone(),
            axis_labels: Vec::new(),
            case: Some(index),
        });
    }

    /// Turns a combination into a cell, unless it is excluded, contradicts itself or is there already.
    fn combination(&mut self, combination: Combination) {
        let (choice, values) = resolve(combination.declared);
        if self.is_excluded(&values, &combination.axis_labels) {
            self.excluded += 1;
            return;
        }
        for (used, value) in self.used.iter_mut().zip(&values) {
            *used |= value.is_some();
        }
        let facts = Facts {
            choice: &choice,
            values: &values,
            flavours: &self.experiment.flavours,
        };
        if let Some(contradiction) = facts.contradiction() {
            self.contradict(contradiction, combination);
            return;
        }
        let id = self.identity.of(&choice, &values);
        if let Some(&twin) = self.places.get(&id) {
            self.again(twin, combination.case);
            return;
        }
        self.places.insert(id, self.cells.len());
        self.cells.push(Cell {
            id: CellId::from(id),
            unbuilt: facts.unbuilt(),
            label: combination.label,
            values: Values::over(&self.shared, values),
            axis_labels: combination.axis_labels,
            twin_of: None,
        });
    }

    fn is_excluded(&mut self, values: &[Option<Value>], labels: &[(String, String)]) -> bool {
        let mut excluded = false;
        for (pairs, dropped) in self.experiment.excludes.iter().zip(&mut self.dropped) {
            if pairs
                .iter()
                .all(|(selector, value)| matches(selector, value, values, labels))
            {
                *dropped += 1;
                excluded = true;
            }
        }
        excluded
    }

    /// Counts a combination whose cell is there already; a case would be measured twice.
    fn again(&mut self, twin: usize, case: Option<usize>) {
        self.merged += 1;
        if let Some(index) = case {
            let (case, twin) = (&self.experiment.cases[index], &self.cells[twin]);
            let title = format!(
                "the case `{}` is the same cell as `{}`",
                case.label, twin.label
            );
            let problem = Problem::at(self.experiment.origin.cases[index][0], title);
            self.report
                .push(problem.help("a cell is measured once: remove the case, or change it"));
        }
    }

    fn contradict(&mut self, contradiction: Contradiction, combination: Combination) {
        let place = self.place(contradiction.id, combination.case);
        let place = place.or_else(|| self.place(SettingId::TOPOLOGY, combination.case));
        let key = (place.unwrap_or_default(), contradiction.title.clone());
        let first = (contradiction, combination.label, 0);
        self.contradictions.entry(key).or_insert(first).2 += 1;
    }

    /// Where a cell has the value of a setting from; none for a default.
    fn place(&self, id: SettingId, case: Option<usize>) -> Option<Place> {
        let origin = &self.experiment.origin;
        let swept = match case {
            Some(index) => {
                let settings = &self.experiment.cases[index].settings;
                let column = settings.iter().position(|(setting, _)| *setting == id);
                column.map(|column| origin.cases[index][column + 1])
            }
            None => {
                let mut axes = self.experiment.axes.iter().zip(&origin.axes);
                axes.find_map(|(axis, places)| {
                    let column = axis.settings.iter().position(|setting| *setting == id);
                    Some(places[column?])
                })
            }
        };
        swept.or(origin.base[id.index()])
    }
}

fn matches(
    selector: &Selector,
    wanted: &Value,
    values: &[Option<Value>],
    labels: &[(String, String)],
) -> bool {
    match (selector, wanted) {
        (Selector::Setting(id), _) => values[id.index()].as_ref() == Some(wanted),
        (Selector::Label(zip), Value::Text(label)) => labels
            .iter()
            .any(|(name, text)| name == zip && **text == **label),
        _ => false,
    }
}

impl Cell {
    /// Whether a pair of an exclude, a baseline or `--only` holds for the cell.
    pub fn matches(&self, selector: &Selector, wanted: &Value) -> bool {
        match selector {
            Selector::Setting(id) => self.values.get(*id) == Some(wanted),
            Selector::Label(_) => matches(selector, wanted, &[], &self.axis_labels),
        }
    }
}
