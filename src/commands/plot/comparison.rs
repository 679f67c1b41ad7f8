//! What an experiment declares to be compared: a long-form table, a page of Markdown and a heat map. In: read
//! result folders. Out: `comparison.*` for each experiment, with a block for each folder, which is a machine:
//! cells of two folders never meet.

use super::{Loaded, Plotted, ResultFolder, listed, place, replace, save};
use crate::analysis::phase_table::{Block, Compared, PhaseTable};
use crate::analysis::{ComparisonStory, Story};
use crate::chart::heat;
use crate::cli::Format;
use crate::commands::compare::{Declared, Difference, Results, Windows, declared};
use crate::table::write_summary;
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

const NAME: &str = "comparison";

/// What one folder has to say.
struct Share {
    folder: ResultFolder,
    experiment: String,
    question: String,
    blocks: Vec<Block>,
}

/// Draws what the experiments of `read` compare, each over all its folders: those of `read` and those beside
/// them, so that it does not matter which of them a call names. Overrides are compared by themselves.
///
/// # Errors
/// When `out` cannot be written. All else is said there, and is a problem unless it is about a folder beside.
pub fn draw_all(
    plots: &Path,
    read: &[(&ResultFolder, &Loaded)],
    load: impl Fn(&ResultFolder) -> Result<Loaded>,
    format: Format,
    out: &mut dyn Write,
) -> Result<Plotted> {
    let mut total = Plotted::default();
    let mut groups: BTreeMap<PathBuf, Vec<Share>> = BTreeMap::new();
    let declares = |(_, loaded): &&(_, &Loaded)| !loaded.story.comparisons.is_empty();
    for (folder, loaded) in read.iter().filter(declares) {
        match Share::of(folder, loaded) {
            Ok(share) => groups.entry(share.place(plots)).or_default().push(share),
            Err(error) => {
                writeln!(out, "{} is not compared: {error:#}", folder.path.display())?;
                total.problems += 1;
            }
        }
    }
    for (place, mut shares) in groups {
        add_beside(&mut shares, &load, out)?;
        shares.sort_by(|a, b| a.folder.path.cmp(&b.folder.path));
        total += draw(&place, shares, format, out)?;
    }
    Ok(total)
}

/// Adds the folders of other machines beside those of `shares`; what is wrong with one of them is a note.
fn add_beside(
    shares: &mut Vec<Share>,
    load: impl Fn(&ResultFolder) -> Result<Loaded>,
    out: &mut dyn Write,
) -> Result<()> {
    let experiment = shares[0].experiment.clone();
    let beside: Vec<ResultFolder> = shares
        .iter()
        .flat_map(|share| beside(&share.folder))
        .collect();
    for folder in beside {
        if shares.iter().any(|share| share.folder.path == folder.path) {
            continue;
        }
        let share = load(&folder).and_then(|loaded| {
            anyhow::ensure!(
                !loaded.story.comparisons.is_empty(),
                "it was measured before its experiment declared a comparison; run it there once more, which \
                 measures nothing again"
            );
            Share::of(&folder, &loaded)
        });
        match share {
            Ok(share) if share.experiment == experiment => shares.push(share),
            Ok(_) => {}
            Err(error) => writeln!(
                out,
                "note: {} is not compared: {error:#}",
                folder.path.display()
            )?,
        }
    }
    Ok(())
}

/// The result folders beside one; none beside overrides. What cannot be listed is not there.
fn beside(own: &ResultFolder) -> Vec<ResultFolder> {
    if own.variant.is_some() {
        return Vec::new();
    }
    let entries = own
        .path
        .parent()
        .and_then(|parent| fs::read_dir(parent).ok());
    let paths = entries
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path());
    let others = paths.filter(|path| *path != own.path && path.join("repeats.csv").is_file());
    others.map(ResultFolder::at).collect()
}

impl Share {
    fn of(folder: &ResultFolder, loaded: &Loaded) -> Result<Share> {
        let Loaded { story, rows } = loaded;
        let run = rows.iter().map(|row| row.key.run).max().unwrap_or(0);
        let windows = Windows::read(&folder.path.join("samples.csv"), run)?;
        let results = Results::of_run(story.machine.clone(), rows, run, windows);
        let lines = declared(story, &results);
        let blocks = story.comparisons.iter();
        let blocks = blocks.map(|asked| block(story, &results, asked, &lines));
        Ok(Share {
            folder: folder.clone(),
            experiment: story.name.clone(),
            question: story.question.clone(),
            blocks: blocks.collect(),
        })
    }

    /// One folder for all machines; that of the charts for overrides.
    fn place(&self, plots: &Path) -> PathBuf {
        match self.folder.variant {
            Some(_) => place(plots, &self.folder, &self.experiment),
            None => plots.join(&self.experiment),
        }
    }
}

fn block(story: &Story, results: &Results, asked: &ComparisonStory, lines: &[Declared]) -> Block {
    let lines = lines.iter().filter(|one| one.asked == *asked);
    let compared = lines.map(|Declared { line, .. }| Compared {
        base: line.base,
        other: line.other,
        ratio: line.comparison.ratio,
        hidden: line.hidden.iter().map(in_words).collect(),
        verdict: line.verdict,
    });
    Block::of(
        story,
        &results.summary,
        asked,
        &compared.collect::<Vec<_>>(),
    )
}

fn in_words(Difference { key, base, other }: &Difference) -> String {
    let shown = |text: &str| match text {
        "" => "nothing".to_owned(),
        text => text.to_owned(),
    };
    format!("{key} is {} against {}", shown(base), shown(other))
}

/// Writes table, page and pictures of one experiment, and lists the files on `out`.
fn draw(place: &Path, shares: Vec<Share>, format: Format, out: &mut dyn Write) -> Result<Plotted> {
    let first = shares.first().expect("a group has a member");
    let table = PhaseTable {
        experiment: first.experiment.clone(),
        question: first.question.clone(),
        blocks: shares.into_iter().flat_map(|share| share.blocks).collect(),
    };
    listed(write(place, &table, format), &place.join(NAME), out)
}

fn write(place: &Path, table: &PhaseTable, format: Format) -> Result<Vec<PathBuf>> {
    let picture = heat::figure(table)?;
    fs::create_dir_all(place).with_context(|| format!("creating {}", place.display()))?;
    let csv = place.join(format!("{NAME}.csv"));
    write_summary(&csv, &table.long_form())?;
    let markdown = replace(place, NAME, "md", |path| {
        Ok(fs::write(path, table.markdown())?)
    })?;
    let pictures = save(place, NAME, &picture, format)?;
    Ok([csv, markdown].into_iter().chain(pictures).collect())
}

#[cfg(test)]
mod tests;
