"""Third stage: measure the model on the test set, which no other stage has looked at.

Reads test.parquet from `SM_CHANNEL_PREPARED` and the model from `SM_CHANNEL_MODEL`, a folder or the model.tar.gz of a
training job; writes metrics.json, predictions.csv and the figures to `SM_OUTPUT_DATA_DIR`.
"""

import argparse
import csv
import json
import os
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import joblib
import numpy as np

from {{cookiecutter.package_name}} import figures, metrics, rows
from {{cookiecutter.package_name}}.rows import Rows
from {{cookiecutter.package_name}}.schema import FEATURES, LABELS


def load_model(folder: Path) -> Any:
    """Load the fitted pipeline from a model folder, or from the archive in it that a training job leaves."""
    archive = folder / "model.tar.gz"
    if not archive.is_file():
        return joblib.load(folder / "model.joblib")
    with tempfile.TemporaryDirectory() as unpacked, tarfile.open(archive) as files:
        files.extractall(unpacked, filter="data")
        return joblib.load(Path(unpacked) / "model.joblib")


def halves(data: Rows, features: list[str]) -> dict[str, np.ndarray]:
    """For each feature the half that a row is in, `low` or `high`: groups in which a model may be worse than overall.

    The halves are those of the rows that are measured, which are the same for two models that are compared.
    """
    columns = {name: data.features[:, FEATURES.index(name)] for name in features}
    return {name: np.where(column > np.median(column), "high", "low") for name, column in columns.items()}


def write_predictions(data: Rows, probabilities: np.ndarray, slices: dict[str, np.ndarray], file: Path) -> None:
    """Write a line for each row: its id, its true label, the model's probability of the second label, its groups.

    Two models are compared on them: row by row, as only the same rows tell which one is better.
    """
    with file.open("w", newline="", encoding="utf-8") as lines:
        table = csv.writer(lines, lineterminator="\n")
        table.writerow(["row", "label", "probability", *slices])
        groups = zip(*slices.values(), strict=True) if slices else [()] * len(data)
        for identity, label, probability, group in zip(data.ids, data.labels, probabilities, groups, strict=True):
            table.writerow([identity, LABELS[int(label)], repr(float(probability)), *group])


def main(arguments: list[str] | None = None) -> None:
    """Run the stage."""
    parser = argparse.ArgumentParser(description="Measure the model on the test set")
    parser.add_argument("--resamples", type=int, default=1000, help="bootstrap samples behind each interval")
    parser.add_argument("--seed", type=int, default=7, help="of the bootstrap samples")
    parser.add_argument("--slices", default="", help="features whose halves are groups, with commas between")
    given = parser.parse_args(arguments)
    if given.resamples < 1:
        parser.error(f"resamples is {given.resamples}; at least 1 is needed")
    slices = [name.strip() for name in given.slices.split(",") if name.strip()]
    if unknown := [name for name in slices if name not in FEATURES]:
        parser.error(f"slices: {', '.join(unknown)} is no feature; {FEATURES[0]} is one, schema.py has them all")

    test = rows.read(Path(os.environ["SM_CHANNEL_PREPARED"]) / "test.parquet")
    model = load_model(Path(os.environ["SM_CHANNEL_MODEL"]))
    probabilities = model.predict_proba(test.features)[:, 1]
    measured = metrics.with_intervals(test.labels, probabilities, given.resamples, given.seed)
    for name, metric in measured.items():
        print(f"test_{name}={metric['value']:.6f}")

    output = Path(os.environ["SM_OUTPUT_DATA_DIR"])
    output.mkdir(parents=True, exist_ok=True)
    summary = {
        "metrics": measured,
        "rows": len(test),
        "positives": int(test.labels.sum()),
        "resamples": given.resamples,
        "confidence": metrics.CONFIDENCE,
    }
    (output / "metrics.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    write_predictions(test, probabilities, halves(test, slices), output / "predictions.csv")
    figures.write(test.labels, probabilities, output)


if __name__ == "__main__":
    main()
