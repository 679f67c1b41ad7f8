//! What `run` and `plan` share: an experiment expanded into cells, and what this machine makes of
//! each.

use crate::cli::Selection;
use crate::flavour::{self, Program};
use crate::launch::slots::{self, Slots};
use crate::machine::{Machine, git_revision};
use crate::plan::{self, Cell, CellId, Plan};
use crate::spec::settings::{SettingId, Settings};
use crate::spec::{Experiment, Flavour};
use crate::table::Resolved;
use anyhow::Result;
use std::collections::{BTreeMap, HashMap, HashSet};
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
    /// By name of the flavour; the reason where there is no program.
    programs: BTreeMap<String, Result<Program, String>>,
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
    pub program: &'a Program,
    pub resolved: Resolved,
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
        let programs = programs(&experiment);
        let git_revision = git_revision(experiment.path.parent().unwrap_or(Path::new(".")));
        Ok(Self {
            experiment,
            plan,
            selected,
            machine,
            machine_name,
            git_revision,
            folder,
            programs,
        })
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

    /// Why this machine cannot measure a cell.
    pub fn skip(&self, cell: &Cell) -> Option<String> {
        self.runs(cell).err()
    }

    fn runs(&self, cell: &Cell) -> Result<Runs<'_>, String> {
        if let Some(reason) = &cell.unbuilt {
            return Err(reason.clone());
        }
        let flavour = cell
            .values
            .get(SettingId::FLAVOUR)
            .map_or_else(String::new, ToString::to_string);
        let program = match self.programs.get(&flavour) {
            Some(Ok(program)) => program,
            Some(Err(reason)) => return Err(reason.clone()),
            None => {
                return Err(format!(
                    "building flavour {flavour} is not built into this version"
                ));
            }
        };
        let settings = cell.settings();
        let slots = slots::assign(&settings, &self.machine)?;
        let resolved = resolve(&settings, &slots);
        Ok(Runs {
            settings,
            slots,
            program,
            resolved,
        })
    }

    /// The program that is running, which trains the flavour `default` and guards all workers.
    pub fn own_program(&self) -> Result<&Program> {
        let own = &self.programs["default"];
        own.as_ref().map_err(|reason| anyhow::anyhow!("{reason}"))
    }
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

fn programs(experiment: &Experiment) -> BTreeMap<String, Result<Program, String>> {
    let given = |flavour: &Flavour| {
        let binary = flavour.binary.as_ref()?;
        Some((flavour.name.clone(), text(flavour::given_binary(binary))))
    };
    let mut programs: BTreeMap<_, _> = experiment.flavours.iter().filter_map(given).collect();
    programs.insert("default".to_owned(), text(flavour::running_program()));
    programs
}

fn text<T>(result: Result<T>) -> Result<T, String> {
    result.map_err(|error| format!("{error:#}"))
}
