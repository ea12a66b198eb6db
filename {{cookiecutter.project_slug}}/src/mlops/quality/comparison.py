"""A new model against the one that serves, on the same rows: the questions, and what the bootstrap's answers mean.

This module needs numpy, which the machinery itself does not: import it where it is used.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mlops.errors import Failure
from mlops.quality import predictions, resampling, thresholds
from mlops.quality.judgements import Judgement, Word, word_for
from mlops.quality.predictions import Predictions
from mlops.quality.resampling import Answer, Mask, Question, Rows
from mlops.quality.thresholds import Verdict
from mlops.settings.criteria import BUILT_IN, Compared, Comparison

UNDEFINED = 0.05
"""A metric that more of the resamples have no value of is not judged: the rows hold too few of one label."""


MOST_RESAMPLES = 20_000
"""Resamples that are made though the settings ask for fewer; of 100,000 rows they take some minutes."""


@dataclass(frozen=True)
class Pairs:
    """The lines of two models that are about the same rows, as positions in the one and in the other."""

    ours: npt.NDArray[np.intp]
    theirs: npt.NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.ours)


@dataclass(frozen=True)
class Asked:
    """One comparison: what the settings ask for, in which group, on which rows; all of them when `chosen` is None."""

    about: Compared
    group: str
    chosen: Mask | None
    rows: int
    silent: Word | None

    def said(self, word: Word) -> Judgement:
        """A judgement without numbers."""
        return Judgement(self.about.metric, self.group, self.rows, self.about.may_lose, word)


def pairs_of(candidate: Predictions, serving: Predictions) -> Pairs:
    """The rows that both models have answered, in the order of the new one's."""
    found = np.array(predictions.joined(candidate, serving), dtype=np.intp).reshape(-1, 2)
    return Pairs(found[:, 0], found[:, 1])


def judge(
    settings: Comparison, candidate: Predictions, serving: Predictions, pairs: Pairs, place: str
) -> list[Judgement]:
    """Compare two models on the rows that both have answered.

    Args:
        settings: what is compared, and what may be lost.
        candidate: the new model's predictions on the current test set, whose labels and groups count.
        serving: those of the model that serves.
        pairs: the rows that both have.
        place: where the new model's lie, for messages.

    Returns:
        A judgement for each metric, and for each metric of a slice in each of its groups.

    Raises:
        Failure: a column of the new model's is missing or wrong, or no row has the label that the settings name.
    """
    rows = rows_of(settings, candidate, serving, pairs, place)
    asked = questions(settings, candidate, pairs, place, known=BUILT_IN.keys() | rows.own.keys())
    judged = [each for each in asked if each.silent is None]
    # Each interval gets its share of the error, so that all of them hold together with the confidence that is asked.
    confidence = 1 - (1 - settings.confidence) / max(1, len(judged))
    given = [Question(each.about.metric, each.chosen) for each in judged]
    answers = iter(resampling.compare(rows, given, draws(settings, len(judged)), confidence, settings.seed))
    return [each.said(each.silent) if each.silent else judgement(each, next(answers)) for each in asked]


def draws(settings: Comparison, comparisons: int) -> int:
    """How many resamples so many comparisons take: those of the settings, or more where the groups are many.

    The more intervals have to hold together, the further out are their ends, and the fewer draws lie beyond them.

    Raises:
        Failure: it takes more than are made unasked.
    """
    needed = settings.resamples_for(max(1, comparisons))
    if needed <= max(settings.resamples, MOST_RESAMPLES):
        return max(settings.resamples, needed)
    raise Failure(
        f"comparison.resamples is {settings.resamples}; {comparisons} comparisons at once with confidence "
        f"{settings.confidence:g} need {needed}: give that many in mlops.yaml, or fewer slices, or a larger least_rows"
    )


