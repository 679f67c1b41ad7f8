//! Convolutions and what stands behind them, by every algorithm that a GPU has.

use crate::beside::{like, numbers, pass, relative_distance};
use candle_core::{DType, Device, Result, Tensor, Var};
use xrun::terms::Convolution;
use xrun::worker::gpu::{Gpu, cudnn};
use xrun::worker::layer::{Activation, Conv, Layer, Lrn, Tape};

/// Images `(batch, height, width, channels)`, a kernel, padding and filters.
#[derive(Clone, Copy, Debug)]
struct Case {
    images: [usize; 4],
    kernel: usize,
    padding: usize,
    filters: usize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Behind {
    Nothing,
    Maxima,
    NormalisedMaxima,
    MaximaOfNormalised,
}

const BEHIND: [Behind; 4] = [
    Behind::Nothing,
    Behind::Maxima,
    Behind::NormalisedMaxima,
    Behind::MaximaOfNormalised,
];

const LRN: Lrn = Lrn {
    radius: 2,
    bias: 1.0,
    alpha: 0.3,
};

const NORM_OF_CIFAR10: Lrn = Lrn {
    radius: 4,
    bias: 1.0,
    alpha: 0.001 / 9.0,
};

const fn case(images: [usize; 4], kernel: usize, padding: usize, filters: usize) -> Case {
    Case {
        images,
        kernel,
        padding,
        filters,
    }
}

/// Sizes that divide by nothing, by four, and by the tiles of kernels; with and without padding.
const CASES: [Case; 7] = [
    case([1, 1, 1, 1], 1, 0, 1),
    case([3, 5, 5, 1], 3, 1, 3),
    case([1, 7, 6, 3], 5, 2, 5),
    case([3, 4, 9, 5], 2, 1, 16),
    case([2, 6, 5, 4], 3, 0, 8),
    case([3, 4, 6, 16], 3, 2, 68),
    case([3, 9, 5, 12], 5, 4, 4),
];

/// Sizes for what stands behind: odd and even, with channels that divide by four or not.
const BEHIND_CASES: [Case; 5] = [
    case([1, 1, 1, 1], 1, 0, 1),
    case([3, 5, 6, 2], 2, 0, 3),
    case([1, 6, 3, 3], 2, 1, 12),
    case([2, 7, 5, 1], 1, 0, 68),
    case([3, 4, 17, 2], 1, 0, 5),
];

/// An activation, what stands behind it, and how that normalises.
type Stage = (Activation, Behind, Lrn);

fn algorithms() -> Vec<Convolution> {
    let mut all = vec![Convolution::Direct, Convolution::Im2col];
    all.extend(cudnn::IS_BUILT_IN.then_some(Convolution::Cudnn));
    all
}

impl Case {
    fn args(self) -> [Tensor; 3] {
        let [_, _, _, channels] = self.images;
        let weights = (self.kernel, self.kernel, channels, self.filters);
        let [n, h, w, c] = self.images;
        [
            numbers(1, (n, h, w, c)),
            numbers(2, weights),
            (numbers(3, self.filters) * 0.5).unwrap(),
        ]
    }

    fn layer(self, w: &Var, b: &Var, activation: Activation, behind: Behind, lrn: Lrn) -> Conv {
        let conv = Conv::new(w.clone(), b.clone(), self.padding, activation);
        match behind {
            Behind::Nothing => conv,
            Behind::Maxima => conv.pooled(),
            Behind::NormalisedMaxima => conv.pooled_and_normalised(lrn),
            Behind::MaximaOfNormalised => conv.normalised_and_pooled(lrn),
        }
    }

