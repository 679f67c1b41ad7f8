//! The heat map of what an experiment compares.

use super::*;
use crate::analysis::phase_table::PhaseTable;
use crate::analysis::sample_flavours::{FLAVOURS, NETWORKS, flavour_rows, flavour_table};
use crate::chart::heat::{HeatRow, Tint, figure};

/// All that the picture says, a line for each thing.
fn outline(map: &HeatMap) -> String {
    let mut lines = vec![
        map.title.clone(),
        map.subtitle.clone(),
        format!("{}; full from {}", map.columns.join(", "), map.limit),
    ];
    for block in &map.blocks {
        lines.push(block.title.clone());
        lines.push(format!("  floors: {}", block.floors.join(", ")));
        lines.extend(block.rows.iter().map(row_line));
    }
    lines.extend(map.notes.iter().map(|note| format!("note: {note}")));
    lines.join("\n")
}

fn row_line(row: &HeatRow) -> String {
    let boxes = row.boxes.iter().map(|one| {
        let tint = match one.tint {
            Tint::Empty => "empty",
            Tint::Noise => "grey",
            Tint::Ratio(ratio) if ratio > 1.0 => "blue",
            Tint::Ratio(_) => "orange",
        };
        format!("{} {} {tint}", one.ratio, one.interval)
            .trim()
            .to_owned()
    });
    let boxes = boxes.collect::<Vec<_>>().join("; ");
    format!("  {} | {}: {boxes}; {}", row.group, row.label, row.verdict)
}

/// One row on one machine, few on three, and all flavours of all networks.
pub fn tables() -> [PhaseTable; 3] {
    let one = flavour_rows(3, &["plain", "checked"], &NETWORKS[..1]);
    let few = |n| {
        let mut rows = flavour_rows(n, &["plain", "avx512", "checked"], &NETWORKS[..2]);
        rows[0].marks.push(Mark::Oversubscribed);
        rows.extend(
            RowBuilder::cifar10(1)
                .label("cuda")
                .skipped("no GPU is here", 1),
        );
        rows
    };
    let all = flavour_rows(10, &FLAVOURS, &NETWORKS);
    [
        flavour_table(&[("", one)]),
        flavour_table(&[
            ("intel-xeon-2-cores", few(8)),
            ("amd-epyc-8-cores", few(6)),
            ("laptop", few(2)),
        ]),
        flavour_table(&[("intel-xeon-2-cores", all)]),
    ]
}

