//! Quantities and how they are printed. Numbers in files are plain SI units; people see these types.

use std::fmt;

/// A span of time in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Seconds(pub f64);

/// An amount of memory or data in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

/// Training examples per second, over all replicas unless a name says otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Throughput(pub f64);

impl fmt::Display for Seconds {
    /// Three significant digits in the unit a person would choose; whole seconds from a minute up.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = self.0;
        match s.abs() {
            a if !a.is_finite() => write!(f, "{s}"),
            a if a >= 60.0 => {
                let whole = s.round() as i64;
                write!(f, "{} min {:02} s", whole / 60, (whole % 60).abs())
            }
            a if a >= 1.0 => write!(f, "{} s", significant(s)),
            a if a >= 1e-3 => write!(f, "{} ms", significant(s * 1e3)),
            a if a >= 1e-6 => write!(f, "{} µs", significant(s * 1e6)),
            0.0 => write!(f, "0 s"),
            _ => write!(f, "{} ns", significant(s * 1e9)),
        }
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(1u64 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
        match units.iter().find(|(size, _)| self.0 >= *size) {
            Some((size, unit)) => write!(f, "{} {unit}", significant(self.0 as f64 / *size as f64)),
            None => write!(f, "{} B", self.0),
        }
    }
}

impl fmt::Display for Throughput {
    /// Groups of three digits, since rates are compared by eye: `12 345 examples/s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} examples/s", grouped(self.0))
    }
}

/// `value` with thousands separated by spaces; three significant digits below 100.
pub fn grouped(value: f64) -> String {
    if !value.is_finite() || value.abs() < 100.0 {
        return significant(value);
    }
    let digits = format!("{:.0}", value.abs());
    let mut text = String::from(if value < 0.0 { "-" } else { "" });
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i) % 3 == 0 {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// `value` with three significant digits and no exponent for values between 0.001 and 1000.
pub fn significant(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return format!("{value}");
    }
    let magnitude = value.abs().log10().floor() as i32;
    let decimals = (2 - magnitude).clamp(0, 9) as usize;
    format!("{value:.decimals$}")
}

/// A number of things in words: `1 replica`, `8 replicas`.
pub fn counted(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_thing_is_singular() {
        let said = [0, 1, 2].map(|count| counted(count, "replica"));
        assert_eq!(said, ["0 replicas", "1 replica", "2 replicas"]);
    }

    #[test]
    fn quantities_read_as_a_person_would_say_them() {
        let seconds = [0.0, 1.5e-8, 0.0123, 2.5, 59.94, 60.0, 61.4, 3599.6];
        let text: Vec<_> = seconds.iter().map(|s| Seconds(*s).to_string()).collect();
        assert_eq!(
            text,
            [
                "0 s",
                "15.0 ns",
                "12.3 ms",
                "2.50 s",
                "59.9 s",
                "1 min 00 s",
                "1 min 01 s",
                "60 min 00 s"
            ]
        );
        assert_eq!(Bytes(512).to_string(), "512 B");
        assert_eq!(Bytes(75_530_000).to_string(), "72.0 MiB");
        assert_eq!(Throughput(1_234_567.8).to_string(), "1 234 568 examples/s");
        assert_eq!(Throughput(7.126).to_string(), "7.13 examples/s");
    }
}
