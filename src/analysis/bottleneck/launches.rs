//! Whether a GPU waits for its host: what a step puts on its queue, how much of the step that takes the
//! host, and what a CUDA graph does about it.

use crate::analysis::bottleneck::replicas;
use crate::analysis::scaling::View;
use crate::analysis::speedup::speedup;
use crate::analysis::summary::{CellSummary, Figures};
use crate::analysis::wording::{percent, rate, times_as_much};
use crate::table::Gpus;
use crate::units::{Seconds, grouped};

/// From this share of the step on the host sets its pace. What is left is waiting for the GPU at the end
/// of a window, and work that the host does beside.
const NEARLY_ALL: f64 = 0.8;

/// A launch takes the host some microseconds. Where it takes longer than this, in seconds, the host waits
/// for a place on a queue that is full (CUDA's hold about a thousand launches): the GPU sets the pace. A window
/// of steps that are replayed as graphs has few launches and fills no queue.
const LONGEST: f64 = 20e-6;

/// What the host does, and what would relieve it; none where the GPU sets the pace, or nobody told.
pub fn bound(view: &View, cell: &CellSummary, figures: &Figures) -> Option<String> {
    let share = figures.optional(|repeat| repeat.measured.gpus.host_bound_share)?;
    if share.low? < NEARLY_ALL {
        return None;
    }
    let replays = (figures.repeats.iter())
        .any(|repeat| repeat.measured.gpus.graph_launches.is_some_and(|n| n > 0));
    if replays {
        let busy = figures.optional(|repeat| repeat.measured.gpus.host_step_seconds)?;
        return Some(format!(
            "the host puts a step on {} in {}, which is {} of the step, though CUDA graphs replay what they \
             can; a larger local batch gives each step more to do",
            queue(cell),
            Seconds(busy.median),
            percent(&share)
        ));
    }
    let launches = figures.optional(|repeat| repeat.measured.gpus.launches_per_step)?;
    let each = figures.optional(|repeat| seconds_of_a_launch(&repeat.measured.gpus))?;
    if each.median > LONGEST {
        return None;
    }
    let floor = figures.optional(|repeat| repeat.ceilings.gpu.launch_seconds);
    let least = floor.map_or_else(String::new, |floor| {
        format!(" (a small kernel took {} here)", Seconds(floor.median))
    });
    let told = format!(
        "the host puts {} launches a step on {} in {} each{least}, which takes {} of the step",
        grouped(launches.median),
        queue(cell),
        Seconds(each.median),
        percent(&share)
    );
    Some(format!("{told}; {}", relief(view, cell)))
}

fn queue(cell: &CellSummary) -> String {
    match cell.replicas {
        1 => "the queue".to_owned(),
        _ => format!("the queue of each of {}", replicas(cell)),
    }
}

fn seconds_of_a_launch(gpus: &Gpus) -> Option<f64> {
    let launches = gpus.launches_per_step.filter(|launches| *launches > 0.0)?;
    Some(gpus.host_step_seconds? / launches)
}

/// What spares launches of a distortion on the GPU; none where that is one already.
pub fn fewer(cell: &CellSummary) -> Option<String> {
    let small = matches!(
        cell.value("input.device_pipeline"),
        Some("per-image" | "batched")
    );
    let advice = "input.device_pipeline = \"fused\" distorts a batch with one launch";
    small.then(|| advice.to_owned())
}

/// What to do about launches one by one.
fn relief(view: &View, cell: &CellSummary) -> String {
    if cell.value("devices.cuda_graph") == Some("false") {
        return with_graph(view, cell).unwrap_or_else(|| {
            "a CUDA graph (devices.cuda_graph = true) would put them there as one".to_owned()
        });
    }
    "nothing of it was captured in a CUDA graph; a larger local batch gives each launch more to do"
        .to_owned()
}

/// What the same cell reaches with graphs, where that was measured.
fn with_graph(view: &View, cell: &CellSummary) -> Option<String> {
    let other = view.companions().other_launching(cell)?;
    let there = rate(&other.figures.as_ref()?.throughput());
    let times = times_as_much(&speedup(other, cell)?.ratio);
    Some(format!("with a CUDA graph {there}, {times}"))
}

#[cfg(test)]
mod tests {
    use crate::analysis::sample_rows::{RowBuilder, cifar_story};
    use crate::analysis::{Summary, arrange, explain};
    use crate::terms::Phase;

