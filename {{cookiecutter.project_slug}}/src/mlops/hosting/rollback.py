"""Rollback: an endpoint goes back to a version that served before, and the one it leaves is Rejected."""

import time
from dataclasses import replace

import boto3

from mlops import actor, aws
from mlops.contest import trial
from mlops.errors import BadInput, Failure, NoSuchVersion, NotFound
from mlops.hosting import alarms, autoscaling, endpoints, inventory, logbook, rollouts, served, shadows
from mlops.hosting.endpoints import Deployment, Progress, State
from mlops.registry import decisions, packages
from mlops.registry.packages import Entry
from mlops.settings.project import Environment, Settings
from mlops.settings.serving import Batch

WHY = "mlops rollback: "
"""How the reason begins for which the version that is left is rejected; a second run knows by it that the first one
finished."""


def rollback(settings: Settings, environment: Environment, progress: Progress, to: int | None = None) -> Deployment:
    """Go back to the version that served before, at once and unguarded by alarms.

    The versions that are left are rejected first: whatever deploys meanwhile can not bring them back, and a second
    run, after this one was killed, sees where it was. A rollout that is running is stopped through the manual alarm.

    Args:
        settings: the project.
        environment: whose endpoint goes back.
        progress: told what begins and ends.
        to: the version; the newest approved one that served before when None.

    Returns:
        What serves then. Unchanged when the last rollback got there already: going further back takes `to`.

    Raises:
        NotFound: there is no endpoint, or no version to go back to.
        Failure: the endpoint does not serve that version at the end.
    """
    started = time.monotonic()
    session = aws.session(settings, environment, "deploy")
    endpoint = environment.endpoint_name
    if isinstance(environment.endpoint, Batch):
        return in_registry(session, settings, environment, progress, to)
    found = endpoints.state(session, endpoint)
    if found is not None and found.status == "Updating" and found.pending in (None, found.config):
        # All its traffic has shifted and only the old instances are left to go: what it serves is decided.
        found = endpoints.settle(session, endpoint, progress)
    if found is None:
        raise NotFound(f"there is no endpoint {endpoint}; mlops deploy {environment.options} makes it")
    if found.status not in ("Creating", "Failed"):
        served.mark(session, settings, environment, found.config)
    versions = packages.listing(session, environment.group)
    configs = [name for name, _ in endpoints.configs(session, environment.group)]
    leaving = left(session, settings, environment, versions, configs, found)
    done = found.settled and found.status != "Failed" and finished(session, versions, leaving, to)
    if found.settled and found.status != "Failed" and to is None and not done:
        done = told(session, environment, versions, leaving, found.config)
    target, config = chosen(session, settings, environment, versions, configs, leaving, leaving if done else to)
    if not done:
        reject(session, environment, versions, target, leaving, progress)
        # A deployment that had looked at the version before it was rejected may just have begun.
        stop_rollout(session, environment, endpoints.state(session, endpoint) or found, leaving, progress)
        try:
            go_back(session, settings, environment, target, config, progress)
        except Failure:
            if endpoints.in_service(session, endpoint):
                autoscaling.keep(session, environment, progress)
            raise
        if environment.is_challenger:
            trial.begun(session, packages.describe(session, target.arn), before=leaving)
        now = endpoints.state(session, endpoint)
        write_down(session, environment, leaving, target, now.config if now else "")
    alarms.set_manual(session, environment, on=False, why="the rollback has ended")
    # Where the first run was killed too: it may have ended it for its update.
    autoscaling.keep(session, environment, progress)
    return Deployment(
        endpoint=endpoint,
        package=target.arn,
        version=target.version,
        changed=not done,
        seconds=time.monotonic() - started,
    )


def in_registry(
    session: boto3.Session, settings: Settings, environment: Environment, progress: Progress, to: int | None
) -> Deployment:
    """The way back where there is no endpoint: the next job transforms by the newest version that is still approved.

    Raises:
        NotFound: there is no older one.
    """
    started = time.monotonic()
    versions = packages.listing(session, environment.group)
    approved = [entry for entry in versions if entry.status == "Approved"]
    if not approved:
        raise NotFound(f"{environment.group} has no approved version; mlops status shows what there is")
    leaving = approved[0].version
    done = finished(session, versions, leaving, to)
    if to is None and not done and len(approved) == 1:
        raise NotFound(f"{environment.group}: no approved version is older than {leaving}; mlops status shows them")
    goal = to or (leaving if done else approved[1].version)
    target, _ = chosen(session, settings, environment, versions, [], leaving, goal)
    if not done:
        reject(session, environment, versions, target, leaving, progress)
    name = endpoints.model(session, settings, environment, packages.describe(session, target.arn))
    if not done:
        write_down(session, environment, leaving, target, name)
    elif to is None and (rejected := unwritten(session, environment, versions, target)):
        write_down(session, environment, rejected, target, name)
    seconds = time.monotonic() - started
    return Deployment(name, target.arn, target.version, changed=not done, seconds=seconds)


