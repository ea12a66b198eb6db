"""The metrics that endpoints emit, put into moto's CloudWatch where everybody else's metrics are."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from sandbox import backends

NAMESPACE = "AWS/SageMaker"
_OLD_ONES = 200


def emit(account: str, region: str, endpoint: str, variant: str, values: dict[str, float]) -> None:
    """Put one datapoint for each metric of a variant; times are in microseconds, as SageMaker gives them."""
    dimensions = [{"Name": "EndpointName", "Value": endpoint}, {"Name": "VariantName", "Value": variant}]
    moment = utc_now()
    data = [
        {
            "MetricName": name,
            "Value": value,
            "Timestamp": moment,
            "Dimensions": dimensions,
            "Unit": "Microseconds" if name.endswith("Latency") else "None",
        }
        for name, value in values.items()
    ]
    backends.backends("cloudwatch")[account][region].put_metric_data(NAMESPACE, data)


def since(account: str, region: str, alarm: Any, seconds: float) -> Iterator[tuple[float, Any]]:
    """The datapoints of an alarm's metric in the last so many seconds, each with its age."""
    now = utc_now()
    earliest = now - timedelta(seconds=seconds)
    wanted = {(each.name, each.value) for each in alarm.dimensions}
    old = 0
    known = backends.backends("cloudwatch")[account][region].metric_data
    for datum in reversed(known[:]):
        moment = naive(datum.timestamp)
        if moment < earliest:
            # They are kept in the order in which they came; only those that people send may bear an earlier time.
            old += 1
            if old > _OLD_ONES:
                return
            continue
        same = datum.namespace == alarm.namespace and datum.name == alarm.metric_name
        if same and {(each.name, each.value) for each in datum.dimensions} == wanted:
            yield (now - moment).total_seconds(), datum


def naive(moment: datetime) -> datetime:
    """moto's clock has no zone and means UTC."""
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


def utc_now() -> datetime:
    """The time as moto keeps it."""
    return naive(datetime.now(UTC))
