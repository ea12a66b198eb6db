"""The prediction log: what an endpoint was asked and answered, one line for each prediction, as Parquet by day."""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from io import StringIO
from itertools import islice
from pathlib import Path
from typing import Any

import boto3

from mlops import aws
from mlops.display import Progress
from mlops.errors import BadInput, NotFound
from mlops.hosting import endpoints, inventory
from mlops.monitoring import captures, records
from mlops.monitoring.captures import Captured, Side
from mlops.settings.project import Environment, Settings
from mlops.settings.serving import Capture

BATCH = 20_000
"""Predictions that are held in memory at a time."""


@dataclass(frozen=True)
class Served:
    """What a variant of a configuration served: the version, and the ARN of its model package where it is known."""

    version: int | None
    package: str | None


@dataclass(frozen=True)
class Log:
    """A prediction log that was written: where, which days it has, and how many predictions."""

    output: str
    endpoint: str
    days: list[str]
    predictions: int


def write(
    settings: Settings, environment: Environment, first: date, last: date, output: Path, progress: Progress
) -> Log:
    """Write what an environment's endpoint has captured from one day to another as one Parquet data set.

    What is there already of the endpoint and a day is written anew, so a second run adds nothing twice.

    Args:
        settings: the project.
        environment: whose endpoint captured.
        first: day, in UTC.
        last: day, itself included.
        output: folder of the data set; each day is a folder `date=YYYY-MM-DD` in it.
        progress: told each day that is written.

    Raises:
        BadInput: the environment captures nothing and never did, or the days are in the wrong order.
        Failure: AWS refuses, or a captured line is none.
    """
    if first > last:
        raise BadInput(f"--from is {first}, after --to {last}")
    session = aws.session(settings, environment, "deploy")
    endpoint = environment.endpoint_name
    folders = captures.folders(session, environment, endpoint)
    capture = environment.endpoint.capture if environment.endpoint else None
    if capture is None and not folders:
        raise BadInput(
            f"{endpoint} has captured nothing; give environments.{environment.name}.endpoint.capture in mlops.yaml, "
            "such as {percent: 100}, and deploy"
        )
    by_day: dict[date, list[captures.Folder]] = {}
    for folder in folders:
        for day in captures.days(session, folder, first, last):
            by_day.setdefault(day, []).append(folder)
    total, written = 0, []
    for day, of_day in sorted(by_day.items()):
        if count := write_day(session, environment, capture, day, of_day, output):
            total += count
            written.append(day.isoformat())
            progress(f"{day}: {count} predictions")
    return Log(output=str(output), endpoint=endpoint, days=written, predictions=total)


def write_day(
    session: boto3.Session,
    environment: Environment,
    capture: Capture | None,
    day: date,
    folders: list[captures.Folder],
    output: Path,
) -> int:
    """Write one day; a reader sees the old file or the new one, never half of it. Returns how many predictions."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise BadInput("the prediction log needs pyarrow: uv sync --group model, or pip install pyarrow") from error
    rows = (
        row
        for folder in folders
        for served in [served_by(session, environment, folder)]
        for captured in captures.of_day(session, folder, day)
        for row in rows_of(environment, served, captured, capture)
    )
    schema = pyarrow.schema(
        [
            ("request_id", pyarrow.string()),
            ("row", pyarrow.int32()),
            ("time", pyarrow.timestamp("ms", tz="UTC")),
            ("environment", pyarrow.string()),
            ("endpoint", pyarrow.string()),
            ("variant", pyarrow.string()),
            ("version", pyarrow.int32()),
            ("package", pyarrow.string()),
            ("inputs", pyarrow.string()),
            ("output", pyarrow.string()),
            ("decision", pyarrow.string()),
        ]
    )
    batch = list(islice(rows, BATCH))
    if not batch:
        return 0
    # Named after its endpoint, so that several of them may share a data set.
    file = output / f"date={day}" / f"{environment.endpoint_name}.parquet"
    file.parent.mkdir(parents=True, exist_ok=True)
    # Readers of data sets pass over names that begin with a dot.
    count, beside = 0, file.with_name(f".{file.name}")
    with pyarrow.parquet.ParquetWriter(beside, schema) as writer:
        while batch:
            writer.write_table(pyarrow.Table.from_pylist(batch, schema))
            count += len(batch)
            batch = list(islice(rows, BATCH))
    beside.replace(file)
    return count


def served_by(session: boto3.Session, environment: Environment, folder: captures.Folder) -> Served:
    """Which version a variant of a configuration served; the configuration's name tells it when it was deleted."""
    client = aws.client(session, "sagemaker")
    named = by_name(session, environment, folder)
    try:
        with aws.explained("DescribeEndpointConfig", folder.config):
            config = client.describe_endpoint_config(EndpointConfigName=folder.config)
        variants = [*config["ProductionVariants"], *config.get("ShadowProductionVariants", [])]
        model = next(each["ModelName"] for each in variants if each["VariantName"] == folder.variant)
        with aws.explained("DescribeModel", model):
            package = client.describe_model(ModelName=model).get("PrimaryContainer", {}).get("ModelPackageName")
    except (NotFound, StopIteration):
        return named
    version = str(package or "").rpartition("/")[2]
    return Served(int(version), package) if version.isdigit() else Served(named.version, package)


