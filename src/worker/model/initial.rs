//! Initial values of variables. Each number is a function of seed, name of the variable and index
//! alone, made with exactly rounded operations only: the same bits on every machine, in any order.

/// The numbers of one variable.
#[derive(Clone, Copy, Debug)]
pub struct Stream {
    key: u64,
}

impl Stream {
    pub fn new(seed: u64, name: &str) -> Self {
        Self {
            key: mix(seed ^ fnv1a(name)),
        }
    }

    /// Number `index` of the uniform distribution on `[-limit, limit)`.
    pub fn uniform(self, index: usize, limit: f64) -> f64 {
        let bits = self.bits(index, 0) >> 11;
        (bits as f64 * 2f64.powi(-52) - 1.0) * limit
    }

    /// Number `index` of the normal distribution around 0, redrawn while it is more than two
    /// `deviation`s away, by rejection from the uniform distribution between them.
    pub fn truncated_normal(self, index: usize, deviation: f64) -> f64 {
        let mut attempt = 0;
        loop {
            let bits = self.bits(index, attempt);
            let x = f64::from((bits >> 32) as u32) * 2f64.powi(-30) - 2.0;
            let height = f64::from(bits as u32) * 2f64.powi(-32);
            if height < exp_minus(x * x / 2.0) {
                return x * deviation;
            }
            attempt += 1;
        }
    }

    fn bits(self, index: usize, attempt: u64) -> u64 {
        mix(mix(self.key.wrapping_add(index as u64)).wrapping_add(attempt))
    }
}

/// One output of SplitMix64 (Steele, Lea, Flood 2014) for the given state.
fn mix(state: u64) -> u64 {
    let z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The FNV-1a hash of a name.
fn fnv1a(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// `e^-x` for x in 0..=2 to 13 digits. The one of a system's library may differ between systems.
fn exp_minus(x: f64) -> f64 {
    let z = x / 16.0;
    let series = (1..=9)
        .rev()
        .fold(1.0, |sum, n| 1.0 - z / f64::from(n) * sum);
    (0..4).fold(series, |power, _| power * power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_never_change() {
        let stream = Stream::new(1, "conv1/weights");
        let uniform = [0, 1, 1_000_000].map(|i| stream.uniform(i, 1.0));
        assert_eq!(
            uniform,
            [
                0.016288722087535845,
                0.5305934585372487,
                -0.6287644304400615
            ]
        );
        let normal = [0, 1, 1_000_000].map(|i| stream.truncated_normal(i, 1.0));
        assert_eq!(
            normal,
            [0.03257744386792183, 0.3801895622164011, -1.257528861053288]
        );
        assert_ne!(Stream::new(2, "conv1/weights").uniform(0, 1.0), uniform[0]);
        assert_ne!(Stream::new(1, "conv2/weights").uniform(0, 1.0), uniform[0]);
    }

    #[test]
    fn distributions_have_their_moments() {
        let n = 200_000;
        let stream = Stream::new(7, "w");
        let moments = |draw: &dyn Fn(usize) -> f64| {
            let sums = (0..n).map(draw).fold((0.0, 0.0, 0f64), |(a, b, most), x| {
                (a + x, b + x * x, most.max(x.abs()))
            });
            (sums.0 / n as f64, sums.1 / n as f64, sums.2)
        };
        let (mean, square, most) = moments(&|i| stream.uniform(i, 3.0));
        assert!(mean.abs() < 0.02 && (square - 3.0).abs() < 0.03 && most <= 3.0);
        // The variance of a normal distribution that is cut at two deviations is 0.7737.
        let (mean, square, most) = moments(&|i| stream.truncated_normal(i, 1.0));
        assert!(mean.abs() < 0.01 && (square - 0.7737).abs() < 0.01 && most <= 2.0);
    }

    #[test]
    fn the_exponential_agrees_with_the_library() {
        for i in 0..=200 {
            let x = f64::from(i) / 100.0;
            assert!((exp_minus(x) - (-x).exp()).abs() < 1e-13, "{x}");
        }
    }
}
