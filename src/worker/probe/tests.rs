use super::*;
use crate::protocol::VERSION;
use crate::terms::{ModelName, OptimizerName, RoleName};

/// Tensors smaller than a register, larger than a slab, and of an odd size.
fn job(topology: Topology, transport: Transport) -> Job {
    Job {
        protocol: VERSION,
        role: RoleName::Probe,
        rank: 0,
        world_size: 1,
        token: String::new(),
        settings: Settings {
            topology,
            transport,
            layers: vec![3, 70_001, 1],
            optimizer: OptimizerName::Adam,
            ..Settings::defaults(ModelName::Mlp)
        },
        devices: vec![DeviceJob::Cpu {
            cores: vec![first_core()],
        }],
        cache: "/nowhere".into(),
        checkpoints: None,
    }
}

/// A core that tests may use.
fn first_core() -> usize {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build()
        .unwrap();
    crate::worker::cores::bound_cores(&pool).unwrap()[0]
}

fn told(job: &Job) -> Vec<Event> {
    let mut events = Vec::new();
    let probe = Probe::of(job).unwrap();
    probe.measure(&mut |event| events.push(event)).unwrap();
    events
}

#[test]
fn a_probe_tells_each_ceiling_once_and_ends() {
    use CeilingOf::*;
    for transport in [Transport::SharedMemory, Transport::Unix, Transport::Tcp] {
        for (topology, exchange) in [
            (Topology::ParameterServer, BothWays(transport)),
            (Topology::AllReduce, AllReduce(transport)),
        ] {
            let events = told(&job(topology, transport));
            let (last, ceilings) = events.split_last().unwrap();
            assert!(matches!(last, Event::Finished(_)), "{last:?}");
            let of = ceilings.iter().map(|event| match event {
                Event::Ceiling(ceiling) => {
                    assert!(ceiling.slowest > 0.0);
                    assert!(ceiling.slowest <= ceiling.median);
                    assert!(ceiling.median <= ceiling.fastest);
                    ceiling.of
                }
                other => panic!("{other:?}"),
            });
            let all = [Copy, OneWay(transport), exchange, Apply];
            assert_eq!(of.collect::<Vec<_>>(), all);
        }
    }
}

#[test]
fn a_model_without_parameters_has_no_ceilings() {
    let mut job = job(Topology::ParameterServer, Transport::Auto);
    job.settings = Settings::defaults(ModelName::None);
    let events = told(&job);
    assert!(matches!(events[..], [Event::Finished(_)]), "{events:?}");
}

#[test]
fn a_job_without_cores_is_refused() {
    let mut job = job(Topology::ParameterServer, Transport::Auto);
    job.devices.clear();
    let error = Probe::of(&job).unwrap_err().to_string();
    assert!(error.contains("cores of a worker"), "{error}");
}

#[test]
fn a_ceiling_is_the_median_of_its_rounds() {
    let rounds = vec![0.5, 0.1, 0.2, 0.25, 1.0];
    let ceiling = ceiling(CeilingOf::Copy, 1_000_000_000, rounds);
    let rates = (ceiling.slowest, ceiling.median, ceiling.fastest);
    assert_eq!(rates, (1.0, 4.0, 10.0));
}

#[test]
fn the_slowest_launch_takes_longest() {
    let ceiling = spread(CeilingOf::Launch, vec![2.0, 5.0, 3.0]);
    assert_eq!(
        (ceiling.slowest, ceiling.median, ceiling.fastest),
        (5.0, 3.0, 2.0)
    );
}

#[test]
fn what_crosses_no_host_has_none_of_its_ceilings() {
    for (topology, transport) in [
        (Topology::Replicated, Transport::Auto),
        (Topology::AllReduce, Transport::Nccl),
    ] {
        let events = told(&job(topology, transport));
        assert!(matches!(events[..], [Event::Finished(_)]), "{events:?}");
    }
}

#[test]
fn all_accesses_of_an_update_count() {
    let settings = |optimizer, model| Settings {
        optimizer,
        ..Settings::defaults(model)
    };
    let sgd = settings(OptimizerName::Sgd, ModelName::Mlp);
    let adam = settings(OptimizerName::Adam, ModelName::Mlp);
    let averaged = settings(OptimizerName::Sgd, ModelName::Cifar10);
    let counts = [sgd, adam, averaged].map(|settings| apply::accesses(&settings));
    assert_eq!(counts, [3, 7, 5]);
}

#[test]
fn a_side_that_fails_ends_the_other_one() {
    struct Broken;
    impl pair::Side for Broken {
        fn signal(&mut self) -> Result<()> {
            Ok(())
        }
        fn wait(&mut self) -> Result<()> {
            Ok(())
        }
        fn round(&mut self) -> Result<()> {
            bail!("broken on purpose")
        }
    }
    let core = first_core();
    let error = pair::run([core; 2], 1, || Ok(Broken), || Ok(Broken)).unwrap_err();
    assert_eq!(error.to_string(), "broken on purpose");
}
