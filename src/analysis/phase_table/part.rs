//! The parts of a repeat's time that two cells are compared in, and how fast a cell is in each.

use crate::analysis::summary::Figures;
use crate::table::Measured;
use crate::terms::Phase;
use strum::{Display, VariantArray};

/// A part that takes a smaller share of a step has no ratio: what it would show is noise.
const LEAST_SHARE: f64 = 0.005;

/// One part of a repeat's time, in the order of columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Display, VariantArray)]
#[strum(serialize_all = "kebab-case")]
pub enum TimePart {
    /// Once in each repeat: from launch to the end of the first step.
    StartUp,
    /// Waiting for input, moving it and distorting it.
    Data,
    Forward,
    Backward,
    /// Everything between replicas and processes.
    Exchange,
    Apply,
    /// The median step, by which cells are judged.
    WholeStep,
}

impl TimePart {
    /// As the head of a column.
    pub fn title(self) -> String {
        match self {
            TimePart::StartUp => "start-up and first step".to_owned(),
            _ => self.to_string().replace('-', " "),
        }
    }

    /// Seconds of a step, but for the start-up.
    pub fn seconds(self, measured: &Measured) -> f64 {
        match self {
            TimePart::StartUp => measured.startup_seconds + measured.first_step_seconds,
            TimePart::WholeStep => measured.step_seconds_median,
            _ => {
                let phases = self.phases().iter();
                phases
                    .map(|phase| measured.phase_seconds[*phase as usize])
                    .sum()
            }
        }
    }

    /// Examples, or start-ups, a second of this part: so cells with steps of different size compare.
    pub fn rate(self, measured: &Measured) -> f64 {
        let done = match self {
            TimePart::StartUp => 1.0,
            _ => measured.examples as f64 / measured.steps as f64,
        };
        done / self.seconds(measured)
    }

    /// Whether the part takes enough of a cell's step for a ratio to mean something.
    pub fn counts(self, figures: &Figures) -> bool {
        let seconds = |part: TimePart| figures.estimate(|m| part.seconds(m)).median;
        let of_step = seconds(self) / seconds(TimePart::WholeStep);
        self == TimePart::StartUp || of_step >= LEAST_SHARE
    }

    fn phases(self) -> &'static [Phase] {
        match self {
            TimePart::Data => &[Phase::InputWait, Phase::Copy, Phase::Distort],
            TimePart::Forward => &[Phase::Forward],
            TimePart::Backward => &[Phase::Backward],
            TimePart::Exchange => &[Phase::Pull, Phase::Push, Phase::Exchange, Phase::Wait],
            TimePart::Apply => &[Phase::Apply],
            TimePart::StartUp | TimePart::WholeStep => &[],
        }
    }
}
