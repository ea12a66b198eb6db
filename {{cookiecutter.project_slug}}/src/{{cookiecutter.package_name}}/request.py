"""Requests, read strictly: what a client got wrong is named, so that it is the client's error and never ours."""

import csv
import json
import reprlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from {{cookiecutter.package_name}}.schema import FEATURES, LIMITS, allows, rule

JSON = "application/json"
CSV = "text/csv"

SHOWN = 5
"""So many problems are named in one answer."""


class BadRequest(Exception):
    """A request that can not be answered: the message says what is wrong with it, `status` is HTTP's code for that."""

    def __init__(self, problems: list[str], status: int = 400) -> None:
        more = [f"and {len(problems) - SHOWN} more problems"] if len(problems) > SHOWN else []
        super().__init__("; ".join([*problems[:SHOWN], *more]))
        self.status = status


def media_type(header: str | None) -> str:
    """`text/csv` of `Text/CSV; charset=utf-8`."""
    return (header or "").split(";")[0].strip().lower()


def parse(body: bytes | str, content_type: str | None) -> npt.NDArray[np.float64]:
    """Read the rows of a request.

    Args:
        body: `{"instances": [...]}`, where each instance is an object of column → number or an array of 30 numbers in
            the order of `schema.FEATURES`; or CSV in that order, with or without a header.
        content_type: application/json or text/csv.

    Returns:
        Shape (rows, 30), at least one row, every value as the schema allows it.

    Raises:
        BadRequest: it says which columns are missing, extra, misordered or hold no allowed number.
    """
    kind = media_type(content_type)
    if kind not in (JSON, CSV):
        raise BadRequest([f"content type is {content_type!r}; {JSON} or {CSV} is allowed"], status=415)
    try:
        text = body if isinstance(body, str) else body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadRequest([f"byte {error.start} of the body is no UTF-8 text"]) from error
    text = text.removeprefix("\ufeff")  # the mark that spreadsheets put before their CSV
    records = from_json(text) if kind == JSON else from_csv(text)
    if not records:
        raise BadRequest(["the request has no row; at least one is needed"])
    problems = [problem for number, record in enumerate(records, 1) for problem in check(record, f"row {number}")]
    if problems:
        raise BadRequest(problems)
    return np.array([[record[name] for name in FEATURES] for record in records], dtype=float)


def from_json(text: str) -> list[dict[str, Any]]:
    """The instances of a JSON body as column → value."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadRequest([f"the body is no JSON: {error}"]) from error
    if not isinstance(content, dict) or list(content) != ["instances"] or not isinstance(content["instances"], list):
        raise BadRequest(['the body is needed as {"instances": [...]}, with an object or an array for each row'])
    return [
        instance if isinstance(instance, dict) else named(instance, f"row {number}")
        for number, instance in enumerate(content["instances"], 1)
    ]


def from_csv(text: str) -> list[dict[str, Any]]:
    """The lines of a CSV body as column → value; the first is a header when no cell of it is a number."""
    try:
        lines = [[cell.strip() for cell in line] for line in csv.reader(text.splitlines()) if line]
    except csv.Error as error:
        raise BadRequest([f"the body is no CSV: {error}"]) from error
    if lines and not any(isinstance(number(cell), float) for cell in lines[0]):
        if problems := list(header_problems(lines[0])):
            raise BadRequest(problems)
        lines = lines[1:]
    return [named([number(cell) for cell in line], f"row {position}") for position, line in enumerate(lines, 1)]


def number(cell: str) -> float | str:
    """The number in a cell, or its text when there is none."""
    try:
        return float(cell)
    except ValueError:
        return cell


def named(values: Any, place: str) -> dict[str, Any]:
    """Values that come in the order of the columns as column → value."""
    if not isinstance(values, list):
        raise BadRequest([f"{place} is {reprlib.repr(values)}; an object or {len(FEATURES)} numbers are needed"])
    if len(values) != len(FEATURES):
        raise BadRequest(
            [f"{place} has {len(values)} values; {len(FEATURES)} columns are needed, {FEATURES[0]} to {FEATURES[-1]}"]
        )
    return dict(zip(FEATURES, values, strict=True))


def column_problems(names: list[str], place: str) -> Iterator[str]:
    """Which columns are missing, extra or repeated."""
    for name in FEATURES:
        if name not in names:
            yield f"{place}: column {name} is missing"
    for name in dict.fromkeys(names):
        if name not in FEATURES:
            yield f"{place}: column {reprlib.repr(name)} is extra"
        elif names.count(name) > 1:
            yield f"{place}: column {name} is there {names.count(name)} times"


def header_problems(names: list[str]) -> Iterator[str]:
    """What is wrong with a header; the order is only looked at when the columns are the right ones."""
    problems = list(column_problems(names, "header"))
    yield from problems
    if not problems:
        for position, (name, wanted) in enumerate(zip(names, FEATURES, strict=True), 1):
            if name != wanted:
                yield f"header: column {position} is {name} where {wanted} is needed"


def check(record: dict[str, Any], place: str) -> Iterator[str]:
    """What is wrong with one row."""
    if record.keys() != LIMITS.keys():
        yield from column_problems(list(record), place)
    for name, value in record.items():
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if name in LIMITS and not (is_number and allows(name, value)):
            shown = "null" if value is None else reprlib.repr(value)
            yield f"{place}: column {name} is {shown}; {rule(name)} is needed"
