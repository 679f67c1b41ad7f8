//! The programs of an experiment's flavours. In: flavours that cells use, and where their source is.
//! Out: the builds of each or why there are none, said to the user, with what tells them apart.

use crate::flavour::census::{Census, Likeness};
use crate::flavour::compile::{Unbuilt, Workshop};
use crate::flavour::identity::{Identity, RUNNING_SOURCES};
use crate::flavour::{self, Program, layout};
use crate::launch::Interrupted;
use crate::machine::Gpu;
use crate::spec::{Experiment, Flavour};
use crate::worker;
use anyhow::Result;
use std::collections::BTreeMap;
use std::fs;
use std::io::{IsTerminal, Write, stderr};
use std::path::{Path, PathBuf};

/// Programs by the name of their flavour, in the order of their builds and at least one; the reason where
/// there are none.
#[derive(Default)]
pub struct Programs {
    by_name: BTreeMap<String, Result<Vec<Program>, String>>,
    /// Instructions with wide registers, where they were counted.
    wide: BTreeMap<String, String>,
}

/// Who builds, and who may stop it.
pub struct Builder<'a> {
    /// Where the source is, if the user says it.
    pub source: Option<&'a Path>,
    /// Where programs are kept.
    pub cache: PathBuf,
    /// How often each flavour is built, from 1.
    pub builds: u32,
    /// That programs with the feature `cuda` are built for.
    pub gpus: &'a [Gpu],
    pub stopped: &'a dyn Fn() -> bool,
}

/// Where the source was when this program was built from it.
const OWN_SOURCE: &str = env!("CARGO_MANIFEST_DIR");

impl Programs {
    /// The running program, which is the flavour `default`, and binaries that were given. Nothing is
    /// built yet, and nobody was asked what he is.
    pub fn open(experiment: &Experiment) -> Self {
        let text = |error: anyhow::Error| format!("{error:#}");
        let given = experiment.flavours.iter().filter_map(|flavour| {
            let program = flavour::given_binary(flavour.binary.as_ref()?);
            let programs = program.map(|program| vec![program]);
            Some((flavour.name.clone(), programs.map_err(text)))
        });
        let told = |mut program: Program| {
            program.told = Some(Identity::running(worker::vector_extensions()));
            vec![program]
        };
        let running = flavour::running_program().map(told).map_err(text);
        Self {
            by_name: given.chain([("default".to_owned(), running)]).collect(),
            wide: BTreeMap::new(),
        }
    }

    /// A flavour's programs or why there are none; nothing where that was not looked at.
    pub fn get(&self, flavour: &str) -> Option<&Result<Vec<Program>, String>> {
        self.by_name.get(flavour)
    }

    /// How many instructions of each of a flavour's programs use wide registers, for the record.
    pub fn wide(&self, flavour: &str) -> &str {
        self.wide.get(flavour).map_or("", String::as_str)
    }

    /// Asks given binaries what they are and builds the others, one after the other, and says what came
    /// of each.
    ///
    /// # Errors
    /// Failures of `out`; where the user has stopped it, [`Interrupted`].
    pub fn provide(
        &mut self,
        experiment: &Experiment,
        names: &[String],
        builder: &Builder<'_>,
        out: &mut dyn Write,
    ) -> Result<()> {
        if names.iter().any(|name| name == "default") {
            warn_of_debug_build();
        }
        let declared: Vec<Flavour> = names.iter().filter_map(|n| find(experiment, n)).collect();
        let (given, built): (Vec<_>, Vec<_>) = declared
            .iter()
            .partition(|flavour| flavour.binary.is_some());
        for flavour in given {
            let opened = self.by_name.remove(&flavour.name);
            let opened = opened.expect("given binaries were opened");
            let ask = |program| flavour::ask_given(program, flavour);
            let asked = opened.and_then(|programs| programs.into_iter().map(ask).collect());
            self.by_name.insert(flavour.name.clone(), asked);
        }
        self.build(&built, builder, out)?;
        self.compare(names, out)
    }

    fn build(
        &mut self,
        flavours: &[&Flavour],
        builder: &Builder<'_>,
        out: &mut dyn Write,
    ) -> Result<()> {
        if flavours.is_empty() {
            return Ok(());
        }
        let workshop = source(builder.source, Path::new(OWN_SOURCE))
            .and_then(|source| Workshop::open(&source, &builder.cache, builder.stopped))
            .map(|workshop| workshop.for_gpus(builder.gpus));
        if let Ok(workshop) = &workshop {
            let other = match workshop.sources() == RUNNING_SOURCES {
                true => "",
                false => ", which is not what this xrun was built from",
            };
            let source = workshop.source().display();
            writeln!(out, "flavours are built from {source}{other}")?;
        }
        for flavour in flavours {
            let programs = match &workshop {
                Ok(workshop) => build_all(workshop, flavour, builder.builds, out)?,
                Err(reason) => Err(format!("flavour {}: {reason}", flavour.name)),
            };
            self.by_name.insert(flavour.name.clone(), programs);
        }
        Ok(())
    }

