//! The table as Markdown: a section for each block, a line for each compared cell, a column for each part.

use super::{Block, PhaseEntry, PhaseRow, PhaseTable, TimePart};
use crate::analysis::absent::by_reason;
use crate::analysis::wording::{interval, list, thousandths};
use std::fmt::Write;

const METHOD: &str = "A ratio is the base's time over the other's, for the same examples: above 1, the other is \
faster. Repeats are paired by block; each interval holds at 95 % by itself. **Bold** stands out: of the whole \
step, where the verdict is faster or slower; of another part, where the whole interval lies outside the noise \
floor of that part. Verdicts are on the whole step alone, and hold together at 95 % (max-T). `–` is a part that \
takes less than half a per cent of the base's step.";

impl PhaseTable {
    /// The text of `comparison.md`.
    pub fn markdown(&self) -> String {
        let mut text = format!("# {}: compared part by part\n", self.experiment);
        let question = self.question.trim();
        if !question.is_empty() {
            text += &format!("\n> {}\n", question.replace('\n', "\n> "));
        }
        text += &format!("\n{METHOD}\n");
        for block in &self.blocks {
            text += &block.markdown(&self.parts());
        }
        text
    }
}

impl Block {
    pub(super) fn markdown(&self, parts: &[TimePart]) -> String {
        let mut text = format!("\n## {}: {}\n\n", self.machine, self.title());
        match self.rows.is_empty() {
            true => text += "Nothing was measured that could be compared.\n",
            false => self.push_table(&mut text, parts),
        }
        for note in self.notes() {
            text += &format!("\n{note}\n");
        }
        text
    }

    fn push_table(&self, text: &mut String, parts: &[TimePart]) {
        *text += &format!("{}, run {}.\n\n", self.counts(), self.run);
        let heads = parts.iter().map(|part| part.title());
        let heads = [String::new(), escaped(&self.comparison.over)]
            .into_iter()
            .chain(heads);
        push_line(text, heads.chain(["verdict".to_owned()]));
        let sides = ["---", "---"]
            .into_iter()
            .chain(parts.iter().map(|_| "---:"));
        push_line(text, sides.chain(["---"]).map(str::to_owned));
        if !self.floors.is_empty() {
            push_line(text, self.floor_line(parts));
        }
        let mut above = None;
        for row in &self.rows {
            // A context is named once, above the rows that share it.
            let context = Some(&row.context).filter(|context| above != Some(*context));
            push_line(text, row.line(parts, context));
            above = Some(&row.context);
        }
    }

    fn floor_line(&self, parts: &[TimePart]) -> impl Iterator<Item = String> {
        let floor = |part: &TimePart| {
            let floor = self
                .floor(*part)
                .map(|floor| format!("± {:.1} %", 100.0 * floor));
            floor.unwrap_or_else(|| "–".to_owned())
        };
        let floors: Vec<String> = parts.iter().map(floor).collect();
        let named = ["*noise floor*".to_owned(), String::new()].into_iter();
        named.chain(floors).chain([String::new()])
    }

    /// What stands below the table, a paragraph each.
    fn notes(&self) -> Vec<String> {
        let names: Vec<_> = self.rows.iter().map(|row| (row, row.name())).collect();
        let marked = names.iter().filter(|(row, _)| !row.marks.is_empty());
        let marked = by_reason(marked.map(|(row, name)| {
            let words: Vec<String> = row.marks.iter().map(|mark| mark.to_string()).collect();
            (format!("\\* {}", list(&words)), name.as_str())
        }));
        marked
            .into_iter()
            .chain(self.absent.iter().cloned())
            .collect()
    }
}

impl PhaseRow {
    fn line(&self, parts: &[TimePart], context: Option<&String>) -> impl Iterator<Item = String> {
        let star = if self.marks.is_empty() { "" } else { " \\*" };
        let entries = self
            .parts
            .iter()
            .filter(|entry| parts.contains(&entry.part));
        let entries: Vec<String> = entries.map(PhaseEntry::text).collect();
        let context = context.map_or(String::new(), |context| escaped(context));
        let named = [context, format!("{}{star}", escaped(&self.value))].into_iter();
        named.chain(entries).chain([escaped(&self.said())])
    }

    /// `native, cifar10 im2col`.
    pub fn name(&self) -> String {
        match self.context.is_empty() {
            true => self.value.clone(),
            false => format!("{}, {}", self.value, self.context),
        }
    }

    /// The verdict with its reason.
    fn said(&self) -> String {
        let (word, reason) = (self.verdict_word(), self.reason());
        match reason.is_empty() {
            true => word.to_owned(),
            false => format!("{word}: {reason}"),
        }
    }
}

impl PhaseEntry {
    /// `1.587 [1.565, 1.610]`.
    fn text(&self) -> String {
        match self.ratio.map(|ratio| interval(&ratio, thousandths)) {
            Some(text) if self.stands_out => format!("**{text}**"),
            Some(text) => text,
            None => "–".to_owned(),
        }
    }
}

fn push_line(text: &mut String, texts: impl Iterator<Item = String>) {
    for field in texts {
        write!(text, "| {field} ").expect("a String takes all that is written to it");
    }
    text.push_str("|\n");
}

/// A label may have any character, and a pipe would end its column.
fn escaped(text: &str) -> String {
    text.replace('|', "\\|")
}
