//! `xrun compare`: verdicts, and where there must be none. The rows are made up: they test what is said of
//! them.

use crate::program::Project;
use std::path::Path;
use std::process::Command;

/// What all rows of a made-up table share.
#[derive(Clone)]
struct Table<'a> {
    blocks: u32,
    machine: &'a str,
    program: &'a str,
    threads: &'a str,
    /// Convolution and seconds of a step.
    cells: &'a [(&'a str, f64)],
}

const BASE: Table = Table {
    blocks: 8,
    machine: "box",
    program: "source:1",
    threads: "1",
    cells: &[("direct", 0.10), ("im2col", 0.20)],
};

impl Table<'_> {
    /// The same with steps that take `share` as long.
    fn times(&self, share: f64) -> String {
        let mut text = String::from(
            "run,cell,repeat,block,label,outcome,step_seconds_median,steps,examples,model.name,\
             model.convolution,devices.threads,cores,convolution,machine,program\n",
        );
        for block in 1..=self.blocks {
            // Repeats scatter by up to 1 %, and the machine drifts.
            let drift = 1.0 + 0.05 * f64::from(block);
            for (place, (convolution, seconds)) in self.cells.iter().enumerate() {
                let off = f64::from((block * 7 + 3 * place as u32) % 11) / 1000.0;
                let seconds = seconds * share * drift * (1.0 + off);
                let Table {
                    machine,
                    program,
                    threads,
                    ..
                } = self;
                let cores = if *threads == "1" { "0" } else { "\"0,1\"" };
                text += &format!(
                    "1,{convolution}{threads},{block},{block},{convolution},completed,{seconds},10,1280,\
                     cifar10,{convolution},{threads},{cores},{convolution},{machine},{program}\n"
                );
            }
        }
        text
    }

    fn write(&self, project: &Project, folder: &str, share: f64) {
        project.file(&format!("{folder}/repeats.csv"), &self.times(share));
        let record = format!("kernel = \"6.1 on {}\"\ncores = [[0]]\n", self.machine);
        project.file(&format!("{folder}/machine.toml"), &record);
    }
}

