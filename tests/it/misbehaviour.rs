//! Workers that misbehave are rows; the run goes on.

use crate::program::{Project, null_model, processes_with};
use std::time::{Duration, Instant};

const READY: &str = r#"echo '{"event":"ready","protocol":3,"program":"zoo","address":null}'"#;

/// Name, script after the job was read, outcome, a part of the reason.
fn animals() -> Vec<(&'static str, String, &'static str, &'static str)> {
    let report = |examples: u32| {
        format!(
            r#"{READY}; read start
echo '{{"event":"step","replica":0,"first_step":0,"steps":4,"seconds":0.000001,"phases":[0,0,0,0,0,0,0,0,0,0,0]}}'
echo '{{"event":"replica","replica":0,"examples":{examples},"cores":"0","first_loss":null,"last_loss":null,"input_checksum":1,"parameter_digest":null,"gpu":null}}'
echo '{{"event":"finished","steps":4,"total_steps":4,"global_steps":4,"checkpoints":0,"measured_from_seconds":0,"elapsed_seconds":0.000001,"startup_seconds":0,"prefill_seconds":0,"first_step_seconds":0,"exchanged_bytes":0,"peak_memory_bytes":0,"cpu_seconds":0,"convolutions":[],"timing":"each step"}}'"#
        )
    };
    vec![
        ("hangs", format!("{READY}; sleep 987"), "timed-out", ""),
        ("dies-early", "exit 7".into(), "failed", "7"),
        (
            "crashes",
            format!("{READY}; read start; kill -SEGV $$"),
            "failed",
            "signal",
        ),
        (
            "babbles",
            "echo to be or not to be; sleep 987".into(),
            "failed",
            "to be or not",
        ),
        ("lies", report(1), "wrong-result", "examples"),
        (
            "leaves-a-child",
            format!("sleep 987 >/dev/null 2>&1 </dev/null & {}", report(32)),
            "failed",
            "behind",
        ),
    ]
}

#[test]
fn each_gets_its_outcome_in_bounded_time_and_the_run_goes_on() {
    let project = Project::new();
    let measure = "warmup_steps = 0\nsteps = 4\nrepeats = 1\ntimeout = \"2s\"";
    let mut file = null_model("zoo", measure);
    for (name, script, ..) in animals() {
        project.script(
            &format!("{name}.sh"),
            &format!("#!/bin/sh\nread job\n{script}\n"),
        );
        file += &format!("[flavours.{name}]\nbinary = \"{name}.sh\"\n");
    }
    let names: Vec<_> = animals()
        .iter()
        .map(|(name, ..)| format!("\"{name}\""))
        .collect();
    file += &format!(
        "[sweep]\nbuild.flavour = [\"default\", {}]\n",
        names.join(", ")
    );
    project.file("zoo.toml", &file);
    let started = Instant::now();
    let called = project.run(&["zoo.toml"]).expect(3);
    assert!(
        started.elapsed() < Duration::from_secs(40),
        "every wait has a bound"
    );
    let rows = project.repeats("zoo");
    assert_eq!(rows.len(), 7, "{}", called.text());
    let row_of = |name: &str| {
        rows.iter()
            .find(|row| row["build.flavour"] == name)
            .unwrap()
    };
    for (name, _, outcome, reason) in animals() {
        let row = row_of(name);
        assert_eq!(row["outcome"], outcome, "{name}: {}", row["reason"]);
        assert!(row["reason"].contains(reason), "{name}: {}", row["reason"]);
        assert!(
            called.stdout.contains(name),
            "{name} is shown:\n{}",
            called.stdout
        );
    }
    assert_eq!(row_of("default")["outcome"], "completed");
    assert!(
        processes_with("sleep 987").is_empty(),
        "nothing is left behind"
    );
}
