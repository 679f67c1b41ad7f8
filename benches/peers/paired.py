"""The ratio of two programs from pairs of one round each, with an exact interval.

The Hodges-Lehmann estimate over log ratios, and the interval of Wilcoxon's signed-rank test from its
exact distribution (Hollander, Wolfe and Chicken, "Nonparametric Statistical Methods", 3.2 and 3.3): what
xrun itself uses. Below six pairs no interval covers 95 %; then it is that from the least to the largest.
"""
import math
import statistics
from dataclasses import dataclass

CONFIDENCE = 0.95


@dataclass
class Ratio:
    median: float
    low: float
    high: float
    # Probability that the interval holds the true ratio, if log ratios scatter symmetrically.
    coverage: float


def ratio(pairs):
    """The ratio of the first to the second of each pair of positive numbers."""
    logs = [math.log(first / second) for first, second in pairs]
    walsh = sorted((a + b) / 2 for i, a in enumerate(logs) for b in logs[i:])
    left_out, coverage = trim(len(logs))
    low, high = walsh[left_out], walsh[-1 - left_out]
    return Ratio(math.exp(statistics.median(walsh)), math.exp(low), math.exp(high), coverage)


def trim(count):
    """How many Walsh averages may be left out at each end, at least none, and the coverage then."""
    left_out, coverage = 0, 1 - 2 * 0.5**count
    below = 0.0
    for rank_sum, probability in enumerate(rank_sums(count)):
        below += probability
        if 1 - 2 * below < CONFIDENCE:
            break
        left_out, coverage = rank_sum, 1 - 2 * below
    return left_out, coverage


def rank_sums(count):
    """The probability of each sum of positive ranks, when signs are fair coins."""
    probabilities = [1.0]
    for rank in range(1, count + 1):
        longer = [0.0] * (len(probabilities) + rank)
        for rank_sum, probability in enumerate(probabilities):
            longer[rank_sum] += probability / 2
            longer[rank_sum + rank] += probability / 2
        probabilities = longer
    return probabilities
