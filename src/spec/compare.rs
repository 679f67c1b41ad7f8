//! `[[compare]]`: which cells are compared with which. In: layers and all that varies. Out: checked
//! comparisons. Knows no cells: a comparison of cells that an exclude drops is empty, not wrong.

use super::chart::variable;
use super::document::{Entry, Group};
use super::error::{Problem, Report};
use super::layers::{Checked, Layers, convert};
use super::pick::selector;
use super::settings::{Choice, SettingId, Value, one_of};
use super::sweep::Varied;
use super::value::{Raw, describe, from_text};
use super::{Case, CompareSpec, Place, Selector};

/// Which values settings have in the cells of a file.
#[derive(Clone, Copy)]
pub(super) struct Sweep<'a> {
    pub base: &'a [Option<Checked>],
    pub axes: &'a [Varied],
    pub cases: &'a [(Case, Vec<Place>)],
}

/// All `[[compare]]` of a file.
#[derive(Default)]
pub(super) struct Comparisons {
    pub made: Vec<CompareSpec>,
    /// Right in the files; flags or the environment leave no cell of them.
    pub moot: Vec<CompareSpec>,
}

/// The comparisons of the topmost layer that has some. `declared` is the sweep of the files alone,
/// without flags and the environment; none where problems leave open what varies.
pub(super) fn comparisons(
    layers: &Layers,
    sweep: Sweep,
    declared: Option<Sweep>,
    report: &mut Report,
) -> Comparisons {
    let mut comparisons = Comparisons::default();
    for group in layers.last(|document| &document.comparisons) {
        let Some((spec, places)) = comparison(group, sweep.axes, report) else {
            continue;
        };
        let Some(declared) = declared else { continue };
        match (
            sweep.misfit(&spec, &places),
            declared.misfit(&spec, &places),
        ) {
            (None, _) => comparisons.made.push(spec),
            (Some(_), None) => comparisons.moot.push(spec),
            (Some(problem), Some(_)) => report.push(problem),
        }
    }
    comparisons
}

/// Where the parts of a comparison stand.
struct Places {
    over: Place,
    base: Place,
    only: Vec<Place>,
}

/// A comparison whose keys are right; whether its values are there is not known yet.
fn comparison(
    group: &Group,
    axes: &[Varied],
    report: &mut Report,
) -> Option<(CompareSpec, Places)> {
    let (mut over, mut base) = (None, None);
    let (mut only, mut places) = (Vec::new(), Vec::new());
    for entry in &group.entries {
        match (entry.key.as_str(), entry.key.strip_prefix("where.")) {
            ("over", _) => over = Some((variable(entry, axes, &[], report)?, entry.place)),
            ("base", _) => base = Some(entry),
            (_, Some(key)) => {
                only.push(selector(entry, key, axes, report)?);
                places.push(entry.place);
            }
            (key, None) => report.push(
                Problem::at(entry.key_place, format!("a comparison has no `{key}`"))
                    .nearest(key, ["over", "base", "where"])
                    .help("a comparison has over, base and where = { KEY = VALUE }"),
            ),
        }
    }
    let missing = |title: &str, help: &str| Problem::at(group.place, title).help(help);
    let Some((over, over_place)) = over else {
        report.push(missing(
            "a comparison does not say what it is `over`",
            "name an axis or a setting that varies: over = \"build.flavour\"",
        ));
        return None;
    };
    let Some(base) = base else {
        report.push(missing(
            "a comparison has no `base`",
            "name the value that all others are compared with: base = \"plain\"",
        ));
        return None;
    };
    let places = Places {
        over: over_place,
        base: base.place,
        only: places,
    };
    let base = base_text(base, &over, report)?;
    Some((CompareSpec { over, base, only }, places))
}

/// A value of the setting `over` as tables spell it, or the label of a zip.
fn base_text(entry: &Entry, over: &str, report: &mut Report) -> Option<String> {
    match (SettingId::of(over), &entry.value) {
        // A resolved file has all values as text.
        (Some(id), Raw::Text(text)) => match from_text(id.setting().kind, text) {
            Ok(value) => Some(value.to_string()),
            // That no cell has it says more than that none could.
            Err(_) => Some(text.clone()),
        },
        (Some(id), value) => {
            convert(id, entry.place, value, &entry.source, report).map(|value| value.to_string())
        }
        (None, Raw::Text(label)) => Some(label.clone()),
        (None, other) => {
            let title = format!("`base` cannot be {}", describe(other));
            let help = format!("allowed: a label of the zip `{over}`");
            report.push(Problem::at(entry.place, title).help(help));
            None
        }
    }
}

