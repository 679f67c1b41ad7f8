//! What holds for every sweep.

use super::body;
use proptest::prelude::*;
use std::collections::HashSet;

fn list(values: &[u64]) -> String {
    format!("{values:?}")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn cells_are_the_product_without_what_is_excluded(
        batches in prop::collection::btree_set(1u64..500, 1..6),
        threads in prop::collection::btree_set(1u64..64, 1..6),
        steps in prop::collection::btree_set(1u64..900, 1..6),
        drop_steps in any::<bool>(),
    ) {
        let [batches, threads, steps] = [batches, threads, steps].map(|set| set.into_iter().collect::<Vec<_>>());
        let mut text = format!(
            "[sweep]\nmodel.local_batch = {}\ninput.threads = {}\nmeasure.steps = {}\n",
            list(&batches), list(&threads), list(&steps),
        );
        let exclude = drop_steps && steps.len() > 1;
        let mut expected = batches.len() * threads.len() * steps.len();
        if exclude {
            text += &format!("[[exclude]]\nmeasure.steps = {}\ninput.threads = {}", steps[0], threads[0]);
            expected -= batches.len();
        }
        let (_, plan) = body(&text).unwrap();
        prop_assert_eq!(plan.cells.len(), expected);
        prop_assert_eq!(plan.excluded, if exclude { batches.len() } else { 0 });
        let ids: HashSet<_> = plan.cells.iter().map(|cell| cell.id.clone()).collect();
        prop_assert_eq!(ids.len(), plan.cells.len());
        let labels: HashSet<_> = plan.cells.iter().map(|cell| cell.label.clone()).collect();
        prop_assert_eq!(labels.len(), plan.cells.len());
        for block in plan.blocks(2) {
            let places: HashSet<_> = block.into_iter().collect();
            prop_assert_eq!(places, (0..plan.cells.len()).collect());
        }
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "[ -~\n]{0,200}") {
        let _ = body(&text);
    }

    #[test]
    fn no_mixture_of_known_parts_makes_the_reader_panic(
        parts in prop::collection::vec(prop::sample::select(PARTS.to_vec()), 0..12)
    ) {
        let _ = body(&parts.concat());
    }
}

const PARTS: [&str; 27] = [
    "\n",
    "[sweep]\n",
    "[[sweep.zip]]\n",
    "[[sweep.cases]]\n",
    "[[exclude]]\n",
    "[[chart]]\n",
    "[[compare]]\n",
    "over = \"devices.per_worker\"\n",
    "base = ",
    "[model]\n",
    "name = ",
    "\"mlp\"\n",
    "[1, 2]\n",
    "[]\n",
    "devices.per_worker = ",
    "label = ",
    "model.name = ",
    "[\"mlp\", \"none\"]\n",
    "{ a = 1 }\n",
    "[flavours.a]\n",
    "extends = \"a\"\n",
    "kind = \"scaling\"\n",
    "baseline = ",
    "labels = ",
    "2\n",
    "\"é\"\n",
    "cluster.topology = ",
];
