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
    // Lists begin with what separates them: a text that is never empty is read by the same code.
    let values = [
        ("SOURCES", "", tree.clone()),
        ("PROFILE", "", variable("PROFILE")),
        ("OPT_LEVEL", "", variable("OPT_LEVEL")),
        ("FEATURES", ",", variable("CARGO_CFG_FEATURE")),
        ("TARGET_FEATURES", ",", variable("CARGO_CFG_TARGET_FEATURE")),
        ("RUSTFLAGS", "\u{1f}", variable("CARGO_ENCODED_RUSTFLAGS")),
        ("SETTINGS", "\u{1f}", settings.join("\u{1f}")),
    ];
    for (name, separator, value) in values {
        fingerprint.add(value.as_bytes());
        println!("cargo::rustc-env=BUILD_{name}={separator}{value}");
    }
    println!(
        "cargo::rustc-env=BUILD_IDENTITY=source:{}",
        fingerprint.text()
    );
}
