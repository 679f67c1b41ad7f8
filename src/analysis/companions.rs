//! Which cell answers which question about another: the same training without input work, the
//! pipeline without training, the other placement of the input, one process instead of several.

use crate::analysis::summary::{CellSummary, Summary};

/// Searches one summary for completed cells that differ from a given one in one respect only.
pub struct Companions<'a>(pub &'a Summary);

impl<'a> Companions<'a> {
    /// The null model behind the same input, with the same batch on the same devices. Its throughput is
    /// a ceiling of the full cell. Host pipelines share the host, so that fewer replicas serve too; the
    /// nearest number is taken.
    pub fn pipeline_only(&self, cell: &CellSummary) -> Option<&'a CellSummary> {
        if is(cell, "model.name", "none") {
            return None;
        }
        let on_device = is(cell, "input.placement", "device");
        self.measured()
            .filter(|other| is(other, "model.name", "none"))
            .filter(|other| other.replicas == cell.replicas || !on_device)
            .filter(|other| agree(cell, other, feeds))
            .min_by_key(|other| other.replicas.abs_diff(cell.replicas))
    }

    /// The same cell with one resident batch: nothing to wait for. Only input and measuring differ.
    pub fn resident(&self, cell: &CellSummary) -> Option<&'a CellSummary> {
        self.same_but_input(cell)
            .find(|other| is(other, "input.source", "resident"))
    }

    /// The same cell with the same source, distorted on the other side.
    pub fn other_placement(&self, cell: &CellSummary) -> Option<&'a CellSummary> {
        let placement = cell.value("input.placement")?;
        self.same_but_input(cell)
            .filter(|other| other.value("input.source") == cell.value("input.source"))
            .find(|other| {
                other
                    .value("input.placement")
                    .is_some_and(|p| p != placement)
            })
    }

    /// The same cell with CUDA graphs where it has none, or without where it has some. Only that and
    /// measuring differ.
    pub fn other_launching(&self, cell: &CellSummary) -> Option<&'a CellSummary> {
        const GRAPH: &str = "devices.cuda_graph";
        let compared = |key: &str| key != GRAPH && !key.starts_with("measure.");
        let graph = cell.value(GRAPH)?;
        self.measured()
            .filter(|other| other.value(GRAPH).is_some_and(|other| other != graph))
            .find(|other| agree(cell, other, compared))
    }

    /// The same training by one process with one replica. Only topology and measuring differ.
    pub fn single(&self, cell: &CellSummary) -> Option<&'a CellSummary> {
        self.measured()
            .filter(|other| other.cell != cell.cell && is(other, "cluster.topology", "single"))
            .find(|other| agree(cell, other, trains))
    }

    /// The completed cell with one replica and the highest throughput.
    pub fn best_single(&self) -> Option<&'a CellSummary> {
        self.measured()
            .filter(|cell| cell.replicas == 1 && !is(cell, "model.name", "none"))
            // A server has a device of its own.
            .filter(|cell| !is(cell, "cluster.topology", "parameter-server"))
            .max_by(|a, b| median_rate(a).total_cmp(&median_rate(b)))
    }

    /// The completed cell with the highest throughput.
    pub fn fastest(&self) -> Option<&'a CellSummary> {
        self.measured()
            .filter(|cell| !is(cell, "model.name", "none"))
            .max_by(|a, b| median_rate(a).total_cmp(&median_rate(b)))
    }

    fn measured(&self) -> impl Iterator<Item = &'a CellSummary> + use<'a> {
        self.0.originals().filter(|cell| cell.figures.is_some())
    }

    fn same_but_input<'b>(
        &self,
        cell: &'b CellSummary,
    ) -> impl Iterator<Item = &'a CellSummary> + use<'a, 'b> {
        let compared = |key: &str| !key.starts_with("input.") && !key.starts_with("measure.");
        self.measured()
            .filter(move |other| other.cell != cell.cell && other.replicas == cell.replicas)
            .filter(move |other| agree(cell, other, compared))
    }
}

/// Whether a setting matters to an input pipeline behind which nothing is trained. How many replicas it
/// serves is compared apart, and where parameters live, how products round and what is captured in a graph
/// is nothing to a model without any.
fn feeds(key: &str) -> bool {
    match key {
        "model.local_batch" | "model.global_batch" => true,
        "devices.per_worker" | "devices.parameters" => false,
        "devices.cuda_graph" | "devices.tf32" | "devices.allow_occupied" => false,
        _ => key.starts_with("input.") || key.starts_with("devices."),
    }
}

/// Whether a setting says what one replica trains, on what.
fn trains(key: &str) -> bool {
    let of_replica = !matches!(
        key,
        "devices.per_worker"
            | "devices.parameters"
            | "devices.oversubscribe"
            | "devices.share_devices"
            | "devices.allow_occupied"
    );
    of_replica && !key.starts_with("cluster.") && !key.starts_with("measure.")
}

