//! Updates on a GPU beside those on the CPU.

use candle_core::{Tensor, Var};
use xrun::terms::OptimizerName;
use xrun::worker::gpu::{Gpu, Span};
use xrun::worker::optimizer::{Config, GpuMean, GpuOptimizer, Optimizer, Staircase};

/// Of variables: less than a thread has, whole blocks, and beyond some.
const LENGTHS: [usize; 5] = [1, 3, 1024, 1027, 5000];

fn wave(length: usize, scale: f64, phase: f64) -> Vec<f32> {
    let number = |i: usize| (scale * (i as f64 * 0.37 + phase).sin()) as f32;
    (0..length).map(number).collect()
}

fn waves(scale: f64, phase: f64) -> Vec<Vec<f32>> {
    LENGTHS.map(|length| wave(length, scale, phase)).to_vec()
}

/// Variables whose memory stays where it is.
fn on_gpu(gpu: &Gpu, numbers: &[Vec<f32>]) -> Vec<Var> {
    let variable = |numbers: &Vec<f32>| Var::new(numbers.as_slice(), gpu.device()).unwrap();
    numbers.iter().map(variable).collect()
}

fn set(variables: &[Var], numbers: &[Vec<f32>]) {
    for (variable, numbers) in variables.iter().zip(numbers) {
        let numbers = Tensor::new(numbers.as_slice(), variable.device());
        variable.set(&numbers.unwrap()).unwrap();
    }
}

fn spans(gpu: &Gpu, variables: &[Var]) -> Vec<Span<f32>> {
    let span = |variable: &Var| gpu.span(variable).unwrap();
    variables.iter().map(span).collect()
}

fn assert_close(what: &str, variables: &[Var], expected: &[Vec<f32>]) {
    for (variable, expected) in variables.iter().zip(expected) {
        let numbers = variable.to_vec1::<f32>().unwrap();
        for (i, (a, b)) in numbers.iter().zip(expected).enumerate() {
            assert!((a - b).abs() < 2e-6, "{what}, number {i}: {a}, not {b}");
        }
    }
}

fn configs() -> Vec<Config> {
    let stairs = Some(Staircase {
        steps: 3,
        factor: 0.1,
    });
    let rules = [OptimizerName::Sgd, OptimizerName::Adam];
    let each = |rule| {
        [(None, false), (stairs, true)].map(|(decay, averages)| Config {
            rule,
            learning_rate: 0.05,
            decay,
            averages,
        })
    };
    rules.into_iter().flat_map(each).collect()
}

/// One step on the CPU.
fn step(optimizer: &mut Optimizer, weights: &mut [Vec<f32>], gradients: &[Vec<f32>]) {
    let pairs = weights.iter_mut().zip(gradients);
    optimizer.step(pairs.map(|(w, g)| (&mut w[..], &g[..])).collect());
}

fn of_cpu(config: Config, weights: &[Vec<f32>]) -> Optimizer {
    let parts: Vec<&[f32]> = weights.iter().map(Vec::as_slice).collect();
    Optimizer::new(config, &parts)
}

/// What the averages are, in variables on the GPU.
fn averages(gpu: &Gpu, optimizer: &GpuOptimizer) -> Vec<Var> {
    let copies = on_gpu(gpu, &LENGTHS.map(|length| vec![0.0; length]));
    for (average, copy) in optimizer.averages().zip(spans(gpu, &copies)) {
        gpu.copy(average, copy).unwrap();
    }
    copies
}