def by_name(session: boto3.Session, environment: Environment, folder: captures.Folder) -> Served:
    """What the names of a configuration and its variant say of the version that answered: its group and number."""
    # A shadow has its model's name.
    name = folder.config if folder.variant == endpoints.VARIANT else folder.variant
    group, version = inventory.group_of(name), endpoints.version_of(name)
    if not group or version is None:
        return Served(None, None)
    where = f"{session.region_name}:{environment.account}"
    return Served(version, f"arn:aws:sagemaker:{where}:model-package/{group}/{version}")


def rows_of(
    environment: Environment, served: Served, captured: Captured, capture: Capture | None
) -> Iterator[dict[str, Any]]:
    """The predictions of a request: one for each row that was asked for."""
    for number, (inputs, output) in enumerate(pairs(captured.asked, captured.answered)):
        yield {
            "request_id": captured.request,
            "row": number,
            "time": captured.when,
            "environment": environment.name,
            "endpoint": environment.endpoint_name,
            "variant": captured.variant,
            "version": served.version,
            "package": served.package,
            "inputs": as_text(inputs),
            "output": as_text(output),
            "decision": decision(output, capture),
        }


def pairs(asked: Side, answered: Side) -> list[tuple[Any, Any]]:
    """Inputs and output of each row of a request; all in one where the numbers of both do not agree."""
    inputs, outputs = split(asked), split(answered)
    if inputs is not None and outputs is not None:
        if len(inputs) == len(outputs):
            return list(zip(inputs, outputs, strict=True))
        names = inputs[0] if inputs else None
        if len(inputs) == len(outputs) + 1 and isinstance(names, list) and "csv" in asked.content_type:
            rows = [dict(zip(names, row, strict=False)) for row in inputs[1:]]
            return list(zip(rows, outputs, strict=True))
    return [(asked.text, answered.text)]


def split(side: Side) -> list[Any] | None:
    """The rows of a body: lines of CSV, the array of JSON or the one array in its object; None when it is none of it.

    An object without an array is a row.
    """
    if not side.is_text:
        return None
    try:
        if "csv" in side.content_type:
            return [[cell.strip() for cell in line] for line in csv.reader(StringIO(side.text, newline="")) if line]
        if "jsonlines" in side.content_type:
            return [json.loads(line) for line in side.text.split("\n") if line.strip()]
        content = json.loads(side.text)
    except (ValueError, RecursionError, csv.Error):
        return None
    return records.rows_of(content)


def decision(output: Any, capture: Capture | None) -> str | None:
    """The business decision in one row's output, where the settings say which member of it that is."""
    found: Any = None
    if capture is not None and isinstance(output, dict) and capture.decision is not None:
        found = output.get(capture.decision)
    elif capture is not None and isinstance(output, list) and capture.decision_column is not None:
        found = output[capture.decision_column] if capture.decision_column < len(output) else None
    return None if found is None else as_text(found)


def as_text(value: Any) -> str:
    """A value as the log holds it: text as it is, the rest as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
