//! The global batch of a test: the same numbers, however many replicas share it.

use candle_core::{Device, Result, Tensor, Var};
use xrun::spec::settings::Settings;
use xrun::terms::ModelName;
use xrun::worker::clock::StepClock;
use xrun::worker::input::{Batch, Input};

/// Divides by every number of replicas here.
const GLOBAL_BATCH: usize = 60;
/// Side of the images and number of classes of `cifar10`.
const SIDE: usize = 24;
const CLASSES: f32 = 10.0;

/// The same part of one global batch in every step, others in other steps.
pub struct Part {
    /// Of the input of one example.
    input: Vec<usize>,
    /// Of the target of one example; none where it is the label of a class.
    target: Option<Vec<usize>>,
    replica: usize,
    replicas: usize,
    step: u64,
    /// On a GPU, where inputs and targets are in every step, as graphs want it.
    places: Option<[Place; 2]>,
    device: Device,
}

/// One tensor whose numbers change.
struct Place {
    numbers: Var,
    /// The same memory, as what a batch has: no variable.
    tensor: Tensor,
}

impl Place {
    fn on(device: &Device, numbers: &Tensor) -> Result<Self> {
        let numbers = Var::from_tensor(&numbers.to_device(device)?)?;
        let tensor = numbers.as_detached_tensor();
        Ok(Self { numbers, tensor })
    }

    fn fill(&self, numbers: &Tensor) -> Result<Tensor> {
        self.numbers
            .set(&numbers.to_device(self.numbers.device())?)?;
        Ok(self.tensor.clone())
    }
}

impl Part {
    /// What one of some replicas sees of a batch for the model of `settings`.
    pub fn of(settings: &Settings, replica: usize, replicas: usize) -> Self {
        let (input, target) = shapes(settings);
        Self {
            input,
            target,
            replica,
            replicas,
            step: 0,
            places: None,
            device: Device::Cpu,
        }
    }

    /// With batches on this device.
    pub fn on(self, device: Device) -> Self {
        Self { device, ..self }
    }

    /// Brings a batch to the device.
    fn brought(&mut self, inputs: Tensor, targets: Tensor) -> Result<[Tensor; 2]> {
        if self.device.is_cpu() {
            return Ok([inputs, targets]);
        }
        let device = &self.device;
        let [x, y] = match &mut self.places {
            Some(places) => places,
            empty => empty.insert([Place::on(device, &inputs)?, Place::on(device, &targets)?]),
        };
        Ok([x.fill(&inputs)?, y.fill(&targets)?])
    }

    /// Numbers in [−1, 1) for each of this part's examples.
    fn numbers(&self, shape: &[usize]) -> Result<Tensor> {
        let count = GLOBAL_BATCH / self.replicas;
        let width = shape.iter().product();
        let examples = self.replica * count..(self.replica + 1) * count;
        let numbers = examples.flat_map(|example| (0..width).map(move |i| (example, i)));
        let numbers = numbers.map(|(example, i)| uniform(self.step, example, i));
        let numbers = numbers.collect::<Vec<_>>();
        Tensor::from_vec(numbers, [&[count], shape].concat(), &Device::Cpu)
    }

    fn labels(&self) -> Result<Tensor> {
        let numbers = self.numbers(&[])?.to_vec1::<f32>()?;
        let label = |x: &f32| (0.5 * (x + 1.0) * CLASSES) as u32;
        let labels: Vec<u32> = numbers.iter().map(label).collect();
        Tensor::new(labels, &Device::Cpu)
    }
}

impl Input for Part {
    fn next(&mut self, _: &mut StepClock) -> Result<Batch> {
        let inputs = self.numbers(&self.input)?;
        let targets = match &self.target {
            // The size of an input, so that there is something to learn.
            Some(shape) => self.numbers(shape)?.abs()?,
            None => self.labels()?,
        };
        self.step += 1;
        let [inputs, targets] = self.brought(inputs, targets)?;
        Ok(Batch {
            examples: GLOBAL_BATCH / self.replicas,
            inputs,
            targets,
            label_sum: 0,
        })
    }
}

fn shapes(settings: &Settings) -> (Vec<usize>, Option<Vec<usize>>) {
    match settings.model {
        ModelName::Cifar10 => (vec![SIDE, SIDE, 3], None),
        ModelName::SatSeq2seq => {
            let side = settings.image_size;
            let images = |frames| vec![side, side, frames];
            (
                images(settings.frames),
                Some(images(settings.predicted_frames)),
            )
        }
        _ => {
            let [first, .., last] = settings.layers[..] else {
                panic!("dense layers have widths");
            };
            (vec![first], Some(vec![last]))
        }
    }
}

/// A number in [−1, 1) for each (step, example, element).
fn uniform(step: u64, example: usize, element: usize) -> f32 {
    let mut x =
        step.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ ((example as u64) << 32 | element as u64);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((x ^ (x >> 31)) >> 40) as f32 / (1u64 << 23) as f32 - 1.0
}
