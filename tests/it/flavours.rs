//! Flavours are built, kept, proved and refused: on a small crate that stands in for the program's own
//! sources, since five builds of those would take ten minutes.

mod several_builds;
mod workshop;

use crate::program::{Project, count, processes_with};
use std::fs::{self, File};
use std::process::Stdio;
use std::time::{Duration, Instant};
use workshop::{Workshop, built, news};
use xrun::flavour::identity::Identity;

#[test]
fn each_flavour_is_built_once_and_a_second_call_builds_and_runs_nothing() {
    let workshop = Workshop::new(&[
        ("plain", ""),
        ("fast", "features = [\"fast\"]\nlto = \"fat\""),
    ]);
    let first = workshop.run();
    assert!(built(&first, "plain") && built(&first, "fast"), "{first}");
    assert!(
        first.contains("which is not what this xrun was built from"),
        "{first}"
    );
    let rows = workshop.project.repeats("builds");
    assert_eq!(count(&rows, "outcome", "completed"), 2, "{rows:?}");
    let (plain, fast) = (workshop.row("plain"), workshop.row("fast"));
    assert_ne!(plain["program"], fast["program"]);
    assert!(plain["program"].starts_with("source:"));
    assert!(plain["flavour_contents"].starts_with("sha256:"));
    assert_eq!(fast["flavour_features"], "default fast");
    assert_eq!(fast["flavour_profile"], "release opt-level=3");
    assert_eq!(
        fast["flavour_profile_settings"],
        "CARGO_PROFILE_RELEASE_LTO=fat"
    );

    let file = workshop.project.path("builds.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("# a comment\n{text}")).unwrap();
    let second = workshop.run();
    for flavour in ["plain", "fast"] {
        let why = "as built before: nothing that it depends on has changed";
        assert_eq!(news(&second, flavour), why);
    }
    assert!(
        second.contains("nothing to measure: every repeat is done"),
        "{second}"
    );
    assert_eq!(workshop.project.repeats("builds").len(), 2);

    let planned = workshop.call(&["plan", "builds.toml"]).expect(0).stdout;
    assert!(
        planned.contains("builds first, unless they are there: plain, fast"),
        "{planned}"
    );
}

#[test]
fn what_a_build_depends_on_builds_it_again() {
    let mut workshop = Workshop::new(&[("plain", ""), ("other", "opt-level = 2")]);
    let first = workshop.build();
    assert!(
        news(&first, "plain").ends_with("not built before"),
        "{first}"
    );

    workshop.edit(
        "src/worker.rs",
        "const STEPS: u64 = 4;",
        "const STEPS: u64 = 2 + 2;",
    );
    let said = workshop.build();
    assert!(built(&said, "other") && news(&said, "plain").ends_with(" s: changed: the sources"));

    workshop.edit("Cargo.lock", "version = 4", "version = 3");
    let said = workshop.build();
    assert!(
        news(&said, "plain").ends_with("changed: the lock file, the sources"),
        "{said}"
    );

    workshop.declare(&[("plain", ""), ("other", "opt-level = 1")]);
    let said = workshop.build();
    assert!(built(&said, "other") && !built(&said, "plain"), "{said}");

    let version = "REAL -vV | sed 's/^LLVM version.*/LLVM version: 0.0/'";
    let rustc = workshop.fake("rustc", "-vV", version);
    workshop.environment = vec![("RUSTC", rustc.display().to_string())];
    let said = workshop.build();
    assert!(
        news(&said, "plain").ends_with(" s: changed: the compiler"),
        "{said}"
    );

    workshop.environment.clear();
    fs::remove_file(rustc).unwrap();
    assert!(
        !built(&workshop.build(), "plain"),
        "the program of the real compiler is still there"
    );
    workshop.fake("cargo", "-V", "echo cargo 0.0.0");
    workshop.environment = vec![("PATH", workshop.path_with_fakes())];
    let said = workshop.build();
    assert!(news(&said, "plain").contains("changed: ") && news(&said, "plain").contains("cargo"));

    workshop.environment = vec![
        ("CFLAGS", "-g0".into()),
        ("RUSTFLAGS", "--cfg unseen".into()),
    ];
    let said = workshop.build();
    assert!(news(&said, "plain").contains("the environment"), "{said}");
    let unheard = ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0".into());
    workshop.environment = vec![("RUSTFLAGS", "--cfg unseen".into()), unheard];
    let program = workshop.program(&workshop.build(), "plain");
    workshop.environment.clear();
    let said = workshop.build();
    assert!(
        !built(&said, "plain"),
        "no flag of the caller reaches a flavour"
    );
    assert_eq!(workshop.program(&said, "plain"), program);
}

#[test]
fn what_cannot_be_built_is_skipped_with_the_end_of_the_log() {
    let mut workshop = Workshop::new(&[
        ("plain", ""),
        ("unknown", "features = [\"nope\"]"),
        ("broken", "features = [\"broken\"]"),
        ("gpu", "cuda = \"/no/such/toolkit\""),
    ]);
    let said = workshop.run();
    assert_eq!(workshop.row("plain")["outcome"], "completed");
    let reasons = [
        ("unknown", "nope"),
        ("broken", "the feature broken does not compile"),
        ("gpu", "looked for bin/nvcc in /no/such/toolkit"),
    ];
    for (flavour, reason) in reasons {
        let row = workshop.row(flavour);
        assert_eq!(row["outcome"], "skipped");
        assert!(row["reason"].contains(reason), "{}", row["reason"]);
        assert!(said.contains(reason), "{said}");
    }
    let log = workshop.row("broken")["reason"].clone();
    let log = log
        .split("all of it is in ")
        .nth(1)
        .unwrap()
        .trim_end_matches(')')
        .to_owned();
    assert!(fs::read_to_string(log).unwrap().contains("compile_error!"));

    workshop.declare(&[("plain", "")]);
    workshop.environment = vec![(
        "PATH",
        workshop.project.path("nothing").display().to_string(),
    )];
    let said = workshop.build();
    assert!(
        said.contains("skipped: flavour plain: cargo is not installed here"),
        "{said}"
    );
}

#[test]
fn a_swapped_or_stale_program_is_refused() {
    let workshop = Workshop::new(&[("plain", ""), ("other", "opt-level = 2")]);
    let said = workshop.build();
    let (plain, other) = (
        workshop.program(&said, "plain"),
        workshop.program(&said, "other"),
    );
    fs::copy(&other, &plain).unwrap();
    let said = workshop.run();
    let row = workshop.row("plain");
    assert_eq!(row["outcome"], "skipped", "{said}");
    assert!(
        row["reason"].contains("is not what was built"),
        "{}",
        row["reason"]
    );
    assert_eq!(workshop.row("other")["outcome"], "completed");

    // Cargo goes by times, so it takes this change for none.
    let path = workshop.project.path("source/src/worker.rs");
    let modified = fs::metadata(&path).unwrap().modified().unwrap();
    workshop.edit("src/worker.rs", "1.5f32", "1.25f32");
    File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_modified(modified)
        .unwrap();
    let said = workshop.build();
    assert!(
        said.contains("what cargo has built: it is not what was asked for"),
        "{said}"
    );
    assert!(said.contains("it was built from sources "), "{said}");

    let removed = workshop.call(&["build", "--clean"]).expect(0).stdout;
    assert!(
        removed.contains("removed ") && removed.contains("flavours: "),
        "{removed}"
    );
    assert!(!workshop.project.path("cache/xrun/flavours").exists());
    assert!(built(&workshop.build(), "plain"));
}

#[test]
fn a_debug_build_is_refused_unless_the_flavour_says_so() {
    let workshop = Workshop::new(&[("slow", "profile = \"dev\"")]);
    let slow = workshop.program(&workshop.build(), "slow");
    let binary = format!("binary = {:?}", slow.display().to_string());
    let asked = format!("{binary}\nprofile = \"dev\"");
    let featured = format!("{asked}\nfeatures = [\"fast\"]");
    workshop.declare(&[
        ("given", &binary),
        ("asked", &asked),
        ("featured", &featured),
    ]);
    workshop.run();
    let reason = workshop.row("given")["reason"].clone();
    assert!(
        reason.contains("its profile is `debug`, not `release`"),
        "{reason}"
    );
    assert!(reason.contains("it is not optimised"), "{reason}");
    let asked = workshop.row("asked");
    assert_eq!(asked["outcome"], "completed");
    assert_eq!(
        asked["flavour_profile"],
        "debug opt-level=0 debug-assertions"
    );
    assert_eq!(asked["program"], asked["flavour_contents"]);
    let reason = workshop.row("featured")["reason"].clone();
    assert!(reason.ends_with("it lacks the feature fast"), "{reason}");
}

#[cfg(target_arch = "x86_64")]
#[test]
fn flavours_that_differ_in_nothing_that_runs_are_named() {
    let workshop = Workshop::new(&[
        ("plain", ""),
        ("idle", "target_features = [\"sse2\"]"),
        ("wide", "target_cpu = \"x86-64-v3\""),
    ]);
    let said = workshop.build();
    assert!(
        said.contains("flavours plain and idle differ in nothing that runs"),
        "{said}"
    );
    assert!(!said.contains("plain and wide"), "{said}");
    let widths = |flavour: &str| {
        let line = said
            .lines()
            .rfind(|line| line.starts_with(&format!("flavour {flavour}: ")));
        line.unwrap().to_owned()
    };
    assert!(widths("plain").contains("worker 0 ymm and 0 zmm"), "{said}");
    assert!(!widths("wide").contains("worker 0 ymm"), "{said}");
}

#[test]
fn an_interrupt_ends_a_build_with_everything_that_it_started() {
    let mut workshop = Workshop::new(&[("plain", "")]);
    workshop.fake("cargo", "build", "sleep 985");
    workshop.environment = vec![("PATH", workshop.path_with_fakes())];
    let mut command = workshop.command(&["build", "builds.toml"]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let started = Instant::now();
    while processes_with("sleep 985").is_empty() {
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "the build begins"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    let id = rustix::process::Pid::from_raw(child.id() as i32).unwrap();
    rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(processes_with("sleep 985").is_empty());
}

#[test]
fn a_program_says_how_it_was_built() {
    let project = Project::new();
    let said = project.run(&["worker", "--identify"]).expect(0).stdout;
    let identity: Identity = serde_json::from_str(&said).unwrap();
    assert_eq!(identity.version, env!("CARGO_PKG_VERSION"));
    assert_eq!(identity.debug_assertions, cfg!(debug_assertions));
    assert!(identity.vector_extensions.starts_with("kernels "), "{said}");
    assert!(!identity.libraries.is_empty(), "{said}");
    let wrong = project.run(&["build", "x.toml", "--source", "nowhere"]);
    assert_eq!(wrong.code, Some(2), "{}", wrong.text());
}
