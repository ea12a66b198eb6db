"""Metrics of a binary classifier, each with a bootstrap confidence interval.

A bootstrap sample is a row of weights: how often it drew each case. Every metric is therefore a function of weights and
is computed for all samples at once; the metric of the data itself is that of weights that are all one.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from {{cookiecutter.package_name}}.schema import THRESHOLD

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.bool_]
Metric = Callable[[Floats, Labels, Floats], Floats]
"""(weights of shape (samples, rows), labels (rows,), probabilities (rows,)) → values (samples,)"""

CONFIDENCE = 0.95


def mean(weights: Floats, values: npt.NDArray[Any]) -> Floats:
    """Weighted mean of values of shape (rows,) in each sample: shape (samples,)."""
    result: Floats = weights @ values / weights.sum(axis=1)
    return result


def roc_auc(weights: Floats, labels: Labels, probabilities: Floats) -> Floats:
    """Probability that a malignant case is ranked above a benign one, ties counting half; 0.5 is chance."""
    order = np.argsort(probabilities, kind="stable")
    starts = np.unique(probabilities[order], return_index=True)[1]
    positive = np.add.reduceat(weights[:, order] * labels[order], starts, axis=1)
    negative = np.add.reduceat(weights[:, order] * ~labels[order], starts, axis=1)
    below = np.cumsum(negative, axis=1) - negative / 2
    value: Floats = (positive * below).sum(axis=1) / (positive.sum(axis=1) * negative.sum(axis=1))
    return value


def log_loss(weights: Floats, labels: Labels, probabilities: Floats) -> Floats:
    """Mean surprise in nats; lower is better. A case that was thought impossible costs 36, not infinity."""
    given = np.clip(np.where(labels, probabilities, 1 - probabilities), np.finfo(float).eps, 1)
    return mean(weights, -np.log(given))


def brier(weights: Floats, labels: Labels, probabilities: Floats) -> Floats:
    """Mean squared error of the probability; lower is better."""
    return mean(weights, (probabilities - labels) ** 2)


def accuracy(weights: Floats, labels: Labels, probabilities: Floats) -> Floats:
    """Share of the cases that get their own label."""
    return mean(weights, (probabilities >= THRESHOLD) == labels)


def recall(weights: Floats, labels: Labels, probabilities: Floats) -> Floats:
    """Share of the malignant cases that are found."""
    return mean(weights * labels, probabilities >= THRESHOLD)


def precision(weights: Floats, labels: Labels, probabilities: Floats) -> Floats:
    """Share of the cases called malignant that are; 0 when none is called so."""
    called = weights * (probabilities >= THRESHOLD)
    total = called.sum(axis=1)
    value: Floats = np.divide(called @ labels, total, out=np.zeros_like(total), where=total > 0)
    return value


METRICS: dict[str, Metric] = {
    function.__name__: function for function in (roc_auc, log_loss, brier, accuracy, recall, precision)
}


def measure(labels: Labels, probabilities: Floats) -> dict[str, float]:
    """Every metric of some cases: labels and probabilities have the shape (rows,)."""
    once = np.ones((1, len(labels)))
    return {name: float(metric(once, labels, probabilities)[0]) for name, metric in METRICS.items()}


def with_intervals(labels: Labels, probabilities: Floats, resamples: int, seed: int) -> dict[str, dict[str, float]]:
    """Every metric with the ends of its 95 % interval.

    A metric that is perfect on these rows gets an interval of no width: a bootstrap sample only repeats errors that the
    rows hold. It says that the rows are too few, not that the model never errs.

    Args:
        labels: shape (rows,), True for malignant.
        probabilities: shape (rows,), of malignant, 0 to 1.
        resamples: bootstrap samples; each takes 8 bytes a row while it is computed.
        seed: of the samples; the same seed gives the same interval.

    Returns:
        metric → value, low, high.
    """
    rows = len(labels)
    weights = np.random.default_rng(seed).multinomial(rows, np.full(rows, 1 / rows), size=resamples).astype(float)
    values = measure(labels, probabilities)
    ends = [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]
    result = {}
    with np.errstate(invalid="ignore", divide="ignore"):
        for name, metric in METRICS.items():
            # A sample that drew a single label has no AUC: it is left out.
            low, high = np.nanquantile(metric(weights, labels, probabilities), ends)
            result[name] = {"value": values[name], "low": float(low), "high": float(high)}
    return result
