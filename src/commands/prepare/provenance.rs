//! How the program of a row was built. In: what it says of itself. Out: the columns of its [`Build`].

use super::Prepared;
use crate::flavour::Program;
use crate::flavour::identity::Identity;
use crate::table::Build;

impl Prepared {
    /// How a program of a flavour was built, for the record.
    pub fn build_of(&self, flavour: &str, program: &Program) -> Build {
        let told = program.told.clone().unwrap_or_default();
        let compiler = compilers(&told);
        let assertions = if told.debug_assertions {
            " debug-assertions"
        } else {
            ""
        };
        let profile = format!("{} opt-level={}{assertions}", told.profile, told.opt_level);
        Build {
            git_revision: told.git_revision.unwrap_or_default(),
            profile: program.told.as_ref().map_or_else(String::new, |_| profile),
            profile_settings: told.profile_settings.join(" "),
            features: told.features.join(" "),
            target_features: told.target_features.join(" "),
            rustflags: told.rustflags.join(" "),
            vector_extensions: told.vector_extensions,
            wide_instructions: self.programs.wide(flavour).to_owned(),
            compiler,
            libraries: told.libraries.join(" "),
            contents: program.contents.clone(),
        }
    }
}

/// What compiled a program, and its kernels for GPUs if it has some.
fn compilers(told: &Identity) -> String {
    let cuda = told.cuda.unwrap_or_default();
    let version = cuda.version.map(|version| format!(", CUDA {version}"));
    let capability = cuda.compute_capability.map(|of| format!(" for {of}"));
    [Some(told.compiler.clone()), version, capability]
        .into_iter()
        .flatten()
        .collect()
}
