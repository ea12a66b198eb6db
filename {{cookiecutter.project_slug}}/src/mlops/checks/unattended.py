"""Unattended checks: what a deployment leaves in a table, by which an endpoint is checked whenever it comes to serve.

The function of Lambda that does it has no checkout: the contract lies in the environment's bucket, by its SHA-256, and
the table says for each configuration of an endpoint which one it is held to, under which load.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
from boto3.dynamodb.types import TypeDeserializer
from pydantic import Field, ValidationError

from mlops import aws, storage
from mlops.checks import contract, loadtest, origin
from mlops.checks.contract import Answer, Request
from mlops.display import Progress
from mlops.errors import BadInput, Failure, NotVerified
from mlops.registry.packages import ModelPackage
from mlops.settings import problems
from mlops.settings.criteria import Load, Model
from mlops.settings.project import Environment, Settings
from mlops.settings.serving import Endpoint

TABLE = "checks"
"""How the table's name ends."""

KEPT = 30
"""Configurations of an endpoint whose checks are known: those that it may go back to, and more."""

MOST_RATE, MOST_SECONDS = 20.0, 5.0
"""What a function sends at most: it has one processor, and fifteen minutes for everything."""

RESERVED_SECONDS = 540.0
"""Of the function's time: for one more request that nobody answers, for the load, and to tell of it."""


class Asked(Model):
    """What an endpoint is held to under a configuration."""

    contract: str = Field(pattern=r"^s3://[^/]+/.+$", description="where it lies")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="that it has to have")
    load: Load | None = None
    written: str = Field(default="", description="when")


def leave(
    session: boto3.Session,
    settings: Settings,
    environment: Environment,
    package: ModelPackage,
    config: str,
    progress: Progress,
) -> None:
    """Leave what a configuration is held to, before it serves: the contract of the commit that brought its version.

    Where there is no table, as in a project that makes its infrastructure otherwise, the deployment goes on. SageMaker
    tells of endpoints on instances only: another one is checked by the workflow that deploys it.
    """
    if not isinstance(environment.endpoint, Endpoint):
        return
    table, endpoint = environment.named(TABLE), environment.endpoint_name
    try:
        content = origin.file(settings, package, contract.FILE.as_posix())
        known = begun(session, table, endpoint)
    except FileNotFoundError:
        return progress(f"{endpoint}: there is no {contract.FILE.as_posix()}, so nothing checks it by itself")
    except Failure as why:
        return progress(f"{endpoint}: nothing checks it by itself: {why}")
    digest = hashlib.sha256(content).hexdigest()
    place = f"s3://{environment.bucket}/endpoints/{endpoint}/contracts/{digest}.yaml"
    wanted = Asked(contract=place, sha256=digest, load=environment.endpoint.load)
    if is_left(known, config, wanted):
        return
    if not storage.exists(session, place):
        storage.write(session, place, content, environment.kms_key)
    others = sorted(known.keys() - {config}, key=lambda name: written(known[name]))
    now = datetime.now(UTC).isoformat(timespec="seconds")
    write(session, table, endpoint, config, wanted.model_copy(update={"written": now}), others[: 1 - KEPT])


def begun(session: boto3.Session, table: str, endpoint: str) -> dict[str, Any]:
    """What is written for the configurations of an endpoint; its line in the table is made when there is none.

    Raises:
        Failure: there is no such table, or AWS refuses.
    """
    with aws.explained("UpdateItem", table):
        answer = aws.client(session, "dynamodb").update_item(
            TableName=table,
            Key={"endpoint": {"S": endpoint}},
            UpdateExpression="SET #checks = if_not_exists(#checks, :none)",
            ExpressionAttributeNames={"#checks": "checks"},
            ExpressionAttributeValues={":none": {"M": {}}},
            ReturnValues="ALL_NEW",
        )
    checks = plain(answer["Attributes"])["checks"]
    return checks if isinstance(checks, dict) else {}


def is_left(known: dict[str, Any], config: str, wanted: Asked) -> bool:
    """Whether a configuration is held to this already; what is not in its form is written anew."""
    try:
        before = asked({"checks": known}, config)
    except BadInput:
        return False
    return before is not None and before.model_copy(update={"written": ""}) == wanted


