//! Convolutions by cuDNN, which takes filters in orders of its own.

use super::super::super::scalar::Scalar;
use super::method::{Method, Parts, Sizes};
use crate::worker::gpu::cudnn::{self, Order, Plan, Target};
use crate::worker::gpu::{Arg, Buffer, Gpu, Launch, Span};
use candle_core::Result;

/// Plans, made when they are first needed, and weights in their order.
pub struct ByCudnn<T> {
    results: Option<Plan<T>>,
    filters: Option<Plan<T>>,
    images: Option<Plan<T>>,
    forward: Buffer<T>,
    back: Buffer<T>,
    gradient: Buffer<T>,
}

impl<T> Default for ByCudnn<T> {
    fn default() -> Self {
        Self {
            results: None,
            filters: None,
            images: None,
            forward: Buffer::default(),
            back: Buffer::default(),
            gradient: Buffer::default(),
        }
    }
}

impl<T: Scalar> Method<T> for ByCudnn<T> {
    fn convolve(
        &mut self,
        gpu: &Gpu,
        sizes: Sizes,
        [x, w]: [Span<T>; 2],
        y: Span<T>,
    ) -> Result<()> {
        let plan = plan(&mut self.results, gpu, sizes, Target::Results)?;
        let w = reordered(gpu, sizes, w, plan.order(), &mut self.forward)?;
        plan.run(gpu, [x, w, y])
    }

    fn filter_gradient(
        &mut self,
        gpu: &Gpu,
        sizes: Sizes,
        [x, dy]: [Span<T>; 2],
        _: Span<T>,
    ) -> Result<Option<Parts<T>>> {
        let plan = plan(&mut self.filters, gpu, sizes, Target::Filters)?;
        let numbers = self.gradient.at_least(gpu, sizes.weights())?;
        plan.run(gpu, [x, numbers, dy])?;
        Ok(Some(Parts {
            numbers,
            count: 1,
            order: number_of(plan.order()),
        }))
    }

    fn image_gradient(
        &mut self,
        gpu: &Gpu,
        sizes: Sizes,
        [dy, w]: [Span<T>; 2],
        dx: Span<T>,
    ) -> Result<()> {
        let plan = plan(&mut self.images, gpu, sizes, Target::Images)?;
        let forward = self.results.as_ref().map(Plan::order);
        let w = match forward == Some(plan.order()) {
            // The pass forward has put them there.
            true => self.forward.at_least(gpu, sizes.weights())?,
            false => reordered(gpu, sizes, w, plan.order(), &mut self.back)?,
        };
        plan.run(gpu, [dx, w, dy])
    }
}

/// The plan for a target, made now if it is not there.
fn plan<'p, T: Scalar>(
    place: &'p mut Option<Plan<T>>,
    gpu: &Gpu,
    sizes: Sizes,
    target: Target,
) -> Result<&'p Plan<T>> {
    if place.is_none() {
        let geometry = sizes.geometry;
        let of = cudnn::Sizes {
            images: [
                sizes.batch,
                geometry.height,
                geometry.width,
                geometry.channels,
            ],
            results: [
                sizes.batch,
                geometry.out_height(),
                geometry.out_width(),
                sizes.filters,
            ],
            kernel: geometry.kernel,
            padding: geometry.padding,
        };
        *place = Some(Plan::find(gpu, of, target)?);
    }
    Ok(place.as_ref().expect("it was made above"))
}

fn reordered<T: Scalar>(
    gpu: &Gpu,
    sizes: Sizes,
    weights: Span<T>,
    order: Order,
    room: &mut Buffer<T>,
) -> Result<Span<T>> {
    let others = room.at_least(gpu, sizes.weights())?;
    let kernel = sizes.geometry.kernel;
    let args = [
        weights.into(),
        others.into(),
        Arg::U32(number_of(order)),
        Arg::size(kernel * kernel),
        Arg::size(sizes.geometry.channels),
        Arg::size(sizes.filters),
    ];
    gpu.launch::<T>("reorder_filters", Launch::each(others.len()), &args)?;
    Ok(others)
}

/// As `conv.cu` numbers orders.
fn number_of(order: Order) -> u32 {
    match order {
        Order::ChannelsLast => 1,
        Order::ChannelsFirst => 2,
    }
}
