"""Performance: metrics of predictions whose labels came later, each with its confidence interval.

Shares have Wilson's interval (E. B. Wilson, 1927), means the normal one, and the area under the ROC curve DeLong's
(E. R. DeLong and others, Biometrics 44, 1988), in logits so that it stays within 0 and 1.
"""

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist, fmean, stdev

from mlops.errors import BadInput

SMALLEST = 1e-15
"""Probabilities are kept this far from 0 and 1, so that their logarithm is a number."""


@dataclass(frozen=True)
class Measured:
    """A metric with its interval, and the one that the evaluation had measured, where it has.

    Attributes:
        decayed: whether the whole interval is worse than the whole interval of the evaluation.
    """

    metric: str
    value: float
    low: float
    high: float
    evaluated: float | None = None
    decayed: bool = False


def labels(file: Path) -> dict[tuple[str, int], str]:
    """The labels of a CSV with the columns request_id, label and, for requests of several rows, row.

    The first may be called request too.

    Raises:
        BadInput: it can not be read, or is not of this form.
    """
    try:
        with file.open(encoding="utf-8", newline="") as content:
            lines = csv.DictReader(content)
            columns = lines.fieldnames or []
            of = next((name for name in ("request_id", "request") if name in columns), "")
            if not of or "label" not in columns:
                found = ", ".join(columns) or "none"
                raise BadInput(
                    f"--labels {file}: columns are {found}; request_id, label and, where a request has several rows, "
                    "row are needed"
                )
            return {(line[of], int(line.get("row") or 0)): line["label"] for line in lines}
    except OSError as error:
        raise BadInput(f"--labels {file}: {error.strerror}") from error
    except (ValueError, csv.Error) as error:
        raise BadInput(f"--labels {file}: row is a whole number from 0: {error}") from error


def measure(truth: Sequence[bool], scores: Sequence[float], threshold: float, confidence: float) -> list[Measured]:
    """The metrics that the rows allow.

    Args:
        truth: whether each row has the positive label.
        scores: the probability that the model gave it.
        threshold: from this probability on the model says positive.
        confidence: of each interval.
    """
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    said = [score >= threshold for score in scores]
    both = list(zip(truth, said, strict=True))
    hits = sum(true and positive for true, positive in both)
    found = [share("accuracy", sum(true == positive for true, positive in both), len(both), z)]
    found += [share("recall", hits, sum(truth), z), share("precision", hits, sum(said), z)]
    kept = [min(max(score, SMALLEST), 1 - SMALLEST) for score in scores]
    losses = [-math.log(score if true else 1 - score) for true, score in zip(truth, kept, strict=True)]
    squares = [(score - true) ** 2 for true, score in zip(truth, scores, strict=True)]
    found += [mean("log_loss", losses, z), mean("brier", squares, z)]
    found.append(area(truth, scores, z))
    return [each for each in found if math.isfinite(each.value)]


def share(metric: str, hits: int, rows: int, z: float) -> Measured:
    """A share with Wilson's interval; not a number when there is no row."""
    if not rows:
        return Measured(metric, math.nan, math.nan, math.nan)
    value, square = hits / rows, z * z
    centre = (value + square / (2 * rows)) / (1 + square / rows)
    half = z / (1 + square / rows) * math.sqrt(value * (1 - value) / rows + square / (4 * rows * rows))
    return Measured(metric, value, max(0.0, centre - half), min(1.0, centre + half))


def mean(metric: str, values: Sequence[float], z: float) -> Measured:
    """A mean with its normal interval; not a number with fewer than two rows."""
    if len(values) < 2:
        return Measured(metric, math.nan, math.nan, math.nan)
    value, half = fmean(values), z * stdev(values) / math.sqrt(len(values))
    return Measured(metric, value, max(0.0, value - half), value + half)


def area(truth: Sequence[bool], scores: Sequence[float], z: float) -> Measured:
    """The area under the ROC curve with DeLong's interval; not a number with fewer than two rows of a label."""
    positives = [score for true, score in zip(truth, scores, strict=True) if true]
    negatives = [score for true, score in zip(truth, scores, strict=True) if not true]
    if min(len(positives), len(negatives)) < 2:
        return Measured("roc_auc", math.nan, math.nan, math.nan)
    among = midranks([*positives, *negatives])
    own, others = midranks(positives), midranks(negatives)
    above = [(whole - part) / len(negatives) for whole, part in zip(among, own, strict=False)]
    below = [1 - (whole - part) / len(positives) for whole, part in zip(among[len(positives) :], others, strict=True)]
    value = fmean(above)
    deviation = math.sqrt(stdev(above) ** 2 / len(above) + stdev(below) ** 2 / len(below))
    if not 0 < value < 1:
        return Measured("roc_auc", value, value, value)
    logit, half = math.log(value / (1 - value)), z * deviation / (value * (1 - value))
    low, high = (1 / (1 + math.exp(-end)) for end in (logit - half, logit + half))
    return Measured("roc_auc", value, low, high)


def midranks(values: Sequence[float]) -> list[float]:
    """The rank of each value from 1; equal ones have the middle of theirs."""
    order = sorted(range(len(values)), key=values.__getitem__)
    found = [0.0] * len(values)
    start = 0
    while start < len(order):
        end = start
        while end < len(order) and values[order[end]] == values[order[start]]:
            end += 1
        for position in order[start:end]:
            found[position] = (start + 1 + end) / 2
        start = end
    return found
