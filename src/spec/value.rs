//! One value: from TOML, or from the text of a flag or variable, to a [`Value`] of a setting's kind.
//! Knows neither files nor other settings.

use super::error::nearest;
use super::settings::{Kind, Value};
use std::time::Duration;
use toml::Spanned;
use toml::de::DeValue;

/// Longest time that a file may ask for: 30 days.
const LONGEST: f64 = 30.0 * 24.0 * 3600.0;

/// A value as it stands in a text, before it is known what it should be.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Raw {
    Bool(bool),
    Integer(Whole),
    /// Not parsed, so that messages show what was written.
    Float(String),
    Text(String),
    Date,
    List(Vec<Spanned<Raw>>),
    /// A table whose entries are not needed, or that has none.
    Table,
}

/// A whole number as it was written, and its value where that is one that a setting can have.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Whole {
    pub text: String,
    pub value: Option<u64>,
}

impl From<DeValue<'_>> for Raw {
    fn from(value: DeValue) -> Self {
        match value {
            DeValue::Boolean(value) => Raw::Bool(value),
            DeValue::Integer(number) => Raw::Integer(Whole {
                text: number.to_string(),
                value: u64::from_str_radix(number.as_str(), number.radix()).ok(),
            }),
            DeValue::Float(number) => Raw::Float(number.as_str().into()),
            DeValue::String(text) => Raw::Text(text.into_owned()),
            DeValue::Datetime(_) => Raw::Date,
            DeValue::Table(_) => Raw::Table,
            DeValue::Array(items) => Raw::List(
                items
                    .into_iter()
                    .map(|item| Spanned::new(item.span(), item.into_inner().into()))
                    .collect(),
            ),
        }
    }
}

/// Why a value does not fit.
#[derive(Debug, PartialEq)]
pub(crate) struct Misfit {
    pub found: String,
    /// A better value, where one is near.
    pub hint: Option<String>,
}

/// The TOML value as a value of this kind.
pub(super) fn convert(kind: Kind, value: &Raw) -> Result<Value, Misfit> {
    let converted = match (kind, value) {
        (Kind::Bool, Raw::Bool(value)) => Some(Value::Bool(*value)),
        (Kind::Integer { min, max }, Raw::Integer(number)) => number
            .value
            .filter(|number| (min..=max).contains(number))
            .map(Value::Integer),
        (Kind::Positive { max }, Raw::Float(number)) => positive(number, max).map(Value::Number),
        (Kind::Positive { max }, Raw::Integer(number)) => {
            positive(&number.text, max).map(Value::Number)
        }
        (Kind::Word(words), Raw::Text(text)) => words()
            .into_iter()
            .find(|word| word == text)
            .map(Value::Word),
        (Kind::Flavour | Kind::Path, Raw::Text(text)) => {
            (!text.is_empty()).then(|| Value::Text(text.as_str().into()))
        }
        (Kind::Duration, Raw::Text(text)) => duration(text).map(Value::Duration),
        (Kind::Widths, Raw::List(items)) => widths(items),
        _ => None,
    };
    converted.ok_or_else(|| Misfit {
        found: describe(value),
        hint: hint(kind, value),
    })
}

/// The text of a flag or of an environment variable as a value of this kind; quotes are not needed.
pub(crate) fn from_text(kind: Kind, text: &str) -> Result<Value, Misfit> {
    let bare = matches!(
        kind,
        Kind::Word(_) | Kind::Flavour | Kind::Path | Kind::Duration
    );
    let unquoted = text
        .trim()
        .trim_matches(|quote| quote == '"' || quote == '\'');
    let parsed = DeValue::parse(text.trim()).ok().filter(|_| !bare);
    let value = parsed.map(|value| value.into_inner().into());
    convert(kind, &value.unwrap_or_else(|| Raw::Text(unquoted.into())))
}

fn positive(text: &str, max: f64) -> Option<f64> {
    let number: f64 = text.parse().ok()?;
    (number > 0.0 && number <= max).then_some(number)
}

fn widths(items: &[Spanned<Raw>]) -> Option<Value> {
    let widths = items.iter().map(|item| match item.get_ref() {
        Raw::Integer(number) => number.value.filter(|n| (1..=1_000_000).contains(n)),
        _ => None,
    });
    let widths: Vec<u64> = widths.collect::<Option<_>>()?;
    (2..=1000)
        .contains(&widths.len())
        .then(|| Value::Integers(widths.into()))
}

