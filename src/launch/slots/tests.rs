use super::*;
use crate::launch::fixture::settings;
use crate::machine::Gpu;
use insta::assert_snapshot;
use proptest::prelude::*;

fn machine(cores: &[&[usize]]) -> Machine {
    Machine {
        cores: cores.iter().map(|core| core.to_vec()).collect(),
        total_cores: cores.len(),
        gpu_message: "a function could not be found".into(),
        ..Machine::default()
    }
}

fn replicated(devices: usize, threads: usize) -> Settings {
    Settings {
        topology: Topology::Replicated,
        devices_per_worker: devices,
        device_threads: threads,
        ..settings()
    }
}

#[test]
fn replicas_get_whole_cores_of_their_own() {
    let slots = assign(
        &replicated(2, 2),
        &machine(&[&[0, 4], &[1, 5], &[2, 6], &[3, 7]]),
    )
    .unwrap();
    assert_eq!(slots.cores, "0,1|2,3");
    assert_eq!(slots.workers.len(), 1);
    assert_eq!(slots.workers[0][1], DeviceJob::Cpu { cores: vec![2, 3] });
    assert_eq!(
        (slots.replicas, slots.threads_per_core, slots.oversubscribed),
        (2, 1.0, false)
    );
}

#[test]
fn independent_workers_share_no_core() {
    let cell = Settings {
        topology: Topology::Independent,
        workers: 2,
        ..replicated(1, 1)
    };
    let slots = assign(&cell, &machine(&[&[0], &[3]])).unwrap();
    assert_eq!(
        slots.workers,
        [0, 3].map(|cpu| vec![DeviceJob::Cpu { cores: vec![cpu] }])
    );
}

#[test]
fn too_few_cores_are_a_reason_unless_oversubscribed() {
    let mut limited = machine(&[&[0], &[1]]);
    let reason = assign(&replicated(4, 1), &limited).unwrap_err();
    assert_snapshot!(reason, @"needs 4 cores for 4 CPU devices of 1 thread; this machine has 2: set devices.oversubscribe = true to run it anyway, marked");
    limited.total_cores = 8;
    limited.cores_limit = "affinity".into();
    let reason = assign(&replicated(1, 3), &limited).unwrap_err();
    assert_snapshot!(reason, @"needs 3 cores for 1 CPU device of 3 threads; this machine has 2 usable of 8 (affinity): set devices.oversubscribe = true to run it anyway, marked");

    let willing = Settings {
        oversubscribe: true,
        ..replicated(3, 1)
    };
    let slots = assign(&willing, &limited).unwrap();
    assert_eq!(
        (slots.cores.as_str(), slots.oversubscribed),
        ("0|1|0", true)
    );
    assert_eq!(slots.threads_per_core, 1.5);
    let enough = Settings {
        oversubscribe: true,
        ..replicated(2, 1)
    };
    assert!(!assign(&enough, &limited).unwrap().oversubscribed);
}

#[test]
fn servers_get_cores_after_the_workers() {
    let cell = Settings {
        topology: Topology::ParameterServer,
        workers: 2,
        servers: 2,
        server_threads: 2,
        ..replicated(1, 1)
    };
    let reason = assign(&cell, &machine(&[&[0], &[1], &[2]])).unwrap_err();
    assert_snapshot!(reason, @"needs 6 cores for 2 CPU devices of 1 thread and 2 servers of 2 threads; this machine has 3: set devices.oversubscribe = true to run it anyway, marked");
    let willing = Settings {
        oversubscribe: true,
        ..cell
    };
    let slots = assign(&willing, &machine(&[&[0], &[1], &[2]])).unwrap();
    assert_eq!(
        (slots.cores.as_str(), slots.server_cores.as_str()),
        ("0|1", "2,0|1,2")
    );
    assert_eq!((slots.oversubscribed, slots.threads_per_core), (true, 2.0));
    assert_eq!(slots.servers[0], DeviceJob::Cpu { cores: vec![2, 0] });
}

