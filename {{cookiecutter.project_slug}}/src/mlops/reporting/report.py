"""The report on the model of a commit: what it is and measures, held against what serves."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import boto3

from mlops import aws, github
from mlops.compute import durations
from mlops.compute.attempts import Job
from mlops.compute.durations import JobTime
from mlops.errors import Failure, NotFound
from mlops.quality import gate, thresholds, verdicts
from mlops.quality.thresholds import Verdict
from mlops.registry import lineage, packages
from mlops.registry.lineage import Lineage
from mlops.registry.packages import ModelPackage
from mlops.settings.project import Environment, Settings

MARKER = "<!-- mlops report -->"
"""By which the comment of a pull request is found again."""


@dataclass(frozen=True)
class Metric:
    """A metric as the registry keeps it: the estimate with its confidence interval."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Served:
    """What serves in an environment; or why that is not known here."""

    environment: str
    package: ModelPackage | None
    why_not: str = ""

    @property
    def name(self) -> str:
        """The heading of its column."""
        return f"{self.environment} v{self.package.version}" if self.package else self.environment


@dataclass(frozen=True)
class Report:
    """All that the report on the model of a commit says.

    Args:
        package: the model in the registry; None when it is not there.
        why_not: why it is not; of a job that has failed, its reason and after it the last lines of its log.
        earlier: the run that made it, when that was not this one: then this one has trained nothing.
        decision: what the gate said of it against what serves, as the gate writes it; empty when it said nothing.
    """

    project: str
    environment: str
    lineage: Lineage
    package: ModelPackage | None
    why_not: str
    earlier: str
    metrics: dict[str, Metric]
    gate: list[Verdict]
    served: list[Served]
    jobs: list[JobTime] = field(default_factory=list)
    decision: dict[str, Any] = field(default_factory=dict)


def report(settings: Settings, environment: Environment) -> Report:
    """Gather the report on the model of HEAD in an environment.

    Args:
        settings: the project.
        environment: in whose group the model is looked for, and whose role is held.
    """
    session = aws.session(settings, environment, aws.duty_in(settings, environment))
    origin = lineage.of(settings)
    package = found(session, environment, origin.fingerprint)
    metrics, why_not, seen = metrics_of(package), "", list[Job]()
    decision = verdicts.stored(session, package) if package else {}
    if package is None:
        metrics, why_not, decision = unregistered(session, settings, environment, origin, seen.append)
    run = package.metadata.get("run_url", "") if package else ""
    return Report(
        project=settings.project,
        environment=environment.label,
        lineage=origin,
        package=package,
        why_not=why_not,
        earlier=run if run != github.run_url() and settings.before(environment) is None else "",
        metrics=metrics,
        gate=thresholds.verdicts(metrics, settings.gate) if metrics else [],
        served=[
            served(session, settings, environment, contender, package)
            for each in readable(settings, environment)
            if each.endpoint
            for contender in each.contenders
        ],
        jobs=durations.of(session, package, settings.prices)
        if package and settings.before(environment) is None
        else durations.of_jobs(seen, settings.prices),
        decision=decision,
    )


def readable(settings: Settings, environment: Environment) -> list[Environment]:
    """The environments whose groups the role of an environment reads: where models are trained, all of them."""
    before = settings.before(environment)
    return list(settings.environments) if before is None else [before, environment]


def found(session: boto3.Session, environment: Environment, fingerprint: str) -> ModelPackage | None:
    """The model in the environment's group, if it has come there."""
    try:
        return packages.find(session, environment.group, fingerprint)
    except NotFound:
        return None


def unregistered(
    session: boto3.Session,
    settings: Settings,
    environment: Environment,
    origin: Lineage,
    seen: Callable[[Job], None],
) -> tuple[dict[str, Metric], str, dict[str, Any]]:
    """The metrics of a model that was trained and not registered, why it is not, and what the gate says of it.

    `seen` is told the jobs that it took so far.
    """
    from mlops.compute import jobs

    before = settings.before(environment)
    if before is not None:
        return {}, f"It is not in {environment.name}: it has to pass {before.name} first", {}
    try:
        model = jobs.trained_model(settings, environment, seen=seen)
    except NotFound as error:
        return {}, f"Nobody has trained it yet: {error}", {}
    except Failure as error:
        return {}, str(error), {}
    metrics = {name: Metric(each.value, each.low, each.high) for name, each in model.metrics.items()}
    try:
        # A report starts no job: what registration has scored is found.
        decision = gate.of_trained(session, settings, environment, model, origin, lambda line: None, start=False)
    except Failure as error:
        return metrics, f"The gate can not judge it: {error}", {}
    why_not = "It is trained, and not registered"
    if decision.refusals:
        why_not = f"The gate refuses it: {'; '.join(decision.refusals)}"
    return metrics, why_not, json.loads(verdicts.document(decision))


def served(
    session: boto3.Session, settings: Settings, here: Environment, there: Environment, package: ModelPackage | None
) -> Served:
    """What serves in an environment: the newest approved version of its group, for no other one is deployed.

    In the environment that is reported itself, what served before this model.
    """
    # By its ARN a group is found in another account too, where its policy lets this role read it.
    group = packages.group_arn(settings.region, there.account, there.group)
    own = package.arn if package else ""
    try:
        for entry in packages.entries(session, there.group if there == here else group, "Approved"):
            if entry.arn != own:
                return Served(there.label, packages.describe(session, entry.arn))
    except NotFound:
        pass
    except Failure as error:
        return Served(there.label, None, f"cannot be read from {here.name}: {error}")
    return Served(there.label, None, "nothing serves yet" if there != here else "nothing else has served")


def metrics_of(package: ModelPackage | None) -> dict[str, Metric]:
    """The metrics in the metadata of a package."""
    values = package.metadata if package else {}

    def number(key: str) -> float | None:
        return float(values[key]) if key in values else None

    names = [key.removeprefix("metric.") for key in values if key.startswith("metric.")]
    names = [name for name in names if not name.endswith((".low", ".high"))]
    return {
        name: Metric(float(values[f"metric.{name}"]), number(f"metric.{name}.low"), number(f"metric.{name}.high"))
        for name in names
    }


def parameters_of(package: ModelPackage) -> dict[str, str]:
    """The parameters in the metadata of a package."""
    metadata = package.metadata.items()
    return {key.removeprefix("parameter."): value for key, value in metadata if key.startswith("parameter.")}


def publish(text: str) -> list[str]:
    """Write the report as the one comment of each open pull request of this branch.

    Returns:
        Addresses of the comments; none when there is no pull request, or no token to write with.
    """
    if not github.can_write():
        return []
    return [github.comment(number, MARKER, text) for number in github.pull_requests(github.branch())]
