//! The list itself. Its order is the order of CSV columns and of every listing. A default never
//! changes without a new `schema`, since cells are identified by what differs from it.

use super::defaults::*;
use super::rules::*;
use super::{Kind, Role, Setting, Value, words};
use crate::terms::*;
use std::time::Duration;

/// Most processes, devices or threads that a file may ask for: a guard against slips of the finger.
const MANY: u64 = 4096;
/// Largest batch, buffer or number of steps that is surely meant.
const HUGE: u64 = 1_000_000_000;

/// Every setting of an experiment file.
pub const SETTINGS: &[Setting] = &[
    setting("model.name", Kind::Word(words::<ModelName>), |_| {
        word("cifar10")
    })
    .about("what a replica trains"),
    setting("model.local_batch", count(1, HUGE), local_batch)
    .when(WEAK)
    .about("examples a step for each replica (weak scaling)")
    .noun("example"),
    setting("model.global_batch", count(1, HUGE), |_| None)
        .about("examples a step over all replicas (strong scaling), instead of local_batch"),
    setting("model.layers", Kind::Widths, |_| {
        Some(Value::Integers([256, 4096, 4096, 256].into()))
    })
    .when(MLP)
    .about("layer widths, input and output included"),
    setting("model.channels", Kind::Widths, |_| {
        Some(Value::Integers([8, 16].into()))
    })
    .when(ENCODES)
    .about("channels of each level of the encoder, which halves its images; all sizes of this model are ours"),
    setting("model.image_size", count(2, 4096), |_| {
        Some(Value::Integer(32))
    })
    .when(SEQUENCES)
    .about("height and width of a frame"),
    setting("model.frames", count(1, 1000), |_| Some(Value::Integer(6)))
        .when(SEQUENCES)
        .about("frames of a sequence that are seen")
        .noun("frame"),
    setting("model.predicted_frames", count(1, 1000), |_| {
        Some(Value::Integer(3))
    })
    .when(SEQUENCES)
    .about("frames that follow and are predicted")
    .noun("predicted frame"),
    setting(
        "model.optimizer",
        Kind::Word(words::<OptimizerName>),
        optimizer,
    )
    .when(TRAINS)
    .about("the rule that turns gradients into an update"),
    setting(
        "model.learning_rate",
        Kind::Positive { max: 1000.0 },
        learning_rate,
    )
    .when(TRAINS)
    .about("the first learning rate"),
    setting(
        "model.convolution",
        Kind::Word(words::<Convolution>),
        convolution,
    )
    .when(CONVOLVES)
    .about("the algorithm of convolutions"),
    setting("input.source", Kind::Word(words::<InputSource>), source)
        .about("where examples come from"),
    setting("input.directory", Kind::Path, |_| {
        Some(Value::Text("cifar-10-batches-bin".into()))
    })
    .when(FILES)
    .about("folder of the CIFAR-10 binary files"),
    setting("input.placement", Kind::Word(words::<Placement>), |_| {
        word("host")
    })
    .when(DISTORTS)
    .about("where images are distorted: threads ahead of the step, or the device inside it"),
    setting(
        "input.device_pipeline",
        Kind::Word(words::<DevicePipeline>),
        |_| word("per-image"),
    )
    .when(ON_DEVICE)
    .about("how input operations on the device are cut"),
    setting("input.pipelines", Kind::Word(words::<Pipelines>), |_| {
        word("per-replica")
    })
    .when(ON_HOST)
    .about("how many input pipelines a worker has"),
    setting("input.threads", count(1, MANY), |_| {
        Some(Value::Integer(16))
    })
    .when(ON_HOST)
    .about("threads of each host pipeline")
    .noun("input thread"),
    setting("input.shuffle_buffer", count(1, 100_000_000), |_| {
        Some(Value::Integer(20_000))
    })
    .when(ON_HOST)
    .about("examples that must be in the shuffle buffer before one is taken"),
    setting("devices.kind", Kind::Word(words::<DeviceKind>), |_| {
        word("auto")
    })
    .about("what replicas live on; auto takes GPUs where there are some"),
    setting("devices.per_worker", count(1, MANY), |_| {
        Some(Value::Integer(1))
    })
    .about("devices of one worker; each has one replica")
    .noun("device"),
    setting("devices.threads", count(1, MANY), |_| {
        Some(Value::Integer(1))
    })
    .when(MAYBE_CPU)
    .about("cores of one CPU device")
    .noun("thread"),
    setting("devices.oversubscribe", Kind::Bool, |_| {
        Some(Value::Bool(false))
    })
    .when(MAYBE_CPU)
    .about("run cells that need more cores than the machine has, marked"),
    setting("devices.share_devices", Kind::Bool, |_| {
        Some(Value::Bool(false))
    })
    .when(MAYBE_CUDA)
    .about("run cells that need more GPUs than the machine has, marked"),
    setting("devices.allow_occupied", Kind::Bool, |_| {
        Some(Value::Bool(false))
    })
    .when(MAYBE_CUDA)
    .role(Role::Bound)
    .about("use GPUs that processes of others use; their rows are marked"),
    setting("devices.parameters", Kind::Word(words::<Placement>), |_| {
        word("host")
    })
    .when(VARIABLES)
    .about("where variables live and gradients are averaged"),
    setting("devices.cuda_graph", Kind::Bool, |_| {
        Some(Value::Bool(true))
    })
    .when(GPU_TRAINS)
    .about("capture the step in a CUDA graph, where nothing forbids it"),
    setting("devices.tf32", Kind::Bool, |_| Some(Value::Bool(false)))
        .when(GPU_TRAINS)
        .about("let a GPU round the factors of products to TF32"),
    setting("cluster.topology", Kind::Word(words::<Topology>), |_| {
        word("single")
    })
    .about("how replicas exchange gradients"),
    setting("cluster.workers", count(1, MANY), |_| {
        Some(Value::Integer(1))
    })
    .when(WORKERS)
    .about("processes that train")
    .noun("worker"),
    setting("cluster.servers", count(0, MANY), |_| {
        Some(Value::Integer(0))
    })
    .when(SERVED)
    .about("processes that hold parameters")
    .noun("server"),
    setting("cluster.server_threads", count(1, MANY), |_| {
        Some(Value::Integer(1))
    })
    .when(SERVED)
    .about("cores of one server"),
    setting("cluster.update", Kind::Word(words::<Update>), |_| {
        word("async")
    })
    .when(SERVED)
    .about("whether servers wait for all workers"),
    setting("cluster.backup_workers", count(0, MANY), |_| {
        Some(Value::Integer(0))
    })
    .when(SERVED_SYNC)
    .about("gradients of a step that are not waited for"),
    setting(
        "cluster.consistency",
        Kind::Word(words::<Consistency>),
        |_| word("strict"),
    )
    .when(SERVED_ASYNC)
    .about("whether readers may see half-written tensors"),
    setting("cluster.shards", Kind::Word(words::<Shards>), |_| {
        word("round-robin")
    })
    .when(SERVED)
    .about("how parameters are spread over servers"),
    setting("cluster.transport", Kind::Word(words::<Transport>), |_| {
        word("auto")
    })
    .when(WIRED)
    .about("what carries bytes between processes"),
    setting("cluster.encoding", Kind::Word(words::<Encoding>), |_| {
        word("raw")
    })
    .when(SERVED)
    .about("how tensors are written on the wire"),
    setting("cluster.overlap", Kind::Bool, |_| Some(Value::Bool(true)))
        .when(REDUCES)
        .about("send gradients while the backward pass still runs"),
    setting("build.flavour", Kind::Flavour, |_| {
        Some(Value::Text("default".into()))
    })
    .about("how the program is built"),
    setting("measure.warmup_steps", count(0, HUGE), |_| {
        Some(Value::Integer(10))
    })
    .about("steps run and not measured"),
    setting("measure.steps", count(1, HUGE), |_| {
        Some(Value::Integer(100))
    })
    .when(STEPS)
    .about("measured steps of a repeat")
    .noun("step"),
    setting("measure.repeats", count(1, 100_000), |_| {
        Some(Value::Integer(6))
    })
    .role(Role::Campaign)
    .about("fresh launches of each cell, one a block"),
    setting("measure.timeout", Kind::Duration, |_| {
        Some(Value::Duration(Duration::from_secs(300)))
    })
    .role(Role::Bound)
    .about("bound on one repeat, from launch to the end of its last process"),
    setting("measure.seed", count(0, i64::MAX as u64), |_| {
        Some(Value::Integer(1))
    })
    .about("seed of parameters, input and order"),
    setting("measure.aa", Kind::Bool, |_| Some(Value::Bool(false)))
        .role(Role::Campaign)
        .about("measure the baseline twice in each block, under two names: what differs between the two is noise"),
    setting("measure.builds", count(1, 100), |_| Some(Value::Integer(1)))
        .role(Role::Campaign)
        .about("builds of each flavour"),
    setting("measure.stop_at_global_step", count(1, HUGE), |_| None)
        .when(STOPS)
        .about("stop at this total of steps over all workers, instead of measure.steps"),
    setting("measure.checkpoint_every", count(1, HUGE), |_| None)
        .when(TRAINS)
        .about("steps between two checkpoints"),
];

