//! Embeds what identifies this program: a hash of everything that can change what it computes or
//! how fast, and what the compiler was told. Needs neither git nor the network, so that it works in a
//! package.

#[path = "src/flavour/sources.rs"]
mod sources;
#[path = "src/flavour/toolkit.rs"]
mod toolkit;

use sources::{Fingerprint, SOURCES};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

/// Variables with which cargo tells a build script how the program is built.
const BUILD_VARIABLES: [&str; 8] = [
    "CARGO_CFG_TARGET_FEATURE",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_PKG_VERSION",
    "DEBUG",
    "OPT_LEVEL",
    "PROFILE",
    "TARGET",
    "CARGO_CFG_PANIC",
];

/// Those that the program repeats when it is asked, under names of its own.
const TOLD: [(&str, &str); 3] = [
    ("BUILD_OPT_LEVEL", "OPT_LEVEL"),
    ("BUILD_PROFILE", "PROFILE"),
    ("BUILD_TARGET", "TARGET"),
];

/// Those that are lists, with what separates their parts.
const TOLD_LISTS: [(&str, &str, char); 3] = [
    ("BUILD_FEATURES", "CARGO_CFG_FEATURE", ','),
    ("BUILD_RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", '\u{1f}'),
    ("BUILD_TARGET_FEATURES", "CARGO_CFG_TARGET_FEATURE", ','),
];

fn main() -> io::Result<()> {
    for source in SOURCES.iter().filter(|source| Path::new(source).exists()) {
        println!("cargo::rerun-if-changed={source}");
    }
    let sources = sources::of_tree(Path::new("."))?;
    let compiler = compiler();
    let settings = profile_settings();
    let cuda = match env::var_os("CARGO_FEATURE_CUDA") {
        Some(_) => cuda(),
        None => String::new(),
    };
    let identity = identity(&[&sources, &compiler, &cuda], &settings);
    println!("cargo::rustc-env=BUILD_IDENTITY=source:{identity}");
    println!("cargo::rustc-env=BUILD_SOURCES={sources}");
    println!("cargo::rustc-env=BUILD_COMPILER={compiler}");
    for (name, variable) in TOLD {
        let value = env::var(variable).unwrap_or_default();
        println!("cargo::rustc-env={name}={value}");
    }
    let settings = ("BUILD_PROFILE_SETTINGS", settings.join("\u{1f}"), '\u{1f}');
    let revision = ("BUILD_GIT_REVISION", git_revision(), ' ');
    let cuda = ("BUILD_CUDA", cuda, ' ');
    let lists = TOLD_LISTS.map(|(name, variable, separator)| {
        let value = env::var(variable).unwrap_or_default();
        (name, value, separator)
    });
    // A text that is never empty: no code around it is left out by the compiler where it would be.
    for (name, value, separator) in lists.into_iter().chain([settings, revision, cuda]) {
        println!("cargo::rustc-env={name}={separator}{value}");
    }
    Ok(())
}

/// What `rustc -V` says of the compiler that cargo chose.
fn compiler() -> String {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("-V").output();
    match output {
        Ok(output) => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        Err(_) => "unknown compiler".to_owned(),
    }
}

/// Settings of profiles that come from the environment: `CARGO_PROFILE_RELEASE_LTO=fat`.
fn profile_settings() -> Vec<String> {
    let settings = env::vars().filter(|(name, _)| name.starts_with("CARGO_PROFILE_"));
    let mut settings: Vec<_> = settings
        .inspect(|(name, _)| println!("cargo::rerun-if-env-changed={name}"))
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    settings.sort();
    settings
}

/// Lets the program find the toolkit's libraries where they were linked from, and says what it was built
/// for: the toolkit's version and the compute capability of its kernels, each a word; `?` where unknown.
fn cuda() -> String {
    let variables = toolkit::ROOT_VARIABLES.iter();
    for name in variables.chain(&["CUDA_COMPUTE_CAP", "LIBRARY_PATH"]) {
        println!("cargo::rerun-if-env-changed={name}");
    }
    let roots = toolkit::usual_roots();
    let root = roots.iter().find(|root| toolkit::compiler(root).is_file());
    let Some(root) = root else {
        return "? ?".to_owned();
    };
    let features = toolkit::companions(root).into_iter();
    let features = features.filter(|(feature, _)| {
        env::var_os(format!("CARGO_FEATURE_{}", feature.to_uppercase())).is_some()
    });
    let companions = features.map(|(_, folder)| folder);
    run_paths(toolkit::library_folders(root).into_iter().chain(companions));
    let said = said(Command::new(toolkit::compiler(root)).arg("--version"));
    let release = toolkit::release(&said).unwrap_or("?").to_owned();
    format!("{release} {}", capability().as_deref().unwrap_or("?"))
}

/// The folders are looked at after those of `LD_LIBRARY_PATH`, and before the system's.
fn run_paths(folders: impl Iterator<Item = PathBuf>) {
    println!("cargo::rustc-link-arg=-Wl,--enable-new-dtags");
    for folder in folders {
        println!("cargo::rustc-link-arg=-Wl,-rpath,{}", folder.display());
    }
}

/// What kernels are compiled for, as the build of the kernels decides it.
fn capability() -> Option<String> {
    let told = env::var("CUDA_COMPUTE_CAP").unwrap_or_else(|_| {
        let asked = ["--query-gpu=compute_cap", "--format=csv,noheader"];
        let said = said(Command::new("nvidia-smi").args(asked));
        said.lines().next().unwrap_or_default().to_owned()
    });
    toolkit::capability(&told)
}

/// What a command prints; nothing where it cannot be started.
fn said(command: &mut Command) -> String {
    let output = command.output();
    output.map_or_else(
        |_| String::new(),
        |output| String::from_utf8_lossy(&output.stdout).into_owned(),
    )
}

fn identity(parts: &[&str], settings: &[String]) -> String {
    let mut fingerprint = Fingerprint::start();
    for part in parts {
        fingerprint.add(part.as_bytes());
    }
    for name in BUILD_VARIABLES {
        fingerprint.add(name.as_bytes());
        fingerprint.add(env::var(name).unwrap_or_default().as_bytes());
    }
    let features = env::vars().filter(|(name, _)| name.starts_with("CARGO_FEATURE_"));
    let mut features: Vec<String> = features.map(|(name, _)| name).collect();
    features.sort();
    for part in features.iter().chain(settings) {
        fingerprint.add(part.as_bytes());
    }
    fingerprint.text()
}

/// The commit, where whoever builds says it or a package holds it; no part of the identity.
fn git_revision() -> String {
    println!("cargo::rerun-if-env-changed=BUILD_GIT_REVISION");
    if let Ok(told) = env::var("BUILD_GIT_REVISION") {
        return told;
    }
    let packaged = fs::read_to_string(".cargo_vcs_info.json").unwrap_or_default();
    let after = packaged.split("\"sha1\": \"").nth(1).unwrap_or_default();
    after
        .chars()
        .take_while(char::is_ascii_hexdigit)
        .take(12)
        .collect()
}
