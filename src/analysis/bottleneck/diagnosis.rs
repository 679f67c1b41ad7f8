//! What bounds one cell, from the shares of its phases and from its companions; and the clause that says
//! so with its numbers.

use crate::analysis::Estimate;
use crate::analysis::bottleneck::evidence::{self, Part, Reading};
use crate::analysis::bottleneck::{Cause, exchange, launches, replicas};
use crate::analysis::scaling::{Series, View};
use crate::analysis::speedup::speedup;
use crate::analysis::summary::{CellSummary, Figures};
use crate::analysis::wording::{percent, rate, ratio, settled, times_as_much};

/// What bounds one cell, and the clause that says so.
pub fn diagnose(view: &View, series: &Series, cell: &CellSummary) -> (Cause, String) {
    let Some(figures) = &cell.figures else {
        return (Cause::Unknown, "nothing was measured".to_string());
    };
    match evidence::read(figures) {
        Reading::NoPhases => {
            let because = "no phases recorded: add a cell that reports its phases";
            (Cause::Unknown, because.to_string())
        }
        Reading::TooFew => (Cause::Undecided, too_few(cell, figures)),
        Reading::Straddles(part) => (Cause::Undecided, straddles(part, cell, figures)),
        Reading::Dominant(Part::Input) => input_bound(view, cell, figures),
        Reading::Dominant(Part::Distortion) => {
            let launches = launches::bound(view, cell, figures);
            let fewer = launches.as_ref().and_then(|_| launches::fewer(cell));
            let clauses = [
                Some(distorts(cell, figures)),
                launches,
                fewer,
                Some(host_clause(view, series, cell)),
            ];
            let clauses: Vec<String> = clauses.into_iter().flatten().collect();
            (Cause::Distortion, clauses.join("; "))
        }
        Reading::Dominant(Part::Exchange) => (Cause::Exchange, exchange::bound(cell, figures)),
        Reading::Dominant(Part::Compute) => match launches::bound(view, cell, figures) {
            Some(launches) => (Cause::Launches, beside_shares(cell, figures, &launches)),
            None => compute_bound(view, cell, figures),
        },
        Reading::Spread => match launches::bound(view, cell, figures) {
            Some(launches) => (Cause::Launches, beside_shares(cell, figures, &launches)),
            None => (Cause::Mixed, shares_of_step(cell, figures)),
        },
    }
}

fn shares_of_step(cell: &CellSummary, figures: &Figures) -> String {
    let (told, shares) = (reach(cell, figures), evidence::shares(figures));
    format!("{told}, {shares} of the step")
}

fn beside_shares(cell: &CellSummary, figures: &Figures, clause: &str) -> String {
    format!("{}; {clause}", shares_of_step(cell, figures))
}

fn too_few(cell: &CellSummary, figures: &Figures) -> String {
    let shares = evidence::shares(figures);
    let told = reach(cell, figures);
    let numbers = exchange::numbers(cell, figures);
    let numbers = numbers.map_or_else(String::new, |numbers| format!(" ({numbers})"));
    format!("{told}, {shares} of the step so far{numbers}: measure at least 6 repeats")
}

fn straddles(part: Part, cell: &CellSummary, figures: &Figures) -> String {
    let share = percent(&figures.share(part.phases()));
    let (told, noun, bound) = (reach(cell, figures), part.noun(), part.threshold() * 100.0);
    format!(
        "{told}, {share} of the step is {noun}, an interval on both sides of {bound:.0} %: measure \
         more repeats"
    )
}

fn input_bound(view: &View, cell: &CellSummary, figures: &Figures) -> (Cause, String) {
    let wait = percent(&figures.share(Part::Input.phases()));
    let full = figures.throughput();
    let Some((pipeline, alone)) = with_figures(view.companions().pipeline_only(cell)) else {
        let told = reach(cell, figures);
        let verb = if cell.replicas == 1 { "waits" } else { "wait" };
        let because = format!(
            "{told} and {verb} {wait} of the step for input; what the pipeline alone delivers cannot be \
             told from these cells: add a case with model.name = \"none\""
        );
        return (Cause::Input, because);
    };
    let alone = alone.throughput();
    let both = format!(
        "with {} the pipeline alone{} delivers {}, the full cell {}, replicas wait {wait} of the step",
        replicas(cell),
        with_replicas(pipeline, cell),
        rate(&alone),
        rate(&full)
    );
    let because = match full.median >= 0.75 * alone.median {
        true => both,
        false => format!(
            "{both}, since beside training the pipeline shares {}",
            cores(cell)
        ),
    };
    (Cause::Input, because)
}

/// With how many replicas the pipeline was measured, where that is not the number of `cell`.
fn with_replicas(pipeline: &CellSummary, cell: &CellSummary) -> String {
    match pipeline.replicas == cell.replicas {
        true => String::new(),
        false => format!(" (measured with {})", replicas(pipeline)),
    }
}

