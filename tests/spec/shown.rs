//! What `xrun plan` prints, and the frozen plan.

use super::body;
use insta::assert_snapshot;
use xrun::commands::plan::{PlanView, plan};

const SWEEP: &str = "question = \"Where should the input pipeline run?\"\n\
    [measure]\nrepeats = 2\n[cluster]\ntopology = \"replicated\"\n\
    [sweep]\ndevices.per_worker = [1, 2]\ninput.source = [\"generated\", \"resident\"]\n\
    input.placement = [\"host\", \"device\"]\n\
    [[sweep.cases]]\nmodel.name = \"sat-seq2seq\"\n\
    [[sweep.cases]]\nmodel.name = \"none\"\ninput.placement = \"device\"\n\
    input.device_pipeline = \"fused\"\ndevices.kind = \"cpu\"\n\
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

7 cells in 2 blocks, 2 skipped, 1 excluded, 2 merged into cells that are the same: 10 repeats to run

block 1  cell          label                                                    model.name   input.source   input.placement  input.device_pipeline  devices.kind  devices.per_worker
1        3939d4829e89  1 device, source generated, placement host               cifar10      generated      host             –                      auto          1                   skipped
2        f8c34535eede  2 devices, source generated, placement host              cifar10      generated      host             –                      auto          2
3        db00f9cdfe8b  1 device, source resident                                cifar10      resident       –                –                      auto          1
4        f18739c1e9da  1 device, source generated, placement device             cifar10      generated      device           per-image              auto          1
5        45845a0b55bd  sat-seq2seq                                              sat-seq2seq  moving-fields  –                –                      auto          1
6        015f4f6a67a5  2 devices, source resident                               cifar10      resident       –                –                      auto          2
7        d25a3cd4a624  none, placement device, device pipeline fused, kind cpu  none         generated      device           fused                  cpu           1                   skipped
skipped: there are 0 GPUs: 1 device, source generated, placement host
skipped: the device pipeline fused is one GPU kernel: a CPU has per-image and batched: none,
  placement device, device pipeline fused, kind cpu

setting                 value                from
devices.per_worker      1, 2                 x.toml:9
input.source            generated, resident  x.toml:10
input.placement         host, device         x.toml:11
cluster.topology        replicated           x.toml:7
measure.repeats         2                    x.toml:5
model.name              by cell              default
model.local_batch       by cell              default
model.channels          [8, 16]              default
model.image_size        32                   default
model.frames            6                    default
model.predicted_frames  3                    default
model.optimizer         by cell              default
model.learning_rate     by cell              default
model.convolution       by cell              default
input.device_pipeline   by cell              default
input.pipelines         per-replica          default
input.threads           16                   default
input.shuffle_buffer    20000                default
devices.kind            by cell              default
devices.threads         1                    default
devices.oversubscribe   false                default
devices.share_devices   false                default
devices.allow_occupied  false                default
devices.parameters      host                 default
devices.cuda_graph      true                 default
devices.tf32            false                default
build.flavour           default              default
measure.warmup_steps    10                   default
measure.steps           100                  default
measure.timeout         300s                 default
measure.seed            1                    default
measure.aa              false                default
measure.builds          1                    default

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
"devices.threads" = 1
"devices.oversubscribe" = false
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
"model.local_batch" = 128
"model.optimizer" = "sgd"
"model.learning_rate" = 0.1
"model.convolution" = "auto"
"input.source" = "generated"
"input.placement" = "host"
"input.pipelines" = "per-replica"
"input.threads" = 16
"input.shuffle_buffer" = 20000
"devices.kind" = "auto"
"devices.per_worker" = 1
"devices.share_devices" = false
"devices.allow_occupied" = false
"devices.parameters" = "host"
"devices.cuda_graph" = true
"devices.tf32" = false

