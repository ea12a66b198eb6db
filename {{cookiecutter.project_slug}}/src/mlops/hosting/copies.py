"""Copies: what the version that serves and the one in its shadow answered, from CloudWatch and the captures."""

import time
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import boto3

from mlops import aws
from mlops.hosting import alarms, endpoints
from mlops.monitoring import captures, predictionlog
from mlops.settings.project import Environment

MOST_POINTS = 1440
"""Datapoints that GetMetricStatistics gives in one answer; more are an error."""

PERIODS = (60, 300, 3600, 86_400)
"""Seconds that a datapoint may stand for: the first that is long enough is kept as far back as it is needed."""

CAPTURE_SECONDS = 300
"""How long to wait for captured answers: SageMaker writes them some minutes after it gave them."""


@dataclass(frozen=True)
class Side:
    """What a variant answered: the copies, the share that failed, and how long an answer took on average."""

    requests: int
    errors: float
    latency_ms: float

    def __str__(self) -> str:
        """`120 requests: errors 0.00%, latency 12 ms`."""
        return f"{self.requests} requests: errors {self.errors:.2%}, latency {self.latency_ms:.4g} ms"


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
    """Sum and number of a metric's values since a time: a shadow that a killed run left may be days old."""
    dimensions = [{"Name": "EndpointName", "Value": endpoint}, {"Name": "VariantName", "Value": variant}]
    until = datetime.now(UTC) + timedelta(minutes=1)
    span = (until - since).total_seconds()
    period = next((each for each in PERIODS if span / each < MOST_POINTS), PERIODS[-1])
    with aws.explained("GetMetricStatistics", f"{endpoint} {metric}"):
        points = aws.client(session, "cloudwatch").get_metric_statistics(
            Namespace="AWS/SageMaker",
            MetricName=metric,
            Dimensions=dimensions,
            StartTime=since,
            EndTime=until,
            Period=period,
            Statistics=["Sum", "SampleCount"],
        )["Datapoints"]
    return sum(point["Sum"] for point in points), sum(point["SampleCount"] for point in points)


def agreement(
    session: boto3.Session,
    environment: Environment,
    config: str,
    shadow: str,
    since: datetime,
    enough: float,
) -> tuple[int, float | None]:
    """How many rows were answered by both, and which share of them alike: in their decision, where there is one.

    Args:
        session: may read what was captured.
        environment: whose endpoint it is.
        config: the configuration with both.
        shadow: the variant beside the one that serves.
        since: when it began to serve.
        enough: the rows to wait for.
    """
    deadline, delay = time.monotonic() + CAPTURE_SECONDS, endpoints.FIRST_DELAY
    while True:
        both = [answers(session, environment, config, name, since) for name in (endpoints.VARIANT, shadow)]
        pairs = [pair for row in both[0] for pair in zip(both[0][row], both[1].get(row, []), strict=False)]
        if len(pairs) >= enough or time.monotonic() > deadline:
            alike = sum(first == second for first, second in pairs)
            return len(pairs), (alike / len(pairs) if pairs else None)
        time.sleep(delay)
        delay = min(delay * 1.3, endpoints.LONGEST_DELAY)


def answers(
    session: boto3.Session, environment: Environment, config: str, variant: str, since: datetime
) -> dict[str, list[str]]:
    """What a variant answered to each row, in order; the same row may have been asked several times."""
    endpoint = environment.endpoint_name
    capture = environment.endpoint.capture if environment.endpoint else None
    folder = captures.Folder(f"{captures.root(environment, endpoint)}{config}/{endpoint}/{variant}/", config, variant)
    found: dict[str, list[str]] = defaultdict(list)
    for day in captures.days(session, folder, since.astimezone(UTC).date(), datetime.now(UTC).date()):
        for captured in captures.of_day(session, folder, day):
            for asked, answered in predictionlog.pairs(captured.asked, captured.answered):
                said = predictionlog.decision(answered, capture) or predictionlog.as_text(answered)
                found[predictionlog.as_text(asked)].append(said)
    return found
