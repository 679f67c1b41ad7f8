//! Whether a program is what its flavour asked for. In: a recipe and what the program says of itself.
//! Out: everything that differs. Pure.

use super::identity::Identity;
use super::recipe::Recipe;

/// What a program must have, and how strictly.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    pub recipe: &'a Recipe,
    /// The hash of the sources that it was built from just now; none for a binary that was given, which
    /// may be of other sources and may have flags that the flavour does not name.
    pub sources: Option<&'a str>,
}

impl Asked<'_> {
    /// Everything in which the program is not what was asked for, for people; empty where all agrees.
    pub fn differences(&self, told: &Identity) -> Vec<String> {
        let mut differences: Vec<String> = self.sources(told).into_iter().collect();
        differences.extend(self.features(told));
        differences.extend(self.profile(told));
        differences.extend(self.flags(told));
        differences.extend(self.debug(told));
        differences
    }

    fn sources(&self, told: &Identity) -> Option<String> {
        let sources = self.sources.filter(|sources| *sources != told.sources)?;
        Some(format!(
            "it was built from sources {}, not from {sources}",
            told.sources
        ))
    }

    fn features(&self, told: &Identity) -> Vec<String> {
        let recipe = self.recipe;
        let without = |feature: &&String| !told.features.contains(feature);
        let missing = recipe.features.iter().filter(without);
        let mut differences: Vec<_> = missing
            .map(|feature| format!("it lacks the feature {feature}"))
            .collect();
        for asked in &recipe.target_features {
            let (sign, name) = asked.split_at(1);
            let has = told.target_features.iter().any(|feature| feature == name);
            match (sign, has) {
                ("+", false) => differences.push(format!("it was compiled without {name}")),
                ("-", true) => differences.push(format!("it was compiled with {name}")),
                _ => {}
            }
        }
        differences
    }

    fn profile(&self, told: &Identity) -> Vec<String> {
        let recipe = self.recipe;
        let pairs = [
            ("profile", recipe.base_profile(), told.profile.as_str()),
            ("opt-level", recipe.opt_level(), told.opt_level.as_str()),
            ("panic", recipe.panic(), told.panic.as_str()),
        ];
        let differs = |(what, asked, is): (&str, Option<&str>, &str)| {
            let asked = asked.filter(|asked| *asked != is)?;
            Some(format!("its {what} is `{is}`, not `{asked}`"))
        };
        pairs.into_iter().filter_map(differs).collect()
    }

    /// Flags and settings of profiles. A built program has no others than its flavour names.
    fn flags(&self, told: &Identity) -> Vec<String> {
        let settings = self.recipe.settings.iter();
        let settings: Vec<_> = settings
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let lists = [
            ("compiler flags", &self.recipe.rustflags, &told.rustflags),
            ("profile settings", &settings, &told.profile_settings),
        ];
        let agrees = |asked: &[String], has: &[String]| match self.sources {
            Some(_) => asked == has,
            None => asked.iter().all(|flag| has.contains(flag)),
        };
        let differing = lists
            .into_iter()
            .filter(|(_, asked, has)| !agrees(asked, has));
        differing
            .map(|(what, asked, has)| {
                format!(
                    "its {what} are `{}`, not `{}`",
                    has.join(" "),
                    asked.join(" ")
                )
            })
            .collect()
    }

    fn debug(&self, told: &Identity) -> Vec<String> {
        let recipe = self.recipe;
        let mut differences = Vec::new();
        if told.opt_level == "0" && !recipe.wants_no_optimisation() {
            differences.push("it is not optimised (say so with `profile = \"dev\"`)".to_owned());
        }
        match (told.debug_assertions, recipe.wants_debug_assertions()) {
            (true, false) => differences.push(
                "assertions for debugging run in it (say so with `debug-assertions = true`)"
                    .to_owned(),
            ),
            (false, true) => differences.push("it has no assertions for debugging".to_owned()),
            _ => {}
        }
        differences
    }
}

#[cfg(test)]
mod tests {
    use super::super::recipe::tests::flavour;
    use super::*;

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| text.to_string()).collect()
    }

    /// What a release build of plain sources says.
    fn release() -> Identity {
        Identity {
            sources: "abc".into(),
            profile: "release".into(),
            opt_level: "3".into(),
            panic: "unwind".into(),
            features: texts(&["default"]),
            target_features: texts(&["fxsr", "sse", "sse2"]),
            ..Identity::default()
        }
    }

    fn built(definition: &[(&str, &str)], told: &Identity) -> Vec<String> {
        let recipe = Recipe::of(&flavour(definition));
        let sources = Some("abc");
        Asked {
            recipe: &recipe,
            sources,
        }
        .differences(told)
    }

    #[test]
    fn a_program_that_is_what_was_asked_for_passes() {
        assert_eq!(built(&[], &release()), [""; 0]);
        let told = Identity {
            features: texts(&["avx512", "default"]),
            rustflags: texts(&["-Ctarget-feature=+avx2"]),
            target_features: texts(&["avx2", "sse"]),
            profile_settings: texts(&["CARGO_PROFILE_RELEASE_LTO=fat"]),
            ..release()
        };
        let asked = [
            ("features", r#"["avx512"]"#),
            ("lto", "fat"),
            ("target_features", r#"["avx2"]"#),
        ];
        assert_eq!(built(&asked, &told), [""; 0]);
    }

    #[test]
    fn each_difference_is_named() {
        let swapped = Identity {
            sources: "old".into(),
            rustflags: texts(&["-Ctarget-cpu=native"]),
            ..release()
        };
        assert_eq!(
            built(&[], &swapped),
            [
                "it was built from sources old, not from abc",
                "its compiler flags are `-Ctarget-cpu=native`, not ``"
            ]
        );
        let asked = [
            ("features", r#"["avx512"]"#),
            ("lto", "fat"),
            ("opt-level", "2"),
            ("panic", "abort"),
        ];
        assert_eq!(
            built(&asked, &release()),
            [
                "it lacks the feature avx512",
                "its opt-level is `3`, not `2`",
                "its panic is `unwind`, not `abort`",
                "its profile settings are ``, not `CARGO_PROFILE_RELEASE_LTO=fat \
                 CARGO_PROFILE_RELEASE_OPT_LEVEL=2 CARGO_PROFILE_RELEASE_PANIC=abort`"
            ]
        );
    }

    #[test]
    fn a_debug_build_must_be_asked_for() {
        let debug = Identity {
            profile: "debug".into(),
            opt_level: "0".into(),
            debug_assertions: true,
            ..release()
        };
        assert!(debug.is_debug_build() && !release().is_debug_build());
        let said = built(&[], &debug).join("; ");
        assert!(
            said.contains("its profile is `debug`, not `release`"),
            "{said}"
        );
        assert!(
            said.contains("not optimised") && said.contains("assertions"),
            "{said}"
        );
        assert_eq!(built(&[("profile", "dev")], &debug), [""; 0]);
        let said = built(&[("debug-assertions", "true")], &release());
        assert_eq!(said.last().unwrap(), "it has no assertions for debugging");
    }

    #[test]
    fn a_given_binary_may_have_more_than_was_asked_for() {
        let recipe = Recipe::of(&flavour(&[("target_cpu", "native")]));
        let asked = Asked {
            recipe: &recipe,
            sources: None,
        };
        let told = Identity {
            rustflags: texts(&["-Ctarget-cpu=native", "-Cstrip=none"]),
            ..release()
        };
        assert_eq!(asked.differences(&told), [""; 0]);
        assert_eq!(asked.differences(&release()).len(), 1);
    }
}
