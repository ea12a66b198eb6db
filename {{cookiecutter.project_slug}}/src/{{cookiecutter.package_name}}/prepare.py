"""First stage: raw cases in, three sets of rows and the statistics that drift is later measured against out.

Reads `SM_CHANNEL_RAW`/*.csv; writes train.parquet, validation.parquet, test.parquet and baseline.json to
`SM_OUTPUT_DATA_DIR`. Raw data that breaks the schema ends it with exit code 2 and one line for each problem.
"""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from {{cookiecutter.package_name}} import raw, rows
from {{cookiecutter.package_name}}.rows import Rows
from {{cookiecutter.package_name}}.schema import FEATURES, LABEL, LABELS

HEX_DIGITS = 13
"""13 hexadecimal digits are 52 bits, as many as a float holds exactly."""

BINS = 10
"""Bins of each feature's histogram in the baseline."""


def split(data: Rows, validation_share: float, test_share: float) -> dict[str, Rows]:
    """Put each row in a set by its own hash, so that rows which come later never move it.

    Args:
        data: all rows, in any order.
        validation_share: about this share of the rows goes to the validation set, 0 to 1.
        test_share: about this share goes to the test set, 0 to 1.

    Returns:
        The sets train, validation and test, each ordered by id.
    """
    ordered = data.where(np.argsort(data.ids))
    position = np.array([int(str(identity)[:HEX_DIGITS], 16) for identity in ordered.ids]) / 16**HEX_DIGITS
    test = position < test_share
    validation = ~test & (position < test_share + validation_share)
    return {
        "train": ordered.where(~test & ~validation),
        "validation": ordered.where(validation),
        "test": ordered.where(test),
    }


def baseline(train: Rows) -> dict[str, Any]:
    """Statistics of each feature in the rows that the model learns from.

    Returns:
        `columns`: per feature mean, standard deviation, share of missing values, the deciles from 0 to 100 % (11
        numbers), the percentiles (101), and a histogram: the 9 inner `edges` of 10 bins and the `shares` of the rows in
        them. The gate reads it: see `data` in mlops.yaml.
    """
    return {
        "rows": len(train),
        "labels": {LABELS[0]: float(np.mean(~train.labels)), LABELS[1]: float(np.mean(train.labels))},
        "columns": {name: statistics(column) for name, column in zip(FEATURES, train.features.T, strict=True)},
    }


def statistics(column: np.ndarray) -> dict[str, Any]:
    """The baseline of one feature, from its values of shape (rows,)."""
    present = column[np.isfinite(column)]
    deciles = np.quantile(present, np.linspace(0, 1, BINS + 1))
    # A feature with few different values has equal deciles; a bin between two equal edges could hold nothing.
    edges = np.unique(deciles[1:-1])
    counts = np.bincount(np.searchsorted(edges, present, side="right"), minlength=len(edges) + 1)
    return {
        "mean": float(present.mean()),
        "std": float(present.std()),
        "missing": 1 - len(present) / len(column),
        "quantiles": deciles.tolist(),
        "percentiles": np.quantile(present, np.linspace(0, 1, 101)).tolist(),
        "edges": edges.tolist(),
        "shares": (counts / len(present)).tolist(),
    }


def main(arguments: list[str] | None = None) -> int:
    """Run the stage; returns the exit code."""
    parser = argparse.ArgumentParser(description="Validate and split the raw data")
    parser.add_argument("--validation_share", type=float, default=0.2, help="share of the rows, 0 to 1")
    parser.add_argument("--test_share", type=float, default=0.3, help="share of the rows, 0 to 1")
    given = parser.parse_args(arguments)
    if min(given.validation_share, given.test_share) <= 0 or given.validation_share + given.test_share >= 1:
        parser.error(
            f"validation_share is {given.validation_share}, test_share is {given.test_share}; "
            "each is needed above 0, and both together below 1"
        )
    try:
        data = raw.read(Path(os.environ["SM_CHANNEL_RAW"]))
    except raw.InvalidData as problems:
        print(problems, file=sys.stderr)
        return 2
    sets = split(data, given.validation_share, given.test_share)
    for name, chosen in sets.items():
        if len(set(chosen.labels)) < len(LABELS):
            print(f"{name}: {len(chosen)} rows, not of each {LABEL}; more raw data is needed", file=sys.stderr)
            return 2
    output = Path(os.environ["SM_OUTPUT_DATA_DIR"])
    output.mkdir(parents=True, exist_ok=True)
    for name, chosen in sets.items():
        rows.write(chosen, output / f"{name}.parquet")
        print(f"{name}_rows={len(chosen)}")
    (output / "baseline.json").write_text(json.dumps(baseline(sets["train"]), indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
