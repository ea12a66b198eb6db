"""The way back: which version a rollback leaves, and to which one it goes; the registry and the logbook say it."""

import boto3

from mlops.errors import BadInput, Failure, NoSuchVersion, NotFound
from mlops.hosting import endpoints, inventory, logbook, served, shadows
from mlops.hosting.endpoints import State
from mlops.registry import decisions, packages
from mlops.registry.packages import Entry
from mlops.settings.project import Environment, Settings

WHY = "mlops rollback: "
"""How the reason begins for which the version that is left is rejected; a second run knows by it that the first one
finished."""


def unwritten(session: boto3.Session, environment: Environment, versions: list[Entry], target: Entry) -> int | None:
    """The version that a rollback has rejected, where the logbook does not say so yet; None where it does.

    A verification rejects before it comes here, and a run may be killed in between.
    """
    newer = (entry for entry in versions if entry.version > target.version and entry.status == "Rejected")
    rejected = [each.version for each in newer if by_rollback(packages.describe(session, each.arn).reason)]
    last = logbook.last(session, environment.bucket, environment.endpoint_name)
    known = last and (last.version == target.version if last.what == "deployed" else last.version in rejected)
    return None if known or not rejected else max(rejected)


def left(
    session: boto3.Session,
    settings: Settings,
    environment: Environment,
    versions: list[Entry],
    configs: list[str],
    found: State,
) -> int:
    """The version that a rollback leaves: the newest that the endpoint serves, has in its shadow, goes to or has tried.

    A deployment that failed half way has left its configuration and an Approved version behind, which the next
    deployment would take up again.
    """
    known = [served_by(session, environment, config) for config in (found.config, found.pending)]
    leaving = max(version for version in known if version is not None)
    if shadows.is_shadowed(found.config):
        # Whatever was decided on it: what serves is not what went wrong, so it is not what is left.
        leaving = max(leaving, endpoints.version_of(shadows.model_of(session, found.config)) or 0)
    approved = {entry.version for entry in versions if entry.status == "Approved"}
    for config in configs[:1]:
        tried = endpoints.version_of(config) or 0
        if tried > leaving and tried in approved and not served.since(session, settings, environment, config):
            return tried
    return leaving


def served_by(session: boto3.Session, environment: Environment, config: str | None) -> int | None:
    """The version of a configuration; 0 stands for one that is not ours, which is older than all."""
    if config is None:
        return None
    return inventory.own_version(session, environment, config) or 0


def finished(session: boto3.Session, versions: list[Entry], serving: int, to: int | None) -> bool:
    """Whether an earlier run went all the way.

    Without `to`: a newer version is Rejected, and the last one to do so was a rollback. Were the command to go back
    one further whenever it is run again, a repeated event would take production back to the beginning.
    """
    if to is not None:
        return to == serving
    if any(entry.version == serving and entry.status == "Rejected" for entry in versions):
        return False
    newer = [entry for entry in versions if entry.version > serving and entry.status == "Rejected"]
    return any(by_rollback(packages.describe(session, entry.arn).reason) for entry in newer)


def told(session: boto3.Session, environment: Environment, versions: list[Entry], serving: int, config: str) -> bool:
    """Whether an earlier run left a version that is deleted, so that none is Rejected: by the logbook, which names it.

    Without it a second run would take the endpoint back one further.
    """
    if endpoints.version_of(config) != serving or environment.group != inventory.group_of(config):
        return False
    if any(entry.version == serving and entry.status == "Rejected" for entry in versions):
        return False
    last = logbook.last(session, environment.bucket, environment.endpoint_name)
    if last is None or last.what != "rolled back" or last.config != config:
        return False
    return last.version not in {entry.version for entry in versions}


def by_rollback(reason: str) -> bool:
    """Whether the last decision on a version was a rollback's."""
    last = decisions.read(reason)[:1]
    return bool(last) and last[0].what == "rejected" and last[0].why.startswith(WHY)


def chosen(
    session: boto3.Session,
    settings: Settings,
    environment: Environment,
    versions: list[Entry],
    configs: list[str],
    leaving: int,
    to: int | None,
) -> tuple[Entry, str | None]:
    """The version to go back to, and the configuration under which it has served.

    Without `to` it has to have served: an Approved version whose rollout failed is no way back.

    Raises:
        NotFound: none served before, or there is no version of that number, or what serves is none of this group.
        BadInput: it is newer than what serves.
        Failure: it is not approved.
    """
    if leaving == 0:
        raise NotFound(
            f"{environment.endpoint_name} serves no version of {environment.group}, so none of them is the one before: "
            f"mlops deploy {environment.options} brings the newest approved one; after a switch of the scenario that "
            "was not finished, mlops groups create finishes it"
        )
    if to is None:
        for entry in versions:
            if entry.version >= leaving or entry.status != "Approved":
                continue
            if config := served.config_of(session, settings, environment, configs, entry.version):
                return entry, config
        raise NotFound(
            f"{environment.endpoint_name}: no approved version served before version {leaving}; "
            f"mlops status shows what there is"
        )
    if to > leaving:
        raise BadInput(f"--to is {to}, newer than version {leaving}; mlops deploy goes forward")
    for entry in versions:
        if entry.version == to:
            if entry.status == "Approved":
                return entry, served.config_of(session, settings, environment, configs, to)
            raise Failure(
                f"{environment.group} version {to} is {entry.status}; to go back to it: "
                f"mlops approve {environment.options} --version {to} --by NAME --reason WHY"
            )
    raise NoSuchVersion(f"{environment.group} has no version {to}")
