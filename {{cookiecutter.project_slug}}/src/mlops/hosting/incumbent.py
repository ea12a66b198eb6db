"""The incumbent: the version that a new one has to hold its own against in an environment."""

import boto3

from mlops.errors import NotFound
from mlops.hosting import endpoints, inventory, schedule
from mlops.registry import packages
from mlops.registry.packages import ModelPackage
from mlops.settings.project import Environment
from mlops.settings.serving import Batch


def of(session: boto3.Session, environment: Environment, new: ModelPackage) -> ModelPackage | None:
    """What the endpoint serves, or served when it was stopped; without one the newest other version that is Approved.

    An Approved version may never have come up, and one that serves may have been Rejected since, which nobody has to
    be as good as.

    Args:
        session: may look at the endpoint, the environment's bucket and its groups.
        environment: of the champion, where there is a contest: the challenger too would take its place.
        new: the version that comes.

    Returns:
        It may be the new version itself; None when there is nothing to be held against.
    """
    config = configuration(session, environment)
    group, version = inventory.group_of(config), endpoints.version_of(config)
    if group and version is not None:
        try:
            serving = packages.of_version(session, group, version)
        except NotFound:
            serving = None
        if serving is not None and serving.status != "Rejected":
            return serving
    try:
        approved = packages.entries(session, environment.group, "Approved")
        other = next((entry for entry in approved if entry.arn != new.arn), None)
    except NotFound:
        return None
    return packages.describe(session, other.arn) if other else None


def configuration(session: boto3.Session, environment: Environment) -> str:
    """The configuration that answers, or would when a stopped endpoint starts; empty when there is none."""
    if environment.endpoint is None or isinstance(environment.endpoint, Batch):
        return ""
    found = endpoints.state(session, environment.endpoint_name)
    if found is not None:
        return "" if found.status == "Failed" else found.config
    stopped = schedule.kept(session, environment.bucket, environment.endpoint_name)
    return stopped.config if stopped else ""
