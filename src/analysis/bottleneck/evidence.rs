//! In: the figures of one cell. Out: which part of the step dominates it, or why none can be named.

use crate::analysis::summary::Figures;
use crate::analysis::wording::percent;
use crate::terms::Phase;

/// Phases that have one cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Input,
    Distortion,
    Exchange,
    Compute,
}

/// What the shares of one cell support.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reading {
    Dominant(Part),
    /// No part is large enough to be the cause.
    Spread,
    /// The interval of this part's share holds its threshold.
    Straddles(Part),
    /// Fewer repeats than an interval needs.
    TooFew,
    NoPhases,
}

/// Parts that a faster device would not shorten, so that a smaller share of them already bounds.
const OVERHEADS: [Part; 3] = [Part::Input, Part::Distortion, Part::Exchange];

impl Part {
    pub const ALL: [Part; 4] = [Part::Input, Part::Distortion, Part::Exchange, Part::Compute];

    pub fn phases(self) -> &'static [Phase] {
        match self {
            Part::Input => &[Phase::InputWait],
            Part::Distortion => &[Phase::Distort],
            Part::Exchange => &[Phase::Pull, Phase::Push, Phase::Exchange, Phase::Wait],
            Part::Compute => &[Phase::Forward, Phase::Backward, Phase::Apply],
        }
    }

    pub fn noun(self) -> &'static str {
        match self {
            Part::Input => "input wait",
            Part::Distortion => "distortion",
            Part::Exchange => "exchange",
            Part::Compute => "compute",
        }
    }

    /// The share of the step from which a part is a cause. Any lasting wait behind a queue that is
    /// filled ahead means that its source is the slower side, so a tenth is enough there; work inside
    /// the step must be a quarter of it, and compute must outweigh all else.
    pub fn threshold(self) -> f64 {
        match self {
            Part::Input => 0.10,
            Part::Distortion | Part::Exchange => 0.25,
            Part::Compute => 0.60,
        }
    }
}

/// Reads the shares of one cell.
pub fn read(figures: &Figures) -> Reading {
    if figures.phase_seconds().iter().sum::<f64>() <= 0.0 {
        return Reading::NoPhases;
    }
    let share = |part: Part| figures.share(part.phases());
    if share(Part::Compute).low.is_none() {
        return Reading::TooFew;
    }
    let above = |part: &Part| share(*part).low.is_some_and(|low| low >= part.threshold());
    let reaches = |part: &Part| {
        share(*part)
            .high
            .is_some_and(|high| high >= part.threshold())
    };
    let by_share = |a: &Part, b: &Part| share(*a).median.total_cmp(&share(*b).median);
    let cause = OVERHEADS.into_iter().filter(above).max_by(by_share);
    let doubtful = OVERHEADS.into_iter().find(reaches);
    match (cause, doubtful) {
        (Some(part), _) => Reading::Dominant(part),
        (None, Some(part)) => Reading::Straddles(part),
        (None, None) if above(&Part::Compute) => Reading::Dominant(Part::Compute),
        (None, None) if reaches(&Part::Compute) => Reading::Straddles(Part::Compute),
        (None, None) => Reading::Spread,
    }
}

/// `input wait 88 %, compute 12 %`: every part of at least one per cent, the largest first.
pub fn shares(figures: &Figures) -> String {
    let mut parts = Part::ALL.map(|part| (part.noun(), figures.share(part.phases())));
    parts.sort_by(|a, b| b.1.median.total_cmp(&a.1.median));
    let said: Vec<String> = parts
        .iter()
        .filter(|(_, share)| share.median >= 0.01)
        .map(|(noun, share)| format!("{noun} {}", percent(share)))
        .collect();
    said.join(", ")
}
