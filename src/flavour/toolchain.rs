//! What builds flavours on this machine. In: `PATH` and the environment. Out: versions of cargo, the
//! compiler and the CUDA toolkit, and what the compiler makes of a set of flags.

use super::child::answer;
use super::toolkit;
use crate::machine::gpu::Version;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// A toolchain that is not there yet may be fetched when it is first called.
const LIMIT: Duration = Duration::from_secs(300);

/// Variables of the environment, all with this beginning, that builds read.
const READ: [&str; 20] = [
    "AR",
    "CARGO_TARGET",
    "CC",
    "CFLAGS",
    "CPATH",
    "CUDA_COMPUTE_CAP",
    "CUDA_HOME",
    "CUDA_PATH",
    "CUDA_ROOT",
    "CUDARC",
    "CXX",
    "CXXFLAGS",
    "LDFLAGS",
    "LIBRARY_PATH",
    "NVCC",
    "PKG_CONFIG",
    "RUSTC_BOOTSTRAP",
    "RUSTC_LINKER",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_WRAPPER",
];

/// Variables that would change a build behind its flavour's back.
const DROPPED: [&str; 8] = [
    "BUILD_GIT_REVISION",
    "CARGO_BUILD",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_INCREMENTAL",
    "CARGO_PROFILE",
    "CARGO_TARGET_DIR",
    "RUSTFLAGS",
    "XRUN",
];

/// Versions of what compiles.
#[derive(Clone, Debug)]
pub struct Toolchain {
    /// What `cargo -V` says.
    pub cargo: String,
    /// What `rustc -vV` says, on one line.
    pub rustc: String,
}

impl Toolchain {
    /// The one that is used in `folder`.
    ///
    /// # Errors
    /// Where there is none; the message is the reason of a skipped cell.
    pub fn of(folder: &Path) -> Result<Self, String> {
        let ask = |program: Command, argument: &str| {
            let mut program = program;
            let said = answer(program.current_dir(folder).arg(argument), LIMIT);
            let advice = "install Rust from https://rustup.rs, or give the flavour a `binary`";
            said.map(|text| one_line(&text))
                .map_err(|reason| format!("{reason}: {advice}"))
        };
        Ok(Self {
            cargo: ask(Command::new("cargo"), "-V")?,
            rustc: ask(rustc(), "-vV")?,
        })
    }
}

/// Everything that the compiler may assume of the target with these flags. `native` means something
/// else on another processor.
pub fn target(rustflags: &[String], folder: &Path) -> Result<String, String> {
    let mut command = rustc();
    command.current_dir(folder).args(["--print", "cfg"]);
    Ok(one_line(&answer(command.args(rustflags), LIMIT)?))
}

fn rustc() -> Command {
    Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
}

/// A CUDA toolkit.
#[derive(Clone, Debug)]
pub struct Cuda {
    pub root: PathBuf,
    /// What its compiler says, on one line.
    pub said: String,
    /// None where that has no version.
    pub version: Option<Version>,
    /// Cargo's features for further libraries that are here, each with the folder of the library.
    pub companions: Vec<(&'static str, PathBuf)>,
}

impl Cuda {
    /// The toolkit of a version or in a folder, or whichever is there.
    ///
    /// # Errors
    /// Where it is not there; the message is the reason of a skipped cell.
    pub fn find(asked: &str) -> Result<Self, String> {
        let is_version = asked.chars().all(|c| c.is_ascii_digit() || c == '.');
        let roots = match asked {
            "built-in" => toolkit::usual_roots(),
            _ if is_version => vec![PathBuf::from(format!("/usr/local/cuda-{asked}"))],
            // Cargo runs in another folder.
            _ => vec![std::path::absolute(asked).unwrap_or_else(|_| PathBuf::from(asked))],
        };
        let Some(root) = roots.iter().find(|root| toolkit::compiler(root).is_file()) else {
            let looked: Vec<_> = roots
                .iter()
                .map(|root| root.display().to_string())
                .collect();
            return Err(format!(
                "no CUDA toolkit here: looked for bin/nvcc in {}",
                looked.join(", ")
            ));
        };
        let said = answer(
            Command::new(toolkit::compiler(root)).arg("--version"),
            LIMIT,
        )?;
        Ok(Self {
            version: toolkit::release(&said).and_then(|text| text.parse().ok()),
            said: one_line(&said),
            companions: toolkit::companions(root),
            root: root.clone(),
        })
    }

