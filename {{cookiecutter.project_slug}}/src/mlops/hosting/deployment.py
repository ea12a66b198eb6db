"""Deployment: the newest approved version of a group is rolled out on its environment's endpoint."""

import time
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

import boto3

from mlops import aws
from mlops.checks import unattended
from mlops.contest import trial
from mlops.errors import Failure
from mlops.hosting import (
    alarms,
    autoscaling,
    batch,
    choice,
    copies,
    endpoints,
    logbook,
    rollouts,
    schedule,
    served,
    setbacks,
    shadows,
)
from mlops.hosting.choice import Overtaken
from mlops.hosting.endpoints import Deployment, Progress, State
from mlops.hosting.rollback import rollback as rollback
from mlops.quality import rejudgement
from mlops.registry.packages import ModelPackage
from mlops.settings.project import Environment, Settings
from mlops.settings.serving import Batch, Serverless, Shadow

CALM_SECONDS = 900
"""How long a rollout waits for an alarm that fires before it begins; the rollout would be rolled back at once."""


def deploy(settings: Settings, environment: Environment, progress: Progress, brought: int | None = None) -> Deployment:
    """Deploy the newest approved version and wait until it serves. What serves already stays.

    A run that was killed is taken up: what it began on the endpoint is waited for.

    Args:
        settings: the project.
        environment: whose endpoint serves it.
        progress: told what begins and ends.
        brought: the version that the caller has brought here, whose end it reports: a newer one may serve in its
            place, but when it is Rejected or waits, no older one does.

    Raises:
        NotApproved: no version is approved, or not the one that was brought; or it would be champion without a trial.
        Failure: the rollout was rolled back. When an alarm did it, the version is Rejected.
    """
    started = time.monotonic()
    endpoint = environment.endpoint_name
    while True:
        session = aws.session(settings, environment, "deploy")
        package = choice.chosen(session, environment, brought)
        try:
            if isinstance(environment.endpoint, Batch):
                rejudgement.refuse_worse(session, settings, environment, package, progress)
                choice.refuse_overtaken(session, environment, package)
                ready = batch.ready(session, settings, environment, package, progress)
                logbook.serves(session, environment, package, ready.endpoint, "for transform jobs", ready.changed)
                again = logbook.by_this_run(session, environment, ready.endpoint)
                return replace(ready, brought=ready.changed or again)
            changed = bring(session, settings, environment, package, progress)
        except Overtaken as why:
            progress(f"{endpoint}: {why}")
            shadows.end(session, settings, environment, package, progress)
            continue
        config = endpoints.config_name(settings, environment, package)
        brought = changed or logbook.by_this_run(session, environment, config)
        seconds = time.monotonic() - started
        return Deployment(endpoint, package.arn, package.version, changed, seconds, brought)


def bring(
    session: boto3.Session, settings: Settings, environment: Environment, package: ModelPackage, progress: Progress
) -> bool:
    """Let an endpoint serve a version, once nothing is going on with it any more.

    Returns:
        Whether anything had to be changed.

    Raises:
        Overtaken: another version or another run came first.
        Failure: it does not serve it.
    """
    endpoint = environment.endpoint_name
    found = endpoints.settle(session, endpoint, progress)
    if found is not None and found.status == "Failed":
        progress(f"{endpoint} has failed ({found.failure or 'no reason given'}): it is deleted and made again")
        endpoints.remove(session, endpoint, progress)
        found = None
    if found is not None:
        refuse_another_kind(environment, found)
        served.mark(session, settings, environment, found.config)
    # The other run took hours, maybe: it may have brought a newer version, or a rollback have rejected this one.
    choice.refuse_overtaken(session, environment, package)
    config = endpoints.config_name(settings, environment, package)
    changed = found is None or found.config != config
    # Before it serves: by then SageMaker tells of it.
    unattended.leave(session, settings, environment, package, config, progress)
    if changed:
        setbacks.refuse_what_was_rolled_back(session, settings, environment, package, found)
        choice.refuse_unproven(session, settings, environment, package)
        rejudgement.refuse_worse(session, settings, environment, package, progress)
        try:
            found = proven(session, settings, environment, package, found, progress)
            shift(session, settings, environment, package, found, progress)
        except (Failure, Overtaken) as why:
            if isinstance(why, Failure):
                # An alarm's rollback goes to the configuration that the rollout began with, shadow and all.
                end_shadow(session, settings, environment, package, progress)
            if endpoints.in_service(session, endpoint):
                autoscaling.keep(session, environment, progress)
            if isinstance(why, Failure):
                logbook.write(session, environment, "deployment failed", package, config, str(why))
            raise
        served.mark(session, settings, environment, config)
    logbook.serves(session, environment, package, config, f"on {endpoint}", changed)
    if environment.is_challenger:
        before, made = (endpoints.version_of(found.config), found.created) if found else (None, None)
        trial.begun(session, package, before, made)
    autoscaling.keep(session, environment, progress)
    if found is None:
        schedule.brought_up(session, environment, progress)
    return changed


