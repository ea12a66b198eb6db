"""Drift: how far values have moved from those that a model learned from, and whether chance explains that.

The population stability index (PSI) sums `(share now - share then) * ln(share now / share then)` over bins. From 0.1
on it is commonly called a change to look at, from 0.25 on a shift (N. Siddiqi, Credit Risk Scorecards, 2006). Few rows
move it too: without drift it is distributed about as `(1 / rows now + 1 / rows then) * chi-square(bins - 1)`
(B. Yurdakul and J. Naranjo, Statistical properties of the population stability index, 2020). So it has to be beyond
both.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

FEWEST = 0.5
"""Rows that a bin without any counts as, so that its share has a logarithm."""


@dataclass(frozen=True)
class Histogram:
    """Shares of values in bins, and of how many rows.

    Attributes:
        edges: between the bins, in order; there is one bin more. A value at an edge is above it.
        shares: of the values in each bin.
        rows: that they were counted from.
    """

    edges: tuple[float, ...]
    shares: tuple[float, ...]
    rows: int


@dataclass(frozen=True)
class Shift:
    """A number that was measured, and from where on it is a drift.

    Attributes:
        name: of the feature, or of the output.
        measure: `psi`, `missing` or `invalid`.
        value: what was measured.
        limit: from here on, which is the setting's, or where chance ends when that is more.
        drifted: whether it is beyond.
    """

    name: str
    measure: str
    value: float
    limit: float
    drifted: bool

    def __str__(self) -> str:
        """`mean_radius: psi is 0.412, limit 0.200`."""
        return f"{self.name}: {self.measure} is {self.value:.3f}, limit {self.limit:.3f}"


def stability(then: Histogram, values: Sequence[float]) -> float:
    """The population stability index of values against a histogram."""
    counts = [0] * len(then.shares)
    for value in values:
        counts[bisect_right(then.edges, value)] += 1
    total = 0.0
    for count, share in zip(counts, then.shares, strict=True):
        before = max(share * then.rows, FEWEST) / then.rows
        now = max(count, FEWEST) / len(values)
        total += (now - before) * math.log(now / before)
    return total


def shifted(name: str, then: Histogram, values: Sequence[float], limit: float, chance: float) -> Shift:
    """Whether values have moved away from a histogram.

    Args:
        name: of what they are.
        then: what the model learned from.
        values: of now, at least one, all finite.
        limit: the PSI that is tolerated.
        chance: how often values that have not moved may be called moved.
    """
    found = stability(then, values)
    noise = chi_square(1 - chance, len(then.shares) - 1) * (1 / len(values) + 1 / then.rows)
    bound = max(limit, noise)
    return Shift(name, "psi", found, bound, found >= bound)


def more_often(
    name: str, measure: str, now: int, rows: int, then: float, then_rows: int, limit: float, chance: float
) -> Shift:
    """Whether something, such as a missing value, has become more frequent by more than is tolerated.

    Args:
        name: of the feature.
        measure: what is counted.
        now: how often it is seen.
        rows: among how many.
        then: its share in what the model learned from.
        then_rows: that this was counted from.
        limit: how much the share may grow.
        chance: how often a share that has not grown may be called grown.
    """
    share = now / rows
    both = (now + then * then_rows) / (rows + then_rows)
    few = 1 / rows + 1 / then_rows
    # The half is Yates's correction: counts are whole numbers, the normal distribution is not.
    noise = NormalDist().inv_cdf(1 - chance) * math.sqrt(both * (1 - both) * few) + few / 2
    bound = then + max(limit, noise)
    return Shift(name, measure, share, bound, share > bound)


def histogram(values: Sequence[float], bins: int) -> Histogram:
    """The histogram of values in bins that hold about as many of them each."""
    ordered = sorted(values)
    cuts = {ordered[round(position * len(ordered) / bins)] for position in range(1, bins)}
    # A bin below the smallest value would hold nothing.
    edges = tuple(sorted(cuts - {ordered[0]}))
    counts = [0] * (len(edges) + 1)
    for value in ordered:
        counts[bisect_right(edges, value)] += 1
    return Histogram(edges, tuple(count / len(ordered) for count in counts), len(ordered))


def chi_square(probability: float, degrees: int) -> float:
    """The quantile of the chi-square distribution, as Wilson and Hilferty approximate it (1931); 0 without a degree."""
    if degrees < 1:
        return 0.0
    spread = 2 / (9 * degrees)
    return float(degrees * (1 - spread + NormalDist().inv_cdf(probability) * math.sqrt(spread)) ** 3)