def written(entry: Any) -> str:
    """When something was left; first of all what does not say so."""
    return str(entry.get("written", "")) if isinstance(entry, dict) else ""


def write(session: boto3.Session, table: str, endpoint: str, config: str, asked: Asked, forgotten: list[str]) -> None:
    """Write what a configuration is held to, and forget what others were."""
    names = {"#checks": "checks", "#config": config, **{f"#old{n}": name for n, name in enumerate(forgotten)}}
    remove = f" REMOVE {', '.join(f'#checks.#old{n}' for n in range(len(forgotten)))}" if forgotten else ""
    with aws.explained("UpdateItem", table):
        aws.client(session, "dynamodb").update_item(
            TableName=table,
            Key={"endpoint": {"S": endpoint}},
            UpdateExpression=f"SET #checks.#config = :asked{remove}",
            ExpressionAttributeNames=names,
            ExpressionAttributeValues={":asked": item(asked)},
        )


def item(asked: Asked) -> dict[str, Any]:
    """A line of the table; numbers as DynamoDB writes them."""
    texts = {name: {"S": getattr(asked, name)} for name in ("contract", "sha256", "written")}
    if asked.load is None:
        return {"M": texts}
    load = {name: {"N": repr(value)} for name, value in asked.load.model_dump().items()}
    return {"M": {**texts, "load": {"M": load}}}


def plain(attributes: dict[str, Any]) -> dict[str, Any]:
    """Attributes as DynamoDB answers them, as Python has them."""
    return {name: TypeDeserializer().deserialize(value) for name, value in attributes.items()}


def asked(line: dict[str, Any], config: str) -> Asked | None:
    """What an endpoint is held to under a configuration; None when nobody has written it.

    Raises:
        BadInput: it is not in its form, as after a slip of somebody who wrote it by hand.
    """
    checks = line.get("checks", {})
    if not isinstance(checks, dict) or config not in checks:
        return None
    try:
        return Asked.model_validate(checks[config])
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(["checks", config, *map(str, problem["loc"])])
        raise BadInput(f"the table of the checks: {place}: {problems.words(problem)}") from error


def mark(line: dict[str, Any], config: str) -> str:
    """Another one for each thing that an endpoint may be held to under a configuration."""
    checks = line.get("checks")
    written = checks.get(config) if isinstance(checks, dict) else None
    return hashlib.sha256(json.dumps(written, sort_keys=True, default=str).encode()).hexdigest()[:12]


def check(session: boto3.Session, endpoint: str, wanted: Asked, seconds_left: Callable[[], float]) -> str:
    """Hold an endpoint to what was left for it, within the time that is left. What was found well, in words.

    Raises:
        NotVerified: an answer is not as agreed, or the load is too much.
        BadInput: what was left can not be used.
        Failure: AWS refuses to let it be asked.
    """
    content = storage.read(session, wanted.contract)
    if (found := hashlib.sha256(content).hexdigest()) != wanted.sha256:
        raise BadInput(f"{wanted.contract}: SHA-256 is {found}, {wanted.sha256} was deployed with {endpoint}")
    requests = contract.parsed(content)
    checks = contract.held(endpoint, answers(session, endpoint, requests, seconds_left), lambda line: None)
    said = f"{endpoint} answers all {len(checks)} requests as agreed"
    if wanted.load is None:
        return said
    return f"{said}; under load {loadtest.held(session, endpoint, requests, within(wanted.load))}"


def answers(
    session: boto3.Session, endpoint: str, requests: list[Request], seconds_left: Callable[[], float]
) -> Iterator[tuple[Request, Answer]]:
    """Requests with their answers.

    Raises:
        NotVerified: they take so long that the rest of them would not be asked any more.
    """
    for number, request in enumerate(requests):
        if seconds_left() < RESERVED_SECONDS:
            raise NotVerified(f"{endpoint} is too slow: {number} of {len(requests)} requests were answered in time")
        yield request, contract.ask(session, endpoint, request)


def within(load: Load) -> Load:
    """A load that a function can send."""
    return load.model_copy(update={"rate": min(load.rate, MOST_RATE), "seconds": min(load.seconds, MOST_SECONDS)})
