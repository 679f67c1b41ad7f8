//! What `summary.csv` says of each cell: columns with their values as text, derived and rewritten.

use crate::analysis::cluster::{self, against_single};
use crate::analysis::scaling::View;
use crate::analysis::summary::{CellSummary, Figures, Repeat};
use crate::analysis::{Estimate, Speedup};
use crate::table::{Gpus, Measured};
use crate::terms::{Outcome, Phase};
use strum::VariantArray;

/// One line of `summary.csv`: every line has the same columns in the same order.
pub type SummaryRow = Vec<(String, String)>;

/// One row for each cell of the view's summary, series by series. `keys` are the columns that say which
/// cell it is: names of axes and keys of settings.
pub fn summary_rows(view: &View, keys: &[String]) -> Vec<SummaryRow> {
    let cells = view.cells();
    cells
        .into_iter()
        .map(|cell| row(view, cell, keys))
        .collect()
}

fn row(view: &View, cell: &CellSummary, keys: &[String]) -> SummaryRow {
    let mut row = identity(view, cell, keys);
    let figures = cell.figures.as_ref();
    add(
        &mut row,
        "throughput_examples_per_second",
        figures.map(Figures::throughput),
    );
    add(&mut row, "step_seconds", figures.map(Figures::step_seconds));
    add(
        &mut row,
        "elapsed_seconds",
        figures.map(Figures::elapsed_seconds),
    );
    let speedup = view.speedup(cell);
    add(
        &mut row,
        "speedup",
        speedup.map(|speedup: Speedup| speedup.ratio),
    );
    add(
        &mut row,
        "efficiency",
        speedup.and_then(|speedup| speedup.efficiency),
    );
    let baseline = view.baseline(cell).map(|base| base.cell.clone());
    row.push(("baseline".into(), baseline.unwrap_or_default()));
    phases(&mut row, figures);
    let mut median = |column: &str, figure: fn(&Measured) -> f64| {
        let median = figures.map(|figures| figures.estimate(figure).median);
        row.push((column.into(), text(median)));
    };
    median("startup_seconds", |m| m.startup_seconds);
    median("prefill_seconds", |m| m.prefill_seconds);
    median("first_step_seconds", |m| m.first_step_seconds);
    gpus(&mut row, figures);
    steps(&mut row, view, cell);
    row
}

/// What a step of a replica costs the host of a GPU, and what it takes of the GPU's memory.
fn gpus(row: &mut SummaryRow, figures: Option<&Figures>) {
    let mut median = |column: &str, figure: fn(&Gpus) -> Option<f64>| {
        let of = |repeat: &Repeat| figure(&repeat.measured.gpus);
        let median = figures.and_then(|figures| Some(figures.optional(of)?.median));
        row.push((column.into(), text(median)));
    };
    median("launches_per_step", |gpus| gpus.launches_per_step);
    median("host_bound_share", |gpus| gpus.host_bound_share);
    median("gpu_memory_bytes", |gpus| {
        gpus.memory_bytes.map(|bytes| bytes as f64)
    });
}

/// Steps a second, what they are of one process's, and what the exchange between processes reaches.
fn steps(row: &mut SummaryRow, view: &View, cell: &CellSummary) {
    let figures = cell.figures.as_ref();
    let of = |figure: fn(&CellSummary, &Measured) -> f64| {
        figures.map(|figures| figures.estimate(|m| figure(cell, m)).median)
    };
    let optional = |figure: fn(&Repeat) -> Option<f64>| Some(figures?.optional(figure)?.median);
    let against = against_single(&view.companions(), cell);
    let columns = [
        ("steps_per_second", of(cluster::steps_per_second)),
        (
            "steps_per_second_per_worker",
            of(cluster::steps_per_second_per_worker),
        ),
        ("of_single", against.map(|against| against.all.median)),
        ("exchange_gigabytes_per_second", optional(cluster::rate)),
        (
            "exchange_ceiling_gigabytes_per_second",
            optional(|repeat| repeat.ceilings.exchange),
        ),
        ("share_of_ceiling", optional(|repeat| repeat.ceilings.share)),
    ];
    row.extend(columns.map(|(column, value)| (column.to_string(), text(value))));
}

fn identity(view: &View, cell: &CellSummary, keys: &[String]) -> SummaryRow {
    let mut row: SummaryRow = vec![
        ("run".into(), view.summary.run.to_string()),
        ("cell".into(), cell.cell.clone()),
        ("label".into(), cell.label.clone()),
    ];
    let values = keys
        .iter()
        .map(|key| (key.clone(), cell.value(key).unwrap_or("").to_string()));
    row.extend(values);
    row.push(("replicas".into(), cell.replicas.to_string()));
    row.push(("global_batch".into(), cell.global_batch.to_string()));
    for outcome in Outcome::VARIANTS {
        let column = outcome.to_string().replace('-', "_");
        row.push((column, cell.count(*outcome).to_string()));
    }
    row.push(("stale".into(), cell.stale.to_string()));
    let marks: Vec<String> = cell.marks.keys().map(|mark| mark.to_string()).collect();
    row.push(("marks".into(), marks.join(" ")));
    let reasons: Vec<&str> = cell
        .reasons
        .iter()
        .map(|(_, reason)| reason.as_str())
        .collect();
    row.push(("reasons".into(), reasons.join("; ")));
    row
}

