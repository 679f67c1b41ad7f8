//! How one flavour is built. In: its definition. Out: features, profile, flags and environment for
//! cargo. Pure: looks at no file and runs nothing.

use crate::spec::Flavour;

/// What cargo is told to build one flavour, and nothing else: no flag of the caller's own environment
/// reaches the compiler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipe {
    pub features: Vec<String>,
    pub profile: String,
    /// Settings of the profile as cargo reads them from the environment.
    pub settings: Vec<(String, String)>,
    pub rustflags: Vec<String>,
    /// Instructions that the definition switches on (`+avx2`) or off (`-avx2`).
    pub target_features: Vec<String>,
    /// Of the build, from the definition.
    pub environment: Vec<(String, String)>,
    /// Version or folder of the CUDA toolkit; `built-in` for whichever is there.
    pub cuda: Option<String>,
    /// Which build of the flavour it is, from 1: the same instructions in another place each.
    pub build: u32,
    /// Whether the definition has a list of features, be it an empty one.
    names_features: bool,
    opt_level: Option<String>,
    debug_assertions: Option<bool>,
    panic: Option<String>,
}

/// Keys of a definition that are settings of cargo's profiles.
const SETTINGS: [&str; 5] = [
    "opt-level",
    "lto",
    "codegen-units",
    "panic",
    "debug-assertions",
];

impl Recipe {
    pub fn of(flavour: &Flavour) -> Self {
        let cuda = flavour.text("cuda").map(str::to_owned);
        let mut features = flavour.texts("features");
        features.extend(cuda.iter().map(|_| "cuda".to_owned()));
        features.sort();
        features.dedup();
        let profile = flavour.text("profile").unwrap_or("release").to_owned();
        let target_features = target_features(flavour);
        let environment = flavour.definition.iter().filter_map(|(key, value)| {
            let name = key.strip_prefix("env.")?;
            Some((name.to_owned(), value.clone()))
        });
        let text = |key| flavour.text(key).map(str::to_owned);
        Self {
            settings: settings(flavour, &profile),
            rustflags: rustflags(flavour, &target_features),
            environment: environment.collect(),
            opt_level: text("opt-level"),
            debug_assertions: text("debug-assertions").map(|on| on == "true"),
            panic: text("panic"),
            names_features: flavour.text("features").is_some(),
            features,
            profile,
            target_features,
            cuda,
            build: 1,
        }
    }

    /// The same with features for libraries that are here, where the flavour takes CUDA and does not say
    /// what else.
    pub fn with_companions(mut self, features: impl Iterator<Item = &'static str>) -> Self {
        if self.cuda.is_some() && !self.names_features {
            self.features.extend(features.map(str::to_owned));
            self.features.sort();
        }
        self
    }

    /// The same for another build of the flavour.
    pub fn of_build(self, build: u32) -> Self {
        Self { build, ..self }
    }

    /// What lays out this build, for the compiler of the program itself; none for the first build, in
    /// which the linker keeps the order that it finds. lld puts sections into an order that depends on
    /// the seed alone, and rustc gives each function a section of its own. Only code moves: constructors
    /// and tables keep their order.
    pub fn layout(&self) -> Option<String> {
        let seed = self.build;
        (seed > 1).then(|| format!("-Clink-arg=-Wl,--shuffle-sections=.text*={seed}"))
    }

    /// Whether this is to be a build without optimisation.
    pub fn wants_no_optimisation(&self) -> bool {
        match &self.opt_level {
            Some(level) => level == "0",
            None => self.is_of_dev(),
        }
    }

    /// Whether assertions for debugging are to run.
    pub fn wants_debug_assertions(&self) -> bool {
        self.debug_assertions.unwrap_or_else(|| self.is_of_dev())
    }

    fn is_of_dev(&self) -> bool {
        ["dev", "test"].contains(&self.profile.as_str())
    }

    /// What the built program must say of its own `opt_level`, `panic` and profile, where that is known.
    pub fn opt_level(&self) -> Option<&str> {
        self.opt_level.as_deref()
    }

    pub fn panic(&self) -> Option<&str> {
        self.panic.as_deref()
    }

    /// The word that cargo gives to build scripts: profiles of other names descend from either.
    pub fn base_profile(&self) -> Option<&'static str> {
        match self.profile.as_str() {
            "release" | "bench" => Some("release"),
            "dev" | "test" => Some("debug"),
            _ => None,
        }
    }

    /// Everything that it says, by name: equal parts make equal programs of equal sources.
    pub fn parts(&self) -> Vec<(String, String)> {
        let pairs = |pairs: &[(String, String)]| {
            let texts = pairs.iter().map(|(name, value)| format!("{name}={value}"));
            texts.collect::<Vec<_>>().join(" ")
        };
        let parts = [
            ("features", self.features.join(" ")),
            ("profile", self.profile.clone()),
            ("profile settings", pairs(&self.settings)),
            ("compiler flags", self.rustflags.join(" ")),
            ("env", pairs(&self.environment)),
            ("cuda", self.cuda.clone().unwrap_or_default()),
        ];
        parts.map(|(name, value)| (name.to_owned(), value)).into()
    }
}

