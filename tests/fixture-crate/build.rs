//! Embeds what the real program's build script embeds, with the same hash of the sources: the tests
//! copy `sources.rs` beside this file.

#[path = "sources.rs"]
mod sources;

use std::env;
use std::path::Path;

fn main() {
    for source in sources::SOURCES
        .iter()
        .filter(|source| Path::new(source).exists())
    {
        println!("cargo::rerun-if-changed={source}");
    }
    let tree = sources::of_tree(Path::new(".")).unwrap();
    let settings: Vec<_> = env::vars()
        .filter(|(name, _)| name.starts_with("CARGO_PROFILE_"))
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let mut fingerprint = sources::Fingerprint::start();
    let variable = |name: &str| env::var(name).unwrap_or_default();
    let values = [
        ("SOURCES", tree.clone()),
        ("FEATURES", variable("CARGO_CFG_FEATURE")),
        ("TARGET_FEATURES", variable("CARGO_CFG_TARGET_FEATURE")),
        ("RUSTFLAGS", variable("CARGO_ENCODED_RUSTFLAGS")),
        ("PROFILE", variable("PROFILE")),
        ("OPT_LEVEL", variable("OPT_LEVEL")),
        ("SETTINGS", settings.join("\u{1f}")),
    ];
    for (name, value) in values {
        fingerprint.add(value.as_bytes());
        println!("cargo::rustc-env=BUILD_{name}={value}");
    }
    println!(
        "cargo::rustc-env=BUILD_IDENTITY=source:{}",
        fingerprint.text()
    );
}
