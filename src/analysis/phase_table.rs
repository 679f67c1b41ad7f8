//! In: pairs of cells that were measured in the same blocks of one run, and what was decided on each.
//! Out: how many times as fast each part of their time is, machine by machine. Pure: who is compared with
//! whom is decided elsewhere, and nothing here ever looks at two machines together.

mod long_form;
mod markdown;
mod part;

use crate::analysis::absent::absent;
use crate::analysis::estimate::Estimate;
use crate::analysis::noise::floor_of;
use crate::analysis::scaling::spoken;
use crate::analysis::story::{AxisStory, ComparisonStory, Story};
use crate::analysis::summary::{CellSummary, Figures, Summary};
use crate::analysis::verdict::Verdict;
use crate::analysis::wording::list;
use crate::terms::Mark;
use std::collections::BTreeSet;
use strum::VariantArray;

pub use part::TimePart;

/// Everything that one experiment compares, on all machines that measured it.
#[derive(Clone, Debug, PartialEq)]
pub struct PhaseTable {
    pub experiment: String,
    pub question: String,
    pub blocks: Vec<Block>,
}

/// One declared comparison in one run on one machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    pub machine: String,
    pub run: u32,
    pub comparison: ComparisonStory,
    /// Of each part that has one: how far two equal cells differ, as a share.
    pub floors: Vec<(TimePart, f64)>,
    /// By context, then by value, both in declared order.
    pub rows: Vec<PhaseRow>,
    /// Cells without figures, with the reasons.
    pub absent: Vec<String>,
}

/// One cell against its base.
#[derive(Clone, Debug, PartialEq)]
pub struct PhaseRow {
    pub value: String,
    /// Every other axis of the experiment with the cell's value.
    pub axes: Vec<(String, String)>,
    /// What else tells the row: values of the axes that have several.
    pub context: String,
    /// On the whole step; none where something differs that was not named.
    pub verdict: Option<Verdict>,
    /// What differs and was not named, in words.
    pub hidden: Vec<String>,
    /// Of the cell or its base.
    pub marks: BTreeSet<Mark>,
    /// One for each [`TimePart`], in their order.
    pub parts: Vec<PhaseEntry>,
}

/// One part of the time of two cells.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PhaseEntry {
    pub part: TimePart,
    pub base_seconds: Estimate,
    pub seconds: Estimate,
    /// How many times as fast as the base, for the same examples: above 1 is faster. None where the part
    /// hardly takes any of the base's step.
    pub ratio: Option<Estimate>,
    /// Whether it differs from 1 by more than noise. Of the whole step the verdict says it; of any other
    /// part an interval that lies wholly outside the part's noise floor.
    pub stands_out: bool,
}

/// Two cells of one run that are compared.
#[derive(Clone, Debug)]
pub struct Compared<'a> {
    pub base: &'a CellSummary,
    pub other: &'a CellSummary,
    /// Of the rates of whole steps, as the verdict rests on it.
    pub ratio: Estimate,
    pub hidden: Vec<String>,
    pub verdict: Option<Verdict>,
}

impl PhaseTable {
    /// The parts that are worth a column: between replicas only where something is exchanged.
    pub fn parts(&self) -> Vec<TimePart> {
        let entries = self.blocks.iter().flat_map(|block| &block.rows);
        let mut entries = entries.flat_map(|row| &row.parts);
        let exchanges = entries.any(|entry| {
            let seconds = entry.base_seconds.median + entry.seconds.median;
            entry.part == TimePart::Exchange && seconds > 0.0
        });
        let shown = TimePart::VARIANTS.iter().copied();
        shown
            .filter(|part| exchanges || *part != TimePart::Exchange)
            .collect()
    }
}

impl Block {
    /// The block of one declared comparison: what was `compared` for it, of cells of `summary`.
    pub fn of(
        story: &Story,
        summary: &Summary,
        comparison: &ComparisonStory,
        compared: &[Compared],
    ) -> Block {
        let over = &comparison.over;
        let floors = floors(summary);
        let axes: Vec<&AxisStory> = story
            .axes
            .iter()
            .filter(|axis| !axis.carries(over))
            .collect();
        let value = |cell: &CellSummary| cell.value(over).unwrap_or(&cell.label).to_owned();
        let mut compared: Vec<&Compared> = compared.iter().collect();
        compared.sort_by_key(|pair| {
            let place = story.axes.iter().find(|axis| axis.carries(over));
            let place = place.map_or(0, |axis| axis.rank(&value(pair.other)));
            (ranks(&axes, pair.other), place)
        });
        let rows = compared.into_iter().filter_map(|pair| {
            Some(PhaseRow {
                value: value(pair.other),
                axes: values(&axes, pair.other),
                context: context(story, &axes, pair.other),
                verdict: pair.verdict,
                hidden: pair.hidden.clone(),
                marks: marks(pair),
                parts: entries(pair, &floors)?,
            })
        });
        Block {
            machine: story.machine.clone(),
            run: summary.run,
            comparison: comparison.clone(),
            rows: rows.collect(),
            absent: absent(summary),
            floors,
        }
    }

