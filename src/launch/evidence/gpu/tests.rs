use super::*;
use crate::launch::evidence;
use crate::launch::fixture::{gpu_pair, gpu_uuid, honest, honest_on_gpus, pair};
use crate::machine::state::Process;
use crate::terms::Topology;

/// The verdict on two honest replicas on two GPUs after one change.
fn verdict(change: impl FnOnce(&mut WorkerResult)) -> String {
    let (settings, slots) = gpu_pair();
    let mut worker = honest_on_gpus();
    change(&mut worker);
    let verdict = evidence::check(&settings, &slots, &[worker], &[]);
    verdict.err().unwrap_or_else(|| "fine".into())
}

fn gpu(worker: &mut WorkerResult, replica: usize) -> &mut GpuReport {
    worker.replicas[replica].gpu.as_mut().unwrap()
}

#[test]
fn replicas_must_be_on_the_gpus_that_they_were_given() {
    assert_eq!(verdict(|_| ()), "fine");
    insta::assert_snapshot!(verdict(|w| gpu(w, 1).uuid = gpu_uuid(0)), @"worker 0 replica 1 ran on GPU-00000000-0000-0000-0000-000000000000 instead of GPU-00000001-0000-0000-0000-000000000000");
    insta::assert_snapshot!(verdict(|w| w.replicas[0].gpu = None), @"worker 0 replica 0 reported no GPU instead of GPU-00000000-0000-0000-0000-000000000000");
    insta::assert_snapshot!(verdict(|w| w.replicas[1].cores = "5".into()), @r#"worker 0 replica 1 ran on cores "5" instead of "1""#);
}

#[test]
fn a_replica_on_a_cpu_device_has_no_gpu() {
    let (settings, slots) = pair();
    let verdict = |worker: WorkerResult| evidence::check(&settings, &slots, &[worker], &[]);
    assert_eq!(verdict(honest()), Ok(()));
    insta::assert_snapshot!(verdict(honest_on_gpus()).unwrap_err(), @"worker 0 replica 0 ran on GPU-00000000-0000-0000-0000-000000000000 (NVIDIA Test) where it was given cores");
}

#[test]
fn work_that_was_not_put_on_the_gpu_is_found() {
    insta::assert_snapshot!(verdict(|w| gpu(w, 1).launches = 3), @"worker 0 replica 1 launched 3 pieces of work on GPU-00000001-0000-0000-0000-000000000000 in 4 steps");
    insta::assert_snapshot!(verdict(|w| gpu(w, 0).tf32 = true), @"worker 0 replica 0 computed with tf32 = true, though devices.tf32 = false");
    insta::assert_snapshot!(verdict(|w| gpu(w, 0).host_seconds = 10.2), @"worker 0 replica 0 claims 10.2 s of the host for steps of 10.000000 s");
    insta::assert_snapshot!(verdict(|w| gpu(w, 0).host_seconds = f64::NAN), @"worker 0 replica 0 claims NaN s of the host for steps of 10.000000 s");
}

#[test]
fn graphs_are_replayed_only_where_they_may_be() {
    let (mut settings, slots) = gpu_pair();
    settings.cuda_graph = false;
    let verdict = |worker: WorkerResult| evidence::check(&settings, &slots, &[worker], &[]);
    insta::assert_snapshot!(verdict(honest_on_gpus()).unwrap_err(), @"worker 0 replica 0 replayed 4 CUDA graphs, though devices.cuda_graph = false");
    let mut without = honest_on_gpus();
    (0..2).for_each(|replica| gpu(&mut without, replica).graph_launches = 0);
    assert_eq!(verdict(without), Ok(()));
}

#[test]
fn what_trains_nothing_may_leave_its_gpu_idle_unless_it_makes_its_input_there() {
    let (settings, slots) = gpu_pair();
    let idle = |placement| {
        let settings = Settings {
            model: ModelName::None,
            input_placement: placement,
            ..settings.clone()
        };
        let mut worker = honest_on_gpus();
        gpu(&mut worker, 0).launches = 0;
        evidence::check(&settings, &slots, &[worker], &[]).is_ok()
    };
    assert!(idle(Placement::Host) && !idle(Placement::Device));
}

/// Two workers with one GPU each, of groups 100 and 101, of which NVML lists these groups on GPU 0
/// and 1.
fn listed(on_first: &[i32], on_second: &[i32]) -> Result<(), String> {
    let (settings, mut slots) = gpu_pair();
    assert_eq!(settings.topology, Topology::Replicated);
    let devices = slots.workers.remove(0);
    slots.workers = devices.into_iter().map(|device| vec![device]).collect();
    let worker = |group| WorkerResult {
        group,
        ..WorkerResult::default()
    };
    let listing = |number: usize, groups: &[i32]| Listing {
        uuid: gpu_uuid(number),
        processes: groups.iter().map(|group| process(*group)).collect(),
    };
    let listings = [listing(0, on_first), listing(1, on_second)];
    check_listed(&slots, &[worker(100), worker(101)], &listings)
}

/// The leader of a group; 0 stands for a process that this machine does not know.
fn process(group: i32) -> Process {
    Process {
        number: group.unsigned_abs(),
        group: (group > 0).then_some(group),
    }
}

#[test]
fn workers_that_all_use_one_gpu_are_found() {
    assert_eq!(listed(&[100], &[101, 7]), Ok(()));
    assert_eq!(
        listed(&[100, 101], &[]).unwrap_err(),
        format!(
            "worker 1 claims {}, where NVML lists no process of it",
            gpu_uuid(1)
        )
    );
    assert!(listed(&[101], &[100]).is_err());
}

#[test]
fn lists_that_a_container_hides_or_numbers_otherwise_say_nothing() {
    assert_eq!(listed(&[], &[]), Ok(()));
    assert_eq!(listed(&[0, 7], &[8]), Ok(()));
}
