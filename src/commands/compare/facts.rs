//! In: two cells with their rows, and the records of two machines. Out: what the machine made of the cells
//! otherwise, though nobody declared it otherwise. Pure.

use super::pairs::{Difference, Pair};
use crate::analysis::CellSummary;
use crate::machine::record;
use crate::stats;
use crate::table::RepeatRow;
use std::collections::{BTreeMap, BTreeSet};

/// A fact that each measured row tells.
struct Fact {
    name: &'static str,
    of: fn(&RepeatRow) -> String,
    /// Starts of the settings from which it follows: where one of them differs, that is said instead.
    follows: &'static [&'static str],
}

const FACTS: &[Fact] = &[
    Fact {
        name: "machine",
        of: |row| row.provenance.machine.clone(),
        follows: &[],
    },
    Fact {
        name: "program",
        of: |row| row.provenance.program.clone(),
        follows: &["build."],
    },
    Fact {
        name: "device_kind",
        of: |row| row.resolved.device_kind.clone(),
        follows: &["devices."],
    },
    Fact {
        name: "replicas",
        of: |row| row.resolved.replicas.to_string(),
        follows: &["devices.", "cluster."],
    },
    Fact {
        name: "threads",
        of: |row| threads(&row.resolved.cores),
        follows: &["devices.", "cluster."],
    },
    Fact {
        name: "threads_per_core",
        of: |row| row.resolved.threads_per_core.to_string(),
        follows: &["devices.", "cluster.", "input.", "model."],
    },
    Fact {
        name: GPU_NAME,
        of: |row| {
            let measured = row.measured.as_ref();
            measured.map_or_else(String::new, |measured| measured.gpus.name.clone())
        },
        follows: &["devices.kind"],
    },
    Fact {
        name: GPU_DRIVER,
        of: |row| row.provenance.gpu_driver.clone(),
        follows: &["devices.kind"],
    },
    Fact {
        name: "convolution",
        of: |row| {
            let measured = row.measured.as_ref();
            measured.map_or_else(String::new, |measured| measured.convolution.clone())
        },
        follows: &["model.", "devices.", "build."],
    },
];

/// Keys that a user may name as meant to differ, each with what it stands for besides.
const COVERS: [(&str, &[&str]); 3] = [
    ("machine", &record::FACTS),
    ("machine", &[CLOCK, GPU_CLOCK, GPU_NAME, GPU_DRIVER]),
    ("program", &["compiler"]),
];

/// The columns of the clocks at which processors and GPUs ran.
const CLOCK: &str = "clock_megahertz";
const GPU_CLOCK: &str = "gpu_clock_megahertz";

/// Columns of the GPUs' model and of their driver.
const GPU_NAME: &str = "gpu_name";
const GPU_DRIVER: &str = "gpu_driver";

/// Clocks that are nearer than this change a ratio by no more than what counts as equivalent.
const CLOCK_TOLERANCE: f64 = 0.02;

/// Everything that [`of_rows`], [`of_clocks`] and [`of_machines`] may find different.
pub fn names() -> impl Iterator<Item = &'static str> {
    let facts = FACTS.iter().map(|fact| fact.name);
    facts.chain(record::FACTS).chain([CLOCK, GPU_CLOCK])
}

/// Whether a difference was named as meant by `named`.
pub fn is_named(difference: &Difference, named: &[String]) -> bool {
    let covers = |name: &String| {
        let covered = COVERS.iter().filter(|(key, _)| key == name);
        let mut covered = covered.flat_map(|(_, facts)| facts.iter());
        *name == difference.key || covered.any(|fact| *fact == difference.key)
    };
    named.iter().any(covers)
}

