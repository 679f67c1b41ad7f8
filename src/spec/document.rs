//! The parts of one TOML text. In: the text of a file. Out: a [`Document`] in which every value has
//! its place and every key is written with dots. Knows the sections, not the settings.

use super::Source;
use super::error::{Place, Problem, Report};
use super::value::{Raw, describe};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::path::Path;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A key with dots, its value, and where both are.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// `devices.per_worker`, however it was quoted or nested.
    pub key: String,
    pub key_place: Place,
    pub value: Raw,
    pub place: Place,
    pub source: Source,
}

/// One table of which there may be several.
#[derive(Clone, Debug)]
pub(super) struct Group {
    /// The last part of a flavour's header; empty for members of a list.
    pub name: String,
    pub place: Place,
    pub source: Source,
    pub entries: Vec<Entry>,
}

/// One layer: a file, the environment or the flags, cut into its parts.
#[derive(Clone, Debug, Default)]
pub(super) struct Document {
    /// Where the text begins.
    pub start: Place,
    /// `schema`, `name`, `question`, `extends`.
    pub header: Vec<Entry>,
    pub settings: Vec<Entry>,
    pub axes: Vec<Entry>,
    pub zips: Vec<Group>,
    pub cases: Vec<Group>,
    pub excludes: Vec<Group>,
    pub charts: Vec<Group>,
    pub comparisons: Vec<Group>,
    pub flavours: Vec<Group>,
    /// It is not TOML throughout, so that something may be missing here that the file has.
    pub broken: bool,
}

const HEADER: [&str; 4] = ["schema", "name", "question", "extends"];

/// Cuts the text of a file into its parts. Lines that are not TOML are reported and left out.
pub(super) fn parse(path: &Path, text: &str, report: &mut Report) -> Document {
    let start = report.texts.add(path.display().to_string(), text);
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut cutter = Cutter {
        path,
        start,
        report,
        broken_lines: HashSet::new(),
        document: Document {
            start,
            broken: !errors.is_empty(),
            ..Document::default()
        },
    };
    for error in errors {
        cutter.syntax(error.message(), error.span());
    }
    for (key, value) in table.into_inner() {
        cutter.section(key, value);
    }
    let settings = std::mem::take(&mut cutter.document.settings);
    cutter.document.settings = cutter.once(settings);
    cutter.document
}

/// Cuts one file.
struct Cutter<'a> {
    path: &'a Path,
    start: Place,
    report: &'a mut Report,
    broken_lines: HashSet<usize>,
    document: Document,
}

type Key<'i> = Spanned<Cow<'i, str>>;
type Node<'i> = Spanned<DeValue<'i>>;