def unwritten(session: boto3.Session, environment: Environment, versions: list[Entry], target: Entry) -> int | None:
    """The version that a rollback has rejected, where the logbook does not say so yet; None where it does.

    A verification rejects before it comes here, and a run may be killed in between.
    """
    newer = (entry for entry in versions if entry.version > target.version and entry.status == "Rejected")
    rejected = [each.version for each in newer if by_rollback(packages.describe(session, each.arn).reason)]
    last = logbook.last(session, environment.bucket, environment.endpoint_name)
    known = last and (last.version == target.version if last.what == "deployed" else last.version in rejected)
    return None if known or not rejected else max(rejected)


def write_down(session: boto3.Session, environment: Environment, leaving: int, target: Entry, config: str) -> None:
    """Write down what was left, and for which version."""
    # By the target's ARN: the version that is left may have been deleted while it served.
    package = replace(target, arn=f"{target.arn.rpartition('/')[0]}/{leaving}", version=leaving)
    why = f"{environment.endpoint_name} goes back to version {target.version}"
    logbook.write(session, environment, "rolled back", package, config, why)


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


def reject(
    session: boto3.Session,
    environment: Environment,
    versions: list[Entry],
    target: Entry,
    leaving: int,
    progress: Progress,
) -> None:
    """Reject the version that is left and every approved one between it and the target, the newest last.

    One between them that never served would be the newest Approved one then, and the next deployment would bring it.
    A second run reads from the version that is left that the first one got so far: so it is written on one too that
    an alarm or a person has rejected before.
    """
    for entry in sorted(versions, key=lambda each: each.version):
        if not target.version < entry.version <= leaving:
            continue
        package = packages.describe(session, entry.arn)
        if package.status == "Approved" or (entry.version == leaving and not by_rollback(package.reason)):
            why = f"{WHY}{environment.endpoint_name} goes back to version {target.version}"
            decisions.record(session, package, "Rejected", actor.tag(), why)
            progress(f"{entry.group} version {entry.version} is Rejected")


def stop_rollout(
    session: boto3.Session, environment: Environment, found: State, leaving: int, progress: Progress
) -> None:
    """Stop a rollout of the version that is left; an endpoint that goes back already is waited for."""
    if found.settled:
        return
    endpoint = environment.endpoint_name
    if found.status == "Updating" and served_by(session, environment, found.pending) == leaving:
        progress(f"{endpoint}: stopping the rollout of version {leaving} through {alarms.manual(environment)}")

        def hold() -> None:
            # CloudWatch soon looks at the metric again, and lets go of a state that was set.
            alarms.set_manual(session, environment, on=True, why=f"mlops rollback stops version {leaving}")

        hold()
        endpoints.settle(session, endpoint, progress, hold)
    else:
        endpoints.settle(session, endpoint, progress)


def go_back(
    session: boto3.Session,
    settings: Settings,
    environment: Environment,
    target: Entry,
    config: str | None,
    progress: Progress,
) -> None:
    """Shift to the configuration under which the target served, unless the endpoint is there.

    An endpoint that has Failed answers nobody and can only be deleted: it is made again.

    Raises:
        Failure: the endpoint does not serve it at the end.
    """
    endpoint = environment.endpoint_name
    found = endpoints.state(session, endpoint)
    if found is not None and found.status == "Failed":
        progress(f"{endpoint} has failed ({found.failure or 'no reason given'}): it is deleted and made again")
        endpoints.remove(session, endpoint, progress)
        found = None
    there = found is not None and served_by(session, environment, found.config) == target.version
    if found is not None and there and not shadows.is_shadowed(found.config):
        # A run that was killed may have brought it there.
        served.mark(session, settings, environment, found.config)
        return
    if config is None or (found is not None and not fits(session, config, found)):
        config = endpoints.prepare(session, settings, environment, packages.describe(session, target.arn))
    progress(f"{endpoint}: going back to version {target.version}")
    if found is None:
        endpoints.create(session, settings, environment, config)
    else:
        scales = autoscaling.scales(session, environment, found.instances)
        autoscaling.let_go(session, environment, found.config, config, progress)
        endpoints.update(session, endpoint, config, rollouts.unguarded(), scales)
    end = endpoints.settle(session, endpoint, progress)
    if end is None or end.config != config or end.status == "Failed":
        why = "it is gone" if end is None else end.failure or f"it is {end.status} with {end.config}"
        raise Failure(f"{endpoint}: did not go back to version {target.version}: {why}; run the same command again")
    served.mark(session, settings, environment, config)


def fits(session: boto3.Session, config: str, found: State) -> bool:
    """Whether an endpoint can take a configuration: one that has got instances never is serverless again."""
    if found.serverless:
        return True
    with aws.explained("DescribeEndpointConfig", config):
        described = aws.client(session, "sagemaker").describe_endpoint_config(EndpointConfigName=config)
    return not any("ServerlessConfig" in variant for variant in described["ProductionVariants"])