def proven(
    session: boto3.Session,
    settings: Settings,
    environment: Environment,
    package: ModelPackage,
    found: State | None,
    progress: Progress,
) -> State | None:
    """The endpoint's state after the version has stood in the shadow, where the settings ask for that.

    Raises:
        Overtaken: before it went there, or since, another version or another run came first.
        Failure: it did worse there than the rules allow, and is Rejected; or nothing is known of it.
    """
    if found is None or environment.endpoint is None or not isinstance(environment.endpoint.rollout, Shadow):
        return found
    if found.serverless:
        progress(f"{environment.endpoint_name}: SageMaker puts no shadow beside a serverless variant: all at once")
        return found
    calm(session, environment, progress)
    choice.refuse_overtaken(session, environment, package)
    refuse_changed(session, environment, found)
    shadows.carry_out(session, settings, environment, package, found, progress)
    return endpoints.state(session, environment.endpoint_name)


def end_shadow(
    session: boto3.Session, settings: Settings, environment: Environment, package: ModelPackage, progress: Progress
) -> None:
    """Take a version away that failed and stands in the shadow; that this fails too hides no reason of the first."""
    try:
        shadows.end(session, settings, environment, package, progress)
    except Failure as why:
        progress(f"{environment.endpoint_name}: the shadow stays ({why}): mlops rollback {environment.options} ends it")


def refuse_changed(session: boto3.Session, environment: Environment, found: State | None) -> None:
    """Stop where another run has begun something, or ended it, since the endpoint was looked at.

    Raises:
        Overtaken: it has.
    """
    now = endpoints.state(session, environment.endpoint_name)
    if (now and (now.config, now.pending, now.settled)) != (found and (found.config, found.pending, found.settled)):
        raise Overtaken("another run has changed it meanwhile")


def refuse_another_kind(environment: Environment, found: State) -> None:
    """Say before SageMaker does that it makes no endpoint with instances serverless; the other way it does.

    Raises:
        Failure: it would have to.
    """
    if isinstance(environment.endpoint, Serverless) and not found.serverless:
        endpoint = environment.endpoint_name
        raise Failure(
            f"{endpoint} has instances, and SageMaker makes no such endpoint serverless: mlops teardown "
            f"{environment.options} --confirm {endpoint} ends it, mlops deploy {environment.options} makes it anew; "
            "in between nobody is answered"
        )


