//! Why a repeat failed, in one line. In: what went wrong with each process, in the order in which the
//! harness learned it. Out: who was first, and what the others were doing. Pure.
//!
//! Processes that wait for each other fail together, and often the first to say so is not the one to
//! blame. A process that is gone without a word comes before one that said why it failed, and both
//! before those that only lost somebody. Where all have lost somebody, the one that is waited for and
//! says nothing itself is to blame: it hangs.

use super::cast::Name;
use crate::protocol::Waiting;
use crate::terms::{Phase, RoleName};
use std::collections::{BTreeMap, BTreeSet};

/// So much of a name that is nobody's is quoted.
const QUOTED_CHARS: usize = 40;

/// What went wrong with one process.
#[derive(Clone, Debug, PartialEq)]
pub enum Trouble {
    /// It is gone and did not say why: `ended with signal: 9 (SIGKILL)`, `without a finished event`.
    Ended { how: String, when: String },
    /// It broke the protocol, or would not go.
    Broke(String),
    /// It said why it cannot go on.
    Failed(String),
    /// Another process did not answer it.
    Lost(Waiting),
}

/// The first cause, and all of the story.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagnosis {
    /// Index of the process to blame, whose log may tell more.
    pub culprit: usize,
    /// One line.
    pub text: String,
}

/// Finds the cause. `troubles` has an entry for each process that is in trouble, by its index in
/// `names`, and is not empty. `step` is how far the cell was, where its processes work together.
pub fn diagnose(names: &[Name], troubles: &[(usize, Trouble)], step: Option<u64>) -> Diagnosis {
    let case = Case {
        names,
        troubles,
        place: step.map(|step| format!(" in step {step}")),
    };
    let (culprit, what) = case.cause();
    let text = match case.waiting() {
        waiting if waiting.is_empty() => what,
        waiting => format!("{what}; {waiting}"),
    };
    Diagnosis { culprit, text }
}

struct Case<'a> {
    names: &'a [Name],
    troubles: &'a [(usize, Trouble)],
    /// ` in step 41`, where that is known.
    place: Option<String>,
}

impl Case<'_> {
    /// Who is to blame, and what it did.
    fn cause(&self) -> (usize, String) {
        let rank = |trouble: &Trouble| match trouble {
            Trouble::Ended { .. } | Trouble::Broke(_) => 0,
            Trouble::Failed(_) => 1,
            Trouble::Lost(_) => 2,
        };
        let first = self
            .troubles
            .iter()
            .min_by_key(|(_, trouble)| rank(trouble));
        let (who, trouble) = first.expect("a repeat without trouble is not diagnosed");
        let did = |what: String| (*who, format!("{} {what}", self.names[*who]));
        match (trouble, &self.place) {
            (Trouble::Ended { how, .. }, Some(place)) => did(format!("{how}{place}")),
            (Trouble::Ended { how, when }, None) => did(format!("{how} {when}")),
            (Trouble::Broke(what), _) => did(what.clone()),
            (Trouble::Failed(reason), _) => did(format!("failed: {reason}")),
            (Trouble::Lost(_), _) => self.silent(*who),
        }
    }

    /// Who is waited for and tells nothing itself, beginning with one that waits.
    fn silent(&self, first: usize) -> (usize, String) {
        let place = self.place.as_deref().unwrap_or_default();
        let mut seen = BTreeSet::new();
        let mut who = first;
        while let Some(waiting) = self.lost_by(who) {
            if !seen.insert(who) {
                return (first, format!("no process failed first{place}"));
            }
            match self
                .names
                .iter()
                .position(|name| name.to_string() == waiting.peer)
            {
                Some(peer) => who = peer,
                None => {
                    let peer: String = waiting.peer.escape_debug().take(QUOTED_CHARS).collect();
                    let name = self.names[who];
                    return (
                        who,
                        format!("{name} lost `{peer}`, which has no part{place}"),
                    );
                }
            }
        }
        let name = self.names[who];
        let what = match self.silence_of(&name.to_string()) {
            Some(seconds) => format!("said nothing for {seconds:.1} s"),
            None => "closed its connections".to_owned(),
        };
        (who, format!("{name} {what}{place}"))
    }

    fn lost_by(&self, process: usize) -> Option<&Waiting> {
        self.troubles
            .iter()
            .find_map(|(who, trouble)| match trouble {
                Trouble::Lost(waiting) if *who == process => Some(waiting),
                _ => None,
            })
    }

    /// The longest that anybody has waited for a process.
    fn silence_of(&self, peer: &str) -> Option<f64> {
        let waits = self
            .troubles
            .iter()
            .filter_map(|(_, trouble)| match trouble {
                Trouble::Lost(waiting) if waiting.peer == peer => waiting.silent_seconds,
                _ => None,
            });
        waits.reduce(f64::max)
    }

    /// What everybody else was waiting in: `workers 0-2 were waiting in pull, worker 3 in push`.
    fn waiting(&self) -> String {
        let mut phases: BTreeMap<Phase, Vec<Name>> = BTreeMap::new();
        for (who, trouble) in self.troubles {
            if let Trouble::Lost(waiting) = trouble {
                phases
                    .entry(waiting.phase)
                    .or_default()
                    .push(self.names[*who]);
            }
        }
        let mut parts = Vec::new();
        for (phase, mut names) in phases {
            names.sort_unstable();
            let were = match (parts.is_empty(), names.len()) {
                (false, _) => "",
                (true, 1) => " was waiting",
                (true, _) => " were waiting",
            };
            parts.push(format!("{}{were} in {phase}", together(&names)));
        }
        parts.join(", ")
    }
}

/// `workers 0-3 and server 1`, for sorted names.
pub fn together(names: &[Name]) -> String {
    let one_role = |names: &[Name]| {
        let ranks: Vec<usize> = names.iter().map(|name| name.rank).collect();
        let plural = if names.len() > 1 { "s" } else { "" };
        format!("{}{plural} {}", names[0].role, and(&ranges(&ranks)))
    };
    let roles = names.chunk_by(|a, b| a.role == b.role);
    and(&roles.map(one_role).collect::<Vec<_>>())
}

/// Three and more neighbours become a range.
fn ranges(ranks: &[usize]) -> Vec<String> {
    let range = |run: &[usize]| match run {
        [first, _, .., last] => vec![format!("{first}-{last}")],
        few => few.iter().map(usize::to_string).collect(),
    };
    ranks.chunk_by(|a, b| a + 1 == *b).flat_map(range).collect()
}

/// `a, b and c`.
fn and(parts: &[String]) -> String {
    match parts {
        [first @ .., last] if !first.is_empty() => format!("{} and {last}", first.join(", ")),
        _ => parts.concat(),
    }
}

/// Where everybody was when time was up: `worker 0 had told of 41 steps, server 0 was serving`.
pub fn whereabouts(stages: &[(Name, String)]) -> String {
    let mut groups: Vec<(RoleName, &str, Vec<Name>)> = Vec::new();
    for (name, stage) in stages {
        match groups
            .iter_mut()
            .find(|(role, at, _)| (*role, *at) == (name.role, stage.as_str()))
        {
            Some((.., names)) => names.push(*name),
            None => groups.push((name.role, stage.as_str(), vec![*name])),
        }
    }
    let text = |(_, stage, names): &(RoleName, &str, Vec<Name>)| {
        let stage = match names.len() {
            1 => stage.to_string(),
            _ => stage.replacen("was ", "were ", 1),
        };
        format!("{} {stage}", together(names))
    };
    groups.iter().map(text).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
