//! Ceilings of GPUs: each is told once, and rounds differ from the median in the right direction. How high
//! they are says nothing here.

use xrun::protocol::CeilingOf;
use xrun::worker::gpu::nccl;
use xrun::worker::probe::gpu::{GpuProbe, Sizes};

#[test]
fn gpus_have_ceilings() {
    let Some(gpus) = crate::gpus(2) else { return };
    let mut uuids: Vec<String> = gpus.iter().map(|gpu| gpu.uuid().to_owned()).collect();
    uuids.dedup();
    let sums = nccl::BUILT_IN && uuids.len() > 1;
    let sizes = Sizes {
        numbers: 4096,
        side: 32,
    };
    let cache = tempfile::tempdir().unwrap();
    let mut told = Vec::new();
    let probe = GpuProbe::new(uuids, sizes);
    probe
        .measure(cache.path(), &mut |ceiling| told.push(ceiling))
        .unwrap();
    for ceiling in &told {
        let (slow, fast) = (ceiling.slowest, ceiling.fastest);
        let in_order = match ceiling.of {
            CeilingOf::Launch => fast <= ceiling.median && ceiling.median <= slow,
            _ => slow <= ceiling.median && ceiling.median <= fast,
        };
        assert!(in_order && slow > 0.0 && fast > 0.0, "{ceiling:?}");
    }
    let mut all = vec![
        CeilingOf::HostToDevice,
        CeilingOf::DeviceToHost,
        CeilingOf::DeviceToDevice,
        CeilingOf::Launch,
        CeilingOf::Gemm,
        CeilingOf::GemmTf32,
    ];
    all.extend(sums.then_some(CeilingOf::Nccl));
    assert_eq!(told.iter().map(|c| c.of).collect::<Vec<_>>(), all);
}

#[test]
fn a_cell_without_gpus_has_none() {
    let probe = GpuProbe::new(Vec::new(), Sizes::FULL);
    let mut told = 0;
    probe
        .measure("/nowhere".as_ref(), &mut |_| told += 1)
        .unwrap();
    assert_eq!(told, 0);
}
