//! One experiment file, and those that it extends. In: a path. Out: a [`Document`] for each file,
//! lowest layer first. Knows what may be read at all, and nothing of what is in it but `extends`.

use super::document::{self, Document};
use super::error::{Place, Problem, Report};
use super::value::Raw;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use toml::Spanned;

/// No experiment file is longer. The longest sweep that can be run fits many times.
const MOST_BYTES: u64 = 1 << 20;
/// Files may extend each other so deeply.
const MOST_FILES: usize = 32;

/// The file and all that it extends, lowest layer first; none where the file could not be read.
pub(super) fn read(path: &Path, report: &mut Report) -> Option<Vec<Document>> {
    let mut chain = Vec::new();
    let mut documents = Vec::new();
    let place = report.texts.add(path.display().to_string(), "");
    visit(
        path,
        Problem::about(place, ""),
        &mut chain,
        &mut documents,
        report,
    )?;
    Some(documents)
}

/// Reads `path` after everything that it extends. `asked` is a problem at the place that names it.
fn visit(
    path: &Path,
    asked: Problem,
    chain: &mut Vec<PathBuf>,
    documents: &mut Vec<Document>,
    report: &mut Report,
) -> Option<()> {
    let identity = path.canonicalize().unwrap_or_else(|_| path.into());
    if chain.contains(&identity) || chain.len() >= MOST_FILES {
        let names: Vec<_> = chain
            .iter()
            .chain([&identity])
            .map(|p| file_name(p))
            .collect();
        let circle = format!("`extends` goes round in a circle: {}", names.join(" → "));
        report.push(asked.titled(circle).help("a file cannot build on itself"));
        return None;
    }
    let text = match read_text(path) {
        Ok(text) => text,
        Err(reason) => {
            report.push(asked.titled(format!("cannot read `{}`: {reason}", path.display())));
            return None;
        }
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let document = document::parse(path, text, report);
    chain.push(identity);
    for (target, place) in extended(&document, report) {
        let target = path.parent().unwrap_or(Path::new("")).join(target);
        visit(&target, Problem::at(place, ""), chain, documents, report);
    }
    chain.pop();
    documents.push(document);
    Some(())
}

fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}

/// The text of a file, or why it cannot be had.
fn read_text(path: &Path) -> Result<String, String> {
    let file = File::open(path).map_err(|error| reason(&error))?;
    let length = file.metadata().map_or(0, |metadata| metadata.len());
    let mut bytes = Vec::new();
    if length <= MOST_BYTES {
        let limited = file.take(MOST_BYTES + 1).read_to_end(&mut bytes);
        limited.map_err(|error| reason(&error))?;
    }
    let length = length.max(bytes.len() as u64);
    if length > MOST_BYTES {
        return Err(format!(
            "it has {length} bytes, and an experiment file has at most {MOST_BYTES}"
        ));
    }
    String::from_utf8(bytes).map_err(|error| {
        let offset = error.utf8_error().valid_up_to();
        format!("byte {offset} is not UTF-8; save the file as UTF-8 text")
    })
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".into(),
        io::ErrorKind::IsADirectory => "it is a folder, not a file".into(),
        io::ErrorKind::PermissionDenied => "permission denied".into(),
        _ => error.to_string().to_lowercase(),
    }
}

/// The files that a document extends.
fn extended(document: &Document, report: &mut Report) -> Vec<(String, Place)> {
    let Some(entry) = document.header.iter().find(|entry| entry.key == "extends") else {
        return Vec::new();
    };
    let items: Vec<_> = match &entry.value {
        Raw::List(items) => items.iter().map(Spanned::get_ref).collect(),
        single => vec![single],
    };
    let paths = items.into_iter().map(|item| match item {
        Raw::Text(path) if !path.is_empty() => Some((path.to_string(), entry.place)),
        _ => None,
    });
    paths.collect::<Option<_>>().unwrap_or_else(|| {
        report.push(
            Problem::at(entry.place, "`extends` names no file")
                .help("write a path relative to this file, or a list: extends = [\"base.toml\"]"),
        );
        Vec::new()
    })
}
