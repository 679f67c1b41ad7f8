//! From the values of a cell to [`Settings`], without text in between: about two microseconds.

use super::{SETTINGS, SettingId, Settings, Value};
use crate::terms::ModelName;
use serde::de::value::{Error, MapDeserializer, SeqDeserializer};
use serde::de::{Deserialize, IntoDeserializer, Visitor};

impl Settings {
    /// The settings of a cell that says nothing but its model.
    pub fn defaults(model: ModelName) -> Self {
        let mut values = vec![None; SETTINGS.len()];
        values[SettingId::MODEL.index()] = Some(Value::Word(model.into()));
        Self::from_values(&values, 1)
    }

    /// The typed settings of a cell that runs `replicas` replicas. `values` has one entry per
    /// setting; those that do not apply get their default, and a global batch is divided.
    pub fn from_values(values: &[Option<Value>], replicas: u64) -> Self {
        let model = match &values[SettingId::MODEL.index()] {
            Some(Value::Word(word)) => word.parse().expect("a checked model is a known one"),
            _ => unreachable!("every cell has a model"),
        };
        let global = values[SettingId::GLOBAL_BATCH.index()].as_ref();
        let local = global
            .and_then(Value::integer)
            .map(|examples| Value::Integer(examples / replicas.max(1)));
        let pairs = SettingId::all().filter_map(|id| {
            let value = values[id.index()].clone();
            let value = match id {
                SettingId::LOCAL_BATCH => local.clone().or(value),
                _ => value,
            };
            let value = value.or_else(|| (id.setting().default)(model))?;
            Some((id.key(), Typed(value)))
        });
        Settings::deserialize(MapDeserializer::new(pairs))
            .expect("the list of settings and their typed view agree")
    }
}

/// A value on its way into a typed setting.
struct Typed(Value);

impl<'de> IntoDeserializer<'de, Error> for Typed {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> serde::Deserializer<'de> for Typed {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Bool(value) => visitor.visit_bool(value),
            Value::Integer(value) => visitor.visit_u64(value),
            Value::Number(value) => visitor.visit_f64(value),
            Value::Word(word) => visitor.visit_str(word),
            Value::Text(text) => visitor.visit_str(&text),
            Value::Integers(values) => {
                visitor.visit_seq(SeqDeserializer::new(values.iter().copied()))
            }
            Value::Duration(duration) => {
                let parts = [duration.as_secs(), duration.subsec_nanos().into()];
                visitor.visit_seq(SeqDeserializer::new(parts.into_iter()))
            }
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.0 {
            Value::Word(word) => visitor.visit_enum(word.into_deserializer()),
            other => Err(serde::de::Error::custom(format_args!("{other} is no word"))),
        }
    }

    /// A value that is there; one that is not is left out.
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        unit unit_struct newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::settings::{SETTINGS, resolve};
    use crate::terms::*;
    use std::time::Duration;

    fn defaults() -> Settings {
        Settings {
            model: ModelName::Cifar10,
            local_batch: 128,
            layers: vec![256, 4096, 4096, 256],
            channels: vec![8, 16],
            image_size: 32,
            frames: 6,
            predicted_frames: 3,
            optimizer: OptimizerName::Sgd,
            learning_rate: 0.1,
            convolution: Convolution::Auto,
            input_source: InputSource::Generated,
            input_directory: "cifar-10-batches-bin".into(),
            input_placement: Placement::Host,
            device_pipeline: DevicePipeline::PerImage,
            pipelines: Pipelines::PerReplica,
            input_threads: 16,
            shuffle_buffer: 20_000,
            device_kind: DeviceKind::Auto,
            devices_per_worker: 1,
            device_threads: 1,
            oversubscribe: false,
            share_devices: false,
            allow_occupied: false,
            parameters: Placement::Host,
            cuda_graph: true,
            tf32: false,
            topology: Topology::Single,
            workers: 1,
            servers: 0,
            server_threads: 1,
            update: Update::Async,
            backup_workers: 0,
            consistency: Consistency::Strict,
            shards: Shards::RoundRobin,
            transport: Transport::Auto,
            encoding: Encoding::Raw,
            overlap: true,
            warmup_steps: 10,
            steps: 100,
            seed: 1,
            timeout: Duration::from_secs(300),
            stop_at_global_step: None,
            checkpoint_every: None,
        }
    }

    #[test]
    fn the_list_and_the_typed_view_have_the_same_keys_and_defaults() {
        let (_, values) = resolve(&vec![None; SETTINGS.len()]);
        let settings = Settings::from_values(&values, 1);
        assert_eq!(settings, defaults());
        assert_eq!(Settings::defaults(ModelName::Cifar10), defaults());
        let json = serde_json::to_value(settings).unwrap();
        for key in json.as_object().unwrap().keys() {
            assert!(SettingId::of(key).is_some(), "{key} is in no list");
        }
    }

    #[test]
    fn declared_values_reach_their_fields_and_a_global_batch_is_divided() {
        let mut declared = vec![None; SETTINGS.len()];
        let pairs = [
            ("model.name", Value::Word("mlp")),
            ("model.global_batch", Value::Integer(96)),
            ("model.layers", Value::Integers([8, 2].into())),
            (
                "measure.timeout",
                Value::Duration(Duration::from_millis(1500)),
            ),
        ];
        for (key, value) in pairs {
            declared[SettingId::of(key).unwrap().index()] = Some(value);
        }
        let settings = Settings::from_values(&resolve(&declared).1, 4);
        let wanted = Settings {
            model: ModelName::Mlp,
            local_batch: 24,
            layers: vec![8, 2],
            optimizer: OptimizerName::Adam,
            learning_rate: 1e-4,
            input_source: InputSource::Normal,
            timeout: Duration::from_millis(1500),
            ..defaults()
        };
        assert_eq!(settings, wanted);
    }
}
