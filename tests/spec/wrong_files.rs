//! The table of wrong files: what each is told, word for word.

use super::{Files, body, read};
use insta::assert_snapshot;

/// What a file is told whose text this is, under a good header of two lines.
fn wrong(text: &str) -> String {
    match body(text) {
        Err(message) => message,
        Ok((_, plan)) => panic!("{text}\nwas read as {} cells", plan.cells.len()),
    }
}

/// What the file `x.toml` among these is told.
fn wrong_file(files: &[(&str, &str)]) -> String {
    Files::new(files).read(&[]).map(|_| ()).unwrap_err()
}

#[test]
fn keys_and_sections() {
    assert_snapshot!(wrong("[devices]\nper_workers = 2"), @"
error: unknown setting `devices.per_workers`
 --> x.toml:4:1
  |
4 | per_workers = 2
  | ^^^^^^^^^^^ did you mean `devices.per_worker`?
  |
  = help: [devices] has kind, per_worker, threads, oversubscribe, share_devices, allow_occupied, parameters, cuda_graph, tf32
");
    assert_snapshot!(wrong("[cluster]\nper_worker = 2"), @"
error: unknown setting `cluster.per_worker`
 --> x.toml:4:1
  |
4 | per_worker = 2
  | ^^^^^^^^^^ did you mean `devices.per_worker`?
  |
  = help: [cluster] has topology, workers, servers, server_threads, update, backup_workers, consistency, shards, transport, encoding, overlap
");
    assert_snapshot!(wrong("[devcies]\nper_worker = 2"), @"
error: unknown setting `devcies.per_worker`
 --> x.toml:4:1
  |
4 | per_worker = 2
  | ^^^^^^^^^^ did you mean `devices.per_worker`?
  |
  = help: sections are model, input, devices, cluster, build, measure, sweep, exclude, chart, compare and flavours
");
    assert_snapshot!(wrong("colour = \"red\""), @r#"
error: unknown setting `colour`
 --> x.toml:3:1
  |
3 | colour = "red"
  | ^^^^^^
  |
  = help: sections are model, input, devices, cluster, build, measure, sweep, exclude, chart, compare and flavours
"#);
    assert_snapshot!(wrong("measure = 5"), @"
error: `measure` is a section, not a setting
 --> x.toml:3:1
  |
3 | measure = 5
  | ^^^^^^^
  |
  = help: write [measure], and under it any of warmup_steps, steps, repeats, timeout, seed, aa, builds, stop_at_global_step, checkpoint_every
");
    assert_snapshot!(wrong("[measure]\n\"steps\" = 1\n[\"measure.steps\"]"), @r#"
error: `measure.steps` is set twice
 --> x.toml:5:2
  |
5 | ["measure.steps"]
  |  ^^^^^^^^^^^^^^^ first set in line 4
"#);
    assert_snapshot!(wrong("measure.steps = 1\n\"measure.steps\" = 2"), @r#"
error: `measure.steps` is set twice
 --> x.toml:4:1
  |
4 | "measure.steps" = 2
  | ^^^^^^^^^^^^^^^ first set in line 3
"#);
}

#[test]
fn values() {
    assert_snapshot!(wrong("[devices]\nper_worker = \"2\""), @r#"
error: `devices.per_worker` cannot be the text "2"
 --> x.toml:4:14
  |
4 | per_worker = "2"
  |              ^^^ remove the quotes
  |
  = help: allowed: a whole number from 1 to 4096
"#);
    assert_snapshot!(wrong("[devices]\nper_worker = 0"), @"
error: `devices.per_worker` cannot be the number 0
 --> x.toml:4:14
  |
4 | per_worker = 0
  |              ^
  |
  = help: allowed: a whole number from 1 to 4096
");
    assert_snapshot!(wrong("[devices]\nper_worker = -1"), @"
error: `devices.per_worker` cannot be the number -1
 --> x.toml:4:14
  |
4 | per_worker = -1
  |              ^^
  |
  = help: allowed: a whole number from 1 to 4096
");
    assert_snapshot!(wrong("[devices]\nper_worker = 1.5"), @"
error: `devices.per_worker` cannot be the number 1.5
 --> x.toml:4:14
  |
4 | per_worker = 1.5
  |              ^^^
  |
  = help: allowed: a whole number from 1 to 4096
");
    assert_snapshot!(wrong("[devices]\nper_worker = [1, 2]"), @"
error: `devices.per_worker` cannot be the list [1, 2]
 --> x.toml:4:14
  |
4 | per_worker = [1, 2]
  |              ^^^^^^ several values belong under [sweep]
  |
  = help: allowed: a whole number from 1 to 4096
");
    assert_snapshot!(wrong("[devices]\noversubscribe = \"yes\""), @r#"
error: `devices.oversubscribe` cannot be the text "yes"
 --> x.toml:4:17
  |
4 | oversubscribe = "yes"
  |                 ^^^^^
  |
  = help: allowed: `true` or `false`
"#);
    assert_snapshot!(wrong("[measure]\nsteps = 99999999999999999999"), @"
error: `measure.steps` cannot be the number 99999999999999999999
 --> x.toml:4:9
  |
4 | steps = 99999999999999999999
  |         ^^^^^^^^^^^^^^^^^^^^
  |
  = help: allowed: a whole number from 1 to 1000000000
");
    assert_snapshot!(wrong("[measure]\ntimeout = 300"), @r#"
error: `measure.timeout` cannot be the number 300
 --> x.toml:4:11
  |
4 | timeout = 300
  |           ^^^ write "300s"?
  |
  = help: allowed: a time in quotes such as "500ms", "30s", "5m" or "1h"
"#);
    assert_snapshot!(wrong("[measure]\ntimeout = \"5 minutes\""), @r#"
error: `measure.timeout` cannot be the text "5 minutes"
 --> x.toml:4:11
  |
4 | timeout = "5 minutes"
  |           ^^^^^^^^^^^ write "5m"?
  |
  = help: allowed: a time in quotes such as "500ms", "30s", "5m" or "1h"
"#);
    assert_snapshot!(wrong("[measure]\ntimeout = \"300\""), @r#"
error: `measure.timeout` cannot be the text "300"
 --> x.toml:4:11
  |
4 | timeout = "300"
  |           ^^^^^ write "300s"?
  |
  = help: allowed: a time in quotes such as "500ms", "30s", "5m" or "1h"
"#);
    assert_snapshot!(wrong("[measure]\ntimeout = \"99999h\""), @r#"
error: `measure.timeout` cannot be the text "99999h"
 --> x.toml:4:11
  |
4 | timeout = "99999h"
  |           ^^^^^^^^
  |
  = help: allowed: a time in quotes such as "500ms", "30s", "5m" or "1h"
"#);
    assert_snapshot!(wrong("[model]\nlearning_rate = nan"), @"
error: `model.learning_rate` cannot be the number nan
 --> x.toml:4:17
  |
4 | learning_rate = nan
  |                 ^^^
  |
  = help: allowed: a number above 0, at most 1000
");
    assert_snapshot!(wrong("[model]\nlearning_rate = 0"), @"
error: `model.learning_rate` cannot be the number 0
 --> x.toml:4:17
  |
4 | learning_rate = 0
  |                 ^
  |
  = help: allowed: a number above 0, at most 1000
");
    assert_snapshot!(wrong("[model]\nname = \"cifar\""), @r#"
error: `model.name` cannot be the text "cifar"
 --> x.toml:4:8
  |
4 | name = "cifar"
  |        ^^^^^^^ did you mean `cifar10`?
  |
  = help: allowed: `cifar10`, `mlp`, `sat-seq2seq` or `none`
"#);
    assert_snapshot!(wrong("[model]\nname = \"mlp\"\nlayers = [256]"), @"
error: `model.layers` cannot be the list [256]
 --> x.toml:5:10
  |
5 | layers = [256]
  |          ^^^^^
  |
  = help: allowed: a list of at least two widths such as [256, 4096, 256]
");
    assert_snapshot!(wrong("[cluster]\ntopology = \"Replicated\""), @r#"
error: `cluster.topology` cannot be the text "Replicated"
 --> x.toml:4:12
  |
4 | topology = "Replicated"
  |            ^^^^^^^^^^^^ did you mean `replicated`?
  |
  = help: allowed: `single`, `replicated`, `parameter-server`, `all-reduce` or `independent`
"#);
    assert_snapshot!(wrong("[input]\nsource = \"cifar10\"\ndirectory = 2026-01-01"), @"
error: `input.directory` cannot be a date
 --> x.toml:5:13
  |
5 | directory = 2026-01-01
  |             ^^^^^^^^^^
  |
  = help: allowed: a path in quotes
");
    assert_snapshot!(wrong("[build]\nflavour = \"nativ\"\n[flavours.native]\nprofile = \"release\""), @r#"
error: there is no flavour `nativ`
 --> x.toml:4:1
  |
4 | flavour = "nativ"
  | ^^^^^^^ did you mean `native`?
  |
  = help: write [flavours.nativ], or take `default`, `cuda` or `native`
"#);
}

#[test]
fn headers() {
    assert_snapshot!(wrong_file(&[("x.toml", "")]), @r#"
error: the file does not say its `schema`
--> x.toml
 = help: write above everything else: schema = 1

error: the experiment has no `name`
--> x.toml
 = help: write: name = "x"

2 problems, nothing was run
"#);
    assert_snapshot!(wrong_file(&[("x.toml", "schema = 2\nname = \"x\"")]), @"
error: the file is written for a newer xrun: schema 2
 --> x.toml:1:10
  |
1 | schema = 2
  |          ^ this xrun reads schema 1
  |
  = help: update xrun
");
    assert_snapshot!(wrong_file(&[("x.toml", "schema = \"1\"\nname = \"x\"")]), @r#"
error: `schema` cannot be the text "1"
 --> x.toml:1:10
  |
1 | schema = "1"
  |          ^^^
  |
  = help: write: schema = 1
"#);
    assert_snapshot!(wrong_file(&[("x.toml", "schema = 1\nname = \"../../etc\"")]), @r#"
error: `../../etc` cannot be the name of an experiment
 --> x.toml:2:8
  |
2 | name = "../../etc"
  |        ^^^^^^^^^^^ write "etc"?
  |
  = help: results go to a folder of this name: 1 to 64 of a-z, 0-9, _ and -, a letter or digit first
"#);
    assert_snapshot!(wrong_file(&[("x.toml", "schema = 1\nname = \"/tmp/x\"")]), @r#"
error: `/tmp/x` cannot be the name of an experiment
 --> x.toml:2:8
  |
2 | name = "/tmp/x"
  |        ^^^^^^^^ write "tmp_x"?
  |
  = help: results go to a folder of this name: 1 to 64 of a-z, 0-9, _ and -, a letter or digit first
"#);
    assert_snapshot!(wrong_file(&[("x.toml", "schema = 1\nname = \"..\"")]), @r#"
error: `..` cannot be the name of an experiment
 --> x.toml:2:8
  |
2 | name = ".."
  |        ^^^^
  |
  = help: results go to a folder of this name: 1 to 64 of a-z, 0-9, _ and -, a letter or digit first
"#);
    assert_snapshot!(wrong_file(&[("x.toml", "schema = 1\nname = \"\"\nquestion = 3")]), @r#"
error: `` cannot be the name of an experiment
 --> x.toml:2:8
  |
2 | name = ""
  |        ^^
  |
  = help: results go to a folder of this name: 1 to 64 of a-z, 0-9, _ and -, a letter or digit first

error: `question` cannot be the number 3
 --> x.toml:3:12
  |
3 | question = 3
  |            ^
  |
  = help: allowed: a text in quotes

2 problems, nothing was run
"#);
}

#[test]
fn cells_that_contradict_themselves() {
    assert_snapshot!(wrong("[cluster]\nservers = 2"), @r#"
error: `cluster.servers` applies to no cell of this experiment
 --> x.toml:4:1
  |
4 | servers = 2
  | ^^^^^^^
  |
  = help: only `cluster.topology = "parameter-server"` has servers
  = help: remove the line, or change what it depends on
"#);
    assert_snapshot!(wrong("[devices]\nper_worker = 2"), @r#"
error: `single` is one replica on one device, not 2
 --> x.toml:4:1
  |
4 | per_worker = 2
  | ^^^^^^^^^^ in the cell `cifar10`
  |
  = help: for several devices: cluster.topology = "replicated"
"#);
    assert_snapshot!(wrong("[cluster]\ntopology = \"parameter-server\"\nworkers = 2"), @r#"
error: a `parameter-server` cluster needs a server
 --> x.toml:4:1
  |
4 | topology = "parameter-server"
  | ^^^^^^^^ in the cell `cifar10`
  |
  = help: write: cluster.servers = 1
"#);
    assert_snapshot!(wrong("[cluster]\ntopology = \"replicated\"\nworkers = 2"), @"
error: `cluster.workers` applies to no cell of this experiment
 --> x.toml:5:1
  |
5 | workers = 2
  | ^^^^^^^
  |
  = help: the topologies `single` and `replicated` have exactly one worker
  = help: remove the line, or change what it depends on
");
    assert_snapshot!(
        wrong("[cluster]\ntopology = \"parameter-server\"\nservers = 1\nworkers = 2\nupdate = \"sync\"\nbackup_workers = 2"),
        @"
error: of 2 workers at least one must be waited for
 --> x.toml:8:1
  |
8 | backup_workers = 2
  | ^^^^^^^^^^^^^^ in the cell `cifar10`
  |
  = help: cluster.backup_workers is less than cluster.workers
"
    );
    assert_snapshot!(
        wrong("[model]\nname = \"mlp\"\nlayers = [8, 2]\n[cluster]\ntopology = \"parameter-server\"\nservers = 3"),
        @r#"
error: server 2 would hold nothing: the model `mlp` has 2 tensors
 --> x.toml:8:1
  |
8 | servers = 3
  | ^^^^^^^ in the cell `mlp`
  |
  = help: to cut tensors into pieces: cluster.shards = "split"
"#
    );
    assert_snapshot!(wrong("[measure]\nwarmup_steps = 5\nstop_at_global_step = 5"), @"
error: a stop at global step 5 comes before the end of 5 warm-up steps
 --> x.toml:5:1
  |
5 | stop_at_global_step = 5
  | ^^^^^^^^^^^^^^^^^^^ in the cell `cifar10`
  |
  = help: measure.stop_at_global_step is more than measure.warmup_steps
");
    assert_snapshot!(wrong("[measure]\nsteps = 5\nstop_at_global_step = 50"), @"
error: `measure.steps` applies to no cell of this experiment
 --> x.toml:4:1
  |
4 | steps = 5
  | ^^^^^
  |
  = help: `measure.stop_at_global_step` is set instead
  = help: remove the line, or change what it depends on
");
    assert_snapshot!(
        wrong("[model]\nname = \"none\"\n[cluster]\ntopology = \"all-reduce\""),
        @r#"
error: with the model `none` a `all-reduce` cluster has nothing to exchange
 --> x.toml:6:1
  |
6 | topology = "all-reduce"
  | ^^^^^^^^ in the cell `none`
  |
  = help: for null models in several processes: cluster.topology = "independent"
"#
    );
    assert_snapshot!(wrong("[model]\nname = \"sat-seq2seq\"\nimage_size = 30"), @"
error: images of 30 pixels cannot be halved 2 times
 --> x.toml:5:1
  |
5 | image_size = 30
  | ^^^^^^^^^^ in the cell `sat-seq2seq`
  |
  = help: for 2 levels of `model.channels`: a multiple of 4
");
    assert_snapshot!(wrong("[model]\nname = \"mlp\"\n[input]\nsource = \"cifar10\""), @r#"
error: the model `mlp` cannot train on `cifar10`
 --> x.toml:6:1
  |
6 | source = "cifar10"
  | ^^^^^^ in the cell `mlp`
  |
  = help: input.source may be `normal` or `resident`
"#);
    assert_snapshot!(wrong("[model]\nlocal_batch = 32\nglobal_batch = 64"), @"
error: `model.local_batch` and `model.global_batch` are both set
 --> x.toml:5:1
  |
5 | global_batch = 64
  | ^^^^^^^^^^^^ set only one
  |
  = help: local_batch keeps the work of a replica (weak scaling), global_batch that of a step (strong scaling)
");
    assert_snapshot!(
        wrong("[model]\nglobal_batch = 100\n[cluster]\ntopology = \"replicated\"\n[sweep]\ndevices.per_worker = [1, 2, 3, 8]"),
        @"
error: a global batch of 100 does not divide by 3 replicas
 --> x.toml:4:1
  |
4 | global_batch = 100
  | ^^^^^^^^^^^^ in the cell `3 devices`
  |
  = help: a multiple of 3 would: 99 or 102
  = help: or leave such cells out with [[exclude]]

error: a global batch of 100 does not divide by 8 replicas
 --> x.toml:4:1
  |
4 | global_batch = 100
  | ^^^^^^^^^^^^ in the cell `8 devices`
  |
  = help: a multiple of 8 would: 96 or 104
  = help: or leave such cells out with [[exclude]]

2 problems, nothing was run
"
    );
    assert_snapshot!(
        wrong("[sweep]\ncluster.topology = [\"single\", \"replicated\"]\ndevices.per_worker = [1, 2, 4]"),
        @r#"
error: `single` is one replica on one device, not 2
 --> x.toml:5:9
  |
5 | devices.per_worker = [1, 2, 4]
  |         ^^^^^^^^^^ in the cell `topology single, 2 devices`
  |
  = help: for several devices: cluster.topology = "replicated"
  = help: or leave such cells out with [[exclude]]

error: `single` is one replica on one device, not 4
 --> x.toml:5:9
  |
5 | devices.per_worker = [1, 2, 4]
  |         ^^^^^^^^^^ in the cell `topology single, 4 devices`
  |
  = help: for several devices: cluster.topology = "replicated"
  = help: or leave such cells out with [[exclude]]

2 problems, nothing was run
"#
    );
    assert_snapshot!(wrong("[model]\nlayers = [8, 2]"), @"
error: `model.layers` applies to no cell of this experiment
 --> x.toml:4:1
  |
4 | layers = [8, 2]
  | ^^^^^^
  |
  = help: only the model `mlp` has widths to choose
  = help: remove the line, or change what it depends on
");
    assert_snapshot!(wrong("[model]\nchannels = [8, 2]"), @"
error: `model.channels` applies to no cell of this experiment
 --> x.toml:4:1
  |
4 | channels = [8, 2]
  | ^^^^^^^^
  |
  = help: only the model `sat-seq2seq` has an encoder
  = help: remove the line, or change what it depends on
");
    assert_snapshot!(wrong("[model]\nname = \"none\"\npredicted_frames = 2"), @"
error: `model.predicted_frames` applies to no cell of this experiment
 --> x.toml:5:1
  |
5 | predicted_frames = 2
  | ^^^^^^^^^^^^^^^^
  |
  = help: only the model `sat-seq2seq` and the source `moving-fields` have sequences of frames
  = help: remove the line, or change what it depends on
");
    assert_snapshot!(wrong("[input]\nsource = \"resident\"\nplacement = \"device\""), @r#"
error: `input.placement` applies to no cell of this experiment
 --> x.toml:5:1
  |
5 | placement = "device"
  | ^^^^^^^^^
  |
  = help: only the sources `cifar10` and `generated` have images to distort
  = help: remove the line, or change what it depends on
"#);
    assert_snapshot!(wrong("[devices]\nkind = \"cuda\"\nthreads = 2"), @r#"
error: `devices.threads` applies to no cell of this experiment
 --> x.toml:5:1
  |
5 | threads = 2
  | ^^^^^^^
  |
  = help: with `devices.kind = "cuda"` no replica lives on a CPU
  = help: remove the line, or change what it depends on
"#);
}

#[test]
fn axes() {
    assert_snapshot!(wrong("[sweep]\ndevices.per_worker = []"), @"
error: the axis `devices.per_worker` has no values
 --> x.toml:4:22
  |
4 | devices.per_worker = []
  |                      ^^
  |
  = help: give it values, or remove the line
");
    assert_snapshot!(wrong("[sweep]\ndevices.threads = 4"), @"
error: an axis needs a list of values, not the number 4
 --> x.toml:4:19
  |
4 | devices.threads = 4
  |                   ^
  |
  = help: write devices.threads = [VALUE, VALUE], or set it in [devices]
");
    assert_snapshot!(wrong("[sweep]\ndevices.count = [1, 2]"), @"
error: unknown setting `devices.count`
 --> x.toml:4:9
  |
4 | devices.count = [1, 2]
  |         ^^^^^
  |
  = help: [devices] has kind, per_worker, threads, oversubscribe, share_devices, allow_occupied, parameters, cuda_graph, tf32
");
    assert_snapshot!(wrong("[sweep]\ncluster.servers = [1, 2]"), @r#"
error: `cluster.servers` applies to no cell of this experiment
 --> x.toml:4:9
  |
4 | cluster.servers = [1, 2]
  |         ^^^^^^^
  |
  = help: only `cluster.topology = "parameter-server"` has servers
  = help: remove the line, or change what it depends on
"#);
    assert_snapshot!(wrong("[sweep]\nmeasure.steps = [5, 6, 5]"), @"
error: the axis `measure.steps` has 5 twice
 --> x.toml:4:17
  |
4 | measure.steps = [5, 6, 5]
  |                 ^^^^^^^^^
  |
  = help: a value is measured once: remove one
");
    assert_snapshot!(wrong("[sweep]\nmeasure.steps = [5, \"six\", 7.0]"), @r#"
error: `measure.steps` cannot be the text "six"
 --> x.toml:4:21
  |
4 | measure.steps = [5, "six", 7.0]
  |                     ^^^^^
  |
  = help: allowed: a whole number from 1 to 1000000000

error: `measure.steps` cannot be the number 7.0
 --> x.toml:4:28
  |
4 | measure.steps = [5, "six", 7.0]
  |                            ^^^
  |
  = help: allowed: a whole number from 1 to 1000000000

2 problems, nothing was run
"#);
    assert_snapshot!(wrong("[sweep]\nmeasure.repeats = [5, 6]"), @"
error: `measure.repeats` is the same for all cells
 --> x.toml:4:9
  |
4 | measure.repeats = [5, 6]
  |         ^^^^^^^
  |
  = help: set it in [measure]
");
    assert_snapshot!(wrong("[sweep]\nmeasure.timeout = [\"5s\", \"6s\"]"), @r#"
error: an axis over `measure.timeout` alone measures one thing many times
 --> x.toml:4:9
  |
4 | measure.timeout = ["5s", "6s"]
  |         ^^^^^^^
  |
  = help: make it a column of a zip
"#);
    let thousand: Vec<_> = (1..1100).collect();
    let huge = format!("[sweep]\nmeasure.steps = {thousand:?}\nmeasure.seed = {thousand:?}");
    assert_snapshot!(wrong(&huge).replace(&format!("{thousand:?}"), "[…]"), @"
error: the axes make 1207801 cells, and at most 1000000 are planned
 --> x.toml:4:9
  |
4 | measure.steps = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 3...
  |         ^^^^^
  |
  = help: take fewer values, or zip axes that belong together
");
}

#[test]
fn zips_and_cases() {
    assert_snapshot!(
        wrong("[[sweep.zip]]\nname = \"input\"\ninput.source = [\"generated\", \"resident\"]\ninput.threads = [1, 2, 3]"),
        @"
error: columns of a zip are as long: `input.threads` has 3
 --> x.toml:6:17
  |
6 | input.threads = [1, 2, 3]
  |                 ^^^^^^^^^ `input.source` has 2
"
    );
    assert_snapshot!(
        wrong("[[sweep.zip]]\nname = \"input\"\ninput.source = [\"generated\", \"resident\"]\nlabels = [\"one\"]"),
        @r#"
error: a zip of 2 rows needs as many different labels
 --> x.toml:6:10
  |
6 | labels = ["one"]
  |          ^^^^^^^ found 1 texts
"#
    );
    assert_snapshot!(wrong("[[sweep.zip]]\ninput.threads = [1, 2]"), @r#"
error: a zip has no `name`
 --> x.toml:3:1
  |
3 | [[sweep.zip]]
  | ^^^^^^^^^^^^^
  |
  = help: its name is a column of the table: name = "input"
"#);
    assert_snapshot!(wrong("[[sweep.zip]]\nname = \"cell\"\ninput.threads = [1, 2]"), @r#"
error: `cell` cannot be the name of a zip
 --> x.toml:4:8
  |
4 | name = "cell"
  |        ^^^^^^
  |
  = help: it is a column of the table: a-z, 0-9, _ and -, and not one of run, cell, repeat, block, position, label, outcome, reason, replicas
"#);
    assert_snapshot!(wrong("[[sweep.zip]]\nname = \"input\""), @r#"
error: a zip varies no setting
 --> x.toml:3:1
  |
3 | [[sweep.zip]]
  | ^^^^^^^^^^^^^
  |
  = help: add a list for each: input.placement = ["device", "host"]
"#);
    assert_snapshot!(wrong("[sweep.zip]\nname = \"input\"\ninput.threads = [1, 2]"), @"
error: `sweep.zip` is a list of tables
 --> x.toml:3:8
  |
3 | [sweep.zip]
  |        ^^^
  |
  = help: write [[sweep.zip]] above the keys of each
");
    assert_snapshot!(
        wrong("[sweep]\ninput.threads = [1, 2]\n[[sweep.zip]]\nname = \"input\"\ninput.threads = [3, 4]"),
        @"
error: `input.threads` is varied twice
 --> x.toml:7:7
  |
7 | input.threads = [3, 4]
  |       ^^^^^^^ the axis `input.threads` varies it too
"
    );
    assert_snapshot!(
        wrong("[sweep]\ninput.threads = [1, 2]\n[[sweep.cases]]\ninput.threads = 2\nlabel = \"again\""),
        @"
error: the case `again` is the same cell as `2 input threads`
 --> x.toml:5:1
  |
5 | [[sweep.cases]]
  | ^^^^^^^^^^^^^^^
  |
  = help: a cell is measured once: remove the case, or change it
"
    );
    assert_snapshot!(wrong("[[sweep.cases]]\nmodel.name = \"mlp\"\ninput.threads = 2"), @r#"
error: `input.threads` does not apply to the case `mlp, 2 input threads`
 --> x.toml:5:7
  |
5 | input.threads = 2
  |       ^^^^^^^
  |
  = help: only images that are distorted with `input.placement = "host"` have it
"#);
    assert_snapshot!(wrong("[[sweep.cases]]\nmodel.nam = \"mlp\""), @r#"
error: unknown setting `model.nam`
 --> x.toml:4:7
  |
4 | model.nam = "mlp"
  |       ^^^ did you mean `model.name`?
  |
  = help: [model] has name, local_batch, global_batch, layers, channels, image_size, frames, predicted_frames, optimizer, learning_rate, convolution
"#);
}

#[test]
fn excludes_and_charts() {
    assert_snapshot!(wrong("[sweep]\ninput.threads = [1, 2]\n[[exclude]]\ninput.threads = 3"), @"
error: this exclude matches no cell
 --> x.toml:5:1
  |
5 | [[exclude]]
  | ^^^^^^^^^^^
  |
  = help: all its pairs must hold for one cell: check the values, or remove it
");
    assert_snapshot!(wrong("[[exclude]]\nmodel.name = \"cifar10\""), @"
error: the excludes leave no cell to measure
 --> x.toml:3:1
  |
3 | [[exclude]]
  | ^^^^^^^^^^^
");
    assert_snapshot!(wrong("[[exclude]]\ninput = \"host\""), @r#"
error: `input` is neither a setting nor a zip of this file
 --> x.toml:4:1
  |
4 | input = "host"
  | ^^^^^
  |
  = help: a key is a setting such as devices.per_worker, or the name of a [[sweep.zip]]
"#);
    assert_snapshot!(wrong("[exclude]\nmodel.name = \"mlp\""), @"
error: `exclude` is a list of tables
 --> x.toml:3:2
  |
3 | [exclude]
  |  ^^^^^^^
  |
  = help: write [[exclude]] above the keys of each
");
    assert_snapshot!(
        wrong("[[sweep.zip]]\nname = \"input\"\ninput.threads = [1, 2]\nlabels = [\"one\", \"two\"]\n[[exclude]]\ninput = \"three\""),
        @r#"
error: the zip `input` has no row with the text "three"
 --> x.toml:8:9
  |
8 | input = "three"
  |         ^^^^^^^
  |
  = help: its labels are `one` or `two`
"#
    );
    assert_snapshot!(wrong("[[chart]]\nkind = \"scalling\""), @r#"
error: there is no chart of the kind `scalling`
 --> x.toml:4:8
  |
4 | kind = "scalling"
  |        ^^^^^^^^^^ did you mean `scaling`?
  |
  = help: allowed: `scaling`, `speedup`, `efficiency`, `phases`, `elapsed`, `steps` or `exchange`
"#);
    assert_snapshot!(wrong("[[chart]]\nkind = \"scaling\"\nx = \"replica\""), @r#"
error: `replica` is no axis and no setting
 --> x.toml:5:5
  |
5 | x = "replica"
  |     ^^^^^^^^^ did you mean `replicas`?
  |
  = help: this file varies `replicas`
"#);
    assert_snapshot!(wrong("[[chart]]\nkind = \"scaling\"\nseries = \"inputs\"\ntitle = \"a\""), @r#"
error: `inputs` is no axis and no setting
 --> x.toml:5:10
  |
5 | series = "inputs"
  |          ^^^^^^^^
  |
  = help: this file varies nothing
"#);
    assert_snapshot!(wrong("[[chart]]\nkind = \"scaling\"\nbaseline = { devices.per_worker = 3 }"), @"
error: the chart's baseline matches no cell
 --> x.toml:3:1
  |
3 | [[chart]]
  | ^^^^^^^^^
  |
  = help: a baseline is a cell of this experiment
");
    assert_snapshot!(wrong("[[chart]]\nx = \"replicas\""), @"
error: a chart does not say its `kind`
 --> x.toml:3:1
  |
3 | [[chart]]
  | ^^^^^^^^^
  |
  = help: allowed: `scaling`, `speedup`, `efficiency`, `phases`, `elapsed`, `steps` or `exchange`
");
}

#[test]
fn comparisons() {
    let flavours =
        "[sweep]\nbuild.flavour = [\"plain\", \"native\"]\n[flavours.plain]\n[flavours.native]\n";
    let compared = |text: &str| wrong(&format!("{flavours}[[compare]]\n{text}"));
    assert_snapshot!(compared("over = \"build.flavours\"\nbase = \"plain\""), @r#"
error: `build.flavours` is no axis and no setting
 --> x.toml:8:8
  |
8 | over = "build.flavours"
  |        ^^^^^^^^^^^^^^^^ did you mean `build.flavour`?
  |
  = help: this file varies `build.flavour`
"#);
    assert_snapshot!(compared("over = \"build.flavour\"\nbase = \"plian\""), @r#"
error: no cell has build.flavour = plian
 --> x.toml:9:8
  |
9 | base = "plian"
  |        ^^^^^^^ did you mean `plain`?
  |
  = help: cells have `plain` or `native`
"#);
    assert_snapshot!(compared("over = \"devices.threads\"\nbase = 1"), @r#"
error: `devices.threads` is the same in all cells
 --> x.toml:8:8
  |
8 | over = "devices.threads"
  |        ^^^^^^^^^^^^^^^^^
  |
  = help: compare over what varies: this file varies `build.flavour`
"#);
    assert_snapshot!(compared("over = \"build.flavour\"\nbase = \"plain\"\nwhere = { devices.threads = 3 }"), @"
error: no cell has devices.threads = 3
  --> x.toml:10:29
   |
10 | where = { devices.threads = 3 }
   |                             ^
   |
   = help: cells have `1`
");
    assert_snapshot!(compared("over = \"build.flavour\"\nbase = \"plain\"\nwhere = { build.flavour = \"native\" }"), @r#"
error: `where` holds `build.flavour` to one value, and it is compared
  --> x.toml:10:27
   |
10 | where = { build.flavour = "native" }
   |                           ^^^^^^^^
   |
   = help: remove it, or compare over another
"#);
    assert_snapshot!(compared("over = \"build.flavour\"\nwhen = 1"), @"
error: a comparison has no `base`
 --> x.toml:7:1
  |
7 | [[compare]]
  | ^^^^^^^^^^^
  |
  = help: name the value that all others are compared with: base = \"plain\"

error: a comparison has no `when`
 --> x.toml:9:1
  |
9 | when = 1
  | ^^^^ did you mean `where`?
  |
  = help: a comparison has over, base and where = { KEY = VALUE }

2 problems, nothing was run
");
    assert_snapshot!(compared("base = \"plain\""), @r#"
error: a comparison does not say what it is `over`
 --> x.toml:7:1
  |
7 | [[compare]]
  | ^^^^^^^^^^^
  |
  = help: name an axis or a setting that varies: over = "build.flavour"
"#);
    assert_snapshot!(wrong("[[sweep.zip]]\nname = \"input\"\ninput.threads = [1, 2]\nlabels = [\"one\", \"two\"]\n[[compare]]\nover = \"input\"\nbase = 1"), @"
error: `base` cannot be the number 1
 --> x.toml:9:8
  |
9 | base = 1
  |        ^
  |
  = help: allowed: a label of the zip `input`
");
    assert_snapshot!(wrong("[compare]\nover = \"input\""), @"
error: `compare` is a list of tables
 --> x.toml:3:2
  |
3 | [compare]
  |  ^^^^^^^
  |
  = help: write [[compare]] above the keys of each
");
}

#[test]
fn flavours() {
    assert_snapshot!(wrong("[flavours.default]\nprofile = \"dev\""), @"
error: `default` cannot be the name of a flavour
 --> x.toml:3:11
  |
3 | [flavours.default]
  |           ^^^^^^^
  |
  = help: `default` is the running program; others are of a-z, 0-9, _ and -
");
    assert_snapshot!(wrong("[flavours.a]\nopt_level = 3"), @"
error: a flavour has no `opt_level`
 --> x.toml:4:1
  |
4 | opt_level = 3
  | ^^^^^^^^^ did you mean `opt-level`?
  |
  = help: a flavour has binary, features, profile, opt-level, lto, codegen-units, panic, debug-assertions, target_cpu, target_features, rustflags, cuda, extends, env
");
    assert_snapshot!(wrong("[flavours.a]\nopt-level = 4\nlto = \"fast\"\ncodegen-units = 0\nfeatures = [1]"), @r#"
error: `opt-level` cannot be the number 4
 --> x.toml:4:13
  |
4 | opt-level = 4
  |             ^
  |
  = help: allowed: `0`, `1`, `2`, `3`, `s` or `z`

error: `lto` cannot be the text "fast"
 --> x.toml:5:7
  |
5 | lto = "fast"
  |       ^^^^^^
  |
  = help: allowed: `true`, `false`, `off`, `thin` or `fat`

error: `codegen-units` cannot be the number 0
 --> x.toml:6:17
  |
6 | codegen-units = 0
  |                 ^
  |
  = help: allowed: a whole number from 1

error: `features` cannot be the list [1]
 --> x.toml:7:12
  |
7 | features = [1]
  |            ^^^
  |
  = help: allowed: a list of texts such as ["-C", "target-cpu=native"]

4 problems, nothing was run
"#);
    assert_snapshot!(wrong("[flavours.a]\nextends = \"b\"\n[flavours.b]\nextends = \"a\""), @"
error: the flavour `a` extends itself
 --> x.toml:3:11
  |
3 | [flavours.a]
  |           ^ a → b → a

error: the flavour `b` extends itself
 --> x.toml:5:11
  |
5 | [flavours.b]
  |           ^ b → a → b

2 problems, nothing was run
");
    assert_snapshot!(wrong("[flavours.a]\nextends = \"c\""), @"
error: the flavour `a` extends `c`, which is no flavour
 --> x.toml:3:11
  |
3 | [flavours.a]
  |           ^
");
    assert_snapshot!(wrong("[flavours]\na = 3"), @"
error: the flavour `a` is a table, not the number 3
 --> x.toml:4:5
  |
4 | a = 3
  |     ^
  |
  = help: write [flavours.a]
");
}

#[test]
fn several_mistakes_are_told_at_once() {
    assert_snapshot!(
        wrong("[model]\nname = \"cifar\"\n[devices]\nper_workers = 2\n[measure]\ntimeout = \"5 minutes\"\n[sweep]\ninput.threads = []"),
        @r#"
error: `model.name` cannot be the text "cifar"
 --> x.toml:4:8
  |
4 | name = "cifar"
  |        ^^^^^^^ did you mean `cifar10`?
  |
  = help: allowed: `cifar10`, `mlp`, `sat-seq2seq` or `none`

error: unknown setting `devices.per_workers`
 --> x.toml:6:1
  |
6 | per_workers = 2
  | ^^^^^^^^^^^ did you mean `devices.per_worker`?
  |
  = help: [devices] has kind, per_worker, threads, oversubscribe, share_devices, allow_occupied, parameters, cuda_graph, tf32

error: `measure.timeout` cannot be the text "5 minutes"
 --> x.toml:8:11
  |
8 | timeout = "5 minutes"
  |           ^^^^^^^^^^^ write "5m"?
  |
  = help: allowed: a time in quotes such as "500ms", "30s", "5m" or "1h"

error: the axis `input.threads` has no values
  --> x.toml:10:17
   |
10 | input.threads = []
   |                 ^^
   |
   = help: give it values, or remove the line

4 problems, nothing was run
"#
    );
    assert_snapshot!(wrong("[measure]\nstepz = 2\n[cluster]\nservers = 2\n[[chart]]\nkind = \"pie\""), @r#"
error: unknown setting `measure.stepz`
 --> x.toml:4:1
  |
4 | stepz = 2
  | ^^^^^ did you mean `measure.steps`?
  |
  = help: [measure] has warmup_steps, steps, repeats, timeout, seed, aa, builds, stop_at_global_step, checkpoint_every

error: `cluster.servers` applies to no cell of this experiment
 --> x.toml:6:1
  |
6 | servers = 2
  | ^^^^^^^
  |
  = help: only `cluster.topology = "parameter-server"` has servers
  = help: remove the line, or change what it depends on

error: there is no chart of the kind `pie`
 --> x.toml:8:8
  |
8 | kind = "pie"
  |        ^^^^^
  |
  = help: allowed: `scaling`, `speedup`, `efficiency`, `phases`, `elapsed`, `steps` or `exchange`

3 problems, nothing was run
"#);
    assert_snapshot!(wrong("[measure]\nsteps = \nrepeats = 2 3\nsed = 1\n[model\nname = \"mlp\""), @r#"
error: there is no value here
 --> x.toml:4:9
  |
4 | steps = 
  |         ^

error: this is no value: texts need quotes, and lists brackets
 --> x.toml:5:11
  |
5 | repeats = 2 3
  |           ^^^

error: unknown setting `measure.sed`
 --> x.toml:6:1
  |
6 | sed = 1
  | ^^^ did you mean `measure.seed`?
  |
  = help: [measure] has warmup_steps, steps, repeats, timeout, seed, aa, builds, stop_at_global_step, checkpoint_every

error: this is not TOML: unclosed table, expected `]`
 --> x.toml:7:7
  |
7 | [model
  |       ^

error: this is not TOML: duplicate key
 --> x.toml:8:1
  |
8 | name = "mlp"
  | ^^^^

5 problems, nothing was run
"#);
    let many: String = (0..60).map(|number| format!("x{number} = 1\n")).collect();
    assert!(wrong(&many).ends_with("\n\n… and 10 more problems"));
}

#[test]
fn files_that_are_no_files_of_this_kind() {
    assert_snapshot!(wrong_file(&[]), @"
error: cannot read `x.toml`: there is no such file
--> x.toml
");
    assert_snapshot!(wrong_file(&[("x.toml", "schema = 1\nname = \"x\"\nextends = \"y.toml\"")]), @r#"
error: cannot read `y.toml`: there is no such file
 --> x.toml:3:11
  |
3 | extends = "y.toml"
  |           ^^^^^^^^
"#);
    assert_snapshot!(wrong_file(&[("x.toml", "schema = 1\nname = \"x\"\nextends = 3")]), @r#"
error: `extends` names no file
 --> x.toml:3:11
  |
3 | extends = 3
  |           ^
  |
  = help: write a path relative to this file, or a list: extends = ["base.toml"]
"#);
    assert_snapshot!(
        wrong_file(&[
            ("x.toml", "schema = 1\nname = \"x\"\nextends = [\"y.toml\"]"),
            ("y.toml", "extends = \"z.toml\""),
            ("z.toml", "extends = \"x.toml\""),
        ]),
        @r#"
error: `extends` goes round in a circle: x.toml → y.toml → z.toml → x.toml
 --> z.toml:1:11
  |
1 | extends = "x.toml"
  |           ^^^^^^^^
  |
  = help: a file cannot build on itself
"#
    );
    assert_snapshot!(
        wrong_file(&[
            ("x.toml", "schema = 1\nname = \"x\"\nextends = \"y.toml\""),
            ("y.toml", "[measure]\nsteps = \"many\""),
        ]),
        @r#"
error: `measure.steps` cannot be the text "many"
 --> y.toml:2:9
  |
2 | steps = "many"
  |         ^^^^^^
  |
  = help: allowed: a whole number from 1 to 1000000000
"#
    );
    let files = Files::new(&[]);
    std::fs::create_dir(files.path("x.toml")).unwrap();
    assert_snapshot!(files.read(&[]).unwrap_err(), @"
error: cannot read `x.toml`: it is a folder, not a file
--> x.toml
");
}

#[test]
fn bytes_that_are_no_text_and_files_that_are_too_long() {
    let files = Files::new(&[]);
    std::fs::write(files.path("x.toml"), b"schema = 1\nname = \"\xff\"").unwrap();
    assert_snapshot!(files.read(&[]).unwrap_err(), @"
error: cannot read `x.toml`: byte 19 is not UTF-8; save the file as UTF-8 text
--> x.toml
");
    std::fs::File::create(files.path("x.toml"))
        .unwrap()
        .set_len(100 << 20)
        .unwrap();
    assert_snapshot!(files.read(&[]).unwrap_err(), @"
error: cannot read `x.toml`: it has 104857600 bytes, and an experiment file has at most 1048576
--> x.toml
");
}

#[test]
fn carets_stand_right_in_files_of_other_editors() {
    let windows =
        "schema = 1\r\nname = \"x\"\r\n[measure]\r\nquestion = \"é\"\r\n\tsteps = \"ü\"\r\n";
    assert_snapshot!(wrong_file(&[("x.toml", windows)]), @r#"
error: unknown setting `measure.question`
 --> x.toml:4:1
  |
4 | question = "é"
  | ^^^^^^^^
  |
  = help: [measure] has warmup_steps, steps, repeats, timeout, seed, aa, builds, stop_at_global_step, checkpoint_every

error: `measure.steps` cannot be the text "ü"
 --> x.toml:5:10
  |
5 |     steps = "ü"
  |             ^^^
  |
  = help: allowed: a whole number from 1 to 1000000000

2 problems, nothing was run
"#);
    let marked = "\u{feff}schema = 2\nname = \"x\"";
    assert_snapshot!(wrong_file(&[("x.toml", marked)]), @"
error: the file is written for a newer xrun: schema 2
 --> x.toml:1:10
  |
1 | schema = 2
  |          ^ this xrun reads schema 1
  |
  = help: update xrun
");
}

#[test]
fn deep_nesting() {
    let lists = format!(
        "[sweep]\nmeasure.steps = {}{}",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    let lists = wrong(&lists);
    assert!(
        lists.contains("this is nested too deeply: at most 80 levels"),
        "{lists}"
    );
    let tables = wrong(&format!(
        "x = {}{}",
        "{a=".repeat(100_000),
        "}".repeat(100_000)
    ));
    assert!(
        tables.contains("this is nested too deeply: at most 80 levels"),
        "{tables}"
    );
    let keys = wrong(&format!("{}a = 1", "a.".repeat(100_000)));
    assert!(
        keys.contains("this is nested too deeply: at most 80 levels"),
        "{keys}"
    );
}

#[test]
fn environment_and_flags() {
    let files = Files::new(&[("x.toml", "schema = 1\nname = \"x\"")]);
    let told = |environment: &[(&str, &str)], flags: &[&str]| {
        read(&files.path("x.toml"), environment, flags)
            .unwrap_err()
            .to_string()
    };
    assert_snapshot!(told(&[("XRUN_DEVICES__PER_WORKERS", "2")], &[]), @"
error: the variable `XRUN_DEVICES__PER_WORKERS` is no setting
 --> environment:1:1
  |
1 | XRUN_DEVICES__PER_WORKERS=2
  | ^^^^^^^^^^^^^^^^^^^^^^^^^ did you mean `XRUN_DEVICES__PER_WORKER`?
  |
  = help: a variable is XRUN_, the section, two underscores and the key: XRUN_MEASURE__STEPS
");
    assert_snapshot!(told(&[("XRUN_MEASURE__STEPS", "many")], &[]), @r#"
error: `measure.steps` cannot be the text "many"
 --> environment:1:21
  |
1 | XRUN_MEASURE__STEPS=many
  |                     ^^^^
  |
  = help: allowed: a whole number from 1 to 1000000000
"#);
    assert_snapshot!(told(&[], &["measure.steps=many"]), @r#"
error: `measure.steps` cannot be the text "many"
 --> command line:1:18
  |
1 | -S measure.steps=many
  |                  ^^^^
  |
  = help: allowed: a whole number from 1 to 1000000000
"#);
    assert_snapshot!(told(&[], &["measure.stepz=2"]), @"
error: unknown setting `measure.stepz`
 --> command line:1:4
  |
1 | -S measure.stepz=2
  |    ^^^^^^^^^^^^^ did you mean `measure.steps`?
  |
  = help: [measure] has warmup_steps, steps, repeats, timeout, seed, aa, builds, stop_at_global_step, checkpoint_every
");
    assert_snapshot!(told(&[], &["measure.steps"]), @"
error: a flag without a value
 --> command line:1:4
  |
1 | -S measure.steps
  |    ^^^^^^^^^^^^^
  |
  = help: write -S KEY=VALUE, or -S KEY=VALUE,VALUE for an axis
");
    assert_snapshot!(told(&[], &["measure.steps=1,x"]), @r#"
error: `measure.steps` cannot be the text "x"
 --> command line:1:20
  |
1 | -S measure.steps=1,x
  |                    ^
  |
  = help: allowed: a whole number from 1 to 1000000000
"#);
    assert_snapshot!(told(&[], &["cluster.servers=1"]), @r#"
error: `cluster.servers` applies to no cell of this experiment
 --> command line:1:4
  |
1 | -S cluster.servers=1
  |    ^^^^^^^^^^^^^^^
  |
  = help: only `cluster.topology = "parameter-server"` has servers
  = help: remove the line, or change what it depends on
"#);
}

#[test]
fn a_flag_cannot_set_a_column_of_a_zip() {
    let text = "schema = 1\nname = \"x\"\n[[sweep.zip]]\nname = \"input\"\ninput.threads = [1, 2]";
    let files = Files::new(&[("x.toml", text)]);
    assert_snapshot!(files.read(&["input.threads=4"]).unwrap_err(), @"
error: `input.threads` is a column of the zip `input`
 --> command line:1:4
  |
1 | -S input.threads=4
  |    ^^^^^^^^^^^^^
  |
  = help: choose rows instead: --only input=LABEL
");
}
