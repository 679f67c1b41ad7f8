//! Every experiment in `experiments/` runs as it is, with the least work.

use crate::program::{Project, count};
use std::collections::HashMap;
use std::fs;
use std::path::Path;

#[test]
fn every_shipped_experiment_runs() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments");
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(files.len() >= 3);
    for file in files {
        let project = Project::new();
        let name = file.file_stem().unwrap().to_str().unwrap();
        let least = [
            "measure.steps=1",
            "measure.repeats=1",
            "measure.warmup_steps=1",
            // Flavours are built from a small crate in tests of their own.
            "build.flavour=default",
        ];
        let mut arguments = vec![file.to_str().unwrap()];
        least
            .iter()
            .for_each(|setting| arguments.extend(["-S", setting]));
        project.run(&arguments).expect(0);
        let variants = project.results(name).join("variants");
        let variant = fs::read_dir(variants)
            .unwrap()
            .next()
            .unwrap()
            .unwrap()
            .path();
        let rows = crate::program::rows(&variant.join("repeats.csv"));
        if name.ends_with("_gpu") {
            skipped_for_want_of_a_gpu(name, &rows);
            continue;
        }
        let completed = count(&rows, "outcome", "completed");
        assert!(completed >= 1, "{name} measures something");
        assert_eq!(
            completed + count(&rows, "outcome", "skipped"),
            rows.len(),
            "{name}: {rows:?}"
        );
    }
}

/// All rows say what is missing: programs of tests see no GPU.
fn skipped_for_want_of_a_gpu(name: &str, rows: &[HashMap<String, String>]) {
    assert!(!rows.is_empty(), "{name} has rows");
    for row in rows {
        assert_eq!(row["outcome"], "skipped", "{name}: {row:?}");
        assert!(
            row["reason"].starts_with("no GPU found by NVML: "),
            "{name}: {row:?}"
        );
    }
}

#[test]
fn committed_results_are_of_the_shipped_files() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for name in ["cifar_scaling", "cifar_strong_scaling", "smoke"] {
        let machines: Vec<_> = fs::read_dir(root.join("results").join(name))
            .unwrap()
            .collect();
        assert!(!machines.is_empty(), "{name} has committed results");
        for machine in machines {
            let folder = machine.unwrap().path();
            let rows = crate::program::rows(&folder.join("repeats.csv"));
            assert!(
                count(&rows, "outcome", "completed") > 0,
                "{}",
                folder.display()
            );
        }
    }
}
