//! In: nothing. Out: the fixed columns of `repeats.csv`, each with the place in a
//! [`RepeatRow`] that it stands for. One list serves writing, reading and the order of the header.
//! Knows neither settings nor axes: their columns come from the caller.

use super::RepeatRow;
use super::field::Field;
use crate::terms::Phase;

/// One column that every table of repeats has.
pub(super) struct Column {
    pub name: &'static str,
    /// True where a row without it is no row.
    pub required: bool,
    pub write: fn(&RepeatRow, &mut String),
    /// Puts the meaning of a field into the row; the error says what stands there and what may.
    pub read: fn(&mut RepeatRow, &str) -> Result<(), String>,
}

/// A column of a value that every row has.
macro_rules! of_row {
    ($name:literal, $required:literal, $($place:tt)+) => {
        Column {
            name: $name,
            required: $required,
            write: |row, out| row.$($place)+.write(out),
            read: |row, text| { row.$($place)+ = Field::read(text)?; Ok(()) },
        }
    };
}

/// A column of a value that only a repeat with figures has: empty in other rows.
macro_rules! of_measured {
    ($name:literal, $($place:tt)+) => {
        Column {
            name: $name,
            required: false,
            write: |row, out| {
                if let Some(measured) = &row.measured { measured.$($place)+.write(out) }
            },
            read: |row, text| {
                if !text.is_empty() {
                    row.measured.get_or_insert_default().$($place)+ = Field::read(text)?;
                }
                Ok(())
            },
        }
    };
}

/// Columns that stand before the settings: what a reader of the file looks for first.
pub(super) const LEADING: &[Column] = &[
    of_row!("run", true, key.run),
    of_row!("cell", true, key.cell),
    of_row!("repeat", true, key.repeat),
    of_row!("block", false, block),
    of_row!("position", false, position),
    of_row!("build", false, build),
    of_row!("label", false, label),
    of_row!("twin_of", false, twin_of),
    of_row!("outcome", true, outcome),
    of_row!("reason", false, reason),
    of_row!("marks", false, marks),
    of_row!("started_at", false, started_at),
    of_measured!(
        "throughput_examples_per_second",
        throughput_examples_per_second
    ),
    of_measured!("step_seconds_median", step_seconds_median),
    of_measured!("step_seconds_mad", step_seconds_mad),
    of_measured!("step_seconds_min", step_seconds_min),
    of_measured!("step_seconds_max", step_seconds_max),
    of_measured!("step_seconds_mean", step_seconds_mean),
    of_measured!(
        "input_wait_seconds",
        phase_seconds[Phase::InputWait as usize]
    ),
    of_measured!("copy_seconds", phase_seconds[Phase::Copy as usize]),
    of_measured!("distort_seconds", phase_seconds[Phase::Distort as usize]),
    of_measured!("pull_seconds", phase_seconds[Phase::Pull as usize]),
    of_measured!("forward_seconds", phase_seconds[Phase::Forward as usize]),
    of_measured!("backward_seconds", phase_seconds[Phase::Backward as usize]),
    of_measured!("push_seconds", phase_seconds[Phase::Push as usize]),
    of_measured!("exchange_seconds", phase_seconds[Phase::Exchange as usize]),
    of_measured!("wait_seconds", phase_seconds[Phase::Wait as usize]),
    of_measured!("apply_seconds", phase_seconds[Phase::Apply as usize]),
    of_measured!(
        "checkpoint_seconds",
        phase_seconds[Phase::Checkpoint as usize]
    ),
    of_measured!("other_seconds", other_seconds),
];

