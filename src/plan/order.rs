//! Randomised complete blocks: every cell once a block, in random order, so that slow drift of a
//! machine hits all cells alike. The order is the same on every machine and must stay so. Blocks take
//! turns with the builds of flavours.

/// The build that all cells of a block use, of `builds` for each flavour; both are counted from 1.
pub fn build_of(block: u32, builds: u32) -> u32 {
    block.saturating_sub(1) % builds.max(1) + 1
}

/// The cells `0..cells` in the order of one block.
///
/// Fisher and Yates's shuffle (Durstenfeld's form) over `SplitMix`.
pub fn order(cells: usize, block: u32, seed: u64) -> Vec<usize> {
    let mut random = SplitMix(SplitMix(seed).next() ^ u64::from(block));
    let mut order: Vec<usize> = (0..cells).collect();
    for last in (1..cells).rev() {
        order.swap(last, random.below(last as u64 + 1) as usize);
    }
    order
}

/// The generator SplitMix64 of Steele, Lea and Flood, "Fast splittable pseudorandom number
/// generators" (2014): small, and its sequence depends on nothing but the seed.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`. Its bias is below 2⁻⁴⁰ for any number of cells that can be planned.
    fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_generator_is_the_published_one() {
        let mut random = SplitMix(1_234_567);
        let first: Vec<_> = (0..3).map(|_| random.next()).collect();
        let published = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
        ];
        assert_eq!(first, published);
    }

    #[test]
    fn the_order_of_a_seed_never_changes() {
        insta::assert_compact_debug_snapshot!(order(8, 1, 1), @"[2, 0, 4, 3, 1, 6, 5, 7]");
        insta::assert_compact_debug_snapshot!(order(8, 2, 1), @"[2, 7, 0, 4, 3, 1, 6, 5]");
        insta::assert_compact_debug_snapshot!(order(8, 1, 2), @"[2, 4, 3, 1, 6, 0, 5, 7]");
    }

    #[test]
    fn blocks_take_turns_with_builds() {
        let turns = |builds| {
            (1..=5)
                .map(|block| build_of(block, builds))
                .collect::<Vec<_>>()
        };
        assert_eq!(turns(1), [1, 1, 1, 1, 1]);
        assert_eq!(turns(2), [1, 2, 1, 2, 1]);
        assert_eq!(turns(3), [1, 2, 3, 1, 2]);
    }

    #[test]
    fn every_place_is_taken_by_every_cell_about_equally_often() {
        let mut counts = [[0u32; 5]; 5];
        for block in 0..5000 {
            for (place, cell) in order(5, block, 7).into_iter().enumerate() {
                counts[place][cell] += 1;
            }
        }
        assert!(
            counts
                .iter()
                .flatten()
                .all(|count| (900..1100).contains(count)),
            "{counts:?}"
        );
    }

    proptest! {
        #[test]
        fn an_order_is_a_permutation(cells in 0usize..300, block: u32, seed: u64) {
            let mut sorted = order(cells, block, seed);
            sorted.sort_unstable();
            prop_assert_eq!(sorted, (0..cells).collect::<Vec<_>>());
        }
    }
}