    /// Everything of it that a program depends on, on one line.
    pub fn text(&self) -> String {
        let folders = self.companions.iter();
        let folders = folders.map(|(name, folder)| format!("; {name} in {}", folder.display()));
        self.said.clone() + &folders.collect::<String>()
    }

    /// Variables with which builds take this toolkit and no other.
    pub fn environment(&self) -> Vec<(String, OsString)> {
        let root = |name: &str| (name.to_owned(), self.root.clone().into_os_string());
        let mut variables: Vec<_> = toolkit::ROOT_VARIABLES.map(root).into();
        let libraries = toolkit::library_folders(&self.root);
        let stubs = libraries.iter().map(|folder| folder.join("stubs"));
        let companions = self.companions.iter().map(|(_, folder)| folder.clone());
        let before = libraries.iter().cloned().chain(companions).chain(stubs);
        variables.push(("PATH".into(), in_front("PATH", [self.root.join("bin")])));
        variables.push(("LIBRARY_PATH".into(), in_front("LIBRARY_PATH", before)));
        variables
    }
}

/// A variable of folders, with these before its own.
fn in_front(variable: &str, folders: impl IntoIterator<Item = PathBuf>) -> OsString {
    let own = std::env::var_os(variable).unwrap_or_default();
    let own_folders = std::env::split_paths(&own).filter(|folder| !folder.as_os_str().is_empty());
    let all = std::env::join_paths(folders.into_iter().chain(own_folders));
    // A folder with a colon in its name is in no such variable.
    all.unwrap_or(own)
}

/// The part of the environment that builds read, in the order of names.
pub fn environment() -> String {
    let variables = std::env::vars_os().filter_map(|(name, value)| {
        let name = name.into_string().ok()?;
        let plain = name
            .trim_start_matches("HOST_")
            .trim_start_matches("TARGET_");
        let read = READ.iter().any(|known| is_of(plain, known)) && !is_dropped(&name);
        read.then(|| format!("{name}={}", value.to_string_lossy()))
    });
    let mut variables: Vec<String> = variables.collect();
    variables.sort();
    variables.join(" ")
}

/// Whether a variable of the caller's environment must not reach cargo.
pub fn is_dropped(name: &str) -> bool {
    // How many compilers run at once changes nothing in what they make.
    name != "CARGO_BUILD_JOBS" && DROPPED.iter().any(|known| is_of(name, known))
}

/// The name itself, or the name with something behind an underscore.
fn is_of(name: &str, known: &str) -> bool {
    let rest = name.strip_prefix(known);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
}

fn one_line(text: &str) -> String {
    text.lines().collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_change_a_build_unseen_is_dropped() {
        assert!(is_dropped("CARGO_PROFILE_RELEASE_LTO") && is_dropped("RUSTFLAGS"));
        assert!(is_dropped("XRUN_MEASURE__STEPS") && is_dropped("CARGO_BUILD_TARGET"));
        assert!(!is_dropped("CARGO_BUILD_JOBS") && !is_dropped("CARGO_HOME"));
        assert!(!is_dropped("PATH") && !is_dropped("CC"));
    }

    #[test]
    fn names_are_known_by_their_beginning() {
        assert!(is_of("CC", "CC") && is_of("CC_x86_64_unknown_linux_gnu", "CC"));
        assert!(!is_of("CCACHE_DIR", "CC"));
    }

    #[test]
    fn a_toolkit_that_is_not_there_is_said_with_where_it_was_looked_for() {
        let reason = Cuda::find("/no/such/folder").unwrap_err();
        assert_eq!(
            reason,
            "no CUDA toolkit here: looked for bin/nvcc in /no/such/folder"
        );
        let reason = Cuda::find("0.1").unwrap_err();
        assert!(reason.ends_with("/usr/local/cuda-0.1"), "{reason}");
    }
}
