//! What is wrong with a sweep as a whole, once all its combinations have been seen.

use super::{Cell, Expansion};
use crate::spec::settings::SettingId;
use crate::spec::{Problem, Source};

impl Expansion<'_> {
    /// Reports contradictions of cells, and parts of the file that mean no cell.
    pub(super) fn finish(&mut self) {
        for ((place, title), (contradiction, label, count)) in
            std::mem::take(&mut self.contradictions)
        {
            let cells = match count {
                1 => format!("in the cell `{label}`"),
                _ => format!("in the cell `{label}` and {} more", count - 1),
            };
            let problem = Problem::at(place, title)
                .label(cells)
                .help(contradiction.help);
            let by_exclude = "or leave such cells out with [[exclude]]";
            self.report.push(match self.experiment.axes.is_empty() {
                true => problem,
                false => problem.help(by_exclude),
            });
        }
        if self.cells.is_empty() && self.report.is_empty() {
            let place = self
                .experiment
                .origin
                .excludes
                .first()
                .copied()
                .unwrap_or_default();
            self.report
                .push(Problem::at(place, "the excludes leave no cell to measure"));
            return;
        }
        self.unused();
        self.useless_excludes();
        self.baselines();
    }

    /// Refuses what the file sets and no cell has.
    fn unused(&mut self) {
        let origin = &self.experiment.origin;
        let declared = self.experiment.base.iter().map(|declared| &declared.source);
        let base = SettingId::all().zip(declared.zip(&origin.base));
        let base = base.filter(|(_, (source, _))| **source != Source::Default);
        let base = base.filter_map(|(id, (_, place))| Some((id, (*place)?)));
        let axes = self.experiment.axes.iter().zip(&origin.axes);
        let swept = axes
            .flat_map(|(axis, places)| axis.settings.iter().copied().zip(places.iter().copied()));
        for (id, place) in base.chain(swept) {
            if !self.used[id.index()] {
                let title = format!("`{}` applies to no cell of this experiment", id.key());
                self.report.push(
                    Problem::at(place, title)
                        .help(id.setting().rule.reason)
                        .help("remove the line, or change what it depends on"),
                );
            }
        }
    }

    fn useless_excludes(&mut self) {
        for (dropped, place) in self.dropped.iter().zip(&self.experiment.origin.excludes) {
            if *dropped == 0 {
                let problem = Problem::at(*place, "this exclude matches no cell");
                self.report.push(
                    problem.help(
                        "all its pairs must hold for one cell: check the values, or remove it",
                    ),
                );
            }
        }
    }

    fn baselines(&mut self) {
        let charts = self
            .experiment
            .charts
            .iter()
            .zip(&self.experiment.origin.charts);
        for (chart, place) in charts {
            let is_baseline = |cell: &Cell| {
                let pairs = &mut chart.baseline.iter();
                pairs.all(|(selector, value)| cell.matches(selector, value))
            };
            if !self.report.is_empty() || chart.baseline.is_empty() {
                continue;
            }
            if !self.cells.iter().any(is_baseline) {
                let problem = Problem::at(*place, "the chart's baseline matches no cell");
                self.report
                    .push(problem.help("a baseline is a cell of this experiment"));
            }
        }
    }
}
