//! What a single cell may not be, and what this version cannot run. In: the values of one cell. Out:
//! why it contradicts itself, or why it is skipped. Knows no machine.

use super::cell::replicas;
use crate::spec::Flavour;
use crate::spec::settings::{Choice, SettingId, Value, one_of, tensors};
use crate::terms::{
    Convolution, DeviceKind, DevicePipeline, ModelName, Shards, Topology, Transport,
};
use crate::units::counted;

/// Why a cell with a fused input pipeline cannot run where its replicas live on a CPU.
pub const NO_FUSED_ON_CPU: &str =
    "the device pipeline fused is one GPU kernel: a CPU has per-image and batched";

/// Why devices of this kind, where it is known, do not compute convolutions in that way.
pub fn no_convolution(asked: Convolution, kind: DeviceKind) -> Option<&'static str> {
    match (asked, kind) {
        (Convolution::Cudnn, DeviceKind::Cpu) => {
            Some("cudnn convolutions are for GPUs: a CPU has direct, winograd and im2col")
        }
        (Convolution::Winograd, DeviceKind::Cuda) => {
            Some("winograd convolutions are for CPUs: a GPU has cudnn, direct and im2col")
        }
        _ => None,
    }
}

/// Why a cell contradicts itself.
#[derive(Debug, PartialEq)]
pub(super) struct Contradiction {
    /// The setting to point at.
    pub id: SettingId,
    pub title: String,
    /// The lines that would mend it.
    pub help: String,
}

/// What a file says of a cell.
#[derive(Clone, Copy)]
pub(super) struct Facts<'a> {
    pub choice: &'a Choice,
    /// One entry per setting.
    pub values: &'a [Option<Value>],
    /// Those that the file declares.
    pub flavours: &'a [Flavour],
}

