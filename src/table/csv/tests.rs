use super::*;
use crate::table::{
    Build, Ceilings, Cluster, GpuCeilings, GpuState, Gpus, Key, Measured, Provenance, Resolved,
    State,
};
use crate::terms::{Mark, Phase};
use insta::assert_snapshot;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use std::collections::BTreeMap;
use strum::VariantArray;

const SETTINGS: [&str; 3] = ["model.name", "devices.per_worker", "cluster.topology"];
const AXES: [&str; 2] = ["input", "whole \"network\",\nof it"];

fn number() -> impl Strategy<Value = f64> {
    use proptest::num::f64;
    f64::NORMAL | f64::SUBNORMAL | f64::ZERO | f64::INFINITE | f64::NEGATIVE
}

fn texts(keys: &'static [&'static str]) -> impl Strategy<Value = BTreeMap<String, String>> {
    let text = any::<String>().prop_filter("an empty field means none", |text| !text.is_empty());
    btree_map(
        prop::sample::select(keys).prop_map(str::to_owned),
        text,
        0..=keys.len(),
    )
}

prop_compose! {
    fn measured()(
        counts in vec(any::<u64>(), 4),
        times in vec(number(), 12),
        phase_seconds in [(); Phase::COUNT].map(|()| number()),
        losses in [prop::option::of(number()), prop::option::of(number())],
        parameter_digest in any::<String>(),
        convolution in any::<String>(),
        timing in any::<String>(),
        gpus in gpus(),
        cluster in cluster(),
    ) -> Measured {
        Measured {
            steps: counts[0],
            examples: counts[1],
            elapsed_seconds: times[0],
            throughput_examples_per_second: times[1],
            step_seconds_median: times[2],
            step_seconds_mad: times[3],
            step_seconds_min: times[4],
            step_seconds_max: times[5],
            step_seconds_mean: times[6],
            phase_seconds,
            other_seconds: times[7],
            first_step_seconds: times[8],
            startup_seconds: times[9],
            prefill_seconds: times[10],
            repeat_seconds: times[11],
            first_loss: losses[0],
            last_loss: losses[1],
            parameter_digest,
            exchanged_bytes: counts[2],
            peak_memory_bytes: counts[3],
            cpu_seconds: times[3],
            convolution,
            timing,
            gpus,
            cluster,
        }
    }
}

prop_compose! {
    fn gpus()(
        texts in vec(any::<String>(), 2),
        numbers in vec(prop::option::of(number()), 3),
        counts in vec(prop::option::of(any::<u64>()), 2),
    ) -> Gpus {
        Gpus {
            devices: texts[0].clone(),
            name: texts[1].clone(),
            launches_per_step: numbers[0],
            graph_launches: counts[0],
            host_step_seconds: numbers[1],
            host_bound_share: numbers[2],
            memory_bytes: counts[1],
        }
    }
}

prop_compose! {
    fn gpu_state()(
        numbers in vec(prop::option::of(number()), 3),
        throttle_reasons in any::<String>(),
        other_processes in prop::option::of(any::<u64>()),
    ) -> GpuState {
        GpuState {
            clock_megahertz: numbers[0],
            temperature_celsius: numbers[1],
            power_watts: numbers[2],
            throttle_reasons,
            other_processes,
        }
    }
}

prop_compose! {
    fn cluster()(
        counts in vec(any::<u64>(), 5),
        some_counts in vec(prop::option::of(any::<u64>()), 4),
        rates in vec(number(), 2),
        some_rates in vec(prop::option::of(number()), 5),
        texts in vec(any::<String>(), 6),
    ) -> Cluster {
        let mut texts = texts.into_iter();
        let mut next = || texts.next().unwrap();
        Cluster {
            steps_per_second: rates[0],
            steps_per_second_per_worker: rates[1],
            total_steps: counts[0],
            global_steps: counts[1],
            worker_starts: next(),
            alone_updates: some_counts[0],
            checkpoints: counts[2],
            links: next(),
            link_pulled_bytes: next(),
            link_pushed_bytes: next(),
            link_gigabytes_per_second: next(),
            pulled_bytes: counts[3],
            pushed_bytes: counts[4],
            exchange_gigabytes_per_second: some_rates[0],
            server_share: some_rates[1],
            server_apply_seconds: some_rates[2],
            server_busy_share: some_rates[3],
            pushed_gradients: some_counts[1],
            applied_updates: some_counts[2],
            dropped_gradients: some_counts[3],
            staleness: next(),
            staleness_mean: some_rates[4],
        }
    }
}