/// `500ms`, `30s`, `1.5m`, `1h`.
fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at(text.find(|c: char| c.is_ascii_alphabetic())?);
    let scale = match unit {
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    let plain = !number.is_empty() && number.chars().all(|c| c.is_ascii_digit() || c == '.');
    let seconds = number.parse::<f64>().ok().filter(|_| plain)? * scale;
    (seconds > 0.0 && seconds <= LONGEST).then(|| Duration::from_secs_f64(seconds))
}

/// What stands there, for messages.
pub(super) fn describe(value: &Raw) -> String {
    match value {
        Raw::Text(text) => format!("the text {:?}", shortened(text)),
        Raw::Integer(number) => format!("the number {}", shortened(&number.text)),
        Raw::Float(number) => format!("the number {}", shortened(number)),
        Raw::Bool(value) => format!("`{value}`"),
        Raw::Date => "a date".into(),
        Raw::List(items) if items.is_empty() => "an empty list".into(),
        Raw::List(items) => match items.iter().map(|item| plain(item.get_ref())).collect() {
            Some(texts) => list(texts),
            None => "a list".into(),
        },
        Raw::Table => "a table".into(),
    }
}

fn list(texts: Vec<String>) -> String {
    format!("the list [{}]", shortened(&texts.join(", ")))
}

/// A value that is no list and no table, as it was written.
fn plain(value: &Raw) -> Option<String> {
    match value {
        Raw::Bool(value) => Some(value.to_string()),
        Raw::Integer(number) => Some(number.text.clone()),
        Raw::Float(text) => Some(text.clone()),
        Raw::Text(text) => Some(format!("{text:?}")),
        Raw::Date | Raw::List(_) | Raw::Table => None,
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.into(),
    }
}

fn hint(kind: Kind, value: &Raw) -> Option<String> {
    match (kind, value) {
        (Kind::Word(words), Raw::Text(text)) => {
            nearest(&text.to_lowercase(), words()).map(|word| format!("did you mean `{word}`?"))
        }
        (Kind::Duration, Raw::Integer(number)) => Some(format!("write \"{}s\"?", number.text)),
        (Kind::Duration, Raw::Text(text)) => {
            let short: String = text.chars().filter(|c| !c.is_whitespace()).collect();
            let letter = short.find(|c: char| c.is_ascii_alphabetic());
            let near = &short[..letter.map_or(short.len(), |at| at + 1)];
            let near = if letter.is_some() {
                near.into()
            } else {
                format!("{near}s")
            };
            duration(&near).map(|_| format!("write \"{near}\"?"))
        }
        (Kind::Integer { .. } | Kind::Positive { .. } | Kind::Bool, Raw::Text(text)) => {
            from_text_fits(kind, text).then(|| "remove the quotes".into())
        }
        (Kind::Word(_) | Kind::Integer { .. } | Kind::Positive { .. }, Raw::List(_)) => {
            Some("several values belong under [sweep]".into())
        }
        _ => None,
    }
}

fn from_text_fits(kind: Kind, text: &str) -> bool {
    DeValue::parse(text).is_ok_and(|value| convert(kind, &value.into_inner().into()).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_number_and_one_of_four_units() {
        let good = ["500ms", "30s", "1.5m", "1h", "0.5s"].map(duration);
        let millis = good.map(|time| time.unwrap().as_millis());
        assert_eq!(millis, [500, 30_000, 90_000, 3_600_000, 500]);
        for bad in [
            "",
            "5",
            "s",
            "5 minutes",
            "-1s",
            "+1s",
            "1e3s",
            "infs",
            "0s",
            "1d",
            "99999h",
        ] {
            assert_eq!(duration(bad), None, "{bad}");
        }
    }

    #[test]
    fn text_of_a_flag_needs_no_quotes_and_may_have_them() {
        let duration = Value::Duration(Duration::from_secs(5));
        assert_eq!(from_text(Kind::Duration, "5s"), Ok(duration.clone()));
        assert_eq!(from_text(Kind::Duration, "\"5s\""), Ok(duration));
        assert_eq!(from_text(Kind::Bool, "true"), Ok(Value::Bool(true)));
        assert_eq!(
            from_text(Kind::Widths, "[4, 2]"),
            Ok(Value::Integers([4, 2].into()))
        );
        let misfit = from_text(Kind::Bool, "yes").unwrap_err();
        assert_eq!(misfit.found, "the text \"yes\"");
    }
}
