//! A small crate in place of the program's sources, a cache of its own, and an experiment over flavours.

use crate::program::{Called, Project, Row, null_model};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// What is measured where a test does not say it.
const ONE_REPEAT: &str = "warmup_steps = 0\nsteps = 4\nrepeats = 1";

/// A project with the small crate in `source`, a cache of its own, and an experiment over flavours.
pub struct Workshop {
    pub project: Project,
    /// Variables of each call.
    pub environment: Vec<(&'static str, String)>,
}

impl Workshop {
    /// Flavours by name, each with the lines of its definition.
    pub fn new(flavours: &[(&str, &str)]) -> Self {
        let workshop = Self::empty();
        workshop.declare(flavours);
        workshop
    }

    /// Without an experiment.
    pub fn empty() -> Self {
        let project = Project::new();
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let fixture = root.join("tests/fixture-crate");
        for file in [
            "Cargo.toml",
            "Cargo.lock",
            "build.rs",
            "src/main.rs",
            "src/worker.rs",
        ] {
            let text = fs::read_to_string(fixture.join(file)).unwrap();
            project.file(&format!("source/{file}"), &text);
        }
        let shared = fs::read_to_string(root.join("src/flavour/sources.rs")).unwrap();
        project.file("source/sources.rs", &shared);
        Self {
            project,
            environment: Vec::new(),
        }
    }

    pub fn declare(&self, flavours: &[(&str, &str)]) {
        self.declare_measured(ONE_REPEAT, flavours);
    }

    /// With these lines under `[measure]`.
    pub fn declare_measured(&self, measure: &str, flavours: &[(&str, &str)]) {
        let names: Vec<_> = flavours
            .iter()
            .map(|(name, _)| format!("{name:?}"))
            .collect();
        let mut text = null_model("builds", measure);
        text += &format!("[sweep]\nbuild.flavour = [{}]\n", names.join(", "));
        for (name, lines) in flavours {
            text += &format!("[flavours.{name}]\n{lines}\n");
        }
        self.project.file("builds.toml", &text);
    }

    pub fn call(&self, arguments: &[&str]) -> Called {
        Called::from(self.command(arguments).output().unwrap())
    }

    pub fn command(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = self.project.command(arguments);
        command.stdin(Stdio::null());
        command.env("XDG_CACHE_HOME", self.project.path("cache"));
        if !arguments.contains(&"--clean") {
            command.arg("--source").arg(self.project.path("source"));
        }
        command.envs(self.environment.iter().cloned());
        command
    }

    pub fn build(&self) -> String {
        self.call(&["build", "builds.toml"]).expect(0).text()
    }

    pub fn run(&self) -> String {
        self.call(&["builds.toml"]).expect(0).text()
    }

    /// The row of a flavour.
    pub fn row(&self, flavour: &str) -> Row {
        let rows = self.project.repeats("builds");
        let mut rows = rows.into_iter().rev();
        rows.find(|row| row["build.flavour"] == flavour).unwrap()
    }

    /// Where the program of a flavour is, from what `xrun build` has said.
    pub fn program(&self, said: &str, flavour: &str) -> PathBuf {
        let line = said
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{flavour}: ")));
        PathBuf::from(line.unwrap_or_else(|| panic!("{flavour} is not in\n{said}")))
    }

    /// Changes a file of the sources.
    pub fn edit(&self, file: &str, from: &str, to: &str) {
        let path = self.project.path("source").join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{file} holds {from}");
        fs::write(path, text.replace(from, to)).unwrap();
    }

    /// A program earlier in the path that differs from the real one in what it says when called with
    /// `argument`.
    pub fn fake(&self, name: &str, argument: &str, says: &str) -> PathBuf {
        let path = std::env::var_os("PATH").unwrap();
        let mut places = std::env::split_paths(&path).map(|folder| folder.join(name));
        let real = places.find(|path| path.is_file()).unwrap();
        let real = real.display();
        let script = format!(
            "#!/bin/sh\nif [ \"$1\" = {argument} ]; then {}; else exec {real} \"$@\"; fi\n",
            says.replace("REAL", &real.to_string())
        );
        self.project.script(&format!("bin/{name}"), &script)
    }

    pub fn path_with_fakes(&self) -> String {
        let bin = self.project.path("bin");
        format!("{}:{}", bin.display(), std::env::var("PATH").unwrap())
    }
}

/// What was said of a flavour.
pub fn news<'a>(said: &'a str, flavour: &str) -> &'a str {
    let line = said
        .lines()
        .find_map(|line| line.strip_prefix(&format!("flavour {flavour}: ")));
    line.unwrap_or_else(|| panic!("{flavour} is not in\n{said}"))
}

pub fn built(said: &str, flavour: &str) -> bool {
    news(said, flavour).starts_with("built in")
}
