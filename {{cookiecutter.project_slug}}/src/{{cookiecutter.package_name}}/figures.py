"""Figures of an evaluation: as data for `dvc plots`, and as PNG where matplotlib is installed."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from {{cookiecutter.package_name}}.schema import LABELS, THRESHOLD

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.bool_]

CALIBRATION_BINS = 5


def roc(labels: Labels, probabilities: Floats) -> list[dict[str, float]]:
    """Points of the ROC curve from (0, 0) to (1, 1), one for each different probability."""
    order = np.argsort(-probabilities, kind="stable")
    last_of_ties = np.append(np.diff(probabilities[order]) != 0, True)
    found = np.cumsum(labels[order])[last_of_ties] / labels.sum()
    alarms = np.cumsum(~labels[order])[last_of_ties] / (~labels).sum()
    points = zip([0.0, *alarms.tolist()], [0.0, *found.tolist()], strict=True)
    return [{"false_positive_rate": alarm, "true_positive_rate": hit} for alarm, hit in points]


def calibration(labels: Labels, probabilities: Floats) -> list[dict[str, float]]:
    """Mean probability and share of malignant cases in bins of equal width; bins without a case are left out."""
    bins = np.minimum((probabilities * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    return [
        {
            "predicted": float(probabilities[bins == number].mean()),
            "observed": float(labels[bins == number].mean()),
            "rows": int((bins == number).sum()),
        }
        for number in np.unique(bins)
    ]


def confusion(labels: Labels, probabilities: Floats) -> list[dict[str, str]]:
    """Label and answer of each case."""
    answers = probabilities >= THRESHOLD
    return [
        {"actual": LABELS[int(actual)], "predicted": LABELS[int(predicted)]}
        for actual, predicted in zip(labels, answers, strict=True)
    ]


def write(labels: Labels, probabilities: Floats, folder: Path) -> None:
    """Write roc, calibration and confusion as JSON into a folder, and as PNG beside it where that is possible.

    Args:
        labels: shape (rows,), True for malignant.
        probabilities: shape (rows,), of malignant.
        folder: exists.
    """
    data: dict[str, list[Any]] = {
        "roc": roc(labels, probabilities),
        "calibration": calibration(labels, probabilities),
        "confusion": confusion(labels, probabilities),
    }
    for name, points in data.items():
        (folder / f"{name}.json").write_text(json.dumps(points, indent=1) + "\n", encoding="utf-8")
    # SageMaker's scikit-learn image has no matplotlib; the report then draws from the JSON.
    if importlib.util.find_spec("matplotlib"):
        draw_line(data["roc"], "false_positive_rate", "true_positive_rate", folder / "roc.png")
        draw_line(data["calibration"], "predicted", "observed", folder / "calibration.png")
        draw_confusion(labels, probabilities, folder / "confusion.png")


def new_figure() -> tuple[Any, Any]:
    """A figure of 5 by 5 inches and its axes."""
    # Without pyplot, which would look for a display.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 5), layout="constrained")
    return figure, figure.add_subplot()


def draw_line(points: list[Any], x: str, y: str, file: Path) -> None:
    """Draw points as a line over the diagonal."""
    figure, axes = new_figure()
    axes.plot([0, 1], [0, 1], color="0.7", linestyle="--")
    axes.plot([point[x] for point in points], [point[y] for point in points], marker=".")
    axes.set(xlabel=x.replace("_", " "), ylabel=y.replace("_", " "), xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    figure.savefig(file, dpi=100)


def draw_confusion(labels: Labels, probabilities: Floats, file: Path) -> None:
    """Draw how many cases of each label got each answer."""
    counts = np.zeros((2, 2), dtype=int)
    np.add.at(counts, (labels.astype(int), (probabilities >= THRESHOLD).astype(int)), 1)
    figure, axes = new_figure()
    axes.imshow(counts, cmap="Blues")
    for (actual, predicted), count in np.ndenumerate(counts):
        colour = "black" if count < counts.max() / 2 else "white"
        axes.text(predicted, actual, str(count), ha="center", va="center", color=colour)
    axes.set(xlabel="predicted", ylabel="actual", xticks=[0, 1], yticks=[0, 1], xticklabels=LABELS, yticklabels=LABELS)
    figure.savefig(file, dpi=100)
