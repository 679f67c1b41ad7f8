//! What `xrun plan` prints, and the frozen plan.

use super::body;
use insta::assert_snapshot;
use xrun::commands::plan::{PlanView, plan};

const SWEEP: &str = "question = \"Where should the input pipeline run?\"\n\
    [measure]\nrepeats = 2\n[cluster]\ntopology = \"replicated\"\n\
    [sweep]\ndevices.per_worker = [1, 2]\ninput.source = [\"generated\", \"resident\"]\n\
    input.placement = [\"host\", \"device\"]\n\
    [[sweep.cases]]\nmodel.name = \"sat-seq2seq\"\n\
    [[exclude]]\ndevices.per_worker = 2\ninput.placement = \"device\"";

fn shown(text: &str, json: bool) -> String {
    let (experiment, cells) = body(text).unwrap();
    let mut skipped = vec![None; cells.cells.len()];
    skipped[0] = Some("there are 0 GPUs".into());
    let view = PlanView {
        experiment: &experiment,
        plan: &cells,
        order: &cells.block(1),
        skipped: &skipped,
        estimate: "unknown until the first block",
    };
    let mut out = Vec::new();
    plan(&view, json, &mut out).unwrap();
    let folder = experiment.path.parent().unwrap().display().to_string();
    String::from_utf8(out)
        .unwrap()
        .replace(&format!("{folder}/"), "")
}

