//! `xrun compare A B`, `xrun compare A --over KEY=BASE` and `xrun compare A`: which cell is faster, by how
//! much and how surely. A run tells the last one below its table.
//!
//! In: result folders, tables or committed ones. Out: a table with a verdict for each pair of cells, and
//! none for those that differ in what nobody named. Runs nothing and writes no file.

mod committed;
mod declared;
mod facts;
mod pairs;
mod process;
mod select;
mod show;
mod sides;
mod source;
mod windows;

pub use declared::{Declared, declared};
pub use pairs::Difference;
pub use sides::Line;
pub use source::Results;
pub use windows::Windows;

use super::Ending;
use super::prepare::WrongFlag;
use crate::analysis::verdict::{Verdict, decide};
use crate::analysis::{CellSummary, Story};
use crate::cli::{CompareArgs, FailIf};
use crate::spec::settings::SETTINGS;
use crate::units::counted;
use anyhow::Result;
use select::KeyValue;
use sides::{Part, Sides};
use std::collections::BTreeSet;
use std::io::{Write, stdout};

/// Reads, pairs, decides and prints.
///
/// # Errors
/// An argument is wrong; nothing can be compared; `--fail-if` asks for a verdict that there is not.
pub fn run(arguments: &CompareArgs) -> Result<Ending> {
    check(arguments)?;
    match (&arguments.other, &arguments.over) {
        (Some(other), _) => {
            let (base, other) = (source::read(&arguments.base)?, source::read(other)?);
            let sides = Sides::between(&base, &other, arguments)?;
            finish(vec![sides.into()], arguments)
        }
        (None, Some(over)) => {
            let results = source::read(&arguments.base)?;
            finish(vec![along(&results, over, arguments)?.into()], arguments)
        }
        (None, None) => {
            let (results, story) = source::read_declared(&arguments.base)?;
            let parts = declared::parts(&story, &results, &arguments.allow_different);
            finish(parts, arguments)
        }
    }
}

/// Writes what the file of a run declares to be compared; nothing where it declares nothing.
///
/// # Errors
/// `out` cannot be written.
pub fn write_declared(out: &mut dyn Write, story: &Story, results: &Results) -> Result<()> {
    let mut parts = declared::parts(story, results, &[]);
    if parts.is_empty() {
        return Ok(());
    }
    judge(&mut parts, None);
    let call = format!("xrun compare {} ", results.name);
    show::print_below(out, &parts, &call)
}

/// What `--over` asks for.
///
/// # Errors
/// A key or value of the arguments that no cell has.
fn along<'a>(results: &'a Results, over: &str, arguments: &CompareArgs) -> Result<Sides<'a>> {
    let cells = select::filter(&results.summary.cells, &arguments.only)?;
    let wanted = KeyValue::parse("--over", over)?;
    select::check_key("--over", wanted.key, &cells)?;
    let values = select::values(&cells, wanted.key);
    select::check_value("--over", wanted, &values)?;
    if values.len() == 1 {
        return Err(wrong(format!(
            "--over {over}: every cell has this value, so there is nothing to compare it with"
        )));
    }
    let allowed = &arguments.allow_different;
    Ok(Sides::within(results, cells, wanted, allowed))
}

/// Decides, prints, and answers `--fail-if`.
fn finish(mut parts: Vec<Part>, arguments: &CompareArgs) -> Result<Ending> {
    judge(&mut parts, arguments.noise_floor);
    if arguments.other.is_none() && arguments.over.is_none() {
        // Verdicts stay those of all that is declared, whichever of them are shown.
        narrow(&mut parts, &arguments.only)?;
    }
    if parts.iter().all(|part| part.lines.is_empty()) {
        return Err(wrong(nothing(&parts)));
    }
    show::print(&mut stdout(), &parts, arguments)?;
    ending(&parts, &arguments.fail_if)
}

fn nothing(parts: &[Part]) -> String {
    let why = match parts.iter().all(|part| part.sides.is_one_run()) {
        true => "no completed cell with another value is declared like one of A",
        false => {
            "no completed cell of B is declared like one of A, but for settings that \
             have one value throughout A and another throughout B"
        }
    };
    format!("nothing to compare: {why}")
}

