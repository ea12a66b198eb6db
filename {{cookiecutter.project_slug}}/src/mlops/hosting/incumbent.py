"""The incumbent: the version that a new one has to hold its own against in an environment."""

import boto3

from mlops.errors import NotFound
from mlops.hosting import endpoints, inventory, logbook, schedule
from mlops.registry import packages
from mlops.registry.packages import ModelPackage
from mlops.settings.project import Environment
from mlops.settings.serving import Batch


def of(session: boto3.Session, environment: Environment, new: ModelPackage) -> ModelPackage | None:
    """What serves, or did when the endpoint was stopped, torn down or failed; else the newest other Approved version.

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
    """The configuration that answers, or would when a stopped endpoint starts, or that came to serve last.

    Without an endpoint that is the model which was made ready for transform jobs; empty when nothing ever served.
    """
    if environment.endpoint is None:
        return ""
    if not isinstance(environment.endpoint, Batch):
        found = endpoints.state(session, environment.endpoint_name)
        if found is not None and found.status != "Failed":
            return found.config
        stopped = schedule.kept(session, environment.bucket, environment.endpoint_name)
        if found is None and stopped:
            return stopped.config
    return logbook.came_to_serve(session, environment.bucket, environment.endpoint_name)
