"""Captures: the requests that SageMaker writes to S3 while an endpoint answers them, and where they lie by day."""

import base64
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import boto3

from mlops import storage
from mlops.errors import Failure
from mlops.settings import keys
from mlops.settings.project import Environment
from mlops.settings.serving import Capture

CSV, JSON = ["text/csv"], ["application/json", "application/jsonlines"]
"""What is captured as the text that it is. Of types that are not named SageMaker captures the base64 of every byte."""

REPLAYED = "mlops-compare-"
"""How the id of a request begins that is asked again to compare two models: no client has sent it."""

READERS = 8
"""How many objects are read at a time: there are many, and each is small."""


@dataclass(frozen=True)
class Side:
    """What went in or came out: its type, and its text; the base64 of what is no text."""

    content_type: str
    text: str
    is_text: bool


@dataclass(frozen=True)
class Captured:
    """A request that an endpoint answered.

    Attributes:
        request: the id that the client gave it, or SageMaker.
        when: it was answered.
        config: the endpoint configuration that answered.
        variant: of that configuration.
        asked: the request's body.
        answered: the answer's.
    """

    request: str
    when: datetime
    config: str
    variant: str
    asked: Side
    answered: Side


@dataclass(frozen=True)
class Folder:
    """Where the captures of one variant of a configuration lie: below it are year, month, day and hour."""

    uri: str
    config: str
    variant: str


def described(environment: Environment, capture: Capture | None) -> list[dict[str, Any]]:
    """What the settings say of capturing, for a configuration's name: nothing where nothing is captured."""
    return [{"percent": capture.percent, "key": keys.of(environment)}] if capture else []


def configuration(environment: Environment, capture: Capture | None, root: str, config: str) -> dict[str, Any]:
    """The parameter of CreateEndpointConfig that has requests captured.

    Each configuration has a folder of its own: what is captured does not say which version answered, the folder does.

    Args:
        environment: whose key encrypts what is captured.
        capture: the endpoint's setting.
        root: see `root`.
        config: name of the configuration.
    """
    if capture is None:
        return {}
    given: dict[str, Any] = {
        "EnableCapture": True,
        "InitialSamplingPercentage": capture.percent,
        "DestinationS3Uri": f"{root}{config}",
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
        "CaptureContentTypeHeader": {"CsvContentTypes": CSV, "JsonContentTypes": JSON},
    }
    if key := keys.of(environment):
        given["KmsKeyId"] = key
    return {"DataCaptureConfig": given}


def root(environment: Environment, endpoint: str) -> str:
    """The prefix of all that an endpoint captures; it expires after 90 days (infra/storage.tf)."""
    return f"s3://{environment.bucket}/captures/{endpoint}/"


def folders(session: boto3.Session, environment: Environment, endpoint: str) -> list[Folder]:
    """Every folder that an endpoint has captured to: SageMaker puts endpoint and variant below what it is given."""
    start = root(environment, endpoint)
    return [
        Folder(f"{start}{config}/{endpoint}/{variant}/", config, variant)
        for config in storage.folders(session, start)
        for variant in storage.folders(session, f"{start}{config}/{endpoint}/")
    ]


def days(session: boto3.Session, folder: Folder, first: date, last: date) -> list[date]:
    """The days from first to last, both included, of which something may have been captured.

    What a day's last minutes were asked may lie in the first hour of the day after, and nowhere else.
    """
    end = last + timedelta(days=1)
    found: set[date] = set()
    for year in storage.folders(session, folder.uri):
        if not first.year <= int(year) <= end.year:
            continue
        for month in storage.folders(session, f"{folder.uri}{year}/"):
            if not (first.year, first.month) <= (int(year), int(month)) <= (end.year, end.month):
                continue
            below = storage.folders(session, f"{folder.uri}{year}/{month}/")
            found |= {date(int(year), int(month), int(day)) for day in below}
    written = {day for day in found if first <= day <= end}
    late = {day for day in written if "00" in storage.folders(session, f"{folder.uri}{day:%Y/%m/%d}/")}
    found = written | {day - timedelta(days=1) for day in late}
    return sorted(day for day in found if first <= day <= last)


def of_day(session: boto3.Session, folder: Folder, day: date) -> Iterator[Captured]:
    """What was answered on a day, in UTC. The first hour after it is read too: SageMaker writes some time later."""
    later = day + timedelta(days=1)
    prefixes = [f"{folder.uri}{day:%Y/%m/%d}/", f"{folder.uri}{later:%Y/%m/%d}/00/"]
    objects = [f"{prefix}{key}" for prefix in prefixes for key in sorted(storage.listing(session, prefix))]
    with ThreadPoolExecutor(READERS) as pool:
        for uri, content in zip(objects, pool.map(lambda uri: storage.read(session, uri), objects), strict=True):
            # At line feeds only: text may hold other characters that end a line for Python.
            for number, line in enumerate(content.split(b"\n"), start=1):
                if not line.strip():
                    continue
                captured = parsed(folder, line, f"{uri} line {number}")
                if captured.when.date() == day and not captured.request.startswith(REPLAYED):
                    yield captured


def parsed(folder: Folder, line: str | bytes, place: str) -> Captured:
    """One captured request from its line.

    Raises:
        Failure: it is not as SageMaker writes it.
    """
    try:
        content = json.loads(line)
        data, about = content["captureData"], content["eventMetadata"]
        return Captured(
            request=about.get("inferenceId") or about["eventId"],
            when=datetime.fromisoformat(about["inferenceTime"]).astimezone(UTC),
            config=folder.config,
            variant=folder.variant,
            asked=side(data["endpointInput"]),
            answered=side(data["endpointOutput"]),
        )
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise Failure(f"{place}: no captured request as SageMaker writes it: {error!r}") from error


def side(captured: dict[str, Any]) -> Side:
    """What went in or came out, from its part of a captured line; text that came as base64 is text again."""
    kind, text = str(captured.get("observedContentType", "")), str(captured["data"])
    if captured["encoding"] != "BASE64":
        return Side(kind, text, is_text=True)
    if kind.startswith("text/"):
        return Side(kind, base64.b64decode(text).decode("utf-8", errors="replace"), is_text=True)
    return Side(kind, text, is_text=False)