impl Facts<'_> {
    fn number(&self, id: SettingId) -> u64 {
        self.values[id.index()]
            .as_ref()
            .and_then(Value::integer)
            .unwrap_or(0)
    }

    /// Widths or channels; none where the cell has no such setting.
    fn list(&self, id: SettingId) -> &[u64] {
        match &self.values[id.index()] {
            Some(Value::Integers(list)) => list,
            _ => &[],
        }
    }

    fn word<T: std::str::FromStr>(&self, id: SettingId) -> Option<T> {
        match self.values[id.index()] {
            Some(Value::Word(word)) => word.parse().ok(),
            _ => None,
        }
    }

    /// The first contradiction among the cell's values.
    pub(super) fn contradiction(&self) -> Option<Contradiction> {
        self.source()
            .or_else(|| self.exchange())
            .or_else(|| self.transport())
            .or_else(|| self.cluster())
            .or_else(|| self.shards())
            .or_else(|| self.stop())
            .or_else(|| self.batch())
            .or_else(|| self.image())
            .or_else(|| self.builds())
    }

    fn source(&self) -> Option<Contradiction> {
        let (model, source) = (
            self.choice.model.to_string(),
            self.choice.source.to_string(),
        );
        let sources = self.choice.sources();
        (!sources.contains(&source.as_str())).then(|| Contradiction {
            id: SettingId::SOURCE,
            title: format!("the model `{model}` cannot train on `{source}`"),
            help: format!("input.source may be {}", one_of(sources)),
        })
    }

    /// Who exchanges parameters or gradients must have some.
    fn exchange(&self) -> Option<Contradiction> {
        let topology = self.choice.topology;
        let exchanges = matches!(topology, Topology::ParameterServer | Topology::AllReduce);
        (exchanges && self.choice.model == ModelName::None).then(|| Contradiction {
            id: SettingId::TOPOLOGY,
            title: format!("with the model `none` a `{topology}` cluster has nothing to exchange"),
            help: "for null models in several processes: cluster.topology = \"independent\"".into(),
        })
    }

    /// NCCL adds up the gradients of GPUs, and does nothing else here.
    fn transport(&self) -> Option<Contradiction> {
        if self.word(SettingId::TRANSPORT) != Some(Transport::Nccl) {
            return None;
        }
        let on_cpu = self.choice.kind == DeviceKind::Cpu;
        let title = match self.choice.topology {
            Topology::AllReduce if on_cpu => "`nccl` connects GPUs, not CPU devices".to_owned(),
            Topology::AllReduce => return None,
            other => format!("`nccl` carries no bytes of a `{other}` cluster"),
        };
        Some(Contradiction {
            id: SettingId::TRANSPORT,
            title,
            help: "for gradients of GPUs: cluster.topology = \"all-reduce\" and devices.kind = \
                   \"cuda\"; else cluster.transport may be `auto`, `shared-memory`, `unix` or `tcp`"
                .into(),
        })
    }

    fn cluster(&self) -> Option<Contradiction> {
        let (devices, workers) = (SettingId::PER_WORKER, self.number(SettingId::WORKERS));
        match self.choice.topology {
            Topology::Single if self.number(devices) != 1 => Some(Contradiction {
                id: devices,
                title: format!(
                    "`single` is one replica on one device, not {}",
                    self.number(devices)
                ),
                help: "for several devices: cluster.topology = \"replicated\"".into(),
            }),
            Topology::ParameterServer if self.number(SettingId::SERVERS) == 0 => {
                Some(Contradiction {
                    id: SettingId::SERVERS,
                    title: "a `parameter-server` cluster needs a server".into(),
                    help: "write: cluster.servers = 1".into(),
                })
            }
            Topology::ParameterServer if self.number(SettingId::BACKUP_WORKERS) >= workers => {
                Some(Contradiction {
                    id: SettingId::BACKUP_WORKERS,
                    title: format!("of {workers} workers at least one must be waited for"),
                    help: "cluster.backup_workers is less than cluster.workers".into(),
                })
            }
            _ => None,
        }
    }

    /// Where whole tensors are dealt out, each server needs one.
    fn shards(&self) -> Option<Contradiction> {
        let whole = self.word(SettingId::SHARDS).unwrap_or(Shards::Split) != Shards::Split;
        let widths = [SettingId::LAYERS, SettingId::CHANNELS].map(|id| self.list(id));
        let tensors = tensors(self.choice.model, &widths.concat()).len() as u64;
        let servers = self.number(SettingId::SERVERS);
        (whole && servers > tensors).then(|| Contradiction {
            id: SettingId::SERVERS,
            title: format!(
                "server {tensors} would hold nothing: the model `{}` has {tensors} tensors",
                self.choice.model
            ),
            help: "to cut tensors into pieces: cluster.shards = \"split\"".into(),
        })
    }

    /// Each level of an encoder halves its images.
    fn image(&self) -> Option<Contradiction> {
        let levels = self.list(SettingId::CHANNELS).len();
        let unit = 2u64.saturating_pow(levels.try_into().unwrap_or(u32::MAX));
        let (id, size) = (SettingId::IMAGE_SIZE, self.number(SettingId::IMAGE_SIZE));
        (size % unit != 0).then(|| Contradiction {
            id,
            title: format!("images of {size} pixels cannot be halved {levels} times"),
            help: format!("for {levels} levels of `model.channels`: a multiple of {unit}"),
        })
    }

    fn stop(&self) -> Option<Contradiction> {
        let (id, warmup) = (SettingId::STOP, self.number(SettingId::WARMUP));
        let stop_at = self.values[id.index()].as_ref()?.integer()?;
        (stop_at <= warmup).then(|| Contradiction {
            id,
            title: format!(
                "a stop at global step {stop_at} comes before the end of {warmup} warm-up steps"
            ),
            help: "measure.stop_at_global_step is more than measure.warmup_steps".into(),
        })
    }

    fn batch(&self) -> Option<Contradiction> {
        let id = SettingId::GLOBAL_BATCH;
        let (global, replicas) = (self.number(id), replicas(self.values));
        (global % replicas != 0).then(|| {
            let nearest = (global / replicas).max(1) * replicas;
            Contradiction {
                id,
                title: format!("a global batch of {global} does not divide by {replicas} replicas"),
                help: format!(
                    "a multiple of {replicas} would: {nearest} or {}",
                    nearest + replicas
                ),
            }
        })
    }

    /// Several builds need as many blocks, and a flavour that is built here.
    fn builds(&self) -> Option<Contradiction> {
        let (builds, repeats) = (
            self.number(SettingId::BUILDS),
            self.number(SettingId::REPEATS),
        );
        let built = counted(builds, "build");
        if builds > repeats {
            let repeats = counted(repeats, "repeat");
            return Some(Contradiction {
                id: SettingId::BUILDS,
                title: format!("{repeats} of a cell cannot measure {built}: each measures one"),
                help: format!("write: measure.repeats = {builds}, or a multiple of it"),
            });
        }
        let (name, is) = self.given().filter(|_| builds > 1)?;
        Some(Contradiction {
            id: SettingId::BUILDS,
            title: format!("the flavour `{name}` is {is}: there cannot be {built} of it"),
            help: "name one that is built: [flavours.NAME] without a `binary`, and \
                   build.flavour = \"NAME\""
                .into(),
        })
    }

    /// The cell's flavour and what it is, where it is not built.
    fn given(&self) -> Option<(&str, &'static str)> {
        let Some(Value::Text(name)) = &self.values[SettingId::FLAVOUR.index()] else {
            return None;
        };
        let declared = self.flavours.iter().find(|flavour| *flavour.name == **name);
        match declared {
            Some(flavour) if flavour.binary.is_some() => Some((name, "a given `binary`")),
            None if **name == *"default" => Some((name, "the running program")),
            _ => None,
        }
    }

    /// Why this version cannot run the cell on any machine.
    pub(super) fn unbuilt(&self) -> Option<String> {
        let fused = self.word(SettingId::DEVICE_PIPELINE) == Some(DevicePipeline::Fused);
        if fused && self.choice.kind == DeviceKind::Cpu {
            return Some(NO_FUSED_ON_CPU.to_owned());
        }
        let asked = self.word(SettingId::CONVOLUTION)?;
        no_convolution(asked, self.choice.kind).map(str::to_owned)
    }
}