fn settings(flavour: &Flavour, profile: &str) -> Vec<(String, String)> {
    let variable = |text: &str| text.to_uppercase().replace('-', "_");
    let setting = |key: &&str| {
        let name = format!("CARGO_PROFILE_{}_{}", variable(profile), variable(key));
        Some((name, flavour.text(key)?.to_owned()))
    };
    let mut settings: Vec<_> = SETTINGS.iter().filter_map(setting).collect();
    settings.sort();
    settings
}

/// With the sign that the compiler asks for.
fn target_features(flavour: &Flavour) -> Vec<String> {
    let signed = |feature: String| match feature.starts_with(['+', '-']) {
        true => feature,
        false => format!("+{feature}"),
    };
    let features = flavour.texts("target_features");
    features.into_iter().map(signed).collect()
}

fn rustflags(flavour: &Flavour, target_features: &[String]) -> Vec<String> {
    let cpu = flavour.text("target_cpu");
    let mut flags: Vec<_> = cpu
        .iter()
        .map(|cpu| format!("-Ctarget-cpu={cpu}"))
        .collect();
    if !target_features.is_empty() {
        flags.push(format!("-Ctarget-feature={}", target_features.join(",")));
    }
    flags.extend(flavour.texts("rustflags"));
    flags
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A flavour of these keys, lists as their text.
    pub fn flavour(definition: &[(&str, &str)]) -> Flavour {
        let pair = |(key, value): &(&str, &str)| (key.to_string(), value.to_string());
        Flavour {
            name: "f".into(),
            binary: None,
            definition: definition.iter().map(pair).collect(),
        }
    }

    #[test]
    fn a_definition_becomes_what_cargo_is_told() {
        let recipe = Recipe::of(&flavour(&[
            ("codegen-units", "1"),
            ("debug-assertions", "true"),
            ("env.CC", "clang"),
            ("features", r#"["fast", "avx512"]"#),
            ("lto", "fat"),
            ("profile", "my-own"),
            ("rustflags", r#"["-C", "strip=none"]"#),
            ("target_cpu", "native"),
            ("target_features", r#"["avx2", "-sse4a"]"#),
        ]));
        assert_eq!(recipe.features, ["avx512", "fast"]);
        let flags = [
            "-Ctarget-cpu=native",
            "-Ctarget-feature=+avx2,-sse4a",
            "-C",
            "strip=none",
        ];
        assert_eq!(recipe.rustflags, flags);
        let settings: Vec<_> = recipe
            .settings
            .iter()
            .map(|(n, v)| format!("{n}={v}"))
            .collect();
        let wanted = [
            "CARGO_PROFILE_MY_OWN_CODEGEN_UNITS=1",
            "CARGO_PROFILE_MY_OWN_DEBUG_ASSERTIONS=true",
            "CARGO_PROFILE_MY_OWN_LTO=fat",
        ];
        assert_eq!(settings, wanted);
        assert_eq!(recipe.environment, [("CC".to_owned(), "clang".to_owned())]);
        assert!(recipe.wants_debug_assertions() && !recipe.wants_no_optimisation());
        assert_eq!(recipe.base_profile(), None);
    }

    #[test]
    fn only_a_flavour_that_says_so_wants_a_debug_build() {
        let wants = |definition: &[(&str, &str)]| {
            let recipe = Recipe::of(&flavour(definition));
            (
                recipe.wants_no_optimisation(),
                recipe.wants_debug_assertions(),
            )
        };
        assert_eq!(wants(&[]), (false, false));
        assert_eq!(wants(&[("profile", "dev")]), (true, true));
        assert_eq!(
            wants(&[("opt-level", "3"), ("profile", "dev")]),
            (false, true)
        );
        assert_eq!(wants(&[("opt-level", "0")]), (true, false));
        assert_eq!(wants(&[("debug-assertions", "true")]), (false, true));
    }

    #[test]
    fn builds_of_a_flavour_differ_in_their_layout_alone() {
        let recipe = Recipe::of(&flavour(&[("lto", "fat")]));
        assert_eq!(recipe.layout(), None);
        let second = recipe.clone().of_build(2);
        let flag = "-Clink-arg=-Wl,--shuffle-sections=.text*=2";
        assert_eq!(second.layout().unwrap(), flag);
        assert_eq!(second.parts(), recipe.parts());
        assert_eq!(second.rustflags, recipe.rustflags);
    }

    #[test]
    fn the_flavour_cuda_asks_for_its_feature() {
        let recipe = Recipe::of(&Flavour::cuda());
        assert_eq!(recipe.features, ["cuda"]);
        assert_eq!(recipe.cuda.as_deref(), Some("built-in"));
        let found = || ["nccl", "cudnn"].into_iter();
        let whole = recipe.with_companions(found());
        assert_eq!(whole.features, ["cuda", "cudnn", "nccl"]);
        let plain = Recipe::of(&flavour(&[("cuda", "13.0"), ("features", "[]")]));
        assert_eq!(plain.with_companions(found()).features, ["cuda"]);
        let without = Recipe::of(&flavour(&[]));
        assert!(without.with_companions(found()).features.is_empty());
    }
}
