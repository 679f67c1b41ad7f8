//! How numbers are said in sentences and tables: never without their n, never with an interval that
//! the number of repeats does not support.

use crate::analysis::estimate::Estimate;
use crate::units::{grouped, significant};

/// `7 128 [7 080, 7 170] examples/s (n = 6)`.
pub fn rate(estimate: &Estimate) -> String {
    let numbers = interval(estimate, grouped);
    format!("{numbers} examples/s (n = {})", estimate.n)
}

/// `88 % [87, 89]` of a share from 0 to 1.
pub fn percent(estimate: &Estimate) -> String {
    let whole = |share: f64| format!("{:.0}", share * 100.0);
    match (estimate.low, estimate.high) {
        (Some(low), Some(high)) => {
            let (middle, low, high) = (whole(estimate.median), whole(low), whole(high));
            format!("{middle} % [{low}, {high}]")
        }
        _ => format!("{} %", whole(estimate.median)),
    }
}

/// `1.10 [1.08, 1.12]`.
pub fn ratio(estimate: &Estimate) -> String {
    interval(estimate, significant)
}

/// The median, and the interval in brackets where there is one.
pub fn interval(estimate: &Estimate, print: fn(f64) -> String) -> String {
    match (estimate.low, estimate.high) {
        (Some(low), Some(high)) => {
            format!(
                "{} [{}, {}]",
                print(estimate.median),
                print(low),
                print(high)
            )
        }
        _ => print(estimate.median),
    }
}

/// `1 replica`, `8 replicas`.
pub fn count(n: usize, noun: &str) -> String {
    let plural = if n == 1 { "" } else { "s" };
    format!("{n} {noun}{plural}")
}

/// `a`, `a and b`, `a, b and c`.
pub fn list(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_said_only_where_there_is_one() {
        let six = Estimate::of(&[7100.0, 7110.0, 7120.0, 7136.0, 7140.0, 7150.0]).unwrap();
        assert_eq!(rate(&six), "7 128 [7 100, 7 150] examples/s (n = 6)");
        let three = Estimate::of(&[0.25, 0.5, 0.75]).unwrap();
        assert_eq!(percent(&three), "50 %");
        assert_eq!(ratio(&three), "0.500");
    }

    #[test]
    fn lists_and_counts_read_as_speech() {
        let items = ["a", "b", "c"].map(String::from);
        assert_eq!(list(&items), "a, b and c");
        assert_eq!(list(&items[..1]), "a");
        assert_eq!(
            (count(1, "replica"), count(0, "replica")),
            ("1 replica".into(), "0 replicas".into())
        );
    }
}