    /// `build.flavour against plain`, with what both cells have where not all cells are compared.
    pub fn title(&self) -> String {
        let ComparisonStory { over, base, only } = &self.comparison;
        let only: Vec<String> = only
            .iter()
            .map(|(key, value)| format!("{key} {value}"))
            .collect();
        match only.is_empty() {
            true => format!("{over} against {base}"),
            false => format!("{over} against {base} where {}", list(&only)),
        }
    }

    pub fn floor(&self, part: TimePart) -> Option<f64> {
        let found = self.floors.iter().find(|(of, _)| *of == part);
        found.map(|(_, floor)| *floor)
    }

    /// `n = 6`, or `n = 5 to 6` where pairs share different numbers of blocks.
    pub fn counts(&self) -> String {
        let whole = self
            .rows
            .iter()
            .filter_map(|row| row.entry(TimePart::WholeStep)?.ratio);
        let ns: BTreeSet<usize> = whole.map(|ratio| ratio.n).collect();
        match (ns.first(), ns.last()) {
            (Some(low), Some(high)) if low != high => format!("n = {low} to {high}"),
            (low, _) => format!("n = {}", low.unwrap_or(&0)),
        }
    }
}

impl PhaseRow {
    pub fn entry(&self, part: TimePart) -> Option<&PhaseEntry> {
        self.parts.iter().find(|entry| entry.part == part)
    }

    /// Why the verdict is not a plain one: a doubt, or what differs besides. Empty for others.
    pub fn reason(&self) -> String {
        match self.verdict {
            Some(Verdict::Undecided(doubt)) => doubt.to_string(),
            Some(_) => String::new(),
            None => self.hidden.join("; "),
        }
    }

    /// `faster`, or `no verdict`.
    pub fn verdict_word(&self) -> &'static str {
        self.verdict.map_or("no verdict", Verdict::word)
    }
}

fn floors(summary: &Summary) -> Vec<(TimePart, f64)> {
    let floor = |part: &TimePart| {
        let floor = floor_of(summary, |m| part.rate(m))?;
        let counts = part.counts(floor.original.figures.as_ref()?);
        (counts && floor.half_width.is_finite()).then_some((*part, floor.half_width))
    };
    TimePart::VARIANTS.iter().filter_map(floor).collect()
}

fn values(axes: &[&AxisStory], cell: &CellSummary) -> Vec<(String, String)> {
    let value = |axis: &&AxisStory| {
        let value = axis.value_of(cell).unwrap_or("");
        (axis.name.clone(), value.to_owned())
    };
    axes.iter().map(value).collect()
}

fn ranks(axes: &[&AxisStory], cell: &CellSummary) -> Vec<usize> {
    let rank = |axis: &&AxisStory| {
        let value = axis.value_of(cell);
        value.map_or(usize::MAX, |value| axis.rank(value))
    };
    axes.iter().map(rank).collect()
}

/// `cifar10 im2col, threads 1`; the label of a case, which has no place along the axes.
fn context(story: &Story, axes: &[&AxisStory], cell: &CellSummary) -> String {
    if story.cases.contains(&cell.label) {
        return cell.label.clone();
    }
    let several = axes.iter().filter(|axis| axis.labels.len() > 1);
    let words = several.filter_map(|axis| Some(spoken(axis, axis.value_of(cell)?)));
    words.collect::<Vec<_>>().join(", ")
}

fn marks(pair: &Compared) -> BTreeSet<Mark> {
    let cells = [pair.base, pair.other].into_iter();
    cells.flat_map(|cell| cell.marks.keys().copied()).collect()
}

fn entries(pair: &Compared, floors: &[(TimePart, f64)]) -> Option<Vec<PhaseEntry>> {
    let (base, other) = (pair.base.figures.as_ref()?, pair.other.figures.as_ref()?);
    let entry = |part: &TimePart| {
        let ratio = match part {
            TimePart::WholeStep => Some(pair.ratio),
            _ => ratio_of_part(*part, base, other),
        };
        let floor = floors.iter().find(|(of, _)| of == part);
        let decided = matches!(pair.verdict, Some(Verdict::Faster | Verdict::Slower));
        PhaseEntry {
            part: *part,
            base_seconds: base.estimate(|m| part.seconds(m)),
            seconds: other.estimate(|m| part.seconds(m)),
            ratio,
            stands_out: match part {
                TimePart::WholeStep => decided,
                _ => pair.hidden.is_empty() && is_outside(ratio, floor.map_or(0.0, |(_, f)| *f)),
            },
        }
    };
    Some(TimePart::VARIANTS.iter().map(entry).collect())
}

/// How many times as fast a part is, paired by block.
fn ratio_of_part(part: TimePart, base: &Figures, other: &Figures) -> Option<Estimate> {
    if !part.counts(base) {
        return None;
    }
    let (over, under) = (
        other.by_block(|m| part.rate(m)),
        base.by_block(|m| part.rate(m)),
    );
    let ratio = Estimate::ratio(&over, &under)?;
    (ratio.median.is_finite() && ratio.median > 0.0).then_some(ratio)
}

/// Whether the whole interval is farther from 1 than the floor, in the same proportion up and down.
fn is_outside(ratio: Option<Estimate>, floor: f64) -> bool {
    let ends = ratio.and_then(|ratio| Some((ratio.low?, ratio.high?)));
    ends.is_some_and(|(low, high)| low > 1.0 + floor || high < 1.0 / (1.0 + floor))
}

#[cfg(test)]
mod tests;
