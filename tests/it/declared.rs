//! `[[compare]]`: what a file declares is compared by `xrun compare` and below a run's table; steps that
//! came to no rest are told there, too.

use crate::program::Project;
use std::process::Command;

/// Four cells, and three pairs that are declared to be compared.
const DECLARED: &str = r#"
schema = 1
name = "declared"

[sweep]
model.convolution = ["direct", "im2col"]
devices.threads = [1, 2]

[[compare]]
over = "model.convolution"
base = "direct"

[[compare]]
over = "devices.threads"
base = 1
where = { model.convolution = "direct" }
"#;

/// A result folder of [`DECLARED`], in which cells have the ids that the file gives them. The last cell
/// has `outcome`.
fn declared_folder(project: &Project, folder: &str, outcome: &str) {
    project.file(&format!("{folder}/experiment.toml"), DECLARED);
    let file = format!("{folder}/experiment.toml");
    let planned = project.run(&["plan", &file, "--json"]).expect(0).stdout;
    let planned: serde_json::Value = serde_json::from_str(&planned).unwrap();
    let mut text = String::from(
        "run,cell,repeat,block,label,outcome,step_seconds_median,steps,examples,model.name,\
         model.convolution,devices.threads,cores\n",
    );
    let cells = [
        ("direct", "1", "0", 0.2),
        ("direct", "2", "\"0,1\"", 0.11),
        ("im2col", "1", "0", 0.3),
        ("im2col", "2", "\"0,1\"", 0.11),
    ];
    for block in 1..=8 {
        for (place, (convolution, threads, cores, seconds)) in cells.iter().enumerate() {
            let id = planned["cells"][place]["id"].as_str().unwrap();
            let off = 1.0 + f64::from((block * 7 + 3 * place as u32) % 11) / 2000.0;
            let outcome = if place == 3 { outcome } else { "completed" };
            text += &format!(
                "1,{id},{block},{block},old name,{outcome},{},10,1280,cifar10,{convolution},{threads},{cores}\n",
                seconds * off
            );
        }
    }
    project.file(&format!("{folder}/repeats.csv"), &text);
}