def shift(
    session: boto3.Session,
    settings: Settings,
    environment: Environment,
    package: ModelPackage,
    found: State | None,
    progress: Progress,
) -> None:
    """Bring a version onto the endpoint: make the endpoint, or update it behind its alarms.

    Raises:
        Overtaken: another version or another run came first: what the alarms say then is not of this one.
        Failure: the endpoint does not serve it at the end.
    """
    started, begun_at = time.monotonic(), datetime.now(UTC)
    endpoint = environment.endpoint_name
    watch = alarms.Watch(session, environment.alarm_names)
    deployment = rollouts.deployment_config(environment)
    if found is not None:
        alarms.refuse_missing(session, environment)
        calm(session, environment, progress)
    choice.refuse_overtaken(session, environment, package)
    config = endpoints.prepare(session, settings, environment, package)
    if found is None:
        progress(f"{endpoint}: creating, with version {package.version}")
        begun = endpoints.create(session, settings, environment, config)
    else:
        refuse_changed(session, environment, found)
        before = endpoints.version_of(found.config)
        progress(f"{endpoint}: shifting from version {before} to {package.version} ({kind(environment)})")
        scales = autoscaling.scales(session, environment, found.instances)
        if scales and autoscaling.wanted(environment):
            progress(f"{endpoint}: it scales, so it keeps its instances: to have more, raise autoscaling.min")
        autoscaling.let_go(session, environment, found.config, config, progress)
        # Once more, as late as can be: a rollback rejects first, and looks afterwards whether anything has begun.
        choice.refuse_overtaken(session, environment, package)
        begun = endpoints.update(session, endpoint, config, deployment, scales)
    if not begun and not under_way(endpoints.state(session, endpoint), config):
        raise Overtaken("another deployment has just begun, of another version or settings; waiting for it")
    end = endpoints.settle(session, endpoint, progress, watch.look)
    if end is None:
        raise Failure(f"{endpoint} was deleted while it was being deployed")
    if end.status == "Failed" or (found is None and end.config != config):
        raise Failure(f"{endpoint}: version {package.version} does not start: {end.failure or end.status}")
    if end.config != config:
        seconds = time.monotonic() - started
        took = f" after {seconds / 60:.0f} min" if seconds > 90 else f" after {seconds:.0f} s"
        setbacks.explain_rollback(session, environment, package, end, watch.cause(end.failure), took)
    if found is not None:
        tell_answers(session, environment, begun_at, progress)


def tell_answers(session: boto3.Session, environment: Environment, since: datetime, progress: Progress) -> None:
    """Say what an endpoint answered while it was rolled out, as far as CloudWatch knows by now."""
    # The rollout has gone well: nobody who may not read metrics is told that it failed.
    with suppress(Failure):
        answered = copies.side(session, environment.endpoint_name, endpoints.VARIANT, since)
        if answered.requests:
            done = f"{kind(environment)} is through, without an alarm"
            progress(f"{environment.endpoint_name}: {done}; meanwhile {answered}")


def under_way(found: State | None, config: str) -> bool:
    """Whether a configuration is what an endpoint serves or goes to, as after a call that was answered too late."""
    return found is not None and config in (found.config, found.pending)


def kind(environment: Environment) -> str:
    """The rollout's name, for a person."""
    return environment.endpoint.rollout.kind.replace("_", " ") if environment.endpoint else ""


def calm(session: boto3.Session, environment: Environment, progress: Progress) -> None:
    """Wait until no alarm fires any more, as after a rollback; the manual one is let go, no rollback holds it now.

    Raises:
        Failure: one keeps firing: the version that serves is what it fires at.
    """
    alarms.set_manual(session, environment, on=False, why="no rollback is running")
    deadline, delay = time.monotonic() + CALM_SECONDS, endpoints.FIRST_DELAY
    said = False
    while readings := alarms.firing(session, environment):
        shown = " and ".join(map(str, readings))
        if time.monotonic() > deadline:
            raise Failure(
                f"{environment.endpoint_name}: {shown}, before anything is rolled out, which would be rolled back at "
                f"once; mlops rollback {environment.options} goes back to the version before, without alarms"
            )
        if not said:
            progress(f"{environment.endpoint_name}: {shown}; waiting until it has calmed down")
            said = True
        time.sleep(delay)
        delay = min(delay * 1.3, endpoints.LONGEST_DELAY)
