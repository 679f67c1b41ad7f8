//! Flavours that are built several times, with their functions in another order each time.

use super::workshop::{Workshop, built, news};
use crate::program::Row;
use std::fs;
use xrun::flavour::census::Order;

fn measure(repeats: u32, builds: u32) -> String {
    format!("warmup_steps = 0\nsteps = 4\nrepeats = {repeats}\nbuilds = {builds}")
}

/// A workshop in which `plain` was run, and what that said; none where the linker of this machine does
/// not shuffle.
fn run(repeats: u32, builds: u32) -> Option<(Workshop, String)> {
    let workshop = Workshop::empty();
    workshop.declare_measured(&measure(repeats, builds), &[("plain", "")]);
    let said = workshop.run();
    if said.contains("a further build needs a linker that shuffles functions") {
        eprintln!("skipped: the linker of this machine does not shuffle functions");
        return None;
    }
    Some((workshop, said))
}

/// Block, build, outcome and program of each row, in the order of measuring.
fn told(workshop: &Workshop) -> Vec<(String, String, String, String)> {
    let rows = workshop.project.repeats("builds");
    let of_row = |row: &Row| {
        let of = |column: &str| row[column].clone();
        let contents = of("flavour_contents");
        (of("block"), of("build"), of("outcome"), contents)
    };
    rows.iter().map(of_row).collect()
}

#[test]
fn blocks_take_turns_with_programs_of_another_layout() {
    let Some((workshop, first)) = run(4, 2) else {
        return;
    };
    let titles = ["plain, build 1 of 2", "plain, build 2 of 2"];
    assert!(titles.iter().all(|title| built(&first, title)), "{first}");
    assert!(!first.contains("differ in nothing"), "{first}");
    let rows = told(&workshop);
    let places: Vec<_> = rows
        .iter()
        .map(|(block, build, outcome, _)| [block, build, outcome].map(String::as_str))
        .collect();
    let done = |block, build| [block, build, "completed"];
    let wanted = [("1", "1"), ("2", "2"), ("3", "1"), ("4", "2")];
    assert_eq!(places, wanted.map(|(block, build)| done(block, build)));
    assert_eq!((&rows[0].3, &rows[1].3), (&rows[2].3, &rows[3].3));
    assert_ne!(rows[0].3, rows[1].3, "each build is a program of its own");

    let second = workshop.run();
    for title in titles {
        let why = "as built before: nothing that it depends on has changed";
        assert_eq!(news(&second, title), why);
    }
    assert!(second.contains("every repeat is done"), "{second}");

    let said = workshop.build();
    let programs = titles.map(|title| fs::read(workshop.program(&said, title)).unwrap());
    let [one, two] = programs.each_ref().map(|program| Order::of(program));
    assert!(one.is_some() && two.is_some() && one != two);

    let more = ["builds.toml", "--add-repeats", "2"];
    workshop.call(&more).expect(0);
    let rows = told(&workshop);
    let added: Vec<_> = rows[4..].iter().map(|row| [&row.0, &row.1]).collect();
    assert_eq!(added, [["5", "1"], ["6", "2"]]);
}

#[cfg(target_arch = "x86_64")]
#[test]
fn builds_of_a_flavour_have_the_same_instructions() {
    use xrun::flavour::census::{Census, Likeness};
    let Some((workshop, _)) = run(2, 2) else {
        return;
    };
    let said = workshop.build();
    let census = |build: u32| {
        let program = workshop.program(&said, &format!("plain, build {build} of 2"));
        Census::of(&fs::read(program).unwrap()).unwrap()
    };
    assert_eq!(census(1).likeness(&census(2)), Likeness::SameCode);
}

#[test]
fn a_changed_source_builds_every_build_again() {
    let Some((workshop, _)) = run(2, 2) else {
        return;
    };
    let was = told(&workshop);
    workshop.edit("src/worker.rs", "1.5f32", "1.25f32");
    let said = workshop.run();
    for build in ["1", "2"] {
        let news = news(&said, &format!("plain, build {build} of 2"));
        assert!(news.ends_with(" s: changed: the sources"), "{said}");
    }
    assert!(said.contains("stale: the program changed"), "{said}");
    let rows = told(&workshop);
    let again: Vec<_> = rows[2..].iter().map(|row| [&row.0, &row.1]).collect();
    assert_eq!(again, [["1", "1"], ["2", "2"]]);
    assert!(
        rows[2..]
            .iter()
            .all(|row| was.iter().all(|old| old.3 != row.3))
    );
}

#[test]
fn a_second_build_measures_again_only_the_blocks_that_it_gets() {
    let Some((workshop, first)) = run(2, 1) else {
        return;
    };
    assert!(built(&first, "plain"), "{first}");
    workshop.declare_measured(&measure(2, 2), &[("plain", "")]);
    let said = workshop.run();
    if said.contains("a further build needs a linker that shuffles functions") {
        eprintln!("skipped: the linker of this machine does not shuffle functions");
        return;
    }
    assert!(!built(&said, "plain, build 1 of 2"), "{said}");
    let news = news(&said, "plain, build 2 of 2");
    assert!(news.ends_with("not built before"), "{said}");
    let why = "1 done (flavour plain), 1 stale: build was `1` and is `2` now (flavour plain)";
    assert!(said.contains(why), "{said}");
    let rows = told(&workshop);
    let places: Vec<_> = rows.iter().map(|row| [&row.0, &row.1]).collect();
    assert_eq!(places, [["1", "1"], ["2", "1"], ["2", "2"]]);
}

#[test]
fn where_the_linker_does_not_shuffle_the_cells_are_skipped_with_the_way_out() {
    let workshop = Workshop::empty();
    let flags = "rustflags = [\"-Clink-arg=-fuse-ld=bfd\"]";
    workshop.declare_measured(&measure(2, 2), &[("old", flags)]);
    let said = workshop.run();
    let row = workshop.row("old");
    assert_eq!(row["outcome"], "skipped", "{said}");
    if row["reason"].starts_with("flavour old, build 1 of 2") {
        eprintln!("skipped: there is no ld.bfd here");
        return;
    }
    let reason = &row["reason"];
    assert!(
        reason.starts_with("flavour old, build 2 of 2: cargo failed: "),
        "{reason}"
    );
    for part in ["--shuffle-sections", "-fuse-ld=lld", "all of it is in "] {
        assert!(reason.contains(part), "{part} is not in {reason}");
    }
}

#[test]
fn several_builds_need_as_many_repeats_and_a_flavour_that_is_built() {
    let workshop = Workshop::empty();
    let refused = |measure: &str, flavours: &[(&str, &str)]| {
        workshop.declare_measured(measure, flavours);
        workshop.call(&["plan", "builds.toml"]).expect(2).stderr
    };
    let said = refused(&measure(2, 3), &[("plain", "")]);
    assert!(
        said.contains("2 repeats of a cell cannot measure 3 builds"),
        "{said}"
    );
    assert!(said.contains("measure.repeats = 3"), "{said}");
    let said = refused(&measure(2, 2), &[("given", "binary = \"x\"")]);
    assert!(
        said.contains("the flavour `given` is a given `binary`"),
        "{said}"
    );
    let plain = workshop.project.path("builds.toml");
    let text = fs::read_to_string(&plain).unwrap();
    fs::write(&plain, text.replace("\"given\"", "\"default\"")).unwrap();
    let said = workshop.call(&["plan", "builds.toml"]).expect(2).stderr;
    assert!(
        said.contains("the flavour `default` is the running program"),
        "{said}"
    );
    assert!(said.contains("[flavours.NAME]"), "{said}");
}
