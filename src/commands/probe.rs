//! `xrun probe [FILE]`: what memory, transports and GPUs can do at most for the cells of a file, what
//! crosses between processes as a run would measure it before its blocks. Trains nothing and writes no
//! file.

use super::Ending;
use super::prepare::Prepared;
use super::report::grid::{Column, Grid};
use super::run::{Subject, lock_machine};
use crate::cli::{ProbeArgs, Selection};
use crate::flavour::{Program, running_program};
use crate::launch::slots::{Slots, assign};
use crate::launch::{ProbeError, RepeatRequest, Session, interrupt};
use crate::machine::Machine;
use crate::protocol::{Ceiling, CeilingOf};
use crate::spec::settings::Settings;
use crate::terms::{DeviceKind, ModelName, OptimizerName, Topology, Transport};
use crate::units::{Bytes, counted, significant};
use crate::worker::model;
use anyhow::{Context, Result, anyhow};
use std::io::Write;
use std::path::Path;

const TRANSPORTS: [Transport; 3] = [Transport::SharedMemory, Transport::Unix, Transport::Tcp];

/// One exchange of a file on this machine, or GPUs of cells that exchange nothing between processes.
struct Case {
    settings: Settings,
    slots: Slots,
    crosses: bool,
}

/// Probes and prints, case by case.
///
/// # Errors
/// A wrong file or flag; a lock that another xrun holds; a probe that fails; failures of stdout.
pub fn run(arguments: &ProbeArgs) -> Result<Ending> {
    let cases = match &arguments.file {
        Some(file) => of_file(file)?,
        None => wide_mlp()?,
    };
    let mut out = std::io::stdout().lock();
    if cases.is_empty() {
        writeln!(
            out,
            "no cell that this machine can measure exchanges anything between processes or is on a GPU"
        )?;
        return Ok(Ending::Done);
    }
    let _machine = lock_machine(&arguments.lock, "xrun probe")?;
    let interrupt = interrupt::listen().context("listening for Ctrl-C")?;
    let program = running_program()?;
    let mut session = Session::start(&program, interrupt)?;
    for case in &cases {
        writeln!(out, "{}", case.title()?)?;
        let ceilings = match case.probe(&mut session, &program) {
            Err(ProbeError::Interrupted(_)) => return Ok(Ending::Interrupted),
            ceilings => ceilings?,
        };
        write!(out, "{}", table(&ceilings))?;
        writeln!(out)?;
    }
    Ok(Ending::Done)
}

/// Each different exchange of the cells that this machine can measure, whatever its transport, and each
/// different set of GPUs.
fn of_file(file: &Path) -> Result<Vec<Case>> {
    let prepared = Prepared::load(file, &Selection::default())?;
    let (mut subjects, mut cases) = (Vec::new(), Vec::new());
    for (_, cell) in prepared.cells() {
        let Ok((settings, slots)) = prepared.place(cell) else {
            continue;
        };
        let settings = by(Transport::SharedMemory, &settings);
        let Some(subject) = Subject::of(&settings, &slots.gpus()) else {
            continue;
        };
        if subjects.contains(&subject) {
            continue;
        }
        cases.push(Case {
            crosses: subject.exchange.is_some(),
            settings,
            slots,
        });
        subjects.push(subject);
    }
    Ok(cases)
}

/// A model whose parameters are many for the work that they are in.
fn wide_mlp() -> Result<Vec<Case>> {
    let machine = Machine::detect();
    let case = |topology| {
        let settings = Settings {
            topology,
            device_kind: DeviceKind::Cpu,
            workers: 2,
            layers: vec![256, 4096, 4096, 256],
            optimizer: OptimizerName::Adam,
            oversubscribe: true,
            ..Settings::defaults(ModelName::Mlp)
        };
        let slots = assign(&settings, &machine).map_err(|reason| anyhow!(reason))?;
        Ok(Case {
            settings,
            slots,
            crosses: true,
        })
    };
    [Topology::ParameterServer, Topology::AllReduce]
        .into_iter()
        .map(case)
        .collect()
}

