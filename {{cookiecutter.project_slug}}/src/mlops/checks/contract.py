"""The contract: requests that an endpoint has to answer as tests/contract.yaml says."""

import json
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import boto3
import yaml
from botocore.exceptions import BotoCoreError, ClientError
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mlops import aws
from mlops.errors import BadInput, Failure, NotVerified
from mlops.hosting import batch, endpoints, invocations
from mlops.hosting.batch import Text
from mlops.settings import problems
from mlops.settings.project import Environment, Settings
from mlops.settings.serving import Batch

FILE = Path("tests/contract.yaml")
JSON = "application/json"

TYPES: dict[str, type | tuple[type, ...]] = {"string": str, "number": (int, float), "array": list, "object": dict}


VERSION = 1
"""The form of the file that this machinery reads: one that means something else has another number."""


class Expectation(BaseModel):
    """What stands at one place in an answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["string", "number", "array", "object"] | None = None
    keys: tuple[str, ...] | None = None
    length: int | None = Field(default=None, ge=0)
    range: tuple[float, float] | None = None
    value: Any = None
    tolerance: float = Field(default=0.0, ge=0)


class Request(BaseModel):
    """One request with the answer that it has to get; the file's own comment explains the fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    content_type: str
    accept: str = JSON
    body: str
    status: int = Field(default=200, ge=100, le=599)
    message: str = ""
    expect: dict[str, Expectation] = Field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """What an endpoint answered."""

    status: int
    content_type: str
    text: str


@dataclass(frozen=True)
class Check:
    """One request that was sent, and the status of its answer, which was as agreed."""

    name: str
    status: int


def verify(settings: Settings, environment: Environment, progress: Callable[[str], None]) -> list[Check]:
    """Send every request of the contract to an environment's endpoint.

    Raises:
        BadInput: the contract is not there, or not in its form.
        NotVerified: an answer is not as agreed: each is named with what was expected and what came.
    """
    requests = read(settings.root / FILE)
    return held(environment.endpoint_name, answered(settings, environment, requests, progress), progress)


def held(endpoint: str, answers: Iterable[tuple[Request, Answer]], progress: Callable[[str], None]) -> list[Check]:
    """Hold answers to what was agreed.

    Raises:
        NotVerified: one is not as agreed: each is named with what was expected and what came.
    """
    checks, problems = [], []
    for request, answer in answers:
        if problem := mismatch(request, answer):
            problems.append(f"{request.name}: {problem}")
        progress(f"{'✗' if problem else '✓'} {request.name}")
        checks.append(Check(name=request.name, status=answer.status))
    if problems:
        raise NotVerified(f"{endpoint} breaks {FILE.as_posix()}: {'; '.join(problems)}")
    return checks


def answered(
    settings: Settings, environment: Environment, requests: list[Request], progress: Callable[[str], None]
) -> Iterator[tuple[Request, Answer]]:
    """Requests with what an environment's endpoint answers; where it has none, with what a transform job answers.

    A job ends at the first refusal, so those that a model has to refuse are not sent in batch.
    """
    if not isinstance(environment.endpoint, Batch):
        session = aws.session(settings, environment, "deploy")
        endpoints.there(session, environment)
        for request in requests:
            yield request, ask(session, environment.endpoint_name, request)
        return
    sent = [request for request in requests if request.status == 200]
    texts = [Text(each.name, each.body, each.content_type, each.accept) for each in sent]
    progress(f"{len(sent)} of {len(requests)} requests are answered with 200 and go through transform jobs")
    for request, text in zip(sent, batch.answers(settings, environment, texts, progress), strict=True):
        yield request, Answer(status=200, content_type=request.accept, text=text)