#[test]
fn boxes_have_colours_where_ratios_stand_out_and_each_machine_a_block() {
    insta::assert_snapshot!(outline(&figure(&tables()[1]).unwrap()), @"
    build_flavours: how many times as fast, part by part
    time of the base over time of the other, for the same examples: above 1 is faster · paired by block, with the 95 % interval of each ratio
    start-up and first step, data, forward, backward, apply, whole step; full from 2
    intel-xeon-2-cores: build.flavour against plain, n = 8
      floors: ± 1.5 %, , ± 1.1 %, ± 1.1 %, ± 1.1 %, ± 1.1 %
      threads 1, cifar10 im2col | avx512 *: 1.005 [0.993, 1.019] grey; empty; 1.627 [1.611, 1.643] blue; 1.577 [1.562, 1.593] blue; 1.004 [0.995, 1.014] grey; 1.551 [1.536, 1.566] blue; faster
      threads 1, cifar10 im2col | checked *: 0.998 [0.993, 1.004] grey; empty; 0.709 [0.706, 0.712] orange; 0.829 [0.825, 0.833] orange; 0.998 [0.995, 1.003] grey; 0.785 [0.782, 0.789] orange; slower
      threads 1, cifar10 auto | avx512: 1.006 [0.992, 1.012] grey; empty; 1.014 [1.004, 1.019] grey; 1.004 [0.994, 1.009] grey; 1.004 [0.994, 1.009] grey; 1.008 [0.997, 1.013] grey; equivalent
      threads 1, cifar10 auto | checked: 1.000 [0.990, 1.006] grey; empty; 0.710 [0.705, 0.713] orange; 0.830 [0.824, 0.834] orange; 1.000 [0.993, 1.004] grey; 0.786 [0.780, 0.790] orange; slower
      threads 2, cifar10 im2col | avx512: 1.005 [0.989, 1.019] grey; empty; 1.625 [1.610, 1.638] blue; 1.575 [1.560, 1.587] blue; 1.003 [0.994, 1.011] grey; 1.549 [1.534, 1.561] blue; faster
      threads 2, cifar10 im2col | checked: 1.004 [0.991, 1.018] grey; empty; 0.712 [0.706, 0.717] orange; 0.832 [0.826, 0.838] orange; 1.002 [0.995, 1.010] grey; 0.788 [0.782, 0.794] orange; slower
      threads 2, cifar10 auto | avx512: 0.989 [0.980, 1.004] grey; empty; 1.003 [0.999, 1.013] grey; 0.994 [0.989, 1.003] grey; 0.994 [0.989, 1.003] grey; 0.997 [0.993, 1.006] grey; equivalent
      threads 2, cifar10 auto | checked: 0.997 [0.983, 1.013] grey; empty; 0.709 [0.703, 0.715] orange; 0.829 [0.822, 0.836] orange; 0.998 [0.990, 1.008] grey; 0.785 [0.779, 0.792] orange; slower
    amd-epyc-8-cores: build.flavour against plain, n = 6
      floors: ± 1.6 %, , ± 1.2 %, ± 1.2 %, ± 1.2 %, ± 1.2 %
      threads 1, cifar10 im2col | avx512 *: 1.006 [0.993, 1.025] grey; empty; 1.627 [1.611, 1.651] blue; 1.577 [1.562, 1.600] blue; 1.004 [0.995, 1.019] grey; 1.551 [1.536, 1.574] blue; faster
      threads 1, cifar10 im2col | checked *: 0.998 [0.989, 1.010] grey; empty; 0.709 [0.704, 0.715] orange; 0.829 [0.823, 0.836] orange; 0.999 [0.991, 1.007] grey; 0.785 [0.779, 0.792] orange; slower
      threads 1, cifar10 auto | avx512: 1.006 [0.999, 1.017] grey; empty; 1.015 [1.009, 1.023] grey; 1.005 [0.999, 1.013] grey; 1.005 [0.999, 1.013] grey; 1.008 [1.003, 1.017] grey; equivalent
      threads 1, cifar10 auto | checked: 0.997 [0.984, 1.009] grey; empty; 0.708 [0.702, 0.715] orange; 0.828 [0.820, 0.836] orange; 0.998 [0.988, 1.007] grey; 0.784 [0.777, 0.792] orange; slower
      threads 2, cifar10 im2col | avx512: 1.008 [0.977, 1.029] grey; empty; 1.627 [1.599, 1.646] blue; 1.577 [1.549, 1.596] blue; 1.005 [0.987, 1.016] grey; 1.551 [1.524, 1.569] blue; faster
      threads 2, cifar10 im2col | checked: 1.006 [0.994, 1.025] grey; empty; 0.712 [0.708, 0.720] orange; 0.833 [0.827, 0.842] orange; 1.003 [0.996, 1.015] grey; 0.789 [0.783, 0.798] orange; slower
      threads 2, cifar10 auto | avx512: 0.987 [0.976, 1.017] grey; empty; 1.003 [0.996, 1.020] grey; 0.993 [0.986, 1.010] grey; 0.993 [0.986, 1.010] grey; 0.996 [0.990, 1.014] grey; equivalent
      threads 2, cifar10 auto | checked: 0.992 [0.976, 1.014] grey; empty; 0.707 [0.700, 0.716] orange; 0.826 [0.819, 0.837] orange; 0.996 [0.986, 1.008] grey; 0.783 [0.776, 0.792] orange; slower
    laptop: build.flavour against plain, n = 2
      floors: ± 0.3 %, , ± 0.2 %, ± 0.2 %, ± 0.2 %, ± 0.2 %
      threads 1, cifar10 im2col | avx512 *: 1.004  grey; empty; 1.625  grey; 1.575  grey; 1.003  grey; 1.549  grey; undecided
      threads 1, cifar10 im2col | checked *: 1.004  grey; empty; 0.712  grey; 0.832  grey; 1.003  grey; 0.788  grey; undecided
      threads 1, cifar10 auto | avx512: 1.002  grey; empty; 1.012  grey; 1.002  grey; 1.002  grey; 1.005  grey; undecided
      threads 1, cifar10 auto | checked: 1.003  grey; empty; 0.711  grey; 0.832  grey; 1.002  grey; 0.788  grey; undecided
      threads 2, cifar10 im2col | avx512: 1.018  grey; empty; 1.637  grey; 1.586  grey; 1.010  grey; 1.560  grey; undecided
      threads 2, cifar10 im2col | checked: 1.021  grey; empty; 0.718  grey; 0.840  grey; 1.012  grey; 0.795  grey; undecided
      threads 2, cifar10 auto | avx512: 0.986  grey; empty; 1.002  grey; 0.992  grey; 0.992  grey; 0.996  grey; undecided
      threads 2, cifar10 auto | checked: 0.988  grey; empty; 0.705  grey; 0.825  grey; 0.993  grey; 0.781  grey; undecided
    note: whole step: coloured where the verdict is faster or slower; all verdicts of a machine hold together at 95 % (max-T)
    note: other parts, on which there is no verdict: coloured where their whole interval, which holds by itself, lies outside their noise floor, or on one side of 1 where no A/A twin tells the floor
    note: * the cell or its base is oversubscribed
    note: intel-xeon-2-cores: skipped (no GPU is here): cuda
    note: amd-epyc-8-cores: skipped (no GPU is here): cuda
    note: laptop: undecided: cannot decide with n = 2 (8 rows)
    note: laptop: skipped (no GPU is here): cuda
    ");
}

#[test]
fn a_floor_above_a_ratio_makes_its_box_grey_and_what_differs_unnamed_the_whole_row() {
    let mut table = tables()[2].clone();
    let tints = |table: &PhaseTable| -> Vec<bool> {
        let map = figure(table).unwrap();
        let row = map.blocks[0]
            .rows
            .iter()
            .find(|row| row.label == "avx512")
            .unwrap();
        let coloured = row
            .boxes
            .iter()
            .map(|one| matches!(one.tint, Tint::Ratio(_)));
        coloured.collect()
    };
    assert_eq!(tints(&table), [false, false, true, true, false, true]);
    for entry in &mut table.blocks[0].rows[1].parts {
        entry.stands_out = false;
    }
    table.blocks[0].rows[1].verdict = None;
    table.blocks[0].rows[1].hidden = vec!["threads is 1 against 2".into()];
    assert_eq!(tints(&table), [false; 6]);
    let notes = figure(&table).unwrap().notes;
    assert_eq!(
        notes[2],
        "no verdict: unnamed differences: threads is 1 against 2 (1 row)"
    );
}

#[test]
fn colours_are_full_at_the_next_limit_and_far_ratios_share_the_last() {
    let with = |ratio: f64| {
        let mut table = tables()[0].clone();
        let entry = &mut table.blocks[0].rows[0].parts[2];
        entry.stands_out = true;
        entry.ratio.as_mut().unwrap().median = ratio;
        figure(&table).unwrap().limit
    };
    assert_eq!([1.02, 0.85, 1.9, 0.1].map(with), [1.1, 1.25, 2.0, 4.0]);
}

#[test]
fn nothing_compared_is_no_picture_and_says_why() {
    let rows = RowBuilder::cifar10(1)
        .label("cuda")
        .skipped("no GPU is here", 1);
    let table = flavour_table(&[("box", rows)]);
    let none = figure(&table).unwrap_err();
    insta::assert_snapshot!(none, @"nothing to compare: skipped (no GPU is here): cuda");
    let none = figure(&PhaseTable {
        blocks: Vec::new(),
        ..table
    })
    .unwrap_err();
    insta::assert_snapshot!(none, @"nothing to compare: no completed cell has a completed base");
}

#[test]
fn a_heat_map_is_drawn_as_other_charts_are() {
    let map = figure(&tables()[2]).unwrap();
    let svg = draw::svg(&map).unwrap();
    assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"));
    assert!(
        svg.contains("sat-seq2seq") && svg.contains("noise floor"),
        "{svg}"
    );
    assert_eq!(svg, draw::svg(&map).unwrap());
}
