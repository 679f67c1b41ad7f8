//! What a program says of itself, and what tells one build from another: rows of different
//! identities are never mixed. In: what the build script embedded. Out: an [`Identity`], printed as
//! one line of JSON by `xrun worker --identify`.

use crate::machine::gpu::Version;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fs;
use std::hint::black_box;
use std::io::{self, Read};

/// Of this program: a hash of sources, lock file, features, profile, compiler flags and compiler,
/// made at build time. `source:` and 16 hexadecimal digits.
pub const RUNNING: &str = env!("BUILD_IDENTITY");

/// The hash of the sources alone: what [`of_tree`](super::sources::of_tree) said when they were built.
pub const RUNNING_SOURCES: &str = env!("BUILD_SOURCES");

/// How one program was built, in its own words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub version: String,
    /// Of the sources, where whoever built them said it.
    pub git_revision: Option<String>,
    /// As [`RUNNING`].
    pub program: String,
    /// As [`RUNNING_SOURCES`].
    pub sources: String,
    /// `release` or `debug`: what cargo's profile descends from.
    pub profile: String,
    pub opt_level: String,
    pub debug_assertions: bool,
    /// `unwind` or `abort`.
    pub panic: String,
    /// Settings of profiles that came from the environment: `CARGO_PROFILE_RELEASE_LTO=fat`.
    pub profile_settings: Vec<String>,
    pub features: Vec<String>,
    /// What a program that can use GPUs was built with and for.
    #[serde(default)]
    pub cuda: Option<CudaBuild>,
    pub target: String,
    /// The processor that the compiler was told; none where it took the target's plainest.
    pub target_cpu: Option<String>,
    /// Instructions that the compiler was free to use everywhere.
    pub target_features: Vec<String>,
    pub rustflags: Vec<String>,
    pub compiler: String,
    /// What the program takes on this processor where it asks at run time.
    pub vector_extensions: String,
    /// Shared libraries that it has loaded.
    pub libraries: Vec<String>,
}

/// What a program needs of a GPU and its driver. None where its build could not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CudaBuild {
    /// Of the toolkit: an older driver refuses the program's kernels.
    pub version: Option<Version>,
    /// That its kernels were compiled for: GPUs below cannot run them.
    pub compute_capability: Option<Version>,
}

impl Identity {
    /// Of the running program, which takes `vector_extensions` on this processor.
    pub fn running(vector_extensions: String) -> Self {
        let rustflags = list(env!("BUILD_RUSTFLAGS"), '\u{1f}');
        let git_revision = list(env!("BUILD_GIT_REVISION"), ' ');
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            git_revision: git_revision.into_iter().next(),
            program: RUNNING.to_owned(),
            sources: RUNNING_SOURCES.to_owned(),
            profile: env!("BUILD_PROFILE").to_owned(),
            opt_level: env!("BUILD_OPT_LEVEL").to_owned(),
            debug_assertions: cfg!(debug_assertions),
            panic: if cfg!(panic = "abort") {
                "abort"
            } else {
                "unwind"
            }
            .to_owned(),
            profile_settings: list(env!("BUILD_PROFILE_SETTINGS"), '\u{1f}'),
            features: list(env!("BUILD_FEATURES"), ','),
            cuda: cuda(&list(env!("BUILD_CUDA"), ' ')),
            target: env!("BUILD_TARGET").to_owned(),
            target_cpu: target_cpu(&rustflags),
            target_features: list(env!("BUILD_TARGET_FEATURES"), ','),
            rustflags,
            compiler: env!("BUILD_COMPILER").to_owned(),
            vector_extensions,
            libraries: libraries(&fs::read_to_string("/proc/self/maps").unwrap_or_default()),
        }
    }

    /// Whether it can train on GPUs.
    pub fn has_cuda(&self) -> bool {
        self.features.iter().any(|feature| feature == "cuda")
    }

    /// One line of JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("an identity is a record of plain values")
    }

    /// True where the compiler did not optimise, or assertions for debugging run.
    pub fn is_debug_build(&self) -> bool {
        self.opt_level == "0" || self.debug_assertions
    }
}

/// Texts that the build has embedded. What they say must not change the code that reads them, which
/// would be a difference between flavours.
fn list(text: &str, separator: char) -> Vec<String> {
    let parts = black_box(text)
        .split(separator)
        .filter(|part| !part.is_empty());
    parts.map(str::to_owned).collect()
}

