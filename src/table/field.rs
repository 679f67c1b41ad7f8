//! In: one value of a row. Out: its text in a CSV field, and back. Knows no file, line or column.

use crate::terms::{Mark, Outcome};
use std::fmt::Write;
use std::str::FromStr;
use strum::VariantArray;

/// A value that stands in one CSV field and reads back as itself.
pub(super) trait Field: Sized {
    fn write(&self, out: &mut String);

    /// The value of `text`. An empty field is the type's empty value, since files of older versions
    /// lack columns. The error says what stands there and what may.
    fn read(text: &str) -> Result<Self, String>;
}

impl Field for String {
    fn write(&self, out: &mut String) {
        out.push_str(self);
    }

    fn read(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }
}

impl Field for u32 {
    fn write(&self, out: &mut String) {
        u64::from(*self).write(out);
    }

    fn read(text: &str) -> Result<Self, String> {
        number(text, "a whole number")
    }
}

impl Field for u64 {
    fn write(&self, out: &mut String) {
        write!(out, "{self}").expect("writing to a string cannot fail");
    }

    fn read(text: &str) -> Result<Self, String> {
        number(text, "a whole number")
    }
}

impl Field for f64 {
    /// The shortest text that reads back exactly; with an exponent where plain digits would be long.
    fn write(&self, out: &mut String) {
        let plain = *self == 0.0 || !self.is_finite() || (1e-4..1e15).contains(&self.abs());
        if plain {
            write!(out, "{self}")
        } else {
            write!(out, "{self:e}")
        }
        .expect("writing to a string cannot fail");
    }

    fn read(text: &str) -> Result<Self, String> {
        number(text, "a number")
    }
}

/// Empty where there is none: for values whose text is never empty.
impl<T: Numeric> Field for Option<T> {
    fn write(&self, out: &mut String) {
        if let Some(value) = self {
            value.write(out);
        }
    }

    fn read(text: &str) -> Result<Self, String> {
        (!text.is_empty()).then(|| T::read(text)).transpose()
    }
}

/// Values that always have a text.
pub(super) trait Numeric: Field {}

impl Numeric for f64 {}
impl Numeric for u64 {}

impl Field for Outcome {
    fn write(&self, out: &mut String) {
        out.push_str(self.into());
    }

    fn read(text: &str) -> Result<Self, String> {
        word(text)
    }
}

impl Field for Vec<Mark> {
    /// Separated by spaces.
    fn write(&self, out: &mut String) {
        let words: Vec<&str> = self.iter().map(Into::into).collect();
        out.push_str(&words.join(" "));
    }

    fn read(text: &str) -> Result<Self, String> {
        text.split_whitespace().map(word).collect()
    }
}

fn number<T: FromStr + Default>(text: &str, kind: &str) -> Result<T, String> {
    if text.is_empty() {
        return Ok(T::default());
    }
    text.parse()
        .map_err(|_| format!("`{}` is not {kind}", quoted(text)))
}

fn word<T: FromStr + VariantArray + ToString>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| {
        let allowed: Vec<String> = T::VARIANTS.iter().map(T::to_string).collect();
        format!("`{}` is not one of {}", quoted(text), allowed.join(", "))
    })
}

/// Text of a file as a message shows it: one line of at most 60 characters.
pub(super) fn quoted(text: &str) -> String {
    let mut shown: String = text.chars().take(60).flat_map(char::escape_debug).collect();
    if text.chars().nth(60).is_some() {
        shown.push('…');
    }
    shown
}
