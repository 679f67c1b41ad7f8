//! Files that are read, and what they mean.

use super::{Files, body, read};
use xrun::plan::Plan;
use xrun::spec::settings::SettingId;

/// The file that the design of the format is explained with.
const SCALING: &str = r#"
question = """
Do more devices train CIFAR-10 faster, and where should the input pipeline run?
"""

[model]
name = "cifar10"
local_batch = 128

[input]
source = "generated"

[devices]
kind = "auto"
parameters = "host"

[cluster]
topology = "replicated"

[measure]
warmup_steps = 3
steps = 15
repeats = 6

[sweep]
devices.per_worker = [1, 2, 4, 8]

[[sweep.zip]]
name = "input"
input.source    = ["generated", "generated", "resident"]
input.placement = ["device",    "host",      "host"]
labels          = ["input on device", "input on host", "no input"]

[[sweep.cases]]
model.name = "none"
label = "pipeline only"

[[exclude]]
input.source = "resident"
devices.per_worker = 8

[[chart]]
kind = "scaling"
x = "replicas"
series = "input"
baseline = { devices.per_worker = 1 }

[[compare]]
over = "input"
base = "input on host"
where = { devices.per_worker = 4 }

[flavours.native]
binary = "target/native/xrun"
rustflags = ["-C", "target-cpu=native"]
codegen-units = 1
lto = true
env = { RUST_LOG = "off" }
"#;

fn ids(plan: &Plan) -> Vec<String> {
    plan.cells.iter().map(|cell| cell.id.to_string()).collect()
}

fn labels(plan: &Plan) -> String {
    let labels: Vec<_> = plan.cells.iter().map(|cell| cell.label.as_str()).collect();
    labels.join("\n")
}