#[test]
fn every_rule_gives_the_weights_of_the_cpu() {
    let Some(gpu) = crate::gpu() else { return };
    for config in configs() {
        let mut host = waves(1.0, 0.0);
        let weights = on_gpu(&gpu, &host);
        let mut on_host = of_cpu(config, &host);
        let mut on_device = GpuOptimizer::new(config, &gpu, &spans(&gpu, &weights)).unwrap();
        let gradients = on_gpu(&gpu, &host);
        for number in 1..=8u32 {
            let scale = if number == 5 { 1e-8 } else { 0.5 };
            let new = waves(scale, number.into());
            step(&mut on_host, &mut host, &new);
            // Twice as large ones, by half.
            set(&gradients, &waves(2.0 * scale, number.into()));
            on_device.step(&spans(&gpu, &gradients), 0.5).unwrap();
            assert_close(&format!("{config:?}, step {number}"), &weights, &host);
        }
        if config.averages {
            let expected: Vec<Vec<f32>> = on_host.averages().map(<[f32]>::to_vec).collect();
            let ours = averages(&gpu, &on_device);
            assert_close(&format!("{config:?}, averages"), &ours, &expected);
        }
    }
}

#[test]
fn steps_of_a_graph_go_on_where_the_ones_before_ended() {
    let Some(gpu) = crate::gpu() else { return };
    for config in configs() {
        let mut host = waves(1.0, 0.0);
        let weights = on_gpu(&gpu, &host);
        let mut on_host = of_cpu(config, &host);
        let mut on_device = GpuOptimizer::new(config, &gpu, &spans(&gpu, &weights)).unwrap();
        let mut gradients = on_gpu(&gpu, &waves(0.5, 1.0));
        on_device.step(&spans(&gpu, &gradients), 1.0).unwrap();
        // They may move between steps, but not in a capture.
        gradients = on_gpu(&gpu, &waves(0.5, 1.0));
        on_device.step(&spans(&gpu, &gradients), 1.0).unwrap();
        let at = spans(&gpu, &gradients);
        let ((), graph) = gpu.capture(|| on_device.step(&at, 1.0)).unwrap();
        assert_eq!(graph.nodes(), 1, "an update is one kernel");
        for number in 0..7u32 {
            if number >= 2 {
                set(&gradients, &waves(0.5, number.into()));
                graph.launch().unwrap();
            }
            let phase = if number < 2 { 1.0 } else { number.into() };
            step(&mut on_host, &mut host, &waves(0.5, phase));
        }
        assert_close(&format!("{config:?}"), &weights, &host);
    }
}

#[test]
fn gradients_that_move_in_a_capture_are_refused() {
    let Some(gpu) = crate::gpu() else { return };
    let weights = on_gpu(&gpu, &waves(1.0, 0.0));
    let config = configs()[0];
    let mut optimizer = GpuOptimizer::new(config, &gpu, &spans(&gpu, &weights)).unwrap();
    let gradients = on_gpu(&gpu, &waves(1.0, 0.0));
    let at = spans(&gpu, &gradients);
    assert!(gpu.capture(|| optimizer.step(&at, 1.0)).is_err());
    optimizer
        .step(&at, 1.0)
        .expect("usable after a failed capture");
}

#[test]
fn means_of_replicas_are_added_in_their_order() {
    let Some(gpu) = crate::gpu() else { return };
    let replicas = 3;
    let numbers: Vec<Vec<Vec<f32>>> = (0..replicas)
        .map(|replica| waves(0.3, replica as f64))
        .collect();
    let gradients: Vec<Vec<Var>> = numbers.iter().map(|all| on_gpu(&gpu, all)).collect();
    let at: Vec<Vec<Span<f32>>> = gradients.iter().map(|all| spans(&gpu, all)).collect();
    let results = on_gpu(&gpu, &waves(100.0, 0.0));
    let mut mean = GpuMean::new(&gpu, &LENGTHS, replicas).unwrap();
    let scale = 1.0 / replicas as f32;
    for _ in 0..2 {
        mean.take(&at, &spans(&gpu, &results), scale).unwrap();
    }
    let sum = |variable: usize, i: usize| -> f32 {
        let sum = |sum: f32, all: &Vec<Vec<f32>>| scale.mul_add(all[variable][i], sum);
        numbers.iter().fold(0.0, sum)
    };
    for (variable, result) in results.iter().enumerate() {
        let expected: Vec<f32> = (0..LENGTHS[variable]).map(|i| sum(variable, i)).collect();
        assert_eq!(result.to_vec1::<f32>().unwrap(), expected);
    }
}
