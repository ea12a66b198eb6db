"""History: who registered, promoted, approved, deployed and rolled back what, when and why."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

import boto3

from mlops import aws
from mlops.contest import switch
from mlops.errors import NotFound
from mlops.hosting import inventory, logbook
from mlops.registry import decisions, packages
from mlops.registry.packages import ModelPackage
from mlops.settings.project import Environment, Settings

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
    for group in groups_of(settings, environment):
        try:
            entries = list(islice(packages.entries(session, group), VERSIONS))
        except NotFound:
            continue
        for entry in entries:
            found += registry_events(packages.describe(session, entry.arn))
    if environment.endpoint is not None:
        found += rollouts_of(session, settings, environment)
    return found


def groups_of(settings: Settings, environment: Environment) -> list[str]:
    """The groups of an environment; of the last one those of the other scenario too, what was before a switch."""
    former = inventory.every_group(environment) if settings.after(environment) is None else []
    return list(dict.fromkeys([*environment.group_names, *former]))


def registry_events(package: ModelPackage) -> Iterator[Event]:
    """How a version came into its group, and what was decided of it."""
    source = package.metadata.get("promoted_from", "")
    who = package.metadata.get("promoted_by" if source else "registered_by", "")
    why = f"from {source.rpartition(':model-package/')[2]}" if source else package.metadata.get("run_url", "")
    carried = package.metadata.get(switch.CARRIED, "")
    if carried:
        yield event(package, "carried", package.created, "", f"from {carried.rpartition(':model-package/')[2]}")
    elif package.is_adopted and not source:
        served_it = package.metadata[packages.ADOPTED_FROM].rpartition("/")[2]
        why = f"from {served_it}: {package.metadata.get('adopted_why', '')}"
        yield event(package, "adopted", package.created, package.metadata.get("adopted_by", ""), why)
    else:
        yield event(package, "promoted" if source else "registered", package.created, who, why)
    for decision in decisions.of(package):
        if carried and decision.when and decision.when < package.created:
            continue  # it is told of the version that this one is a copy of
        what = decision.what or package.status.lower()
        yield event(package, what, decision.when or package.modified, decision.who, decision.why)


def rollouts_of(session: boto3.Session, settings: Settings, environment: Environment) -> Iterator[Event]:
    """What was deployed on an environment's endpoints, and what they went back from: their logbooks tell."""
    for endpoint in dict.fromkeys(name.removesuffix("-champion") for name in groups_of(settings, environment)):
        for each in logbook.entries(session, environment.bucket, endpoint):
            when = datetime.fromisoformat(each.when)
            yield Event(when, each.what, each.who, each.group, each.version, each.package, each.why)


def event(package: ModelPackage, what: str, when: datetime, who: str, why: str) -> Event:
    """An event of one version."""
    return Event(
        when=when, what=what, who=who, group=package.group, version=package.version, package=package.arn, why=why
    )
