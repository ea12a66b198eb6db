"""What a person or a machine sees of a command's result."""

import dataclasses
import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

COMMAND = re.compile(r"(?<![\w/.-])(?<!uv run )(?<!uv run --no-sync )(?<!-m )mlops(?= (?!in\b|or\b)[a-z-]{2,})")
"""`mlops` where a command follows."""

Progress = Callable[[str], None]


def progress(line: str) -> None:
    """Say what long work is doing: on a terminal and in a workflow's log, nowhere else."""
    if sys.stderr.isatty() or os.environ.get("GITHUB_ACTIONS") == "true":
        print(f"  {line}", file=sys.stderr, flush=True)


def plain(value: Any) -> Any:
    """A value as JSON holds it: dataclasses become objects, times become ISO 8601."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    return str(value) if isinstance(value, Path) else value


def show(result: Any, sentence: str, as_json: bool) -> None:
    """Print a result: as JSON for a machine, as a sentence for a person."""
    print(json.dumps(plain(result), indent=2) if as_json else sentence)


def show_table(rows: Sequence[Any], columns: Sequence[str], as_json: bool, empty: str) -> None:
    """Print dataclasses as a JSON list, or as a table of some of their fields.

    Args:
        rows: dataclasses of one kind.
        columns: the fields that a person sees.
        as_json: all fields, as a JSON list.
        empty: what a person reads when there are no rows.
    """
    if as_json:
        print(json.dumps(plain(rows), indent=2))
    elif not rows:
        print(empty)
    else:
        print(table([{column: getattr(row, column) for column in columns} for row in rows], columns))


def table(rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> str:
    """Rows as aligned text, one line each below a line of headings."""
    headings = [column.replace("_", " ").upper() for column in columns]
    cells = [[cell(row.get(column)) for column in columns] for row in rows]
    widths = [max(len(line[index]) for line in [headings, *cells]) for index in range(len(columns))]
    return "\n".join(aligned(line, widths) for line in [headings, *cells])


def aligned(line: Iterable[str], widths: Iterable[int]) -> str:
    """One line of a table."""
    return "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()


def cell(value: Any) -> str:
    """A value as a table shows it: one of several fields says in words what it is."""
    if value is None or value == "":
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value if dataclasses.is_dataclass(value) else plain(value))


def error(message: str) -> None:
    """Say on standard error why a command failed, one line for each reason; what belongs to it is indented."""
    for line in typed(message).splitlines():
        print(line if line.startswith(" ") else f"✗ {line}", file=sys.stderr)


def warning(message: str) -> None:
    """Say on standard error what a result does not tell; the command goes on."""
    print(f"! {typed(message)}", file=sys.stderr)


def typed(message: str) -> str:
    """A text whose commands can be typed as they stand: where `mlops` was run through uv, with `uv run` before them."""
    return COMMAND.sub("uv run mlops", message) if "UV_RUN_RECURSION_DEPTH" in os.environ else message


def write_outputs(values: dict[str, str], file: Literal["GITHUB_OUTPUT", "GITHUB_ENV"] = "GITHUB_OUTPUT") -> None:
    """Hand values to the later steps of a workflow, as outputs or as variables, through the file that GitHub names.

    Source: docs.github.com, Workflow commands, "Setting an output parameter", "Setting an environment variable".
    """
    if path := os.environ.get(file):
        with Path(path).open("a", encoding="utf-8") as opened:
            opened.writelines(f"{name}={value}\n" for name, value in values.items())