const fn setting(
    key: &'static str,
    kind: Kind,
    default: fn(ModelName) -> Option<Value>,
) -> Setting {
    Setting {
        key,
        kind,
        default,
        rule: ALWAYS,
        role: Role::Identity,
        noun: None,
        about: "",
    }
}

impl Setting {
    const fn when(mut self, rule: Rule) -> Self {
        self.rule = rule;
        self
    }

    const fn role(mut self, role: Role) -> Self {
        self.role = role;
        self
    }

    const fn noun(mut self, noun: &'static str) -> Self {
        self.noun = Some(noun);
        self
    }

    const fn about(mut self, about: &'static str) -> Self {
        self.about = about;
        self
    }
}

const fn count(min: u64, max: u64) -> Kind {
    Kind::Integer { min, max }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strum::VariantArray;

    #[test]
    fn every_setting_is_a_section_and_a_key_once_with_a_line_about_it() {
        let mut keys: Vec<_> = SETTINGS.iter().map(|setting| setting.key).collect();
        for setting in SETTINGS {
            assert_eq!(setting.key.split('.').count(), 2, "{}", setting.key);
            assert!(!setting.about.is_empty(), "{}", setting.key);
        }
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), SETTINGS.len());
    }

    #[test]
    fn every_default_is_a_value_of_its_kind() {
        for setting in SETTINGS {
            for model in ModelName::VARIANTS {
                let fits = match ((setting.default)(*model), setting.kind) {
                    (Some(Value::Integer(number)), Kind::Integer { min, max }) => {
                        (min..=max).contains(&number)
                    }
                    (Some(Value::Word(word)), Kind::Word(words)) => words().contains(&word),
                    (Some(Value::Number(number)), Kind::Positive { max }) => {
                        number > 0.0 && number <= max
                    }
                    (Some(Value::Bool(_)), Kind::Bool)
                    | (Some(Value::Duration(_)), Kind::Duration)
                    | (Some(Value::Integers(_)), Kind::Widths)
                    | (Some(Value::Text(_)), Kind::Path | Kind::Flavour)
                    | (None, Kind::Integer { .. }) => true,
                    _ => false,
                };
                assert!(fits, "{}", setting.key);
            }
        }
    }
}
