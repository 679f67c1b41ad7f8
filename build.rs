//! Embeds what identifies this program: a hash of everything that can change what it computes or
//! how fast, and the compiler. Needs neither git nor the network, so that it works in a package.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
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

/// Files and folders whose contents make the program.
const SOURCES: [&str; 4] = ["build.rs", "Cargo.toml", "Cargo.lock", "src"];

fn main() -> io::Result<()> {
    let compiler = compiler();
    // The default hasher may differ between compilers, and the compiler is part of what is hashed.
    let mut hasher = DefaultHasher::new();
    compiler.hash(&mut hasher);
    hash_build(&mut hasher);
    for source in SOURCES {
        let path = Path::new(source);
        if path.exists() {
            println!("cargo::rerun-if-changed={source}");
            hash_path(path, &mut hasher)?;
        }
    }
    println!(
        "cargo::rustc-env=BUILD_IDENTITY=source:{:016x}",
        hasher.finish()
    );
    println!("cargo::rustc-env=BUILD_COMPILER={compiler}");
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

fn hash_build(hasher: &mut DefaultHasher) {
    for name in BUILD_VARIABLES {
        (name, env::var(name).unwrap_or_default()).hash(hasher);
    }
    let mut settings: Vec<_> = env::vars()
        .filter(|(name, _)| {
            name.starts_with("CARGO_FEATURE_") || name.starts_with("CARGO_PROFILE_")
        })
        .collect();
    settings.sort();
    settings.hash(hasher);
}

/// Names and contents of all files under `path`, in name order. Those of tests do not change what the
/// program measures.
fn hash_path(path: &Path, hasher: &mut DefaultHasher) -> io::Result<()> {
    if !path.is_dir() {
        path.hash(hasher);
        fs::read(path)?.hash(hasher);
        return Ok(());
    }
    let entries = fs::read_dir(path)?.map(|entry| Ok(entry?.path()));
    let mut entries = entries.collect::<io::Result<Vec<PathBuf>>>()?;
    entries.retain(|entry| entry.file_stem() != Some("tests".as_ref()));
    entries.sort();
    entries
        .iter()
        .try_for_each(|entry| hash_path(entry, hasher))
}