/// Whether `key` has `value` in the cell.
pub fn is(cell: &CellSummary, key: &str, value: &str) -> bool {
    cell.value(key) == Some(value)
}

fn agree(a: &CellSummary, b: &CellSummary, compared: impl Fn(&str) -> bool) -> bool {
    a.settings
        .keys()
        .chain(b.settings.keys())
        .filter(|key| compared(key))
        .all(|key| a.settings.get(key) == b.settings.get(key))
}

fn median_rate(cell: &CellSummary) -> f64 {
    let figures = cell.figures.as_ref();
    figures.map_or(0.0, |figures| figures.throughput().median)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::sample_rows::RowBuilder;

    fn summary() -> Summary {
        let cells = [
            RowBuilder::pipeline_only(7000.0),
            RowBuilder::cifar10(2).rate(500.0),
            RowBuilder::cifar10(2).input("input on device").rate(300.0),
            RowBuilder::cifar10(2).input("no input").rate(600.0),
            RowBuilder::cifar10(1).input("no input").rate(310.0),
        ];
        let rows: Vec<_> = cells.into_iter().flat_map(|cell| cell.repeats(1)).collect();
        Summary::of(&rows)
    }

    #[test]
    fn each_question_finds_the_one_cell_that_answers_it() {
        let summary = summary();
        let find = Companions(&summary);
        let label = |cell: Option<&CellSummary>| cell.map(|cell| cell.label.clone());
        let host = &summary.cells[1];
        assert_eq!(label(find.pipeline_only(host)).unwrap(), "pipeline only");
        assert_eq!(label(find.resident(host)).unwrap(), "2 devices, no input");
        assert_eq!(
            label(find.other_placement(host)).unwrap(),
            "2 devices, input on device"
        );
        assert_eq!(label(find.best_single()).unwrap(), "1 device, no input");
        assert_eq!(label(find.fastest()).unwrap(), "2 devices, no input");
    }

    #[test]
    fn a_companion_has_the_same_batch_and_devices_but_its_own_number_of_steps() {
        let alone = || RowBuilder::pipeline_only(7000.0);
        let finds = |alone: RowBuilder| {
            let mut rows = RowBuilder::cifar10(2).set("measure.steps", "10").repeats(1);
            rows.extend(alone.repeats(1));
            let summary = Summary::of(&rows);
            let find = Companions(&summary);
            find.pipeline_only(&summary.cells[0]).is_some()
        };
        assert!(finds(alone()));
        assert!(finds(alone().set("measure.steps", "2000")));
        assert!(!finds(alone().set("model.local_batch", "32")));
        assert!(!finds(alone().set("devices.threads", "2")));
        assert!(!finds(alone().set("input.threads", "2")));
        // Only models that train have them.
        assert!(finds(alone().set("devices.cuda_graph", "false")));
    }

    #[test]
    fn without_input_only_input_and_measuring_may_differ() {
        let finds = |key: &str| {
            let mut rows = RowBuilder::cifar10(2).repeats(1);
            let resident = RowBuilder::cifar10(2).input("no input");
            rows.extend(resident.set(key, "7").repeats(1));
            let summary = Summary::of(&rows);
            Companions(&summary).resident(&summary.cells[0]).is_some()
        };
        assert!(finds("measure.steps") && finds("input.threads"));
        assert!(!finds("model.local_batch") && !finds("devices.threads"));
        assert!(!finds("cluster.topology"));
    }

    #[test]
    fn one_process_trains_the_same_with_any_measuring() {
        let finds = |key: &str| {
            let mut rows = RowBuilder::cifar10(2)
                .set("cluster.workers", "2")
                .repeats(1);
            let single = RowBuilder::cifar10(1).set("cluster.topology", "single");
            rows.extend(single.set(key, "7").repeats(1));
            let summary = Summary::of(&rows);
            Companions(&summary).single(&summary.cells[0]).is_some()
        };
        assert!(finds("measure.steps") && finds("devices.per_worker"));
        assert!(!finds("model.local_batch") && !finds("devices.threads"));
        assert!(!finds("input.source") && !finds("build.flavour"));
    }

    #[test]
    fn a_cell_without_graphs_finds_the_one_with_them() {
        let of = |graph: &str| RowBuilder::cifar10(1).set("devices.cuda_graph", graph);
        let finds = |other: RowBuilder| {
            let mut rows = of("false").repeats(1);
            rows.extend(other.repeats(1));
            let summary = Summary::of(&rows);
            let find = Companions(&summary);
            find.other_launching(&summary.cells[0]).is_some()
        };
        assert!(finds(of("true")) && finds(of("true").set("measure.steps", "7")));
        assert!(!finds(of("true").set("devices.tf32", "true")));
        assert!(!finds(RowBuilder::cifar10(2)));
    }

    #[test]
    fn a_host_pipeline_is_no_ceiling_for_input_on_the_device() {
        let summary = summary();
        assert_eq!(Companions(&summary).pipeline_only(&summary.cells[2]), None);
    }
}