impl Sweep<'_> {
    /// Why the comparison is one of no cells.
    fn misfit(&self, spec: &CompareSpec, places: &Places) -> Option<Problem> {
        let values = self.values(&spec.over);
        if values.len() < 2 {
            let title = format!("`{}` is the same in all cells", spec.over);
            let names: Vec<&str> = self.axes.iter().map(|v| v.axis.name.as_str()).collect();
            let help = format!(
                "compare over what varies: this file varies {}",
                one_of(&names)
            );
            return Some(Problem::at(places.over, title).help(help));
        }
        if !values.contains(&spec.base) {
            return Some(no_cell_has(&spec.over, &spec.base, &values, places.base));
        }
        let mut only = spec.only.iter().zip(&places.only);
        only.find_map(|((selector, value), place)| {
            let key = selector.key();
            if key == spec.over {
                let title = format!("`where` holds `{key}` to one value, and it is compared");
                return Some(Problem::at(*place, title).help("remove it, or compare over another"));
            }
            let (values, value) = (self.values(key), value.to_string());
            (!values.contains(&value)).then(|| no_cell_has(key, &value, &values, *place))
        })
    }

    /// Every value that cells have of a setting, or every label of a zip, as text.
    fn values(&self, key: &str) -> Vec<String> {
        let of_axis = |varied: &&Varied| varied.axis.name == key;
        let Some(id) = SettingId::of(key) else {
            let zip = self.axes.iter().find(of_axis);
            return zip.map_or_else(Vec::new, |zip| zip.axis.labels.clone());
        };
        let mut values: Vec<String> = self.swept(id).map(Value::to_string).collect();
        let swept = !values.is_empty();
        let in_case = |case: &Case| {
            let mut own = case.settings.iter().filter(|(setting, _)| *setting == id);
            own.next().map(|(_, value)| value.to_string())
        };
        let in_cases: Vec<_> = self.cases.iter().map(|(case, _)| in_case(case)).collect();
        let sweeps = !self.axes.is_empty() || self.cases.is_empty();
        if (sweeps && !swept) || in_cases.contains(&None) {
            values.extend(self.outside(id));
        }
        values.extend(in_cases.into_iter().flatten());
        let mut seen = Vec::new();
        values.retain(|value| {
            !seen.contains(value) && {
                seen.push(value.clone());
                true
            }
        });
        values
    }

    /// The values of an axis or of a column of a zip.
    fn swept(&self, id: SettingId) -> impl Iterator<Item = &Value> {
        self.axes.iter().flat_map(move |varied| {
            let settings = &varied.axis.settings;
            let column = settings.iter().position(|setting| *setting == id);
            let rows = column.map(|column| varied.axis.rows.iter().map(move |row| &row[column]));
            rows.into_iter().flatten()
        })
    }

    /// The value of a setting where nothing varies it.
    fn outside(&self, id: SettingId) -> Option<String> {
        let values = self
            .base
            .iter()
            .map(|one| one.as_ref().map(|c| c.value.clone()));
        let values: Vec<Option<Value>> = values.collect();
        let default = || (id.setting().default)(Choice::of(&values).model);
        let value = values[id.index()].clone().or_else(default);
        value.map(|value| value.to_string())
    }
}

fn no_cell_has(key: &str, value: &str, values: &[String], place: Place) -> Problem {
    let words: Vec<&str> = values.iter().map(String::as_str).collect();
    Problem::at(place, format!("no cell has {key} = {value}"))
        .nearest(value, words.iter().copied())
        .help(format!("cells have {}", one_of(&words)))
}

impl Selector {
    /// The key of the setting, or the name of the zip.
    pub fn key(&self) -> &str {
        match self {
            Selector::Setting(id) => id.key(),
            Selector::Label(zip) => zip,
        }
    }
}