/// Four columns: the median, the ends of its interval, and n.
fn add(row: &mut SummaryRow, column: &str, estimate: Option<Estimate>) {
    row.push((column.to_string(), text(estimate.map(|e| e.median))));
    row.push((format!("{column}_low"), text(estimate.and_then(|e| e.low))));
    row.push((
        format!("{column}_high"),
        text(estimate.and_then(|e| e.high)),
    ));
    let n = estimate.map_or(String::new(), |e| e.n.to_string());
    row.push((format!("{column}_n"), n));
}

/// Seconds a step of every phase; means, which sum to the mean step.
fn phases(row: &mut SummaryRow, figures: Option<&Figures>) {
    let seconds = figures.map(Figures::phase_seconds);
    let names = Phase::VARIANTS.iter().map(|phase| phase.column());
    for (i, name) in names.chain(["other".to_string()]).enumerate() {
        row.push((
            format!("{name}_seconds"),
            text(seconds.map(|seconds| seconds[i])),
        ));
    }
}

fn text(value: Option<f64>) -> String {
    value.map_or(String::new(), |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::sample_cluster::{ClusterBuilder, cluster_story};
    use crate::analysis::sample_rows::{RowBuilder, cifar_story, seed_rows};
    use crate::analysis::{Summary, arrange};

    #[test]
    fn steps_stand_beside_those_of_one_process_and_the_ceiling() {
        let mut rows = ClusterBuilder::single(150.0).repeats(6);
        rows.extend(ClusterBuilder::seed(4).repeats(6));
        let (summary, story) = (Summary::of(&rows), cluster_story());
        let view = arrange(&summary, &story, &story.leading_chart()).unwrap();
        let told: Vec<String> = summary_rows(&view, &[])
            .iter()
            .map(|row| {
                let columns = row[row.len() - 6..].iter();
                let said = columns.map(|(column, value)| format!("{column} {value:.6}"));
                said.collect::<Vec<_>>().join(", ")
            })
            .collect();
        insta::assert_snapshot!(told.join("\n"), @"
    steps_per_second 150.29, steps_per_second_per_worker 150.29, of_single , exchange_gigabytes_per_second , exchange_ceiling_gigabytes_per_second , share_of_ceiling 
    steps_per_second 5.7314, steps_per_second_per_worker 1.4328, of_single 0.0381, exchange_gigabytes_per_second 0.3326, exchange_ceiling_gigabytes_per_second 18, share_of_ceiling 0.0184
    ");
    }

    #[test]
    fn what_a_gpu_was_used_for_stands_in_columns_of_its_own() {
        let gpu = RowBuilder::cifar10(1).on_gpus(812.0, 0.96, 100);
        let (summary, story) = (Summary::of(&gpu.repeats(6)), cifar_story());
        let view = arrange(&summary, &story, &story.leading_chart()).unwrap();
        let row = summary_rows(&view, &[]).remove(0);
        let gpus: Vec<_> = row[row.len() - 9..row.len() - 6].to_vec();
        let expected = [
            ("launches_per_step", "812"),
            ("host_bound_share", "0.96"),
            ("gpu_memory_bytes", "1073741824"),
        ];
        assert_eq!(
            gpus,
            expected.map(|(name, value)| (name.into(), value.into()))
        );
    }

    #[test]
    fn every_cell_has_every_column_and_absent_figures_are_empty() {
        let mut rows = seed_rows(6);
        rows.extend(RowBuilder::cifar10(16).skipped("16 GPUs are needed, 8 are here", 1));
        let (summary, story) = (Summary::of(&rows), cifar_story());
        let view = arrange(&summary, &story, &story.leading_chart()).unwrap();
        let rows = summary_rows(&view, &["input".into()]);
        assert_eq!(rows.len(), summary.cells.len());
        let columns = |row: &SummaryRow| row.iter().map(|(c, _)| c.clone()).collect::<Vec<_>>();
        assert!(rows.iter().all(|row| columns(row) == columns(&rows[0])));
        let value = |row: &SummaryRow, name: &str| {
            row.iter()
                .find(|(column, _)| column == name)
                .unwrap()
                .1
                .clone()
        };
        let named = |label: &str| {
            rows.iter()
                .find(|row| value(row, "label") == label)
                .unwrap()
        };
        let two = named("2 devices, input on host");
        let skipped = named("16 devices, input on host");
        assert_eq!(value(two, "input"), "input on host");
        assert!(value(two, "speedup").starts_with("1.09"));
        assert_eq!(value(two, "baseline"), summary.cells[1].cell);
        assert_eq!(
            (
                value(two, "throughput_examples_per_second_n"),
                value(two, "completed")
            ),
            ("6".into(), "6".into())
        );
        assert_eq!(
            (value(skipped, "speedup"), value(skipped, "skipped")),
            (String::new(), "1".into())
        );
    }
}
