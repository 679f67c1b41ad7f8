//! Which settings a cell has. In: what a file declares for one cell. Out: the value of every setting
//! that applies to it. A setting that does not apply is empty, and no part of the cell's identity.

use super::{SETTINGS, SettingId, Value};
use crate::terms::*;
use std::str::FromStr;

/// The choices of one cell that decide which settings it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    pub model: ModelName,
    pub source: InputSource,
    pub placement: Placement,
    pub kind: DeviceKind,
    pub topology: Topology,
    pub update: Update,
    /// A global batch is declared: strong scaling.
    pub strong: bool,
    /// A stop at a global step is declared, and counts instead of the number of steps.
    pub stops: bool,
}

/// Which cells have a setting, and what to say to a file that sets it for others.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    pub applies: fn(&Choice) -> bool,
    pub reason: &'static str,
}

const fn rule(applies: fn(&Choice) -> bool, reason: &'static str) -> Rule {
    Rule { applies, reason }
}

pub(super) const ALWAYS: Rule = rule(|_| true, "it applies to every cell");
pub(super) const WEAK: Rule = rule(|c| !c.strong, "`model.global_batch` is set instead");
pub(super) const MLP: Rule = rule(
    |c| c.model == ModelName::Mlp,
    "only the model `mlp` has widths to choose",
);
pub(super) const ENCODES: Rule = rule(
    |c| c.model == ModelName::SatSeq2seq,
    "only the model `sat-seq2seq` has an encoder",
);
pub(super) const SEQUENCES: Rule = rule(
    |c| c.model == ModelName::SatSeq2seq || c.source == InputSource::MovingFields,
    "only the model `sat-seq2seq` and the source `moving-fields` have sequences of frames",
);
pub(super) const TRAINS: Rule = rule(
    |c| c.model != ModelName::None,
    "the model `none` trains nothing",
);
pub(super) const CONVOLVES: Rule = rule(
    |c| matches!(c.model, ModelName::Cifar10 | ModelName::SatSeq2seq),
    "only `cifar10` and `sat-seq2seq` have convolutions",
);
pub(super) const FILES: Rule = rule(
    |c| c.source == InputSource::Cifar10,
    "only `input.source = \"cifar10\"` reads files of a folder that you name",
);
pub(super) const DISTORTS: Rule = rule(
    |c| c.distorts(),
    "only the sources `cifar10` and `generated` have images to distort",
);
pub(super) const ON_DEVICE: Rule = rule(
    |c| c.distorts() && c.placement == Placement::Device,
    "only images that are distorted with `input.placement = \"device\"` have it",
);
pub(super) const ON_HOST: Rule = rule(
    |c| c.distorts() && c.placement == Placement::Host,
    "only images that are distorted with `input.placement = \"host\"` have it",
);
pub(super) const MAYBE_CPU: Rule = rule(
    |c| c.kind != DeviceKind::Cuda,
    "with `devices.kind = \"cuda\"` no replica lives on a CPU",
);
pub(super) const MAYBE_CUDA: Rule = rule(
    |c| c.kind != DeviceKind::Cpu,
    "with `devices.kind = \"cpu\"` no replica lives on a GPU",
);
pub(super) const GPU_TRAINS: Rule = rule(
    |c| c.kind != DeviceKind::Cpu && c.model != ModelName::None,
    "only models that train on a GPU have it",
);
pub(super) const VARIABLES: Rule = rule(
    |c| c.topology == Topology::Replicated && c.kind != DeviceKind::Cpu,
    "only `cluster.topology = \"replicated\"` on GPUs has that choice",
);
pub(super) const WORKERS: Rule = rule(
    |c| !matches!(c.topology, Topology::Single | Topology::Replicated),
    "the topologies `single` and `replicated` have exactly one worker",
);
pub(super) const SERVED: Rule = rule(
    |c| c.topology == Topology::ParameterServer,
    "only `cluster.topology = \"parameter-server\"` has servers",
);
pub(super) const SERVED_SYNC: Rule = rule(
    |c| c.topology == Topology::ParameterServer && c.update == Update::Sync,
    "only a `parameter-server` with `cluster.update = \"sync\"` waits for workers",
);
pub(super) const SERVED_ASYNC: Rule = rule(
    |c| c.topology == Topology::ParameterServer && c.update == Update::Async,
    "only a `parameter-server` with `cluster.update = \"async\"` reads while others write",
);
pub(super) const WIRED: Rule = rule(
    |c| matches!(c.topology, Topology::ParameterServer | Topology::AllReduce),
    "only the topologies `parameter-server` and `all-reduce` send anything",
);
pub(super) const REDUCES: Rule = rule(
    |c| c.topology == Topology::AllReduce,
    "only `cluster.topology = \"all-reduce\"` has it",
);
pub(super) const STEPS: Rule = rule(|c| !c.stops, "`measure.stop_at_global_step` is set instead");
pub(super) const STOPS: Rule = rule(
    |c| c.counts_together(),
    "workers of `independent` count no steps together, and the model `none` makes no updates",
);

