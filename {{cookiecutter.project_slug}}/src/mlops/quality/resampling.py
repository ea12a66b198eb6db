"""The paired bootstrap: by how much two models differ on the same rows, and how far chance could have moved that.

Both models are measured on the same resamples, so that what makes the rows hard or easy cancels out of the difference.
This module needs numpy, which the machinery itself does not: import it where it is used.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

RANKED = "roc_auc"
"""The metric that looks at pairs of rows; every other one is a ratio of two sums over rows."""


@dataclass(frozen=True)
class Rows:
    """The rows on which two models are compared.

    Attributes:
        labels: shape (rows,), True for the label whose probability the models give.
        probabilities: shape (2, rows), of the candidate and of the model that serves.
        threshold: from this probability on a model answers with that label.
        own: metrics of the project's own, name → shape (2, rows): each is the mean of its values.
    """

    labels: Mask
    probabilities: Floats
    threshold: float
    own: dict[str, Floats]


@dataclass(frozen=True)
class Question:
    """A metric, on the rows that a mask of shape (rows,) chooses; on all of them when it is None."""

    metric: str
    chosen: Mask | None = None


@dataclass(frozen=True)
class Answer:
    """The metric of both models, and the difference candidate - serving with its interval.

    `undefined` is the share of the resamples that have no value, such as a ROC AUC without one of the labels.
    """

    candidate: float
    serving: float
    low: float
    high: float
    undefined: float


@dataclass(frozen=True)
class Ranking:
    """Rows in the order of their scores, so that the weight below each positive row is a look into a running sum."""

    negatives: npt.NDArray[np.intp]
    positives: npt.NDArray[np.intp]
    below: npt.NDArray[np.intp]
    up_to: npt.NDArray[np.intp] | None

    def area(self, weights: Floats) -> float:
        """ROC AUC with weights of shape (rows,); ties count half; NaN when a label has no weight."""
        running = np.zeros(len(self.negatives) + 1)
        np.cumsum(weights.take(self.negatives), out=running[1:])
        positive = weights.take(self.positives)
        pairs = positive.sum() * running[-1]
        under = running.take(self.below)
        if self.up_to is not None:
            under = (under + running.take(self.up_to)) / 2
        return product(positive, under) / float(pairs) if pairs else float("nan")


@dataclass(frozen=True)
class Ratio:
    """What is summed above and below the line for one model, with the weights of some rows."""

    above: Floats
    below: Floats | None

    def value(self, weights: Floats, total: float) -> float:
        """The ratio with weights of shape (rows,), whose sum is `total`; NaN when nothing below it has weight."""
        below = total if self.below is None else product(weights, self.below)
        return product(weights, self.above) / below if below else float("nan")


@dataclass(frozen=True)
class Part:
    """Some of the rows, all when `positions` is None, and what is measured there of both models."""

    positions: npt.NDArray[np.intp] | None
    rankings: list[tuple[int, int, Ranking]]
    ratios: list[tuple[int, int, Ratio]]

    def measure(self, weights: Floats, into: Floats) -> None:
        """Write each value into its place of an array of shape (questions, 2)."""
        inside = weights if self.positions is None else weights.take(self.positions)
        total = float(inside.sum())
        for question, model, ratio in self.ratios:
            into[question, model] = ratio.value(inside, total)
        for question, model, ranking in self.rankings:
            into[question, model] = ranking.area(inside)


def product(first: Floats, second: Floats) -> float:
    """Sum of products. Not by BLAS: on a vector of this size its threads mostly wait for each other."""
    return float(np.einsum("i,i->", first, second))


def measure(rows: Rows, questions: Sequence[Question]) -> Floats:
    """What is measured of both models on the rows as they are: shape (questions, 2)."""
    values = np.empty((len(questions), 2))
    for part in parts_of(rows, questions):
        part.measure(np.ones(len(rows.labels)), values)
    return values


def compare(rows: Rows, questions: Sequence[Question], resamples: int, confidence: float, seed: int) -> list[Answer]:
    """Answer each question with an interval of its own confidence.

    In one thread: numpy's calls are so short here that two threads mostly wait for the interpreter's lock.

    Args:
        rows: on which both models are measured.
        questions: what is asked.
        resamples: how many times the rows are drawn, with replacement.
        confidence: of each interval; for all of them to hold together, give each less room for error.
        seed: of the draws; the same gives the same answers.
    """
    parts = parts_of(rows, questions)
    count = len(rows.labels)

    def measured(weights: Floats) -> Floats:
        values = np.empty((len(questions), 2))
        for part in parts:
            part.measure(weights, values)
        return values

    random = np.random.default_rng(seed)
    differences = np.empty((resamples, len(questions)))
    for sample in range(resamples):
        drawn = np.bincount(random.integers(0, count, count), minlength=count)
        values = measured(drawn.astype(np.float64))
        differences[sample] = values[:, 0] - values[:, 1]
    once = measured(np.ones(count))
    return [answer(values, drawn, confidence) for values, drawn in zip(once, differences.T, strict=True)]


def answer(values: Floats, differences: Floats, confidence: float) -> Answer:
    """What the differences of all resamples say of one question."""
    defined = differences[~np.isnan(differences)]
    ends = [(1 - confidence) / 2, (1 + confidence) / 2]
    low, high = np.quantile(defined, ends) if len(defined) else (np.nan, np.nan)
    return Answer(
        candidate=float(values[0]),
        serving=float(values[1]),
        low=float(low),
        high=float(high),
        undefined=1 - len(defined) / len(differences),
    )


def parts_of(rows: Rows, questions: Sequence[Question]) -> list[Part]:
    """The questions, those on the same rows together, so that their weights are looked up once."""
    groups: dict[bytes, list[int]] = {}
    for index, question in enumerate(questions):
        groups.setdefault(b"" if question.chosen is None else question.chosen.tobytes(), []).append(index)
    return [part_of(rows, questions, group) for group in groups.values()]


def part_of(rows: Rows, questions: Sequence[Question], group: list[int]) -> Part:
    """What is measured on the rows that some questions have in common."""
    chosen = questions[group[0]].chosen
    positions = None if chosen is None else np.flatnonzero(chosen)
    part = Part(positions, [], [])
    inside = slice(None) if positions is None else positions
    labels = rows.labels[inside]
    for index in group:
        metric = questions[index].metric
        for model, scores in enumerate(rows.probabilities[:, inside]):
            if metric == RANKED:
                part.rankings.append((index, model, ranking(labels, scores)))
            elif metric in RATIOS:
                part.ratios.append((index, model, RATIOS[metric](labels, scores, rows.threshold)))
            else:
                part.ratios.append((index, model, Ratio(rows.own[metric][model, inside], None)))
    return part


def ranking(labels: Mask, scores: Floats) -> Ranking:
    """Rows in the order of their scores."""
    order = np.argsort(scores, kind="stable")
    positive, negative = order[labels[order]], order[~labels[order]]
    below = np.searchsorted(scores[negative], scores[positive], side="left")
    up_to = np.searchsorted(scores[negative], scores[positive], side="right")
    return Ranking(negative, positive, below, None if np.array_equal(below, up_to) else up_to)


def log_loss(labels: Mask, probabilities: Floats, threshold: float) -> Ratio:
    """Mean surprise in nats; a case that was thought impossible costs 36, not infinity."""
    given = np.clip(np.where(labels, probabilities, 1 - probabilities), np.finfo(float).eps, 1)
    return Ratio(-np.log(given), None)


def brier(labels: Mask, probabilities: Floats, threshold: float) -> Ratio:
    """Mean squared error of the probability."""
    return Ratio((probabilities - labels) ** 2, None)


def accuracy(labels: Mask, probabilities: Floats, threshold: float) -> Ratio:
    """Share of the rows that get their own label."""
    return Ratio(((probabilities >= threshold) == labels).astype(float), None)


def recall(labels: Mask, probabilities: Floats, threshold: float) -> Ratio:
    """Share of the rows with the label that are found."""
    return Ratio(((probabilities >= threshold) & labels).astype(float), labels.astype(float))


def precision(labels: Mask, probabilities: Floats, threshold: float) -> Ratio:
    """Share of the rows called so that have the label."""
    called = probabilities >= threshold
    return Ratio((called & labels).astype(float), called.astype(float))


RATIOS: dict[str, Callable[[Mask, Floats, float], Ratio]] = {
    each.__name__: each for each in (log_loss, brier, accuracy, recall, precision)
}
