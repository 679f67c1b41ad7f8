//! What is wrong with an experiment file, all of it at once. In: problems with the place that each
//! was found at. Out: a report with file, line and caret. Knows nothing of what the problems mean.

use super::Experiment;
use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// So many problems are printed; more say nothing new.
const MOST_SHOWN: usize = 50;

/// A text that settings come from: a file, an environment variable, a flag.
#[derive(Clone, Debug)]
struct Text {
    /// Path of a file; `environment` or `command line` otherwise.
    name: String,
    text: Arc<str>,
    /// Where each line begins.
    lines: Arc<[u32]>,
}

/// A span of bytes in one of the [`Texts`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    text: u32,
    start: u32,
    end: u32,
}

/// Every text that an experiment was read from.
#[derive(Clone, Debug, Default)]
pub struct Texts(Vec<Text>);

impl Texts {
    /// Adds a text and returns the place of its beginning.
    pub(crate) fn add(&mut self, name: String, text: &str) -> Place {
        let newlines = text.match_indices('\n').map(|(at, _)| at as u32 + 1);
        self.0.push(Text {
            name,
            text: text.into(),
            lines: [0].into_iter().chain(newlines).collect(),
        });
        Place {
            text: self.0.len() as u32 - 1,
            ..Place::default()
        }
    }

    fn text(&self, place: Place) -> &Text {
        &self.0[place.text as usize]
    }

    /// The line of a place, from 1.
    pub(super) fn line(&self, place: Place) -> usize {
        let lines = &self.text(place).lines;
        lines.partition_point(|start| *start <= place.start)
    }

    /// The one line of text that a place begins in: its number, the text, and the span within it.
    fn excerpt(&self, place: Place) -> (usize, &str, Range<usize>) {
        let text = &self.text(place).text;
        let (start, end) = (place.start as usize, place.end as usize);
        let from = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let to = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let line = text[from..to].trim_end_matches('\r');
        let start = (start - from).min(line.len());
        let end = end.saturating_sub(from).clamp(start, line.len());
        (self.line(place), line, start..end)
    }
}

impl Place {
    /// Another span of the same text; cut to the text and to whole characters.
    pub(crate) fn span(self, texts: &Texts, span: Range<usize>) -> Place {
        let text = &texts.text(self).text;
        let boundary = |at: usize| {
            let mut at = at.min(text.len());
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            at
        };
        let start = boundary(span.start);
        let end = boundary(span.end.max(start));
        Place {
            text: self.text,
            start: start as u32,
            end: end as u32,
        }
    }
}

/// One thing that is wrong: what was found, where, and what would mend it.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    place: Place,
    /// The whole text is meant, so no line of it is shown.
    whole: bool,
    title: String,
    label: String,
    help: Vec<String>,
}

impl Problem {
    pub(crate) fn at(place: Place, title: impl Into<String>) -> Self {
        Self {
            place,
            whole: false,
            title: title.into(),
            label: String::new(),
            help: Vec::new(),
        }
    }

    /// About a file as a whole.
    pub(crate) fn about(place: Place, title: impl Into<String>) -> Self {
        Self {
            whole: true,
            ..Self::at(place, title)
        }
    }

    pub(crate) fn titled(mut self, title: impl Into<String>) -> Self {
        self.title = title.into();
        self
    }

    /// What to say beside the caret.
    pub(crate) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// What is allowed, or the lines that would mend it.
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    /// Adds ``did you mean `word`?`` where there is a near word.
    pub(crate) fn nearest<'a>(self, word: &str, words: impl IntoIterator<Item = &'a str>) -> Self {
        match nearest(word, words) {
            Some(near) => self.label(format!("did you mean `{near}`?")),
            None => self,
        }
    }

    fn render(&self, texts: &Texts, renderer: &Renderer) -> String {
        let mut group = Group::with_title(Level::ERROR.primary_title(self.title.as_str()));
        let name = texts.text(self.place).name.as_str();
        if self.whole {
            group = group.element(Origin::path(name));
        } else {
            let (line, excerpt, span) = texts.excerpt(self.place);
            let caret = AnnotationKind::Primary.span(span);
            let caret = match self.label.as_str() {
                "" => caret,
                label => caret.label(label),
            };
            group = group.element(
                Snippet::source(excerpt)
                    .line_start(line)
                    .path(name)
                    .annotation(caret),
            );
        }
        let help = self
            .help
            .iter()
            .map(|text| Level::HELP.message(text.as_str()));
        renderer.render(&[group.elements(help)])
    }
}

