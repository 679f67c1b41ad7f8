use super::*;
use crate::analysis::sample_flavours::{flavour_rows, flavour_story};
use crate::commands::plot::{Plot, plot};
use crate::table::RepeatRow;

/// Result folders that `load` below can read.
fn project(folders: &[&str]) -> (tempfile::TempDir, Plot) {
    let root = tempfile::tempdir().unwrap();
    for folder in folders {
        let path = root.path().join("results").join(folder);
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join("repeats.csv"), "").unwrap();
    }
    let call = Plot {
        results: vec![root.path().join("results")],
        plots: root.path().join("plots"),
        format: Format::Svg,
    };
    (root, call)
}

fn rows() -> Vec<RepeatRow> {
    flavour_rows(8, &["plain", "avx512"], &["cifar10 im2col"])
}

/// Every folder has the rows, under the name of its machine; that of `broken` cannot be read.
fn load(folder: &ResultFolder) -> Result<Loaded> {
    anyhow::ensure!(folder.machine != "broken", "line 3: a field is missing");
    Ok(Loaded {
        story: flavour_story(&folder.machine),
        rows: rows(),
    })
}

fn called(call: &Plot) -> (Plotted, String) {
    let mut out = Vec::new();
    let plotted = plot(call, load, &mut out).unwrap();
    (plotted, String::from_utf8(out).unwrap())
}

/// Machine and verdict of each row of a table about whole steps.
fn whole_steps(csv: &Path) -> Vec<String> {
    let text = fs::read_to_string(csv).unwrap();
    let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let head = lines.next().unwrap();
    let at = |name: &str| head.iter().position(|column| *column == name).unwrap();
    let (machine, threads, part, verdict) = (
        at("machine"),
        at("devices.threads"),
        at("part"),
        at("verdict"),
    );
    let lines = lines.filter(|line| line[part] == "whole-step");
    let told = lines.map(|line| format!("{} {} {}", line[machine], line[threads], line[verdict]));
    told.collect()
}

#[test]
fn folders_of_an_experiment_share_files_whichever_is_named_and_overrides_have_their_own() {
    let names = ["build/a", "build/b", "build/a/variants/0a1b"];
    let (root, mut call) = project(&names);
    let (plotted, said) = called(&call);
    assert_eq!(plotted.problems, 0, "{said}");
    let place = call.plots.join("build_flavours");
    let both = ["a 1 faster", "a 2 faster", "b 1 faster", "b 2 faster"];
    assert_eq!(whole_steps(&place.join("comparison.csv")), both);
    let variant = place.join("a/variants/0a1b/comparison.csv");
    assert_eq!(whole_steps(&variant), both[..2]);
    let files = ["comparison.csv", "comparison.md", "comparison.svg"].map(|name| place.join(name));
    let before = files.clone().map(|file| fs::read(file).unwrap());
    for file in &files {
        assert!(said.contains(&file.display().to_string()), "{said}");
        fs::remove_file(file).unwrap();
    }
    call.results = vec![root.path().join("results/build/b")];
    called(&call);
    assert!(files.map(|file| fs::read(file).unwrap()) == before);
}

#[test]
fn a_broken_folder_beside_is_a_note_and_one_that_is_named_a_problem() {
    let (root, mut call) = project(&["build/a", "build/broken"]);
    call.results = vec![root.path().join("results/build/a")];
    let (plotted, said) = called(&call);
    assert_eq!(plotted.problems, 0, "{said}");
    assert!(
        said.contains("broken is not compared: line 3: a field is missing"),
        "{said}"
    );
    let csv = call.plots.join("build_flavours/comparison.csv");
    assert_eq!(whole_steps(&csv), ["a 1 faster", "a 2 faster"]);
    call.results = vec![root.path().join("results")];
    assert_eq!(called(&call).0.problems, 1);
}

#[test]
fn what_differs_unnamed_is_said_in_table_and_page() {
    let (_root, call) = project(&["build/a"]);
    let other_machine = |folder: &ResultFolder| {
        let mut loaded = load(folder)?;
        let avx512 = |row: &&mut RepeatRow| row.settings["build.flavour"] == "avx512";
        for row in loaded.rows.iter_mut().filter(avx512) {
            row.resolved.device_kind = "cuda".into();
        }
        Ok(loaded)
    };
    let plotted = plot(&call, other_machine, &mut Vec::new()).unwrap();
    assert_eq!(plotted.problems, 0);
    let place = call.plots.join("build_flavours");
    assert_eq!(
        whole_steps(&place.join("comparison.csv")),
        ["a 1 no verdict", "a 2 no verdict"]
    );
    let page = fs::read_to_string(place.join("comparison.md")).unwrap();
    let said = "| no verdict: device_kind is nothing against cuda |";
    assert!(page.contains(said) && !page.contains("| **"), "{page}");
}

#[test]
fn without_a_declared_comparison_or_without_a_pair_nothing_is_written() {
    let (_root, call) = project(&["build/a"]);
    let silent = |folder: &ResultFolder| {
        let mut loaded = load(folder)?;
        loaded.story.comparisons.clear();
        Ok(loaded)
    };
    let mut out = Vec::new();
    assert_eq!(plot(&call, silent, &mut out).unwrap().problems, 0);
    assert!(!String::from_utf8(out).unwrap().contains("comparison"));
    let alone = |folder: &ResultFolder| {
        let mut loaded = load(folder)?;
        loaded
            .rows
            .retain(|row| row.settings["build.flavour"] == "plain");
        Ok(loaded)
    };
    let mut out = Vec::new();
    assert_eq!(plot(&call, alone, &mut out).unwrap().problems, 0);
    let said = String::from_utf8(out).unwrap();
    assert!(
        said.contains("comparison is not drawn: nothing to compare: "),
        "{said}"
    );
    assert!(!call.plots.join("build_flavours/comparison.csv").exists());
}
