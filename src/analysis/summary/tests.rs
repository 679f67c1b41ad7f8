use super::*;
use crate::analysis::sample_rows::RowBuilder;

#[test]
fn only_the_newest_run_and_fresh_rows_count() {
    let mut rows = RowBuilder::cifar10(1).rate(100.0).repeats(2);
    let mut newer = RowBuilder::cifar10(1).rate(200.0).repeats(3);
    newer.iter_mut().for_each(|row| row.key.run = 2);
    newer[0].marks.push(Mark::Stale);
    rows.extend(newer);
    let summary = Summary::of(&rows);
    assert_eq!((summary.run, summary.cells.len()), (2, 1));
    let cell = &summary.cells[0];
    assert_eq!((cell.stale, cell.count(Outcome::Completed)), (1, 2));
    let figures = cell.figures.as_ref().unwrap();
    assert_eq!(figures.n(), 2);
    assert!((figures.throughput().median - 200.0).abs() < 2.0);
}

#[test]
fn a_run_without_rows_has_no_cells() {
    let rows = RowBuilder::cifar10(1).repeats(2);
    let of_run = |run| Summary::of_run(&rows, run);
    assert_eq!((of_run(2).run, of_run(2).cells.len()), (2, 0));
    assert_eq!(of_run(1), Summary::of(&rows));
}

#[test]
fn the_newest_row_names_the_cell_wherever_it_stands() {
    let mut rows = RowBuilder::cifar10(2).repeats(2);
    rows[0].label = "a long label that the file had before".into();
    rows[0].axis_labels.insert("input".into(), "before".into());
    rows.reverse();
    let cell = &Summary::of(&rows).cells[0];
    assert_eq!(cell.label, "2 devices, input on host");
    assert_eq!(cell.value("input"), Some("input on host"));
}

#[test]
fn a_block_that_was_measured_again_is_not_lost() {
    let mut rows = RowBuilder::cifar10(2).repeats(4);
    for row in &mut rows[..2] {
        (row.outcome, row.reason) = (Outcome::Failed, "out of memory".into());
        row.measured = None;
    }
    rows[2].block = 1;
    let cell = &Summary::of(&rows).cells[0];
    assert_eq!(cell.lost, [(Outcome::Failed, "out of memory".to_string())]);
    assert_eq!(cell.count(Outcome::Failed), 2);
}

#[test]
fn what_was_not_completed_keeps_its_reason_once() {
    let reason = "4 cores are needed, 2 are here\nand much more";
    let rows = RowBuilder::cifar10(4).skipped(reason, 3);
    let summary = Summary::of(&rows);
    let cell = &summary.cells[0];
    assert_eq!(cell.count(Outcome::Skipped), 3);
    let first_line = "4 cores are needed, 2 are here".to_string();
    assert_eq!(cell.reasons, [(Outcome::Skipped, first_line)]);
    assert_eq!((cell.replicas, &cell.figures), (4, &None));
}

#[test]
fn phases_and_the_rest_sum_to_the_mean_step() {
    let rows = RowBuilder::cifar10(2)
        .phase(Phase::InputWait, 0.25)
        .repeats(6);
    let summary = Summary::of(&rows);
    let figures = summary.cells[0].figures.as_ref().unwrap();
    let step = figures.estimate(|m| m.step_seconds_mean);
    let sum: f64 = figures.phase_seconds().iter().sum();
    assert!((sum / step.median - 1.0).abs() < 0.02, "{sum} {step:?}");
    assert!((figures.share(&[Phase::InputWait]).median - 0.25).abs() < 1e-9);
}
