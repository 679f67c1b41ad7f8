//! In: a number of values. Out: how many of them may be left out at each end of an interval for the
//! median. Knows only fair coins: a value lies below the true median with probability one half.

/// The most values that may be left out at each end while the interval between the remaining
/// extremes covers the median with at least `confidence`, and the exact coverage of that interval.
/// None where even all the values are too few.
pub(super) fn widest_trim(n: usize, confidence: f64) -> Option<(usize, f64)> {
    // In logarithms, as one half to the power of n leaves the range of f64 above n = 1074.
    let mut log_term = -(n as f64) * std::f64::consts::LN_2;
    let mut below = 0.0;
    let mut found = None;
    for left_out in 0..n.div_ceil(2) {
        below += log_term.exp();
        let coverage = 1.0 - 2.0 * below;
        if coverage < confidence {
            break;
        }
        found = Some((left_out, coverage));
        log_term += ((n - left_out) as f64 / (left_out + 1) as f64).ln();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::widest_trim;

    #[test]
    fn trims_are_those_of_the_printed_tables() {
        // n, values left out at each end, coverage: Hollander and Wolfe, sign test, two-sided 5 %.
        let table = [
            (6, 0, 0.96875),
            (8, 0, 0.9921875),
            (9, 1, 0.9609375),
            (10, 1, 0.978515625),
        ];
        for (n, left_out, coverage) in table {
            let (trim, exact) = widest_trim(n, 0.95).unwrap();
            assert_eq!(trim, left_out, "n = {n}");
            assert!((exact - coverage).abs() < 1e-12, "n = {n}: {exact}");
        }
        assert!((0..6).all(|n| widest_trim(n, 0.95).is_none()));
    }

    #[test]
    fn many_values_follow_the_normal_approximation() {
        let (trim, coverage) = widest_trim(10_000, 0.95).unwrap();
        assert!((4_900..=4_902).contains(&trim), "{trim}");
        assert!((0.95..0.953).contains(&coverage), "{coverage}");
    }
}
