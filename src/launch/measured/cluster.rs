//! What processes did with each other, as figures of the row. In: what workers and servers of a
//! completed repeat told. Out: [`Cluster`]. Pure.

use crate::launch::{ServerResult, WorkerResult};
use crate::protocol::{LinkReport, STALENESS_PLACES, ServerReport};
use crate::spec::settings::Settings;

/// What processes of a repeat did with each other; what needs several is empty or zero where there is but one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cluster {
    /// Measured steps of all workers together, each of its own batch, over the elapsed time.
    pub steps_per_second: f64,
    /// The mean over workers of their own measured steps over their own time.
    pub steps_per_second_per_worker: f64,
    /// Steps of all workers together, warm-up included.
    pub total_steps: u64,
    /// Updates of the parameters, warm-up included.
    pub global_steps: u64,
    /// By worker, seconds from the common start to its first measured step: `0.100|0.102|30.5`; `-` for
    /// one that measured none.
    pub worker_starts: String,
    /// Updates that were done before the last worker pulled for the first time.
    pub alone_updates: Option<u64>,
    pub checkpoints: u64,
    /// Each link in the order of the columns after it: `worker 0 - server 0|worker 1 - server 0`.
    pub links: String,
    /// In measured steps, by link.
    pub link_pulled_bytes: String,
    pub link_pushed_bytes: String,
    /// While bytes moved, by link.
    pub link_gigabytes_per_second: String,
    /// Over all links.
    pub pulled_bytes: u64,
    pub pushed_bytes: u64,
    /// Bytes of all links over the time in which they moved, summed over links.
    pub exchange_gigabytes_per_second: Option<f64>,
    /// Share of the parameters, in bytes, that the most loaded server holds.
    pub server_share: Option<f64>,
    /// Seconds of an update on the busiest server.
    pub server_apply_seconds: Option<f64>,
    /// Share of the time from start to end that the busiest server moved bytes or updated parameters.
    pub server_busy_share: Option<f64>,
    /// Whole gradients that reached the first server, updates that it made, and gradients that it did
    /// not use.
    pub pushed_gradients: Option<u64>,
    pub applied_updates: Option<u64>,
    pub dropped_gradients: Option<u64>,
    /// How many gradients were how many updates old: `0:12 1:30 2:8`; the last
    /// place of a report counts all older ones too: `23+:2`.
    pub staleness: String,
    pub staleness_mean: Option<f64>,
}

/// Figures of all processes together; `elapsed` is of the measured steps of all, in seconds.
pub fn cluster(
    settings: &Settings,
    workers: &[WorkerResult],
    servers: &[ServerResult],
    elapsed: f64,
) -> Cluster {
    let sum = |of: fn(&WorkerResult) -> u64| workers.iter().map(of).sum::<u64>();
    let first = servers.first().map(|server| &server.report);
    let known = workers.iter().map(|worker| worker.report.global_steps);
    let figures = Cluster {
        steps_per_second: sum(|worker| worker.report.steps) as f64 / elapsed,
        steps_per_second_per_worker: own_rate(workers),
        total_steps: sum(|worker| worker.report.total_steps),
        global_steps: match first {
            Some(server) => server.updates,
            None => known.max().unwrap_or_default(),
        },
        worker_starts: by(workers, start),
        checkpoints: sum(|worker| worker.report.checkpoints),
        ..Cluster::default()
    };
    let figures = with_links(figures, workers);
    match first {
        Some(server) => with_servers(figures, settings, servers, server),
        None => figures,
    }
}

/// The mean over workers that measured something.
fn own_rate(workers: &[WorkerResult]) -> f64 {
    let measured = workers.iter().filter(|worker| worker.report.steps > 0);
    let rates: Vec<f64> = measured
        .map(|worker| worker.report.steps as f64 / worker.report.elapsed_seconds)
        .collect();
    rates.iter().sum::<f64>() / rates.len().max(1) as f64
}

fn start(worker: &WorkerResult) -> String {
    match worker.report.steps {
        0 => "-".to_owned(),
        _ => format!("{:.3}", worker.report.measured_from_seconds),
    }
}

