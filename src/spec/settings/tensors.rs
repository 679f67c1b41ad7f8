//! How large the parameters of a model are. In: its name and widths. Out: elements of each tensor.
//! Lets plan and harness judge shards and bytes without building a model.

use crate::terms::ModelName;

/// Elements of each tensor in the order in which the model makes them; none for a model that is not
/// built yet.
pub fn tensors(model: ModelName, layers: &[u64]) -> Option<Vec<u64>> {
    match model {
        ModelName::Cifar10 => Some(vec![
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
        ]),
        ModelName::Mlp => {
            let layer = |widths: &[u64]| [widths[0].saturating_mul(widths[1]), widths[1]];
            Some(layers.windows(2).flat_map(layer).collect())
        }
        ModelName::None => Some(Vec::new()),
        ModelName::SatSeq2seq => None,
    }
}

/// Bytes of all parameters in f32.
pub fn parameter_bytes(model: ModelName, layers: &[usize]) -> Option<u64> {
    let widths: Vec<u64> = layers.iter().map(|width| *width as u64).collect();
    Some(4 * tensors(model, &widths)?.iter().sum::<u64>())
}
