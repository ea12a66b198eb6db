"""Setbacks: rollouts that SageMaker rolled back, why it did, and what becomes of their versions."""

import boto3

from mlops.errors import Failure
from mlops.hosting import alarms, endpoints
from mlops.hosting.alarms import Reading
from mlops.hosting.endpoints import State
from mlops.registry import decisions, packages
from mlops.registry.packages import ModelPackage
from mlops.settings.project import Environment, Settings

BY = "mlops deploy"
"""Who rejects a version that an alarm rolled back."""


def refuse_what_was_rolled_back(
    session: boto3.Session, settings: Settings, environment: Environment, package: ModelPackage, found: State | None
) -> None:
    """Finish what a killed run could not: an alarm rolled this version back, and nobody was there to reject it.

    It was this one when its configuration is the newest, and the endpoint's failure, which names an alarm, is newer
    than the configuration and than the last decision on the version.

    Raises:
        Failure: as the killed run would have.
    """
    if found is None or not found.failure:
        return
    made = endpoints.configs(session, environment.group)
    if not made or made[0][0] != endpoints.config_name(settings, environment, package):
        return
    if found.modified <= max(made[0][1], package.modified):
        return
    watch = alarms.Watch(session, environment.alarm_names)
    named = [reading for reading in watch.cause(found.failure) if reading.alarm in found.failure]
    if named and all(reading.alarm != alarms.manual(environment) for reading in named):
        explain_rollback(session, environment, package, found, named, "")


def explain_rollback(
    session: boto3.Session,
    environment: Environment,
    package: ModelPackage,
    end: State,
    readings: list[Reading],
    after: str,
) -> None:
    """Say why an endpoint went back; a version that an alarm refused is Rejected, so that it does not come again.

    No capacity, a quota or a wrong role says nothing of the version: it stays Approved, to be tried again.

    Raises:
        Failure: always.
    """
    back = f"{environment.endpoint_name}: rolled back to version {endpoints.version_of(end.config)}{after}"
    if not readings:
        reason = end.failure or f"it is {end.status} and gives no reason"
        raise Failure(f"{back}: {reason}; version {package.version} is still Approved: run the same command again")
    shown = " and ".join(map(str, readings))
    # Somebody may have decided on it since it was chosen.
    package = packages.describe(session, package.arn)
    if package.status != "Rejected":
        decisions.record(session, package, "Rejected", BY, f"rolled back by {shown}")
    raise Failure(f"{back}: {shown}; version {package.version} is now Rejected")
