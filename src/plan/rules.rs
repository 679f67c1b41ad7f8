//! What a single cell may not be, and what this version cannot run. In: the values of one cell. Out:
//! why it contradicts itself, or why it is skipped. Knows no machine.

use super::cell::replicas;
use crate::spec::Flavour;
use crate::spec::settings::{Choice, SettingId, Value, one_of};
use crate::terms::{DevicePipeline, ModelName, Topology};

/// Why a cell contradicts itself.
#[derive(Debug, PartialEq)]
pub(super) struct Contradiction {
    /// The setting to point at.
    pub id: SettingId,
    pub title: String,
    /// The lines that would mend it.
    pub help: String,
}

/// The values of a cell, one entry per setting.
#[derive(Clone, Copy)]
pub(super) struct Facts<'a> {
    pub choice: &'a Choice,
    pub values: &'a [Option<Value>],
}

impl Facts<'_> {
    fn number(&self, id: SettingId) -> u64 {
        self.values[id.index()]
            .as_ref()
            .and_then(Value::integer)
            .unwrap_or(0)
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
            .or_else(|| self.cluster())
            .or_else(|| self.batch())
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

    /// Why this version cannot run the cell on any machine.
    pub(super) fn unbuilt(&self, flavours: &[Flavour]) -> Option<String> {
        let missing = self.missing(flavours)?;
        Some(format!("{missing} is not built into this version"))
    }

    fn missing(&self, flavours: &[Flavour]) -> Option<String> {
        let topology = self.choice.topology;
        if matches!(topology, Topology::ParameterServer | Topology::AllReduce) {
            return Some(format!("the topology {topology}"));
        }
        if self.choice.model == ModelName::SatSeq2seq {
            return Some("the model sat-seq2seq".into());
        }
        if self.word(SettingId::DEVICE_PIPELINE) == Some(DevicePipeline::Fused) {
            return Some("the device pipeline fused".into());
        }
        self.missing_measure()
            .or_else(|| self.missing_flavour(flavours))
    }

    fn missing_measure(&self) -> Option<String> {
        let on = |id: SettingId| match &self.values[id.index()] {
            Some(Value::Bool(on)) => *on,
            Some(Value::Integer(number)) => id != SettingId::BUILDS || *number > 1,
            _ => false,
        };
        let later = [
            SettingId::AA,
            SettingId::BUILDS,
            SettingId::STOP,
            SettingId::CHECKPOINT,
        ];
        let id = later.into_iter().find(|id| on(*id))?;
        Some(id.key().into())
    }

    fn missing_flavour(&self, flavours: &[Flavour]) -> Option<String> {
        let Some(Value::Text(name)) = &self.values[SettingId::FLAVOUR.index()] else {
            return None;
        };
        let built = |flavour: &&Flavour| *flavour.name == **name && flavour.binary.is_some();
        let runs = &**name == "default" || flavours.iter().any(|flavour| built(&flavour));
        (!runs).then(|| format!("building the flavour {name} (without `binary`)"))
    }
}
