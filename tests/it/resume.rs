//! A second call continues what the first one left.

use crate::program::{Project, count, null_model};
use std::collections::HashSet;
use std::fs;

fn tiny() -> String {
    let head = null_model("tiny", "warmup_steps = 1\nsteps = 5\nrepeats = 2");
    head + "[sweep]\nmodel.local_batch = [8, 16]\n"
}

fn measured() -> Project {
    let project = Project::new();
    project.file("tiny.toml", &tiny());
    project.run(&["tiny.toml"]).expect(0);
    project
}

#[test]
fn a_finished_run_is_not_measured_again() {
    let project = measured();
    let before = fs::read(project.results("tiny").join("repeats.csv")).unwrap();
    let second = project.run(&["tiny.toml"]).expect(0);
    assert!(
        second.text().contains("nothing to measure"),
        "{}",
        second.text()
    );
    assert_eq!(
        fs::read(project.results("tiny").join("repeats.csv")).unwrap(),
        before
    );
}

#[test]
fn more_repeats_are_added_to_the_same_run_under_new_numbers() {
    let project = measured();
    project.run(&["tiny.toml", "--add-repeats", "1"]).expect(0);
    let rows = project.repeats("tiny");
    assert_eq!(rows.len(), 6);
    assert_eq!(count(&rows, "run", "1"), 6);
    assert_eq!(count(&rows, "repeat", "3"), 2);
}

#[test]
fn rerun_all_starts_a_new_run_and_keeps_the_old_one() {
    let project = measured();
    project.run(&["tiny.toml", "--rerun", "all"]).expect(0);
    let rows = project.repeats("tiny");
    assert_eq!((count(&rows, "run", "1"), count(&rows, "run", "2")), (4, 4));
}

#[test]
fn without_the_marker_old_rows_are_references() {
    let project = measured();
    let folder = project.results("tiny");
    fs::remove_file(folder.join(".run")).unwrap();
    let second = project.run(&["tiny.toml"]).expect(0);
    assert!(second.stdout.contains("reference"), "{}", second.stdout);
    assert_eq!(count(&project.repeats("tiny"), "run", "2"), 4);
}

#[test]
fn what_git_would_commit_holds_no_marker_lock_or_log() {
    let project = measured();
    let folder = project.results("tiny");
    let ignored = fs::read_to_string(folder.join(".gitignore")).unwrap();
    let ignored: HashSet<&str> = ignored.lines().map(|line| line.trim_matches('/')).collect();
    let kept: HashSet<String> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !ignored.contains(name.as_str()))
        .collect();
    let wanted = [
        ".gitignore",
        "experiment.toml",
        "machine.toml",
        "plan.toml",
        "repeats.csv",
        "samples.csv",
        "summary.csv",
    ];
    assert_eq!(kept, wanted.map(str::to_owned).into());
}

#[test]
fn an_override_leaves_the_declared_results_alone() {
    let project = measured();
    project
        .run(&["tiny.toml", "-S", "measure.steps=6"])
        .expect(0);
    assert_eq!(project.repeats("tiny").len(), 4);
    let variants: Vec<_> = fs::read_dir(project.results("tiny").join("variants"))
        .unwrap()
        .collect();
    assert_eq!(variants.len(), 1);
}

#[test]
fn only_measures_the_chosen_cells() {
    let project = Project::new();
    project.file("tiny.toml", &tiny());
    project
        .run(&["tiny.toml", "--only", "model.local_batch=16"])
        .expect(0);
    let rows = project.repeats("tiny");
    assert_eq!(
        (rows.len(), count(&rows, "model.local_batch", "16")),
        (2, 2)
    );
    project.run(&["tiny.toml"]).expect(0);
    assert_eq!(project.repeats("tiny").len(), 4);
}

#[test]
fn charts_are_drawn_again_from_the_folder_alone() {
    let project = measured();
    fs::remove_file(project.path("tiny.toml")).unwrap();
    fs::remove_dir_all(project.path("plots")).unwrap();
    project.run(&["plot", "results"]).expect(0);
    let machine = project.results("tiny").file_name().unwrap().to_owned();
    let charts = project.path("plots/tiny").join(machine);
    assert!(charts.join("scaling.svg").is_file() && charts.join("scaling.png").is_file());
}