/// Keeps the lines whose B has the wanted values.
///
/// # Errors
/// A key that no such cell has, or a value that leaves none.
fn narrow(parts: &mut Vec<Part>, only: &[String]) -> Result<()> {
    if only.is_empty() {
        return Ok(());
    }
    let others = parts.iter().flat_map(|part| {
        let lines = part.lines.iter().map(|line| line.other);
        let missing = part.sides.missing.iter().map(|missing| missing.other);
        lines.chain(missing).chain(part.lost.iter().copied())
    });
    let kept = select::narrow(others.collect(), only)?;
    let kept: BTreeSet<&str> = kept.iter().map(|cell| cell.cell.as_str()).collect();
    let is_kept = |cell: &CellSummary| kept.contains(cell.cell.as_str());
    for part in parts.iter_mut() {
        part.lines.retain(|line| is_kept(line.other));
        part.sides.missing.retain(|missing| is_kept(missing.other));
        part.lost.retain(|cell| is_kept(cell));
    }
    let is_empty = |part: &Part| part.lines.is_empty() && part.sides.missing.is_empty();
    parts.retain(|part| !is_empty(part) || !part.lost.is_empty());
    Ok(())
}

/// Gives verdicts to all lines together that hide no difference, with the noise floor of the A/A twins
/// where none is given.
fn judge(parts: &mut [Part], noise_floor: Option<f64>) {
    let floors = parts.iter().flat_map(|part| part.sides.floors());
    let measured = floors.map(|floor| floor.half_width).reduce(f64::max);
    let lines = parts.iter().flat_map(|part| &part.lines);
    let open = lines.filter(|line| line.hidden.is_empty());
    let family: Vec<_> = open.map(|line| line.comparison.clone()).collect();
    let mut verdicts = decide(&family, noise_floor.or(measured)).into_iter();
    for part in parts {
        let open = part.lines.iter_mut().filter(|line| line.hidden.is_empty());
        for (line, verdict) in open.zip(&mut verdicts) {
            line.verdict = Some(verdict);
            part.decided += 1;
        }
    }
}

/// Refuses what can be known to be wrong before anything is read.
fn check(arguments: &CompareArgs) -> Result<()> {
    if let Some(floor) = arguments.noise_floor
        && !(0.0..1.0).contains(&floor)
    {
        return Err(wrong(format!(
            "--noise-floor {floor}: a share from 0 to 1, such as 0.013 for 1.3 %"
        )));
    }
    for key in &arguments.allow_different {
        let settings = SETTINGS.iter().map(|setting| setting.key);
        let known: Vec<&str> = settings.chain(facts::names()).collect();
        if !known.contains(&key.as_str()) {
            return Err(wrong(format!(
                "--allow-different {key}: neither a setting nor a fact of a machine{}",
                select::meant(key, known)
            )));
        }
    }
    Ok(())
}

/// # Errors
/// A verdict is asked for and there is none: that must not pass for a good one.
fn ending(parts: &[Part], fail_if: &[FailIf]) -> Result<Ending> {
    if fail_if.is_empty() {
        return Ok(Ending::Done);
    }
    let lines = || parts.iter().flat_map(|part| &part.lines);
    if lines().any(|line| line.verdict.is_some_and(|v| is_unwanted(v, fail_if))) {
        return Ok(Ending::UnwantedVerdict);
    }
    let without = lines().filter(|line| line.verdict.is_none()).count();
    anyhow::ensure!(
        without == 0,
        "{without} of {} comparisons have no verdict, so --fail-if cannot be answered: name what is meant to differ with --allow-different",
        lines().count()
    );
    let gaps: Vec<String> = parts.iter().filter_map(gap).collect();
    anyhow::ensure!(
        gaps.is_empty(),
        "--fail-if cannot be answered: {}: measure what is missing, or choose the rest with --where",
        gaps.join("; ")
    );
    Ok(Ending::Done)
}

/// What a part lacks of the lines that it should have.
fn gap(part: &Part) -> Option<String> {
    let missing = part.sides.missing.iter();
    let labels: BTreeSet<&str> = missing.map(|one| one.cell.label.as_str()).collect();
    if !labels.is_empty() {
        let labels: Vec<&str> = labels.into_iter().collect();
        return Some(format!(
            "only one side has completed repeats of {}",
            labels.join(", ")
        ));
    }
    if !part.lost.is_empty() {
        let pairs = counted(part.lost.len() as u64, "pair");
        return Some(format!("{pairs} of cells have no block in common"));
    }
    part.lines
        .is_empty()
        .then(|| format!("nothing is there of {}", part.sides.title.join(" and ")))
}

fn is_unwanted(verdict: Verdict, fail_if: &[FailIf]) -> bool {
    let kind = match verdict {
        Verdict::Slower => FailIf::Slower,
        Verdict::Faster => FailIf::Faster,
        Verdict::Undecided(_) => FailIf::Undecided,
        Verdict::Equivalent => return false,
    };
    fail_if.contains(&kind)
}

/// An error in what the user gave.
fn wrong(message: String) -> anyhow::Error {
    WrongFlag(message).into()
}
