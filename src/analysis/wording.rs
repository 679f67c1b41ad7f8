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

/// A paired comparison: `1.10 [1.08, 1.12] times as much (n = 6)`, or
/// `1.10 times as much so far (cannot decide with n = 3)`.
pub fn times_as_much(ratio_of_two: &Estimate) -> String {
    format!(
        "{} times as much{}",
        ratio(ratio_of_two),
        settled(ratio_of_two)
    )
}

/// What follows a comparison: ` (n = 6)` where it has an interval, else that nothing is decided.
pub fn settled(comparison: &Estimate) -> String {
    match comparison.low {
        Some(_) => format!(" (n = {})", comparison.n),
        None => format!(" so far (cannot decide with n = {})", comparison.n),
    }
}

/// Three decimals near 1, where a per cent counts: `1.587`.
pub fn thousandths(ratio_of_two: f64) -> String {
    match (0.1..10.0).contains(&ratio_of_two) {
        true => format!("{ratio_of_two:.3}"),
        false => significant(ratio_of_two),
    }
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
    fn a_comparison_without_an_interval_is_undecided() {
        let six = Estimate::of(&[1.0, 1.1, 1.2, 1.2, 1.3, 1.4]).unwrap();
        let three = Estimate::of(&[1.0, 1.2, 1.4]).unwrap();
        insta::assert_snapshot!(times_as_much(&six), @"1.20 [1.00, 1.40] times as much (n = 6)");
        insta::assert_snapshot!(times_as_much(&three), @"1.20 times as much so far (cannot decide with n = 3)");
    }

    #[test]
    fn lists_read_as_speech() {
        let items = ["a", "b", "c"].map(String::from);
        assert_eq!(list(&items), "a, b and c");
        assert_eq!(list(&items[..1]), "a");
    }
}
