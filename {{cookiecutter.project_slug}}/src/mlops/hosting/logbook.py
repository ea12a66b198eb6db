"""The logbook of an endpoint: what was deployed on it and what it went back from, each an object in the bucket.

SageMaker keeps no such history: a configuration tells when it was made, not when it served, and is pruned one day.
"""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Literal

import boto3

from mlops import actor, github, storage
from mlops.errors import Failure
from mlops.registry import packages
from mlops.registry.packages import ModelPackage
from mlops.settings.project import Environment

What = Literal["deployed", "deployment failed", "rolled back"]

MOST = 500
"""The newest entries that are told of; each is read."""

READERS = 8

WHY = 500
"""Characters of a reason that are kept."""


@dataclass(frozen=True)
class Entry:
    """Something that happened to an endpoint.

    Attributes:
        when: as ISO 8601, in UTC.
        version: that came to serve, or did not; of a rollback the one that was left.
        package: ARN of that version.
        config: the configuration that served from then on; of a failure, the one that did not come to. Of an
            environment without an endpoint, the model that the next job transforms by.
        why: where it was deployed, why it failed, or where the endpoint went back to.
        run: number of the run of a workflow that did it, the same in all its attempts; empty elsewhere.
    """

    when: str
    what: What
    who: str
    group: str
    version: int
    package: str
    config: str
    why: str
    run: str = ""


def write(
    session: boto3.Session,
    environment: Environment,
    what: What,
    package: ModelPackage | packages.Entry,
    config: str,
    why: str,
) -> None:
    """Write down what has just happened, and who runs the command."""
    now = datetime.now(UTC)
    entry = Entry(
        when=now.isoformat(timespec="milliseconds"),
        what=what,
        who=actor.who(),
        group=package.group,
        version=package.version,
        package=package.arn,
        config=config,
        why=why[:WHY],
        run=github.run_id(),
    )
    # Their names sort by time, and two runs write two objects.
    uri = f"{place(environment.bucket, environment.endpoint_name)}{now:%Y%m%dT%H%M%S.%fZ}-{package.version}.json"
    storage.write(session, uri, json.dumps(asdict(entry), indent=2).encode(), environment.kms_key)


def serves(
    session: boto3.Session, environment: Environment, package: ModelPackage, config: str, where: str, changed: bool
) -> None:
    """Write down that a configuration serves: when this run has brought it, or one did that was killed before this."""
    if changed or came_to_serve(session, environment.bucket, environment.endpoint_name) != config:
        write(session, environment, "deployed", package, config, where)


def came_to_serve(session: boto3.Session, bucket: str, endpoint: str) -> str:
    """The configuration that came to serve last; empty when there is no entry."""
    entry = last(session, bucket, endpoint)
    return entry.config if entry else ""


def last(session: boto3.Session, bucket: str, endpoint: str) -> Entry | None:
    """The newest entry after which another configuration served; None when there is none."""
    uri = place(bucket, endpoint)
    for name in sorted(storage.listing(session, uri), reverse=True):
        entry = read(session, f"{uri}{name}")
        if entry.what != "deployment failed":
            return entry
    return None


def by_this_run(session: boto3.Session, environment: Environment, config: str) -> bool:
    """Whether what serves was brought by this run of a workflow, in any of its attempts.

    An earlier one may have ended before it had verified that: the next one is to take it back if it does not pass.
    """
    run = github.run_id()
    entry = last(session, environment.bucket, environment.endpoint_name) if run else None
    return entry is not None and (entry.what, entry.config, entry.run) == ("deployed", config, run)


def entries(session: boto3.Session, bucket: str, endpoint: str) -> Iterator[Entry]:
    """The newest entries of an endpoint, the oldest of them first."""
    uri = place(bucket, endpoint)
    names = sorted(storage.listing(session, uri))[-MOST:]
    with ThreadPoolExecutor(READERS) as pool:
        yield from pool.map(lambda name: read(session, f"{uri}{name}"), names)


def read(session: boto3.Session, uri: str) -> Entry:
    """An entry from its object.

    Raises:
        Failure: it is not as it was written.
    """
    try:
        return Entry(**json.loads(storage.read(session, uri)))
    except (ValueError, TypeError) as error:
        raise Failure(f"{uri}: no entry of a logbook ({error}); delete it") from error


def place(bucket: str, endpoint: str) -> str:
    """The prefix of an endpoint's logbook."""
    return f"s3://{bucket}/deployments/{endpoint}/"