impl Choice {
    /// The choices of a cell for which the file declares these values, one per setting.
    pub fn of(declared: &[Option<Value>]) -> Self {
        let model = word(declared, SettingId::MODEL, ModelName::Cifar10);
        let choice = Self {
            model,
            source: word(declared, SettingId::SOURCE, model),
            placement: word(declared, SettingId::PLACEMENT, model),
            kind: word(declared, SettingId::KIND, model),
            topology: word(declared, SettingId::TOPOLOGY, model),
            update: word(declared, SettingId::UPDATE, model),
            strong: declared[SettingId::GLOBAL_BATCH.index()].is_some(),
            stops: declared[SettingId::STOP.index()].is_some(),
        };
        Self {
            stops: choice.stops && choice.counts_together(),
            ..choice
        }
    }

    /// Whether all workers know how many updates they have made together.
    fn counts_together(&self) -> bool {
        self.topology != Topology::Independent && self.model != ModelName::None
    }

    /// Whether the input has images to distort.
    pub fn distorts(&self) -> bool {
        matches!(self.source, InputSource::Cifar10 | InputSource::Generated)
    }

    pub fn applies(&self, id: SettingId) -> bool {
        (id.setting().rule.applies)(self)
    }

    /// Input sources that the model can take.
    pub fn sources(&self) -> &'static [&'static str] {
        match self.model {
            ModelName::Cifar10 => &["cifar10", "generated", "resident"],
            ModelName::Mlp => &["normal", "resident"],
            ModelName::SatSeq2seq => &["moving-fields", "resident"],
            ModelName::None => &[
                "cifar10",
                "generated",
                "resident",
                "normal",
                "moving-fields",
            ],
        }
    }
}

/// The declared word of a setting or its default, as a term.
fn word<T: FromStr>(declared: &[Option<Value>], id: SettingId, model: ModelName) -> T {
    let value = declared[id.index()].clone();
    match value.or_else(|| (id.setting().default)(model)) {
        Some(Value::Word(word)) => word.parse().ok(),
        _ => None,
    }
    .expect("a checked word is a word of its closed set, and words have defaults")
}

/// The value of every setting of a cell: declared, or else its default; none where it does not apply.
pub fn resolve(declared: &[Option<Value>]) -> (Choice, Vec<Option<Value>>) {
    let choice = Choice::of(declared);
    let values = SETTINGS.iter().zip(declared).map(|(setting, value)| {
        if !(setting.rule.applies)(&choice) {
            return None;
        }
        value.clone().or_else(|| (setting.default)(choice.model))
    });
    (choice, values.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared(pairs: &[(&str, &'static str)]) -> Vec<Option<Value>> {
        let mut values = vec![None; SETTINGS.len()];
        for (key, word) in pairs {
            values[SettingId::of(key).unwrap().index()] = Some(Value::Word(word));
        }
        values
    }

    fn keys(pairs: &[(&str, &'static str)]) -> String {
        let (_, values) = resolve(&declared(pairs));
        let with_values = SettingId::all().filter(|id| values[id.index()].is_some());
        with_values
            .map(SettingId::key)
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn cells_have_the_settings_that_apply_to_them() {
        insta::assert_snapshot!(keys(&[]), @"model.name model.local_batch model.optimizer model.learning_rate model.convolution input.source input.placement input.pipelines input.threads input.shuffle_buffer devices.kind devices.per_worker devices.threads devices.oversubscribe devices.share_devices devices.allow_occupied devices.cuda_graph devices.tf32 cluster.topology build.flavour measure.warmup_steps measure.steps measure.repeats measure.timeout measure.seed measure.aa measure.builds");
        insta::assert_snapshot!(keys(&[("model.name", "mlp"), ("devices.kind", "cpu")]), @"model.name model.local_batch model.layers model.optimizer model.learning_rate input.source devices.kind devices.per_worker devices.threads devices.oversubscribe cluster.topology build.flavour measure.warmup_steps measure.steps measure.repeats measure.timeout measure.seed measure.aa measure.builds");
        insta::assert_snapshot!(
            keys(&[("model.name", "none"), ("input.placement", "device"), ("devices.kind", "cuda")]),
            @"model.name model.local_batch input.source input.placement input.device_pipeline devices.kind devices.per_worker devices.share_devices devices.allow_occupied cluster.topology build.flavour measure.warmup_steps measure.steps measure.repeats measure.timeout measure.seed measure.aa measure.builds"
        );
        insta::assert_snapshot!(keys(&[("cluster.topology", "parameter-server")]), @"model.name model.local_batch model.optimizer model.learning_rate model.convolution input.source input.placement input.pipelines input.threads input.shuffle_buffer devices.kind devices.per_worker devices.threads devices.oversubscribe devices.share_devices devices.allow_occupied devices.cuda_graph devices.tf32 cluster.topology cluster.workers cluster.servers cluster.server_threads cluster.update cluster.consistency cluster.shards cluster.transport cluster.encoding build.flavour measure.warmup_steps measure.steps measure.repeats measure.timeout measure.seed measure.aa measure.builds");
        insta::assert_snapshot!(keys(&[("cluster.topology", "all-reduce")]), @"model.name model.local_batch model.optimizer model.learning_rate model.convolution input.source input.placement input.pipelines input.threads input.shuffle_buffer devices.kind devices.per_worker devices.threads devices.oversubscribe devices.share_devices devices.allow_occupied devices.cuda_graph devices.tf32 cluster.topology cluster.workers cluster.transport cluster.overlap build.flavour measure.warmup_steps measure.steps measure.repeats measure.timeout measure.seed measure.aa measure.builds");
    }
}