    /// Says which flavours of an experiment differ in nothing that runs. Only programs that have said
    /// what they are are looked at: others may be anything. Builds of a flavour have the same
    /// instructions, so the first speaks for all.
    fn compare(&mut self, names: &[String], out: &mut dyn Write) -> Result<()> {
        let known: Vec<(&str, &Program)> = names
            .iter()
            .filter_map(|name| {
                let programs = self.by_name.get(name)?.as_ref().ok()?;
                Some((name.as_str(), programs.first()?))
            })
            .filter(|(_, program)| program.told.is_some())
            .collect();
        if known.len() < 2 {
            return Ok(());
        }
        let mut counted: Vec<(&str, &Program, Census)> = Vec::new();
        for (name, program) in known {
            let contents = fs::read(program.executable()).map_err(|error| error.to_string());
            match contents.and_then(|contents| Census::of(&contents)) {
                Ok(census) => counted.push((name, program, census)),
                Err(reason) => writeln!(out, "flavour {name} is not compared: {reason}")?,
            }
        }
        for (place, (name, program, census)) in counted.iter().enumerate() {
            for (other, others, theirs) in &counted[..place] {
                let same = !program.contents.is_empty() && program.contents == others.contents;
                if let Some(verdict) = in_common(same, census.likeness(theirs)) {
                    writeln!(out, "flavours {other} and {name} {verdict}")?;
                }
            }
        }
        for (name, _, census) in counted {
            let wide = census
                .widths()
                .map(|(part, widths)| format!("{part} {} ymm and {} zmm", widths.ymm, widths.zmm));
            let wide = wide.join(", ");
            writeln!(
                out,
                "flavour {name}: instructions with wide registers: {wide}"
            )?;
            self.wide.insert(name.to_owned(), wide);
        }
        Ok(())
    }
}

/// Makes every build of a flavour, one after the other. A flavour of which one is missing has none: what
/// is measured of it would not be what was asked for.
fn build_all(
    workshop: &Workshop,
    flavour: &Flavour,
    builds: u32,
    out: &mut dyn Write,
) -> Result<Result<Vec<Program>, String>> {
    let mut programs = Vec::new();
    for build in 1..=builds {
        let title = title(&flavour.name, build, builds);
        let mut progress = Progress::new(&title);
        let built = workshop.build(flavour, build, &mut |line| progress.show(line));
        progress.clear();
        let built = built.and_then(|built| {
            let differs = layout::differs(&programs, &built.program);
            differs.map(|()| built).map_err(Unbuilt::Failed)
        });
        match built {
            Ok(built) => {
                writeln!(out, "flavour {title}: {}", built.news)?;
                programs.push(built.program);
            }
            Err(Unbuilt::Failed(reason)) => {
                let advice = match build {
                    1 => String::new(),
                    _ => format!(": {}", layout::ADVICE),
                };
                return Ok(Err(format!("flavour {title}: {reason}{advice}")));
            }
            Err(Unbuilt::Stopped) => return Err(Interrupted.into()),
        }
    }
    Ok(Ok(programs))
}

/// `plain`, or `plain, build 2 of 2` where there are several.
pub fn title(flavour: &str, build: u32, builds: u32) -> String {
    match builds {
        1 => flavour.to_owned(),
        _ => format!("{flavour}, build {build} of {builds}"),
    }
}

/// What two programs have in common that makes a comparison of them meaningless or nearly so.
fn in_common(same_program: bool, likeness: Likeness) -> Option<&'static str> {
    match (same_program, likeness) {
        (true, _) => Some("differ in nothing that runs: they are the same program"),
        (_, Likeness::SameCode) => {
            Some("differ in nothing that runs: every function has the same instructions")
        }
        (_, Likeness::SameWidths) => Some(
            "use the same vector widths in every function of worker and gemm: they differ in other \
             instructions only",
        ),
        (_, Likeness::Different) => None,
    }
}

/// The running program cannot be refused: no flavour says what it should be.
fn warn_of_debug_build() {
    if Identity::running(String::new()).is_debug_build() {
        eprintln!("note: this xrun is a debug build: its figures say nothing of a release build");
    }
}

/// A flavour of the file, or the one that is built in beside `default`.
pub(super) fn find(experiment: &Experiment, name: &str) -> Option<Flavour> {
    let declared = experiment
        .flavours
        .iter()
        .find(|flavour| flavour.name == name);
    declared
        .cloned()
        .or_else(|| (name == "cuda").then(Flavour::cuda))
}

/// Where flavours are built from: what the user says, or what this program was built from.
fn source(told: Option<&Path>, own: &Path) -> Result<PathBuf, String> {
    let source = told.unwrap_or(own);
    if !source.join("Cargo.toml").is_file() {
        return Err(format!(
            "the source of xrun is not in {}: --source DIR says where it is, and a flavour with a \
             `binary` needs none",
            source.display()
        ));
    }
    Ok(source.to_owned())
}

/// What cargo says, on one line of a terminal; elsewhere only that it has begun.
struct Progress<'a> {
    flavour: &'a str,
    begun: bool,
    terminal: bool,
}

impl<'a> Progress<'a> {
    fn new(flavour: &'a str) -> Self {
        Self {
            flavour,
            begun: false,
            terminal: stderr().is_terminal(),
        }
    }

    fn show(&mut self, line: &str) {
        let line: String = line.trim().chars().take(60).collect();
        if self.terminal {
            eprint!("\r\x1b[Kbuilding flavour {}: {line}", self.flavour);
        } else if !self.begun {
            eprintln!("building flavour {} with cargo", self.flavour);
        }
        self.begun = true;
    }

    fn clear(&self) {
        if self.terminal && self.begun {
            eprint!("\r\x1b[K");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_its_source_an_installed_program_says_where_it_looked() {
        let reason = source(None, Path::new("/no/such")).unwrap_err();
        assert!(reason.contains("not in /no/such: --source DIR"), "{reason}");
        let own = Path::new(OWN_SOURCE);
        assert_eq!(source(None, own).unwrap(), own);
        assert_eq!(source(Some(own), Path::new("/no/such")).unwrap(), own);
    }
}
