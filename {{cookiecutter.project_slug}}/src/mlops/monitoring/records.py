"""Records: the rows of a file as the formats have them, counted and told apart by their form without keeping them."""

import csv
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

CSV, JSON, JSON_LINES = "text/csv", "application/json", "application/jsonlines"


@dataclass(frozen=True)
class Format:
    """A format: its content type, and whether a file of it may be cut between two lines."""

    content_type: str
    by_line: bool


FORMATS = {
    ".csv": Format(CSV, by_line=True),
    ".json": Format(JSON, by_line=False),
    ".jsonl": Format(JSON_LINES, by_line=True),
}
"""The formats of files by their endings."""


@dataclass(frozen=True)
class Table:
    """How many rows a file has, a heading not counted, and the forms that they have: one in a good file."""

    rows: int
    forms: frozenset[str]


def table(form: Format, lines: Iterable[str]) -> Table | None:
    """Count the rows of a file and collect their forms; None when its rows can not be told."""
    count, forms = 0, set()
    for each in forms_of(form, lines):
        if each is None:
            return None
        count += 1
        forms.add(each)
    return Table(count, frozenset(forms))


def forms_of(form: Format, lines: Iterable[str]) -> Iterator[str | None]:
    """The form of each row: how many cells, or which members. Empty lines are none, as some models end with."""
    if form.content_type == CSV:
        for number, cells in enumerate(cells for cells in csv.reader(lines) if cells):
            if number or not is_heading(cells):
                yield f"{len(cells)} cells"
    elif form.content_type == JSON_LINES:
        for line in lines:
            if line.strip():
                yield form_of(parsed(line))
    else:
        rows = rows_of(parsed("\n".join(lines)))
        yield from [None] if rows is None else map(form_of, rows)


def is_heading(cells: list[str]) -> bool:
    """Whether the first line of a CSV file names its columns: no cell is a number, and there are several of them."""
    return len(cells) > 1 and not any(is_number(cell) for cell in cells)


def is_number(cell: str) -> bool:
    """Whether a cell is a number, or empty as a missing one is."""
    try:
        float(cell or "0")
    except ValueError:
        return False
    return True


def parsed(text: str) -> Any:
    """JSON, or the text where it is none."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def rows_of(content: Any) -> list[Any] | None:
    """The rows of JSON: its array, or the one array in its object; an object without an array is one row."""
    if isinstance(content, dict):
        arrays = [value for value in content.values() if isinstance(value, list)]
        return (arrays[0] if arrays else [content]) if len(arrays) < 2 else None
    return content if isinstance(content, list) else None


def form_of(row: Any) -> str:
    """The form of a row of JSON."""
    if isinstance(row, dict):
        return f"members {', '.join(sorted(row))}"
    return f"{len(row)} cells" if isinstance(row, list) else type(row).__name__
