//! Runs, locks, and what else may stand in a result folder.

use super::*;
use insta::assert_snapshot;
use tempfile::tempdir;

#[test]
fn rows_are_read_back_and_the_run_continues() {
    let folder = tempdir().unwrap();
    let folder = &folder.path().join("results/smoke/box");
    let mut journal = open(folder);
    append_to(&mut journal, 2);
    let written = journal.rows().to_vec();
    drop(journal);
    let journal = open(folder);
    assert_eq!(
        (journal.run(), journal.rows(), journal.notices()),
        (1, &written[..], &[][..])
    );
    assert_eq!(
        RepeatRow {
            provenance: Provenance::default(),
            ..written[1].clone()
        },
        row(1, 2)
    );
    assert_eq!(numbers(folder), whole(2));
    let ignored = fs::read_to_string(folder.join(".gitignore")).unwrap();
    assert_eq!(ignored, "/logs/\n/.run\n/.lock\n/.*.new\n");
}

#[test]
fn rows_that_came_without_a_marker_are_references_of_a_new_run() {
    let folder = tempdir().unwrap();
    append_to(&mut open(folder.path()), 2);
    fs::remove_file(folder.path().join(".run")).unwrap();
    let mut journal = open(folder.path());
    assert_eq!(journal.run(), 2);
    append_to(&mut journal, 1);
    assert_eq!(
        (journal.present().count(), journal.references().count()),
        (1, 2)
    );
}

#[test]
fn a_new_run_is_started_on_request_and_then_continued() {
    let folder = tempdir().unwrap();
    append_to(&mut open(folder.path()), 1);
    let again = Journal::open(
        folder.path(),
        &Opening {
            new_run: true,
            ..OPENING
        },
    )
    .unwrap();
    assert_eq!((again.run(), again.present().count()), (2, 0));
    drop(again);
    assert_eq!(open(folder.path()).run(), 2);
}

#[test]
fn a_run_number_that_another_checkout_took_is_left_to_it() {
    let (ours, theirs) = (tempdir().unwrap(), tempdir().unwrap());
    append_to(&mut open(ours.path()), 1);
    append_to(&mut open(theirs.path()), 2);
    for file in ["repeats.csv", "samples.csv"] {
        fs::copy(theirs.path().join(file), ours.path().join(file)).unwrap();
    }
    let journal = open(ours.path());
    assert_eq!((journal.run(), journal.references().count()), (2, 2));
    assert!(
        journal.notices()[0].ends_with("run 1 has rows of another checkout, so a new run starts")
    );
}

#[test]
fn a_row_is_never_written_twice_nor_into_another_run() {
    let folder = tempdir().unwrap();
    let mut journal = open(folder.path());
    append_to(&mut journal, 1);
    let mut refused =
        |row: RepeatRow, timings: &[SampleRow]| message(journal.append(&row, timings));
    assert_snapshot!(refused(row(1, 1), &[]), @"row not written: repeat 1 of cell a1 is already there");
    assert_snapshot!(refused(row(2, 1), &[]), @"row not written: it is of run 2, and run 1 is being measured");
    assert_snapshot!(refused(row(1, 2), &samples(&row(1, 3))), @"row not written: samples of another repeat than 2 of cell a1 came with it");
    let mut odd = row(1, 2);
    odd.key.cell = "a,1".to_owned();
    assert_snapshot!(refused(odd, &[]), @"row not written: cell id `a,1` is not of letters and digits");
    assert_eq!(numbers(folder.path()), whole(1));
}

#[test]
fn a_row_that_stands_twice_is_not_counted_twice() {
    let folder = tempdir().unwrap();
    append_to(&mut open(folder.path()), 1);
    let path = folder.path().join("repeats.csv");
    let text = fs::read_to_string(&path).unwrap();
    let (_, row) = text.split_once('\n').unwrap();
    fs::write(&path, format!("{text}{row}")).unwrap();
    assert_snapshot!(open_error(folder.path()), @"TMP/repeats.csv: run 1, cell a1, repeat 1 stands twice: delete one of the two rows");
}

