"""The trial: what a model has served as challenger, and what it lacks of what is asked before it is champion."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import boto3

from mlops import aws
from mlops.errors import NotApproved, NotFound
from mlops.hosting import endpoints
from mlops.registry import packages
from mlops.registry.packages import ModelPackage
from mlops.settings.project import Environment

SINCE = "serves_since"
"""What a challenger's metadata says of when its endpoint began to serve it. SageMaker itself knows only when an
endpoint was changed last, which scaling does too. After a space, when the endpoint had been made that it came to: since
then the version before it had no break."""

UNTIL = "served_until"
"""The same of when the next one came to serve: that one's own beginning is another one when it is gone back to."""

MOST_POINTS = 1440
"""Datapoints that GetMetricStatistics gives in one answer."""

PERIODS = (60, 3600, 86_400)
"""Seconds that a datapoint may stand for; CloudWatch keeps the shorter ones for less time than they can reach back."""


@dataclass(frozen=True)
class Trial:
    """What a model has served as challenger.

    Attributes:
        missing: what it lacks before it may be approved as champion; nothing when it is proven.
    """

    package: str
    version: int
    since: datetime
    hours: float
    requests: int
    missing: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """`420 requests in 2.5 h as challenger`."""
        return f"{self.requests} requests in {self.hours:.1f} h as challenger"


@dataclass(frozen=True)
class Beginning:
    """When a version came to serve, and when the endpoint had been made that it came to, where that is known."""

    since: datetime
    made: datetime | None

    def __str__(self) -> str:
        """As it is noted."""
        return " ".join(each.isoformat() for each in (self.since, self.made) if each)


@dataclass(frozen=True)
class Service:
    """From when until when an endpoint served a challenger's version.

    Attributes:
        without_a_break_since: it was not stopped in between; None when nobody knows.
    """

    package: ModelPackage
    since: datetime
    without_a_break_since: datetime | None
    until: datetime
    is_stopped: bool


def begun(session: boto3.Session, package: ModelPackage, before: int | None, made: datetime | None = None) -> None:
    """Note on a challenger's version that its endpoint serves it from now on, unless it did so before.

    Args:
        session: may update it.
        package: the version.
        before: the version that the endpoint served until now; None when there was no endpoint, for it was stopped.
        made: when that endpoint had been made; None where it is not known.
    """
    if SINCE in package.metadata and (before == package.version or (before is None and not followed(session, package))):
        return
    now = Beginning(datetime.now(UTC), made)
    # The end of the one before goes first: after a kill in between, this one begins when the run is made again.
    for other, follower in ending(session, package, before, now):
        note(session, other, {UNTIL: str(follower)})
    note(session, package, {SINCE: str(now)})


def ending(
    session: boto3.Session, package: ModelPackage, before: int | None, now: Beginning
) -> list[tuple[ModelPackage, Beginning]]:
    """The versions whose time as challenger is over and not noted, each with the beginning that ended it."""
    if before is None or before == package.version:
        # It is not known what served: a run that was killed, or an endpoint that was stopped.
        found = [packages.describe(session, entry.arn) for entry in packages.entries(session, package.group)]
    else:
        try:
            found = [packages.of_version(session, package.group, before)]
        except NotFound:
            found = []
    others = [(each, own) for each in found if each.arn != package.arn and (own := beginning(each))]
    began = [own for _, own in others]
    return [(each, follower_of(own, [*began, now]) or now) for each, own in others if ended(each, own) is None]


def ended(package: ModelPackage, own: Beginning) -> Beginning | None:
    """What has ended the time that a version began last, as it is noted: what ended an earlier one counts no more."""
    over = noted(package, UNTIL)
    return over if over and over.since > own.since else None


def follower_of(own: Beginning, others: list[Beginning]) -> Beginning | None:
    """The first of some beginnings that came after one."""
    return min((each for each in others if each.since > own.since), key=lambda each: each.since, default=None)


def note(session: boto3.Session, package: ModelPackage, said: dict[str, str]) -> None:
    """Write something into a version's metadata."""
    with aws.explained("UpdateModelPackage", package.arn):
        aws.client(session, "sagemaker").update_model_package(
            ModelPackageArn=package.arn, CustomerMetadataProperties=said
        )


def followed(session: boto3.Session, package: ModelPackage) -> bool:
    """Whether another version of the group has begun to serve after this one."""
    own = beginning(package)
    others = (packages.describe(session, entry.arn) for entry in packages.entries(session, package.group))
    began = (found for each in others if (found := beginning(each)))
    return own is not None and any(each.since > own.since for each in began)


def beginning(package: ModelPackage) -> Beginning | None:
    """When a challenger's version came to serve; None when it has not."""
    return noted(package, SINCE)


