//! What an experiment declares to be compared, as files beside its charts.

use crate::program::{Project, Row, rows};
use std::fs;

const TINY: &str = r#"
schema = 1
name = "tiny"
question = "is a larger batch dearer?"

[model]
name = "none"

[input]
source = "resident"

[devices]
kind = "cpu"

[measure]
warmup_steps = 1
steps = 20
repeats = 2
aa = true

[sweep]
model.local_batch = [8, 16]

[[compare]]
over = "model.local_batch"
base = 8
"#;

const FILES: [&str; 4] = [
    "comparison.csv",
    "comparison.md",
    "comparison.svg",
    "comparison.png",
];

fn told<'a>(rows: &'a [Row], column: &str) -> Vec<&'a str> {
    let whole = rows.iter().filter(|row| row["part"] == "whole-step");
    whole.map(|row| row[column].as_str()).collect()
}

#[test]
fn a_run_and_a_later_plot_write_the_comparison_of_all_machines() {
    let project = Project::new();
    project.file("tiny.toml", TINY);
    let place = project.path("plots/tiny");
    let called = project.run(&["tiny.toml", "--machine", "here"]).expect(0);
    for file in FILES {
        assert!(called.stdout.contains(file), "{}", called.stdout);
    }
    let table = rows(&place.join("comparison.csv"));
    assert_eq!(told(&table, "machine"), ["here"]);
    assert_eq!(
        (told(&table, "base"), told(&table, "value")),
        (vec!["8"], vec!["16"])
    );
    assert_eq!(told(&table, "reason"), ["cannot decide with n = 2"]);
    assert!(!told(&table, "noise_floor")[0].is_empty());

    // As if another machine had measured it, too.
    let results = project.path("results/tiny");
    fs::create_dir(results.join("there")).unwrap();
    for file in ["experiment.toml", "repeats.csv"] {
        fs::copy(
            results.join("here").join(file),
            results.join("there").join(file),
        )
        .unwrap();
    }
    project.run(&["plot", "results/tiny/here"]).expect(0);
    let table = rows(&place.join("comparison.csv"));
    assert_eq!(told(&table, "machine"), ["here", "there"]);
    let page = fs::read_to_string(place.join("comparison.md")).unwrap();
    assert!(
        page.contains("## here: ") && page.contains("## there: "),
        "{page}"
    );

    // Overrides are compared by themselves.
    let longer = ["tiny.toml", "--machine", "here", "-S", "measure.steps=30"];
    project.run(&longer).expect(0);
    let variants = fs::read_dir(place.join("here/variants")).unwrap();
    let variants: Vec<_> = variants.map(|entry| entry.unwrap().path()).collect();
    assert_eq!(variants.len(), 1);
    assert!(FILES.iter().all(|file| variants[0].join(file).is_file()));
    assert_eq!(rows(&place.join("comparison.csv")), table);

    // A folder that cannot be read is not what the run of another machine is about.
    fs::write(results.join("there/experiment.toml"), "schema = ").unwrap();
    let called = project.run(&["tiny.toml", "--machine", "here"]).expect(0);
    assert!(
        called.text().contains("is not compared"),
        "{}",
        called.text()
    );
    assert_eq!(
        told(&rows(&place.join("comparison.csv")), "machine"),
        ["here"]
    );
}
