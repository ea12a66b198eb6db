"""Shadow rollouts: the new version is asked copies of the requests, and held against the one that serves."""

import hashlib
import json
import re
import time
from collections import defaultdict
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3

from mlops import aws
from mlops.errors import BadInput, Failure
from mlops.hosting import alarms, endpoints, rollouts
from mlops.hosting.endpoints import Progress, State
from mlops.monitoring import captures, predictionlog
from mlops.registry import approval, groups, packages
from mlops.registry.packages import ModelPackage
from mlops.settings.project import Environment, Settings
from mlops.settings.serving import Shadow

VARIANT = "shadow"
"""Name of the variant whose answers nobody gets; alarms watch the other one."""

NAME = re.compile(r"-s-v[0-9]+-[0-9a-f]{8}$")
"""How the name of a configuration with a shadow ends; its version is the one that serves."""

BY = "mlops deploy"
CAPTURE_SECONDS = 300
"""How long to wait for captured answers: SageMaker writes them some minutes after it gave them."""


@dataclass(frozen=True)
class Side:
    """What a variant answered: the copies, the share that failed, and how long an answer took on average."""

    requests: int
    errors: float
    latency_ms: float


@dataclass(frozen=True)
class Report:
    """A shadow compared with the version that serves; with problems it does not take over."""

    serving: Side
    shadow: Side
    pairs: int
    agreement: float | None
    problems: list[str] = field(default_factory=list)

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
        Failure: it did worse than the rules allow, and is Rejected; or another run has taken the endpoint.
    """
    rollout = rule_of(environment)
    if endpoints.version_of(found.config) in (package.version, None):
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
    report = watched(session, environment, package, config, found.modified, progress)
    progress(f"{endpoint}: {report}")
    if report.problems:
        why = "; ".join(report.problems)
        approval.record(session, packages.describe(session, package.arn), "Rejected", BY, f"in the shadow: {why}")
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


def leave(session: boto3.Session, endpoint: str, config: str, progress: Progress) -> None:
    """Take the shadow away; the version that serves goes on."""
    endpoints.update(session, endpoint, without_shadow(session, config), rollouts.unguarded())
    endpoints.settle(session, endpoint, progress)


def prepare(
    session: boto3.Session, settings: Settings, environment: Environment, package: ModelPackage, serving: str
) -> str:
    """Make the configuration in which a version stands in the shadow of another one's, unless it is there."""
    rollout, model = rule_of(environment), endpoints.prepare(session, settings, environment, package)
    there = described(session, serving)
    (variant,) = there["ProductionVariants"]
    weight = variant.get("InitialVariantWeight", 1.0) * rollout.percent / 100
    own = {key: value for key, value in endpoints.variant_settings(settings, environment).items() if key != "KmsKeyId"}
    shadow = {"VariantName": VARIANT, "ModelName": model, "InitialVariantWeight": weight, **own}
    hash8 = hashlib.sha256(json.dumps([serving, shadow], sort_keys=True).encode()).hexdigest()[:8]
    name = f"{environment.group}-s-v{endpoints.version_of(serving)}-{hash8}"
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
    rollout, endpoint = rule_of(environment), environment.endpoint_name
    deadline, delay = time.monotonic() + rollout.seconds, endpoints.FIRST_DELAY
    while True:
        state = endpoints.state(session, endpoint)
        if state is None or state.config != config or state.pending:
            raise Failure(f"{endpoint}: version {package.version} is in the shadow no more: another run took it away")
        fired = alarms.firing(session, environment)
        asked = side(session, endpoint, VARIANT, since).requests
        if fired or asked >= rollout.requests or time.monotonic() > deadline:
            break
        time.sleep(min(delay, max(0.0, deadline - time.monotonic())))
        delay = min(delay * 1.3, endpoints.LONGEST_DELAY)
    if (status := packages.describe(session, package.arn).status) != "Approved":
        raise Failure(f"{endpoint}: version {package.version} is {status} since it is in the shadow")
    serving, shadow = (side(session, endpoint, name, since) for name in (endpoints.VARIANT, VARIANT))
    report = Report(serving, shadow, 0, None, [f"{each} while it was in the shadow" for each in fired])
    # Reading what both have answered takes minutes: only for a version that may still take over.
    if rollout.agreement is not None and not broken(rollout, report, compared=False):
        progress(f"{endpoint}: reading what both have answered")
        pairs, alike = agreement(session, environment, config, since)
        report = replace(report, pairs=pairs, agreement=alike)
    return replace(report, problems=broken(rollout, report))


