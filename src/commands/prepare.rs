//! What `run` and `plan` share: an experiment expanded into cells, and what this machine makes of
//! each.

mod gpus;
mod programs;
mod provenance;

use crate::cli::Selection;
use crate::flavour::Program;
use crate::launch::slots::{self, Slots};
use crate::machine::{Gpu, Machine, git_revision};
use crate::plan::{self, Cell, CellId, Plan};
use crate::spec::Experiment;
use crate::spec::settings::{SettingId, Settings};
use crate::table::Resolved;
use crate::terms::DeviceKind;
use anyhow::Result;
use programs::{Builder, Programs};

pub use programs::title as build_title;
use std::collections::{HashMap, HashSet};
use std::io::Write;
use std::path::{Path, PathBuf};

/// A flag whose value cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct WrongFlag(pub String);

/// An experiment on this machine, before anything is measured.
pub struct Prepared {
    pub experiment: Experiment,
    /// Every cell of the file.
    pub plan: Plan,
    /// Ids of the cells that `--only` has left.
    selected: HashSet<CellId>,
    pub machine: Machine,
    pub machine_name: String,
    /// Of the repository that the experiment file is in; empty outside of one.
    pub git_revision: String,
    /// Where its results go.
    pub folder: PathBuf,
    /// Where flavours are built from, if the user says it.
    source: Option<PathBuf>,
    programs: Programs,
}

/// What this machine makes of a cell.
pub enum Fate<'a> {
    Runs(Box<Runs<'a>>),
    /// What is missing.
    Skipped(String),
}

/// A cell that can be measured here.
pub struct Runs<'a> {
    pub settings: Settings,
    pub slots: Slots,
    /// The name of the flavour that `default` has come to, or that the file names.
    pub flavour: String,
    /// Builds of its flavour, at least one.
    programs: &'a [Program],
    pub resolved: Resolved,
}

impl<'a> Runs<'a> {
    /// Which build of its flavour a block uses, from 1.
    pub fn build(&self, block: u32) -> u32 {
        plan::build_of(block, self.programs.len() as u32)
    }

    /// The program of a block.
    pub fn program(&self, block: u32) -> &'a Program {
        &self.programs[self.build(block) as usize - 1]
    }
}

impl Prepared {
    /// Reads, checks and expands the experiment, and looks at the machine.
    ///
    /// # Errors
    /// Everything that is wrong with the file and the flags.
    pub fn load(file: &Path, selection: &Selection) -> Result<Self> {
        let (experiment, plan) = plan::read(file, environment(), &selection.set)?;
        let chosen = plan.clone().select(&selection.only)?;
        let selected = chosen.cells.into_iter().map(|cell| cell.id).collect();
        let machine = Machine::detect();
        let machine_name = machine_name(selection.machine.as_deref(), &machine)?;
        let folder = folder(&selection.results, &experiment, &machine_name);
        let source = selection.source.clone();
        check_source(source.as_deref())?;
        let programs = Programs::open(&experiment);
        let git_revision = git_revision(experiment.path.parent().unwrap_or(Path::new(".")));
        Ok(Self {
            experiment,
            plan,
            selected,
            machine,
            machine_name,
            git_revision,
            folder,
            source,
            programs,
        })
    }

    /// Provides the programs of these flavours, and says what came of each: opens those that were given,
    /// and builds the others unless they are there.
    ///
    /// # Errors
    /// Failures of `out`; `Interrupted` where the user has stopped it.
    pub fn build(
        &mut self,
        names: &[String],
        stopped: &dyn Fn() -> bool,
        out: &mut dyn Write,
    ) -> Result<()> {
        let builder = Builder {
            source: self.source.as_deref(),
            cache: cache(),
            builds: self.plan.builds,
            gpus: &self.machine.gpus,
            stopped,
        };
        self.programs
            .provide(&self.experiment, names, &builder, out)
    }

    /// Flavours of the chosen cells, in the order of the plan.
    pub fn flavours(&self) -> Vec<String> {
        self.flavours_where(|cell| {
            let kind = slots::device_kind(&cell.settings(), &self.machine);
            let trainer = self.trainer(cell, kind).ok();
            trainer.filter(|_| cell.unbuilt.is_none())
        })
    }

    /// Flavours of the chosen cells that have a place on this machine: those that a run needs.
    pub fn needed_flavours(&self) -> Vec<String> {
        self.flavours_where(|cell| {
            let (_, slots) = self.place(cell).ok()?;
            self.trainer(cell, slots.device_kind).ok()
        })
    }

    /// The names that `of` gives to cells, each once.
    fn flavours_where(&self, of: impl Fn(&Cell) -> Option<String>) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for name in self.cells().filter_map(|(_, cell)| of(cell)) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// Those that a run needs and that nobody has built or given yet.
    pub fn unbuilt_flavours(&self) -> Vec<String> {
        let mut names = self.needed_flavours();
        names.retain(|name| self.programs.get(name).is_none());
        names
    }

    /// Every cell of the plan that was not deselected, with its place in the plan.
    pub fn cells(&self) -> impl Iterator<Item = (usize, &Cell)> {
        let cells = self.plan.cells.iter().enumerate();
        cells.filter(|(_, cell)| self.selected.contains(&cell.id))
    }

