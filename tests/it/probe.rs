//! `xrun probe`: ceilings alone, as a table.

use crate::program::Project;

const SMALL: &str = r#"
schema = 1
name = "small"
question = "what can this machine move?"

[model]
name = "mlp"
layers = [8, 300, 4]
local_batch = 4

[devices]
oversubscribe = true

[cluster]
topology = "parameter-server"
servers = 1
workers = 1

[measure]
steps = 1
repeats = 1
"#;

#[test]
fn every_transport_is_probed_for_the_models_of_a_file() {
    let project = Project::new();
    project.file("small.toml", SMALL);
    let lock = project.path("machine.lock");
    let called = project
        .run(&[
            "probe",
            "small.toml",
            "--machine-lock",
            lock.to_str().unwrap(),
        ])
        .expect(0);
    for ceiling in [
        "parameter-server, mlp",
        "4 tensors",
        "copy",
        "one way, shared-memory",
        "both ways, unix",
        "both ways, tcp",
        "apply",
    ] {
        assert!(
            called.stdout.contains(ceiling),
            "{ceiling}:\n{}",
            called.text()
        );
    }
    assert!(!project.path("results").exists(), "a probe writes nothing");
}

#[test]
fn a_wrong_file_is_refused_as_by_a_run() {
    let project = Project::new();
    project.file("wrong.toml", &SMALL.replace("schema", "scheme"));
    project.run(&["probe", "wrong.toml"]).expect(2);
}
