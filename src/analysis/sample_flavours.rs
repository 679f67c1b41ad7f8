//! Hand-made rows for tests: flavours of two networks with one thread and two, and an A/A twin, each part of a
//! step as fast as its flavour makes it, give or take a fixed pattern.

use crate::analysis::phase_table::{Block, Compared, PhaseTable, TimePart};
use crate::analysis::sample_rows::RowBuilder;
use crate::analysis::verdict::{Comparison, decide};
use crate::analysis::{AxisStory, CellSummary, ComparisonStory, Story, Summary};
use crate::table::RepeatRow;
use crate::terms::Phase;

pub const FLAVOURS: [&str; 5] = ["plain", "native", "avx512", "native-lto", "checked"];
pub const NETWORKS: [&str; 3] = ["cifar10 im2col", "cifar10 auto", "sat-seq2seq"];

/// All of them on one machine: `n` blocks of flavours and networks, as many as are asked for.
pub fn flavour_rows(n: u32, flavours: &[&str], networks: &[&str]) -> Vec<RepeatRow> {
    let mut rows = Vec::new();
    for threads in ["1", "2"] {
        for network in networks {
            for flavour in flavours {
                rows.extend(cell(n, flavour, network, threads));
            }
        }
    }
    let mut twin = builder(flavours[0], networks[0], "1")
        .twin_of(&rows[0])
        .repeats(n);
    disturb(&mut twin, 7);
    rows.extend(twin);
    rows
}

fn builder(flavour: &str, network: &str, threads: &str) -> RowBuilder {
    let rate = 400.0 * if threads == "2" { 1.8 } else { 1.0 };
    RowBuilder::cifar10(1)
        .rate(rate)
        .phase(Phase::Apply, 0.05)
        .set("build.flavour", flavour)
        .set("devices.threads", threads)
        .axis("network", network)
        .set(
            "model.convolution",
            network.rsplit(' ').next().unwrap_or(network),
        )
        .label(&format!("{flavour}, {network}, {threads}"))
}

/// One cell, with its passes as fast as the flavour makes those of the network.
pub fn cell(n: u32, flavour: &str, network: &str, threads: &str) -> Vec<RepeatRow> {
    let (forward, backward) = match (flavour, network) {
        ("native", "cifar10 im2col") => (1.12, 1.08),
        ("avx512", "cifar10 im2col") => (1.62, 1.57),
        ("avx512", _) => (1.01, 1.0),
        ("native-lto", _) => (1.1, 1.004),
        ("checked", _) => (0.71, 0.83),
        _ => (1.0, 1.0),
    };
    let mut rows = builder(flavour, network, threads).repeats(n);
    for row in &mut rows {
        quicken(row, Phase::Forward, forward);
        quicken(row, Phase::Backward, backward);
    }
    disturb(&mut rows, seed(&[flavour, network, threads]));
    rows
}

fn seed(names: &[&str]) -> u32 {
    let bytes = names.iter().flat_map(|name| name.bytes());
    bytes.fold(0, |sum, byte| (31 * sum + u32::from(byte)) % 9973)
}

/// Makes one phase of a row `factor` times as fast, and the step with it.
pub fn quicken(row: &mut RepeatRow, phase: Phase, factor: f64) {
    let measured = row.measured.as_mut().unwrap();
    let seconds = measured.phase_seconds[phase as usize];
    measured.phase_seconds[phase as usize] = seconds / factor;
    measured.step_seconds_median += seconds / factor - seconds;
}

/// Makes all times of each row up to one per cent longer or shorter, without a pattern that cells share.
fn disturb(rows: &mut [RepeatRow], seed: u32) {
    for row in rows {
        let place = f64::from(row.block) * 12.9898 + f64::from(seed) * 78.233;
        let off = 0.02 * ((place.sin() * 43758.5453).rem_euclid(1.0) - 0.5);
        let measured = row.measured.as_mut().unwrap();
        let phases = measured.phase_seconds.iter_mut();
        phases.for_each(|seconds| *seconds *= 1.0 + off);
        measured.step_seconds_median *= 1.0 + off;
        measured.startup_seconds *= 1.0 + 3.0 * off;
    }
}

pub fn flavour_story(machine: &str) -> Story {
    let axis = |name: &str, settings: &[&str], labels: &[&str]| AxisStory {
        name: name.into(),
        settings: settings.iter().map(|s| s.to_string()).collect(),
        labels: labels.iter().map(|s| s.to_string()).collect(),
    };
    Story {
        name: "build_flavours".into(),
        question: "Is the optimised build slower?".into(),
        machine: machine.into(),
        axes: vec![
            axis("build.flavour", &["build.flavour"], &FLAVOURS),
            axis("devices.threads", &["devices.threads"], &["1", "2"]),
            axis("network", &["model.name", "model.convolution"], &NETWORKS),
        ],
        comparisons: vec![against_plain()],
        ..Story::default()
    }
}

pub fn against_plain() -> ComparisonStory {
    ComparisonStory {
        over: "build.flavour".into(),
        base: "plain".into(),
        only: Vec::new(),
    }
}

/// Every flavour against plain, as `xrun compare` pairs and decides them.
pub fn flavour_block(machine: &str, rows: &[RepeatRow]) -> Block {
    let summary = Summary::of(rows);
    let is = |cell: &CellSummary, flavour| cell.value("build.flavour") == Some(flavour);
    let like = |a: &CellSummary, b: &CellSummary| {
        let keys = ["network", "devices.threads"];
        keys.iter().all(|key| a.value(key) == b.value(key))
    };
    let others = summary.originals().filter(|cell| !is(cell, "plain"));
    let pairs: Vec<_> = others
        .filter_map(|other| {
            let mut plain = summary.originals().filter(|cell| is(cell, "plain"));
            let base = plain.find(|base| like(base, other))?;
            Some((base, other, whole(base, other)?))
        })
        .collect();
    let family: Vec<Comparison> = pairs.iter().map(|(.., whole)| whole.clone()).collect();
    let verdicts = decide(&family, None);
    let compared = pairs
        .iter()
        .zip(verdicts)
        .map(|((base, other, whole), verdict)| Compared {
            base,
            other,
            ratio: whole.ratio,
            hidden: Vec::new(),
            verdict: Some(verdict),
        });
    let compared: Vec<_> = compared.collect();
    Block::of(
        &flavour_story(machine),
        &summary,
        &against_plain(),
        &compared,
    )
}

fn whole(base: &CellSummary, other: &CellSummary) -> Option<Comparison> {
    let rates = |cell: &CellSummary| {
        let figures = cell.figures.as_ref()?;
        Some(figures.by_block(|m| TimePart::WholeStep.rate(m)))
    };
    Comparison::by_block(&rates(other)?, &rates(base)?)
}

/// The table of several machines.
pub fn flavour_table(machines: &[(&str, Vec<RepeatRow>)]) -> PhaseTable {
    let story = flavour_story("");
    let block = |(machine, rows): &(&str, Vec<RepeatRow>)| flavour_block(machine, rows);
    PhaseTable {
        experiment: story.name,
        question: story.question,
        blocks: machines.iter().map(block).collect(),
    }
}