#[test]
fn input_threads_of_the_host_count_per_pipeline() {
    let two_cores = machine(&[&[0], &[1]]);
    let threads = |change: &dyn Fn(&mut Settings)| {
        let mut cell = Settings {
            input_threads: 16,
            ..replicated(2, 1)
        };
        cell.input_source = InputSource::Generated;
        change(&mut cell);
        assign(&cell, &two_cores).unwrap().threads_per_core
    };
    assert_eq!(threads(&|_| ()), 17.0);
    assert_eq!(threads(&|cell| cell.pipelines = Pipelines::Shared), 9.0);
    assert_eq!(
        threads(&|cell| cell.input_placement = Placement::Device),
        1.0
    );
    assert_eq!(
        threads(&|cell| cell.input_source = InputSource::Resident),
        1.0
    );
}

#[test]
fn a_machine_with_gpus_never_falls_back_to_its_cpu() {
    let mut machine = machine(&[&[0]]);
    let kind = |kind| Settings {
        device_kind: kind,
        ..settings()
    };
    let without = assign(&kind(DeviceKind::Cuda), &machine).unwrap_err();
    assert_snapshot!(without, @"no GPU found by NVML: a function could not be found");
    assert_eq!(
        assign(&kind(DeviceKind::Auto), &machine)
            .unwrap()
            .device_kind,
        DeviceKind::Cpu
    );
    machine.gpus.push(Gpu {
        uuid: "GPU-1".into(),
        ..Gpu::default()
    });
    let kinds = [DeviceKind::Auto, DeviceKind::Cuda, DeviceKind::Cpu];
    let came_to = kinds.map(|asked| assign(&kind(asked), &machine).unwrap().device_kind);
    let wanted = [DeviceKind::Cuda, DeviceKind::Cuda, DeviceKind::Cpu];
    assert_eq!(came_to, wanted);
}

/// A machine with this many cores and GPUs.
fn gpus(cores: usize, gpus: usize) -> Machine {
    let gpu = |number| Gpu {
        uuid: format!("GPU-{number}"),
        ..Gpu::default()
    };
    Machine {
        gpus: (0..gpus).map(gpu).collect(),
        cores: (0..cores).map(|core| vec![core, core + 100]).collect(),
        ..Machine::default()
    }
}

#[test]
fn each_replica_has_a_gpu_and_an_equal_part_of_the_cores() {
    let cell = Settings {
        topology: Topology::AllReduce,
        workers: 2,
        ..replicated(2, 1)
    };
    let slots = assign(&cell, &gpus(9, 5)).unwrap();
    assert_eq!(slots.gpus(), ["GPU-0", "GPU-1", "GPU-2", "GPU-3"]);
    assert_eq!((slots.workers.len(), slots.replicas), (2, 4));
    let third = DeviceJob::Cuda {
        uuid: "GPU-2".into(),
        cores: vec![4, 5],
    };
    assert_eq!(slots.workers[1][0], third);
    assert_eq!(slots.cores, "0,1|2,3|4,5|6,7");
    assert!(!slots.oversubscribed && !slots.shared_devices);
    assert_eq!(slots.cpus(), (0..8).collect::<Vec<_>>());
}

#[test]
fn servers_of_gpu_workers_get_their_cores_first() {
    let cell = Settings {
        topology: Topology::ParameterServer,
        workers: 2,
        servers: 1,
        server_threads: 2,
        ..replicated(1, 1)
    };
    let slots = assign(&cell, &gpus(6, 2)).unwrap();
    let cores = |slots: &Slots| (slots.server_cores.clone(), slots.cores.clone());
    assert_eq!(cores(&slots), ("0,1".into(), "2,3|4,5".into()));
    assert_eq!(slots.threads_per_core, 4.0 / 6.0);
    let few = assign(&cell, &gpus(2, 2)).unwrap();
    assert_eq!(cores(&few), ("0,1".into(), "0|1".into()));
    assert!(few.oversubscribed);
}

