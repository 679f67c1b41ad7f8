//! What a replica trains. In: a cell's settings and a seed. Out: a [`Model`] whose variables have
//! the same values for the same seed, in every replica and on every machine. Knows neither devices
//! of other replicas nor how gradients are exchanged.

mod cifar10;
mod initial;
mod mlp;
mod none;
mod sat_seq2seq;
mod variables;

pub use cifar10::Cifar10;
pub use mlp::Mlp;
pub use none::NullModel;
pub use sat_seq2seq::{SatSeq2seq, Sizes};

use super::input::Batch;
use super::layer::Tape;
use crate::spec::settings::Settings;
use crate::terms::{Convolution, ModelName};
use candle_core::{DType, Result, Tensor, Var};

/// A model with its variables.
pub trait Model: Send + Sync {
    /// Mean loss over one batch, recorded on a tape that was rewound; none for the null model.
    fn loss(&self, tape: &mut Tape, batch: &Batch) -> Result<Option<f64>>;

    /// All trainable variables in name order, the order in which gradients travel.
    fn parameters(&self) -> &[(String, Var)];

    /// The algorithms of its convolutions, layer by layer.
    fn convolutions(&self) -> Result<Vec<Convolution>> {
        Ok(Vec::new())
    }
}

/// The model that `settings` name, in f32.
pub fn build(settings: &Settings, seed: u64) -> Result<Box<dyn Model>> {
    Ok(match settings.model {
        ModelName::Cifar10 => Box::new(Cifar10::new(seed, DType::F32)?.by(settings.convolution)),
        ModelName::Mlp => Box::new(Mlp::new(&settings.layers, seed, DType::F32)?),
        ModelName::None => Box::new(NullModel),
        ModelName::SatSeq2seq => {
            let model = SatSeq2seq::new(Sizes::of(settings), seed, DType::F32)?;
            Box::new(model.by(settings.convolution))
        }
    })
}

/// Scalars of each variable of the model that `settings` name, in name order.
pub fn lengths(settings: &Settings) -> Result<Vec<usize>> {
    if settings.model == ModelName::Mlp {
        // These may be large, and widths say it all.
        return Ok(mlp::lengths(&settings.layers));
    }
    let model = build(settings, settings.seed)?;
    let variables = model.parameters().iter();
    Ok(variables
        .map(|(_, variable)| variable.elem_count())
        .collect())
}

/// The number of a tensor that has one.
fn scalar(tensor: &Tensor) -> Result<f64> {
    match tensor.dtype() {
        DType::F64 => tensor.to_scalar(),
        _ => tensor.to_scalar::<f32>().map(f64::from),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_those_of_the_variables() {
        let settings = Settings {
            layers: vec![3, 20, 5, 2, 1, 1, 1, 1, 1, 1, 1, 1],
            ..Settings::defaults(ModelName::Mlp)
        };
        let model = build(&settings, 1).unwrap();
        let built: Vec<usize> = model
            .parameters()
            .iter()
            .map(|(_, v)| v.elem_count())
            .collect();
        assert_eq!(lengths(&settings).unwrap(), built);
    }
}