def broken(rollout: Shadow, report: Report, compared: bool = True) -> list[str]:
    """The rules that a shadow does not keep, beside what is known; of the answers only when they were compared."""
    found, shadow, serving = list(report.problems), report.shadow, report.serving
    if shadow.requests < rollout.requests:
        found.append(f"{shadow.requests} of {rollout.requests} copies within {rollout.seconds} s")
    if shadow.errors > serving.errors + rollout.errors:
        found.append(f"errors {shadow.errors:.2%}, at most {serving.errors + rollout.errors:.2%}")
    if serving.requests and shadow.latency_ms > serving.latency_ms * rollout.latency:
        found.append(f"latency {shadow.latency_ms:.4g} ms, at most {serving.latency_ms * rollout.latency:.4g} ms")
    if rollout.agreement is None or not compared:
        return found
    if report.agreement is None:
        found.append("no request was captured of both")
    elif report.agreement < rollout.agreement:
        found.append(f"agreement {report.agreement:.2%}, at least {rollout.agreement:.2%}")
    return found


def side(session: boto3.Session, endpoint: str, variant: str, since: datetime) -> Side:
    """What CloudWatch has of a variant since a time."""
    failed = sum(measured(session, endpoint, variant, f"Invocation{kind}Errors", since)[0] for kind in ("4XX", "5XX"))
    # After the errors: a request that comes in between would else have failed without having been made.
    requests, _ = measured(session, endpoint, variant, "Invocations", since)
    latency, count = measured(session, endpoint, variant, "ModelLatency", since)
    return Side(
        requests=round(requests),
        errors=failed / requests if requests else 0.0,
        latency_ms=latency / count / alarms.MICROSECONDS * 1000 if count else 0.0,
    )


def measured(session: boto3.Session, endpoint: str, variant: str, metric: str, since: datetime) -> tuple[float, float]:
    """Sum and number of a metric's values since a time."""
    dimensions = [{"Name": "EndpointName", "Value": endpoint}, {"Name": "VariantName", "Value": variant}]
    with aws.explained("GetMetricStatistics", f"{endpoint} {metric}"):
        points = aws.client(session, "cloudwatch").get_metric_statistics(
            Namespace="AWS/SageMaker",
            MetricName=metric,
            Dimensions=dimensions,
            StartTime=since,
            EndTime=datetime.now(UTC) + timedelta(minutes=1),
            Period=60,
            Statistics=["Sum", "SampleCount"],
        )["Datapoints"]
    return sum(point["Sum"] for point in points), sum(point["SampleCount"] for point in points)


def agreement(
    session: boto3.Session, environment: Environment, config: str, since: datetime
) -> tuple[int, float | None]:
    """How many rows were answered by both, and which share of them alike: in their decision, where there is one."""
    deadline = time.monotonic() + CAPTURE_SECONDS
    delay, enough = endpoints.FIRST_DELAY, awaited(environment)
    while True:
        both = [answers(session, environment, config, name, since) for name in (endpoints.VARIANT, VARIANT)]
        pairs = [pair for row in both[0] for pair in zip(both[0][row], both[1].get(row, []), strict=False)]
        if len(pairs) >= enough or time.monotonic() > deadline:
            alike = sum(first == second for first, second in pairs)
            return len(pairs), (alike / len(pairs) if pairs else None)
        time.sleep(delay)
        delay = min(delay * 1.3, endpoints.LONGEST_DELAY)


def awaited(environment: Environment) -> float:
    """How many pairs to wait for: half of those that the sampling of both leaves, for the last are written late."""
    capture = environment.endpoint.capture if environment.endpoint else None
    sampled = capture.percent / 100 if capture else 1.0
    return max(1.0, rule_of(environment).requests * sampled**2 / 2)


def answers(
    session: boto3.Session, environment: Environment, config: str, variant: str, since: datetime
) -> dict[str, list[str]]:
    """What a variant answered to each row, in order; the same row may have been asked several times."""
    endpoint = environment.endpoint_name
    capture = environment.endpoint.capture if environment.endpoint else None
    folder = captures.Folder(f"{captures.root(environment, endpoint)}{config}/{endpoint}/{variant}/", config, variant)
    found: dict[str, list[str]] = defaultdict(list)
    for day in captures.days(session, folder, since.date(), datetime.now(UTC).date()):
        for captured in captures.of_day(session, folder, day):
            for asked, answered in predictionlog.pairs(captured.asked, captured.answered):
                said = predictionlog.decision(answered, capture) or predictionlog.as_text(answered)
                found[predictionlog.as_text(asked)].append(said)
    return found