#[test]
fn too_few_gpus_are_a_reason_unless_they_may_be_shared() {
    let mut limited = gpus(4, 2);
    let reason = assign(&replicated(4, 1), &limited).unwrap_err();
    assert_snapshot!(reason, @"needs 4 GPUs for 4 replicas; this machine has 2: set devices.share_devices = true to run it anyway, marked");
    limited.gpus_limit = "CUDA_VISIBLE_DEVICES leaves 2 of 8".into();
    let reason = assign(&replicated(4, 1), &limited).unwrap_err();
    assert_snapshot!(reason, @"needs 4 GPUs for 4 replicas; this machine has 2 (CUDA_VISIBLE_DEVICES leaves 2 of 8): set devices.share_devices = true to run it anyway, marked");
    let willing = |devices| Settings {
        share_devices: true,
        ..replicated(devices, 1)
    };
    let slots = assign(&willing(3), &limited).unwrap();
    let shared: Vec<_> = slots.workers[0].iter().map(|gpu| uuids([gpu])[0]).collect();
    assert_eq!(shared, ["GPU-0", "GPU-1", "GPU-0"]);
    assert_eq!((slots.gpus().len(), slots.shared_devices), (2, true));
    assert!(!assign(&willing(2), &limited).unwrap().shared_devices);
    let nccl = Settings {
        topology: Topology::AllReduce,
        transport: Transport::Nccl,
        workers: 3,
        ..willing(1)
    };
    let reason = assign(&nccl, &limited).unwrap_err();
    assert_snapshot!(reason, @r#"NCCL refuses two workers on one GPU, and 3 replicas share 2 GPUs here: cluster.transport = "auto" takes another way"#);
}

#[test]
fn what_only_gpus_have_is_skipped_where_auto_comes_to_a_cpu() {
    let fused = Settings {
        input_placement: Placement::Device,
        device_pipeline: DevicePipeline::Fused,
        ..settings()
    };
    let reason = assign(&fused, &gpus(1, 0)).unwrap_err();
    assert_snapshot!(reason, @"the device pipeline fused is one GPU kernel: a CPU has per-image and batched");
    let nccl = Settings {
        topology: Topology::AllReduce,
        transport: Transport::Nccl,
        ..settings()
    };
    let reason = assign(&nccl, &gpus(1, 0)).unwrap_err();
    assert_snapshot!(reason, @r#"nccl connects GPUs: cluster.transport = "auto" takes it where it can"#);
    assert!(assign(&fused, &gpus(1, 1)).is_ok() && assign(&nccl, &gpus(1, 1)).is_ok());
}

#[test]
fn a_data_set_that_is_not_there_names_the_path() {
    let folder = tempfile::tempdir().unwrap();
    let cell = Settings {
        input_source: InputSource::Cifar10,
        input_directory: folder.path().display().to_string(),
        ..settings()
    };
    let one_core = machine(&[&[0]]);
    for number in 1..=5 {
        let path = folder.path().join(format!("data_batch_{number}.bin"));
        let reason = assign(&cell, &one_core).unwrap_err();
        assert!(
            reason.contains(&format!("{} is not there", path.display())),
            "{reason}"
        );
        std::fs::write(path, "").unwrap();
    }
    assert!(assign(&cell, &one_core).is_ok());
    let relative = Settings {
        input_directory: "no/such".into(),
        ..cell
    };
    let here = std::env::current_dir()
        .unwrap()
        .join("no/such/data_batch_1.bin");
    assert!(
        assign(&relative, &one_core)
            .unwrap_err()
            .contains(&here.display().to_string())
    );
}

proptest! {
    #[test]
    fn core_sets_are_disjoint_exactly_when_not_oversubscribed(
        cores in 1usize..12, devices in 1usize..6, threads in 1usize..4, workers in 1usize..4,
    ) {
        let lists: Vec<Vec<usize>> = (0..cores).map(|core| vec![core, core + 100]).collect();
        let borrowed: Vec<&[usize]> = lists.iter().map(Vec::as_slice).collect();
        let cell = Settings {
            topology: Topology::Independent,
            workers,
            oversubscribe: true,
            ..replicated(devices, threads)
        };
        let slots = assign(&cell, &machine(&borrowed)).unwrap();
        let mut used: Vec<usize> = slots.workers.iter().flatten().flat_map(|device| match device {
            DeviceJob::Cpu { cores } | DeviceJob::Cuda { cores, .. } => cores.clone(),
        }).collect();
        prop_assert_eq!(used.len(), workers * devices * threads);
        prop_assert!(used.iter().all(|cpu| *cpu < cores));
        let total = used.len();
        used.sort();
        used.dedup();
        prop_assert_eq!(used.len() == total, !slots.oversubscribed);
    }
}
