//! The model that predicts frames, from its file to its rows.

use crate::program::{Project, Row, count};

const SEQUENCES: &str = r#"
schema = 1
name = "sequences"
question = "does a network that is no chain of layers learn, by every topology?"

[model]
name = "sat-seq2seq"
channels = [4, 6]
image_size = 16
frames = 3
predicted_frames = 2
global_batch = 4

[devices]
kind = "cpu"
oversubscribe = true

[measure]
warmup_steps = 1
steps = 39
repeats = 1

[sweep]
model.convolution = ["im2col", "auto"]

[[sweep.cases]]
cluster.topology = "all-reduce"
cluster.workers = 2

[[sweep.cases]]
cluster.topology = "replicated"
devices.per_worker = 2

[[sweep.cases]]
cluster.topology = "parameter-server"
cluster.workers = 2
cluster.servers = 1
cluster.update = "sync"

[[sweep.cases]]
input.source = "resident"

[[sweep.cases]]
model.name = "none"
input.source = "moving-fields"
"#;

fn number(row: &Row, column: &str) -> f64 {
    row[column]
        .parse()
        .unwrap_or_else(|_| panic!("{column}: {row:?}"))
}

#[test]
fn frames_are_predicted_better_from_step_to_step_by_every_topology() {
    let project = Project::new();
    project.file("sequences.toml", SEQUENCES);
    // A repeat that was disturbed would be measured again.
    let called = project.run(&["sequences.toml", "--keep-disturbed"]);
    called.expect(0);
    let rows = project.repeats("sequences");
    assert_eq!(count(&rows, "outcome", "completed"), 7, "{rows:?}");
    let (trained, others): (Vec<_>, Vec<_>) =
        (rows.iter()).partition(|row| row["model.name"] == "sat-seq2seq");
    for row in &trained {
        let (first, last) = (number(row, "first_loss"), number(row, "last_loss"));
        assert!(last < 0.7 * first, "{first} became {last}: {row:?}");
        assert_eq!(row["model.channels"], "[4, 6]");
    }
    assert_eq!(others.len(), 1);
    assert_eq!(others[0]["model.channels"], "", "it has no encoder");
    assert_eq!(others[0]["model.frames"], "3");
}