#[test]
fn a_sweep_is_its_product_and_then_its_cases() {
    let (_, plan) = body(SCALING).unwrap();
    assert_eq!((plan.merged, plan.excluded), (0, 1));
    insta::assert_snapshot!(labels(&plan), @"
1 device, input on device
1 device, input on host
1 device, no input
2 devices, input on device
2 devices, input on host
2 devices, no input
4 devices, input on device
4 devices, input on host
4 devices, no input
8 devices, input on device
8 devices, input on host
pipeline only
");
}

#[test]
fn quoting_and_order_of_keys_mean_nothing_for_the_cells() {
    let one = "[model]\nname = \"mlp\"\nlocal_batch = 64\n[sweep]\ncluster.workers = [1, 2]\n\
               devices.threads = [1, 2]\n[cluster]\ntopology = \"independent\"";
    let other = "\"cluster.topology\" = \"independent\"\nmodel = { local_batch = 64, name = \"mlp\" }\n\
                 [sweep]\n\"cluster.workers\" = [1, 2]\n\"devices.threads\" = [1, 2]";
    let ids = [one, other].map(|text| ids(&body(text).unwrap().1));
    assert_eq!(ids[0], ids[1]);
    assert_eq!(ids[0].len(), 4);
}

#[test]
fn ids_are_the_same_on_every_machine_and_in_every_version() {
    let (_, plan) = body(SCALING).unwrap();
    assert_eq!(ids(&plan)[..2], ["211852876161", "4a7f467353e7"]);
    assert_eq!(ids(&body("").unwrap().1), ["e3b0c44298fc"]);
}

#[test]
fn the_id_is_made_of_what_is_measured_and_of_nothing_else() {
    let id = |text: &str| ids(&body(text).unwrap().1).remove(0);
    let plain = id("");
    let unmeasured = [
        "question = \"why?\"",
        "[measure]\nrepeats = 9\ntimeout = \"1h\"",
        "[model]\nname = \"cifar10\"\nlocal_batch = 128",
        "[[chart]]\nkind = \"phases\"",
        "[sweep]\nmodel.convolution = [\"auto\", \"direct\"]\n[[compare]]\nover = \"model.convolution\"\nbase = \"auto\"",
        "[flavours.other]\nprofile = \"dev\"",
    ];
    for text in unmeasured {
        assert_eq!(id(text), plain, "{text}");
    }
    let measured = [
        "[model]\nname = \"none\"",
        "[model]\nlocal_batch = 64",
        "[model]\nglobal_batch = 128",
        "[model]\noptimizer = \"adam\"",
        "[model]\nlearning_rate = 0.2",
        "[model]\nconvolution = \"im2col\"",
        "[input]\nsource = \"cifar10\"",
        "[input]\nplacement = \"device\"",
        "[input]\npipelines = \"shared\"",
        "[input]\nthreads = 2",
        "[input]\nshuffle_buffer = 100",
        "[devices]\nkind = \"cpu\"",
        "[devices]\nthreads = 2",
        "[devices]\noversubscribe = true",
        "[cluster]\ntopology = \"replicated\"",
        "[measure]\nsteps = 7",
        "[measure]\nwarmup_steps = 7",
        "[measure]\nseed = 7",
        "[build]\nflavour = \"f\"\n[flavours.f]\nprofile = \"dev\"",
        "[build]\nflavour = \"f\"\n[flavours.f]\nprofile = \"test\"",
    ];
    let mut seen = vec![plain];
    for text in measured {
        let id = id(text);
        assert!(!seen.contains(&id), "{text}");
        seen.push(id);
    }
}

#[test]
fn a_flavour_counts_by_its_definition_and_not_by_its_name() {
    let id = |name: &str| {
        let text = format!("[build]\nflavour = \"{name}\"\n[flavours.{name}]\nprofile = \"dev\"");
        ids(&body(&text).unwrap().1)
    };
    assert_eq!(id("slow"), id("plain"));
}

#[test]
fn the_written_file_reads_as_the_same_experiment() {
    let (first, plan) = body(SCALING).unwrap();
    let files = Files::new(&[("x.toml", &first.to_toml())]);
    let (second, again) = files.read(&[]).unwrap();
    assert_eq!(second.to_toml(), first.to_toml());
    assert_eq!(ids(&again), ids(&plan));
    assert_eq!(labels(&again), labels(&plan));
    assert_eq!(second.charts, first.charts);
    assert_eq!(second.comparisons, first.comparisons);
    assert_eq!(second.comparisons.len(), 1);
    assert_eq!(second.question, first.question);
    let definitions = |flavours: &[xrun::spec::Flavour]| flavours[0].definition.clone();
    assert_eq!(definitions(&second.flavours), definitions(&first.flavours));
}

#[test]
fn layers_lie_on_each_other_and_sources_are_remembered() {
    let files = Files::new(&[
        (
            "base.toml",
            "[measure]\nsteps = 1\nrepeats = 1\nseed = 1\nwarmup_steps = 1",
        ),
        (
            "x.toml",
            "schema = 1\nname = \"x\"\nextends = \"base.toml\"\n[measure]\nrepeats = 2\nseed = 2\nwarmup_steps = 2",
        ),
    ]);
    let environment = [
        ("XRUN_MEASURE__SEED", "3"),
        ("XRUN_MEASURE__WARMUP_STEPS", "3"),
        ("HOME", "/"),
    ];
    let flags = ["measure.warmup_steps=4"];
    let (experiment, _) = read(&files.path("x.toml"), &environment, &flags).unwrap();
    let said = ["steps", "repeats", "seed", "warmup_steps", "timeout"].map(|key| {
        let id = SettingId::of(&format!("measure.{key}")).unwrap();
        let source = experiment.base[id.index()].source.to_string();
        let source = source.rsplit('/').next().unwrap().to_owned();
        format!("{key} = {} from {source}", experiment.value(id).unwrap())
    });
    insta::assert_snapshot!(said.join("\n"), @"
steps = 1 from base.toml:2
repeats = 2 from x.toml:5
seed = 3 from XRUN_MEASURE__SEED
warmup_steps = 4 from -S measure.warmup_steps=4
timeout = 300s from default
");
    assert!(experiment.overridden);
}

#[test]
fn only_a_changed_value_is_an_override() {
    let files = Files::new(&[("x.toml", "schema = 1\nname = \"x\"\n[measure]\nsteps = 5")]);
    let overridden = |flag: &str| files.read(&[flag]).unwrap().0.overridden;
    assert!(!overridden("measure.steps=5"));
    assert!(!overridden("measure.seed=1"));
    assert!(overridden("measure.steps=6"));
    let variant = |flags: &[&str]| files.read(flags).unwrap().0.variant();
    let six = variant(&["measure.steps=6"]);
    assert_eq!(six.as_ref().map(String::len), Some(8));
    assert_eq!(variant(&["measure.steps=6", "measure.seed=1"]), six);
    assert_ne!(variant(&["measure.steps=7"]), six);
    assert_eq!(variant(&["measure.seed=1"]), None);
    assert!(overridden("measure.steps=5,6"));
}

#[test]
fn a_flag_with_commas_is_an_axis_and_a_plain_flag_ends_one() {
    let files = Files::new(&[(
        "x.toml",
        "schema = 1\nname = \"x\"\n[sweep]\nmodel.local_batch = [1, 2]",
    )]);
    let count = |flags: &[&str]| files.read(flags).unwrap().1.cells.len();
    assert_eq!(count(&[]), 2);
    assert_eq!(count(&["model.local_batch=8"]), 1);
    assert_eq!(count(&["model.local_batch=8,9,10"]), 3);
    assert_eq!(count(&["model.name=cifar10,none"]), 4);
    assert_eq!(count(&["model.name=mlp", "model.layers=[4,2],[8,4,2]"]), 4);
    assert_eq!(count(&["model.global_batch=64"]), 1);
}

#[test]
fn settings_that_do_not_apply_make_no_cells() {
    let (_, plan) = body("[sweep]\ninput.source = [\"generated\", \"resident\"]\ninput.placement = [\"host\", \"device\"]").unwrap();
    assert_eq!((plan.cells.len(), plan.merged), (3, 1));
    insta::assert_snapshot!(labels(&plan), @"
source generated, placement host
source generated, placement device
source resident
");
}

#[test]
fn what_this_version_cannot_run_is_skipped_with_the_reason() {
    let text = "[model]\nname = \"mlp\"\n[sweep]\ncluster.topology = [\"single\", \"all-reduce\", \"parameter-server\"]\n\
                [cluster]\nservers = 1\n[[sweep.cases]]\nmodel.name = \"sat-seq2seq\"\n\
                [[sweep.cases]]\nmodel.name = \"cifar10\"\nmodel.convolution = \"winograd\"\n\
                [[sweep.cases]]\nmodel.name = \"cifar10\"\nmodel.convolution = \"winograd\"\ndevices.kind = \"cuda\"\n\
                [[sweep.cases]]\nmodel.name = \"cifar10\"\nmodel.convolution = \"cudnn\"\ndevices.kind = \"cpu\"\n\
                [[sweep.cases]]\nmodel.name = \"none\"\ninput.placement = \"device\"\ninput.device_pipeline = \"fused\"\n\
                [[sweep.cases]]\nmodel.name = \"none\"\ninput.placement = \"device\"\ninput.device_pipeline = \"fused\"\ndevices.kind = \"cpu\"\n\
                [[sweep.cases]]\nmeasure.checkpoint_every = 5\n\
                [[sweep.cases]]\nbuild.flavour = \"cuda\"";
    let (_, plan) = body(text).unwrap();
    let reasons = plan.cells.iter().map(|cell| match &cell.unbuilt {
        Some(reason) => format!("{}: {reason}", cell.label),
        None => format!("{}: runs", cell.label),
    });
    insta::assert_snapshot!(reasons.collect::<Vec<_>>().join("\n"), @"
topology single: runs
topology all-reduce: runs
topology parameter-server: runs
sat-seq2seq: runs
cifar10, convolution winograd: runs
cifar10, convolution winograd, kind cuda: winograd convolutions are for CPUs: a GPU has cudnn, direct and im2col
cifar10, convolution cudnn, kind cpu: cudnn convolutions are for GPUs: a CPU has direct, winograd and im2col
none, placement device, device pipeline fused: runs
none, placement device, device pipeline fused, kind cpu: the device pipeline fused is one GPU kernel: a CPU has per-image and batched
checkpoint every 5: runs
flavour cuda: runs
");
}

#[test]
fn a_global_batch_is_divided_among_the_replicas() {
    let text = "[model]\nglobal_batch = 96\n[cluster]\ntopology = \"replicated\"\n[sweep]\ndevices.per_worker = [1, 2, 3]";
    let (_, plan) = body(text).unwrap();
    let local: Vec<_> = plan
        .cells
        .iter()
        .map(|cell| cell.settings().local_batch)
        .collect();
    assert_eq!(local, [96, 48, 32]);
}

#[test]
fn cells_are_selected_by_settings_and_by_labels() {
    let (_, plan) = body(SCALING).unwrap();
    let count = |only: &[&str]| {
        let only: Vec<_> = only.iter().map(|text| text.to_string()).collect();
        plan.clone().select(&only).map(|plan| plan.cells.len())
    };
    assert_eq!(count(&["devices.per_worker=2"]).unwrap(), 3);
    assert_eq!(
        count(&["devices.per_worker=2", "devices.per_worker=4"]).unwrap(),
        6
    );
    assert_eq!(
        count(&["devices.per_worker=2", "input=no input"]).unwrap(),
        1
    );
    assert_eq!(count(&["label=pipeline only"]).unwrap(), 1);
    insta::assert_snapshot!(count(&["devices.per_workers=2"]).unwrap_err(), @"
error: `devices.per_workers` is neither a setting nor a zip of this file
 --> command line:1:8
  |
1 | --only devices.per_workers=2
  |        ^^^^^^^^^^^^^^^^^^^^^ did you mean `devices.per_worker`?
");
    insta::assert_snapshot!(count(&["input=no imput"]).unwrap_err(), @"
error: no cell has input = no imput
 --> command line:1:8
  |
1 | --only input=no imput
  |        ^^^^^^^^^^^^^^ did you mean `no input`?
  |
  = help: cells have `input on device`, `input on host` or `no input`
");
    insta::assert_snapshot!(count(&["input=no input", "devices.per_worker=8"]).unwrap_err(), @"
error: no cell matches all that is selected
 --> command line:1:1
  |
1 | --only devices.per_worker=8
  | ^
");
}

#[test]
fn a_flavour_takes_over_what_it_extends() {
    let text = "[flavours.a]\nlto = true\nenv = { A = \"1\" }\n[flavours.b]\nextends = \"a\"\nlto = \"thin\"\nfeatures = \"avx512\"";
    let (experiment, _) = body(text).unwrap();
    let said = experiment.flavours[1]
        .definition
        .iter()
        .map(|(key, value)| format!("{key} = {value}"));
    insta::assert_snapshot!(said.collect::<Vec<_>>().join("\n"), @r#"
env.A = 1
features = ["avx512"]
lto = thin
"#);
}

#[test]
fn axes_of_a_file_join_those_it_extends_and_replace_their_namesakes() {
    let files = Files::new(&[
        (
            "base.toml",
            "[sweep]\nmeasure.steps = [1, 2]\ninput.threads = [1, 2]",
        ),
        (
            "x.toml",
            "schema = 1\nname = \"x\"\nextends = [\"base.toml\"]\n[sweep]\nmeasure.steps = [3]\nmeasure.seed = [7, 8]",
        ),
    ]);
    let (experiment, plan) = files.read(&[]).unwrap();
    let axes: Vec<_> = experiment
        .axes
        .iter()
        .map(|axis| axis.name.as_str())
        .collect();
    assert_eq!(axes, ["measure.steps", "input.threads", "measure.seed"]);
    assert_eq!(plan.cells.len(), 4);
    assert!(!experiment.overridden);
}

#[test]
fn files_of_other_editors_read_the_same() {
    let plain = "schema = 1\nname = \"x\"\n[measure]\nsteps = 5\n";
    let others = [plain.replace('\n', "\r\n"), format!("\u{feff}{plain}")];
    let cell = |text: &str| ids(&Files::new(&[("x.toml", text)]).read(&[]).unwrap().1);
    for other in others {
        assert_eq!(cell(&other), cell(plain));
    }
}

#[test]
fn comparisons_name_values_as_tables_spell_them_and_outlive_overrides() {
    let text = "[sweep]\nmodel.local_batch = [8, 16]\n[measure]\nsteps = 5\n\
                [[sweep.cases]]\nmodel.name = \"none\"\nlabel = \"pipeline only\"\n\
                [[compare]]\nover = \"model.local_batch\"\nbase = 16\n\
                [[compare]]\nover = \"model.name\"\nbase = \"cifar10\"\nwhere = { measure.steps = 5 }";
    let files = Files::new(&[("x.toml", &format!("schema = 1\nname = \"x\"\n{text}"))]);
    let said = |flags: &[&str]| {
        let experiment = files.read(flags).unwrap().0;
        let written = Files::new(&[("x.toml", &experiment.to_toml())]);
        let again = written.read(&[]).unwrap().0;
        assert_eq!(again.comparisons, experiment.comparisons);
        let comparisons = experiment.comparisons.iter();
        let said = comparisons.map(|one| format!("{} {}", one.over, one.base));
        said.collect::<Vec<_>>()
    };
    let both = ["model.local_batch 16", "model.name cifar10"];
    assert_eq!(said(&[]), both);
    assert_eq!(said(&["model.local_batch=16,32"]), both);
    assert_eq!(said(&["model.local_batch=8,32"]), both[1..]);
    assert_eq!(said(&["measure.steps=6"]), both[..1]);
}

#[test]
fn comparisons_of_a_file_replace_those_it_extends() {
    let compare = |base: u32| format!("[[compare]]\nover = \"measure.seed\"\nbase = {base}\n");
    let base = format!(
        "[sweep]\nmeasure.seed = [1, 2, 3]\n{}{}",
        compare(1),
        compare(2)
    );
    let bases = |own: &str| {
        let text = format!("schema = 1\nname = \"x\"\nextends = \"base.toml\"\n{own}");
        let files = Files::new(&[("base.toml", &base), ("x.toml", &text)]);
        let comparisons = files.read(&[]).unwrap().0.comparisons;
        comparisons
            .into_iter()
            .map(|one| one.base)
            .collect::<Vec<_>>()
    };
    assert_eq!(bases(""), ["1", "2"]);
    assert_eq!(bases(&compare(3)), ["3"]);
}
