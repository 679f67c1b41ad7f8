//! `xrun compare A B` and `xrun compare A --over KEY=BASE`: which cell is faster, by how much and how
//! surely.
//!
//! In: result folders, tables or committed ones. Out: a table with a verdict for each pair of cells, and
//! none for those that differ in what nobody named. Runs nothing and writes no file.

mod builds;
mod committed;
mod facts;
mod pairs;
mod select;
mod show;
mod sides;
mod source;
mod windows;

use super::Ending;
use super::prepare::WrongFlag;
use crate::analysis::verdict::{Verdict, decide};
use crate::cli::{CompareArgs, FailIf};
use crate::spec::settings::SETTINGS;
use anyhow::Result;
use sides::{Line, Sides};

/// Reads, pairs, decides and prints.
///
/// # Errors
/// An argument is wrong; nothing can be compared; `--fail-if` asks for a verdict that there is not.
pub fn run(arguments: &CompareArgs) -> Result<Ending> {
    check(arguments)?;
    let base = source::read(&arguments.base)?;
    let other = arguments.other.as_deref().map(source::read).transpose()?;
    let sides = match (&other, &arguments.over) {
        (Some(other), _) => Sides::between(&base, other, arguments)?,
        (None, Some(over)) => Sides::within(&base, over, arguments)?,
        (None, None) => unreachable!("clap asks for B or --over"),
    };
    let mut lines = sides.lines();
    if lines.is_empty() {
        return Err(wrong(
            "nothing to compare: no completed cell of B is declared like one of A, but for settings that \
             have one value throughout A and another throughout B"
                .to_owned(),
        ));
    }
    let measured = sides.floors().map(|floor| floor.half_width);
    let floor = arguments.noise_floor.or(measured.reduce(f64::max));
    judge(&mut lines, floor);
    show::print(&mut std::io::stdout(), &sides, &lines, arguments)?;
    if sides.is_one_run() {
        builds::print(&mut std::io::stdout(), &lines, floor)?;
    }
    ending(&lines, &arguments.fail_if)
}

/// Gives verdicts to all lines together that hide no difference.
fn judge(lines: &mut [Line], noise_floor: Option<f64>) {
    let open = || lines.iter().filter(|line| line.hidden.is_empty());
    let family: Vec<_> = open().map(|line| line.comparison.clone()).collect();
    let verdicts = decide(&family, noise_floor);
    let open = lines.iter_mut().filter(|line| line.hidden.is_empty());
    for (line, verdict) in open.zip(verdicts) {
        line.verdict = Some(verdict);
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
fn ending(lines: &[Line], fail_if: &[FailIf]) -> Result<Ending> {
    if fail_if.is_empty() {
        return Ok(Ending::Done);
    }
    let unwanted = |line: &Line| line.verdict.is_some_and(|v| is_unwanted(v, fail_if));
    if lines.iter().any(unwanted) {
        return Ok(Ending::UnwantedVerdict);
    }
    let without = lines.iter().filter(|line| line.verdict.is_none()).count();
    anyhow::ensure!(
        without == 0,
        "{without} of {} comparisons have no verdict, so --fail-if cannot be answered: name what is meant to differ with --allow-different",
        lines.len()
    );
    Ok(Ending::Done)
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