fn by<T>(items: &[T], text: impl Fn(&T) -> String) -> String {
    items.iter().map(text).collect::<Vec<_>>().join("|")
}

fn with_links(figures: Cluster, workers: &[WorkerResult]) -> Cluster {
    let of_worker = |(rank, worker): (usize, &'_ WorkerResult)| -> Vec<(usize, LinkReport)> {
        let links = worker.links.iter().cloned();
        links.map(|link| (rank, link)).collect()
    };
    let links: Vec<_> = workers.iter().enumerate().flat_map(of_worker).collect();
    let sum = |of: fn(&LinkReport) -> u64| links.iter().map(|(_, link)| of(link)).sum::<u64>();
    let (pulled, pushed) = (sum(|link| link.pulled_bytes), sum(|link| link.pushed_bytes));
    let seconds = links.iter().map(|(_, link)| busy_seconds(link)).sum();
    Cluster {
        links: by(&links, |(rank, link)| {
            format!("worker {rank} - {}", link.peer)
        }),
        link_pulled_bytes: by(&links, |(_, link)| link.pulled_bytes.to_string()),
        link_pushed_bytes: by(&links, |(_, link)| link.pushed_bytes.to_string()),
        link_gigabytes_per_second: by(&links, |(_, link)| {
            let bytes = link.pulled_bytes + link.pushed_bytes;
            let rate = gigabytes_per_second(bytes, busy_seconds(link));
            rate.map_or_else(|| "-".to_owned(), |rate| format!("{rate:.3}"))
        }),
        pulled_bytes: pulled,
        pushed_bytes: pushed,
        exchange_gigabytes_per_second: gigabytes_per_second(pulled + pushed, seconds),
        ..figures
    }
}

/// Time in which bytes moved.
fn busy_seconds(link: &LinkReport) -> f64 {
    link.pull_seconds + link.push_seconds
}

fn gigabytes_per_second(bytes: u64, seconds: f64) -> Option<f64> {
    (seconds > 0.0 && bytes > 0).then(|| bytes as f64 / seconds / 1e9)
}

fn with_servers(
    figures: Cluster,
    settings: &Settings,
    servers: &[ServerResult],
    first: &ServerReport,
) -> Cluster {
    let held = |server: &ServerResult| server.report.held_bytes as f64;
    let greatest = |of: &dyn Fn(&ServerResult) -> f64| servers.iter().map(of).fold(0.0, f64::max);
    let all = servers.iter().map(held).sum::<f64>();
    let threads = settings.server_threads as f64;
    Cluster {
        alone_updates: Some(first.alone_updates),
        server_share: (all > 0.0).then(|| greatest(&held) / all),
        server_apply_seconds: Some(greatest(&|server| {
            server.report.apply_seconds / server.report.updates.max(1) as f64
        })),
        server_busy_share: Some(greatest(&|server| busy_share(server, threads))),
        pushed_gradients: Some(first.gradients),
        applied_updates: Some(first.updates),
        dropped_gradients: Some(first.dropped),
        staleness: staleness(&first.staleness),
        staleness_mean: staleness_mean(&first.staleness),
        ..figures
    }
}

fn busy_share(server: &ServerResult, threads: f64) -> f64 {
    let report = &server.report;
    let busy = report.receive_seconds + report.apply_seconds + report.send_seconds;
    busy / (server.wall_seconds * threads)
}

/// `0:12 1:30 23+:2`, without what no gradient was.
fn staleness(counts: &[u64]) -> String {
    let text = |(updates, count): (usize, &u64)| match updates + 1 == STALENESS_PLACES {
        true => format!("{updates}+:{count}"),
        false => format!("{updates}:{count}"),
    };
    let counted = counts.iter().enumerate().filter(|(_, count)| **count > 0);
    counted.map(text).collect::<Vec<_>>().join(" ")
}

/// In updates; the last place counts as if none were older.
fn staleness_mean(counts: &[u64]) -> Option<f64> {
    let gradients: u64 = counts.iter().sum();
    let weighted = counts.iter().enumerate();
    let sum: f64 = weighted
        .map(|(updates, count)| updates as f64 * *count as f64)
        .sum();
    (gradients > 0).then(|| sum / gradients as f64)
}

#[cfg(test)]
mod tests;
