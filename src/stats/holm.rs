//! In: probabilities of chance of a family of comparisons. Out: those that hold for the family.

/// Each probability as it counts among all of them (Holm, "A simple sequentially rejective multiple
/// test procedure", 1979): that any true "no difference" of the family ends at or below 0.05 has a
/// probability of at most 5 %, however the comparisons depend on each other.
pub fn holm(probabilities: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..probabilities.len()).collect();
    order.sort_by(|a, b| probabilities[*a].total_cmp(&probabilities[*b]));
    let mut adjusted = vec![1.0; probabilities.len()];
    let mut greatest: f64 = 0.0;
    for (rank, place) in order.into_iter().enumerate() {
        let left = (probabilities.len() - rank) as f64;
        greatest = greatest.max(left * probabilities[place]).min(1.0);
        adjusted[place] = greatest;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn adjusted_values_are_those_of_the_printed_example() {
        // As `p.adjust(p, "holm")` of R gives them.
        let adjusted = holm(&[0.03, 0.01, 0.05, 0.04, 0.02]);
        for (got, wanted) in adjusted.into_iter().zip([0.09, 0.05, 0.09, 0.09, 0.08]) {
            assert!((got - wanted).abs() < 1e-12);
        }
        assert_eq!(holm(&[]), [0.0; 0]);
        assert_eq!(holm(&[0.04]), [0.04]);
    }

    proptest! {
        #[test]
        fn a_family_makes_nothing_surer_and_keeps_the_order(p in prop::collection::vec(0.0..1.0f64, 1..9)) {
            let adjusted = holm(&p);
            for (i, own) in p.iter().enumerate() {
                prop_assert!(adjusted[i] >= *own && adjusted[i] <= 1.0);
                for (j, other) in p.iter().enumerate() {
                    prop_assert!(own > other || adjusted[i] <= adjusted[j]);
                }
            }
        }
    }
}