/// The facts of which both cells' measured rows tell different values.
pub fn of_rows(pair: &Pair, base: &[RepeatRow], other: &[RepeatRow]) -> Vec<Difference> {
    let changed: Vec<&str> = changed_settings(pair.base, pair.other);
    let follows = |fact: &&Fact| {
        let mut starts = fact.follows.iter();
        starts.any(|start| changed.iter().any(|key| key.starts_with(start)))
    };
    let told = |fact: &Fact| Difference {
        key: fact.name.to_owned(),
        base: values(base, pair.base, fact),
        other: values(other, pair.other, fact),
    };
    let open = FACTS.iter().filter(|fact| !follows(fact));
    open.map(told).filter(|one| one.base != one.other).collect()
}

/// That the processors or the GPUs of one cell ran faster, as far as rows of both tell it.
pub fn of_clocks(pair: &Pair, base: &[RepeatRow], other: &[RepeatRow]) -> Vec<Difference> {
    let both: [(&str, Clock); 2] = [
        (CLOCK, |row| row.state.clock_megahertz),
        (GPU_CLOCK, |row| row.state.gpus.clock_megahertz),
    ];
    let differ = |(key, of): (&str, Clock)| {
        let (base, other) = (
            median_clock(base, pair.base, of)?,
            median_clock(other, pair.other, of)?,
        );
        let differ = (other / base).ln().abs() > CLOCK_TOLERANCE;
        differ.then(|| Difference {
            key: key.to_owned(),
            base: format!("{base:.0}"),
            other: format!("{other:.0}"),
        })
    };
    both.into_iter().filter_map(differ).collect()
}

type Clock = fn(&RepeatRow) -> Option<f64>;

/// Over the rows that a cell's figures rest on.
fn median_clock(rows: &[RepeatRow], cell: &CellSummary, of: Clock) -> Option<f64> {
    let counted = rows
        .iter()
        .filter(|row| row.key.cell == cell.cell && row.counts());
    stats::median(&counted.filter_map(of).collect::<Vec<_>>())
}

/// The facts of two machines that are not the same; one that only one record has is none.
pub fn of_machines(
    base: &BTreeMap<String, String>,
    other: &BTreeMap<String, String>,
) -> Vec<Difference> {
    let both = base
        .iter()
        .filter_map(|(key, value)| Some((key, value, other.get(key)?)));
    both.filter(|(_, base, other)| base != other)
        .map(|(key, base, other)| Difference {
            key: key.clone(),
            base: base.clone(),
            other: other.clone(),
        })
        .collect()
}

fn changed_settings<'a>(a: &'a CellSummary, b: &'a CellSummary) -> Vec<&'a str> {
    let keys: BTreeSet<&String> = a.settings.keys().chain(b.settings.keys()).collect();
    let changed = keys
        .into_iter()
        .filter(|key| a.settings.get(*key) != b.settings.get(*key));
    changed.map(String::as_str).collect()
}

/// All values of a fact over the rows that a cell's figures rest on.
fn values(rows: &[RepeatRow], cell: &CellSummary, fact: &Fact) -> String {
    let counted = rows
        .iter()
        .filter(|row| row.key.cell == cell.cell && row.counts());
    let values: BTreeSet<String> = counted.map(fact.of).collect();
    values.into_iter().collect::<Vec<_>>().join(", ")
}