/// Of the words that the build script has embedded: versions, or none at all.
fn cuda(words: &[String]) -> Option<CudaBuild> {
    let version = |place: usize| words.get(place).and_then(|word| word.parse().ok());
    (!words.is_empty()).then(|| CudaBuild {
        version: version(0),
        compute_capability: version(1),
    })
}

/// The value of the last `-C target-cpu` among compiler flags, in one word or in two.
fn target_cpu(rustflags: &[String]) -> Option<String> {
    let value = |flag: &String| {
        let flag = flag.strip_prefix("-C").unwrap_or(flag);
        flag.strip_prefix("target-cpu=").map(str::to_owned)
    };
    rustflags.iter().rev().find_map(value)
}

/// Names of the shared libraries in a list of mapped files.
fn libraries(maps: &str) -> Vec<String> {
    let names = maps.lines().filter_map(|line| {
        let (_, name) = line.rsplit_once('/')?;
        let library = name.ends_with(".so") || name.contains(".so.");
        library.then(|| name.to_owned())
    });
    names.collect::<BTreeSet<_>>().into_iter().collect()
}

/// Of a program whose sources are unknown: `sha256:` and the first 16 hexadecimal digits of the
/// SHA-256 of its contents, as `sha256sum` prints them.
pub fn of_contents(mut file: impl Read) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            read => hash.update(&buffer[..read]),
        }
    }
    let digits: String = hash.finalize()[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Ok(format!("sha256:{digits}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flavour::sources;
    use std::path::Path;

    #[test]
    fn contents_hash_as_sha256sum_prints() {
        // `printf abc | sha256sum`, FIPS 180-4 example.
        let identity = of_contents(&b"abc"[..]).unwrap();
        assert_eq!(identity, "sha256:ba7816bf8f01cfea");
    }

    #[test]
    fn this_program_knows_what_it_was_built_from_and_how() {
        let identity = Identity::running("none".into());
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert_eq!(identity.sources, sources::of_tree(root).unwrap());
        assert_eq!(identity.debug_assertions, cfg!(debug_assertions));
        assert!(identity.compiler.starts_with("rustc "));
        assert!(!identity.target_features.is_empty() && !identity.target.is_empty());
        assert!(identity.libraries.iter().any(|name| name.contains("libc")));
        assert_eq!(identity.has_cuda(), cfg!(feature = "cuda"));
        assert_eq!(identity.cuda.is_some(), cfg!(feature = "cuda"));
        let read: Identity = serde_json::from_str(&identity.to_json()).unwrap();
        assert_eq!(read, identity);
    }

    #[test]
    fn what_a_build_could_not_tell_of_cuda_is_unknown() {
        let of = |words: &[&str]| cuda(&words.iter().map(|w| w.to_string()).collect::<Vec<_>>());
        assert_eq!(of(&[]), None);
        assert_eq!(of(&["?", "?"]), Some(CudaBuild::default()));
        let known = of(&["13.0", "9.0"]).unwrap();
        assert_eq!(known.compute_capability, Some(Version::new(9, 0)));
        let told = Identity {
            cuda: Some(known),
            ..Identity::default()
        };
        assert!(
            told.to_json()
                .contains(r#""cuda":{"version":"13.0","compute_capability":"9.0"}"#)
        );
        let older = told.to_json().replace(
            r#""cuda":{"version":"13.0","compute_capability":"9.0"},"#,
            "",
        );
        assert_eq!(
            serde_json::from_str::<Identity>(&older).unwrap(),
            Identity::default()
        );
    }

    #[test]
    fn the_last_target_cpu_counts_in_one_word_or_in_two() {
        let cpu =
            |flags: &[&str]| target_cpu(&flags.iter().map(|f| f.to_string()).collect::<Vec<_>>());
        assert_eq!(cpu(&["-Ctarget-cpu=native"]), Some("native".into()));
        assert_eq!(
            cpu(&["-C", "target-cpu=x", "-Copt-level=3"]),
            Some("x".into())
        );
        assert_eq!(
            cpu(&["-Ctarget-cpu=a", "-C", "target-cpu=b"]),
            Some("b".into())
        );
        assert_eq!(cpu(&[]), None);
    }
}
