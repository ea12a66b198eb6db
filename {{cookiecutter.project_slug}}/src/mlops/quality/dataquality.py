"""The data that a model learned from, held against the settings and against what serves: rows, gaps, labels, drift.

All of it is read from the baselines, the statistics that prepare.py writes beside the rows: no row leaves the jobs.
"""

import json
import math
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Any

from mlops.errors import Failure
from mlops.quality.thresholds import Verdict, held
from mlops.settings.criteria import Data

CHANCE = 0.999
"""A drift that chance alone would stay below with this probability, over all columns together, is none."""


class NoBaseline(Failure):
    """A baseline.json is not as prepare.py has to write it."""


@dataclass(frozen=True)
class Column:
    """One column of a baseline: the share that is missing, inner edges of bins with their shares, and quantiles."""

    missing: float
    edges: list[float]
    shares: list[float]
    quantiles: list[float]


@dataclass(frozen=True)
class Baseline:
    """The statistics of the rows that a model learned from."""

    rows: int
    labels: dict[str, float]
    columns: dict[str, Column]


@dataclass(frozen=True)
class Looked:
    """What is said of a model's data.

    Attributes:
        verdicts: one for each thing that the settings ask for; of many columns the worst.
        drift: the population stability index of each column against what serves; empty when nothing does.
        note: columns that one of the two lacks, or why the data of what serves could not be read.
    """

    verdicts: list[Verdict]
    drift: dict[str, float] = field(default_factory=dict)
    note: str = ""


def parse(content: bytes, place: str) -> Baseline:
    """Read a baseline.json.

    Raises:
        NoBaseline: it is not in its form.
    """
    try:
        found = json.loads(content)
        columns = {name: column_of(each) for name, each in found["columns"].items()}
        return Baseline(int(found["rows"]), {name: float(v) for name, v in found["labels"].items()}, columns)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise NoBaseline(
            f"{place}: holds no {{rows, labels, columns}} as prepare.py writes them, which `data` in mlops.yaml is "
            f"held against: {error!r}"
        ) from error


def column_of(given: dict[str, Any]) -> Column:
    """One column, from its JSON; the more quantiles it has, the finer is what is said of another's bins."""
    edges, shares = ([float(each) for each in given[key]] for key in ("edges", "shares"))
    if len(shares) != len(edges) + 1:
        raise ValueError(f"{len(edges)} edges and {len(shares)} shares")
    quantiles = [float(each) for each in given.get("percentiles") or given["quantiles"]]
    return Column(float(given["missing"]), edges, shares, quantiles)


def look(asked: Data, new: Baseline, serving: Baseline | None) -> Looked:
    """Hold the data of a new model against what the settings ask for, and against the data of what serves."""
    verdicts = [at_least("rows", new.rows, asked.least_rows)] if asked.least_rows is not None else []
    if asked.missing is not None and new.columns:
        name = max(new.columns, key=lambda each: new.columns[each].missing)
        verdicts.append(at_most(f"missing in {name}", new.columns[name].missing, asked.missing))
    if asked.label_share is not None:
        low, high = asked.label_share
        # A label that has vanished has no share in the new data: what serves has seen it.
        shares = dict.fromkeys(serving.labels if serving else (), 0.0) | new.labels
        verdicts += [at_least(f"share of label {name}", share, low) for name, share in shares.items()]
        verdicts += [at_most(f"share of label {name}", share, high) for name, share in shares.items()]
    if serving is None:
        return Looked(verdicts)
    if asked.label_shift is not None:
        names = sorted({*new.labels, *serving.labels})
        shifts = {name: abs(new.labels.get(name, 0.0) - serving.labels.get(name, 0.0)) for name in names}
        if shifts:
            name = max(shifts, key=lambda each: shifts[each])
            verdicts.append(at_most(f"shift of label {name}", shifts[name], asked.label_shift))
    both = [name for name in new.columns if name in serving.columns]
    drift = {name: stability(new, serving, name) for name in both}
    if asked.drift is not None and drift:
        name = max(drift, key=lambda each: drift[each])
        limit = max(asked.drift, by_chance(new, serving, len(serving.columns[name].shares), len(both)))
        verdicts.append(at_most(f"drift of {name}", drift[name], limit))
    return Looked(verdicts, drift, other_columns(new.columns, serving.columns))


def stability(new: Baseline, serving: Baseline, column: str) -> float:
    """The population stability index of a column: how far its distribution is from that of what serves.

    The sum over the bins of (new - old) ln(new / old). By convention below 0.1 is stable and above 0.25 a shift; one
    standard deviation of a normal column is about 0.9. Source: Yurdakul, Statistical Properties of Population Stability
    Index, dissertation, Western Michigan University 2018.
    """
    old = serving.columns[column].shares
    now = shares_in(new.columns[column], serving.columns[column].edges)
    # A bin without a row is taken for one with half a row: its logarithm would be infinite.
    pairs = [
        (max(a, 0.5 / max(new.rows, 1)), max(b, 0.5 / max(serving.rows, 1))) for a, b in zip(now, old, strict=True)
    ]
    return sum((a - b) * math.log(a / b) for a, b in pairs)


def shares_in(column: Column, edges: list[float]) -> list[float]:
    """The shares of a column in the bins of another one, from its quantiles: straight lines between them."""
    below = [share_below(column.quantiles, edge) for edge in edges]
    return [high - low for low, high in zip([0.0, *below], [*below, 1.0], strict=True)]


def share_below(quantiles: list[float], value: float) -> float:
    """The share of a column that is below a value."""
    at = bisect_left(quantiles, value)
    steps = len(quantiles) - 1
    if at in (0, len(quantiles)):
        return 0.0 if at == 0 else 1.0
    low, high = quantiles[at - 1], quantiles[at]
    return (at - 1 + (value - low) / (high - low)) / steps


def by_chance(new: Baseline, serving: Baseline, bins: int, columns: int) -> float:
    """The index that two samples of one distribution stay below: (1/n + 1/m) chi-squared of bins - 1, after Yurdakul.

    The quantile of chi-squared is Wilson and Hilferty's, within 1 % of the true one.
    """
    free = max(bins - 1, 1)
    z = NormalDist().inv_cdf(1 - (1 - CHANCE) / max(columns, 1))
    quantile = free * (1 - 2 / (9 * free) + z * math.sqrt(2 / (9 * free))) ** 3
    return quantile * (1 / max(new.rows, 1) + 1 / max(serving.rows, 1))


def other_columns(new: Iterable[str], serving: Iterable[str]) -> str:
    """Which columns one of the two lacks; that is no fault, and good to know."""
    ours, theirs = list(new), list(serving)
    added, gone = [each for each in ours if each not in theirs], [each for each in theirs if each not in ours]
    parts = [f"{what}: {', '.join(names)}" for what, names in (("new columns", added), ("columns gone", gone)) if names]
    return "; ".join(parts)


def at_least(what: str, value: float, limit: float) -> Verdict:
    """A verdict on what may not be less."""
    return held(what, value, "at_least", limit)


def at_most(what: str, value: float, limit: float) -> Verdict:
    """A verdict on what may not be more."""
    return held(what, value, "at_most", limit)
