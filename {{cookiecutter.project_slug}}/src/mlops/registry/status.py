"""Status: the newest version of each group beside what its endpoint serves."""

from collections.abc import Callable
from dataclasses import dataclass

import boto3

from mlops import aws
from mlops.errors import NotFound
from mlops.hosting import costs, endpoints, schedule
from mlops.hosting.costs import Monthly
from mlops.hosting.endpoints import State
from mlops.registry import packages
from mlops.settings.project import Environment, Settings
from mlops.settings.serving import Batch


@dataclass(frozen=True)
class Row:
    """One group: its newest version, and the endpoint that serves from it."""

    environment: str
    group: str
    version: int | None
    status: str
    fingerprint: str
    kind: str
    endpoint: str
    endpoint_status: str
    serving: int | None
    monthly_cost: Monthly | None


def status(settings: Settings, told: Callable[[str], None] = lambda line: None) -> list[Row]:
    """One row for each group, in the order of the environments; a group that is not there is empty.

    Args:
        settings: the project.
        told: which environments these credentials can not look into.
    """

    def rows(environment: Environment) -> list[Row]:
        return [row(settings, contender) for contender in environment.contenders]

    return aws.in_each(settings, rows, told)


def row(settings: Settings, environment: Environment) -> Row:
    """The row of one group, with the endpoint that serves from it."""
    session = aws.session(settings, environment, aws.duty_in(settings, environment))
    try:
        newest = next(packages.entries(session, environment.group), None)
    except NotFound:
        newest = None
    serves = environment.endpoint is not None and not isinstance(environment.endpoint, Batch)
    found = endpoints.state(session, environment.endpoint_name) if serves else None
    return Row(
        environment=environment.name,
        group=environment.group,
        version=newest.version if newest else None,
        status=newest.status if newest else "",
        fingerprint=newest.fingerprint if newest else "",
        kind=environment.endpoint.kind if environment.endpoint else "",
        endpoint=environment.endpoint_name if serves else "",
        endpoint_status=found.status if found else resting(session, environment) if serves else "",
        serving=serving(session, environment, found),
        monthly_cost=costs.monthly(settings.prices, environment),
    )


def resting(session: boto3.Session, environment: Environment) -> str:
    """The word for an endpoint that is not there: stopped, when its hours or somebody has stopped it."""
    return "stopped" if schedule.kept(session, environment.bucket, environment.endpoint_name) else ""


def serving(session: boto3.Session, environment: Environment, found: State | None) -> int | None:
    """The version that an environment's endpoint serves; of kind batch, the one that the next job transforms by."""
    if not isinstance(environment.endpoint, Batch):
        return endpoints.version_of(found.config) if found else None
    try:
        approved = next(packages.entries(session, environment.group, "Approved"), None)
    except NotFound:
        return None
    return approved.version if approved else None