#[test]
fn a_plan_shows_what_differs_and_where_values_come_from() {
    assert_snapshot!(shown(SWEEP, false), @"
x
  Where should the input pipeline run?

6 cells in 2 blocks, 2 skipped, 1 excluded, 2 merged into cells that are the same: 8 repeats to run

block 1  cell          label                                         model.name   input.source  input.placement  devices.per_worker
1        db00f9cdfe8b  1 device, source resident                     cifar10      resident      –                1
2        f18739c1e9da  1 device, source generated, placement device  cifar10      generated     device           1
3        3939d4829e89  1 device, source generated, placement host    cifar10      generated     host             1                   skipped
4        015f4f6a67a5  2 devices, source resident                    cifar10      resident      –                2
5        f8c34535eede  2 devices, source generated, placement host   cifar10      generated     host             2
6        45845a0b55bd  sat-seq2seq                                   sat-seq2seq  normal        –                1                   skipped
skipped: there are 0 GPUs: 1 device, source generated, placement host
skipped: the model sat-seq2seq is not built into this version: sat-seq2seq

setting                value                from
devices.per_worker     1, 2                 x.toml:9
input.source           generated, resident  x.toml:10
input.placement        host, device         x.toml:11
cluster.topology       replicated           x.toml:7
measure.repeats        2                    x.toml:5
model.name             by cell              default
model.local_batch      128                  default
model.optimizer        by cell              default
model.learning_rate    by cell              default
model.convolution      auto                 default
input.device_pipeline  per-image            default
input.pipelines        per-replica          default
input.threads          16                   default
input.shuffle_buffer   20000                default
devices.kind           auto                 default
devices.threads        1                    default
devices.oversubscribe  false                default
devices.share_devices  false                default
devices.parameters     host                 default
build.flavour          default              default
measure.warmup_steps   10                   default
measure.steps          100                  default
measure.timeout        300s                 default
measure.seed           1                    default
measure.aa             false                default
measure.builds         1                    default

estimated time: unknown until the first block
");
}

#[test]
fn a_long_plan_is_cut_and_its_json_is_not() {
    let text = format!(
        "[sweep]\nmeasure.steps = {:?}",
        (1..=60).collect::<Vec<_>>()
    );
    let table = shown(&text, false);
    assert!(
        table.contains("\n… and 10 more cells (all of them with --json)\n"),
        "{table}"
    );
    assert!(
        table.contains("1, 2, 3, 4, 5, 6, 7, 8, … (52 more)"),
        "{table}"
    );
    let json: serde_json::Value = serde_json::from_str(&shown(&text, true)).unwrap();
    assert_eq!(json["cells"].as_array().unwrap().len(), 60);
    assert_eq!(json["cells"][0]["skipped"], "there are 0 GPUs");
    assert_eq!(json["cells"][1]["settings"]["measure.steps"], 2);
    assert_eq!(json["settings"]["measure.seed"]["source"], "default");
    assert_eq!(json["first_block"].as_array().unwrap().len(), 60);
}

#[test]
fn the_frozen_plan_has_every_setting_and_the_order_of_every_block() {
    let (experiment, cells) = body(SWEEP).unwrap();
    let frozen = cells.to_toml(&experiment);
    assert_snapshot!(frozen, @r#"
experiment = "x"
seed = 1
repeats = 2

[settings]
"model.local_batch" = 128
"model.convolution" = "auto"
"devices.kind" = "auto"
"devices.threads" = 1
"devices.oversubscribe" = false
"devices.share_devices" = false
"devices.parameters" = "host"
"cluster.topology" = "replicated"
"build.flavour" = "default"
"measure.warmup_steps" = 10
"measure.steps" = 100
"measure.repeats" = 2
"measure.timeout" = "300s"
"measure.seed" = 1
"measure.aa" = false
"measure.builds" = 1

[[cell]]
id = "3939d4829e89"
label = "1 device, source generated, placement host"
"model.name" = "cifar10"
"model.optimizer" = "sgd"
"model.learning_rate" = 0.1
"input.source" = "generated"
"input.placement" = "host"
"input.pipelines" = "per-replica"
"input.threads" = 16
"input.shuffle_buffer" = 20000
"devices.per_worker" = 1

[[cell]]
id = "f18739c1e9da"
label = "1 device, source generated, placement device"
"model.name" = "cifar10"
"model.optimizer" = "sgd"
"model.learning_rate" = 0.1
"input.source" = "generated"
"input.placement" = "device"
"input.device_pipeline" = "per-image"
"devices.per_worker" = 1

[[cell]]
id = "db00f9cdfe8b"
label = "1 device, source resident"
"model.name" = "cifar10"
"model.optimizer" = "sgd"
"model.learning_rate" = 0.1
"input.source" = "resident"
"devices.per_worker" = 1

[[cell]]
id = "f8c34535eede"
label = "2 devices, source generated, placement host"
"model.name" = "cifar10"
"model.optimizer" = "sgd"
"model.learning_rate" = 0.1
"input.source" = "generated"
"input.placement" = "host"
"input.pipelines" = "per-replica"
"input.threads" = 16
"input.shuffle_buffer" = 20000
"devices.per_worker" = 2

[[cell]]
id = "015f4f6a67a5"
label = "2 devices, source resident"
"model.name" = "cifar10"
"model.optimizer" = "sgd"
"model.learning_rate" = 0.1
"input.source" = "resident"
"devices.per_worker" = 2

[[cell]]
id = "45845a0b55bd"
label = "sat-seq2seq"
skipped = "the model sat-seq2seq is not built into this version"
"model.name" = "sat-seq2seq"
"model.optimizer" = "adam"
"model.learning_rate" = 0.001
"input.source" = "normal"
"devices.per_worker" = 1

[[block]]
number = 1
order = ["db00f9cdfe8b", "f18739c1e9da", "3939d4829e89", "015f4f6a67a5", "f8c34535eede", "45845a0b55bd"]

[[block]]
number = 2
order = ["3939d4829e89", "db00f9cdfe8b", "f8c34535eede", "f18739c1e9da", "45845a0b55bd", "015f4f6a67a5"]
"#);
    let table: toml::Table = frozen.parse().unwrap();
    for block in table["block"].as_array().unwrap() {
        assert_eq!(block["order"].as_array().unwrap().len(), cells.cells.len());
    }
}
