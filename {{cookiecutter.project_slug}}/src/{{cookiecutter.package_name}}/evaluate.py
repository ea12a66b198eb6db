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
from {{cookiecutter.package_name}}.schema import LABELS


def load_model(folder: Path) -> Any:
    """Load the fitted pipeline from a model folder, or from the archive in it that a training job leaves."""
    archive = folder / "model.tar.gz"
    if not archive.is_file():
        return joblib.load(folder / "model.joblib")
    with tempfile.TemporaryDirectory() as unpacked, tarfile.open(archive) as files:
        files.extractall(unpacked, filter="data")
        return joblib.load(Path(unpacked) / "model.joblib")


def write_predictions(data: Rows, probabilities: np.ndarray, file: Path) -> None:
    """Write a line for each row: its id, its true label, the model's probability of the second label.

    Two models are compared on them: row by row, as only the same rows tell which one is better.
    """
    with file.open("w", newline="", encoding="utf-8") as lines:
        table = csv.writer(lines, lineterminator="\n")
        table.writerow(["row", "label", "probability"])
        for identity, label, probability in zip(data.ids, data.labels, probabilities, strict=True):
            table.writerow([identity, LABELS[int(label)], repr(float(probability))])


def main(arguments: list[str] | None = None) -> None:
    """Run the stage."""
    parser = argparse.ArgumentParser(description="Measure the model on the test set")
    parser.add_argument("--resamples", type=int, default=1000, help="bootstrap samples behind each interval")
    parser.add_argument("--seed", type=int, default=7, help="of the bootstrap samples")
    given = parser.parse_args(arguments)
    if given.resamples < 1:
        parser.error(f"resamples is {given.resamples}; at least 1 is needed")

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
    write_predictions(test, probabilities, output / "predictions.csv")
    figures.write(test.labels, probabilities, output)


if __name__ == "__main__":
    main()
