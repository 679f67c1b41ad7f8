//! The A/A twin and its noise floor; repeats that the machine disturbed.

use crate::program::{Project, Row, count, null_model};
use rustix::thread::{CpuSet, sched_setaffinity};
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use xrun::machine::Machine;

fn tiny() -> String {
    let head = null_model(
        "tiny",
        "warmup_steps = 1\nsteps = 20\nrepeats = 2\naa = true",
    );
    head + "[sweep]\nmodel.local_batch = [8, 16]\n"
}

fn rows_of<'a>(rows: &'a [Row], label: &str) -> Vec<&'a Row> {
    rows.iter().filter(|row| row["label"] == label).collect()
}

#[test]
fn the_baseline_has_a_twin_in_each_block_and_the_table_its_floor() {
    let project = Project::new();
    project.file("tiny.toml", &tiny());
    let called = project.run(&["tiny.toml"]).expect(0);
    let rows = project.repeats("tiny");
    assert_eq!(rows.len(), 6);
    let original = rows_of(&rows, "8 examples");
    let twins = rows_of(&rows, "8 examples (twin)");
    let blocks = |rows: &[&Row]| {
        let mut blocks: Vec<_> = rows.iter().map(|row| row["block"].clone()).collect();
        blocks.sort();
        blocks
    };
    assert_eq!((blocks(&twins), blocks(&original)), {
        let both = vec!["1".to_owned(), "2".to_owned()];
        (both.clone(), both)
    });
    for twin in &twins {
        assert_eq!(twin["twin_of"], original[0]["cell"]);
        assert_ne!(twin["cell"], twin["twin_of"]);
    }
    assert_eq!(
        count(&rows, "twin_of", ""),
        4,
        "only the twin has an original"
    );
    let told = "A/A twin of `8 examples`";
    assert!(
        called.stdout.contains("noise floor ±") && called.stdout.contains(told),
        "{}",
        called.stdout
    );
    let machine = project.results("tiny").file_name().unwrap().to_owned();
    let charts = project.path("plots/tiny").join(machine);
    for chart in ["scaling.svg", "speedup.svg", "elapsed.svg"] {
        let picture = fs::read_to_string(charts.join(chart)).unwrap();
        assert!(picture.contains("noise floor ±"), "{chart}");
        assert!(!picture.contains("(twin)"), "{chart}");
    }
    let again = project.run(&["tiny.toml"]).expect(0);
    assert!(again.text().contains("nothing to measure"));
}

/// The cells of `xrun plan`: label, id and the id of the original.
fn planned(text: &str, flags: &[&str]) -> Vec<(String, String, Option<String>)> {
    let project = Project::new();
    project.file("tiny.toml", text);
    let called = project.run(&[&["plan", "tiny.toml", "--json"], flags].concat());
    let plan: serde_json::Value = serde_json::from_str(&called.expect(0).stdout).unwrap();
    let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
    let cells = plan["cells"].as_array().unwrap().iter().map(|cell| {
        let id = text(&cell["id"]).unwrap();
        (text(&cell["label"]).unwrap(), id, text(&cell["twin_of"]))
    });
    cells.collect()
}

#[test]
fn the_twin_is_of_the_charts_baseline_and_comes_with_it() {
    let cells = planned(&tiny(), &[]);
    let labels: Vec<_> = cells.iter().map(|cell| cell.0.as_str()).collect();
    assert_eq!(labels, ["8 examples", "16 examples", "8 examples (twin)"]);
    assert_eq!(cells[2].2.as_ref(), Some(&cells[0].1));

    let chart = "[[chart]]\nkind = \"speedup\"\nbaseline = { model.local_batch = 16 }\n";
    let named = planned(&format!("{}\n{chart}", tiny()), &[]);
    assert_eq!(named[2].0, "16 examples (twin)");
    assert_eq!((&named[0], &named[1]), (&cells[0], &cells[1]));

    let chosen = planned(&tiny(), &["--only", "label=8 examples"]);
    assert_eq!(chosen, [cells[0].clone(), cells[2].clone()]);
    let other = planned(&tiny(), &["--only", "label=16 examples"]);
    assert_eq!(other, [cells[1].clone()]);

    let without = planned(&tiny().replace("aa = true", "aa = false"), &[]);
    assert_eq!(without, cells[..2], "ids do not depend on it");
}

