//! What layout alone does to a ratio. In: compared pairs of one run whose flavours were built several
//! times. Out: text with the ratio of each build, and whether builds differ by more than noise.

use super::process::rate;
use super::sides::{Line, Part};
use crate::analysis::Figures;
use crate::commands::report::write_wrapped;
use crate::stats::{self, Block, CONFIDENCE};
use anyhow::Result;
use std::collections::BTreeMap;
use std::io::Write;

/// Over fewer builds intervals cover the ratio of another build too rarely.
const ENOUGH: usize = 3;
/// More comparisons are counted and not named.
const MOST_LINES: usize = 12;

/// Writes a line for each comparison over several builds; nothing where each flavour was built once.
///
/// # Errors
/// `out` cannot be written.
pub fn print(out: &mut dyn Write, parts: &[Part], noise_floor: Option<f64>) -> Result<()> {
    let of_one_run = parts.iter().filter(|part| part.sides.is_one_run());
    let lines = of_one_run.flat_map(|part| &part.lines);
    let told: Vec<(&str, Ratios)> = lines.filter_map(of_line).collect();
    let Some(builds) = told.iter().map(|(_, ratios)| ratios.0.len()).max() else {
        return Ok(());
    };
    let blocks = told.iter().map(|(_, ratios)| ratios.blocks()).min();
    let mut head =
        format!("by build, of {builds} that differ in where the linker has put their functions");
    if builds < ENOUGH || blocks < Some(stats::BOOTSTRAP_FROM) {
        head += &format!(
            " (intervals cover what another build would give from {ENOUGH} builds and {} blocks up)",
            stats::BOOTSTRAP_FROM
        );
    }
    write_wrapped(out, &format!("{head}:"), "  ")?;
    for (label, ratios) in told.iter().take(MOST_LINES) {
        let said = ratios.said(noise_floor.unwrap_or(0.0));
        write_wrapped(out, &format!("{label}: {said}"), "  ")?;
    }
    match told.len().saturating_sub(MOST_LINES) {
        0 => {}
        more => writeln!(out, "and {more} more")?,
    }
    Ok(())
}

/// The ratios of each build's blocks, in the order of builds.
struct Ratios(Vec<Vec<f64>>);

/// None where all blocks are of one build.
fn of_line<'a>(line: &Line<'a>) -> Option<(&'a str, Ratios)> {
    let by_block = |figures: &Figures| figures.by_block(rate);
    let over = by_block(line.other.figures.as_ref()?);
    let under = by_block(line.base.figures.as_ref()?);
    let ratios = Ratios::of(&stats::blocks(&over, &under));
    (ratios.0.len() > 1).then_some((line.other.label.as_str(), ratios))
}

impl Ratios {
    fn of(blocks: &[Block]) -> Self {
        let mut builds: BTreeMap<u32, Vec<f64>> = BTreeMap::new();
        for block in blocks {
            let ratio = block.over[0] / block.under[0];
            builds.entry(block.build).or_default().push(ratio);
        }
        Self(builds.into_values().collect())
    }

    fn blocks(&self) -> usize {
        self.0.iter().map(Vec::len).sum()
    }

    /// `1.012, 0.987: layout alone moves the ratio by 2.5 %`.
    fn said(&self, noise_floor: f64) -> String {
        let mut builds: Vec<(f64, &Vec<f64>)> = self.0.iter().map(|r| (middle(r), r)).collect();
        let ratios: Vec<String> = builds.iter().map(|(m, _)| format!("{m:.3}")).collect();
        builds.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (lowest, highest) = (builds[0], builds[builds.len() - 1]);
        let apart = highest.0 / lowest.0 - 1.0;
        let verdict = match self.p(lowest.1, highest.1) {
            None => "too few blocks of each to tell layout from noise".to_owned(),
            Some(p) if p <= 1.0 - CONFIDENCE && apart > noise_floor => {
                format!("layout alone moves the ratio by {:.1} %", 100.0 * apart)
            }
            Some(_) => "no farther apart than noise".to_owned(),
        };
        format!("{}: {verdict}", ratios.join(", "))
    }

    /// How probable two builds so far apart are where layout does nothing, of all pairs of builds
    /// (Bonferroni); none where their blocks are too few to tell.
    fn p(&self, lowest: &[f64], highest: &[f64]) -> Option<f64> {
        let builds = self.0.len();
        let pairs = (builds * (builds - 1) / 2) as f64;
        let tested = stats::unpaired_ratio(highest, lowest)?;
        Some((tested.p * pairs).min(1.0))
    }
}

fn middle(ratios: &[f64]) -> f64 {
    stats::median(ratios).expect("each build has a block")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `n` blocks in turn of builds with these ratios, each off by at most half a per cent.
    fn said(n: usize, builds: &[f64], noise_floor: f64) -> String {
        let block = |i: usize| {
            let off = 0.005 * ((i * 7 % 10) as f64 / 4.5 - 1.0);
            Block {
                block: i as u32,
                build: (i % builds.len()) as u32 + 1,
                over: vec![builds[i % builds.len()] * (1.0 + off)],
                under: vec![1.0],
            }
        };
        let blocks: Vec<Block> = (0..n).map(block).collect();
        Ratios::of(&blocks).said(noise_floor)
    }

    #[test]
    fn builds_that_disagree_by_more_than_noise_are_told_from_those_that_do_not() {
        let told = [
            said(20, &[1.02, 0.99], 0.01),
            said(20, &[1.02, 0.99], 0.05),
            said(20, &[1.0, 1.0], 0.0),
            said(6, &[1.02, 0.99], 0.01),
        ];
        insta::assert_debug_snapshot!(told, @r#"
        [
            "1.019, 0.991: layout alone moves the ratio by 2.9 %",
            "1.019, 0.991: no farther apart than noise",
            "0.999, 1.001: no farther apart than noise",
            "1.019, 0.991: too few blocks of each to tell layout from noise",
        ]
        "#);
    }
}