/// Columns that stand after the settings and the axes: what the machine made of them, evidence and
/// provenance.
pub(super) const TRAILING: &[Column] = &[
    of_row!("device_kind", false, resolved.device_kind),
    of_row!("replicas", false, resolved.replicas),
    of_row!("global_batch", false, resolved.global_batch),
    of_row!("cores", false, resolved.cores),
    of_row!("server_cores", false, resolved.server_cores),
    of_row!("threads_per_core", false, resolved.threads_per_core),
    of_measured!("steps", steps),
    of_measured!("examples", examples),
    of_measured!("elapsed_seconds", elapsed_seconds),
    of_measured!("first_step_seconds", first_step_seconds),
    of_measured!("startup_seconds", startup_seconds),
    of_measured!("prefill_seconds", prefill_seconds),
    of_measured!("repeat_seconds", repeat_seconds),
    of_measured!("first_loss", first_loss),
    of_measured!("last_loss", last_loss),
    of_measured!("parameter_digest", parameter_digest),
    of_measured!("exchanged_bytes", exchanged_bytes),
    of_measured!("peak_memory_bytes", peak_memory_bytes),
    of_measured!("cpu_seconds", cpu_seconds),
    of_measured!("convolution", convolution),
    of_measured!("timing", timing),
    of_measured!("devices", gpus.devices),
    of_measured!("gpu_name", gpus.name),
    of_measured!("launches_per_step", gpus.launches_per_step),
    of_measured!("graph_launches", gpus.graph_launches),
    of_measured!("host_step_seconds", gpus.host_step_seconds),
    of_measured!("host_bound_share", gpus.host_bound_share),
    of_measured!("gpu_memory_bytes", gpus.memory_bytes),
    of_measured!("steps_per_second", cluster.steps_per_second),
    of_measured!(
        "steps_per_second_per_worker",
        cluster.steps_per_second_per_worker
    ),
    of_measured!("total_steps", cluster.total_steps),
    of_measured!("global_steps", cluster.global_steps),
    of_measured!("worker_starts", cluster.worker_starts),
    of_measured!("alone_updates", cluster.alone_updates),
    of_measured!("checkpoints", cluster.checkpoints),
    of_measured!("links", cluster.links),
    of_measured!("link_pulled_bytes", cluster.link_pulled_bytes),
    of_measured!("link_pushed_bytes", cluster.link_pushed_bytes),
    of_measured!(
        "link_gigabytes_per_second",
        cluster.link_gigabytes_per_second
    ),
    of_measured!("pulled_bytes", cluster.pulled_bytes),
    of_measured!("pushed_bytes", cluster.pushed_bytes),
    of_measured!(
        "exchange_gigabytes_per_second",
        cluster.exchange_gigabytes_per_second
    ),
    of_measured!("server_share", cluster.server_share),
    of_measured!("server_apply_seconds", cluster.server_apply_seconds),
    of_measured!("server_busy_share", cluster.server_busy_share),
    of_measured!("pushed_gradients", cluster.pushed_gradients),
    of_measured!("applied_updates", cluster.applied_updates),
    of_measured!("dropped_gradients", cluster.dropped_gradients),
    of_measured!("staleness", cluster.staleness),
    of_measured!("staleness_mean", cluster.staleness_mean),
    of_row!("copy_ceiling_gigabytes_per_second", false, ceilings.copy),
    of_row!(
        "one_way_ceiling_gigabytes_per_second",
        false,
        ceilings.one_way
    ),
    of_row!(
        "exchange_ceiling_gigabytes_per_second",
        false,
        ceilings.exchange
    ),
    of_row!("apply_ceiling_gigabytes_per_second", false, ceilings.apply),
    of_row!("share_of_ceiling", false, ceilings.share),
    of_row!(
        "host_to_device_ceiling_gigabytes_per_second",
        false,
        ceilings.gpu.host_to_device
    ),
    of_row!(
        "device_to_host_ceiling_gigabytes_per_second",
        false,
        ceilings.gpu.device_to_host
    ),
    of_row!(
        "device_to_device_ceiling_gigabytes_per_second",
        false,
        ceilings.gpu.device_to_device
    ),
    of_row!("gemm_ceiling_teraflops", false, ceilings.gpu.gemm),
    of_row!("gemm_tf32_ceiling_teraflops", false, ceilings.gpu.gemm_tf32),
    of_row!("launch_floor_seconds", false, ceilings.gpu.launch_seconds),
    of_row!("other_cpu_share", false, state.other_cpu_share),
    of_row!("steal_share", false, state.steal_share),
    of_row!("clock_megahertz", false, state.clock_megahertz),
    of_row!("temperature_celsius", false, state.temperature_celsius),
    of_row!("throttle_count", false, state.throttle_count),
    of_row!("memory_pressure_share", false, state.memory_pressure_share),
    of_row!("gpu_clock_megahertz", false, state.gpus.clock_megahertz),
    of_row!(
        "gpu_temperature_celsius",
        false,
        state.gpus.temperature_celsius
    ),
    of_row!("gpu_power_watts", false, state.gpus.power_watts),
    of_row!("gpu_throttle_reasons", false, state.gpus.throttle_reasons),
    of_row!("gpu_other_processes", false, state.gpus.other_processes),
    of_row!("machine", false, provenance.machine),
    of_row!("gpu_driver", false, provenance.gpu_driver),
    of_row!("xrun_version", false, provenance.xrun_version),
    of_row!("program", false, provenance.program),
    of_row!("flavour_git_revision", false, provenance.build.git_revision),
    of_row!("flavour_profile", false, provenance.build.profile),
    of_row!(
        "flavour_profile_settings",
        false,
        provenance.build.profile_settings
    ),
    of_row!("flavour_features", false, provenance.build.features),
    of_row!(
        "flavour_target_features",
        false,
        provenance.build.target_features
    ),
    of_row!("flavour_rustflags", false, provenance.build.rustflags),
    of_row!(
        "flavour_vector_extensions",
        false,
        provenance.build.vector_extensions
    ),
    of_row!(
        "flavour_wide_instructions",
        false,
        provenance.build.wide_instructions
    ),
    of_row!("flavour_compiler", false, provenance.build.compiler),
    of_row!("flavour_libraries", false, provenance.build.libraries),
    of_row!("flavour_contents", false, provenance.build.contents),
    of_row!("git_revision", false, provenance.git_revision),
    of_row!("load_average", false, provenance.load_average),
    of_row!("run_token", false, provenance.run_token),
];

/// The fixed column of that name.
pub(super) fn fixed(name: &str) -> Option<&'static Column> {
    LEADING
        .iter()
        .chain(TRAILING)
        .find(|column| column.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Measured;
    use crate::terms::Outcome;
    use strum::VariantArray;

    #[test]
    fn every_phase_has_the_column_of_its_name() {
        for phase in Phase::VARIANTS {
            let column = fixed(&format!("{}_seconds", phase.column())).unwrap();
            let mut row = RepeatRow::blank(Outcome::Completed);
            row.measured.get_or_insert_default().phase_seconds[*phase as usize] = 0.25;
            let mut text = String::new();
            (column.write)(&row, &mut text);
            assert_eq!(text, "0.25", "{phase}");
        }
    }

    #[test]
    fn a_repeat_without_figures_leaves_their_columns_empty() {
        let column = fixed("steps").unwrap();
        let mut row = RepeatRow::blank(Outcome::Failed);
        let mut text = String::new();
        (column.write)(&row, &mut text);
        assert_eq!(text, "");
        (column.read)(&mut row, "").unwrap();
        assert_eq!(row.measured, None);
        (column.read)(&mut row, "7").unwrap();
        assert_eq!(
            row.measured,
            Some(Measured {
                steps: 7,
                ..Measured::default()
            })
        );
    }
}
