//! What a program is made of. In: a source tree. Out: a hash of every file that can change what the
//! program computes or how fast. The build script embeds it and the harness computes it again, so
//! this file is compiled into both and knows the standard library alone.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Files and folders whose contents make the program, below the root of its sources.
pub const SOURCES: [&str; 6] = [
    "build.rs",
    "Cargo.toml",
    "Cargo.lock",
    "rust-toolchain.toml",
    ".cargo/config.toml",
    "src",
];

/// FNV-1a of 64 bits: the same in every version of the compiler, unlike the library's hasher.
pub struct Fingerprint(u64);

impl Fingerprint {
    /// Of nothing yet.
    pub fn start() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    /// Adds a part; its length keeps neighbours apart.
    pub fn add(&mut self, part: &[u8]) {
        let length = (part.len() as u64).to_le_bytes();
        for byte in length.iter().chain(part) {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    /// 16 hexadecimal digits.
    pub fn text(&self) -> String {
        format!("{:016x}", self.0)
    }
}

/// The hash of names and contents of all [`SOURCES`] of a tree.
///
/// # Errors
/// Where a file cannot be read.
pub fn of_tree(root: &Path) -> io::Result<String> {
    let mut fingerprint = Fingerprint::start();
    for source in SOURCES {
        if root.join(source).exists() {
            add_path(root, Path::new(source), &mut fingerprint)?;
        }
    }
    Ok(fingerprint.text())
}

/// Names and contents of all files under `path`, in name order. Those of tests do not change what the
/// program measures.
fn add_path(root: &Path, path: &Path, fingerprint: &mut Fingerprint) -> io::Result<()> {
    let full = root.join(path);
    if !full.is_dir() {
        fingerprint.add(path.as_os_str().as_encoded_bytes());
        fingerprint.add(&fs::read(full)?);
        return Ok(());
    }
    let entries = fs::read_dir(full)?.map(|entry| Ok(path.join(entry?.file_name())));
    let mut entries = entries.collect::<io::Result<Vec<PathBuf>>>()?;
    entries.retain(|entry| entry.file_stem() != Some("tests".as_ref()));
    entries.sort();
    entries
        .iter()
        .try_for_each(|entry| add_path(root, entry, fingerprint))
}