[[cell]]
id = "f18739c1e9da"
label = "1 device, source generated, placement device"
"model.name" = "cifar10"
"model.local_batch" = 128
"model.optimizer" = "sgd"
"model.learning_rate" = 0.1
"model.convolution" = "auto"
"input.source" = "generated"
"input.placement" = "device"
"input.device_pipeline" = "per-image"
"devices.kind" = "auto"
"devices.per_worker" = 1
"devices.share_devices" = false
"devices.allow_occupied" = false
"devices.parameters" = "host"
"devices.cuda_graph" = true
"devices.tf32" = false

[[cell]]
id = "db00f9cdfe8b"
label = "1 device, source resident"
"model.name" = "cifar10"
"model.local_batch" = 128
"model.optimizer" = "sgd"
"model.learning_rate" = 0.1
"model.convolution" = "auto"
"input.source" = "resident"
"devices.kind" = "auto"
"devices.per_worker" = 1
"devices.share_devices" = false
"devices.allow_occupied" = false
"devices.parameters" = "host"
"devices.cuda_graph" = true
"devices.tf32" = false

[[cell]]
id = "f8c34535eede"
label = "2 devices, source generated, placement host"
"model.name" = "cifar10"
"model.local_batch" = 128
"model.optimizer" = "sgd"
"model.learning_rate" = 0.1
"model.convolution" = "auto"
"input.source" = "generated"
"input.placement" = "host"
"input.pipelines" = "per-replica"
"input.threads" = 16
"input.shuffle_buffer" = 20000
"devices.kind" = "auto"
"devices.per_worker" = 2
"devices.share_devices" = false
"devices.allow_occupied" = false
"devices.parameters" = "host"
"devices.cuda_graph" = true
"devices.tf32" = false

[[cell]]
id = "015f4f6a67a5"
label = "2 devices, source resident"
"model.name" = "cifar10"
"model.local_batch" = 128
"model.optimizer" = "sgd"
"model.learning_rate" = 0.1
"model.convolution" = "auto"
"input.source" = "resident"
"devices.kind" = "auto"
"devices.per_worker" = 2
"devices.share_devices" = false
"devices.allow_occupied" = false
"devices.parameters" = "host"
"devices.cuda_graph" = true
"devices.tf32" = false

[[cell]]
id = "45845a0b55bd"
label = "sat-seq2seq"
"model.name" = "sat-seq2seq"
"model.local_batch" = 8
"model.channels" = [8, 16]
"model.image_size" = 32
"model.frames" = 6
"model.predicted_frames" = 3
"model.optimizer" = "adam"
"model.learning_rate" = 0.001
"model.convolution" = "im2col"
"input.source" = "moving-fields"
"devices.kind" = "auto"
"devices.per_worker" = 1
"devices.share_devices" = false
"devices.allow_occupied" = false
"devices.parameters" = "host"
"devices.cuda_graph" = true
"devices.tf32" = false

[[cell]]
id = "d25a3cd4a624"
label = "none, placement device, device pipeline fused, kind cpu"
skipped = "the device pipeline fused is one GPU kernel: a CPU has per-image and batched"
"model.name" = "none"
"model.local_batch" = 128
"input.source" = "generated"
"input.placement" = "device"
"input.device_pipeline" = "fused"
"devices.kind" = "cpu"
"devices.per_worker" = 1

[[block]]
number = 1
order = ["3939d4829e89", "f8c34535eede", "db00f9cdfe8b", "f18739c1e9da", "45845a0b55bd", "015f4f6a67a5", "d25a3cd4a624"]

[[block]]
number = 2
order = ["015f4f6a67a5", "3939d4829e89", "f8c34535eede", "db00f9cdfe8b", "f18739c1e9da", "d25a3cd4a624", "45845a0b55bd"]
"#);
    let table: toml::Table = frozen.parse().unwrap();
    for block in table["block"].as_array().unwrap() {
        assert_eq!(block["order"].as_array().unwrap().len(), cells.cells.len());
    }
}
