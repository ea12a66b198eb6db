"""Shadow rollouts: the new version is asked copies of the requests, and held against the one that serves."""

import hashlib
import json
import re
import time
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import boto3

from mlops import aws
from mlops.errors import BadInput, Failure
from mlops.hosting import alarms, copies, endpoints, inventory, rollouts
from mlops.hosting.alarms import Reading
from mlops.hosting.copies import Side
from mlops.hosting.endpoints import Progress, State
from mlops.monitoring import captures
from mlops.registry import decisions, groups, packages
from mlops.registry.packages import ModelPackage
from mlops.settings.project import Environment, Settings
from mlops.settings.serving import Shadow

NAME = re.compile(r"-s-v[0-9]+-[0-9a-f]{8}$")
"""How the name of a configuration with a shadow ends; its version is the one that serves."""

BY = "mlops deploy"


@dataclass(frozen=True)
class Report:
    """A shadow compared with the version that serves.

    Attributes:
        undecided: why nothing can be said of the version; else it takes over, or has problems.
    """

    serving: Side
    shadow: Side
    pairs: int
    agreement: float | None
    problems: list[str] = field(default_factory=list)
    undecided: str = ""

    def __str__(self) -> str:
        """One line: `100 copies: errors 0 % (serving 0 %), latency 12 ms (10 ms), 98 % of 100 answers alike`."""
        line = (
            f"{self.shadow.requests} copies: errors {self.shadow.errors:.2%} (serving {self.serving.errors:.2%}), "
            f"latency {self.shadow.latency_ms:.4g} ms (serving {self.serving.latency_ms:.4g} ms)"
        )
        return line if self.agreement is None else f"{line}, {self.agreement:.2%} of {self.pairs} answers alike"


def is_shadowed(config: str) -> bool:
    """Whether a configuration has a shadow, by its name."""
    return NAME.search(config) is not None


def without_shadow(session: boto3.Session, config: str) -> str:
    """The configuration of the version that serves alone; its model has the same name."""
    if not is_shadowed(config):
        return config
    return str(described(session, config)["ProductionVariants"][0]["ModelName"])


def carry_out(
    session: boto3.Session,
    settings: Settings,
    environment: Environment,
    package: ModelPackage,
    found: State,
    progress: Progress,
) -> Report | None:
    """Ask a version copies of the requests for as long as the settings say; it stays in the shadow at the end.

    A run that was killed is taken up: the copies that were answered since count.

    Returns:
        What was compared; None when this version serves already, and only its settings change.

    Raises:
        Failure: it did worse than the rules allow, and is Rejected; or it is undecided, and Approved as before; or
            another run has taken the endpoint.
    """
    rollout = rule_of(environment)
    serving = inventory.own_version(session, environment, found.config)
    if serving in (package.version, None):
        return None
    endpoint = environment.endpoint_name
    config = prepare(session, settings, environment, package, without_shadow(session, found.config))
    if found.config != config:
        progress(
            f"{endpoint}: version {package.version} goes into the shadow, with {rollout.percent} % of the requests"
        )
        # Guardrails shift traffic, and a shadow takes none: SageMaker's all at once, which it does by itself.
        endpoints.update(session, endpoint, config, {})
        found = endpoints.settle(session, endpoint, progress) or found
        if found.config != config:
            why = found.failure or f"it serves {found.config}"
            raise Failure(f"{endpoint}: version {package.version} did not come into the shadow: {why}; run it again")
    report = watched(session, settings, environment, package, config, found.modified, progress)
    progress(f"{endpoint}: {report}")
    if report.undecided:
        leave(session, endpoint, config, progress)
        raise Failure(
            f"{endpoint}: the shadow says nothing of version {package.version}, which is still Approved: "
            f"{report.undecided} ({report})"
        )
    if report.problems:
        why = "; ".join(report.problems)
        decisions.record(session, packages.describe(session, package.arn), "Rejected", BY, f"in the shadow: {why}")
        leave(session, endpoint, config, progress)
        raise Failure(f"{endpoint}: version {package.version} does not take over and is now Rejected: {why} ({report})")
    return report


def rule_of(environment: Environment) -> Shadow:
    """The shadow that the settings ask for.

    Raises:
        BadInput: they ask for another rollout.
    """
    if environment.endpoint is None or not isinstance(environment.endpoint.rollout, Shadow):
        raise BadInput(f"environments.{environment.name}.endpoint.rollout is no shadow; give kind: shadow")
    return environment.endpoint.rollout


def end(
    session: boto3.Session, settings: Settings, environment: Environment, package: ModelPackage, progress: Progress
) -> None:
    """Take a version away that is in the shadow for nothing any more; another run's shadow stays."""
    found = endpoints.state(session, environment.endpoint_name)
    if found is None or not found.settled or not is_shadowed(found.config):
        return
    if model_of(session, found.config) == endpoints.config_name(settings, environment, package):
        leave(session, environment.endpoint_name, found.config, progress)


def model_of(session: boto3.Session, config: str) -> str:
    """The model in a configuration's shadow; its name is that of the configuration in which it would serve."""
    return str(described(session, config)["ShadowProductionVariants"][0]["ModelName"])


def leave(session: boto3.Session, endpoint: str, config: str, progress: Progress) -> None:
    """Take the shadow away; the version that serves goes on."""
    endpoints.update(session, endpoint, without_shadow(session, config), rollouts.unguarded())
    endpoints.settle(session, endpoint, progress)


