//! Large inputs: a plan of 100,000 cells, and a table of 5,000,000 timings read as a stream. Prints
//! seconds and the peak memory of this process after each.
//!
//!     cargo bench --bench scale

use anyhow::Result;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Instant;
use xrun::table::visit_samples;
use xrun::units::{Bytes, Seconds};
use xrun::worker::resources::peak_memory_bytes;

const SAMPLES: u32 = 5_000_000;

fn main() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let samples = folder.path().join("samples.csv");
    write_samples(&samples)?;
    let size = Bytes(fs::metadata(&samples)?.len());
    let mut seconds = 0.0;
    let start = Instant::now();
    visit_samples(&samples, |sample| seconds += sample.window.seconds)?;
    say(&format!("{SAMPLES} timings, {size}"), start);
    anyhow::ensure!(seconds > 0.0, "the timings were read");

    let file = folder.path().join("large.toml");
    fs::write(&file, large_plan())?;
    let start = Instant::now();
    let (_, plan) = xrun::plan::read(&file, std::iter::empty(), &[])?;
    say(&format!("a plan of {} cells", plan.cells.len()), start);
    Ok(())
}

fn say(what: &str, start: Instant) {
    let (time, memory) = (
        Seconds(start.elapsed().as_secs_f64()),
        Bytes(peak_memory_bytes()),
    );
    println!("{what}: {time}, peak memory so far {memory}");
}

fn write_samples(path: &Path) -> Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    writeln!(
        out,
        "run,cell,repeat,rank,replica,first_step,steps,seconds,input_wait_seconds,copy_seconds,distort_seconds,\
         forward_seconds,backward_seconds,exchange_seconds,apply_seconds"
    )?;
    for i in 0..SAMPLES {
        let (repeat, step) = (i / 1000 + 1, i % 1000);
        let forward = 0.001 + f64::from(i % 977) * 1e-7;
        writeln!(
            out,
            "1,0123456789ab,{repeat},0,0,{step},1,{},0,0,0,{forward},{forward},0,0",
            2.5 * forward
        )?;
    }
    Ok(out.flush()?)
}

/// Three axes whose product has 100,000 cells.
fn large_plan() -> String {
    let to = |last: u32| {
        (1..=last)
            .map(|i| i.to_string())
            .collect::<Vec<_>>()
            .join(", ")
    };
    format!(
        "schema = 1\nname = \"large\"\nquestion = \"is a large plan quick?\"\n\
         [model]\nname = \"none\"\n[input]\nsource = \"normal\"\n\
         [sweep]\nmodel.local_batch = [{}]\nmeasure.steps = [{}]\nmeasure.warmup_steps = [{}]\n",
        to(100),
        to(100),
        to(10)
    )
}
