//! The layers above the files: environment variables and `-S` flags, as documents of their own.
//! Each is a small text, so that problems in it are shown like problems in a file.

use super::Source;
use super::document::{Document, Entry};
use super::error::{Problem, Report, nearest};
use super::settings::{Kind, SETTINGS, SettingId};
use super::value::Raw;
use toml::Spanned;

/// Variables with this beginning are settings, all of them.
const PREFIX: &str = "XRUN_";

/// `XRUN_DEVICES__PER_WORKER=2` sets `devices.per_worker`.
pub(super) fn environment(
    variables: impl Iterator<Item = (String, String)>,
    report: &mut Report,
) -> Document {
    let mut variables: Vec<_> = variables
        .filter(|(name, _)| name.starts_with(PREFIX))
        .collect();
    variables.sort();
    let mut document = Document::default();
    for (name, value) in variables {
        let start = report
            .texts
            .add("environment".into(), &format!("{name}={value}"));
        let key_place = start.span(&report.texts, 0..name.len());
        let known = SETTINGS
            .iter()
            .find(|setting| variable(setting.key) == name);
        let Some(setting) = known else {
            report.doubtful = true;
            report.push(unknown_variable(&name, Problem::at(key_place, "")));
            continue;
        };
        let span = name.len() + 1..name.len() + 1 + value.len();
        document.settings.push(Entry {
            key: setting.key.into(),
            key_place,
            value: Raw::Text(value),
            place: start.span(&report.texts, span),
            source: Source::Environment(name),
        });
    }
    document
}

/// The name of a setting in the environment.
fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "__").to_uppercase())
}

fn unknown_variable(name: &str, problem: Problem) -> Problem {
    let names: Vec<_> = SETTINGS
        .iter()
        .map(|setting| variable(setting.key))
        .collect();
    problem
        .titled(format!("the variable `{name}` is no setting"))
        .nearest(name, names.iter().map(String::as_str))
        .help("a variable is XRUN_, the section, two underscores and the key: XRUN_MEASURE__STEPS")
}

/// `devices.per_worker=2` sets a value; `devices.per_worker=1,2` makes an axis.
pub(super) fn flags(flags: &[String], report: &mut Report) -> Document {
    let mut document = Document::default();
    for flag in flags {
        let start = report
            .texts
            .add("command line".into(), &format!("-S {flag}"));
        let Some((key, value)) = flag.split_once('=') else {
            report.doubtful = true;
            let place = start.span(&report.texts, 3..3 + flag.len());
            report.push(
                Problem::at(place, "a flag without a value")
                    .help("write -S KEY=VALUE, or -S KEY=VALUE,VALUE for an axis"),
            );
            continue;
        };
        let (from, to) = (4 + key.len(), 3 + flag.len());
        let pieces = pieces(key.trim(), value, from);
        let entry = Entry {
            key: key.trim().into(),
            key_place: start.span(&report.texts, 3..3 + key.len()),
            value: Raw::Text(value.to_owned()),
            place: start.span(&report.texts, from..to),
            source: Source::Flag(flag.clone()),
        };
        document.settings.retain(|earlier| earlier.key != entry.key);
        document.axes.retain(|earlier| earlier.key != entry.key);
        match pieces.len() {
            0 | 1 => document.settings.push(entry),
            _ => document.axes.push(Entry {
                value: Raw::List(pieces),
                ..entry
            }),
        }
    }
    document
}

/// A flag's value cut at the commas outside brackets; `from` is where it begins.
fn pieces(key: &str, value: &str, from: usize) -> Vec<Spanned<Raw>> {
    let widths = SettingId::of(key).is_some_and(|id| matches!(id.setting().kind, Kind::Widths));
    let (mut depth, mut start, mut pieces) = (0, 0, Vec::new());
    let end = value.len();
    for (at, character) in value.char_indices().chain([(end, ',')]) {
        match character {
            '[' if widths => depth += 1,
            ']' if widths => depth -= 1,
            ',' if depth <= 0 || at == end => {
                let piece = Raw::Text(value[start..at].to_owned());
                pieces.push(Spanned::new(from + start..from + at, piece));
                start = at + 1;
            }
            _ => {}
        }
    }
    pieces
}

/// The problem of a key that is no setting.
pub(super) fn unknown_key(entry: &Entry) -> Problem {
    let keys = || SETTINGS.iter().map(|setting| setting.key);
    let problem = Problem::at(entry.key_place, format!("unknown setting `{}`", entry.key));
    let section = entry.key.split('.').next().unwrap_or_default();
    let siblings: Vec<_> = keys()
        .filter_map(|key| key.strip_prefix(section)?.strip_prefix('.'))
        .collect();
    if section == entry.key && !siblings.is_empty() {
        let title = format!("`{section}` is a section, not a setting");
        let help = format!(
            "write [{section}], and under it any of {}",
            siblings.join(", ")
        );
        return problem.titled(title).help(help);
    }
    let help = match siblings.is_empty() {
        true => "sections are model, input, devices, cluster, build, measure, sweep, exclude, \
                 chart, compare and flavours"
            .into(),
        false => format!("[{section}] has {}", siblings.join(", ")),
    };
    problem.nearest(&entry.key, keys()).help(help)
}

/// The setting that an unknown key probably meant.
pub(super) fn meant(key: &str) -> Option<SettingId> {
    nearest(key, SETTINGS.iter().map(|setting| setting.key)).and_then(SettingId::of)
}
