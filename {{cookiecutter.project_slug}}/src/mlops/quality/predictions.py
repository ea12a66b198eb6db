"""What a model answered on its test set, row by row, as its evaluation wrote it; two of them joined by their rows."""

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass

from mlops.errors import Failure

FILE = "predictions.csv"
NEEDED = ("row", "label", "probability")


class Unreadable(Failure):
    """A predictions.csv is not as evaluate.py has to write it."""


@dataclass(frozen=True)
class Predictions:
    """The lines of a predictions.csv.

    Attributes:
        rows: what identifies each line: its row's id, and how many lines above have the same.
        labels: the true label of each.
        probabilities: what the model said, 0 to 1.
        others: the other columns by name: groups that the rows belong to, metrics of the project's own.
    """

    rows: list[tuple[str, int]]
    labels: list[str]
    probabilities: list[float]
    others: dict[str, list[str]]

    def __len__(self) -> int:
        return len(self.rows)

    def column(self, name: str, place: str) -> list[str]:
        """One of the other columns.

        Raises:
            Unreadable: it is not there.
        """
        if name not in self.others:
            has = ", ".join([*NEEDED, *self.others])
            raise Unreadable(f"{place}: no column {name}, it has {has}; evaluate.py has to write what comparison names")
        return self.others[name]

    def numbers(self, name: str, place: str) -> list[float]:
        """One of the other columns as numbers.

        Raises:
            Unreadable: it is not there, or a cell is no finite number.
        """
        return [number(cell, name, line, place) for line, cell in enumerate(self.column(name, place), start=2)]


def parse(content: bytes, place: str) -> Predictions:
    """Read the lines of a predictions.csv.

    Args:
        content: of the file.
        place: where it lies, for messages.

    Raises:
        Unreadable: a column is missing, a line is short, a probability is none; the first such line is named.
    """
    try:
        lines = list(csv.reader(content.decode("utf-8").splitlines()))
    except (UnicodeDecodeError, csv.Error) as error:
        raise Unreadable(f"{place}: no CSV: {error}") from error
    heading, body = (lines[0], lines[1:]) if lines else ([], [])
    if missing := [name for name in NEEDED if name not in heading]:
        raise Unreadable(f"{place}: no column {', '.join(missing)}; {', '.join(NEEDED)} are needed")
    if not body:
        raise Unreadable(f"{place}: it holds no row")
    for line, cells in enumerate(body, start=2):
        if len(cells) != len(heading):
            raise Unreadable(f"{place}: line {line} has {len(cells)} cells; {len(heading)} columns are named")
    columns = {name: [cells[index] for cells in body] for index, name in enumerate(heading)}
    ids, labels, given = (columns.pop(name) for name in NEEDED)
    return Predictions(
        rows=numbered(ids),
        labels=labels,
        probabilities=[probability(cell, line, place) for line, cell in enumerate(given, start=2)],
        others=columns,
    )


def numbered(ids: Sequence[str]) -> list[tuple[str, int]]:
    """Ids with how often each has come before, so that of equal rows the first is joined with the first."""
    seen: dict[str, int] = {}
    found = []
    for each in ids:
        seen[each] = seen.get(each, -1) + 1
        found.append((each, seen[each]))
    return found


def probability(cell: str, line: int, place: str) -> float:
    """A probability from its cell.

    Raises:
        Unreadable: it is none.
    """
    value = number(cell, "probability", line, place)
    if not 0 <= value <= 1:
        raise Unreadable(f"{place}: line {line}: probability is {cell}; 0 to 1 is needed")
    return value


def number(cell: str, column: str, line: int, place: str) -> float:
    """A finite number from its cell.

    Raises:
        Unreadable: it is none.
    """
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise Unreadable(f"{place}: line {line}: {column} is {cell or 'empty'}; a number is needed")
    return value


def joined(current: Predictions, other: Predictions) -> list[tuple[int, int]]:
    """The lines of two models that are about the same row: positions in the first and in the second."""
    there = {row: position for position, row in enumerate(other.rows)}
    return [(position, there[row]) for position, row in enumerate(current.rows) if row in there]
