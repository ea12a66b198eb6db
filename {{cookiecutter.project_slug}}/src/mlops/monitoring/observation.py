"""Observation: the rows that an endpoint was asked in a time, with what the version that serves answered."""

import math
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import boto3

from mlops.monitoring import captures, predictionlog
from mlops.settings.project import Environment


@dataclass
class Observed:
    """What was captured of one configuration.

    Attributes:
        requests: how many.
        rows: that they asked for.
        unread: rows whose columns are not the model's.
        values: of each feature, those that are numbers.
        missing: of each feature, how many rows have none.
        invalid: of each feature, how many rows have something else.
        outputs: the numbers that the model answered.
        by_row: the same by request and row, for labels that come later.
    """

    requests: int = 0
    rows: int = 0
    unread: int = 0
    values: dict[str, list[float]] = field(default_factory=dict)
    missing: dict[str, int] = field(default_factory=dict)
    invalid: dict[str, int] = field(default_factory=dict)
    outputs: list[float] = field(default_factory=list)
    by_row: dict[tuple[str, int], float] = field(default_factory=dict)


@dataclass(frozen=True)
class Output:
    """Where a row's answer holds the number that is watched: the member of its object, or the column of its line."""

    member: str | None
    column: int | None


def observe(
    session: boto3.Session,
    environment: Environment,
    config: str,
    variant: str,
    window: tuple[datetime, datetime],
    features: list[str],
    output: Output,
) -> Observed:
    """Read what was captured.

    Args:
        session: may read the environment's bucket.
        environment: whose endpoint was asked.
        config: the configuration that serves: what another one answered is of another model.
        variant: of that configuration.
        window: from when to when.
        features: names of the columns, in the order in which rows without names have them.
        output: what is watched of the answers.
    """
    found = Observed(
        values={name: [] for name in features},
        missing=dict.fromkeys(features, 0),
        invalid=dict.fromkeys(features, 0),
    )
    since, until = window
    for folder in captures.folders(session, environment, environment.endpoint_name):
        if (folder.config, folder.variant) != (config, variant):
            continue
        day = since.date()
        while day <= until.date():
            for captured in captures.of_day(session, folder, day):
                if since <= captured.when < until:
                    note(found, captured, features, output)
            day += timedelta(days=1)
    return found


def note(found: Observed, captured: captures.Captured, features: list[str], output: Output) -> None:
    """Count one request."""
    found.requests += 1
    for position, (asked, answered) in enumerate(predictionlog.pairs(captured.asked, captured.answered)):
        found.rows += 1
        row = named(asked, features)
        if row is None:
            found.unread += 1
            continue
        for name in features:
            value = number(row.get(name))
            if value is None:
                found.missing[name] += 1
            elif math.isfinite(value):
                found.values[name].append(value)
            else:
                found.invalid[name] += 1
        answer = number(watched(answered, output))
        if answer is not None and math.isfinite(answer):
            found.outputs.append(answer)
            found.by_row[(captured.request, position)] = answer


def named(asked: Any, features: list[str]) -> dict[str, Any] | None:
    """A row as column → value; None when it has other columns than the model."""
    if isinstance(asked, dict):
        return asked if set(asked) <= set(features) else None
    if isinstance(asked, list) and len(asked) == len(features):
        return dict(zip(features, asked, strict=True))
    return None


def number(value: Any) -> float | None:
    """The number in a cell: None when the cell is empty, infinity when it holds something else."""
    if value is None or value == "" or value != value:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return math.inf
    try:
        found = float(value)
    except ValueError:
        return math.inf
    return None if math.isnan(found) else found


def watched(answered: Any, output: Output) -> Any:
    """What is watched of one row's answer; None when it is not in it."""
    if isinstance(answered, dict) and output.member is not None:
        return answered.get(output.member)
    if isinstance(answered, list) and output.column is not None and output.column < len(answered):
        return answered[output.column]
    return None
