//! A worker that trains nothing: four steps of a sum over floats, which a compiler vectorises as far as
//! it may.

use std::io::stdin;
use std::time::Instant;

const STEPS: u64 = 4;

#[inline(never)]
fn dot(a: &[f32], b: &[f32], out: &mut [f32]) {
    for ((a, b), out) in a.iter().zip(b).zip(out) {
        *out += a * b;
    }
}

/// The text between `before` and `after` in the job.
fn field<'a>(job: &'a str, before: &str, after: char) -> &'a str {
    let rest = job.split(before).nth(1).unwrap_or_default();
    rest.split(after).next().unwrap_or_default()
}

pub fn main(program: &str) {
    let mut line = String::new();
    stdin().read_line(&mut line).unwrap();
    let protocol = field(&line, "\"protocol\":", ',').to_owned();
    let core = field(&line, "\"cores\":[", ']').to_owned();
    println!(r#"{{"event":"ready","protocol":{protocol},"program":"{program}","address":null}}"#);
    stdin().read_line(&mut String::new()).unwrap();
    let (a, b, mut out) = (
        vec![1.5f32; 1 << 12],
        vec![2.5f32; 1 << 12],
        vec![0.0; 1 << 12],
    );
    let phases = "0,0,0,0,0,0,0,0,0,0,0";
    let (started, mut windows) = (Instant::now(), Vec::new());
    for step in 0..STEPS {
        let begun = Instant::now();
        dot(&a, &b, &mut out);
        windows.push((step, begun.elapsed().as_secs_f64()));
    }
    let elapsed = started.elapsed().as_secs_f64();
    for (step, seconds) in windows {
        println!(
            r#"{{"event":"step","replica":0,"first_step":{step},"steps":1,"seconds":{seconds:.9},"phases":[{phases}]}}"#
        );
    }
    println!(
        r#"{{"event":"replica","replica":0,"examples":32,"cores":"{core}","first_loss":null,"last_loss":null,"input_checksum":{},"parameter_digest":null,"gpu":null}}"#,
        out[0] as u64
    );
    println!(
        r#"{{"event":"finished","steps":{STEPS},"total_steps":{STEPS},"global_steps":{STEPS},"checkpoints":0,"measured_from_seconds":0,"elapsed_seconds":{elapsed:.9},"startup_seconds":0,"prefill_seconds":0,"first_step_seconds":0,"exchanged_bytes":0,"peak_memory_bytes":0,"cpu_seconds":0,"convolutions":[],"timing":"each step"}}"#
    );
}
