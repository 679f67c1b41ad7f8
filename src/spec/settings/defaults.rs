//! Defaults that follow from the model, and how a default is written. In: a model. Out: a value. Knows
//! neither keys nor rules.

use super::Value;
use crate::terms::ModelName;

pub(super) fn word(word: &'static str) -> Option<Value> {
    Some(Value::Word(word))
}

pub(super) fn local_batch(model: ModelName) -> Option<Value> {
    Some(Value::Integer(match model {
        ModelName::Cifar10 | ModelName::Mlp | ModelName::None => 128,
        ModelName::SatSeq2seq => 8,
    }))
}

pub(super) fn convolution(model: ModelName) -> Option<Value> {
    word(match model {
        ModelName::Cifar10 | ModelName::Mlp | ModelName::None => "auto",
        // The kernels of a library, as in the network that it stands for.
        ModelName::SatSeq2seq => "im2col",
    })
}

pub(super) fn optimizer(model: ModelName) -> Option<Value> {
    word(match model {
        ModelName::Cifar10 | ModelName::None => "sgd",
        ModelName::Mlp | ModelName::SatSeq2seq => "adam",
    })
}

pub(super) fn learning_rate(model: ModelName) -> Option<Value> {
    Some(Value::Number(match model {
        ModelName::Cifar10 | ModelName::None => 0.1,
        ModelName::Mlp => 1e-4,
        ModelName::SatSeq2seq => 1e-3,
    }))
}

pub(super) fn source(model: ModelName) -> Option<Value> {
    word(match model {
        ModelName::Cifar10 | ModelName::None => "generated",
        ModelName::Mlp => "normal",
        ModelName::SatSeq2seq => "moving-fields",
    })
}