fn by(transport: Transport, settings: &Settings) -> Settings {
    Settings {
        transport,
        ..settings.clone()
    }
}

impl Case {
    /// `parameter-server, mlp with adam: 6 tensors, 72.0 MiB`; `GPUs: GPU-1, GPU-2`.
    fn title(&self) -> Result<String> {
        if !self.crosses {
            return Ok(format!("GPUs: {}", self.slots.gpus().join(", ")));
        }
        let lengths = model::lengths(&self.settings)?;
        let bytes = Bytes(lengths.iter().map(|length| 4 * *length as u64).sum());
        Ok(format!(
            "{}, {} with {}: {}, {bytes}",
            self.settings.topology,
            self.settings.model,
            self.settings.optimizer,
            counted(lengths.len() as u64, "tensor"),
        ))
    }

    /// All ceilings, those of memory and of GPUs once.
    fn probe(&self, session: &mut Session, program: &Program) -> Result<Vec<Ceiling>, ProbeError> {
        let folder = std::env::temp_dir();
        let mut found: Vec<Ceiling> = Vec::new();
        let count = if self.crosses { TRANSPORTS.len() } else { 1 };
        let on_cores = self.slots.on_cores();
        for (index, transport) in TRANSPORTS[..count].iter().enumerate() {
            let request = RepeatRequest {
                settings: &by(*transport, &self.settings),
                slots: if index == 0 { &self.slots } else { &on_cores },
                program,
                cache: &folder,
                log: &folder.join(format!("xrun-probe-{}", std::process::id())),
            };
            found.extend(session.probe(&request)?);
        }
        // In the order of their declaration, the first measurement of each.
        found.sort_by_key(|ceiling| ceiling.of);
        found.dedup_by_key(|ceiling| ceiling.of);
        Ok(found)
    }
}

fn table(ceilings: &[Ceiling]) -> Grid {
    let mut grid = Grid::new(vec![
        Column::left("ceiling"),
        Column::right("median"),
        Column::right("slowest"),
        Column::right("fastest"),
        Column::left("unit"),
        Column::left("what counts"),
    ]);
    for ceiling in ceilings {
        let (what, counts) = in_words(ceiling.of);
        grid.push(vec![
            what,
            significant(ceiling.median),
            significant(ceiling.slowest),
            significant(ceiling.fastest),
            ceiling.of.unit().to_owned(),
            counts.to_owned(),
        ]);
    }
    grid
}

/// What is bounded, and what counts.
fn in_words(of: CeilingOf) -> (String, &'static str) {
    match of {
        CeilingOf::Copy => ("copy".into(), "the model once, within the memory of a core"),
        CeilingOf::OneWay(by) => (format!("one way, {by}"), "the model once"),
        CeilingOf::BothWays(by) => (format!("both ways, {by}"), "the model there and back"),
        CeilingOf::AllReduce(by) => (format!("all-reduce, {by}"), "the model once, by two ranks"),
        CeilingOf::Apply => ("apply".into(), "all that an update reads and writes"),
        CeilingOf::HostToDevice => ("host to device".into(), "copies from page-locked memory"),
        CeilingOf::DeviceToHost => ("device to host".into(), "copies to page-locked memory"),
        CeilingOf::DeviceToDevice => ("device to device".into(), "copies within a GPU, once"),
        CeilingOf::Gemm => ("products, f32".into(), "multiplications and additions"),
        CeilingOf::GemmTf32 => ("products, tf32".into(), "multiplications and additions"),
        CeilingOf::Launch => ("launch".into(), "from one small kernel to the next"),
        CeilingOf::Nccl => (
            "sum, nccl".into(),
            "what crosses a link of a ring of all GPUs",
        ),
    }
}