impl Cutter<'_> {
    fn syntax(&mut self, message: &str, span: Option<Range<usize>>) {
        let empty = span.as_ref().is_some_and(Range::is_empty);
        let place = self.place(span.unwrap_or(0..0));
        let line = self.report.texts.line(place);
        if !self.broken_lines.insert(line) {
            return;
        }
        let title = match message {
            _ if message.contains("recurs") => {
                "this is nested too deeply: at most 80 levels".into()
            }
            _ if message.starts_with("string values must be quoted") => match empty {
                true => "there is no value here".into(),
                false => "this is no value: texts need quotes, and lists brackets".into(),
            },
            _ => format!("this is not TOML: {}", message.to_lowercase()),
        };
        self.report.push(Problem::at(place, title));
    }

    fn place(&self, span: Range<usize>) -> Place {
        self.start.span(&self.report.texts, span)
    }

    fn source(&self, place: Place) -> Source {
        Source::File {
            path: self.path.into(),
            line: self.report.texts.line(place),
        }
    }

    /// Puts one top-level key where it belongs.
    fn section(&mut self, key: Key, value: Node) {
        match (key.get_ref().as_ref(), value.get_ref()) {
            ("sweep", DeValue::Table(_)) => self.sweep(value),
            ("exclude", _) => self.document.excludes = self.groups("exclude", &key, value),
            ("chart", _) => self.document.charts = self.groups("chart", &key, value),
            ("compare", _) => self.document.comparisons = self.groups("compare", &key, value),
            ("flavours", DeValue::Table(_)) => self.flavours(value),
            (name, _) if HEADER.contains(&name) => {
                let mut header = std::mem::take(&mut self.document.header);
                self.leaf(key.get_ref().to_string(), key.span(), value, &mut header);
                self.document.header = header;
            }
            _ => {
                let mut settings = std::mem::take(&mut self.document.settings);
                self.flatten(String::new(), key, value, &mut settings);
                self.document.settings = settings;
            }
        }
    }

    fn sweep(&mut self, value: Node) {
        let mut axes = Vec::new();
        for (key, value) in table(value) {
            match key.get_ref().as_ref() {
                "zip" => self.document.zips = self.groups("sweep.zip", &key, value),
                "cases" => self.document.cases = self.groups("sweep.cases", &key, value),
                _ => self.flatten(String::new(), key, value, &mut axes),
            }
        }
        self.document.axes = self.once(axes);
    }

    fn flavours(&mut self, value: Node) {
        for (key, value) in table(value) {
            let (name, place) = (key.get_ref().to_string(), self.place(key.span()));
            let mut entries = Vec::new();
            match value.get_ref() {
                DeValue::Table(_) => {
                    for (key, value) in table(value) {
                        self.flatten(String::new(), key, value, &mut entries);
                    }
                }
                _ => {
                    let place = self.place(value.span());
                    let found = describe(&value.into_inner().into());
                    let title = format!("the flavour `{name}` is a table, not {found}");
                    let problem = Problem::at(place, title);
                    self.report
                        .push(problem.help(format!("write [flavours.{name}]")));
                }
            }
            let (source, entries) = (self.source(place), self.once(entries));
            self.document.flavours.push(Group {
                name,
                place,
                source,
                entries,
            });
        }
    }

    /// The members of a list of tables.
    fn groups(&mut self, header: &str, key: &Key, value: Node) -> Vec<Group> {
        let whole = self.place(key.span());
        let items = match value.into_inner() {
            DeValue::Array(items) => items,
            _ => Default::default(),
        };
        let tables = items
            .iter()
            .all(|item| matches!(item.get_ref(), DeValue::Table(_)));
        if items.is_empty() || !tables {
            let problem = Problem::at(whole, format!("`{header}` is a list of tables"));
            self.report
                .push(problem.help(format!("write [[{header}]] above the keys of each")));
            return Vec::new();
        }
        items.into_iter().map(|item| self.group(item)).collect()
    }

    fn group(&mut self, item: Node) -> Group {
        let place = self.place(item.span());
        let mut entries = Vec::new();
        for (key, value) in table(item) {
            self.flatten(String::new(), key, value, &mut entries);
        }
        let entries = self.once(entries);
        Group {
            name: String::new(),
            place,
            source: self.source(place),
            entries,
        }
    }

    /// Adds a value under its key with dots, and each value of a table.
    fn flatten(&mut self, prefix: String, key: Key, value: Node, entries: &mut Vec<Entry>) {
        let name = format!("{prefix}{}", key.get_ref());
        match value.get_ref() {
            DeValue::Table(inner) if !inner.is_empty() => {
                for (key, value) in table(value) {
                    self.flatten(format!("{name}."), key, value, entries);
                }
            }
            _ => self.leaf(name, key.span(), value, entries),
        }
    }

    /// The entries in the order of the file, without those whose key was there before.
    fn once(&mut self, mut entries: Vec<Entry>) -> Vec<Entry> {
        entries.sort_by_key(|entry| entry.key_place);
        let mut first = HashMap::new();
        entries.retain(|entry| {
            let before = *first.entry(entry.key.clone()).or_insert(entry.key_place);
            if before != entry.key_place {
                let line = self.report.texts.line(before);
                let title = format!("`{}` is set twice", entry.key);
                let problem = Problem::at(entry.key_place, title);
                self.report
                    .push(problem.label(format!("first set in line {line}")));
            }
            before == entry.key_place
        });
        entries
    }

    fn leaf(&mut self, key: String, span: Range<usize>, value: Node, entries: &mut Vec<Entry>) {
        let (key_place, place) = (self.place(span), self.place(value.span()));
        let line = self.report.texts.line(key_place);
        if self.broken_lines.contains(&line) {
            return;
        }
        let source = self.source(key_place);
        let value = value.into_inner().into();
        entries.push(Entry {
            key,
            key_place,
            value,
            place,
            source,
        });
    }
}

/// The entries of a table; none for anything else.
fn table(value: Node) -> DeTable {
    match value.into_inner() {
        DeValue::Table(table) => table,
        _ => DeTable::default(),
    }
}
