"""Rollback: an endpoint goes back to a version that served before, and the one it leaves is Rejected."""

import time
from dataclasses import replace

import boto3

from mlops import actor, aws
from mlops.contest import trial
from mlops.errors import Failure, NotFound
from mlops.hosting import alarms, autoscaling, endpoints, logbook, rollouts, schedule, served, shadows, way_back
from mlops.hosting.endpoints import Deployment, Progress, State
from mlops.registry import decisions, packages
from mlops.registry.packages import Entry
from mlops.settings.project import Environment, Settings
from mlops.settings.serving import Batch


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
        raise NotFound(f"there is no endpoint {endpoint}; {schedule.way_to_serve(session, environment)}")
    if found.status not in ("Creating", "Failed"):
        served.mark(session, settings, environment, found.config)
    versions = packages.listing(session, environment.group)
    configs = [name for name, _ in endpoints.configs(session, environment.group)]
    leaving = way_back.left(session, settings, environment, versions, configs, found)
    done = found.settled and found.status != "Failed" and way_back.finished(session, versions, leaving, to)
    if found.settled and found.status != "Failed" and to is None and not done:
        done = way_back.told(session, environment, versions, leaving, found.config)
    goal = leaving if done else to
    target, config = way_back.chosen(session, settings, environment, versions, configs, leaving, goal)
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
    done = way_back.finished(session, versions, leaving, to)
    if to is None and not done and len(approved) == 1:
        raise NotFound(f"{environment.group}: no approved version is older than {leaving}; mlops status shows them")
    goal = to or (leaving if done else approved[1].version)
    target, _ = way_back.chosen(session, settings, environment, versions, [], leaving, goal)
    if not done:
        reject(session, environment, versions, target, leaving, progress)
    name = endpoints.model(session, settings, environment, packages.describe(session, target.arn))
    if not done:
        write_down(session, environment, leaving, target, name)
    elif to is None and (rejected := way_back.unwritten(session, environment, versions, target)):
        write_down(session, environment, rejected, target, name)
    seconds = time.monotonic() - started
    return Deployment(name, target.arn, target.version, changed=not done, seconds=seconds)


def write_down(session: boto3.Session, environment: Environment, leaving: int, target: Entry, config: str) -> None:
    """Write down what was left, and for which version."""
    # By the target's ARN: the version that is left may have been deleted while it served.
    package = replace(target, arn=f"{target.arn.rpartition('/')[0]}/{leaving}", version=leaving)
    why = f"{environment.endpoint_name} goes back to version {target.version}"
    logbook.write(session, environment, "rolled back", package, config, why)


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
        if package.status == "Approved" or (entry.version == leaving and not way_back.by_rollback(package.reason)):
            why = f"{way_back.WHY}{environment.endpoint_name} goes back to version {target.version}"
            decisions.record(session, package, "Rejected", actor.tag(), why)
            progress(f"{entry.group} version {entry.version} is Rejected")


def stop_rollout(
    session: boto3.Session, environment: Environment, found: State, leaving: int, progress: Progress
) -> None:
    """Stop a rollout of the version that is left; an endpoint that goes back already is waited for."""
    if found.settled:
        return
    endpoint = environment.endpoint_name
    if found.status == "Updating" and way_back.served_by(session, environment, found.pending) == leaving:
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
    there = found is not None and way_back.served_by(session, environment, found.config) == target.version
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
