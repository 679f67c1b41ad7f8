//! In: degrees of freedom. Out: Student's distribution for whole degrees.

/// The probability of a value beyond `t` on either side (Abramowitz and Stegun, "Handbook of
/// Mathematical Functions", 26.7.3 and 26.7.4). `degrees` is at least 1.
pub(super) fn two_sided(t: f64, degrees: usize) -> f64 {
    let angle = (t.abs() / (degrees as f64).sqrt()).atan();
    let (sine, cosine) = angle.sin_cos();
    let odd = degrees % 2 == 1;
    // The sum over powers of the cosine: 1, 3, … for odd degrees, 0, 2, … for even ones.
    let mut term = if odd { cosine } else { 1.0 };
    let mut sum = 0.0;
    let mut power = if odd { 1 } else { 0 };
    while power + 2 <= degrees {
        sum += term;
        power += 2;
        term *= cosine * cosine * (power - 1) as f64 / power as f64;
    }
    let within = if odd {
        (angle + sine * sum) * std::f64::consts::FRAC_2_PI
    } else {
        sine * sum
    };
    (1.0 - within).clamp(0.0, 1.0)
}

/// The value that is exceeded on either side with probability `p`, by halving.
pub(super) fn critical(p: f64, degrees: usize) -> f64 {
    let (mut low, mut high) = (0.0, 1e4);
    for _ in 0..80 {
        let middle = (low + high) / 2.0;
        if two_sided(middle, degrees) > p {
            low = middle;
        } else {
            high = middle;
        }
    }
    (low + high) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn critical_values_are_those_of_the_printed_table() {
        // Two-sided 5 %.
        let table = [
            (1, 12.7062),
            (2, 4.3027),
            (3, 3.1824),
            (4, 2.7764),
            (19, 2.0930),
            (20, 2.0860),
            (120, 1.9799),
        ];
        for (degrees, value) in table {
            let t = critical(0.05, degrees);
            assert!((t - value).abs() < 5e-5, "{degrees}: {t}");
        }
        assert!((critical(0.01, 19) - 2.8609).abs() < 5e-5);
    }

    #[test]
    fn the_tail_falls_from_one_to_nothing() {
        assert_eq!(two_sided(0.0, 19), 1.0);
        assert!(two_sided(1e9, 19) < 1e-12 && two_sided(-2.0, 19) == two_sided(2.0, 19));
    }
}
