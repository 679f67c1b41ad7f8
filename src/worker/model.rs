//! What a replica trains. In: a cell's settings and a seed. Out: a [`Model`] whose variables have
//! the same values for the same seed, in every replica and on every machine. Knows neither devices
//! of other replicas nor how gradients are exchanged.

mod cifar10;
mod initial;
mod loss;
mod mlp;
mod none;
mod sat_seq2seq;
mod variables;

pub use cifar10::Cifar10;
pub use loss::Loss;
pub use mlp::Mlp;
pub use none::NullModel;
pub use sat_seq2seq::{SatSeq2seq, Sizes};
pub use variables::Variables;

use super::input::Batch;
use super::layer::Tape;
use crate::spec::settings::Settings;
use crate::terms::{Convolution, ModelName};
use candle_core::{DType, Device, Result, Var};

/// A model with its variables.
pub trait Model: Send + Sync {
    /// A pass over one batch, recorded on a tape that was rewound, whose last result is the mean loss;
    /// none for the null model. Does not wait for a GPU.
    fn record(&self, tape: &mut Tape, batch: &Batch) -> Result<Option<Loss>>;

    /// The same, and the value of the loss, which waits for a GPU.
    fn loss(&self, tape: &mut Tape, batch: &Batch) -> Result<Option<f64>> {
        let loss = self.record(tape, batch)?;
        loss.map(|loss| loss.value()).transpose()
    }

    /// All trainable variables in name order, the order in which gradients travel.
    fn parameters(&self) -> &[(String, Var)];

    /// The algorithms of its convolutions, layer by layer.
    fn convolutions(&self) -> Result<Vec<Convolution>> {
        Ok(Vec::new())
    }
}

/// The model that `settings` name, in f32, on the CPU.
pub fn build(settings: &Settings, seed: u64) -> Result<Box<dyn Model>> {
    build_on(settings, seed, &Device::Cpu)
}

/// The same model with the same values, whose variables live on `device`.
pub fn build_on(settings: &Settings, seed: u64, device: &Device) -> Result<Box<dyn Model>> {
    let variables = Variables::new(seed, DType::F32).on(device);
    Ok(match settings.model {
        ModelName::Cifar10 => Box::new(Cifar10::of(variables)?.by(settings.convolution)),
        ModelName::Mlp => Box::new(Mlp::of(&settings.layers, variables)?),
        ModelName::None => Box::new(NullModel),
        ModelName::SatSeq2seq => {
            let model = SatSeq2seq::of(Sizes::of(settings), variables)?;
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
