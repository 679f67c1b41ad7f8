//! What the README says works: every file it shows is accepted, every command it shows runs.

use crate::program::Project;
use std::fs;
use std::path::Path;
use xrun::spec::settings::{SETTINGS, Setting};
use xrun::terms::ModelName;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Fenced blocks of the README in one language.
fn blocks(language: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join("README.md")).unwrap();
    let fence = format!("```{language}\n");
    text.split(&fence)
        .skip(1)
        .map(|rest| rest.split("\n```").next().unwrap().to_owned())
        .collect()
}

/// A project with the repository's experiments and results in it.
fn clone() -> Project {
    let project = Project::new();
    for folder in ["experiments", "results"] {
        copy(&root().join(folder), &project.path(folder));
    }
    project
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from)
        .unwrap()
        .map(|entry| entry.unwrap().path())
    {
        let target = to.join(entry.file_name().unwrap());
        if entry.is_dir() {
            copy(&entry, &target);
        } else {
            fs::copy(&entry, target).unwrap();
        }
    }
}

#[test]
fn every_file_shown_is_a_good_one() {
    let files = blocks("toml");
    assert!(!files.is_empty());
    for (number, text) in files.iter().enumerate() {
        let project = clone();
        project.file("experiments/shown.toml", text);
        let called = project.run(&["plan", "experiments/shown.toml"]);
        assert_eq!(
            called.code,
            Some(0),
            "block {number}:\n{text}\n{}",
            called.stderr
        );
    }
}

/// Lines of shell blocks that call xrun, as arguments.
fn commands() -> Vec<Vec<String>> {
    let lines = blocks("sh").join("\n");
    let called = |line: &str| -> Option<Vec<String>> {
        let line = line.split(" #").next()?.trim();
        let rest = line
            .strip_prefix("cargo run --release -- ")
            .or_else(|| line.strip_prefix("xrun "))?;
        Some(rest.split_whitespace().map(str::to_owned).collect())
    };
    lines.lines().filter_map(called).collect()
}

#[test]
fn every_command_shown_runs() {
    let commands = commands();
    assert!(commands.len() >= 4, "{commands:?}");
    let project = clone();
    for mut arguments in commands {
        if arguments[0].ends_with(".toml") {
            // The same command with the least work: what is tested is that it is understood and ends well.
            for setting in [
                "measure.steps=1",
                "measure.repeats=1",
                "measure.warmup_steps=1",
            ] {
                arguments.extend(["-S".to_owned(), setting.to_owned()]);
            }
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let called = project.run(&arguments);
        assert_eq!(
            called.code,
            Some(0),
            "xrun {}:\n{}",
            arguments.join(" "),
            called.text()
        );
    }
}

/// One line of the table of settings for each setting that this version runs.
fn setting_lines() -> Vec<String> {
    let default = |setting: &Setting| {
        let of = |model| (setting.default)(model).map(|value| format!("`{value}`"));
        let usual = of(ModelName::Cifar10).unwrap_or_default();
        let other = |model: ModelName| {
            let own = of(model).filter(|own| *own != usual)?;
            Some(format!(", {model} {own}"))
        };
        let others = [ModelName::Mlp, ModelName::SatSeq2seq];
        usual.clone() + &others.into_iter().filter_map(other).collect::<String>()
    };
    let line = |setting: &Setting| {
        let (key, about) = (setting.key, setting.about);
        format!(
            "| `{key}` | {} | {} | {about} |",
            setting.kind.allowed(),
            default(setting)
        )
    };
    SETTINGS.iter().map(line).collect()
}

#[test]
fn the_table_of_settings_is_the_list_of_settings() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let lines = setting_lines();
    let missing: Vec<_> = lines
        .iter()
        .filter(|line| !readme.contains(*line))
        .collect();
    assert!(
        missing.is_empty(),
        "the README wants these lines:\n{}",
        lines.join("\n")
    );
}

#[test]
fn the_test_command_is_the_one_that_ci_runs() {
    let shown = blocks("sh").join("\n");
    let ci = fs::read_to_string(root().join(".ci/run")).unwrap();
    assert!(shown.contains("cargo test --release") && ci.contains("cargo test --release"));
}
