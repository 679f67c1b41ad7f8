//! Queues, copies, products and graphs: what everything else on a GPU is made of.

use candle_core::{DType, Device, Result, Tensor};
use xrun::worker::gpu::{Arg, Buffer, Event, Gemm, Gpu, Launch, Pinned, Span};

fn tensor(gpu: &Gpu, numbers: &[f32]) -> Tensor {
    Tensor::new(numbers, gpu.device()).unwrap()
}

fn add_to(gpu: &Gpu, sum: Span<f32>, part: Span<f32>) -> Result<()> {
    let args = [sum.into(), part.into(), Arg::size(sum.len())];
    gpu.launch::<f32>("add_to", Launch::each(sum.len()), &args)
}

#[test]
fn kernels_see_the_numbers_of_tensors() {
    let Some(gpu) = crate::gpu() else { return };
    let sum = tensor(&gpu, &[1.0, 2.0, 3.0]);
    let part = tensor(&gpu, &[10.0, 20.0, 30.0]);
    add_to(&gpu, gpu.span(&sum).unwrap(), gpu.span(&part).unwrap()).unwrap();
    assert_eq!(sum.to_vec1::<f32>().unwrap(), [11.0, 22.0, 33.0]);
    assert_eq!(gpu.launches(), 1);
    let refused = gpu.span::<f64>(&sum).unwrap_err().to_string();
    assert!(refused.contains("F32"), "{refused}");
    let on_host = Tensor::zeros(3, DType::F32, &Device::Cpu).unwrap();
    assert!(gpu.span::<f32>(&on_host).is_err());
}

#[test]
fn both_number_types_have_kernels() {
    let Some(gpu) = crate::gpu() else { return };
    let sum = Tensor::new(&[1f64, 2.0], gpu.device()).unwrap();
    let part = Tensor::new(&[1e-12f64, 0.5], gpu.device()).unwrap();
    let [sum_at, part_at]: [Span<f64>; 2] = [&sum, &part].map(|t| gpu.span(t).unwrap());
    let args = [sum_at.into(), part_at.into(), Arg::size(2)];
    gpu.launch::<f64>("add_to", Launch::each(2), &args).unwrap();
    assert_eq!(sum.to_vec1::<f64>().unwrap(), [1.0 + 1e-12, 2.5]);
}

#[test]
fn copies_go_both_ways_on_any_queue_in_the_order_of_events() {
    let Some(gpu) = crate::gpu() else { return };
    let side = gpu.side_queue().unwrap();
    let mut from = Pinned::<f32>::zeros(&gpu, 6).unwrap();
    from.as_mut_slice()
        .copy_from_slice(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    let mut buffer = Buffer::default();
    let there = buffer.at_least(&gpu, 4).unwrap();
    let allocated = Event::new(&gpu).unwrap();
    allocated.record(gpu.queue()).unwrap();
    side.wait(&allocated).unwrap();
    side.upload(&from, 1, there).unwrap();
    let uploaded = Event::new(&gpu).unwrap();
    uploaded.record(&side).unwrap();
    gpu.queue().wait(&uploaded).unwrap();
    add_to(&gpu, there, there.part(0, 4)).unwrap();
    let mut back = Pinned::<f32>::zeros(&gpu, 5).unwrap();
    gpu.queue().download(there, &mut back, 1).unwrap();
    gpu.synchronize().unwrap();
    assert_eq!(back.as_slice(), [0.0, 2.0, 4.0, 6.0, 8.0]);
    let same = buffer.at_least(&gpu, 2).unwrap();
    assert_eq!((same.address(), same.len()), (there.address(), 2));
}

#[test]
fn products_are_row_by_row_with_either_matrix_transposed() {
    let Some(gpu) = crate::gpu() else { return };
    // (2, 3) times (3, 2), in every way of storing them.
    let a = [
        [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
        [1.0, 4.0, 2.0, 5.0, 3.0, 6.0],
    ];
    let b = [
        [1.0, 0.0, 0.0, 1.0, 2.0, 2.0],
        [1.0, 0.0, 2.0, 0.0, 1.0, 2.0],
    ];
    for (a_transposed, b_transposed) in [(false, false), (false, true), (true, false), (true, true)]
    {
        let [a, b] = [a[usize::from(a_transposed)], b[usize::from(b_transposed)]]
            .map(|numbers| tensor(&gpu, &numbers));
        let c = tensor(&gpu, &[100.0; 4]);
        let [a, b, at] = [&a, &b, &c].map(|t| gpu.span::<f32>(t).unwrap());
        let product = Gemm {
            a_transposed,
            b_transposed,
            beta: 1.0,
            ..Gemm::new([2, 3, 2], a, b, at)
        };
        gpu.gemm(product).unwrap();
        assert_eq!(c.to_vec1::<f32>().unwrap(), [107.0, 108.0, 116.0, 117.0]);
    }
}

#[test]
fn a_graph_does_its_work_at_each_launch_and_not_before() {
    let Some(gpu) = crate::gpu() else { return };
    let (sum, part) = (tensor(&gpu, &[0.0; 5]), tensor(&gpu, &[1.0; 5]));
    let [sum_at, part_at] = [&sum, &part].map(|t| gpu.span::<f32>(t).unwrap());
    let (start, end) = (Event::timed(&gpu).unwrap(), Event::timed(&gpu).unwrap());
    let before = gpu.launches();
    let work = || -> Result<()> {
        start.record(gpu.queue())?;
        add_to(&gpu, sum_at, part_at)?;
        add_to(&gpu, sum_at, part_at)?;
        end.record(gpu.queue())
    };
    let ((), graph) = gpu.capture(work).unwrap();
    assert_eq!(gpu.launches(), before, "what is captured is not launched");
    assert_eq!(sum.to_vec1::<f32>().unwrap(), [0.0; 5]);
    for _ in 0..3 {
        graph.launch().unwrap();
    }
    assert_eq!(sum.to_vec1::<f32>().unwrap(), [6.0; 5]);
    assert_eq!(gpu.launches(), before + 6);
    assert_eq!(graph.nodes(), 4, "two kernels and two events");
    assert!(end.seconds_since(&start).unwrap() >= 0.0);
    let failed = gpu.capture(|| candle_core::bail!("no work") as Result<()>);
    assert!(failed.unwrap_err().to_string().contains("no work"));
    gpu.synchronize()
        .expect("the queue is usable after a failed capture");
}

#[test]
fn a_gpu_says_which_one_it_is() {
    let Some(gpu) = crate::gpu() else { return };
    assert!(
        gpu.uuid().starts_with("GPU-") && gpu.uuid().len() == 40,
        "{}",
        gpu.uuid()
    );
    assert!(!gpu.name().is_empty());
    assert!(gpu.memory_bytes().unwrap() > 0);
    let other = Gpu::open("GPU-no-such", &Default::default()).unwrap_err();
    assert!(
        other.to_string().contains("sees no GPU GPU-no-such"),
        "{other}"
    );
}
