//! Where axes have their ticks, and what is written at them.

use crate::units::grouped;

/// Ticks of a linear axis from 0: the top is at or above `highest`.
#[derive(Clone, Debug, PartialEq)]
pub struct Ticks {
    pub step: f64,
    pub count: usize,
}

/// About five ticks at multiples of 1, 2, 2.5 or 5 times a power of ten.
pub fn from_zero(highest: f64) -> Ticks {
    let highest = match highest.is_finite() && highest > 0.0 {
        true => highest,
        false => 1.0,
    };
    let power = 10f64.powf((highest / 5.0).log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|step| highest / step <= 5.5)
        .unwrap_or(10.0 * power);
    Ticks {
        step,
        count: (highest / step - 1e-9).ceil() as usize,
    }
}

impl Ticks {
    pub fn top(&self) -> f64 {
        self.step * self.count as f64
    }

    /// Values from 0 to the top with their text.
    pub fn all(&self) -> impl Iterator<Item = (f64, String)> + '_ {
        (0..=self.count).map(|i| {
            let value = self.step * i as f64;
            (value, self.text(value))
        })
    }

    /// As many decimals as the step needs; powers of ten where they would be very many.
    fn text(&self, value: f64) -> String {
        if value == 0.0 {
            return "0".to_string();
        }
        if self.step < 1e-4 || self.step >= 1e9 {
            return format!("{:.1e}", value);
        }
        let decimals = (0..6).find(|d| {
            let scaled = self.step * 10f64.powi(*d);
            (scaled - scaled.round()).abs() < 1e-6 * scaled
        });
        match decimals {
            Some(0) if value >= 1000.0 => grouped(value),
            decimals => format!("{value:.*}", decimals.unwrap_or(6) as usize),
        }
    }
}

/// A number along the horizontal axis, without needless decimals.
pub fn plain(value: f64) -> String {
    match value.fract() == 0.0 && value.abs() >= 10_000.0 {
        true => grouped(value),
        false => format!("{value}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(highest: f64) -> String {
        let ticks: Vec<_> = from_zero(highest).all().map(|(_, text)| text).collect();
        ticks.join(" | ")
    }

    #[test]
    fn ticks_are_round_and_reach_the_top() {
        assert_eq!(text(7128.0), "0 | 2 000 | 4 000 | 6 000 | 8 000");
        assert_eq!(text(1.1), "0 | 0.2 | 0.4 | 0.6 | 0.8 | 1.0 | 1.2");
        assert_eq!(text(100.0), "0 | 20 | 40 | 60 | 80 | 100");
        assert_eq!(text(12.3), "0 | 2.5 | 5.0 | 7.5 | 10.0 | 12.5");
        assert_eq!(text(3e-6), "0 | 1.0e-6 | 2.0e-6 | 3.0e-6");
        assert_eq!(text(0.0), text(1.0));
    }
}