/// A worker that takes more than a second and almost no processor time.
const SLEEPER: &str = r#"#!/bin/sh
read -r job
core=$(echo "$job" | sed 's/.*"cores":\[\([0-9]*\)\].*/\1/')
echo '{"event":"ready","protocol":3,"program":"sleeper","address":null}'
read -r start
sleep 1.4
echo '{"event":"step","replica":0,"first_step":0,"steps":4,"seconds":1.2,"phases":[0,0,0,0,0,0,0,0,0,0,0]}'
echo '{"event":"replica","replica":0,"examples":32,"cores":"'"$core"'","first_loss":null,"last_loss":null,"input_checksum":1,"parameter_digest":null,"gpu":null}'
echo '{"event":"finished","steps":4,"total_steps":4,"global_steps":4,"checkpoints":0,"measured_from_seconds":0,"elapsed_seconds":1.2,"startup_seconds":0,"prefill_seconds":0,"first_step_seconds":0,"exchanged_bytes":0,"peak_memory_bytes":0,"cpu_seconds":0,"convolutions":[],"timing":"each step"}'
"#;

/// One repeat of it.
fn sleeps() -> String {
    let head = null_model("sleeps", "warmup_steps = 0\nsteps = 4\nrepeats = 1");
    head + "[flavours.sleeper]\nbinary = \"sleeper.sh\"\n[build]\nflavour = \"sleeper\"\n"
}

/// Keeps the first usable core busy while `call` runs.
fn beside_a_busy_process<T>(call: impl FnOnce() -> T) -> T {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut first = CpuSet::new();
            first.set(Machine::detect().cores[0][0]);
            sched_setaffinity(None, &first).unwrap();
            while !over.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        });
        let result = call();
        over.store(true, Ordering::Relaxed);
        result
    })
}

#[test]
fn a_repeat_beside_a_busy_process_is_marked_kept_and_taken_again_once() {
    let project = Project::new();
    project.script("sleeper.sh", SLEEPER);
    project.file("sleeps.toml", &sleeps());
    let called = beside_a_busy_process(|| project.run(&["sleeps.toml"]).expect(0));
    let rows = project.repeats("sleeps");
    let told: Vec<_> = rows
        .iter()
        .map(|row| ["repeat", "block", "position", "outcome"].map(|column| row[column].as_str()))
        .collect();
    assert_eq!(
        told,
        [["1", "1", "1", "completed"], ["2", "1", "2", "completed"]],
        "{}",
        called.text()
    );
    for row in &rows {
        assert_eq!(row["marks"], "disturbed");
        assert!(row["reason"].contains("other processes used"), "{row:?}");
        assert!(row["other_cpu_share"].parse::<f64>().unwrap() > 0.05);
    }
    let end = "2 disturbed repeats: 1 taken again, 1 kept";
    assert!(called.stderr.contains(end), "{}", called.stderr);
    let table = "1 disturbed repeat taken again: none";
    assert!(called.stdout.contains(table), "{}", called.stdout);
    let second = project.run(&["sleeps.toml"]).expect(0);
    assert!(second.text().contains("nothing to measure"));
}

#[test]
fn a_disturbed_repeat_is_kept_where_the_user_wants_it_so() {
    let project = Project::new();
    project.script("sleeper.sh", SLEEPER);
    project.file("sleeps.toml", &sleeps());
    let arguments = ["sleeps.toml", "--keep-disturbed"];
    beside_a_busy_process(|| project.run(&arguments).expect(0));
    let rows = project.repeats("sleeps");
    assert_eq!((rows.len(), count(&rows, "marks", "disturbed")), (1, 1));
}