    /// The plan of the chosen cells alone.
    pub fn chosen(&self) -> Plan {
        Plan {
            cells: self.cells().map(|(_, cell)| cell.clone()).collect(),
            ..self.plan
        }
    }

    /// Places among the chosen cells in the order of the whole plan's first block.
    pub fn first_block(&self) -> Vec<usize> {
        let places: HashMap<usize, usize> = self
            .cells()
            .enumerate()
            .map(|(chosen, (place, _))| (place, chosen))
            .collect();
        let order = self.plan.block(1);
        order
            .iter()
            .filter_map(|place| places.get(place).copied())
            .collect()
    }

    /// Whether and how a cell can be measured here.
    pub fn fate(&self, cell: &Cell) -> Fate<'_> {
        self.runs(cell)
            .map_or_else(Fate::Skipped, |runs| Fate::Runs(Box::new(runs)))
    }

    /// Why this machine cannot measure a cell, as far as that is known before flavours are built.
    pub fn skip(&self, cell: &Cell) -> Option<String> {
        self.runs(cell).err().filter(|reason| reason != NOT_BUILT)
    }

    fn runs(&self, cell: &Cell) -> Result<Runs<'_>, String> {
        let (settings, slots) = self.place(cell)?;
        let flavour = self.trainer(cell, slots.device_kind)?;
        let programs = self.programs(&flavour)?;
        if slots.device_kind == DeviceKind::Cuda {
            let used = slots.gpus();
            let gpus = self.machine.gpus.iter();
            let gpus: Vec<&Gpu> = gpus
                .filter(|gpu| used.contains(&gpu.uuid.as_str()))
                .collect();
            gpus::fits(&flavour, &programs[0], &gpus, &settings)?;
        }
        let resolved = resolve(&settings, &slots);
        Ok(Runs {
            settings,
            slots,
            flavour,
            programs,
            resolved,
        })
    }

    /// A cell's settings and where it would run, whatever its flavour.
    pub fn place(&self, cell: &Cell) -> Result<(Settings, Slots), String> {
        if let Some(reason) = &cell.unbuilt {
            return Err(reason.clone());
        }
        let settings = cell.settings();
        let slots = slots::assign(&settings, &self.machine)?;
        Ok((settings, slots))
    }

    /// All builds of a flavour that a chosen cell has, at least one, or why there are none.
    pub fn programs(&self, flavour: &str) -> Result<&[Program], String> {
        let programs = self.programs.get(flavour);
        let programs = programs.ok_or_else(|| NOT_BUILT.to_owned())?;
        programs.as_deref().map_err(Clone::clone)
    }

    /// The program that is running, which trains the flavour `default` and guards all workers.
    pub fn own_program(&self) -> Result<&Program> {
        let own = self.programs.get("default");
        let own = own.expect("the running program is looked for first");
        let own = own.as_ref().map_err(|reason| anyhow::anyhow!("{reason}"))?;
        Ok(own.first().expect("it is one program"))
    }
}

/// Why a cell cannot be measured before its flavour was built.
const NOT_BUILT: &str = "its flavour is not built yet (xrun build FILE)";

/// The name of a cell's flavour.
fn flavour(cell: &Cell) -> String {
    let name = cell.values.get(SettingId::FLAVOUR);
    name.map_or_else(String::new, ToString::to_string)
}

/// Where files are kept between repeats and runs: generated input, and programs of flavours.
pub fn cache() -> PathBuf {
    let set = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    set("XDG_CACHE_HOME")
        .or_else(|| set("HOME").map(|home| home.join(".cache")))
        .unwrap_or_else(std::env::temp_dir)
        .join("xrun")
}

fn check_source(flag: Option<&Path>) -> Result<()> {
    let Some(source) = flag.filter(|source| !source.join("Cargo.toml").is_file()) else {
        return Ok(());
    };
    let message = format!("--source {0}: there is no {0}/Cargo.toml", source.display());
    Err(WrongFlag(message).into())
}

fn resolve(settings: &Settings, slots: &Slots) -> Resolved {
    let replicas = slots.replicas;
    Resolved {
        device_kind: slots.device_kind.to_string(),
        replicas: replicas as u32,
        // Independent replicas share no batch, but they do share the machine.
        global_batch: (settings.local_batch * replicas) as u64,
        cores: slots.cores.clone(),
        server_cores: slots.server_cores.clone(),
        threads_per_core: slots.threads_per_core,
    }
}

fn machine_name(flag: Option<&str>, machine: &Machine) -> Result<String> {
    let Some(name) = flag else {
        return Ok(machine.slug());
    };
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c);
    if name.is_empty() || name.len() > 100 || !name.chars().all(allowed) {
        let message = format!("--machine `{name}` cannot name a folder: use a-z, 0-9, `-` and `_`");
        return Err(WrongFlag(message).into());
    }
    Ok(name.to_owned())
}

/// The folder of what the file declares, or that of a variant below it.
fn folder(results: &Path, experiment: &Experiment, machine: &str) -> PathBuf {
    let declared = results.join(&experiment.name).join(machine);
    match experiment.variant() {
        Some(variant) => declared.join("variants").join(variant),
        None => declared,
    }
}

/// Environment variables that can be text; the others are none of xrun's.
fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}
