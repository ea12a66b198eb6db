"""Thresholds: what a model's metrics have to reach before it is registered."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from mlops.errors import Failure
from mlops.settings.criteria import Threshold


class Measured(Protocol):
    """A metric as the evaluation measured it."""

    @property
    def value(self) -> float:
        """The estimate that the gate looks at."""


@dataclass(frozen=True)
class Verdict:
    """What the gate says of one metric: its value, the side it has to be on, and whether it is."""

    metric: str
    value: float | None
    limit: float
    side: str
    passed: bool

    def __str__(self) -> str:
        """`roc_auc is 0.93, at least 0.95 is required`."""
        value = "missing" if self.value is None else f"{self.value:.6g}"
        return f"{self.metric} is {value}, {self.side.replace('_', ' ')} {self.limit:g} is required"


def gate(metrics: Mapping[str, Measured], thresholds: Sequence[Threshold]) -> list[Verdict]:
    """Hold metrics against their thresholds.

    Args:
        metrics: what the evaluation measured, by name.
        thresholds: what the settings ask for; a metric without one is not looked at.

    Returns:
        One verdict for each threshold, all of them passed.

    Raises:
        Failure: at least one is not passed; every one of them is named with its value and limit.
    """
    found = verdicts(metrics, thresholds)
    if failed := [verdict for verdict in found if not verdict.passed]:
        raise Failure(f"the gate refuses this model: {'; '.join(map(str, failed))}")
    return found


def verdicts(metrics: Mapping[str, Measured], thresholds: Sequence[Threshold]) -> list[Verdict]:
    """One verdict for each threshold, passed or not."""
    return [verdict(metrics.get(each.metric), each) for each in thresholds]


def verdict(metric: Measured | None, threshold: Threshold) -> Verdict:
    """Whether a metric is on the right side of its threshold; one that is missing or no number is not."""
    value = None if metric is None else metric.value
    side, limit = ("at_least", threshold.at_least) if threshold.at_most is None else ("at_most", threshold.at_most)
    if limit is None:
        raise ValueError(f"threshold of {threshold.metric} has no limit")
    return held(threshold.metric, value, side, limit)


def held(what: str, value: float | None, side: str, limit: float) -> Verdict:
    """Whether a value is on the right side of its limit; one that is missing or no number is not."""
    known = value is not None and not math.isnan(value)
    passed = known and value is not None and (value >= limit if side == "at_least" else value <= limit)
    return Verdict(metric=what, value=value, limit=limit, side=side, passed=passed)
