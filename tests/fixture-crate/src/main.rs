//! A stand-in for the program that trains: it says how it was built, and as a worker does just enough
//! of the protocol for the null model. Without dependencies, so that it builds in a second.

mod worker;

use std::hint::black_box;

#[cfg(feature = "broken")]
compile_error!("the feature broken does not compile");

fn list(text: &str, separator: char) -> String {
    let parts = black_box(text)
        .split(separator)
        .filter(|part| !part.is_empty());
    let quoted: Vec<_> = parts.map(|part| format!("{part:?}")).collect();
    format!("[{}]", quoted.join(","))
}

fn identify() {
    let fields = [
        ("version", format!("{:?}", env!("CARGO_PKG_VERSION"))),
        ("git_revision", "null".to_owned()),
        ("program", format!("{:?}", env!("BUILD_IDENTITY"))),
        ("sources", format!("{:?}", env!("BUILD_SOURCES"))),
        ("profile", format!("{:?}", env!("BUILD_PROFILE"))),
        ("opt_level", format!("{:?}", env!("BUILD_OPT_LEVEL"))),
        ("debug_assertions", cfg!(debug_assertions).to_string()),
        (
            "panic",
            format!(
                "{:?}",
                if cfg!(panic = "abort") {
                    "abort"
                } else {
                    "unwind"
                }
            ),
        ),
        ("profile_settings", list(env!("BUILD_SETTINGS"), '\u{1f}')),
        ("features", list(env!("BUILD_FEATURES"), ',')),
        ("target", "\"fixture\"".to_owned()),
        ("target_cpu", "null".to_owned()),
        ("target_features", list(env!("BUILD_TARGET_FEATURES"), ',')),
        ("rustflags", list(env!("BUILD_RUSTFLAGS"), '\u{1f}')),
        ("compiler", "\"fixture\"".to_owned()),
        ("vector_extensions", "\"none\"".to_owned()),
        ("libraries", "[]".to_owned()),
    ];
    let fields: Vec<_> = fields
        .iter()
        .map(|(name, value)| format!("{name:?}:{value}"))
        .collect();
    println!("{{{}}}", fields.join(","));
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["worker", "--identify"] => identify(),
        ["worker"] => worker::main(env!("BUILD_IDENTITY")),
        _ => std::process::exit(2),
    }
}
