"""CloudWatch alarms, evaluated from the metrics that are there; moto keeps alarms but never looks at metrics."""

from __future__ import annotations

import math
from collections.abc import Callable
from threading import Event, Lock, Thread
from typing import Any

from sandbox import backends
from sandbox.hosting import metrics
from sandbox.operations import Refusal
from sandbox.sandbox import Sandbox

TICK_SECONDS = 0.05
"""Between two looks at the alarms of a deployment."""

_IDLE_TICK = 15
"""Between two looks at all alarms, in seconds of AWS: a quarter of the shortest period that this project has."""

_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "GreaterThanThreshold": lambda value, threshold: value > threshold,
    "GreaterThanOrEqualToThreshold": lambda value, threshold: value >= threshold,
    "LessThanThreshold": lambda value, threshold: value < threshold,
    "LessThanOrEqualToThreshold": lambda value, threshold: value <= threshold,
}
_LOCK = Lock()


def watch(sandbox: Sandbox) -> None:
    """Evaluate all alarms of all accounts again and again, until the sandbox stops."""
    stopped, pause = Event(), max(TICK_SECONDS, sandbox.seconds(_IDLE_TICK))
    sandbox.on_stop.append(stopped.set)

    def tick() -> None:
        while not stopped.wait(pause):
            for account, regions in list(backends.backends("cloudwatch").items()):
                for region, backend in list(regions.items()):
                    for alarm in list(backend.alarms.values()):
                        evaluate(sandbox, account, region, alarm)

    Thread(target=tick, daemon=True, name="alarms").start()


def exist(account: str, region: str, names: list[str]) -> None:
    """Refuse when one of the alarms does not exist."""
    for name in names:
        if name not in backends.backends("cloudwatch")[account][region].alarms:
            raise Refusal("ValidationException", f"Alarm {name} does not exist in account {account}, region {region}.")


def firing(sandbox: Sandbox, account: str, region: str, names: list[str]) -> list[str]:
    """Which of the alarms are in ALARM now."""
    alarms = backends.backends("cloudwatch")[account][region].alarms
    for name in names:
        if name in alarms:
            evaluate(sandbox, account, region, alarms[name])
    return [name for name in names if name in alarms and alarms[name].state_value == "ALARM"]


def evaluate(sandbox: Sandbox, account: str, region: str, alarm: Any) -> None:
    """Bring an alarm's state up to date; its periods pass as fast as the sandbox's time does.

    One on a metric expression, or a composite one, keeps the state that it was set to.
    """
    if not alarm.metric_name or alarm.comparison_operator not in _COMPARISONS:
        return
    period = sandbox.seconds(int(alarm.period or 60))
    count = int(alarm.evaluation_periods or 1)
    periods: list[list[Any]] = [[] for _ in range(count)]
    with _LOCK:
        for age, datum in metrics.since(account, region, alarm, period * count):
            periods[min(int(max(age, 0) / period), count - 1)].append(datum)
        values = [statistic(alarm, data) if data else None for data in periods]
        state = _state(alarm, values)
        if state != alarm.state_value and not _was_just_set(alarm, period):
            alarm.update_state(_why(alarm, values), "{}", state)


def statistic(alarm: Any, data: list[Any]) -> float:
    """An alarm's statistic over the datapoints of one period."""
    singles = [datum.value for datum in data if hasattr(datum, "value")]
    sets = [datum for datum in data if not hasattr(datum, "value")]
    count = len(singles) + sum(datum.sample_count for datum in sets)
    total = sum(singles) + sum(datum.sum for datum in sets)
    if alarm.extended_statistic:
        ordered = sorted(singles)
        share = float(str(alarm.extended_statistic).lstrip("p")) / 100
        return float(ordered[max(0, math.ceil(share * len(ordered)) - 1)]) if ordered else math.nan
    name = alarm.statistic
    if name == "Maximum":
        return float(max([*singles, *(datum.max for datum in sets)]))
    if name == "Minimum":
        return float(min([*singles, *(datum.min for datum in sets)]))
    return float({"Sum": total, "SampleCount": count}.get(name, total / count))


def _state(alarm: Any, values: list[float | None]) -> str:
    """M of the last N periods have to breach; a period without data counts as the alarm says."""
    missing = {"notBreaching": False, "breaching": True}.get(alarm.treat_missing_data)
    breaches = _COMPARISONS[alarm.comparison_operator]
    marks = [missing if value is None else breaches(value, float(alarm.threshold)) for value in values]
    if all(mark is None for mark in marks):
        return str(alarm.state_value) if alarm.treat_missing_data == "ignore" else "INSUFFICIENT_DATA"
    needed = int(alarm.datapoints_to_alarm or len(marks))
    # With gaps in the data the periods that have some decide.
    return "ALARM" if marks.count(True) >= min(needed, len(marks) - marks.count(None)) else "OK"


def _was_just_set(alarm: Any, period: float) -> bool:
    """SetAlarmState holds for a period: CloudWatch looks at an alarm again only when its next one begins."""
    set_by_hand = not str(alarm.state_reason).startswith(("Threshold", "Insufficient", "Unchecked"))
    age = (metrics.utc_now() - metrics.naive(alarm.state_updated_timestamp)).total_seconds()
    return set_by_hand and age < period


def _why(alarm: Any, values: list[float | None]) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return "Insufficient Data: no datapoints were received"
    shown = ", ".join(f"{value:g}" for value in known)
    return (
        f"Threshold Crossed: {len(known)} out of the last {len(values)} datapoints [{shown}] "
        f"compared {alarm.comparison_operator} with the threshold ({float(alarm.threshold):g})."
    )