def read(file: Path) -> list[Request]:
    """The requests of a contract.

    Raises:
        BadInput: the file is missing, is no YAML or of another version, holds no request, or one not in the form.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise BadInput(f"{FILE.as_posix()}: {error.strerror}; without requests nothing can be verified") from error
    return parsed(content)


def parsed(text: bytes) -> list[Request]:
    """The requests of a contract's text; see `read`."""
    try:
        content = yaml.safe_load(text.decode("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadInput(f"{FILE.as_posix()}: {problems.of_yaml(error)}") from error
    if not isinstance(content, dict) or content.get("version") != VERSION:
        given = f"version is {content.get('version')!r}" if isinstance(content, dict) else "there is no version"
        raise BadInput(f"{FILE.as_posix()}: {given}; this machinery reads version: {VERSION}, and requests: below it")
    if extra := content.keys() - {"version", "requests"}:
        raise BadInput(
            f"{FILE.as_posix()}: {', '.join(sorted(map(str, extra)))} is not known; version and requests are"
        )
    requests = content.get("requests")
    if not isinstance(requests, list) or not requests:
        raise BadInput(f"{FILE.as_posix()}: requests: a list of at least one request is needed")
    try:
        return [Request.model_validate(each) for each in requests]
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(map(str, problem["loc"]))
        raise BadInput(f"{FILE.as_posix()}: {place}: {problems.words(problem)}") from error


def ask(session: boto3.Session, endpoint: str, request: Request) -> Answer:
    """Send one request; a refusal of the model is an answer like any other.

    Raises:
        Failure: SageMaker refused, not the model.
    """
    try:
        given = invocations.invoke(session, endpoint, request.body.encode(), request.content_type, request.accept)
        text = given["Body"].read().decode("utf-8", errors="replace")
    except ClientError as error:
        status, text = invocations.refusal(error)
        if status is None:
            raise Failure(f"InvokeEndpoint {endpoint}: {aws.reason(error)}") from error
        return Answer(status=status, content_type="", text=text)
    except BotoCoreError as error:
        raise Failure(f"InvokeEndpoint {endpoint}: {aws.reason(error)}") from error
    return Answer(status=200, content_type=given.get("ContentType", ""), text=text)


def mismatch(request: Request, answer: Answer) -> str:
    """What is not as agreed, in one line; empty when all is."""
    if answer.status != request.status:
        return f"status {request.status} expected, got {answer.status}: {answer.text[:200]}"
    if not any(request.message in text for text in (answer.text, message_of(answer.text))):
        return f"a message with {request.message!r} expected, got {answer.text[:200]!r}"
    if not request.expect:
        return ""
    try:
        content = content_of(answer, request.accept)
    except ValueError as error:
        return f"an answer in {request.accept} expected, got {answer.text[:200]!r} ({error})"
    for place, expectation in request.expect.items():
        if problem := wrong(place, content, expectation):
            return problem
    return ""


def message_of(text: str) -> str:
    """What a refusal says: the member `error` of its JSON, whose quotes are escaped there; else the text."""
    try:
        content = json.loads(text)
    except ValueError:
        return text
    return str(content.get("error", text)) if isinstance(content, dict) else text


def content_of(answer: Answer, accept: str) -> Any:
    """An answer's content: JSON, or for CSV an array of lines, each an array of cells."""
    if (answer.content_type or accept).startswith(JSON):
        return json.loads(answer.text)
    return [[cell(text) for text in line.split(",")] for line in answer.text.splitlines()]


def cell(text: str) -> str | float:
    """A cell as a number, where it is one."""
    try:
        return float(text)
    except ValueError:
        return text


def wrong(place: str, content: Any, expected: Expectation) -> str:
    """What is wrong at one place; empty when nothing is."""
    where = place or "the answer"
    try:
        for part in filter(None, place.split(".")):
            content = content[int(part)] if isinstance(content, list) else content[part]
    except (KeyError, IndexError, ValueError, TypeError):
        return f"{where} expected, there is none"
    for what, holds in rules(content, expected):
        if not holds:
            return f"{where}: {what} expected, got {json.dumps(content)[:200]}"
    return ""


def rules(content: Any, expected: Expectation) -> list[tuple[str, bool]]:
    """What is expected at a place, in words, and whether it holds."""
    number = content if isinstance(content, int | float) and not isinstance(content, bool) else math.nan
    found: list[tuple[str, bool]] = []
    if expected.type is not None:
        fits = isinstance(content, TYPES[expected.type]) and not isinstance(content, bool)
        found.append((f"type {expected.type}", fits))
    if expected.keys is not None:
        has = isinstance(content, dict) and sorted(content) == sorted(expected.keys)
        found.append((f"keys {', '.join(expected.keys)}", has))
    if expected.length is not None:
        found.append((f"length {expected.length}", isinstance(content, list) and len(content) == expected.length))
    if expected.range is not None:
        low, high = expected.range
        found.append((f"a number from {low:g} to {high:g}", low <= number <= high))
    if "value" in expected.model_fields_set:
        near = isinstance(expected.value, int | float) and abs(number - expected.value) <= expected.tolerance
        about = f" ± {expected.tolerance:g}" if expected.tolerance else ""
        found.append((f"{json.dumps(expected.value)}{about}", content == expected.value or near))
    return found
