//! Why a cell is slow whose step is mostly exchange: what crosses, how fast, and whether the server, the
//! transport or waiting sets the pace. A limit is named only where the measurements name it.

use crate::analysis::Estimate;
use crate::analysis::bottleneck::diagnosis::reach;
use crate::analysis::bottleneck::evidence::Part;
use crate::analysis::bottleneck::{crowded, shares_gpus};
use crate::analysis::cluster::{Exchange, servers};
use crate::analysis::summary::{CellSummary, Figures};
use crate::analysis::wording::{interval, percent};
use crate::terms::Phase;
use crate::units::{Bytes, Seconds, significant};

/// From here on a server that is busy, or a transport, sets the pace of everything behind it.
const BUSY: f64 = 0.8;
const NEAR_CEILING: f64 = 0.7;

/// What the exchange of a cell costs, and what limits it.
pub fn bound(cell: &CellSummary, figures: &Figures) -> String {
    match Exchange::of(cell) {
        Some(exchange) => between_processes(cell, figures, &exchange),
        None => within_process(cell, figures),
    }
}

fn within_process(cell: &CellSummary, figures: &Figures) -> String {
    let share = percent(&figures.share(Part::Exchange.phases()));
    let bytes = figures.estimate(|m| m.exchanged_bytes as f64 / m.steps.max(1) as f64);
    let crossing = match bytes.median > 0.0 {
        true => format!("; {} cross per step", Bytes(bytes.median as u64)),
        false => String::new(),
    };
    let told = reach(cell, figures);
    format!(
        "{told}, {share} of the step is exchange of gradients and parameters, waiting for the \
         slowest replica included{crossing}"
    )
}

fn between_processes(cell: &CellSummary, figures: &Figures, exchange: &Exchange) -> String {
    let share = percent(&figures.share(Part::Exchange.phases()));
    let told = format!("{}, {share} of the step is exchange", reach(cell, figures));
    let numbers = numbers(cell, figures).map(|numbers| format!(" ({numbers})"));
    let limit = limit(cell, figures, exchange).map(|limit| format!(": {limit}"));
    let (numbers, limit) = (numbers.unwrap_or_default(), limit.unwrap_or_default());
    format!("{told}{numbers}{limit}")
}

/// `pull 49 %, push 40 %; 144 MiB a step and worker at 0.332 GB/s a link, …`; none where nothing crosses
/// between processes.
pub fn numbers(cell: &CellSummary, figures: &Figures) -> Option<String> {
    let exchange = Exchange::of(cell)?;
    let clauses = [
        phases(figures),
        traffic(&exchange),
        server(cell, &exchange),
        staleness(&exchange),
    ];
    let clauses: Vec<String> = clauses.into_iter().flatten().collect();
    (!clauses.is_empty()).then(|| clauses.join("; "))
}

/// Said where gradients are applied to parameters that others have updated meanwhile.
fn staleness(exchange: &Exchange) -> Option<String> {
    let updates = exchange.staleness.filter(|updates| updates.median > 0.0)?;
    let updates = interval(&updates, significant);
    Some(format!("gradients are {updates} updates old on average"))
}

/// The parts of the exchange, the largest first; none where it has but one.
fn phases(figures: &Figures) -> Option<String> {
    let share = |phase: &Phase| (*phase, figures.share(&[*phase]).median);
    let shares = Part::Exchange.phases().iter().map(share);
    let mut shares: Vec<_> = shares.filter(|(_, share)| *share >= 0.01).collect();
    shares.sort_by(|a, b| b.1.total_cmp(&a.1));
    let said: Vec<String> = shares
        .iter()
        .map(|(phase, share)| format!("{phase} {:.0} %", 100.0 * share))
        .collect();
    (said.len() > 1).then(|| said.join(", "))
}

fn traffic(exchange: &Exchange) -> Option<String> {
    let bytes = Bytes(exchange.bytes_per_step?.median as u64);
    let rate = exchange.rate.map(|rate| {
        let rate = interval(&rate, significant);
        format!(" at {rate} GB/s a link")
    });
    let ceiling = exchange.share.zip(exchange.ceiling);
    let ceiling = ceiling.map(|(share, ceiling)| {
        let (share, ceiling) = (percent(&share), significant(ceiling.median));
        format!(", {share} of the ceiling of {ceiling} GB/s")
    });
    let (rate, ceiling) = (rate.unwrap_or_default(), ceiling.unwrap_or_default());
    Some(format!("{bytes} a step and worker{rate}{ceiling}"))
}

/// What the busiest server does, and how much the most loaded of several holds.
fn server(cell: &CellSummary, exchange: &Exchange) -> Option<String> {
    let name = server_name(cell);
    let busy = percent(&exchange.server_busy?);
    let update = exchange.update_seconds.map(|seconds| {
        let seconds = Seconds(seconds.median);
        format!(" takes {seconds} for an update and")
    });
    let several = exchange.most_loaded.filter(|_| servers(cell) > 1);
    let holds = several.map(|share| {
        let share = 100.0 * share.median;
        format!(", the most loaded holds {share:.2} % of the parameters")
    });
    let (update, holds) = (update.unwrap_or_default(), holds.unwrap_or_default());
    Some(format!("{name}{update} is busy {busy} of the time{holds}"))
}

fn server_name(cell: &CellSummary) -> String {
    match servers(cell) {
        0 | 1 => "the server".to_string(),
        several => format!("the busiest of {several} servers"),
    }
}

/// What sets the pace; none where nothing was measured that would tell.
fn limit(cell: &CellSummary, figures: &Figures, exchange: &Exchange) -> Option<String> {
    let reaches = |share: Option<Estimate>, least| {
        let low = share.and_then(|share| share.low);
        low.is_some_and(|low| low >= least)
    };
    if crowded(cell) {
        let shared = match shares_gpus(cell) {
            true => "replicas share GPUs",
            false => "threads share cores",
        };
        return Some(format!(
            "{shared}, so that nothing on scaling may be concluded from it"
        ));
    }
    if reaches(exchange.server_busy, BUSY) {
        return Some(busy_server(cell, exchange));
    }
    let all = figures.share(Part::Exchange.phases()).median;
    if reaches(Some(figures.share(&[Phase::Wait])), 0.5 * all) {
        return Some(format!("most of it waits for {}", others(exchange)));
    }
    if reaches(exchange.share, NEAR_CEILING) {
        return Some("it is bound by the transport".to_string());
    }
    let below = |share: Option<Estimate>, least, noun| {
        let high = share.and_then(|share| share.high);
        high.filter(|high| *high < least).map(|_| noun)
    };
    let server = below(exchange.server_busy, BUSY, "the server");
    let transport = below(exchange.share, NEAR_CEILING, "the transport");
    match (server, transport) {
        (Some(server), Some(transport)) => {
            Some(format!("neither {server} nor {transport} is at its limit"))
        }
        (None, None) => None,
        (one, other) => Some(format!("{} is not at its limit", one.or(other)?)),
    }
}

fn busy_server(cell: &CellSummary, exchange: &Exchange) -> String {
    let updates = exchange.server_updates.map(|share| {
        let share = percent(&share);
        format!(" (updates take {share} of its time)")
    });
    let updates = updates.unwrap_or_default();
    format!("{} is the bottleneck{updates}", server_name(cell))
}

fn others(exchange: &Exchange) -> &'static str {
    match exchange.server_busy {
        Some(_) => "the server or other workers",
        None => "other workers",
    }
}

#[cfg(test)]
mod tests;
