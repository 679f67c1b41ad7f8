//! `xrun probe [FILE]`: what memory, transports and GPUs can do at most for the cells of a file, what
//! crosses between processes as a run would measure it before its blocks. Trains nothing and writes no
//! file.

use super::prepare::{Fate, Prepared, cache};
use super::report::grid::{Column, Grid};
use super::run::{Leases, Subject, lock_machine};
use super::{Ending, build};
use crate::cli::{ProbeArgs, Selection};
use crate::flavour::{Program, running_program};
use crate::launch::interrupt::{self, Interrupt};
use crate::launch::slots::{Slots, assign};
use crate::launch::{ProbeError, RepeatRequest, Session};
use crate::machine::Machine;
use crate::plan::Cell;
use crate::protocol::{Ceiling, CeilingOf};
use crate::spec::settings::Settings;
use crate::terms::{DeviceKind, ModelName, OptimizerName, Topology, Transport};
use crate::units::{Bytes, counted, significant};
use crate::worker::model;
use anyhow::{Context, Result, anyhow};
use std::io::Write;
use std::path::PathBuf;

const TRANSPORTS: [Transport; 3] = [Transport::SharedMemory, Transport::Unix, Transport::Tcp];

/// One exchange of a file on this machine, or GPUs of cells that exchange nothing between processes.
struct Case<'a> {
    settings: Settings,
    slots: Slots,
    crosses: bool,
    /// What trains on its GPUs, or why nothing does; none where it has no GPUs.
    trainer: Option<Result<&'a Program, String>>,
}

/// Probes and prints, case by case.
///
/// # Errors
/// A wrong file or flag; a lock that another xrun holds; a probe that fails; failures of stdout.
pub fn run(arguments: &ProbeArgs) -> Result<Ending> {
    let interrupt = interrupt::listen().context("listening for Ctrl-C")?;
    let load = |file: &PathBuf| Prepared::load(file, &Selection::default());
    let mut prepared = arguments.file.as_ref().map(load).transpose()?;
    let cases = match &mut prepared {
        Some(prepared) => of_file(prepared, &interrupt)?,
        None => Some(wide_mlp()?),
    };
    let Some(cases) = cases else {
        return Ok(Ending::Interrupted);
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
    let own = running_program()?;
    let mut session = Session::start(&own, interrupt)?;
    let mut leases = Leases::default();
    for case in &cases {
        writeln!(out, "{}", case.title()?)?;
        let trainer = case.leased(&mut leases);
        let ceilings = match case.probe(&mut session, &own, trainer.as_ref()) {
            Err(ProbeError::Interrupted(_)) => return Ok(Ending::Interrupted),
            ceilings => ceilings?,
        };
        if !ceilings.is_empty() {
            write!(out, "{}", table(&ceilings))?;
        }
        if let Some(Err(reason)) = trainer {
            writeln!(out, "no ceilings of GPUs: {reason}")?;
        }
        writeln!(out)?;
    }
    Ok(Ending::Done)
}

/// Each different exchange of the cells that this machine can measure, whatever its transport, and each
/// different set of GPUs, with programs for those, which are built where they are missing. None where the user
/// has stopped that.
fn of_file<'a>(prepared: &'a mut Prepared, interrupt: &Interrupt) -> Result<Option<Vec<Case<'a>>>> {
    let mut found: Vec<(Cell, Subject, Settings, Slots)> = Vec::new();
    for (_, cell) in prepared.cells() {
        let Ok((settings, slots)) = prepared.place(cell) else {
            continue;
        };
        let settings = by(Transport::SharedMemory, &settings);
        let Some(subject) = Subject::of(&settings, &slots.gpus()) else {
            continue;
        };
        if !found.iter().any(|(_, known, ..)| *known == subject) {
            found.push((cell.clone(), subject, settings, slots));
        }
    }
    let on_gpus = found
        .iter()
        .filter(|(_, subject, ..)| !subject.gpus.is_empty());
    let trainers = on_gpus.filter_map(|(cell, ..)| prepared.trainer(cell, DeviceKind::Cuda).ok());
    let mut flavours: Vec<String> = trainers.collect();
    flavours.sort();
    flavours.dedup();
    if !build::provide(prepared, &flavours, interrupt)? {
        return Ok(None);
    }
    let prepared = &*prepared;
    let trainer = |cell: &Cell| match prepared.fate(cell) {
        Fate::Runs(runs) => Ok(runs.program(1)),
        Fate::Skipped(reason) => Err(reason),
    };
    let case = |(cell, subject, settings, slots): (Cell, Subject, Settings, Slots)| Case {
        settings,
        slots,
        crosses: subject.exchange.is_some(),
        trainer: (!subject.gpus.is_empty()).then(|| trainer(&cell)),
    };
    Ok(Some(found.into_iter().map(case).collect()))
}

/// A model whose parameters are many for the work that they are in.
fn wide_mlp() -> Result<Vec<Case<'static>>> {
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
            trainer: None,
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

impl<'a> Case<'a> {
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

    /// What trains on its GPUs, where nobody else uses them now.
    fn leased(&self, leases: &mut Leases) -> Option<Result<&'a Program, String>> {
        let trainer = self.trainer.clone()?;
        let asked = leases.ask(&self.slots.gpus(), self.settings.allow_occupied);
        Some(trainer.and_then(|program| asked.map(|_| program)))
    }

    /// All ceilings, those of memory and of GPUs once.
    fn probe(
        &self,
        session: &mut Session,
        own: &Program,
        trainer: Option<&Result<&Program, String>>,
    ) -> Result<Vec<Ceiling>, ProbeError> {
        let on_cores = self.slots.on_cores();
        let transports = if self.crosses { &TRANSPORTS[..] } else { &[] };
        let by_host = transports
            .iter()
            .map(|transport| (*transport, &on_cores, own));
        // With NCCL nothing is measured but GPUs.
        let by_gpus = trainer.and_then(|trainer| trainer.as_ref().ok());
        let by_gpus = by_gpus.map(|program| (Transport::Nccl, &self.slots, *program));
        let folder = std::env::temp_dir();
        let mut found: Vec<Ceiling> = Vec::new();
        for (transport, slots, program) in by_host.chain(by_gpus) {
            let request = RepeatRequest {
                settings: &by(transport, &self.settings),
                slots,
                program,
                cache: &cache(),
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
