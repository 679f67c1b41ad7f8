//! In: a seed, a use and a number. Out: the same random numbers for them on every machine, in every
//! thread and in every order of asking. Knows nothing of what the numbers are for.

/// What random numbers are drawn for. Two uses of one seed and number are independent.
#[derive(Clone, Copy, Debug)]
pub enum Use {
    /// The order of records within an epoch.
    Order = 1,
    /// Crop, flip, brightness and contrast of one example.
    Distortion,
    /// Which examples leave a shuffle buffer.
    Shuffle,
    /// Input vectors of the standard normal distribution.
    NormalInput,
    /// Target vectors of the standard normal distribution.
    NormalTarget,
    /// The classes of generated files.
    Template,
    /// The records of generated files.
    Record,
    /// Waves and velocity of a moving field.
    Field,
}

/// A stream of random numbers that starts at a counter: SplitMix64 (Steele, Lea and Flood, "Fast
/// splittable pseudorandom number generators", 2014) from a hash of seed, use and number.
#[derive(Clone, Debug)]
pub struct Draws {
    state: u64,
}

/// 2^64 over the golden ratio, the odd increment of SplitMix64.
const INCREMENT: u64 = 0x9e37_79b9_7f4a_7c15;

impl Draws {
    pub fn new(seed: u64, purpose: Use, number: u64) -> Self {
        Self {
            state: mix(Self::key(seed, purpose) ^ number.wrapping_mul(INCREMENT)),
        }
    }

    /// What all streams of one seed and use have in common, from which kernels draw the same numbers.
    pub fn key(seed: u64, purpose: Use) -> u64 {
        mix(mix(seed.wrapping_add(INCREMENT)) ^ purpose as u64)
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(INCREMENT);
        mix(self.state)
    }

    /// A number in `0..bound`, for a `bound` of at least 1 and far below 2^32: its bias is `bound` / 2^64.
    pub fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.bits()) * bound as u128) >> 64) as usize
    }

    /// A number of the uniform distribution over `[low, high)`, in steps of 2^-24 of its width.
    pub fn uniform(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * unit(self.bits() >> 40)
    }

    /// Fills `values` with the standard normal distribution (Box and Muller, 1958).
    pub fn fill_normal(&mut self, values: &mut [f32]) {
        for pair in values.chunks_mut(2) {
            let bits = self.bits();
            // One minus a number below one is never zero, so its logarithm is finite.
            let radius = (-2.0 * (1.0 - unit(bits >> 40)).ln()).sqrt();
            let (sine, cosine) = (std::f32::consts::TAU * unit(bits & 0xff_ffff)).sin_cos();
            pair[0] = radius * cosine;
            if let Some(second) = pair.get_mut(1) {
                *second = radius * sine;
            }
        }
    }
}

/// `bits`, below 2^24, as a fraction of 2^24.
fn unit(bits: u64) -> f32 {
    bits as f32 / (1 << 24) as f32
}

/// The finaliser of SplitMix64: a permutation of 64 bits in which each bit of the result depends on
/// each bit of `z`.
pub fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mean and variance of `values`.
    fn moments(values: &[f32]) -> (f64, f64) {
        let n = values.len() as f64;
        let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / n;
        let variance = values.iter().map(|v| (f64::from(*v) - mean).powi(2));
        (mean, variance.sum::<f64>() / n)
    }

    #[test]
    fn the_generator_is_splitmix64() {
        // The published first outputs for the seed 1234567.
        let mut draws = Draws { state: 1_234_567 };
        let expected = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973];
        assert_eq!([draws.bits(), draws.bits()], expected);
    }

    #[test]
    fn seed_use_and_number_all_count() {
        let first = |seed, purpose, number| Draws::new(seed, purpose, number).bits();
        let start = first(1, Use::Order, 0);
        assert_eq!(start, first(1, Use::Order, 0));
        assert_ne!(start, first(2, Use::Order, 0));
        assert_ne!(start, first(1, Use::Shuffle, 0));
        assert_ne!(start, first(1, Use::Order, 1));
    }

    #[test]
    fn uniform_numbers_fill_their_range_evenly() {
        let mut draws = Draws::new(1, Use::Distortion, 0);
        let values: Vec<f32> = (0..40_000).map(|_| draws.uniform(-1.0, 3.0)).collect();
        assert!(values.iter().all(|v| (-1.0..3.0).contains(v)));
        let (mean, variance) = moments(&values);
        assert!((mean - 1.0).abs() < 0.03, "mean {mean}");
        assert!((variance - 16.0 / 12.0).abs() < 0.03, "variance {variance}");
        let counts = (0..9_000).fold([0; 9], |mut counts, _| {
            counts[draws.below(9)] += 1;
            counts
        });
        assert!(counts.iter().all(|c| (850..1150).contains(c)), "{counts:?}");
    }

    #[test]
    fn normal_numbers_have_unit_variance_for_odd_lengths_too() {
        let mut values = vec![f32::NAN; 40_001];
        Draws::new(1, Use::NormalInput, 0).fill_normal(&mut values);
        let (mean, variance) = moments(&values);
        assert!(mean.abs() < 0.02, "mean {mean}");
        assert!((variance - 1.0).abs() < 0.03, "variance {variance}");
        let within = values.iter().filter(|v| v.abs() < 1.0).count() as f64 / 40_001.0;
        assert!((within - 0.6827).abs() < 0.01, "{within} within one sigma");
    }
}