prop_compose! {
    fn row()(
        numbers in vec(any::<u32>(), 5),
        text in vec(any::<String>(), 15),
        cell in "[0-9a-f]{12}",
        outcome in prop::sample::select(Outcome::VARIANTS),
        marks in vec(prop::sample::select(Mark::VARIANTS), 0..3),
        axis_labels in texts(&AXES),
        settings in texts(&SETTINGS),
        (global_batch, threads_per_core, load_average) in (any::<u64>(), number(), number()),
        measured in prop::option::of(measured()),
        ceilings in vec(prop::option::of(number()), 11),
        seen in vec(prop::option::of(number()), 5),
        throttle_count in prop::option::of(any::<u64>()),
        gpus in gpu_state(),
    ) -> RepeatRow {
        let mut text = text.into_iter();
        let mut next = || text.next().unwrap();
        RepeatRow {
            key: Key { run: numbers[0], cell, repeat: numbers[1] },
            block: numbers[2],
            position: numbers[3],
            build: numbers[4],
            label: next(),
            twin_of: next(),
            started_at: next(),
            outcome,
            reason: next(),
            marks,
            axis_labels,
            settings,
            resolved: Resolved {
                device_kind: next(),
                replicas: numbers[4],
                global_batch,
                cores: next(),
                server_cores: next(),
                threads_per_core,
            },
            measured,
            ceilings: Ceilings {
                copy: ceilings[0],
                one_way: ceilings[1],
                exchange: ceilings[2],
                apply: ceilings[3],
                share: ceilings[4],
                gpu: GpuCeilings {
                    host_to_device: ceilings[5],
                    device_to_host: ceilings[6],
                    device_to_device: ceilings[7],
                    gemm: ceilings[8],
                    gemm_tf32: ceilings[9],
                    launch_seconds: ceilings[10],
                },
            },
            state: State {
                other_cpu_share: seen[0],
                steal_share: seen[1],
                clock_megahertz: seen[2],
                temperature_celsius: seen[3],
                throttle_count,
                memory_pressure_share: seen[4],
                gpus,
            },
            provenance: Provenance {
                machine: next(),
                gpu_driver: next(),
                xrun_version: next(),
                program: next(),
                git_revision: next(),
                load_average,
                run_token: next(),
                build: Build {
                    profile: next(),
                    contents: next(),
                    ..Build::default()
                },
            },
        }
    }
}

fn header() -> Header {
    Header::wanted(&SETTINGS, &AXES).unwrap()
}

/// The file of these rows, and where each of its records ends.
fn file(rows: &[RepeatRow]) -> (Vec<u8>, Vec<usize>) {
    let mut bytes = line(header().names());
    let mut ends = vec![bytes.len()];
    for row in rows {
        bytes.extend(header().encode(row).unwrap());
        ends.push(bytes.len());
    }
    (bytes, ends)
}

fn path() -> &'static Path {
    Path::new("results/smoke/box/repeats.csv")
}

