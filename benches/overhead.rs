//! What the harness adds to a repeat: launch to row of the null model, beside what it costs to start
//! and end a process that does nothing. Medians of 100, taken in turn.
//!
//!     cargo bench --bench overhead

use anyhow::{Context, Result};
use std::path::Path;
use std::process::Command;
use std::time::Instant;
use xrun::flavour::given_binary;
use xrun::launch::slots::assign;
use xrun::launch::{RepeatRequest, Session, interrupt};
use xrun::machine::Machine;
use xrun::spec::settings::{SETTINGS, Settings};
use xrun::stats::quantile;
use xrun::table::{Journal, Key, Opening, Provenance, RepeatRow, Resolved, SampleRow};
use xrun::terms::{InputSource, ModelName, Outcome};

const REPEATS: u32 = 100;

fn main() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut harness = Harness::open(folder.path())?;
    let (mut repeats, mut processes) = (Vec::new(), Vec::new());
    for repeat in 1..=REPEATS {
        repeats.push(seconds(|| harness.repeat(repeat))?);
        processes.push(seconds(|| Ok(Command::new("true").status().map(drop)?))?);
    }
    for (what, times) in [
        ("null model, launch to row", repeats),
        ("a process that does nothing", processes),
    ] {
        let at = |p| quantile(&times, p).unwrap_or_default() * 1e3;
        println!(
            "{what}: median {:.2} ms, 90 % below {:.2} ms, n = {REPEATS}",
            at(0.5),
            at(0.9)
        );
    }
    Ok(())
}

fn seconds(what: impl FnOnce() -> Result<()>) -> Result<f64> {
    let start = Instant::now();
    what()?;
    Ok(start.elapsed().as_secs_f64())
}

/// What `xrun FILE` has open while it measures.
struct Harness<'a> {
    folder: &'a Path,
    machine: Machine,
    settings: Settings,
    program: xrun::flavour::Program,
    session: Session,
    journal: Journal,
}

impl<'a> Harness<'a> {
    fn open(folder: &'a Path) -> Result<Self> {
        let program = given_binary(Path::new(env!("CARGO_BIN_EXE_xrun")))?;
        let keys: Vec<&str> = SETTINGS.iter().map(|setting| setting.key).collect();
        let opening = Opening {
            setting_keys: &keys,
            axes: &[],
            purpose: "overhead",
            new_run: false,
        };
        let (_, interrupt) = interrupt::channel();
        Ok(Self {
            folder,
            machine: Machine::detect(),
            settings: Settings {
                input_source: InputSource::Normal,
                layers: vec![1, 1],
                local_batch: 1,
                warmup_steps: 0,
                steps: 10,
                ..Settings::defaults(ModelName::None)
            },
            session: Session::start(&program, interrupt)?,
            program,
            journal: Journal::open(folder, &opening)?,
        })
    }

    fn repeat(&mut self, repeat: u32) -> Result<()> {
        let slots = assign(&self.settings, &self.machine).map_err(anyhow::Error::msg)?;
        let request = RepeatRequest {
            settings: &self.settings,
            slots: &slots,
            program: &self.program,
            cache: self.folder,
            log: &self.folder.join("logs/overhead"),
        };
        let result = self.session.run_repeat(&request, &mut |_| ())?;
        anyhow::ensure!(result.outcome == Outcome::Completed, "{}", result.reason);
        let key = Key {
            run: self.journal.run(),
            cell: "overhead".into(),
            repeat,
        };
        let sample = |(rank, window)| SampleRow {
            key: key.clone(),
            rank,
            window,
        };
        let samples: Vec<_> = result.samples().map(sample).collect();
        let row = RepeatRow {
            key: key.clone(),
            block: repeat,
            position: 1,
            build: 1,
            label: "null model".into(),
            twin_of: String::new(),
            started_at: String::new(),
            outcome: result.outcome,
            reason: String::new(),
            marks: Vec::new(),
            axis_labels: Default::default(),
            settings: Default::default(),
            resolved: Resolved::default(),
            measured: result.measured,
            ceilings: xrun::table::Ceilings::default(),
            state: xrun::table::State::default(),
            provenance: Provenance::default(),
        };
        self.journal
            .append(&row, &samples)
            .context("writing the row")
    }
}
