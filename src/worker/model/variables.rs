//! Makes the variables of a model, with their initial values, and puts them in name order. Values are
//! made on the CPU, the same for every device, and then moved to where the variables live.

use super::initial::Stream;
use candle_core::{DType, Device, Result, Shape, Tensor, Var};
use rayon::prelude::*;

/// The variables that a model has so far.
pub struct Variables {
    seed: u64,
    dtype: DType,
    device: Device,
    list: Vec<(String, Var)>,
}

impl Variables {
    pub fn new(seed: u64, dtype: DType) -> Self {
        Self {
            seed,
            dtype,
            device: Device::Cpu,
            list: Vec::new(),
        }
    }

    /// The same, for variables that live on `device`.
    pub fn on(self, device: &Device) -> Self {
        Self {
            device: device.clone(),
            ..self
        }
    }

    /// A variable of normally distributed numbers, redrawn while beyond two deviations.
    pub fn truncated_normal(
        &mut self,
        name: &str,
        shape: impl Into<Shape>,
        deviation: f64,
    ) -> Result<Var> {
        let stream = Stream::new(self.seed, name);
        self.add(name, shape.into(), |i| {
            stream.truncated_normal(i, deviation)
        })
    }

    /// `(inputs, outputs)` uniform numbers up to `√(6 / (inputs + outputs))` on both sides of 0
    /// (Glorot, Bengio 2010).
    pub fn xavier_uniform(&mut self, name: &str, inputs: usize, outputs: usize) -> Result<Var> {
        let limit = (6.0 / (inputs + outputs) as f64).sqrt();
        let stream = Stream::new(self.seed, name);
        self.add(name, (inputs, outputs).into(), |i| stream.uniform(i, limit))
    }

    /// Filters `(k, k, channels, filters)` of uniform numbers up to `√(6 / (inputs + outputs))` on both
    /// sides of 0, where a number of the result has `k² · channels` inputs, and one that is convolved
    /// has `k² · filters` outputs.
    pub fn xavier_uniform_filters(
        &mut self,
        name: &str,
        shape: (usize, usize, usize, usize),
    ) -> Result<Var> {
        let (height, width, channels, filters) = shape;
        let limit = (6.0 / (height * width * (channels + filters)) as f64).sqrt();
        let stream = Stream::new(self.seed, name);
        self.add(name, shape.into(), |i| stream.uniform(i, limit))
    }

    /// Numbers that follow from their index.
    pub fn each(
        &mut self,
        name: &str,
        length: usize,
        value: impl Fn(usize) -> f64 + Sync,
    ) -> Result<Var> {
        self.add(name, length.into(), value)
    }

    pub fn constant(&mut self, name: &str, length: usize, value: f64) -> Result<Var> {
        self.add(name, length.into(), |_| value)
    }

    /// All variables, sorted by name.
    pub fn in_name_order(mut self) -> Vec<(String, Var)> {
        self.list.sort_by(|a, b| a.0.cmp(&b.0));
        self.list
    }

    fn add(
        &mut self,
        name: &str,
        shape: Shape,
        value: impl Fn(usize) -> f64 + Sync,
    ) -> Result<Var> {
        let values: Vec<f32> = (0..shape.elem_count())
            .into_par_iter()
            .map(|i| value(i) as f32)
            .collect();
        let values = Tensor::from_vec(values, shape, &Device::Cpu)?.to_dtype(self.dtype)?;
        let variable = Var::from_tensor(&values.to_device(&self.device)?)?;
        self.list.push((name.to_owned(), variable.clone()));
        Ok(variable)
    }
}