    /// The sentence on the last of these cells.
    fn told(cells: &[RowBuilder]) -> String {
        let rows: Vec<_> = cells
            .iter()
            .flat_map(|cell| cell.clone().repeats(6))
            .collect();
        let (summary, story) = (Summary::of(&rows), cifar_story());
        let view = arrange(&summary, &story, &story.leading_chart()).unwrap();
        explain(&view).findings.pop().unwrap().sentence
    }

    /// One GPU without input, whose host launches for so much of the step.
    fn launching(replicas: u32, host: f64, graphs: u64) -> RowBuilder {
        let cell = RowBuilder::cifar10(replicas).input("no input");
        cell.rate(40_000.0).on_gpus(812.0, host, graphs)
    }

    #[test]
    fn a_host_that_launches_all_the_time_bounds_the_step() {
        let plain = launching(1, 0.96, 0).set("devices.cuda_graph", "false");
        insta::assert_snapshot!(told(&[plain]), @"no input: launch-bound: 1 replica reaches 40 080 [39 760, 40 400] examples/s (n = 6), compute 100 % [100, 100] of the step; the host puts 812 launches a step on the queue in 3.78 µs each, which takes 96 % [96, 96] of the step; a CUDA graph (devices.cuda_graph = true) would put them there as one.");
        let captured = launching(2, 0.9, 100).set("devices.cuda_graph", "true");
        insta::assert_snapshot!(told(&[captured]), @"no input: launch-bound: 2 replicas reach 40 080 [39 760, 40 400] examples/s (n = 6), compute 100 % [100, 100] of the step; the host puts a step on the queue of each of 2 replicas in 5.75 ms, which is 90 % [90, 90] of the step, though CUDA graphs replay what they can; a larger local batch gives each step more to do.");
        let uncaptured = launching(1, 0.9, 0).set("devices.cuda_graph", "true");
        insta::assert_snapshot!(told(&[uncaptured.launch_floor(2.1e-6)]), @"no input: launch-bound: 1 replica reaches 40 080 [39 760, 40 400] examples/s (n = 6), compute 100 % [100, 100] of the step; the host puts 812 launches a step on the queue in 3.54 µs each (a small kernel took 2.10 µs here), which takes 90 % [90, 90] of the step; nothing of it was captured in a CUDA graph; a larger local batch gives each launch more to do.");
    }

    #[test]
    fn what_the_same_cell_reaches_with_graphs_is_told_where_it_was_measured() {
        let graph = |word: &str| {
            let cell = launching(1, 0.96, 0).set("devices.cuda_graph", word);
            cell.axis("input", &format!("graph {word}"))
        };
        insta::assert_snapshot!(told(&[graph("true").rate(90_000.0), graph("false")]), @"graph false: launch-bound: 1 replica reaches 40 080 [39 760, 40 400] examples/s (n = 6), compute 100 % [100, 100] of the step; the host puts 812 launches a step on the queue in 3.78 µs each, which takes 96 % [96, 96] of the step; with a CUDA graph 90 180 [89 460, 90 900] examples/s (n = 6), 2.25 [2.25, 2.25] times as much (n = 6).");
    }

    #[test]
    fn a_host_that_has_time_left_bounds_nothing() {
        let queue_is_full = launching(1, 0.99, 0).rate(4_000.0);
        assert!(told(&[queue_is_full]).starts_with("no input: compute-bound: "));
        insta::assert_snapshot!(told(&[launching(1, 0.4, 0)]), @"no input: compute-bound: 1 replica reaches 40 080 [39 760, 40 400] examples/s (n = 6), forward, backward and update are 100 % [100, 100] of the step and there is no input to wait for.");
    }

    #[test]
    fn distortion_by_many_small_operations_is_said_to_be_launches() {
        let cell = RowBuilder::cifar10(1)
            .input("input on device")
            .set("input.device_pipeline", "per-image")
            .phase(Phase::Distort, 0.8)
            .rate(5_000.0)
            .on_gpus(10_000.0, 0.97, 0);
        insta::assert_snapshot!(told(&[cell]), @r#"input on device: distort-bound: 1 replica reaches 5 010 [4 970, 5 050] examples/s (n = 6), 80 % [80, 80] of the step is distortion on the GPU; the host puts 10 000 launches a step on the queue in 2.48 µs each, which takes 97 % [97, 97] of the step; nothing of it was captured in a CUDA graph; a larger local batch gives each launch more to do; input.device_pipeline = "fused" distorts a batch with one launch; whether the host does it better cannot be told from these cells: add input.placement = "host"."#);
    }
}
