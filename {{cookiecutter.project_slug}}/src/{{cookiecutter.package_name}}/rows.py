"""Rows of data in memory and in Parquet files."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from {{cookiecutter.package_name}}.schema import FEATURES, LABEL, LABELS


@dataclass(frozen=True)
class Rows:
    """Some rows, the same ones in the same order in each array.

    Attributes:
        features: shape (rows, 30), float64, columns in the order of `schema.FEATURES`.
        labels: shape (rows,), True where the label is malignant.
        ids: shape (rows,), text that identifies a row by the values of its features.
    """

    features: npt.NDArray[np.float64]
    labels: npt.NDArray[np.bool_]
    ids: npt.NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.labels)

    def where(self, chosen: npt.NDArray[np.bool_] | npt.NDArray[np.intp]) -> "Rows":
        """The rows that a mask or a list of positions chooses."""
        return Rows(self.features[chosen], self.labels[chosen], self.ids[chosen])


def identify(features: npt.NDArray[np.float64]) -> npt.NDArray[np.str_]:
    """SHA-256 of each row's values: the same on every computer, wherever in whichever file the row stands."""
    # Adding 0 makes -0 and 0 the same bytes; "<f8" fixes the order of the bytes.
    return np.array([hashlib.sha256(row.tobytes()).hexdigest() for row in (features + 0.0).astype("<f8")], dtype=str)


def write(rows: Rows, file: Path) -> None:
    """Write rows as Parquet: the features, the label as a word, the id."""
    columns = dict(zip(FEATURES, rows.features.T, strict=True))
    words = np.array(LABELS)[rows.labels.astype(int)]
    pq.write_table(pa.table({**columns, LABEL: words, "id": rows.ids}), file)


def read(file: Path) -> Rows:
    """Read what `write` has written."""
    table = pq.read_table(file)
    features = np.column_stack([table[name].to_numpy() for name in FEATURES])
    labels = np.array(table[LABEL].to_pylist()) == LABELS[1]
    return Rows(features, labels, np.array(table["id"].to_pylist(), dtype=str))