fn cores(cell: &CellSummary) -> String {
    match cell.threads_per_core > 1.0 {
        true => format!("the cores ({:.1} threads a core)", cell.threads_per_core),
        false => "the host".to_string(),
    }
}

fn distorts(cell: &CellSummary, figures: &Figures) -> String {
    let share = percent(&figures.share(Part::Distortion.phases()));
    let told = reach(cell, figures);
    let what = match draws_its_input(cell) {
        true => "drawing the input",
        false => "distortion",
    };
    let place = match cell.is_on_gpus() {
        true => "the GPU",
        false => "the training device",
    };
    format!("{told}, {share} of the step is {what} on {place}")
}

/// Whether the worker makes the numbers that it trains on; no other place can.
fn draws_its_input(cell: &CellSummary) -> bool {
    cell.value("input.source") == Some("normal")
}

/// What the host does with the same input, at as many replicas and at the fewest.
fn host_clause(view: &View, series: &Series, cell: &CellSummary) -> String {
    if draws_its_input(cell) {
        return "input.source = \"resident\" takes it out of the step".to_string();
    }
    let times = |cell: &CellSummary| {
        let host = view.companions().other_placement(cell)?;
        Some((host, speedup(host, cell)?.ratio))
    };
    let Some((host, gain)) = times(cell) else {
        return "whether the host does it better cannot be told from these cells: add \
                input.placement = \"host\""
            .to_string();
    };
    let there = host
        .figures
        .as_ref()
        .map(|figures| rate(&figures.throughput()));
    let first = series
        .measured()
        .map(|point| point.cell)
        .find(|other| other.replicas < cell.replicas);
    let at_first = first.and_then(|first| {
        let times = times_as_much(&times(first)?.1);
        Some(format!(", and with {} {times}", replicas(first)))
    });
    format!(
        "with input on the host {}, {}{}",
        there.unwrap_or_default(),
        times_as_much(&gain),
        at_first.unwrap_or_default()
    )
}

fn compute_bound(view: &View, cell: &CellSummary, figures: &Figures) -> (Cause, String) {
    let share = percent(&figures.share(Part::Compute.phases()));
    let told = format!(
        "{}, forward, backward and update are {share} of the step",
        reach(cell, figures)
    );
    if cell.value("input.source") == Some("resident") {
        let because = format!("{told} and there is no input to wait for");
        return (Cause::Compute, because);
    }
    let companion = view.companions().resident(cell);
    let Some((resident, against)) = companion.and_then(|r| Some((r, speedup(cell, r)?.ratio)))
    else {
        let because = format!(
            "{told}; what the input costs cannot be told from these cells: add input.source = \
             \"resident\""
        );
        return (Cause::Compute, because);
    };
    let reached = format!(
        "{} of the throughput without input{}",
        percent(&against),
        settled(&against)
    );
    match (against.low, against.high) {
        (Some(low), _) if low >= 0.95 => {
            (Cause::Compute, format!("{told}, and it reaches {reached}"))
        }
        (_, Some(high)) if high < 0.95 => input_costs(figures, resident, &told, &reached),
        (None, _) => (Cause::Compute, format!("{told}, and it reaches {reached}")),
        _ => (
            Cause::Compute,
            format!("{told}, and it reaches {reached}, too near to decide"),
        ),
    }
}

/// How input work costs throughput though replicas hardly wait for it: it slows the computing down, or
/// it is a small part of the step itself.
fn input_costs(
    figures: &Figures,
    resident: &CellSummary,
    told: &str,
    reached: &str,
) -> (Cause, String) {
    let compute = |figures: &Figures| figures.seconds_by_block(Part::Compute.phases());
    let without = resident.figures.as_ref().map(compute).unwrap_or_default();
    let slower = Estimate::ratio(&compute(figures), &without);
    match slower.filter(|slower| slower.low.is_some_and(|low| low >= 1.05)) {
        Some(slower) => {
            let (times, n) = (ratio(&slower), settled(&slower));
            let because = format!(
                "{told}, but it reaches {reached}: beside the input work they take {times} times \
                 as long{n}"
            );
            (Cause::Contention, because)
        }
        None => {
            let shares = evidence::shares(figures);
            (
                Cause::Compute,
                format!("{told} ({shares}), and it reaches {reached}"),
            )
        }
    }
}

/// `8 replicas reach 7 128 [7 080, 7 170] examples/s (n = 6)`.
pub fn reach(cell: &CellSummary, figures: &Figures) -> String {
    let verb = if cell.replicas == 1 {
        "reaches"
    } else {
        "reach"
    };
    format!("{} {verb} {}", replicas(cell), rate(&figures.throughput()))
}

fn with_figures(cell: Option<&CellSummary>) -> Option<(&CellSummary, &Figures)> {
    cell.and_then(|cell| Some((cell, cell.figures.as_ref()?)))
}
