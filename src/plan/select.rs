//! `--only KEY=VALUE`: some cells of a plan.

use super::{Cell, CellId, Plan};
use crate::spec::settings::{SETTINGS, SettingId, Value, one_of};
use crate::spec::{Place, Problem, Report, Selector, SpecErrors, from_text};
use std::collections::{BTreeMap, HashSet};

impl Plan {
    /// The cells that match, and the twin of one that does. A key is a setting, the name of a zip,
    /// `label` or `cell`; several values of one key are alternatives, several keys must all hold.
    ///
    /// # Errors
    ///
    /// Unknown keys, values that do not fit, and selections of no cell.
    pub fn select(mut self, only: &[String]) -> Result<Plan, SpecErrors> {
        let mut report = Report::default();
        let mut wanted: BTreeMap<&str, Vec<Wanted>> = BTreeMap::new();
        let mut last = Place::default();
        for flag in only {
            last = report
                .texts
                .add("command line".into(), &format!("--only {flag}"));
            let whole = last.span(&report.texts, 7..7 + flag.len());
            match self.wanted(flag, whole) {
                Ok((key, value)) => wanted.entry(key).or_default().push(value),
                Err(problem) => report.push(problem),
            }
        }
        let all_hold = |cell: &Cell| wanted.values().all(|any| any.iter().any(|w| w.holds(cell)));
        if report.is_empty() {
            let matching = self.cells.iter().filter(|cell| all_hold(cell));
            let chosen: HashSet<CellId> = matching.map(|cell| cell.id.clone()).collect();
            let with_twin =
                |cell: &Cell| cell.twin_of.as_ref().is_some_and(|id| chosen.contains(id));
            self.cells
                .retain(|cell| chosen.contains(&cell.id) || with_twin(cell));
            if self.cells.is_empty() {
                report.push(Problem::at(last, "no cell matches all that is selected"));
            }
        }
        match report.is_empty() {
            true => Ok(self),
            false => Err(report.into_errors()),
        }
    }

    fn wanted<'a>(&self, flag: &'a str, place: Place) -> Result<(&'a str, Wanted), Problem> {
        let Some((key, text)) = flag.split_once('=') else {
            let problem = Problem::at(place, "a selection without a value");
            return Err(problem.help("write --only KEY=VALUE"));
        };
        let wanted = match (key, SettingId::of(key)) {
            ("label", _) => Wanted::CellLabel(text.into()),
            ("cell", _) => Wanted::CellId(text.into()),
            (_, Some(id)) => {
                let kind = id.setting().kind;
                let value = from_text(kind, text).map_err(|misfit| {
                    let title = format!("`{key}` cannot be {}", misfit.found);
                    Problem::at(place, title).help(format!("allowed: {}", kind.allowed()))
                })?;
                Wanted::Pair(Selector::Setting(id), value)
            }
            (_, None) => {
                let label = Value::Text(text.into());
                Wanted::Pair(self.zip(key, place)?, label)
            }
        };
        match self.cells.iter().any(|cell| wanted.holds(cell)) {
            true => Ok((key, wanted)),
            false => Err(self.no_such(key, text, place)),
        }
    }

    /// The zip of this name.
    fn zip(&self, key: &str, place: Place) -> Result<Selector, Problem> {
        let labels = self.cells.iter().flat_map(|cell| &cell.axis_labels);
        let mut names: Vec<&str> = labels.map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        if names.contains(&key) {
            return Ok(Selector::Label(key.into()));
        }
        let keys = SETTINGS.iter().map(|setting| setting.key);
        let title = format!("`{key}` is neither a setting nor a zip of this file");
        Err(Problem::at(place, title).nearest(key, keys.chain(names).chain(["label", "cell"])))
    }

    fn no_such(&self, key: &str, text: &str, place: Place) -> Problem {
        let value = |cell: &Cell| match (key, SettingId::of(key)) {
            ("label", _) => Some(cell.label.clone()),
            ("cell", _) => Some(cell.id.0.clone()),
            (_, Some(id)) => cell.values.get(id).map(Value::to_string),
            (_, None) => cell
                .axis_labels
                .iter()
                .find(|(name, _)| name == key)
                .map(|l| l.1.clone()),
        };
        let mut values = Vec::new();
        for value in self.cells.iter().filter_map(value) {
            if values.len() < 10 && !values.contains(&value) {
                values.push(value);
            }
        }
        let words: Vec<_> = values.iter().map(String::as_str).collect();
        Problem::at(place, format!("no cell has {key} = {text}"))
            .nearest(text, words.iter().copied())
            .help(format!("cells have {}", one_of(&words)))
    }
}

/// What a cell must have.
enum Wanted {
    Pair(Selector, Value),
    CellLabel(String),
    CellId(String),
}

impl Wanted {
    fn holds(&self, cell: &Cell) -> bool {
        match self {
            Wanted::Pair(selector, value) => cell.matches(selector, value),
            Wanted::CellLabel(label) => cell.label == *label,
            Wanted::CellId(id) => cell.id.0 == *id,
        }
    }
}