#[test]
fn what_the_file_declares_is_compared_and_decided_together() {
    let project = Project::new();
    declared_folder(&project, "a", "completed");
    let called = project.run(&["compare", "a"]).expect(0);
    insta::assert_snapshot!(called.stdout, @"
    a, run 1
    A  model.convolution = direct
    B  model.convolution = im2col

    devices.threads    A/s    B/s  B / A  [95 %]          n  verdict
    1                  638    426  0.667  [0.665, 0.668]  8  slower
    2                1 160  1 161  1.000  [0.997, 1.002]  8  equivalent

    A  devices.threads = 1, where model.convolution = direct
    B  devices.threads = 2

    A/s    B/s  B / A  [95 %]          n  verdict
    638  1 160  1.815  [1.815, 1.820]  8  faster

    A/s and B/s are examples per second at the median step, B / A their ratio. Repeats are paired by
    block, so that drift falls out: exact signed-rank intervals, bootstrapped from 20 blocks up. The 3
    verdicts hold together at 95 % (max-T).
    ");
    assert!(
        called
            .stdout
            .lines()
            .all(|line| line.chars().count() <= 100)
    );
    let chosen = ["--where", "model.convolution=im2col", "--fail-if"];
    let im2col = [&["compare", "a"], &chosen[..]].concat();
    let called = project.run(&[&im2col[..], &["slower"]].concat()).expect(3);
    assert!(
        called.stdout.contains("Verdicts hold together over all 3"),
        "{}",
        called.stdout
    );
    project.run(&[&im2col[..], &["faster"]].concat()).expect(0);
    let narrow = ["compare", "a", "--where", "devices.threads=1"];
    let narrow = project.run(&narrow).expect(0);
    assert!(
        !narrow.stdout.contains("A  devices.threads"),
        "{}",
        narrow.stdout
    );
    let wrong = ["compare", "a", "--where", "model.convolution=winograd"];
    let wrong = project.run(&wrong).expect(2);
    assert!(
        wrong.stderr.contains("there are im2col, direct"),
        "{}",
        wrong.stderr
    );
}

#[test]
fn what_a_commit_declares_is_compared_and_a_file_without_it_says_how() {
    let project = Project::new();
    declared_folder(&project, "results/x/box", "completed");
    let git = |arguments: &[&str]| {
        let identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-C"];
        let mut git = Command::new("git");
        git.args(identity).arg(project.path("")).args(arguments);
        assert!(git.status().unwrap().success());
    };
    for arguments in [
        &["init", "-q"][..],
        &["add", "."],
        &["commit", "-q", "-m", "all"],
    ] {
        git(arguments);
    }
    let here = project.run(&["compare", "results/x/box"]).expect(0).stdout;
    let committed = project.run(&["compare", "HEAD:results/x/box"]).expect(0);
    assert_eq!(
        committed.stdout,
        here.replace("results/x/box", "HEAD:results/x/box")
    );
    let (without, _) = DECLARED.split_once("[[compare]]").unwrap();
    project.file("results/x/box/experiment.toml", without);
    let called = project.run(&["compare", "results/x/box"]).expect(2);
    assert!(
        called
            .stderr
            .contains("results/x/box declares no comparison: add [[compare]]"),
        "{}",
        called.stderr
    );
}

#[test]
fn a_comparison_of_which_one_side_failed_does_not_pass() {
    let project = Project::new();
    declared_folder(&project, "a", "failed");
    declared_folder(&project, "b", "completed");
    let asked = ["--fail-if", "undecided"];
    let refused = project
        .run(&[&["compare", "a"], &asked[..]].concat())
        .expect(1);
    assert!(
        refused
            .stderr
            .contains("only one side has completed repeats of"),
        "{}",
        refused.stderr
    );
    let chosen = ["--where", "devices.threads=1"];
    project
        .run(&[&["compare", "a"], &asked[..], &chosen].concat())
        .expect(0);
    project
        .run(&[&["compare", "b"], &asked[..]].concat())
        .expect(0);
    let over = ["compare", "a", "--over", "model.convolution=direct"];
    project.run(&[&over[..], &asked].concat()).expect(1);
    for sides in [["a", "b"], ["b", "a"]] {
        let between = ["compare", sides[0], sides[1]];
        project.run(&between).expect(0);
        project
            .run(&[&between[..], &["--fail-if", "slower"]].concat())
            .expect(1);
    }
}

fn unwrapped(text: &str) -> String {
    text.replace('\n', " ")
}

const TINY: &str = r#"
schema = 1
name = "tiny"
question = "is a larger batch faster?"

[model]
name = "none"

[input]
source = "resident"

[measure]
warmup_steps = 1
steps = 20
repeats = 6

[sweep]
model.local_batch = [8, 16, 32]
"#;

#[test]
fn declaring_a_comparison_measures_nothing_again_and_a_run_tells_its_verdicts() {
    let project = Project::new();
    project.file("tiny.toml", TINY);
    let before = project.run(&["tiny.toml"]).expect(0).stdout;
    assert!(!before.contains("B / A"), "{before}");
    let compare = "[[compare]]\nover = \"model.local_batch\"\nbase = 8\n";
    project.file("tiny.toml", &format!("{TINY}\n{compare}"));
    let called = project.run(&["tiny.toml"]).expect(0);
    assert!(
        called.text().contains("nothing to measure"),
        "{}",
        called.text()
    );
    for told in [
        "A  model.local_batch = 8",
        "B  every other model.local_batch",
        "B / A is the ratio of examples per second",
        "The 2 verdicts hold together at 95 % (max-T).",
    ] {
        assert!(
            unwrapped(&called.stdout).contains(told),
            "{told}: {}",
            called.stdout
        );
    }
    assert!(
        called
            .stdout
            .lines()
            .all(|line| line.chars().count() <= 100)
    );
    let folder = project.results("tiny");
    let again = project
        .run(&["compare", folder.to_str().unwrap()])
        .expect(0);
    assert!(
        unwrapped(&again.stdout).contains("The 2 verdicts"),
        "{}",
        again.stdout
    );
    let moot = [
        "tiny.toml",
        "-S",
        "model.local_batch=16,32",
        "-S",
        "measure.repeats=1",
    ];
    let moot = project.run(&moot).expect(0);
    assert!(
        moot.stdout
            .contains("not compared with model.local_batch = 8: flags"),
        "{}",
        moot.stdout
    );
}

/// A worker whose steps get slower while they are measured.
const TIRING: &str = r#"#!/bin/sh
read -r job
core=$(echo "$job" | sed 's/.*"cores":\[\([0-9]*\)\].*/\1/')
echo '{"event":"ready","protocol":3,"program":"tiring","address":null}'
read -r start
sleep 0.6
step=0
while [ $step -lt 40 ]; do
    seconds=0.01
    if [ $step -ge 25 ]; then seconds=0.02; fi
    echo '{"event":"step","replica":0,"first_step":'$step',"steps":1,"seconds":'$seconds',"phases":[0,0,0,0,0,0,0,0,0,0,0]}'
    step=$((step + 1))
done
echo '{"event":"replica","replica":0,"examples":320,"cores":"'"$core"'","first_loss":null,"last_loss":null,"input_checksum":1,"parameter_digest":null,"gpu":null}'
echo '{"event":"finished","steps":40,"total_steps":40,"global_steps":40,"checkpoints":0,"measured_from_seconds":0,"elapsed_seconds":0.55,"startup_seconds":0,"prefill_seconds":0,"first_step_seconds":0,"exchanged_bytes":0,"peak_memory_bytes":0,"cpu_seconds":0,"convolutions":[],"timing":"each step"}'
"#;

#[test]
fn a_run_tells_of_steps_that_came_to_no_rest() {
    let project = Project::new();
    project.script("tiring.sh", TIRING);
    let (head, _) = TINY.split_once("[sweep]").unwrap();
    let text = head
        .replace("steps = 20", "steps = 40")
        .replace("repeats = 6", "repeats = 2");
    let text = text.replace("warmup_steps = 1", "warmup_steps = 0");
    let text = text.replace("name = \"none\"", "name = \"none\"\nlocal_batch = 8");
    let flavour = "[build]\nflavour = \"tiring\"\n[flavours.tiring]\nbinary = \"tiring.sh\"\n";
    project.file("tiny.toml", &format!("{text}{flavour}"));
    let called = project.run(&["tiny.toml"]).expect(0);
    assert!(
        called
            .stdout
            .contains("no steady state in 2 of 2 repeats: none"),
        "{}",
        called.text()
    );
}
