//! Experiment files from the outside: what is read, what is refused, and with which words.

#[path = "spec/wrong_files.rs"]
mod wrong_files;

#[path = "spec/good_files.rs"]
mod good_files;

#[path = "spec/shown.rs"]
mod shown;

#[path = "spec/properties.rs"]
mod properties;

#[path = "spec/tensors.rs"]
mod tensors;

use std::path::{Path, PathBuf};
use tempfile::TempDir;
use xrun::plan::{self, Plan};
use xrun::spec::{Experiment, SpecErrors};

/// A folder with experiment files.
struct Files(TempDir);

impl Files {
    fn new(files: &[(&str, &str)]) -> Self {
        let files_here = Self(tempfile::tempdir().unwrap());
        for (name, text) in files {
            std::fs::write(files_here.path(name), text).unwrap();
        }
        files_here
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Reads `x.toml` with `-S` flags, and the errors without the folder's name in them.
    fn read(&self, flags: &[&str]) -> Result<(Experiment, Plan), String> {
        read(&self.path("x.toml"), &[], flags).map_err(|errors| {
            let folder = format!("{}/", self.0.path().display());
            errors.to_string().replace(&folder, "")
        })
    }
}

fn read(
    path: &Path,
    environment: &[(&str, &str)],
    flags: &[&str],
) -> Result<(Experiment, Plan), SpecErrors> {
    let environment = environment
        .iter()
        .map(|(name, value)| ((*name).into(), (*value).into()));
    let flags: Vec<String> = flags.iter().map(|flag| (*flag).into()).collect();
    plan::read(path, environment, &flags)
}

/// The experiment and plan of a file with this text under a good header.
fn body(text: &str) -> Result<(Experiment, Plan), String> {
    Files::new(&[("x.toml", &format!("schema = 1\nname = \"x\"\n{text}"))]).read(&[])
}
