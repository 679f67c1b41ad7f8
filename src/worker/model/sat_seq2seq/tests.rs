use super::*;
use crate::terms::ModelName;
use candle_core::Device;

fn network() -> SatSeq2seq {
    let settings = Settings::defaults(ModelName::SatSeq2seq);
    SatSeq2seq::new(Sizes::of(&settings), 1, DType::F32).unwrap()
}

#[test]
fn parameters_are_those_of_the_page_in_name_order() {
    let model = network();
    let sizes: Vec<_> = (model.parameters().iter())
        .map(|(name, variable)| (name.as_str(), variable.elem_count()))
        .collect();
    let expected = [
        ("decoder01/biases", 8),
        ("decoder01/weights", 1_728),
        ("decoder02/biases", 16),
        ("decoder02/weights", 4_608),
        ("encoder01/biases", 8),
        ("encoder01/weights", 72),
        ("encoder02/biases", 16),
        ("encoder02/weights", 1_152),
        ("lstm01/biases", 64),
        ("lstm01/weights", 18_432),
        ("lstm02/biases", 64),
        ("lstm02/weights", 18_432),
        ("output/biases", 1),
        ("output/weights", 72),
    ];
    assert_eq!(sizes, expected);
    let biases = &model.parameters()[8].1.to_vec1::<f32>().unwrap();
    let ones = biases.iter().enumerate().filter(|(_, bias)| **bias == 1.0);
    assert!(ones.map(|(at, _)| at).eq(32..48), "{biases:?}");
    assert_eq!(biases.iter().sum::<f32>(), 16.0);
}

/// Operations that a step of the network records for so many frames.
fn calls(frames: usize, predicted: usize) -> usize {
    let (levels, cell) = (2, 15);
    let seen = 1 + 2 * levels + cell;
    let decoded = cell + 3 * levels + 1;
    let fed_back = 2 * levels;
    frames * seen + predicted * decoded + (predicted - 1) * (fed_back + 1) + 1
}

#[test]
fn a_step_is_many_small_operations() {
    let model = network();
    for (frames, predicted) in [(1, 1), (2, 1), (6, 3)] {
        let sizes = Sizes {
            predicted_frames: predicted,
            ..model.sizes.clone()
        };
        let model = SatSeq2seq::new(sizes, 1, DType::F32).unwrap();
        let zeros = |frames| Tensor::zeros((1, 32, 32, frames), DType::F32, &Device::Cpu).unwrap();
        let batch = Batch {
            examples: 1,
            inputs: zeros(frames),
            targets: zeros(predicted),
            label_sum: 0,
        };
        let mut tape = Tape::default();
        model.loss(&mut tape, &batch).unwrap();
        assert_eq!(tape.calls(), calls(frames, predicted));
        tape.backward().unwrap();
        for (name, variable) in model.parameters() {
            assert!(tape.gradient(variable).is_some(), "{name}");
        }
    }
}

#[test]
fn images_that_cannot_be_halved_are_refused() {
    let sizes = Sizes {
        channels: vec![2, 2, 2],
        image: 20,
        predicted_frames: 1,
    };
    let refused = SatSeq2seq::new(sizes, 1, DType::F32).err().unwrap();
    assert!(refused.to_string().contains("halved 3 times"), "{refused}");
}

#[test]
fn every_convolution_says_how_it_is_computed() {
    let model = network().by(Convolution::Im2col);
    assert_eq!(model.convolutions().unwrap(), [Convolution::Im2col; 7]);
}