    /// Holds result and gradients by some algorithms against those of the CPU in f64.
    fn check(self, gpu: &Gpu, algorithms: &[Convolution], (activation, behind, lrn): Stage) {
        let args = self.args();
        let by = |algorithm| {
            move |tape: &mut Tape, args: &[Var]| {
                let layer = self.layer(&args[1], &args[2], activation, behind, lrn);
                layer.by(algorithm).forward(tape, &args[0])
            }
        };
        let truth = by(Convolution::Im2col);
        let truth = pass(Tape::default(), &Device::Cpu, DType::F64, &args, &truth);
        for &algorithm in algorithms {
            for (dtype, bound) in [(DType::F64, 1e-12), (DType::F32, 5e-6)] {
                let tape = Tape::on(gpu.clone());
                let found = pass(tape, gpu.device(), dtype, &args, &by(algorithm));
                for (at, (found, truth)) in found.iter().zip(&truth).enumerate() {
                    assert_eq!(found.dims(), truth.dims());
                    let distance = relative_distance(found, truth);
                    assert!(
                        distance < bound,
                        "{self:?}, {activation:?}, {behind:?}, {algorithm}, {dtype:?}, {}: {distance:e}",
                        ["result", "images", "weights", "biases"][at],
                    );
                }
            }
        }
    }
}

#[test]
fn convolutions_are_those_of_the_cpu() {
    let Some(gpu) = crate::gpu() else { return };
    for case in CASES {
        let stage = (Activation::Identity, Behind::Nothing, LRN);
        case.check(&gpu, &algorithms(), stage);
    }
}

#[test]
fn what_stands_behind_a_convolution_is_that_of_the_cpu() {
    let Some(gpu) = crate::gpu() else { return };
    for case in BEHIND_CASES {
        for behind in BEHIND {
            for activation in [Activation::Identity, Activation::Relu] {
                case.check(&gpu, &[Convolution::Im2col], (activation, behind, LRN));
            }
        }
    }
}

#[test]
fn the_layers_of_cifar10_are_those_of_the_cpu() {
    let Some(gpu) = crate::gpu() else { return };
    let layers = [
        (case([2, 24, 24, 3], 5, 2, 64), Behind::NormalisedMaxima),
        (case([2, 12, 12, 64], 5, 2, 64), Behind::MaximaOfNormalised),
    ];
    for (layer, behind) in layers {
        let stage = (Activation::Relu, behind, NORM_OF_CIFAR10);
        layer.check(&gpu, &[Convolution::Auto, Convolution::Direct], stage);
    }
}

/// Gradients of filters that are added up from many parts of a batch.
#[test]
fn many_results_are_summed_in_parts() {
    let Some(gpu) = crate::gpu() else { return };
    let stage = (Activation::Identity, Behind::Nothing, LRN);
    let case = case([2, 70, 70, 1], 1, 0, 3);
    case.check(&gpu, &[Convolution::Direct], stage);
}

/// 76 MB of patches for each image in f64, of which there are never more than 256 MB.
#[test]
fn patches_of_large_batches_are_laid_out_in_parts() {
    let Some(gpu) = crate::gpu() else { return };
    let stage = (Activation::Identity, Behind::Nothing, LRN);
    let case = case([4, 64, 64, 8], 17, 8, 1);
    case.check(&gpu, &[Convolution::Im2col], stage);
}

/// Images that are no variable have no gradient; the others are the same without it.
#[test]
fn a_first_layer_has_gradients_of_its_variables_alone() {
    let Some(gpu) = crate::gpu() else { return };
    let case = case([3, 8, 7, 3], 3, 1, 8);
    let [x, w, b] = case.args();
    for algorithm in algorithms() {
        let gradients = |device: &Device, mut tape: Tape, algorithm| -> Result<[Tensor; 2]> {
            let [w, b] = [&w, &b].map(|arg| Var::from_tensor(&arg.to_device(device).unwrap()));
            let (w, b) = (w?, b?);
            let layer = case.layer(&w, &b, Activation::Relu, Behind::Maxima, LRN);
            let y = layer
                .by(algorithm)
                .forward(&mut tape, &x.to_device(device)?)?;
            tape.backward_from(&like(&y, &numbers(9, y.shape()))?)?;
            let [dw, db] = [&w, &b].map(|var| tape.gradient(var).unwrap().to_device(&Device::Cpu));
            Ok([dw?, db?])
        };
        let there = gradients(gpu.device(), Tape::on(gpu.clone()), algorithm).unwrap();
        let here = gradients(&Device::Cpu, Tape::default(), Convolution::Im2col).unwrap();
        for (there, here) in there.iter().zip(&here) {
            assert!(relative_distance(there, here) < 1e-12, "{algorithm}");
        }
    }
}

/// From the second pass on a layer takes no memory, and all that it does is on the queue.
#[test]
fn passes_can_be_captured() {
    let Some(gpu) = crate::gpu() else { return };
    let case = case([3, 6, 5, 4], 3, 1, 8);
    for algorithm in algorithms() {
        for behind in BEHIND {
            let variables = case.args().map(|arg| {
                let arg = arg
                    .to_dtype(DType::F32)
                    .and_then(|arg| arg.to_device(gpu.device()));
                Var::from_tensor(&arg.unwrap()).unwrap()
            });
            let [x, w, b] = &variables;
            let layer = case
                .layer(w, b, Activation::Relu, behind, LRN)
                .by(algorithm);
            let mut tape = Tape::on(gpu.clone());
            let mut gradient: Option<Tensor> = None;
            let mut one = |tape: &mut Tape| -> Result<Tensor> {
                tape.rewind();
                let y = layer.forward(tape, x)?;
                if gradient.is_none() {
                    gradient = Some(like(&y, &numbers(7, y.shape()))?);
                }
                tape.backward_from(gradient.as_ref().expect("it was made above"))?;
                Ok(y)
            };
            one(&mut tape).unwrap();
            let (y, graph) = gpu.capture(|| one(&mut tape)).unwrap();
            x.set(&(x.as_tensor() * 2.0).unwrap()).unwrap();
            graph.launch().unwrap();
            let replayed = [&y, tape.gradient(w).unwrap()].map(|t| t.copy().unwrap());
            let again = one(&mut tape).unwrap();
            for (at, (replayed, again)) in
                (replayed.iter().zip([&again, tape.gradient(w).unwrap()])).enumerate()
            {
                let distance = relative_distance(replayed, again);
                assert_eq!(distance, 0.0, "{algorithm}, {behind:?}, {at}");
            }
        }
    }
}

#[test]
fn an_algorithm_of_cpus_is_refused_with_the_words_that_are_not() {
    let Some(gpu) = crate::gpu() else { return };
    let case = CASES[1];
    let [x, w, b] = case.args().map(|arg| arg.to_device(gpu.device()).unwrap());
    let [w, b] = [w, b].map(|arg| Var::from_tensor(&arg).unwrap());
    let layer = case.layer(&w, &b, Activation::Relu, Behind::Nothing, LRN);
    let auto = layer.algorithm([5, 5]).unwrap();
    assert!([Convolution::Cudnn, Convolution::Im2col].contains(&auto));
    let layer = layer.by(Convolution::Winograd);
    let refused = layer
        .forward(&mut Tape::on(gpu), &x)
        .unwrap_err()
        .to_string();
    assert!(refused.contains("im2col or direct"), "{refused}");
    let refused = layer.algorithm([5, 5]).unwrap_err().to_string();
    assert!(refused.contains("im2col or direct"), "{refused}");
}
