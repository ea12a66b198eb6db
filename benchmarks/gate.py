"""Measures the quality gate's paired bootstrap against a plain loop: ROC AUC and log loss, overall and in four slices.

Example: uv run python benchmarks/gate.py --rows 100000 --resamples 2000
"""

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).parents[1] / "{{cookiecutter.project_slug}}" / "src"))

from mlops.quality import resampling

CONFIDENCE = 0.95
SLICES = 4
SEED = 7

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.bool_]


def models(rows: int) -> tuple[resampling.Rows, list[resampling.Question]]:
    """Two models of the same quality whose errors are half their own, and what is asked of them."""
    draw = np.random.default_rng(SEED)
    labels = draw.random(rows) < 0.4
    common = draw.normal(size=rows)
    scores = 1.5 * labels - 0.75 + common + 0.5 * draw.normal(size=(2, rows))
    place = draw.integers(0, SLICES, rows)
    chosen = [None, *(place == each for each in range(SLICES))]
    questions = [resampling.Question(metric, each) for metric in ("roc_auc", "log_loss") for each in chosen]
    return resampling.Rows(labels, 1 / (1 + np.exp(-scores)), 0.5, {}), questions


def loop(rows: resampling.Rows, questions: list[resampling.Question], resamples: int) -> Floats:
    """The same by drawing rows and measuring both models on them, one resample after the other."""
    random = np.random.default_rng(SEED)
    count = len(rows.labels)
    found = np.empty((len(questions), resamples))
    for sample in range(resamples):
        drawn = random.integers(0, count, count)
        for index, question in enumerate(questions):
            inside = drawn if question.chosen is None else drawn[question.chosen[drawn]]
            metric = area if question.metric == "roc_auc" else surprise
            first, second = (metric(rows.labels[inside], scores[inside]) for scores in rows.probabilities)
            found[index, sample] = first - second
    return found


def area(labels: Labels, scores: Floats) -> float:
    """ROC AUC by the mean rank of the positive rows, equal scores sharing theirs."""
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    positive = int(labels.sum())
    return float((ranks[labels].sum() - positive * (positive + 1) / 2) / (positive * (len(labels) - positive)))


def surprise(labels: Labels, probabilities: Floats) -> float:
    """Log loss."""
    return float(-np.log(np.where(labels, probabilities, 1 - probabilities)).mean())


def timed(action: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds that an action takes, and what it gives."""
    start = time.perf_counter()
    result = action()
    return time.perf_counter() - start, result


def megabytes() -> float:
    """The most memory that this process has held, as Linux counts it."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Measure, print, and keep what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--resamples", type=int, default=2_000)
    parser.add_argument("--loop", type=int, default=20, help="resamples of the plain loop, whose time is scaled up")
    parser.add_argument("--json", type=Path, help="file for the figures")
    given = parser.parse_args()
    rows, questions = models(given.rows)
    before = megabytes()
    seconds, answers = timed(lambda: resampling.compare(rows, questions, given.resamples, CONFIDENCE, SEED))
    held = megabytes()
    looped, differences = timed(lambda: loop(rows, questions, given.loop))
    plain = looped * given.resamples / given.loop
    spread = differences.std(axis=1) * 2 * 1.96
    figures = {
        "rows": given.rows,
        "resamples": given.resamples,
        "seconds": seconds,
        "megabytes": held - before,
        "loop_seconds": plain,
        "loop_measured_resamples": given.loop,
        "times_as_fast": plain / seconds,
        "width_over_loop": [(each.high - each.low) / width for each, width in zip(answers, spread, strict=True)],
    }
    print(f"bootstrap    {seconds:8.1f} s   {held - before:6.0f} MB more than the data and numpy")
    print(f"plain loop   {plain:8.1f} s   from {given.loop} resamples; {plain / seconds:.0f} times as long")
    if given.json:
        given.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