proptest! {
    #[test]
    fn rows_read_back_as_they_were_written(rows in vec(row(), 0..4)) {
        let (bytes, _) = file(&rows);
        let parsed = parse(path(), &bytes).unwrap();
        prop_assert_eq!(parsed.rows, rows);
        prop_assert_eq!(parsed.whole, bytes.len());
    }

    #[test]
    fn a_file_cut_anywhere_has_the_rows_that_end_before(
        rows in vec(row(), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let (bytes, ends) = file(&rows);
        let cut = cut.index(bytes.len());
        let parsed = parse(path(), &bytes[..cut]).unwrap();
        let whole = ends.iter().rposition(|end| *end <= cut);
        prop_assert_eq!(parsed.whole, whole.map_or(0, |last| ends[last]));
        prop_assert_eq!(parsed.rows, &rows[..whole.unwrap_or(0)]);
    }
}

/// The message about a table whose only row has these fields.
fn message(fields: &str) -> String {
    let names = "run,cell,repeat,outcome,marks,input_wait_seconds,model.name\n";
    let bytes = format!("{names}1,a1,1,completed,,0.5,mlp\n{fields}\n1,a1,3,completed,,,\n");
    match parse(path(), bytes.as_bytes()) {
        Ok(parsed) => panic!("read as {:?}", parsed.rows),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_field_without_meaning_is_named_with_what_may_stand_there() {
    assert_snapshot!(message("1,a1,2,complted,,,"), @"results/smoke/box/repeats.csv:3: column `outcome`: `complted` is not one of completed, wrong-result, failed, timed-out, skipped");
    assert_snapshot!(message("1,a1,2,failed,hot disturbed,,"), @"results/smoke/box/repeats.csv:3: column `marks`: `hot` is not one of disturbed, oversubscribed, shared-device, stale");
    assert_snapshot!(message("one,a1,2,failed,,,"), @"results/smoke/box/repeats.csv:3: column `run`: `one` is not a whole number");
    assert_snapshot!(message("1,a1,2,failed,,\"12\n3\",mlp"), @r#"results/smoke/box/repeats.csv:3: column `input_wait_seconds`: `12\n3` is not a number"#);
    assert_snapshot!(message("1,a1,,failed,,,"), @"results/smoke/box/repeats.csv:3: column `repeat`: it is empty, and a row cannot be without it");
    assert_snapshot!(message("1,a1,2,failed"), @"results/smoke/box/repeats.csv:3: 4 fields where the header has 7");
    assert_snapshot!(message("1,a1,2,failed,,,,"), @"results/smoke/box/repeats.csv:3: 8 fields where the header has 7");
    assert_snapshot!(message("1,a1,2,failed,\",,"), @"results/smoke/box/repeats.csv:3: a quote that is opened in this row is never closed: close it");
}

#[test]
fn a_header_without_meaning_is_named() {
    let message = |text: &str| parse(path(), text.as_bytes()).err().unwrap().to_string();
    assert_snapshot!(message("run,cell,repeat,block\n"), @"results/smoke/box/repeats.csv:1: no column `outcome`: this is no table of repeats");
    assert_snapshot!(message("run,cell,repeat,cell,outcome\n"), @"results/smoke/box/repeats.csv:1: column `cell` stands twice");
    assert_snapshot!(message("<html>\n<body>\n"), @"results/smoke/box/repeats.csv:1: no column `run`: this is no table of repeats");
}

#[test]
fn a_field_that_is_not_utf8_is_named() {
    let bytes = b"run,cell,repeat,outcome,label\n1,a,1,failed,caf\xe9\n";
    assert_snapshot!(parse(path(), bytes).err().unwrap(), @"results/smoke/box/repeats.csv:2: column `label`: `caf�` is not UTF-8");
}

#[test]
fn columns_of_older_and_newer_versions_are_no_error() {
    let bytes = b"outcome,joules,repeat,run,cell,model.depth\nfailed,7,1,2,a1,50\n";
    let row = &parse(path(), bytes).unwrap().rows[0];
    assert_eq!(
        (row.key.run, row.key.repeat, row.outcome),
        (2, 1, Outcome::Failed)
    );
    assert_eq!(row.axis_labels["joules"], "7");
    assert_eq!(row.settings["model.depth"], "50");
    assert_eq!(row.measured, None);
}

#[test]
fn an_axis_cannot_take_the_name_of_a_column() {
    for name in ["label", "steps", "model.name", ""] {
        assert!(Header::wanted(&SETTINGS, &[name]).is_err(), "{name}");
    }
    assert!(!is_reserved("input"));
}

#[test]
fn a_setting_without_a_column_is_not_dropped() {
    let mut row = RepeatRow::blank(Outcome::Failed);
    row.settings
        .insert("model.depth".to_owned(), "50".to_owned());
    let message = header().encode(&row).unwrap_err().to_string();
    assert_eq!(
        message,
        "row not written: the table has no column `model.depth`"
    );
}