/// The word of `words` that was probably meant by `word`.
pub(crate) fn nearest<'a>(word: &str, words: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let scored = words
        .into_iter()
        .map(|candidate| (candidate, likeness(word, candidate)));
    scored
        .filter(|(_, score)| *score >= 0.6)
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .map(|(candidate, _)| candidate)
}

/// From 0 to 1. Of a key with a dot the part after it counts most, so that a right key in a wrong
/// section is near, and a wrong key in a right section is not.
fn likeness(word: &str, candidate: &str) -> f64 {
    let alike = strsim::normalized_damerau_levenshtein;
    let Some((section, leaf)) = candidate.split_once('.') else {
        return alike(word, candidate);
    };
    let (given_section, given_leaf) = word.split_once('.').unwrap_or(("", word));
    match alike(given_leaf, leaf) {
        near if near >= 0.6 => 0.7 * near + 0.3 * alike(given_section, section),
        _ => 0.0,
    }
}

/// Problems while they are collected, with the texts that they were found in.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub texts: Texts,
    /// Some problem leaves open which cells the file means, so that checks of cells would mislead.
    pub doubtful: bool,
    problems: Vec<Problem>,
}

impl Report {
    pub(crate) fn new(texts: Texts) -> Self {
        Self {
            texts,
            doubtful: false,
            problems: Vec::new(),
        }
    }

    pub(crate) fn push(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    /// Whether there are more problems than are shown, so that looking for near words is vain.
    pub(super) fn is_full(&self) -> bool {
        self.problems.len() > MOST_SHOWN
    }

    /// All problems, in the order of the texts and of the places in them.
    pub(crate) fn into_errors(mut self) -> SpecErrors {
        self.problems.sort_by_key(|problem| problem.place);
        SpecErrors {
            texts: self.texts,
            problems: self.problems,
            partial: None,
        }
    }
}

/// Every problem of an experiment file. Its `Display` is the whole report, without colour.
#[derive(Clone, Debug)]
pub struct SpecErrors {
    texts: Texts,
    problems: Vec<Problem>,
    /// What could be read, where the problems leave no doubt about the cells.
    partial: Option<Box<Experiment>>,
}

impl SpecErrors {
    pub(super) fn with_partial(mut self, partial: Option<Experiment>) -> Self {
        self.partial = partial.map(Box::new);
        self
    }

    /// Takes what could be read, for further checks.
    pub(crate) fn take_partial(&mut self) -> Option<Box<Experiment>> {
        self.partial.take()
    }

    /// Adds problems that were found later in the same texts.
    pub(crate) fn extend(&mut self, later: SpecErrors) {
        self.problems.extend(later.problems);
        self.problems.sort_by_key(|problem| problem.place);
    }

    /// How many problems there are; at least one.
    pub fn count(&self) -> usize {
        self.problems.len()
    }

    /// The report, with colour for a terminal.
    pub fn render(&self, colour: bool) -> String {
        let renderer = match colour {
            true => Renderer::styled(),
            false => Renderer::plain(),
        };
        let shown = self.problems.iter().take(MOST_SHOWN);
        let mut parts: Vec<_> = shown.map(|p| p.render(&self.texts, &renderer)).collect();
        match self.count() {
            count if count > MOST_SHOWN => {
                parts.push(format!("… and {} more problems", count - MOST_SHOWN));
            }
            1 => {}
            count => parts.push(format!("{count} problems, nothing was run")),
        }
        parts.join("\n\n")
    }
}

impl fmt::Display for SpecErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for SpecErrors {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_found_across_sections_and_far_ones_are_not() {
        let keys = ["devices.per_worker", "devices.threads", "input.threads"];
        assert_eq!(
            nearest("devices.per_workers", keys),
            Some("devices.per_worker")
        );
        assert_eq!(
            nearest("cluster.per_worker", keys),
            Some("devices.per_worker")
        );
        assert_eq!(nearest("per_worker", keys), Some("devices.per_worker"));
        assert_eq!(nearest("devices.count", keys), None);
        assert_eq!(nearest("colour", keys), None);
    }

    #[test]
    fn spans_beyond_the_text_or_inside_a_character_are_cut() {
        let mut report = Report::default();
        let start = report.texts.add("a.toml".into(), "x = 'é'\ny");
        for span in [0..99, 6..7, 400..500] {
            let place = start.span(&report.texts, span);
            report.push(Problem::at(place, "no"));
        }
        assert_eq!(
            report
                .into_errors()
                .to_string()
                .matches("error: no")
                .count(),
            3
        );
    }
}
