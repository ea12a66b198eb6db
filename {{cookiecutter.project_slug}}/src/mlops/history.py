"""History: who registered, promoted, approved and deployed what, when and why."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

import boto3

from mlops import approval, aws, endpoints, inventory, packages
from mlops.errors import NotFound
from mlops.packages import ModelPackage
from mlops.serving import Batch
from mlops.settings import Environment, Settings

VERSIONS = 100
"""The newest versions of a group that are told of: each takes a call."""


@dataclass(frozen=True)
class Event:
    """Something that happened to a version."""

    when: datetime
    what: str
    who: str
    group: str
    version: int
    package: str
    why: str


def history(settings: Settings, told: Callable[[str], None] = lambda line: None) -> list[Event]:
    """What happened to the newest versions of every group, the oldest first.

    Args:
        settings: the project.
        told: which environments these credentials can not look into.
    """
    found = aws.in_each(settings, lambda environment: events_of(settings, environment), told)
    return sorted(found, key=lambda event: event.when)


def events_of(settings: Settings, environment: Environment) -> list[Event]:
    """What happened to the newest versions of one environment's groups."""
    found: list[Event] = []
    session = aws.session(settings, environment, aws.duty_in(settings, environment))
    for contender in environment.contenders:
        try:
            entries = list(islice(packages.entries(session, contender.group), VERSIONS))
        except NotFound:
            continue
        described = [packages.describe(session, entry.arn) for entry in entries]
        for package in described:
            found += registry_events(package)
        if contender.endpoint is not None:
            found += rollouts_of(session, contender, described)
    return found


def registry_events(package: ModelPackage) -> Iterator[Event]:
    """How a version came into its group, and what was decided of it."""
    source = package.metadata.get("promoted_from", "")
    who = "" if source else package.metadata.get("registered_by", "")
    why = f"from {source.rpartition(':model-package/')[2]}" if source else package.metadata.get("run_url", "")
    yield event(package, "promoted" if source else "registered", package.created, who, why)
    for decision in approval.decisions(package.reason):
        what = decision.what or package.status.lower()
        yield event(package, what, decision.when or package.modified, decision.who, decision.why)


def rollouts_of(session: boto3.Session, environment: Environment, described: list[ModelPackage]) -> Iterator[Event]:
    """When each version began to be rolled out on the environment's endpoint: its configurations tell."""
    versions = {package.version: package for package in described}
    in_batch = isinstance(environment.endpoint, Batch)
    made = endpoints.configs(session, environment.group)
    if in_batch:
        models = inventory.models(session, environment)
        made = [(name, when) for name, when in models if inventory.group_of(name) == environment.group]
    where = "for transform jobs" if in_batch else f"on {environment.endpoint_name}"
    for config, when in made:
        if package := versions.get(endpoints.version_of(config) or 0):
            yield event(package, "deployed", when, "", where)


def event(package: ModelPackage, what: str, when: datetime, who: str, why: str) -> Event:
    """An event of one version."""
    return Event(
        when=when, what=what, who=who, group=package.group, version=package.version, package=package.arn, why=why
    )