def prepare(
    session: boto3.Session, settings: Settings, environment: Environment, package: ModelPackage, serving: str
) -> str:
    """Make the configuration in which a version stands in the shadow of another one's, unless it is there.

    The variant whose answers nobody gets has its model's name: what is captured lies below it, and is known to be that
    version's when the configuration was pruned. Alarms watch the other one.
    """
    rollout, model = rule_of(environment), endpoints.prepare(session, settings, environment, package)
    there = described(session, serving)
    (variant,) = there["ProductionVariants"]
    weight = variant.get("InitialVariantWeight", 1.0) * rollout.percent / 100
    own = {key: value for key, value in endpoints.variant_settings(settings, environment).items() if key != "KmsKeyId"}
    shadow = {"VariantName": model, "ModelName": model, "InitialVariantWeight": weight, **own}
    hash8 = hashlib.sha256(json.dumps([serving, shadow], sort_keys=True).encode()).hexdigest()[:8]
    name = f"{inventory.group_of(serving)}-s-v{endpoints.version_of(serving)}-{hash8}"
    capture = environment.endpoint.capture if environment.endpoint else None
    root = captures.root(environment, environment.endpoint_name)
    with aws.explained("CreateEndpointConfig", name), endpoints.unless_done("already exist"):
        aws.client(session, "sagemaker").create_endpoint_config(
            EndpointConfigName=name,
            ProductionVariants=[variant],
            ShadowProductionVariants=[shadow],
            Tags=groups.tags(settings, environment),
            **({"KmsKeyId": there["KmsKeyId"]} if there.get("KmsKeyId") else {}),
            **captures.configuration(environment, capture, root, name),
        )
    return name


def described(session: boto3.Session, config: str) -> dict[str, Any]:
    """A configuration as SageMaker has it."""
    with aws.explained("DescribeEndpointConfig", config):
        return dict(aws.client(session, "sagemaker").describe_endpoint_config(EndpointConfigName=config))


def watched(
    session: boto3.Session,
    settings: Settings,
    environment: Environment,
    package: ModelPackage,
    config: str,
    since: datetime,
    progress: Progress,
) -> Report:
    """Wait for the copies that the settings ask for, or until their time is over or an alarm fires; then compare.

    Raises:
        Failure: another run has taken the endpoint meanwhile, or rejected the version.
    """
    rollout, endpoint, variant = (
        rule_of(environment),
        environment.endpoint_name,
        endpoints.config_name(settings, environment, package),
    )
    deadline, delay = time.monotonic() + rollout.seconds, endpoints.FIRST_DELAY
    while True:
        state = endpoints.state(session, endpoint)
        if state is None or state.config != config or state.pending:
            raise Failure(f"{endpoint}: version {package.version} is in the shadow no more: another run took it away")
        fired = alarms.firing(session, environment)
        asked = copies.side(session, endpoint, variant, since).requests
        if fired or asked >= rollout.requests or time.monotonic() > deadline:
            break
        time.sleep(min(delay, max(0.0, deadline - time.monotonic())))
        delay = min(delay * 1.3, endpoints.LONGEST_DELAY)
    if (status := packages.describe(session, package.arn).status) != "Approved":
        leave(session, endpoint, config, progress)
        raise Failure(f"{endpoint}: version {package.version} is {status} since it is in the shadow")
    serving, shadow = (copies.side(session, endpoint, name, since) for name in (endpoints.VARIANT, variant))
    report = Report(serving, shadow, 0, None, undecided=unknown(environment, shadow, fired))
    if report.undecided:
        return report
    report = replace(report, problems=broken(rollout, report))
    # Reading what both have answered takes minutes: only for a version that may still take over.
    if rollout.agreement is None or report.problems:
        return report
    progress(f"{endpoint}: reading what both have answered")
    pairs, alike = copies.agreement(session, environment, config, variant, since, awaited(environment))
    report = replace(report, pairs=pairs, agreement=alike)
    if alike is None:
        why = f"no request was captured of both: give a higher {at(environment)}.capture.percent, or more requests"
        return replace(report, undecided=why)
    if alike < rollout.agreement:
        return replace(report, problems=[f"agreement {alike:.2%}, at least {rollout.agreement:.2%}"])
    return report


def unknown(environment: Environment, shadow: Side, fired: list[Reading]) -> str:
    """Why nothing can be said of a version in the shadow; empty when it can.

    The alarms are those of the version that serves: what it goes through is no fault of the other one, and what is
    compared meanwhile is no rule for it.
    """
    rollout = rule_of(environment)
    if fired:
        shown = " and ".join(map(str, fired))
        return f"{shown}, of what serves meanwhile; when it has calmed down: mlops deploy {environment.options}"
    if shadow.requests < rollout.requests:
        return (
            f"{shadow.requests} of {rollout.requests} copies within {rollout.seconds} s: give fewer requests, more "
            f"seconds or a higher percent in {at(environment)}.rollout, then mlops deploy {environment.options}"
        )
    return ""


def at(environment: Environment) -> str:
    """Where mlops.yaml says what an environment's endpoint is."""
    return f"environments.{environment.name}.{'challenger.' if environment.is_challenger else ''}endpoint"


def broken(rollout: Shadow, report: Report) -> list[str]:
    """The rules that a shadow does not keep, but for that of the answers."""
    found, shadow, serving = [], report.shadow, report.serving
    if shadow.errors > serving.errors + rollout.errors:
        found.append(f"errors {shadow.errors:.2%}, at most {serving.errors + rollout.errors:.2%}")
    if serving.requests and shadow.latency_ms > serving.latency_ms * rollout.latency:
        found.append(f"latency {shadow.latency_ms:.4g} ms, at most {serving.latency_ms * rollout.latency:.4g} ms")
    return found


def awaited(environment: Environment) -> float:
    """How many pairs to wait for: half of those that the sampling of both leaves, for the last are written late."""
    capture = environment.endpoint.capture if environment.endpoint else None
    sampled = capture.percent / 100 if capture else 1.0
    return max(1.0, rule_of(environment).requests * sampled**2 / 2)
