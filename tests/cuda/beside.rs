//! One function of tensors on a GPU beside the same on the CPU: its result and all its gradients.

use candle_core::{DType, Device, Result, Shape, Tensor, Var};
use xrun::worker::gpu::Gpu;
use xrun::worker::layer::Tape;

/// Numbers between -1 and 1 that depend on `seed` alone, f64 on the CPU.
pub fn numbers(seed: u64, shape: impl Into<Shape>) -> Tensor {
    let shape = shape.into();
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let draw = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 * 2f64.powi(-52) - 1.0
    };
    let numbers: Vec<f64> = (0..shape.elem_count()).map(draw).collect();
    Tensor::from_vec(numbers, shape, &Device::Cpu).unwrap()
}

/// The same numbers, of the type and on the device of `model`.
pub fn like(model: &Tensor, numbers: &Tensor) -> Result<Tensor> {
    numbers.to_dtype(model.dtype())?.to_device(model.device())
}

/// Records a function of some tensors.
pub type Record<'r> = dyn Fn(&mut Tape, &[Var]) -> Result<Tensor> + 'r;

/// Holds result and gradients on the GPU against those on the CPU, in f64 and in f32.
pub fn assert_same(gpu: &Gpu, args: &[Tensor], record: &Record) {
    for (dtype, bound) in [(DType::F64, 1e-12), (DType::F32, 2e-6)] {
        let host = pass(Tape::default(), &Device::Cpu, dtype, args, record);
        let device = pass(Tape::on(gpu.clone()), gpu.device(), dtype, args, record);
        let shapes: Vec<&[usize]> = args.iter().map(Tensor::dims).collect();
        for (at, (host, device)) in host.iter().zip(&device).enumerate() {
            assert_eq!(host.dims(), device.dims());
            let distance = relative_distance(device, host);
            assert!(
                distance < bound,
                "{dtype:?}, arguments {shapes:?}, {}: {distance:e}",
                match at {
                    0 => "result".to_owned(),
                    at => format!("gradient {at}"),
                }
            );
        }
    }
}

/// The result and the gradient by each argument, on the CPU, of the second pass of a tape: it has memory
/// of the first one. The gradient by each number of the result is another.
pub fn pass(
    mut tape: Tape,
    device: &Device,
    dtype: DType,
    args: &[Tensor],
    record: &Record,
) -> Vec<Tensor> {
    let variable = |arg: &Tensor| Var::from_tensor(&arg.to_dtype(dtype)?.to_device(device)?);
    let variables: Result<Vec<Var>> = args.iter().map(variable).collect();
    let variables = variables.unwrap();
    let mut one = || -> Result<Tensor> {
        tape.rewind();
        let y = record(&mut tape, &variables)?;
        tape.backward_from(&like(&y, &numbers(99, y.shape()))?)?;
        y.to_device(&Device::Cpu)
    };
    let first = one().unwrap();
    let result = one().unwrap();
    assert_eq!(
        relative_distance(&first, &result),
        0.0,
        "the same in every pass"
    );
    let gradient = |variable: &Var| {
        let gradient = tape
            .gradient(variable)
            .expect("a gradient by each argument");
        gradient.to_device(&Device::Cpu).unwrap()
    };
    std::iter::once(result)
        .chain(variables.iter().map(gradient))
        .collect()
}

/// `‖a − b‖ / ‖b‖`; where `b` is zero, `‖a‖`.
pub fn relative_distance(a: &Tensor, b: &Tensor) -> f64 {
    let [a, b] = [a, b].map(|tensor| tensor.to_dtype(DType::F64).unwrap());
    let length = |tensor: &Tensor| {
        let squares = tensor.sqr().unwrap().sum_all().unwrap();
        squares.to_scalar::<f64>().unwrap().sqrt()
    };
    let distance = length(&(&a - &b).unwrap());
    match length(&b) {
        0.0 => distance,
        of_b => distance / of_b,
    }
}
