//! A folder of its own and the real program in it.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use tempfile::TempDir;

/// An empty folder in which `xrun` is called. Gone when the test ends.
pub struct Project {
    folder: TempDir,
}

/// What a call left on its pipes.
pub struct Called {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// One line of a CSV file, by column name.
pub type Row = HashMap<String, String>;

impl Project {
    pub fn new() -> Self {
        Self {
            folder: TempDir::new().unwrap(),
        }
    }

    pub fn path(&self, relative: &str) -> PathBuf {
        self.folder.path().join(relative)
    }

    /// Writes a file, with the folders above it.
    pub fn file(&self, relative: &str, content: &str) -> PathBuf {
        let path = self.path(relative);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// Writes an executable script.
    pub fn script(&self, relative: &str, content: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let path = self.file(relative, content);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// `xrun ARGS` in the folder. Tests run beside each other, so each has a machine lock of its own; and
    /// the same cells everywhere, so none has a GPU.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xrun"));
        command.current_dir(self.folder.path()).args(arguments);
        command.env("XDG_CACHE_HOME", shared_cache());
        command.env("CUDA_VISIBLE_DEVICES", "");
        let measures = arguments
            .first()
            .is_some_and(|first| first.ends_with(".toml") || ["build", "probe"].contains(first));
        if measures && !arguments.contains(&"--machine-lock") {
            command.arg("--machine-lock").arg(self.path("machine.lock"));
        }
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Called {
        Called::from(
            self.command(arguments)
                .stdin(Stdio::null())
                .output()
                .unwrap(),
        )
    }

    /// Starts a call and leaves it running.
    pub fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// The only machine's result folder of an experiment.
    pub fn results(&self, experiment: &str) -> PathBuf {
        let mut machines: Vec<_> = fs::read_dir(self.path("results").join(experiment))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.is_dir())
            .collect();
        assert_eq!(machines.len(), 1, "one machine measured: {machines:?}");
        machines.remove(0)
    }

    pub fn repeats(&self, experiment: &str) -> Vec<Row> {
        rows(&self.results(experiment).join("repeats.csv"))
    }
}

impl Called {
    /// Panics with all that was printed unless the call ended with `code`.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(
            self.code,
            Some(code),
            "stdout:\n{}\nstderr:\n{}",
            self.stdout,
            self.stderr
        );
        self
    }

    /// Both pipes together.
    pub fn text(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

impl From<Output> for Called {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// The head of an experiment over the null model, with these lines under `[measure]`: nothing is trained,
/// so a repeat takes no time.
pub fn null_model(name: &str, measure: &str) -> String {
    format!(
        r#"
schema = 1
name = "{name}"
question = "what does xrun make of it?"

[model]
name = "none"
local_batch = 8

[input]
source = "resident"

[measure]
{measure}

"#
    )
}

/// Generated input is the same for all tests, so it is made once.
fn shared_cache() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache")
}

pub fn rows(path: &Path) -> Vec<Row> {
    let mut reader = csv::Reader::from_path(path).unwrap();
    reader.deserialize().map(|row| row.unwrap()).collect()
}

/// How many rows have `value` in `column`.
pub fn count(rows: &[Row], column: &str, value: &str) -> usize {
    rows.iter().filter(|row| row[column] == value).count()
}

/// Process ids whose command line holds `needle`.
pub fn processes_with(needle: &str) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        if String::from_utf8_lossy(&line)
            .replace('\0', " ")
            .contains(needle)
        {
            found.push(pid);
        }
    }
    found
}