#[test]
fn two_folders_have_a_verdict_for_each_cell_and_an_exit_status_for_it() {
    let project = Project::new();
    BASE.write(&project, "a", 1.0);
    BASE.write(&project, "b", 1.5);
    let called = project.run(&["compare", "a", "b"]).expect(0);
    insta::assert_snapshot!(called.stdout, @"
    A  a, run 1
    B  b, run 1

    model.convolution    A/s  B/s  B / A  [95 %]              n  verdict
    direct             1 041  694  0.667  [0.593, 0.749]  8 + 8  slower
    im2col               519  346  0.667  [0.593, 0.749]  8 + 8  slower

    A/s and B/s are examples per second at the median step, B / A their ratio. A and B share no block:
    exact intervals of unpaired repeats (Mann-Whitney), and what changed on the machine between A and B
    is part of the ratio. The 2 verdicts hold together at 95 % (Holm).
    ");
    project
        .run(&["compare", "a", "b", "--fail-if", "faster,undecided"])
        .expect(0);
    project
        .run(&["compare", "a", "b/repeats.csv", "--fail-if", "slower"])
        .expect(3);
    project
        .run(&["compare", "b", "a", "--fail-if", "slower"])
        .expect(0);
}

#[test]
fn a_hidden_thread_count_is_told_and_gives_no_verdict_unless_asked() {
    let project = Project::new();
    BASE.write(&project, "a", 1.0);
    Table {
        threads: "2",
        ..BASE
    }
    .write(&project, "b", 0.6);
    let called = project.run(&["compare", "a", "b"]).expect(0);
    let text = called.text();
    assert!(
        text.contains("warning: devices.threads is `1` in A and `2` in B, which was not named: no verdict on 2 comparisons"),
        "{text}"
    );
    assert!(
        text.contains("no verdict") && !text.contains("faster"),
        "{text}"
    );
    let refused = project
        .run(&["compare", "a", "b", "--fail-if", "slower"])
        .expect(1);
    assert!(
        refused
            .stderr
            .contains("2 of 2 comparisons have no verdict"),
        "{}",
        refused.stderr
    );
    let asked = project
        .run(&["compare", "a", "b", "--allow-different", "devices.threads"])
        .expect(0);
    assert!(
        asked.stdout.contains("faster") && !asked.stdout.contains("warning"),
        "{}",
        asked.stdout
    );
}

#[test]
fn another_machine_or_program_is_told_and_gives_no_verdict_unless_asked() {
    let project = Project::new();
    BASE.write(&project, "a", 1.0);
    let elsewhere = Table {
        machine: "tower",
        program: "source:2",
        ..BASE
    };
    elsewhere.write(&project, "b", 0.6);
    let called = project.run(&["compare", "a", "b"]).expect(0);
    for key in [
        "machine is `box`",
        "kernel is `6.1 on box`",
        "program is `source:1`",
    ] {
        assert!(called.stdout.contains(key), "{key}: {}", called.stdout);
    }
    let half = ["compare", "a", "b", "--allow-different", "machine"];
    let half = project.run(&half).expect(0);
    assert!(half.stdout.contains("program is") && !half.stdout.contains("kernel is"));
    assert!(!half.stdout.contains("faster"), "{}", half.stdout);
    let named = [
        "--allow-different",
        "machine",
        "--allow-different",
        "program",
    ];
    let asked = project
        .run(&[&["compare", "a", "b"], &named[..]].concat())
        .expect(0);
    assert!(asked.stdout.contains("faster"), "{}", asked.stdout);
}

#[test]
fn two_commits_are_compared() {
    let project = Project::new();
    let git = |arguments: &[&str]| {
        let identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-C"];
        let status = Command::new("git")
            .args(identity)
            .arg(project.path(""))
            .args(arguments)
            .status();
        assert!(status.unwrap().success());
    };
    git(&["init", "-q"]);
    for (share, message) in [(1.0, "first"), (1.3, "second")] {
        BASE.write(&project, "results/x/box", share);
        git(&["add", "."]);
        git(&["commit", "-q", "-m", message]);
    }
    let committed = ["HEAD~1:results/x/box", "HEAD:./results/x/box/repeats.csv"];
    let called = project
        .run(&["compare", committed[0], committed[1], "--fail-if", "slower"])
        .expect(3);
    assert!(
        called.stdout.contains("A  HEAD~1:results/x/box, run 1"),
        "{}",
        called.stdout
    );
    project
        .run(&[
            "compare",
            "results/x/box",
            committed[1],
            "--fail-if",
            "slower,faster",
        ])
        .expect(0);
    let wrong = project
        .run(&["compare", "HEAD:results/y", committed[1]])
        .expect(2);
    assert!(
        wrong.stderr.contains(
            "cannot read HEAD:results/y/repeats.csv: path 'results/y/repeats.csv' does not exist"
        ),
        "{}",
        wrong.stderr
    );
}

#[test]
fn values_of_one_axis_are_compared_block_by_block() {
    let project = Project::new();
    let one = BASE.times(1.0);
    let two = Table {
        threads: "2",
        ..BASE
    }
    .times(0.6);
    let (_, rows) = two.split_once('\n').unwrap();
    project.file("a/repeats.csv", &format!("{one}{rows}"));
    let over = ["compare", "a", "--over", "devices.threads=1"];
    let called = project.run(&over).expect(0);
    insta::assert_snapshot!(called.stdout, @"
    a, run 1
    A  devices.threads = 1
    B  devices.threads = 2

    model.convolution    A/s    B/s  B / A  [95 %]          n  verdict
    direct             1 041  1 735  1.667  [1.667, 1.667]  8  faster
    im2col               519    865  1.667  [1.667, 1.667]  8  faster

    A/s and B/s are examples per second at the median step, B / A their ratio. Repeats are paired by
    block, so that drift falls out: exact signed-rank intervals, bootstrapped from 20 blocks up. The 2
    verdicts hold together at 95 % (max-T).
    ");
    let convolution = ["compare", "a", "--over", "model.convolution=direct"];
    let beside = ["--row", "model.convolution", "--col", "devices.threads"];
    let called = project.run(&[&convolution[..], &beside].concat()).expect(0);
    let table: Vec<&str> = called.stdout.lines().skip(4).take(2).collect();
    assert!(
        table[0].starts_with("model.convolution  devices.threads = 1 ")
            && table[0].ends_with("devices.threads = 2"),
        "{}",
        called.stdout
    );
    let places = table[1].matches("] slower (n = 8)").count();
    assert_eq!(places, 2, "{}", called.stdout);
    let chosen = ["--where", "model.convolution=im2col", "--fail-if", "slower"];
    let called = project.run(&[&over[..], &chosen].concat()).expect(0);
    assert!(!called.stdout.contains("direct"), "{}", called.stdout);
}

#[test]
fn three_blocks_decide_nothing() {
    let project = Project::new();
    let table = Table { blocks: 3, ..BASE };
    table.write(&project, "a", 1.0);
    let over = ["compare", "a", "--over", "model.convolution=direct"];
    let called = project.run(&over).expect(0);
    assert!(
        called
            .stdout
            .contains("undecided: cannot decide with n = 3"),
        "{}",
        called.stdout
    );
    project
        .run(&[&over[..], &["--fail-if", "undecided"]].concat())
        .expect(3);
}

#[test]
fn raw_timings_widen_intervals_of_many_blocks_and_tell_of_unrest() {
    let project = Project::new();
    let table = Table { blocks: 24, ..BASE };
    table.write(&project, "a", 1.0);
    let over = ["compare", "a", "--over", "model.convolution=direct"];
    let plain = project.run(&over).expect(0).stdout;
    let mut samples = String::from("run,cell,repeat,rank,replica,first_step,steps,seconds\n");
    for (repeat, step) in (1..=24).flat_map(|repeat| (0..40).map(move |step| (repeat, step))) {
        // Steps of one cell take either of two times; two repeats of the other one get slower at the end.
        let direct = 0.1 + 0.04 * f64::from((step * 7 + repeat) % 10) / 10.0;
        let slow = repeat <= 2 && step >= 25;
        let im2col = 0.2 + 0.001 * f64::from(step % 3) + if slow { 0.1 } else { 0.0 };
        samples += &format!("1,direct1,{repeat},0,0,{step},1,{direct}\n");
        samples += &format!("1,im2col1,{repeat},0,0,{step},1,{im2col}\n");
    }
    project.file("a/samples.csv", &samples);
    let raw = project.run(&over).expect(0).stdout;
    assert!(
        raw.contains("no steady state in 2 of 24 repeats: im2col\n"),
        "{raw}"
    );
    assert!(!raw.contains("repeats: direct"), "{raw}");
    let width = |text: &str| {
        let (_, rest) = text.lines().nth(5).unwrap().split_once('[').unwrap();
        let (low, rest) = rest.split_once(", ").unwrap();
        let high = rest.split_once(']').unwrap().0;
        high.parse::<f64>().unwrap() - low.parse::<f64>().unwrap()
    };
    assert!(width(&raw) > width(&plain), "{plain}{raw}");
    project.file("a/samples.csv", "run,cell\n");
    let broken = project.run(&over).expect(2);
    assert!(
        broken.stderr.contains("samples.csv:1: no column `repeat`"),
        "{}",
        broken.stderr
    );
}

#[test]
fn the_margin_is_never_below_the_noise_of_equal_cells() {
    let project = Project::new();
    BASE.write(&project, "a", 1.0);
    BASE.write(&project, "b", 1.06);
    let few = ["compare", "a", "b", "--where", "model.convolution=direct"];
    let called = project
        .run(&[&few[..], &["--noise-floor", "0.5"]].concat())
        .expect(0);
    assert!(called.stdout.contains("equivalent"), "{}", called.stdout);
}

#[test]
fn broken_input_is_named_with_exit_status_2() {
    let project = Project::new();
    BASE.write(&project, "a", 1.0);
    BASE.write(&project, "results/x/box", 1.0);
    project.file(
        "broken/repeats.csv",
        &BASE.times(1.0).replace(",completed,", ",complete,"),
    );
    project.file("empty/repeats.csv", "run,cell,repeat,outcome\n");
    project.file("odd/repeats.csv", &BASE.times(1.0));
    project.file("odd/machine.toml", "kernel = ");
    let other = Table {
        cells: &[("winograd", 0.1), ("direct", 0.1)],
        ..BASE
    };
    other.write(&project, "other", 1.0);
    let calls: [(&[&str], &str); 14] = [
        (
            &["a"],
            "no experiment.toml is beside the table of a: name another result",
        ),
        (
            &["a", "a", "--over", "devices.threads=1"],
            "cannot be used with",
        ),
        (
            &["nowhere", "a"],
            "nothing is at nowhere: name a result folder",
        ),
        (
            &["results", "a"],
            "no repeats.csv is in results: name one of results/x/box",
        ),
        (&["a", "broken"], "repeats.csv:2: column `outcome`"),
        (&["a", "empty"], "empty has no rows"),
        (&["a", "odd"], "machine.toml: "),
        (
            &["a", "a", "--where", "model.nam=mlp"],
            "did you mean `model.name`?",
        ),
        (
            &["a", "a", "--where", "model.name=mlp"],
            "there are cifar10",
        ),
        (
            &["a", "--over", "devices.threads"],
            "write --over KEY=VALUE",
        ),
        (
            &["a", "--over", "devices.threads=1"],
            "nothing to compare it with",
        ),
        (
            &["a", "a", "--row", "model.name"],
            "several comparisons are of model.name = cifar10",
        ),
        (
            &["a", "a", "--allow-different", "machin"],
            "did you mean `machine`?",
        ),
        (&["a", "a", "--noise-floor", "3"], "a share from 0 to 1"),
    ];
    for (arguments, message) in calls {
        let called = project.run(&[&["compare"], arguments].concat()).expect(2);
        assert!(
            called.stderr.contains(message),
            "{arguments:?}: {}",
            called.stderr
        );
    }
    let called = project.run(&[
        "compare",
        "a",
        "other",
        "--where",
        "model.convolution=winograd",
    ]);
    called.expect(2);
    let partly = project.run(&["compare", "a", "other"]).expect(0);
    assert!(
        partly.stdout.contains("1 cell of A: im2col"),
        "{}",
        partly.stdout
    );
}

#[test]
fn committed_results_of_this_repository_can_be_compared() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let results = root.join("results/convolution/intel-xeon-2-cores");
    let called = Project::new()
        .run(&[
            "compare",
            results.to_str().unwrap(),
            "--over",
            "model.convolution=im2col",
        ])
        .expect(0);
    assert!(called.stdout.contains("winograd"), "{}", called.stdout);
}

#[test]
fn what_is_within_the_noise_of_an_a_a_twin_is_no_difference() {
    let project = Project::new();
    // Each block: the baseline, its twin that is up to 8 % off, and a cell that is 5 % faster.
    let mut text = String::from(
        "run,cell,repeat,block,label,outcome,step_seconds_median,steps,examples,twin_of,\
         model.name,model.convolution\n",
    );
    for block in 1..=8u32 {
        let noise = [1.08, 0.93, 1.06, 0.95][block as usize % 4];
        for (cell, seconds, twin_of, convolution) in [
            ("a", 0.1, "", "direct"),
            ("t", 0.1 * noise, "a", "direct"),
            ("b", 0.1 / 1.05, "", "im2col"),
        ] {
            text += &format!(
                "1,{cell},{block},{block},{cell},completed,{seconds},10,1280,{twin_of},cifar10,{convolution}\n"
            );
        }
    }
    project.file("x/repeats.csv", &text);
    let arguments = ["compare", "x", "--over", "model.convolution=direct"];
    let called = project.run(&arguments).expect(0);
    assert!(
        called.stdout.contains("noise floor ± "),
        "{}",
        called.stdout
    );
    assert!(called.stdout.contains("equivalent"), "{}", called.stdout);
    assert!(!called.stdout.contains("not compared"), "{}", called.stdout);
    let told = [&arguments[..], &["--noise-floor", "0.01"]].concat();
    let called = project.run(&told).expect(0);
    assert!(called.stdout.contains("faster"), "{}", called.stdout);
}
