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
        draw_roc(data["roc"], len(labels), folder / "roc.png")
        draw_calibration(data["calibration"], len(labels), folder / "calibration.png")
        draw_confusion(labels, probabilities, folder / "confusion.png")


def new_figure(title: str, rows: int) -> tuple[Any, Any]:
    """A figure of 5 by 5 inches and its axes, which say of how many rows they tell."""
    # Without pyplot, which would look for a display.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 5), layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(f"{title}, {rows} rows of the test set")
    return figure, axes


def draw_roc(points: list[Any], rows: int, file: Path) -> None:
    """Draw the curve over the diagonal; rows of one probability are one slanted piece of it."""
    figure, axes = new_figure("ROC", rows)
    axes.plot([0, 1], [0, 1], color="0.7", linestyle="--")
    axes.plot([point["false_positive_rate"] for point in points], [point["true_positive_rate"] for point in points])
    axes.set(xlabel="false positive rate", ylabel="true positive rate", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    figure.savefig(file, dpi=100)


def draw_calibration(points: list[Any], rows: int, file: Path) -> None:
    """Draw what was observed against what was predicted, with the number of rows beside each point."""
    figure, axes = new_figure("Calibration", rows)
    axes.plot([0, 1], [0, 1], color="0.7", linestyle="--")
    axes.plot([point["predicted"] for point in points], [point["observed"] for point in points], marker="o")
    for point in points:
        right = point["predicted"] > 0.5  # the numbers stay within the frame
        axes.annotate(f"{point['rows']} rows", (point["predicted"], point["observed"]), textcoords="offset points",
                      xytext=(-8, -14) if right else (8, 8), ha="right" if right else "left",
                      bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1})  # fmt: skip
    axes.set(xlabel="predicted", ylabel="observed", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    figure.savefig(file, dpi=100)


def draw_confusion(labels: Labels, probabilities: Floats, file: Path) -> None:
    """Draw how many cases of each label got each answer."""
    counts = np.zeros((2, 2), dtype=int)
    np.add.at(counts, (labels.astype(int), (probabilities >= THRESHOLD).astype(int)), 1)
    figure, axes = new_figure("Confusion", len(labels))
    axes.imshow(counts, cmap="Blues")
    for (actual, predicted), count in np.ndenumerate(counts):
        colour = "black" if count < counts.max() / 2 else "white"
        axes.text(predicted, actual, str(count), ha="center", va="center", color=colour)
    axes.set(xlabel="predicted", ylabel="actual", xticks=[0, 1], yticks=[0, 1], xticklabels=LABELS, yticklabels=LABELS)
    figure.savefig(file, dpi=100)
