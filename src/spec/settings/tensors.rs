//! How large the parameters of a model are. In: its name and widths. Out: elements of each tensor.
//! Lets plan and harness judge shards and bytes without building a model.

use super::Settings;
use crate::terms::ModelName;

/// Elements of each tensor. `widths` are those of `model.layers`, or of `model.channels` for a model
/// that has these.
pub fn tensors(model: ModelName, widths: &[u64]) -> Vec<u64> {
    match model {
        ModelName::Cifar10 => vec![
            5 * 5 * 3 * 64,
            5 * 5 * 64 * 64,
            6 * 6 * 64 * 384,
            384 * 192,
            192 * 10,
            64,
            64,
            384,
            192,
            10,
        ],
        ModelName::Mlp => {
            let layer = |widths: &[u64]| [widths[0].saturating_mul(widths[1]), widths[1]];
            widths.windows(2).flat_map(layer).collect()
        }
        ModelName::None => Vec::new(),
        ModelName::SatSeq2seq => sat_seq2seq(widths),
    }
}

/// Encoder and decoder level by level, two cells of four gates, and the output.
fn sat_seq2seq(channels: &[u64]) -> Vec<u64> {
    let Some(smallest) = channels.last() else {
        return Vec::new();
    };
    let conv = |inputs: u64, filters: u64| {
        let weights = 9u64.saturating_mul(inputs).saturating_mul(filters);
        [weights, filters]
    };
    let below = [1].iter().chain(channels);
    let above = channels[1..].iter().chain([smallest]);
    let levels = channels.iter().zip(below.zip(above));
    let levels = levels.flat_map(|(filters, (below, above))| {
        [conv(*below, *filters), conv(above + filters, *filters)]
    });
    let cells = [conv(2 * smallest, 4 * smallest); 2];
    let all = levels.chain(cells).chain([conv(channels[0], 1)]);
    all.flatten().collect()
}

/// Bytes of all parameters in f32.
pub fn parameter_bytes(settings: &Settings) -> u64 {
    4 * settings.tensors().iter().sum::<u64>()
}

impl Settings {
    /// Elements of each tensor of the model.
    pub fn tensors(&self) -> Vec<u64> {
        let widths = match self.model {
            ModelName::SatSeq2seq => &self.channels,
            ModelName::Cifar10 | ModelName::Mlp | ModelName::None => &self.layers,
        };
        let widths: Vec<u64> = widths.iter().map(|width| *width as u64).collect();
        tensors(self.model, &widths)
    }
}
