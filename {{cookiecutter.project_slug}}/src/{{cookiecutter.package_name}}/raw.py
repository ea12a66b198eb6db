"""Raw CSV files, read strictly: what breaks the schema is named, never guessed at."""

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from {{cookiecutter.package_name}}.rows import Rows, identify
from {{cookiecutter.package_name}}.schema import FEATURES, LABEL, LABELS, LIMITS, allows, rule

SHOWN = 20
"""So many problems are listed; a file with the wrong separator would list thousands."""


class InvalidData(Exception):
    """Raw data breaks the schema: one line for each problem, with file, column, row and rule."""

    def __init__(self, problems: list[str]) -> None:
        more = [f"and {len(problems) - SHOWN} more problems"] if len(problems) > SHOWN else []
        super().__init__("\n".join([*problems[:SHOWN], *more]))


def read(folder: Path) -> Rows:
    """Read every CSV file of a folder; the order of files, rows and columns does not matter.

    Raises:
        InvalidData: a file is not as the schema says. Rows are counted as editors do: the header is row 1.
    """
    places: list[str] = []
    values: list[list[float]] = []
    labels: list[bool] = []
    problems: list[str] = []
    for file in sorted(folder.glob("*.csv")):
        try:
            for number, cells in records(file):
                found = list(check(cells))
                problems += [f"{file.name}: {problem} (row {number})" for problem in found]
                if not found:
                    places.append(f"row {number} of {file.name}")
                    values.append([float(cells[name]) for name in FEATURES])
                    labels.append(cells[LABEL] == LABELS[1])
        except InvalidData as problem:
            problems += str(problem).splitlines()
    if not values and not problems:
        problems = [f"{folder.name}: no row of data in its *.csv files; at least one is needed"]
    features = np.array(values, dtype=float).reshape(-1, len(FEATURES))
    rows = Rows(features, np.array(labels, dtype=bool), identify(features))
    if problems := problems + repeated(rows, places):
        raise InvalidData(problems)
    return rows


def records(file: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Each row of a file with its number, as column → text.

    Raises:
        InvalidData: the file is no UTF-8 text, its header lacks or repeats a column, or a row is too short or too long.
    """
    try:
        lines = csv.reader(file.read_text(encoding="utf-8-sig").splitlines(keepends=True))
        header = [name.strip() for name in next(lines, [])]
        if wrong := [f"{file.name}: {problem} (row 1)" for problem in header_problems(header)]:
            raise InvalidData(wrong)
        for cells in lines:
            if cells and len(cells) != len(header):
                raise InvalidData(
                    [f"{file.name}: {len(cells)} values; the header has {len(header)} columns (row {lines.line_num})"]
                )
            if cells:
                yield lines.line_num, dict(zip(header, map(str.strip, cells), strict=True))
    except UnicodeDecodeError as error:
        raise InvalidData([f"{file.name}: byte {error.start} is no UTF-8 text; CSV in UTF-8 is needed"]) from error
    except csv.Error as error:
        raise InvalidData([f"{file.name}: {error}; CSV with commas is needed (row {lines.line_num})"]) from error


def header_problems(header: list[str]) -> Iterator[str]:
    """What is wrong with the names of a file's columns."""
    wanted = (*FEATURES, LABEL)
    for name in wanted:
        if header.count(name) != 1:
            yield f"column {name} is {'there more than once' if name in header else 'missing'}; it is needed once"
    for name in dict.fromkeys(header):
        if name not in wanted:
            yield f"column {name!r} is not in the schema; remove it or add it to schema.py"


def check(cells: dict[str, str]) -> Iterator[str]:
    """What is wrong with the values of one row."""
    for name, text in cells.items():
        if name in LIMITS:
            try:
                good = allows(name, float(text))
            except ValueError:
                good = False
        else:
            good = text in LABELS
        if not good:
            yield f"column {name} is {text[:40]!r}; {rule(name)} is needed"


def repeated(rows: Rows, places: list[str]) -> list[str]:
    """Rows with the same features as an earlier one: a case counted twice, or with two labels."""
    first: dict[str, int] = {}
    problems = []
    for position, identity in enumerate(rows.ids):
        earlier = first.setdefault(str(identity), position)
        if earlier != position:
            what = "repeats" if rows.labels[earlier] == rows.labels[position] else f"has another {LABEL} than"
            row, file = places[position].split(" of ", 1)
            problems.append(
                f"{file}: every column as in {places[earlier]}, which it {what}; a case is needed once ({row})"
            )
    return problems