def floors(settings: Comparison, candidate: Predictions, place: str) -> list[Verdict]:
    """What each group of a slice with a limit reaches, whatever serves.

    A group with too few rows is left out; one that the settings name and the test set lacks has reached nothing.

    Raises:
        Failure: as `judge`.
    """
    everything = Pairs(*(np.arange(len(candidate)) for _ in range(2)))
    rows = rows_of(settings, candidate, candidate, everything, place)
    asked, given = [], []
    for each in settings.slices:
        if each.limit is None:
            continue
        values = np.array(candidate.column(each.column, place))
        found = {str(value): values == value for value in np.unique(values) if each.group in (None, value)}
        large = {value: chosen for value, chosen in found.items() if chosen.sum() >= each.least_rows}
        asked += [(f"{each.metric} of {each.column}={value}", each.limit) for value in large]
        given += [Question(each.metric, chosen) for chosen in large.values()]
        if each.group is not None and each.group not in found:
            asked.append((f"{each.metric} of {each.column}={each.group}", each.limit))
            given.append(Question(each.metric, values == each.group))
    measured = resampling.measure(rows, given)[:, 0].tolist()
    return [thresholds.held(name, value, *limit) for (name, limit), value in zip(asked, measured, strict=True)]


def questions(settings: Comparison, candidate: Predictions, pairs: Pairs, place: str, known: set[str]) -> list[Asked]:
    """Every comparison that the settings ask for, with why one of them can not be made."""

    def silent(about: Compared) -> Word | None:
        return None if about.metric in known else "not known of what serves"

    asked = [Asked(each, "", None, len(pairs), silent(each)) for each in settings.metrics]
    for each in settings.slices:
        values = np.array(candidate.column(each.column, place))[pairs.ours]
        for value in np.unique(values):
            if each.group not in (None, value):
                continue
            chosen = values == value
            rows = int(chosen.sum())
            why = silent(each) or ("too few rows" if rows < each.least_rows else None)
            asked.append(Asked(each, f"{each.column}={value}", chosen, rows, why))
    return asked


def rows_of(settings: Comparison, candidate: Predictions, serving: Predictions, pairs: Pairs, place: str) -> Rows:
    """The common rows as the bootstrap takes them; the labels are the current ones, for they may have been corrected.

    Raises:
        Failure: no row has the label that the settings name; a metric of the project's own is no column.
    """
    labels = np.array(candidate.labels)[pairs.ours] == settings.positive
    if not labels.any():
        has = ", ".join(sorted(set(candidate.labels))[:5])
        raise Failure(
            f"{place}: no row has the label {settings.positive!r} that comparison.positive in mlops.yaml names; "
            f"the labels are {has}"
        )
    own = {}
    for name in {each.metric for each in (*settings.metrics, *settings.slices)} - BUILT_IN.keys():
        ours = candidate.numbers(name, place)
        # A metric that is new: the next model can be compared by it.
        if name in serving.others:
            theirs = serving.numbers(name, "predictions of what serves")
            own[name] = np.array([np.array(ours)[pairs.ours], np.array(theirs)[pairs.theirs]])
    given = np.array([np.array(candidate.probabilities)[pairs.ours], np.array(serving.probabilities)[pairs.theirs]])
    return Rows(labels, given, settings.threshold, own)


def judgement(asked: Asked, answer: Answer) -> Judgement:
    """What an answer of the bootstrap means."""
    if answer.undefined > UNDEFINED or np.isnan(answer.candidate - answer.serving):
        return asked.said("too few rows")
    sign = asked.about.sign
    low, high = sorted((sign * answer.low, sign * answer.high))
    return Judgement(
        metric=asked.about.metric,
        group=asked.group,
        rows=asked.rows,
        may_lose=asked.about.may_lose,
        word=word_for(low, high, asked.about.may_lose),
        candidate=answer.candidate,
        serving=answer.serving,
        gain=sign * (answer.candidate - answer.serving),
        low=low,
        high=high,
    )
