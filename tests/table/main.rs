//! A result folder under everything that interrupts it: ends at any byte, `kill -9`, a full disk,
//! files in each other's place, two writers, headers of other versions.

mod disk;
mod folder;
mod interruption;
mod samples;

use std::fs;
use std::path::Path;
use xrun::protocol::StepWindow;
use xrun::table::{
    Ceilings, Journal, Key, Measured, Opening, Provenance, RepeatRow, Resolved, SampleRow, State,
    TableError, visit_samples,
};
use xrun::terms::{Outcome, Phase};

const OPENING: Opening = Opening {
    setting_keys: &["model.name", "devices.per_worker"],
    axes: &["input"],
    purpose: "smoke",
    new_run: false,
};

fn open(folder: &Path) -> Journal {
    Journal::open(folder, &OPENING).unwrap()
}

fn open_error(folder: &Path) -> String {
    message(Journal::open(folder, &OPENING).map(drop))
}

/// The error with all its causes, as a person sees it, with `TMP` for a temporary folder's name.
fn message(result: Result<(), TableError>) -> String {
    let text = format!("{:#}", anyhow::Error::from(result.unwrap_err()));
    let temporary = std::env::temp_dir()
        .join(".tmp")
        .to_string_lossy()
        .into_owned();
    let mut parts = text.split(&temporary);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        text + "TMP" + part.trim_start_matches(char::is_alphanumeric)
    })
}

/// Repeat `repeat` of cell a1, with text that needs quotes.
fn row(run: u32, repeat: u32) -> RepeatRow {
    RepeatRow {
        key: Key {
            run,
            cell: "a1".to_owned(),
            repeat,
        },
        block: repeat,
        position: 1,
        build: 1,
        label: "2 devices, input on host".to_owned(),
        twin_of: String::new(),
        started_at: "2026-01-02T03:04:05Z".to_owned(),
        outcome: Outcome::Completed,
        reason: "it said:\n\"half, or so\"\n".to_owned(),
        marks: Vec::new(),
        axis_labels: [("input".to_owned(), "on host".to_owned())].into(),
        settings: [("model.name".to_owned(), "mlp".to_owned())].into(),
        resolved: Resolved::default(),
        measured: Some(Measured {
            steps: 3,
            elapsed_seconds: 0.1 + 0.2,
            ..Measured::default()
        }),
        ceilings: Ceilings::default(),
        state: State::default(),
        provenance: Provenance::default(),
    }
}

/// Two timings of a repeat.
fn samples(row: &RepeatRow) -> Vec<SampleRow> {
    let sample = |rank| SampleRow {
        key: row.key.clone(),
        rank,
        window: StepWindow {
            steps: 3,
            seconds: 0.1 + f64::from(row.key.repeat),
            ..Default::default()
        },
    };
    vec![sample(0), sample(1)]
}

/// Appends the next repeats up to number `last`.
fn append_to(journal: &mut Journal, last: u32) {
    for repeat in journal.present().count() as u32 + 1..=last {
        let row = row(journal.run(), repeat);
        journal.append(&row, &samples(&row)).unwrap();
    }
}

/// The repeat numbers of the folder's rows and, apart, of its timings.
fn numbers(folder: &Path) -> (Vec<u32>, Vec<u32>) {
    let rows = xrun::table::read_repeats(&folder.join("repeats.csv")).unwrap();
    let mut timings = Vec::new();
    visit_samples(&folder.join("samples.csv"), |sample| {
        timings.push(sample.repeat)
    })
    .unwrap();
    (rows.iter().map(|row| row.key.repeat).collect(), timings)
}

/// What [`numbers`] must be after repeats 1 to `last`.
fn whole(last: u32) -> (Vec<u32>, Vec<u32>) {
    (
        (1..=last).collect(),
        (1..=last).flat_map(|repeat| [repeat, repeat]).collect(),
    )
}

/// Makes `to` a fresh copy of `from`.
fn copy(from: &Path, to: &Path) {
    _ = fs::remove_dir_all(to);
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}
