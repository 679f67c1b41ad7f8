//! In: seconds of a process's windows, in their order. Out: from which window on they scatter around one
//! level, or that they do not. Knows neither steps nor units.

use super::{MAD_TO_DEVIATION, is_positive, median};

/// Fewer windows show no level.
const LEAST_WINDOWS: usize = 20;
/// Windows of the shortest level that is told from an outlier.
const LEAST_LEVEL: usize = 5;
/// Levels this near to each other, as logarithms, are one.
const SAME_LEVEL: f64 = 0.02;
/// What a change of level must explain, in units of the scatter's variance times the logarithm of the
/// number of windows. Twice as much as for independent values, as timings of neighbours are alike.
const PENALTY: f64 = 4.0;
/// Windows beyond which neighbours are taken together, to bound the time of the search.
const MOST_POINTS: usize = 400;

/// Whether a process came to rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Steady {
    /// From this window on; 0 where all are of one level.
    From(usize),
    /// The last level holds less than half of the windows.
    NotFound,
    /// Too few windows to tell.
    TooShort,
}

/// Finds the last level: change points of the mean of the logarithms by optimal partitioning (Jackson
/// et al., "An algorithm for optimal partitioning of data on an interval", 2005), then the levels
/// before the last one that equal it, as in the warm-up study of Barrett et al. (2017). Values are
/// positive; an outlier counts as little as a value three deviations away.
pub fn steady(windows: &[f64]) -> Steady {
    if windows.len() < LEAST_WINDOWS || !windows.iter().all(is_positive) {
        return Steady::TooShort;
    }
    let group = windows.len().div_ceil(MOST_POINTS);
    let middle = |group: &[f64]| median(group).map_or(0.0, f64::ln);
    let points: Vec<f64> = windows.chunks(group).map(middle).collect();
    let scatter = scatter(&points);
    let calm = without_outliers(&points, 3.0 * scatter);
    let starts = level_starts(&calm, PENALTY * scatter.powi(2) * (calm.len() as f64).ln());
    let from = last_level(&calm, &starts) * group;
    match 2 * (windows.len() - from) >= windows.len() {
        true => Steady::From(from),
        false => Steady::NotFound,
    }
}

/// Standard deviation around the level, whatever the levels are: from differences of neighbours.
fn scatter(points: &[f64]) -> f64 {
    let distance = |pair: &[f64]| (pair[1] - pair[0]).abs();
    let distances: Vec<f64> = points.windows(2).map(distance).collect();
    let of_difference = median(&distances).unwrap_or(0.0) * MAD_TO_DEVIATION;
    let deviation = of_difference / std::f64::consts::SQRT_2;
    // Clocks have a finest step, below which nothing scatters.
    deviation.max(1e-6)
}

/// Each point no farther than `reach` from the median of itself and its neighbours.
fn without_outliers(points: &[f64], reach: f64) -> Vec<f64> {
    let half = LEAST_LEVEL / 2;
    let calm = |i: usize| {
        let near = &points[i.saturating_sub(half)..(i + half + 1).min(points.len())];
        let middle = median(near).unwrap_or(points[i]);
        points[i].clamp(middle - reach, middle + reach)
    };
    (0..points.len()).map(calm).collect()
}

/// Where the levels start that have the least sum of squares with `penalty` for each; the first is 0.
fn level_starts(points: &[f64], penalty: f64) -> Vec<usize> {
    let sums = running(points.iter().copied());
    let squares = running(points.iter().map(|value| value * value));
    let cost = |from: usize, to: usize| {
        let sum = sums[to] - sums[from];
        squares[to] - squares[from] - sum * sum / (to - from) as f64
    };
    // Of the points before each place: the least cost, and where its last level starts.
    let mut best = vec![(f64::INFINITY, 0); points.len() + 1];
    best[0].0 = 0.0;
    for to in LEAST_LEVEL..=points.len() {
        for from in 0..=to - LEAST_LEVEL {
            let total = best[from].0 + cost(from, to) + penalty;
            if total < best[to].0 {
                best[to] = (total, from);
            }
        }
    }
    let mut starts = vec![best[points.len()].1];
    while starts[starts.len() - 1] > 0 {
        starts.push(best[starts[starts.len() - 1]].1);
    }
    starts.reverse();
    starts
}

/// Sums of the first 0, 1, 2, … values.
fn running(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let add = |sum: &mut f64, value: f64| {
        *sum += value;
        Some(*sum)
    };
    std::iter::once(0.0).chain(values.scan(0.0, add)).collect()
}

/// Where the run of levels starts that equal the last one.
fn last_level(points: &[f64], starts: &[usize]) -> usize {
    let ends = starts.iter().skip(1).copied().chain([points.len()]);
    let level = |(from, to): (usize, usize)| median(&points[from..to]).unwrap_or(0.0);
    let levels: Vec<f64> = starts.iter().copied().zip(ends).map(level).collect();
    let last = levels[levels.len() - 1];
    let same = |level: &&f64| (**level - last).abs() <= SAME_LEVEL;
    let kept = levels.iter().rev().take_while(same).count();
    starts[levels.len() - kept]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::random::Random;

    /// Windows around each level in turn, each off by at most `noise`.
    fn series(levels: &[(usize, f64)], noise: f64) -> Vec<f64> {
        let mut random = Random::new(5);
        let mut value = |level: f64| level * (1.0 + noise * (2.0 * random.unit() - 1.0));
        let parts = levels.iter().flat_map(|(n, level)| vec![*level; *n]);
        parts.map(&mut value).collect()
    }

    #[test]
    fn a_flat_process_is_steady_from_the_start() {
        assert_eq!(steady(&series(&[(40, 0.1)], 0.01)), Steady::From(0));
        assert_eq!(steady(&[0.1; 30]), Steady::From(0));
        let mut spiky = series(&[(60, 0.1)], 0.01);
        for at in [3, 17, 18, 44] {
            spiky[at] *= 4.0;
        }
        assert_eq!(steady(&spiky), Steady::From(0));
    }

    #[test]
    fn a_warm_up_ends_where_the_last_level_starts() {
        let warming = series(&[(8, 0.3), (12, 0.15), (60, 0.1)], 0.01);
        assert_eq!(steady(&warming), Steady::From(20));
        let relapse = series(&[(50, 0.1), (30, 0.2)], 0.01);
        assert_eq!(steady(&relapse), Steady::NotFound);
    }

    #[test]
    fn a_small_change_is_none_and_a_slow_drift_has_no_level() {
        let small = series(&[(40, 0.100), (40, 0.101)], 0.002);
        assert_eq!(steady(&small), Steady::From(0));
        let drift: Vec<f64> = (0..100).map(|i| 0.1 * 1.01f64.powi(i)).collect();
        assert_eq!(steady(&drift), Steady::NotFound);
    }

    #[test]
    fn few_windows_tell_nothing_and_many_are_taken_together() {
        assert_eq!(steady(&series(&[(19, 0.1)], 0.01)), Steady::TooShort);
        let long = series(&[(1000, 0.2), (9000, 0.1)], 0.05);
        assert_eq!(steady(&long), Steady::From(1000));
    }
}
