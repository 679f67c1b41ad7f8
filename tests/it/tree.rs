//! The tree keeps its order: who may import whom, and which library is used where.

use std::fs;
use std::path::{Path, PathBuf};

/// Modules of the library in reading order; each imports only from above it.
const ORDER: [&str; 15] = [
    "units", "terms", "stats", "machine", "spec", "plan", "flavour", "protocol", "launch",
    "worker", "table", "analysis", "chart", "cli", "commands",
];

/// Library, and the only places that may name it.
const LIBRARIES: [(&str, &[&str]); 12] = [
    ("figment::", &["spec"]),
    ("toml::", &["spec", "plan", "machine"]),
    ("clap::", &["cli", "main"]),
    ("csv::", &["table"]),
    ("plotters::", &["chart/draw"]),
    ("candle_core::", &["worker"]),
    ("rayon::", &["worker"]),
    ("tokio::", &["launch"]),
    ("indicatif::", &["launch/progress"]),
    ("nvml_wrapper::", &["machine"]),
    ("iced_x86::", &["flavour/census"]),
    ("object::", &["flavour/census"]),
];

fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.clone()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(&root).unwrap().with_extension("");
                found.push((name.to_str().unwrap().to_owned(), code(&path)));
            }
        }
    }
    found
}

/// A file without its comments, which may speak of anything.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let lines: Vec<_> = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect();
    lines.join("\n")
}

fn place(module: &str) -> Option<usize> {
    ORDER.iter().position(|name| *name == module)
}

#[test]
fn modules_import_only_from_above() {
    for (file, text) in sources() {
        let own = file.split('/').next().unwrap();
        let Some(own_place) = place(own) else {
            continue;
        };
        for import in text.split("crate::").skip(1) {
            let module = import
                .split(|c: char| !c.is_alphanumeric() && c != '_')
                .next()
                .unwrap();
            let Some(imported) = place(module) else {
                continue;
            };
            let from_worker = own == "worker"
                && !["units", "terms", "spec", "protocol", "worker"].contains(&module);
            let of_worker = module == "worker" && own != "worker" && own != "commands";
            assert!(
                imported <= own_place && !from_worker && !of_worker,
                "{file}.rs imports crate::{module}"
            );
        }
    }
}

#[test]
fn each_library_is_used_in_its_place_alone() {
    for (file, text) in sources() {
        for (library, places) in LIBRARIES {
            let used = text.match_indices(library).any(|(at, _)| {
                !text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':')
            });
            let allowed = places.iter().any(|place| file.starts_with(place));
            assert!(!used || allowed, "{file}.rs uses {library}");
        }
    }
}
