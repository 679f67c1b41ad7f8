//! A median with an interval where there are repeats enough for one.

use crate::stats::{self, Draws, InBlock};

/// A middle value, and its 95 % interval where `n` supports one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    pub median: f64,
    pub low: Option<f64>,
    pub high: Option<f64>,
    pub n: usize,
}

impl Estimate {
    /// Of one figure of each repeat; none of nothing.
    pub fn of(values: &[f64]) -> Option<Estimate> {
        let interval = stats::interval(values);
        Some(Estimate {
            median: stats::median(values)?,
            low: interval.map(|interval| interval.low),
            high: interval.map(|interval| interval.high),
            n: values.len(),
        })
    }

    /// Of the ratio of two cells' figures, paired by block; none where they share no block.
    pub fn ratio(numerators: &[InBlock], denominators: &[InBlock]) -> Option<Estimate> {
        let blocks = stats::blocks(numerators, denominators);
        let tested = stats::ratio_of_blocks(&blocks, Draws::default());
        if let Some(paired) = tested.map(|tested| tested.estimate) {
            return Some(Estimate {
                median: paired.median,
                low: Some(paired.low),
                high: Some(paired.high),
                n: paired.n,
            });
        }
        let ratio = |block: &stats::Block| block.over[0] / block.under[0];
        let ratios: Vec<f64> = blocks.iter().map(ratio).collect();
        Some(Estimate {
            median: stats::median(&ratios)?,
            low: None,
            high: None,
            n: ratios.len(),
        })
    }

    /// The estimate of `factor` times the value, for a positive factor.
    pub fn times(self, factor: f64) -> Estimate {
        Estimate {
            median: self.median * factor,
            low: self.low.map(|low| low * factor),
            high: self.high.map(|high| high * factor),
            n: self.n,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_needs_six_pairs_a_median_one() {
        let side = |n: u32| {
            (1..=n)
                .map(|block| InBlock {
                    block,
                    build: 1,
                    value: f64::from(block),
                })
                .collect::<Vec<_>>()
        };
        let five = Estimate::ratio(&side(5), &side(9)).unwrap();
        assert_eq!((five.median, five.low, five.n), (1.0, None, 5));
        let six = Estimate::ratio(&side(6), &side(9)).unwrap().times(2.0);
        assert!((six.low.unwrap() - 2.0).abs() < 1e-12);
        assert_eq!(Estimate::ratio(&side(0), &side(9)), None);
        assert_eq!(Estimate::of(&[]), None);
    }
}
