"""The table of what endpoints are held to: made as infrastructure code makes it, and the right to write into it."""

from __future__ import annotations

from sandbox import backends
from sandbox.project import Environment, Project
from sandbox.statements import Statement, allow

_KEY = "endpoint"


def leave(project: Project, environment: Environment) -> list[Statement]:
    """What a deployment needs to say what its endpoint is held to; the contract itself goes into the bucket."""
    table = f"arn:aws:dynamodb:{project.region}:{environment.account}:table/{environment.named('checks')}"
    return [allow(["dynamodb:UpdateItem"], [table])]


def tables(project: Project) -> None:
    """Make the table of each environment that serves."""
    for environment in project.environments:
        known = backends.backends("dynamodb")[environment.account][project.region]
        if not environment.endpoints or environment.named("checks") in known.tables:
            continue
        known.create_table(
            name=environment.named("checks"),
            schema=[{"AttributeName": _KEY, "KeyType": "HASH"}],
            attr=[{"AttributeName": _KEY, "AttributeType": "S"}],
            billing_mode="PAY_PER_REQUEST",
            throughput=None,
            global_indexes=None,
            indexes=None,
            streams=None,
            sse_specification=None,
            tags=[],
            deletion_protection_enabled=False,
            warm_throughput=None,
        )
