use super::*;
use crate::analysis::sample_flavours::{
    against_plain, cell, flavour_block, flavour_rows, flavour_story, flavour_table,
};
use crate::analysis::sample_rows::RowBuilder;
use crate::analysis::verdict::Doubt;
use crate::table::RepeatRow;
use crate::terms::Phase;

fn two_machines() -> PhaseTable {
    let here = flavour_rows(8, &["plain", "avx512"], &["cifar10 im2col", "cifar10 auto"]);
    let there = flavour_rows(3, &["plain", "native"], &["cifar10 im2col"]);
    flavour_table(&[("box-a", here), ("box-b", there)])
}

/// What stands out of each part, for all rows of a block.
fn outstanding(block: &Block) -> Vec<String> {
    let row = |row: &PhaseRow| {
        let entries = row.parts.iter().filter(|entry| entry.stands_out);
        let parts: Vec<String> = entries.map(|entry| entry.part.to_string()).collect();
        format!("{}: {}", row.name(), parts.join(" "))
    };
    block.rows.iter().map(row).collect()
}

#[test]
fn each_machine_has_a_block_and_a_line_for_each_compared_cell() {
    insta::assert_snapshot!(two_machines().markdown(), @"
    # build_flavours: compared part by part

    > Is the optimised build slower?

    A ratio is the base's time over the other's, for the same examples: above 1, the other is faster. Repeats are paired by block; each interval holds at 95 % by itself. **Bold** stands out: of the whole step, where the verdict is faster or slower; of another part, where the whole interval lies outside the noise floor of that part. Verdicts are on the whole step alone, and hold together at 95 % (max-T). `–` is a part that takes less than half a per cent of the base's step.

    ## box-a: build.flavour against plain

    n = 8, run 1.

    |  | build.flavour | start-up and first step | data | forward | backward | apply | whole step | verdict |
    | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |
    | *noise floor* |  | ± 1.5 % | – | ± 1.1 % | ± 1.1 % | ± 1.1 % | ± 1.1 % |  |
    | threads 1, cifar10 im2col | avx512 | 1.005 [0.993, 1.019] | – | **1.627 [1.611, 1.643]** | **1.577 [1.562, 1.593]** | 1.004 [0.995, 1.014] | **1.551 [1.536, 1.566]** | faster |
    | threads 1, cifar10 auto | avx512 | 1.006 [0.992, 1.012] | – | 1.014 [1.004, 1.019] | 1.004 [0.994, 1.009] | 1.004 [0.994, 1.009] | 1.008 [0.997, 1.013] | equivalent |
    | threads 2, cifar10 im2col | avx512 | 1.005 [0.989, 1.019] | – | **1.625 [1.610, 1.638]** | **1.575 [1.560, 1.587]** | 1.003 [0.994, 1.011] | **1.549 [1.534, 1.561]** | faster |
    | threads 2, cifar10 auto | avx512 | 0.989 [0.980, 1.004] | – | 1.003 [0.999, 1.013] | 0.994 [0.989, 1.003] | 0.994 [0.989, 1.003] | 0.997 [0.993, 1.006] | equivalent |

    ## box-b: build.flavour against plain

    n = 3, run 1.

    |  | build.flavour | start-up and first step | data | forward | backward | apply | whole step | verdict |
    | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |
    | *noise floor* |  | ± 1.1 % | – | ± 0.8 % | ± 0.8 % | ± 0.8 % | ± 0.8 % |  |
    | threads 1, cifar10 im2col | native | 0.995 | – | 1.116 | 1.076 | 0.996 | 1.086 | undecided: cannot decide with n = 3 |
    | threads 2, cifar10 im2col | native | 1.010 | – | 1.126 | 1.086 | 1.005 | 1.096 | undecided: cannot decide with n = 3 |
    ");
}

#[test]
fn the_long_form_has_a_row_for_each_part_of_each_cell() {
    let rows = two_machines().long_form();
    let columns = |row: &[(String, String)]| row.iter().map(|(c, _)| c.clone()).collect::<Vec<_>>();
    assert!(rows.iter().all(|row| columns(row) == columns(&rows[0])));
    let short = |value: &String| match value.parse::<f64>() {
        Ok(number) if value.contains('.') => format!("{number:.4}"),
        _ => value.clone(),
    };
    let line = |row: &Vec<(String, String)>| {
        let values = row.iter().map(|(_, value)| short(value));
        values.collect::<Vec<_>>().join(",")
    };
    let mut lines = vec![columns(&rows[0]).join(",")];
    lines.extend(rows.iter().map(line));
    insta::assert_snapshot!(lines.join("\n"), @"
    experiment,machine,run,over,base,value,devices.threads,network,part,base_seconds,seconds,ratio,low,high,n,noise_floor,verdict,reason,marks
    build_flavours,box-a,1,build.flavour,plain,avx512,1,cifar10 im2col,start-up,1.1439,1.1319,1.0055,0.9929,1.0191,8,0.0150,,,
    build_flavours,box-a,1,build.flavour,plain,avx512,1,cifar10 im2col,data,0,0,,,,,,,,
    build_flavours,box-a,1,build.flavour,plain,avx512,1,cifar10 im2col,forward,0.1220,0.0746,1.6268,1.6112,1.6434,8,0.0114,,,
    build_flavours,box-a,1,build.flavour,plain,avx512,1,cifar10 im2col,backward,0.1830,0.1155,1.5766,1.5615,1.5927,8,0.0114,,,
    build_flavours,box-a,1,build.flavour,plain,avx512,1,cifar10 im2col,apply,0.0161,0.0159,1.0042,0.9946,1.0145,8,0.0114,,,
    build_flavours,box-a,1,build.flavour,plain,avx512,1,cifar10 im2col,whole-step,0.3210,0.2060,1.5506,1.5358,1.5664,8,0.0114,faster,,
    build_flavours,box-a,1,build.flavour,plain,avx512,1,cifar10 auto,start-up,1.1379,1.1333,1.0056,0.9915,1.0116,8,0.0150,,,
    build_flavours,box-a,1,build.flavour,plain,avx512,1,cifar10 auto,data,0,0,,,,,,,,
    build_flavours,box-a,1,build.flavour,plain,avx512,1,cifar10 auto,forward,0.1211,0.1198,1.0143,1.0035,1.0188,8,0.0114,,,
    build_flavours,box-a,1,build.flavour,plain,avx512,1,cifar10 auto,backward,0.1817,0.1815,1.0043,0.9936,1.0087,8,0.0114,,,
    build_flavours,box-a,1,build.flavour,plain,avx512,1,cifar10 auto,apply,0.0159,0.0159,1.0043,0.9936,1.0087,8,0.0114,,,
    build_flavours,box-a,1,build.flavour,plain,avx512,1,cifar10 auto,whole-step,0.3188,0.3173,1.0081,0.9973,1.0125,8,0.0114,equivalent,,
    build_flavours,box-a,1,build.flavour,plain,avx512,2,cifar10 im2col,start-up,0.8634,0.8514,1.0053,0.9891,1.0193,8,0.0150,,,
    build_flavours,box-a,1,build.flavour,plain,avx512,2,cifar10 im2col,data,0,0,,,,,,,,
    build_flavours,box-a,1,build.flavour,plain,avx512,2,cifar10 im2col,forward,0.0676,0.0416,1.6249,1.6099,1.6378,8,0.0114,,,
    build_flavours,box-a,1,build.flavour,plain,avx512,2,cifar10 im2col,backward,0.1014,0.0644,1.5748,1.5602,1.5873,8,0.0114,,,
    build_flavours,box-a,1,build.flavour,plain,avx512,2,cifar10 im2col,apply,0.0089,0.0089,1.0030,0.9938,1.0110,8,0.0114,,,
    build_flavours,box-a,1,build.flavour,plain,avx512,2,cifar10 im2col,whole-step,0.1780,0.1148,1.5488,1.5345,1.5611,8,0.0114,faster,,
    build_flavours,box-a,1,build.flavour,plain,avx512,2,cifar10 auto,start-up,0.8511,0.8604,0.9888,0.9804,1.0044,8,0.0150,,,
    build_flavours,box-a,1,build.flavour,plain,avx512,2,cifar10 auto,data,0,0,,,,,,,,
    build_flavours,box-a,1,build.flavour,plain,avx512,2,cifar10 auto,forward,0.0673,0.0671,1.0035,0.9987,1.0125,8,0.0114,,,
    build_flavours,box-a,1,build.flavour,plain,avx512,2,cifar10 auto,backward,0.1009,0.1016,0.9936,0.9888,1.0025,8,0.0114,,,
    build_flavours,box-a,1,build.flavour,plain,avx512,2,cifar10 auto,apply,0.0089,0.0089,0.9936,0.9888,1.0025,8,0.0114,,,
    build_flavours,box-a,1,build.flavour,plain,avx512,2,cifar10 auto,whole-step,0.1770,0.1776,0.9973,0.9925,1.0063,8,0.0114,equivalent,,
    build_flavours,box-b,1,build.flavour,plain,native,1,cifar10 im2col,start-up,1.1438,1.1450,0.9951,,,3,0.0106,,,
    build_flavours,box-b,1,build.flavour,plain,native,1,cifar10 im2col,data,0,0,,,,,,,,
    build_flavours,box-b,1,build.flavour,plain,native,1,cifar10 im2col,forward,0.1216,0.1083,1.1158,,,3,0.0081,,,
    build_flavours,box-b,1,build.flavour,plain,native,1,cifar10 im2col,backward,0.1825,0.1685,1.0760,,,3,0.0081,,,
    build_flavours,box-b,1,build.flavour,plain,native,1,cifar10 im2col,apply,0.0160,0.0160,0.9963,,,3,0.0081,,,
    build_flavours,box-b,1,build.flavour,plain,native,1,cifar10 im2col,whole-step,0.3201,0.2928,1.0864,,,3,0.0081,undecided,cannot decide with n = 3,
    build_flavours,box-b,1,build.flavour,plain,native,2,cifar10 im2col,start-up,0.8649,0.8497,1.0097,,,3,0.0106,,,
    build_flavours,box-b,1,build.flavour,plain,native,2,cifar10 im2col,data,0,0,,,,,,,,
    build_flavours,box-b,1,build.flavour,plain,native,2,cifar10 im2col,forward,0.0678,0.0604,1.1262,,,3,0.0081,,,
    build_flavours,box-b,1,build.flavour,plain,native,2,cifar10 im2col,backward,0.1017,0.0939,1.0859,,,3,0.0081,,,
    build_flavours,box-b,1,build.flavour,plain,native,2,cifar10 im2col,apply,0.0089,0.0089,1.0055,,,3,0.0081,,,
    build_flavours,box-b,1,build.flavour,plain,native,2,cifar10 im2col,whole-step,0.1783,0.1631,1.0964,,,3,0.0081,undecided,cannot decide with n = 3,
    ");
}

#[test]
fn nothing_of_one_machine_is_in_the_block_of_another() {
    let slow = |mut rows: Vec<RepeatRow>| {
        for row in &mut rows {
            let measured = row.measured.as_mut().unwrap();
            measured.step_seconds_median *= 10.0;
            measured
                .phase_seconds
                .iter_mut()
                .for_each(|seconds| *seconds *= 10.0);
        }
        rows
    };
    let rows = flavour_rows(6, &["plain", "avx512"], &["cifar10 im2col"]);
    let table = flavour_table(&[("fast", rows.clone()), ("slow", slow(rows))]);
    let ratios = |block: &Block| {
        let entries = block.rows.iter().flat_map(|row| row.parts.clone());
        let steps = entries.filter(|entry| entry.part != TimePart::StartUp);
        steps
            .map(|entry| entry.ratio.map(|ratio| format!("{:.9}", ratio.median)))
            .collect::<Vec<_>>()
    };
    assert_eq!(ratios(&table.blocks[0]), ratios(&table.blocks[1]));
    let seconds = |block: &Block| block.rows[0].parts[2].base_seconds.median;
    let times = seconds(&table.blocks[1]) / seconds(&table.blocks[0]);
    assert!((times - 10.0).abs() < 1e-9, "{times}");
}

#[test]
fn an_interval_within_the_noise_floor_does_not_stand_out() {
    let rows = |twin: f64| {
        let mut rows = flavour_rows(8, &["plain", "native-lto"], &["cifar10 im2col"]);
        for row in rows.iter_mut().filter(|row| !row.twin_of.is_empty()) {
            row.measured.as_mut().unwrap().phase_seconds[Phase::Forward as usize] *= twin;
        }
        rows
    };
    let quiet = flavour_block("box", &rows(1.0));
    assert_eq!(
        outstanding(&quiet),
        [
            "native-lto, threads 1, cifar10 im2col: forward whole-step",
            "native-lto, threads 2, cifar10 im2col: forward whole-step"
        ]
    );
    // The twin's forward pass is off by more than the ratio of 1.1; other parts have floors of their own.
    let loud = flavour_block("box", &rows(1.2));
    assert!(loud.floor(TimePart::Forward).unwrap() > 0.15);
    assert_eq!(
        loud.floor(TimePart::Backward),
        quiet.floor(TimePart::Backward)
    );
    assert!(
        outstanding(&loud)
            .iter()
            .all(|row| row.ends_with(": whole-step"))
    );
}

#[test]
fn what_differs_unnamed_leaves_a_row_without_a_verdict_and_plain() {
    let rows = flavour_rows(6, &["plain", "avx512"], &["cifar10 im2col"]);
    let summary = Summary::of(&rows);
    let compared = [Compared {
        base: &summary.cells[0],
        other: &summary.cells[1],
        ratio: Estimate::of(&[1.5; 6]).unwrap(),
        hidden: vec!["program is `a` against `b`".into()],
        verdict: None,
    }];
    let story = flavour_story("box");
    let block = Block::of(&story, &summary, &against_plain(), &compared);
    assert_eq!(outstanding(&block), ["avx512, threads 1, cifar10 im2col: "]);
    let row = &block.rows[0];
    assert_eq!(
        (row.verdict_word(), row.reason().as_str()),
        ("no verdict", "program is `a` against `b`")
    );
}

#[test]
fn a_part_that_hardly_takes_time_has_no_ratio_and_exchange_a_column_where_there_is_one() {
    let table = two_machines();
    let data = table.blocks[0].rows[0].entry(TimePart::Data).unwrap();
    assert_eq!((data.ratio, data.base_seconds.median), (None, 0.0));
    assert!(!table.parts().contains(&TimePart::Exchange));

    let mut rows = flavour_rows(6, &["plain", "native"], &["cifar10 auto"]);
    for row in &mut rows {
        let phases = &mut row.measured.as_mut().unwrap().phase_seconds;
        phases[Phase::Wait as usize] = 0.1;
        phases[Phase::Copy as usize] = 0.0015;
    }
    let table = flavour_table(&[("box", rows)]);
    assert!(table.parts().contains(&TimePart::Exchange));
    let row = &table.blocks[0].rows[0];
    let has = |part| row.entry(part).unwrap().ratio.is_some();
    assert_eq!(
        (has(TimePart::Data), has(TimePart::Exchange)),
        (false, true)
    );
}

#[test]
fn cells_with_steps_of_different_size_are_compared_by_examples() {
    let rows = |batch: u64| {
        let batch = batch.to_string();
        RowBuilder::cifar10(1)
            .set("model.local_batch", &batch)
            .repeats(6)
    };
    let mut all = rows(128);
    let mut double = rows(256);
    for row in &mut double {
        let measured = row.measured.as_mut().unwrap();
        measured.examples *= 2;
        measured.step_seconds_median *= 2.0;
        measured
            .phase_seconds
            .iter_mut()
            .for_each(|seconds| *seconds *= 2.0);
    }
    all.extend(double);
    let summary = Summary::of(&all);
    let [base, other] = [0, 1].map(|i| summary.cells[i].figures.clone().unwrap());
    let forward = ratio_of_part(TimePart::Forward, &base, &other).unwrap();
    assert!((forward.median - 1.0).abs() < 1e-9, "{forward:?}");
}

#[test]
fn a_lone_context_is_not_said_and_marks_and_absent_cells_are() {
    let mut rows = flavour_rows(6, &["plain"], &["cifar10 auto"]);
    rows.retain(|row| row.settings["devices.threads"] == "1" && row.twin_of.is_empty());
    let mut marked = cell(6, "native", "cifar10 auto", "1");
    marked
        .iter_mut()
        .for_each(|row| row.marks.push(Mark::Oversubscribed));
    rows.extend(marked);
    rows.extend(
        RowBuilder::cifar10(1)
            .label("cuda | 1")
            .skipped("no GPU is here", 1),
    );
    let summary = Summary::of(&rows);
    let mut story = flavour_story("box");
    for axis in &mut story.axes[1..] {
        axis.labels.truncate(1);
    }
    let verdict = Verdict::Undecided(Doubt::Interval);
    let compared = [Compared {
        base: &summary.cells[0],
        other: &summary.cells[1],
        ratio: Estimate::of(&[1.0; 6]).unwrap(),
        hidden: Vec::new(),
        verdict: Some(verdict),
    }];
    let block = Block::of(&story, &summary, &against_plain(), &compared);
    let text = block.markdown(&[TimePart::WholeStep]);
    insta::assert_snapshot!(text.trim(), @r#"
    ## box: build.flavour against plain

    n = 6, run 1.

    |  | build.flavour | whole step | verdict |
    | --- | --- | ---: | --- |
    |  | native \* | 1.000 [1.000, 1.000] | undecided: the interval holds 1 |

    \* oversubscribed: native

    skipped (no GPU is here): cuda | 1
    "#);
}

#[test]
fn a_machine_without_a_pair_says_so() {
    let rows = RowBuilder::cifar10(1).skipped("no GPU is here", 1);
    let table = flavour_table(&[("box", rows)]);
    let page = table.markdown();
    let (_, block) = page.split_once("## ").unwrap();
    insta::assert_snapshot!(block, @"
    box: build.flavour against plain

    Nothing was measured that could be compared.

    skipped (no GPU is here): 1 device, input on host
    ");
    assert_eq!(table.long_form(), Vec::<crate::analysis::SummaryRow>::new());
}
