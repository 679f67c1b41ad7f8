//! Builds flavours, each once for as long as nothing that it depends on changes. In: a source tree, a
//! folder to keep programs in, and flavours. Out: a [`Built`] program that was asked what it is, or
//! why there is none. Does not know which cells it is for.
//!
//! ```text
//! <cache>/flavours/<recipe, source and CUDA toolkit>/
//!   target/            cargo's, so that the next build is short
//!   <key>/xrun         the program
//!   <key>/build.json   what the key is made of, and the hash of the program
//!   <key>/build.log    what cargo said
//! ```
//!
//! The key is a hash of sources, lock file, recipe, toolchain, target, the environment that builds
//! read, and the layout of a further build. Folders of keys appear by renaming, so none is half
//! written; cargo itself lets one build at a time into a target folder.

pub mod gpus;
mod shelf;

use super::agreement::Asked;
use super::ask::ask;
use super::cargo::Call;
use super::recipe::Recipe;
use super::toolchain::{Cuda, Toolchain, environment, target};
use super::{Program, given_binary, identity, sources};
use crate::machine::{Gpu, git_revision};
use crate::spec::Flavour;
use shelf::{LAYOUT, Record, changes, key, prune, record};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Why there is no program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unbuilt {
    /// The user wants to stop.
    Stopped,
    /// For people; the reason of skipped cells.
    Failed(String),
}

/// A flavour's program.
#[derive(Debug)]
pub struct Built {
    pub program: Program,
    /// `built in 101 s: sources changed`, or `as built before: …`.
    pub news: String,
}

/// Where flavours are built.
pub struct Workshop<'a> {
    source: PathBuf,
    /// Of the source tree.
    sources: String,
    lock_file: String,
    git_revision: String,
    toolchain: Toolchain,
    environment: String,
    cache: PathBuf,
    stopped: &'a dyn Fn() -> bool,
    /// That programs are built for; empty where there are none.
    gpus: &'a [Gpu],
}

/// The folder below a cache in which programs are kept.
pub fn folder(cache: &Path) -> PathBuf {
    cache.join("flavours")
}

impl<'a> Workshop<'a> {
    /// Looks at a source tree and the toolchain.
    ///
    /// # Errors
    /// Where one of them is missing; the message is the reason of skipped cells.
    pub fn open(
        source: &Path,
        cache: &Path,
        stopped: &'a dyn Fn() -> bool,
    ) -> Result<Self, String> {
        let shown = source.display();
        let read = |error: io::Error| format!("reading the sources in {shown}: {error}");
        let lock_file = fs::File::open(source.join("Cargo.lock")).map_err(read)?;
        Ok(Self {
            source: source.canonicalize().map_err(read)?,
            sources: sources::of_tree(source).map_err(read)?,
            lock_file: identity::of_contents(lock_file).map_err(read)?,
            git_revision: git_revision(source),
            toolchain: Toolchain::of(source)?,
            environment: environment(),
            // Cargo runs in another folder.
            cache: std::path::absolute(folder(cache)).map_err(read)?,
            stopped,
            gpus: &[],
        })
    }

    /// The same for programs that are to run on these GPUs.
    pub fn for_gpus(self, gpus: &'a [Gpu]) -> Self {
        Self { gpus, ..self }
    }

    /// The tree that is built here.
    pub fn source(&self) -> &Path {
        &self.source
    }

    /// The hash of the sources that are built here.
    pub fn sources(&self) -> &str {
        &self.sources
    }

    /// The program of a flavour's build, made now unless it is there. `show` hears what cargo says.
    /// Builds of a flavour share what its dependencies were compiled to, so that a further one is
    /// little more than one call of the linker.
    ///
    /// # Errors
    /// Where it cannot be built here, or is not what the flavour asked for.
    pub fn build(
        &self,
        flavour: &Flavour,
        build: u32,
        show: &mut dyn FnMut(&str),
    ) -> Result<Built, Unbuilt> {
        let recipe = Recipe::of(flavour).of_build(build);
        let cuda = recipe
            .cuda
            .as_deref()
            .map(|asked| gpus::toolkit(asked, self.gpus));
        let cuda = cuda.transpose().map_err(Unbuilt::Failed)?;
        let companions = cuda.iter().flat_map(|cuda| &cuda.companions);
        let recipe = recipe.with_companions(companions.map(|(feature, _)| *feature));
        let parts = self
            .parts(&recipe, cuda.as_ref())
            .map_err(Unbuilt::Failed)?;
        let mut of_source = recipe.parts();
        of_source.push(("source".into(), self.source.display().to_string()));
        // Build scripts of dependencies do not see that the toolkit is another one.
        of_source.extend(cuda.as_ref().map(|cuda| ("toolkit".into(), cuda.text())));
        let shelf = self.cache.join(key(&of_source));
        let kept = shelf.join(key(&parts));
        if kept.is_dir() {
            let program = self.stored(&kept, &recipe).map_err(Unbuilt::Failed)?;
            let news = "as built before: nothing that it depends on has changed".to_owned();
            return Ok(Built { program, news });
        }
        let why = changes(&shelf, &parts);
        let call = Making {
            workshop: self,
            recipe: &recipe,
            cuda: cuda.as_ref(),
            shelf: &shelf,
            kept: &kept,
        };
        let started = Instant::now();
        call.make(parts, show)?;
        let program = self.stored(&kept, &recipe).map_err(Unbuilt::Failed)?;
        let seconds = started.elapsed().as_secs_f64();
        let news = format!("built in {seconds:.0} s: {why}");
        Ok(Built { program, news })
    }

