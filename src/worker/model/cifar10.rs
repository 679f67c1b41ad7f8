//! The network of TensorFlow's CIFAR-10 tutorial (2015 to 2017), after Krizhevsky's cuda-convnet.
//!
//! | layer | result | parameters |
//! |---|---|---|
//! | input | 24 × 24 × 3 | |
//! | conv1, 5×5, rectifier | 24 × 24 × 64 | 4,864 |
//! | pool1, norm1 | 12 × 12 × 64 | |
//! | conv2, 5×5, rectifier | 12 × 12 × 64 | 102,464 |
//! | norm2, pool2 | 6 × 6 × 64 | |
//! | local3, dense, rectifier | 384 | 885,120 |
//! | local4, dense, rectifier | 192 | 73,920 |
//! | softmax_linear, dense | 10 | 1,930 |

use super::variables::Variables;
use super::{Loss, Model};
use crate::terms::Convolution;
use crate::worker::input::Batch;
use crate::worker::layer::loss::CrossEntropy;
use crate::worker::layer::lrn::Lrn;
use crate::worker::layer::{Activation, Conv, Dense, Layer, Tape};
use candle_core::{DType, Result, Var};

/// Weight of `½ Σ w²` of local3 and local4 in the loss.
const WEIGHT_DECAY: f64 = 0.004;

const NORM: Lrn = Lrn {
    radius: 4,
    bias: 1.0,
    alpha: 0.001 / 9.0,
};

/// The network with its variables. Inputs `(batch, 24, 24, 3)`, targets `(batch,)` below 10.
pub struct Cifar10 {
    /// With pool1 and norm1.
    conv1: Conv,
    /// With norm2 and pool2.
    conv2: Conv,
    local3: Dense,
    local4: Dense,
    softmax_linear: Dense,
    parameters: Vec<(String, Var)>,
}

impl Cifar10 {
    /// On the CPU.
    pub fn new(seed: u64, dtype: DType) -> Result<Self> {
        Self::of(Variables::new(seed, dtype))
    }

    /// Weights of truncated normal distributions, biases 0 or 0.1, as in the tutorial.
    pub fn of(mut v: Variables) -> Result<Self> {
        use Activation::{Identity, Relu};
        let w1 = v.truncated_normal("conv1/weights", (5, 5, 3, 64), 0.05)?;
        let w2 = v.truncated_normal("conv2/weights", (5, 5, 64, 64), 0.05)?;
        let w3 = v.truncated_normal("local3/weights", (6 * 6 * 64, 384), 0.04)?;
        let w4 = v.truncated_normal("local4/weights", (384, 192), 0.04)?;
        let w5 = v.truncated_normal("softmax_linear/weights", (192, 10), 1.0 / 192.0)?;
        let b1 = v.constant("conv1/biases", 64, 0.0)?;
        let b2 = v.constant("conv2/biases", 64, 0.1)?;
        let b3 = v.constant("local3/biases", 384, 0.1)?;
        let b4 = v.constant("local4/biases", 192, 0.1)?;
        let b5 = v.constant("softmax_linear/biases", 10, 0.0)?;
        Ok(Self {
            conv1: Conv::new(w1, b1, 2, Relu).pooled_and_normalised(NORM),
            conv2: Conv::new(w2, b2, 2, Relu).normalised_and_pooled(NORM),
            local3: Dense::new(w3, b3, Relu).decayed(WEIGHT_DECAY),
            local4: Dense::new(w4, b4, Relu).decayed(WEIGHT_DECAY),
            softmax_linear: Dense::new(w5, b5, Identity),
            parameters: v.in_name_order(),
        })
    }

    /// The same network, its convolutions computed in another way.
    pub fn by(self, algorithm: Convolution) -> Self {
        Self {
            conv1: self.conv1.by(algorithm),
            conv2: self.conv2.by(algorithm),
            ..self
        }
    }

    /// From images to one number for each class, before the softmax.
    fn layers(&self) -> [&dyn Layer; 5] {
        [
            &self.conv1,
            &self.conv2,
            &self.local3,
            &self.local4,
            &self.softmax_linear,
        ]
    }
}

impl Model for Cifar10 {
    /// Mean cross-entropy, and weight decay of the two large dense layers.
    fn record(&self, tape: &mut Tape, batch: &Batch) -> Result<Option<Loss>> {
        let mut x = batch.inputs.clone();
        for layer in self.layers() {
            x = layer.forward(tape, &x)?;
        }
        let mean = CrossEntropy(&batch.targets).forward(tape, &x)?;
        let penalties = vec![self.local3.penalty(tape)?, self.local4.penalty(tape)?];
        Ok(Some(Loss { mean, penalties }))
    }

    fn parameters(&self) -> &[(String, Var)] {
        &self.parameters
    }

    fn convolutions(&self) -> Result<Vec<Convolution>> {
        Ok(vec![
            self.conv1.algorithm([24, 24])?,
            self.conv2.algorithm([12, 12])?,
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_those_of_the_tutorial_in_name_order() {
        let model = Cifar10::new(1, DType::F32).unwrap();
        let sizes: Vec<_> = model
            .parameters()
            .iter()
            .map(|(name, var)| (name.as_str(), var.elem_count()))
            .collect();
        assert_eq!(sizes.iter().map(|(_, size)| size).sum::<usize>(), 1_068_298);
        let expected = [
            ("conv1/biases", 64),
            ("conv1/weights", 4_800),
            ("conv2/biases", 64),
            ("conv2/weights", 102_400),
            ("local3/biases", 384),
            ("local3/weights", 884_736),
            ("local4/biases", 192),
            ("local4/weights", 73_728),
            ("softmax_linear/biases", 10),
            ("softmax_linear/weights", 1_920),
        ];
        assert_eq!(sizes, expected);
    }
}