def noted(package: ModelPackage, key: str) -> Beginning | None:
    """The beginning that a version's metadata has under a key."""
    since, _, made = package.metadata.get(key, "").partition(" ")
    if not since:
        return None
    return Beginning(datetime.fromisoformat(since), datetime.fromisoformat(made) if made else None)


def refuse_unproven(session: boto3.Session, environment: Environment, package: ModelPackage) -> str:
    """Refuse to make champion what has not served as challenger as the settings ask.

    Returns:
        What it has served.

    Raises:
        NotApproved: it has not; with what is missing.
    """
    try:
        found = of(session, environment, package)
        problems = found.missing
    except NotApproved as error:
        problems = [str(error)]
    if problems:
        then = f"mlops approve {environment.options} --version {package.version} --by NAME --reason WHY"
        if package.status == "Approved":
            # In the registry, past this rule: nobody has to decide again.
            then = f"mlops deploy {environment.options}, or the workflow approved by hand"
        raise NotApproved(f"{package.name} can not become champion yet: {'; '.join(problems)}; when it has: {then}")
    return str(found)


def of(session: boto3.Session, environment: Environment, package: ModelPackage) -> Trial:
    """What the model of a champion's version has served as challenger.

    Args:
        session: may look at the challenger's versions, its endpoint and its metrics.
        environment: in which both serve.
        package: the champion's version; the challenger's is the one of the same fingerprint.
    """
    challenger = environment.contender("challenger")
    served = service(session, challenger, package.fingerprint)
    own, asked = served.package, environment.challenger
    unbroken = served.without_a_break_since
    hours = (served.until - unbroken).total_seconds() / 3600 if unbroken else 0.0
    requests = invocations(session, challenger, served.since, served.until)
    missing = []
    if asked and asked.hours and unbroken is None:
        again = f"mlops rollback {challenger.options} --to {own.version}"
        missing.append(f"nobody knows for how long it served without a break before another one: {again} has it serve")
    elif asked and hours < asked.hours:
        missing.append(f"it has served for {hours:.1f} h without a break, {asked.hours:g} h are asked")
    if asked and requests < asked.requests:
        missing.append(f"it has been asked {requests} times, {asked.requests} requests are asked")
    if missing and served.is_stopped:
        missing.append(f"{challenger.endpoint_name} is stopped, and mlops deploy {challenger.options} starts it")
    return Trial(own.arn, own.version, served.since, hours, requests, missing)


def service(session: boto3.Session, challenger: Environment, fingerprint: str) -> Service:
    """When the challenger's endpoint has served the version of a fingerprint.

    Raises:
        NotApproved: it has not, or that is not known, or the version was rejected.
    """
    later: list[Beginning] = []
    for entry in packages.entries(session, challenger.group):
        package = packages.describe(session, entry.arn)
        own = beginning(package)
        if package.fingerprint == fingerprint:
            break
        if own:
            later.append(own)
    else:
        raise NotApproved(f"{challenger.group} has no version of this model")
    if package.status == "Rejected":
        raise NotApproved(f"{package.name} is Rejected ({package.reason.partition(' | ')[0]})")
    if own is None:
        raise NotApproved(f"{package.name} has not served: mlops deploy {challenger.options}")
    since = own.since
    if over := ended(package, own):
        later.append(over)
    if follower := follower_of(own, later):
        unbroken = min(max(since, follower.made), follower.since) if follower.made else None
        return Service(package, since, unbroken, follower.since, is_stopped=False)
    now, found = datetime.now(UTC), endpoints.state(session, challenger.endpoint_name)
    if found is None:
        # What it was asked is counted still; for how long it answered nobody has written down.
        return Service(package, since, now, now, is_stopped=True)
    if endpoints.version_of(found.config) != package.version:
        raise NotApproved(f"{challenger.endpoint_name} does not serve {package.name} any more")
    return Service(package, since, max(since, found.created), now, is_stopped=False)


def invocations(session: boto3.Session, environment: Environment, since: datetime, until: datetime) -> int:
    """How often an endpoint was asked."""
    seconds = (until - since).total_seconds()
    period = next((each for each in PERIODS if seconds / each < MOST_POINTS - 1), PERIODS[-1])
    with aws.explained("GetMetricStatistics", environment.endpoint_name):
        answer = aws.client(session, "cloudwatch").get_metric_statistics(
            Namespace="AWS/SageMaker",
            MetricName="Invocations",
            Dimensions=[
                {"Name": "EndpointName", "Value": environment.endpoint_name},
                {"Name": "VariantName", "Value": endpoints.VARIANT},
            ],
            StartTime=since,
            # CloudWatch takes whole seconds: the one that has begun is counted too.
            EndTime=(until + timedelta(seconds=1)).replace(microsecond=0),
            Period=period,
            Statistics=["Sum"],
        )
    total: float = sum(each["Sum"] for each in answer["Datapoints"])
    return round(total)
