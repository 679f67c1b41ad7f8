//! What a setting's value may be, and how that is said. Knows neither keys nor values.

use strum::VariantArray;

/// What a setting's value may be.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Bool,
    Integer {
        min: u64,
        max: u64,
    },
    /// A finite number greater than zero and not above `max`.
    Positive {
        max: f64,
    },
    /// A word of a closed set.
    Word(fn() -> Vec<&'static str>),
    /// The name of a flavour.
    Flavour,
    Path,
    /// Layer widths, input and output included, or channels of levels.
    Widths,
    Duration,
}

/// The spellings of a closed set.
pub(crate) fn words<T: VariantArray + Copy + Into<&'static str>>() -> Vec<&'static str> {
    T::VARIANTS.iter().map(|word| (*word).into()).collect()
}

impl Kind {
    /// What may stand there, for messages and documentation.
    pub fn allowed(self) -> String {
        match self {
            Kind::Bool => "`true` or `false`".into(),
            Kind::Integer { min, max } => format!("a whole number from {min} to {max}"),
            Kind::Positive { max } => format!("a number above 0, at most {max}"),
            Kind::Word(words) => one_of(&words()),
            Kind::Flavour => "the name of a flavour in quotes".into(),
            Kind::Path => "a path in quotes".into(),
            Kind::Widths => "a list of at least two widths such as [256, 4096, 256]".into(),
            Kind::Duration => {
                "a time in quotes such as \"500ms\", \"30s\", \"5m\" or \"1h\"".into()
            }
        }
    }
}

/// `` `a`, `b` or `c` ``
pub(crate) fn one_of(words: &[&str]) -> String {
    let quoted: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.as_slice() {
        [] => "nothing".into(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}