/// How many cores each replica has, whichever they are: `0,1|2,3` is `2`.
fn threads(cores: &str) -> String {
    let counts: BTreeSet<usize> = cores
        .split('|')
        .map(|replica| replica.split(',').filter(|core| !core.is_empty()).count())
        .collect();
    let counts: Vec<String> = counts.iter().map(usize::to_string).collect();
    counts.join(" or ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::Summary;
    use crate::analysis::sample_rows::RowBuilder;

    fn keys(differences: &[Difference]) -> Vec<&str> {
        differences.iter().map(|one| one.key.as_str()).collect()
    }

    /// What `work` makes of the only cells of two tables.
    fn paired<R>(base: &[RepeatRow], other: &[RepeatRow], work: impl Fn(&Pair) -> R) -> R {
        let (summary, changed) = (Summary::of(base), Summary::of(other));
        work(&Pair {
            base: &summary.cells[0],
            other: &changed.cells[0],
            differences: Vec::new(),
        })
    }

    #[test]
    fn what_rows_tell_differs_unless_it_follows_from_a_setting() {
        let rows = |threads: &str, cores: &str, program: &str| {
            let mut rows = RowBuilder::cifar10(1)
                .set("devices.threads", threads)
                .repeats(2);
            for row in &mut rows {
                row.resolved.cores = cores.to_owned();
                row.provenance.program = program.to_owned();
            }
            rows
        };
        let found = |base: &[RepeatRow], other: &[RepeatRow]| {
            paired(base, other, |pair| of_rows(pair, base, other))
        };
        let base = rows("1", "0", "a");
        assert_eq!(found(&base, &rows("1", "1", "a")), []);
        let hidden = found(&base, &rows("1", "0,1", "b"));
        assert_eq!(keys(&hidden), ["program", "threads"]);
        assert_eq!(
            (hidden[1].base.as_str(), hidden[1].other.as_str()),
            ("1", "2")
        );
        assert_eq!(keys(&found(&base, &rows("2", "0,1", "b"))), ["program"]);
    }

    #[test]
    fn clocks_differ_by_more_than_what_counts_as_equivalent() {
        let rows = |clocks: [f64; 3]| {
            let mut rows = RowBuilder::cifar10(1).repeats(3);
            for (row, clock) in rows.iter_mut().zip(clocks) {
                row.state.clock_megahertz = Some(clock);
            }
            rows
        };
        let found = |base: &[RepeatRow], other: &[RepeatRow]| {
            paired(base, other, |pair| of_clocks(pair, base, other))
        };
        let base = rows([3000.0, 3010.0, 1200.0]);
        assert_eq!(found(&base, &rows([3050.0, 3050.0, 3050.0])), []);
        let slower = found(&base, &rows([2500.0; 3])).remove(0);
        assert_eq!(
            (slower.base.as_str(), slower.other.as_str()),
            ("3000", "2500")
        );
        assert!(is_named(&slower, &["machine".to_owned()]));
        let unknown = RowBuilder::cifar10(1).repeats(3);
        assert_eq!(found(&base, &unknown), []);
    }

    #[test]
    fn another_gpu_its_driver_and_its_clock_are_no_hidden_differences() {
        let rows = |name: &str, driver: &str, clock: f64| {
            let mut rows = RowBuilder::cifar10(1).on_gpus(1.0, 0.1, 0).repeats(3);
            for row in &mut rows {
                row.measured.as_mut().unwrap().gpus.name = name.to_owned();
                row.provenance.gpu_driver = driver.to_owned();
                row.state.gpus.clock_megahertz = Some(clock);
            }
            rows
        };
        let found = |base: &[RepeatRow], other: &[RepeatRow]| {
            paired(base, other, |pair| {
                let mut found = of_rows(pair, base, other);
                found.extend(of_clocks(pair, base, other));
                found
            })
        };
        let base = rows("NVIDIA H100", "550.1", 1980.0);
        assert_eq!(found(&base, &base), []);
        let other = found(&base, &rows("NVIDIA H200", "575.2", 1700.0));
        assert_eq!(
            keys(&other),
            ["gpu_name", "gpu_driver", "gpu_clock_megahertz"]
        );
        assert!(other.iter().all(|one| is_named(one, &["machine".into()])));
    }

    #[test]
    fn naming_a_machine_names_all_that_belongs_to_it() {
        let record = |kernel: &str, compiler: &str| {
            let pairs = [("kernel", kernel), ("compiler", compiler)];
            pairs.map(|(k, v)| (k.to_owned(), v.to_owned())).into()
        };
        let found = of_machines(&record("6.1", "1.90"), &record("6.2", "1.95"));
        assert_eq!(keys(&found), ["compiler", "kernel"]);
        let open = |named: &str| {
            let named = [named.to_owned()];
            let open = found.iter().filter(|one| !is_named(one, &named));
            open.count()
        };
        let counts = ["machine", "program", "kernel", "driver"].map(open);
        assert_eq!(counts, [0, 1, 1, 2]);
    }
}