    /// Everything that a program depends on, by name.
    fn parts(&self, recipe: &Recipe, cuda: Option<&Cuda>) -> Result<Vec<(String, String)>, String> {
        let mut parts = recipe.parts();
        let capability = gpus::capability(self.gpus).filter(|_| cuda.is_some());
        let capability = capability.map_or_else(String::new, |of| of.to_string());
        let cuda = cuda.map_or_else(String::new, Cuda::text);
        let target = target(&recipe.rustflags, &self.source)?;
        let own = [
            ("the lock file", self.lock_file.clone()),
            ("the sources", self.sources.clone()),
            ("cargo", self.toolchain.cargo.clone()),
            ("the compiler", self.toolchain.rustc.clone()),
            ("what the compiler makes of the target", target),
            ("the environment", self.environment.clone()),
            ("the CUDA toolkit", cuda),
            ("what GPUs can compute", capability),
        ];
        parts.extend(own.map(|(name, value)| (name.to_owned(), value)));
        parts.extend(recipe.layout().map(|layout| (LAYOUT.to_owned(), layout)));
        Ok(parts)
    }

    /// A program that was built before, if its file is what was built and it says what was asked for.
    fn stored(&self, kept: &Path, recipe: &Recipe) -> Result<Program, String> {
        let advice = "`xrun build --clean` removes what was built";
        let record = record(kept)
            .ok_or_else(|| format!("{} has no record of its build: {advice}", kept.display()))?;
        let path = kept.join("xrun");
        let program = given_binary(&path).map_err(|error| format!("{error:#}"))?;
        if program.contents != record.contents {
            return Err(format!(
                "{} is not what was built: its contents are {}, and were {}: {advice}",
                path.display(),
                program.contents,
                record.contents
            ));
        }
        let verified = verified(program, recipe, &self.sources);
        verified.map_err(|why| format!("{}: {why}", path.display()))
    }
}

/// The program with its own identity, if it is what was asked for.
fn verified(program: Program, recipe: &Recipe, sources: &str) -> Result<Program, String> {
    let told = ask(&program)
        .map_err(|why| format!("it does not say what it is (`xrun worker --identify`): {why}"))?;
    let asked = Asked {
        recipe,
        sources: Some(sources),
    };
    let differences = asked.differences(&told);
    if !differences.is_empty() {
        return Err(format!(
            "it is not what was asked for: {}; `xrun build --clean` makes cargo start anew",
            differences.join("; ")
        ));
    }
    Ok(Program {
        identity: told.program.clone(),
        told: Some(told),
        ..program
    })
}

/// A program in the making.
struct Making<'a> {
    workshop: &'a Workshop<'a>,
    recipe: &'a Recipe,
    cuda: Option<&'a Cuda>,
    shelf: &'a Path,
    kept: &'a Path,
}

impl Making<'_> {
    /// Builds into a folder beside the one where it is kept, and puts it there if it is what was asked
    /// for.
    fn make(
        &self,
        parts: Vec<(String, String)>,
        show: &mut dyn FnMut(&str),
    ) -> Result<(), Unbuilt> {
        let failed = |error: io::Error| {
            Unbuilt::Failed(format!("writing to {}: {error}", self.shelf.display()))
        };
        let folder = self.shelf.join(format!("building-{}", std::process::id()));
        fs::create_dir_all(&folder).map_err(failed)?;
        let made = self.program(&folder, parts, show);
        if made.is_err() {
            // A program that is not what was asked for is for nobody; the log stays.
            let _ = fs::remove_dir_all(&folder);
            return made;
        }
        if let Err(error) = fs::rename(&folder, self.kept) {
            // Another xrun may have been faster, and its program is as good.
            let _ = fs::remove_dir_all(&folder);
            if !self.kept.is_dir() {
                return Err(failed(error));
            }
        }
        prune(self.shelf, self.kept);
        Ok(())
    }

    fn program(
        &self,
        folder: &Path,
        parts: Vec<(String, String)>,
        show: &mut dyn FnMut(&str),
    ) -> Result<(), Unbuilt> {
        let failed = |error: io::Error| Unbuilt::Failed(format!("keeping the program: {error}"));
        let call = Call {
            source: &self.workshop.source,
            git_revision: &self.workshop.git_revision,
            recipe: self.recipe,
            cuda: self.cuda,
            capability: gpus::capability(self.workshop.gpus),
            target: &self.shelf.join("target"),
            log: &self.kept.with_extension("log"),
            stopped: self.workshop.stopped,
        };
        let made = call.run(show)?;
        let path = folder.join("xrun");
        fs::copy(made, &path).map_err(failed)?;
        let failure = |why: String| Unbuilt::Failed(format!("what cargo has built: {why}"));
        let program = given_binary(&path).map_err(|error| failure(format!("{error:#}")))?;
        let contents = program.contents.clone();
        verified(program, self.recipe, &self.workshop.sources).map_err(failure)?;
        let record = serde_json::to_string_pretty(&Record { parts, contents });
        let record = record.expect("a record is plain values");
        fs::write(folder.join("build.json"), record).map_err(failed)?;
        fs::rename(call.log, folder.join("build.log")).map_err(failed)
    }
}
