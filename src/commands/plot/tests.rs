use super::*;
use crate::analysis::sample_rows::{RowBuilder, cifar_story, seed_rows};
use crate::analysis::{ChartStory, Story};
use crate::terms::ChartKind;

fn touch(root: &Path, folder: &str) {
    fs::create_dir_all(root.join(folder)).unwrap();
    fs::write(root.join(folder).join("repeats.csv"), "").unwrap();
}

fn story(folder: &ResultFolder) -> Story {
    Story {
        machine: folder.machine.clone(),
        charts: [ChartKind::Scaling, ChartKind::Scaling, ChartKind::Phases]
            .map(|kind| ChartStory {
                kind,
                x: "replicas".into(),
                series: Some("input".into()),
                baseline: Vec::new(),
            })
            .to_vec(),
        ..cifar_story()
    }
}

#[test]
fn one_broken_folder_leaves_the_rest_drawn() {
    let root = tempfile::tempdir().unwrap();
    let results = root.path().join("results");
    for folder in ["a/box", "a/box/variants/0a1b", "b/box", "b/box/logs"] {
        touch(&results, folder);
    }
    let load = |folder: &ResultFolder| {
        anyhow::ensure!(
            !folder.path.ends_with("b/box"),
            "line 3: a field is missing"
        );
        let (story, rows) = (story(folder), seed_rows(2));
        Ok(Loaded { story, rows })
    };
    let call = Plot {
        plots: root.path().join("plots"),
        format: Format::Svg,
        results: vec![results],
    };
    let mut out = Vec::new();
    let plotted = plot(&call, load, &mut out).unwrap();
    assert_eq!((plotted.files, plotted.problems), (6, 1));
    let said = String::from_utf8(out).unwrap();
    assert!(
        said.contains("b/box is not drawn: line 3: a field is missing"),
        "{said}"
    );
    for file in [
        "scaling.svg",
        "scaling-2.svg",
        "phases.svg",
        "variants/0a1b/phases.svg",
    ] {
        let path = call.plots.join("cifar_scaling/box").join(file);
        assert!(
            fs::read_to_string(path).unwrap().starts_with("<svg"),
            "{file}"
        );
    }
}

#[test]
fn results_without_a_completed_cell_are_said_once_and_not_drawn() {
    let root = tempfile::tempdir().unwrap();
    let loaded = Loaded {
        story: cifar_story(),
        rows: RowBuilder::cifar10(1).skipped("no GPU is here", 1),
    };
    let mut out = Vec::new();
    let plotted = draw_folder(root.path(), &loaded, Format::Both, &mut out).unwrap();
    assert_eq!(plotted, Plotted::default());
    let said = String::from_utf8(out).unwrap();
    let place = root.path().display();
    assert_eq!(
        said,
        format!("{place}: nothing is drawn, since no cell was completed\n")
    );
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
}

#[test]
fn a_folder_without_results_is_an_error() {
    let root = tempfile::tempdir().unwrap();
    let call = Plot {
        results: vec![root.path().to_path_buf()],
        plots: root.path().join("plots"),
        format: Format::Both,
    };
    let load = |_: &ResultFolder| anyhow::bail!("not reached");
    let error = plot(&call, load, &mut Vec::new()).unwrap_err().to_string();
    assert!(error.starts_with("no results below"), "{error}");
}

#[test]
fn a_file_in_the_place_of_the_plots_is_a_problem_of_that_folder() {
    let root = tempfile::tempdir().unwrap();
    let blocked = root.path().join("plots");
    fs::write(&blocked, "").unwrap();
    let loaded = Loaded {
        story: cifar_story(),
        rows: seed_rows(1),
    };
    let mut out = Vec::new();
    let plotted = draw_folder(&blocked.join("x"), &loaded, Format::Svg, &mut out).unwrap();
    assert_eq!((plotted.files, plotted.problems), (0, 5));
}
