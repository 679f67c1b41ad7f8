//! Files that stand in the way, disks that are full.

use crate::program::{Project, rows};
use std::fs;
use std::os::unix::process::CommandExt;

const TINY: &str = r#"
schema = 1
name = "tiny"
question = "are rows safe when the disk is not?"

[model]
name = "mlp"
layers = [8, 8]
local_batch = 4

[measure]
steps = 400
repeats = 8
"#;

#[test]
fn a_file_in_the_place_of_a_folder_is_named() {
    let project = Project::new();
    project.file("tiny.toml", TINY);
    project.file("results", "not a folder");
    let called = project.run(&["tiny.toml"]).expect(1);
    assert!(called.stderr.contains("results"), "{}", called.stderr);
    assert_eq!(
        fs::read_to_string(project.path("results")).unwrap(),
        "not a folder"
    );
}

#[test]
fn a_full_disk_ends_the_run_and_keeps_the_rows_before_it() {
    let project = Project::new();
    project.file("tiny.toml", TINY);
    let mut command = project.command(&["tiny.toml"]);
    // A limit on the size of a file acts as a disk that is full once samples.csv has this size.
    // SAFETY: both calls are async-signal-safe, and nothing else happens between fork and exec.
    unsafe {
        command.pre_exec(|| {
            let limit = rustix::process::Rlimit {
                current: Some(100_000),
                maximum: Some(100_000),
            };
            rustix::process::setrlimit(rustix::process::Resource::Fsize, limit)?;
            Ok(())
        });
    }
    let output = command.output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("samples.csv"), "{stderr}");
    let folder = project.results("tiny");
    let before = rows(&folder.join("repeats.csv"));
    assert!(!before.is_empty() && before.len() < 8);
    project.run(&["tiny.toml"]).expect(0);
    let after = rows(&folder.join("repeats.csv"));
    assert_eq!((after.len(), &after[..before.len()]), (8, &before[..]));
    assert_eq!(rows(&folder.join("samples.csv")).len(), 8 * 400);
}

#[test]
fn a_wrong_file_or_flag_exits_with_2_and_writes_nothing() {
    let project = Project::new();
    project.file(
        "wrong.toml",
        &TINY.replace("steps = 400", "stpes = 400\nrepeats2 = 1"),
    );
    let called = project.run(&["wrong.toml"]).expect(2);
    assert!(
        called.stderr.contains("stpes") && called.stderr.contains("repeats2"),
        "{}",
        called.stderr
    );
    project.run(&["missing.toml"]).expect(2);
    project.run(&["wrong.toml", "--no-such-flag"]).expect(2);
    project.file("tiny.toml", TINY);
    project
        .run(&["tiny.toml", "--only", "model.nam=mlp"])
        .expect(2);
    project
        .run(&["tiny.toml", "-S", "model.local_batch=many"])
        .expect(2);
    assert!(!project.path("results").exists() && !project.path("plots").exists());
}
