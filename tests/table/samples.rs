//! Timings as a reader sees them.

use super::*;
use insta::assert_snapshot;
use std::sync::Arc;
use tempfile::tempdir;

const HEADER: &str = "run,cell,repeat,rank,replica,first_step,steps,seconds,forward_seconds";

fn visit(text: &str) -> Result<Vec<(Arc<str>, StepWindow)>, TableError> {
    visit_bytes(text.as_bytes())
}

fn visit_bytes(text: &[u8]) -> Result<Vec<(Arc<str>, StepWindow)>, TableError> {
    let folder = tempdir().unwrap();
    let path = folder.path().join("samples.csv");
    fs::write(&path, text).unwrap();
    let mut seen = Vec::new();
    visit_samples(&path, |sample| {
        seen.push((sample.cell.clone(), sample.window))
    })?;
    Ok(seen)
}

#[test]
fn timings_keep_every_bit_and_cells_share_their_name() {
    let folder = tempdir().unwrap();
    let mut journal = open(folder.path());
    let mut windows = Vec::new();
    for repeat in 1..=3 {
        let row = row(1, repeat);
        let seconds = 1.0 / f64::from(repeat);
        let window = StepWindow {
            replica: 1,
            first_step: 7,
            steps: 2,
            seconds,
            phases: [seconds / 11.0; Phase::COUNT],
        };
        journal
            .append(
                &row,
                &[SampleRow {
                    key: row.key.clone(),
                    rank: 4,
                    window,
                }],
            )
            .unwrap();
        windows.push(window);
    }
    let (mut seen, mut cells) = (Vec::new(), Vec::new());
    visit_samples(&folder.path().join("samples.csv"), |sample| {
        assert_eq!((sample.run, sample.rank), (1, 4));
        seen.push(sample.window);
        cells.push(sample.cell.clone());
    })
    .unwrap();
    assert_eq!(seen, windows);
    assert!(
        cells
            .iter()
            .all(|cell| **cell == *"a1" && Arc::ptr_eq(cell, &cells[0]))
    );
}

#[test]
fn a_phase_that_an_older_file_lacks_is_zero_and_an_unfinished_line_is_none() {
    let seen = visit(
        &format!("{HEADER}\n1,a1,1,0,0,0,3,0.5,0.25\n1,a1,1,0,0,3,3,0.5\n")
            .replace("3,0.5\n", "3,0.5,"),
    );
    let [(_, window)] = &seen.unwrap()[..] else {
        panic!("one whole line")
    };
    let mut phases = [0.0; Phase::COUNT];
    phases[Phase::Forward as usize] = 0.25;
    assert_eq!(window.phases, phases);
    assert_eq!(visit("").unwrap(), []);
    assert_eq!(visit(&format!("{HEADER}\n")).unwrap(), []);
}

#[test]
fn a_line_without_meaning_is_named() {
    let error =
        |line: &str| message(visit(&format!("{HEADER}\n1,a1,1,0,0,0,3,0.5,\n{line}\n")).map(drop));
    assert_snapshot!(error("1,a1,1,0,0,0,3,fast,"), @"TMP/samples.csv:3: column `seconds`: `fast` is not a number that can stand here");
    assert_snapshot!(error("1,a1,1,-1,0,0,3,0.5,"), @"TMP/samples.csv:3: column `rank`: `-1` is not a number that can stand here");
    assert_snapshot!(error("1,a1,1,0,0,0,3"), @"TMP/samples.csv:3: 7 fields where the header has 9");
    let bytes = [HEADER.as_bytes(), b"\n1,a\xe9,1,0,0,0,3,1,\n"].concat();
    assert_snapshot!(message(visit_bytes(&bytes).map(drop)), @"TMP/samples.csv:2: it is not UTF-8");
    assert_snapshot!(message(visit("run,cell\n").map(drop)), @"TMP/samples.csv:1: no column `repeat`: this is no table of samples");
    assert_snapshot!(message(visit_samples(Path::new("absent/samples.csv"), |_| ())), @"cannot read absent/samples.csv: No such file or directory (os error 2)");
}