#[test]
fn a_folder_has_one_writer() {
    let folder = tempdir().unwrap();
    let first = open(folder.path());
    let text = open_error(folder.path());
    let holder = format!(
        "is in use by process {}, which measures smoke since 2",
        std::process::id()
    );
    assert!(text.contains(&holder), "{text}");
    assert!(
        text.ends_with("Z; wait until it is done, or choose another folder with --results"),
        "{text}"
    );
    drop(first);
    open(folder.path());
}

#[test]
fn things_in_each_others_place_are_named() {
    let folder = tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("results"), "").unwrap();
    assert_snapshot!(open_error(&folder.join("results/smoke/box")), @"TMP/results: a file is where a folder of results must be: move it away, or write TMP/results/smoke/box elsewhere with --results");
    assert_eq!(fs::read(folder.join("results")).unwrap(), b"");
    fs::create_dir_all(folder.join("a/repeats.csv")).unwrap();
    assert_snapshot!(open_error(&folder.join("a")), @"cannot open TMP/a/repeats.csv; it is a folder: move it away: Is a directory (os error 21)");
    fs::create_dir_all(folder.join("b/samples.csv")).unwrap();
    assert_snapshot!(open_error(&folder.join("b")), @"cannot open TMP/b/samples.csv; it is a folder: move it away: Is a directory (os error 21)");
    fs::create_dir_all(folder.join("c/.lock")).unwrap();
    assert_snapshot!(open_error(&folder.join("c")), @"cannot open the lock TMP/c/.lock; it is a folder: move it away: Is a directory (os error 21)");
    fs::create_dir_all(folder.join("d/.run")).unwrap();
    assert_snapshot!(open_error(&folder.join("d")), @"cannot read the run marker TMP/d/.run; it is a folder: move it away: Is a directory (os error 21)");
}

#[test]
fn a_header_of_an_older_version_gets_its_columns_and_keeps_those_it_knows_alone() {
    let folder = tempdir().unwrap();
    let folder = folder.path();
    fs::write(
        folder.join("repeats.csv"),
        "joules,repeat,run,cell,outcome,reason\n7,1,1,a1,failed,\"a\nb\"\n",
    )
    .unwrap();
    fs::write(
        folder.join("samples.csv"),
        "note,run,cell,repeat,rank,replica,first_step,steps,seconds\nwarm,1,a1,1,0,0,0,3,0.5\n",
    )
    .unwrap();
    let mut journal = open(folder);
    assert_eq!(journal.run(), 2);
    let old = journal.rows()[0].clone();
    assert_eq!(
        (old.reason.as_str(), old.axis_labels["joules"].as_str()),
        ("a\nb", "7")
    );
    append_to(&mut journal, 1);
    drop(journal);
    let journal = open(folder);
    assert_eq!(journal.notices(), [""; 0]);
    assert_eq!(journal.rows()[0], old);
    assert_eq!(journal.rows()[1].settings, row(2, 1).settings);
    let text = fs::read_to_string(folder.join("samples.csv")).unwrap();
    let (empty, zero) = (",".repeat(Phase::COUNT), ",0".repeat(Phase::COUNT));
    assert!(
        text.starts_with("note,run,cell")
            && text.contains(&format!("\nwarm,1,a1,1,0,0,0,3,0.5{empty}\n")),
        "{text}"
    );
    assert!(
        text.ends_with(&format!("\n,2,a1,1,1,0,0,3,1.1{zero}\n")),
        "{text}"
    );
    assert!(!folder.join(".repeats.csv.new").exists());
}

#[test]
fn a_setting_of_a_newer_plan_adds_its_column() {
    let folder = tempdir().unwrap();
    append_to(&mut open(folder.path()), 1);
    let opening = Opening {
        setting_keys: &["model.name", "model.depth"],
        ..OPENING
    };
    let mut journal = Journal::open(folder.path(), &opening).unwrap();
    assert!(journal.notices()[0].ends_with("repeats.csv: added columns model.depth"));
    let mut deeper = row(1, 2);
    deeper
        .settings
        .insert("model.depth".to_owned(), "50".to_owned());
    journal.append(&deeper, &[]).unwrap();
    drop(journal);
    assert_eq!(open(folder.path()).rows()[1].settings, deeper.settings);
}
