"""The alarms that roll a deployment back: which of them fire, what they read, and the one that is set by hand."""

import re
from dataclasses import dataclass, field
from typing import Any

import boto3

from mlops import aws
from mlops.errors import Failure
from mlops.settings.project import Environment

MICROSECONDS = 1e6
"""ModelLatency is in microseconds (SageMaker developer guide, metrics of endpoints)."""


@dataclass(frozen=True)
class Reading:
    """An alarm that fired: its value and limit as CloudWatch noted them, where it did."""

    alarm: str
    value: float | None
    limit: float | None
    latency: bool = False

    def __str__(self) -> str:
        """`alarm churn-prod-latency read 412 ms, limit 250 ms`."""
        if self.value is None or self.limit is None:
            return f"alarm {self.alarm}"
        return f"alarm {self.alarm} read {self.shown(self.value)}, limit {self.shown(self.limit)}"

    def shown(self, value: float) -> str:
        """A value with its unit."""
        return f"{value / MICROSECONDS * 1000:.4g} ms" if self.latency else f"{value:.4g}"


@dataclass
class Watch:
    """Alarms of one endpoint while a rollout runs: it remembers those that fired, for they may calm down again."""

    session: boto3.Session
    names: list[str]
    fired: dict[str, Reading] = field(default_factory=dict)

    def look(self) -> None:
        """Note which alarms fire now."""
        for alarm in described(self.session, self.names):
            if alarm["StateValue"] == "ALARM":
                self.fired.setdefault(alarm["AlarmName"], reading(alarm))

    def cause(self, failure: str) -> list[Reading]:
        """The alarms that rolled a deployment back.

        Args:
            failure: what the endpoint gives as its reason; it names alarms that calmed down between two looks.
        """
        self.look()
        for alarm in described(self.session, self.names):
            if re.search(rf"(?<![\w-]){re.escape(alarm['AlarmName'])}(?![\w-])", failure):
                self.fired.setdefault(alarm["AlarmName"], reading(alarm))
        return list(self.fired.values())


def described(session: boto3.Session, names: list[str]) -> list[dict[str, Any]]:
    """What CloudWatch says of alarms; one that does not exist is not in it."""
    with aws.explained("DescribeAlarms", ", ".join(names)):
        answer = aws.client(session, "cloudwatch").describe_alarms(
            AlarmNames=names, AlarmTypes=["MetricAlarm", "CompositeAlarm"]
        )
    return [*answer.get("MetricAlarms", []), *answer.get("CompositeAlarms", [])]


def refuse_missing(session: boto3.Session, environment: Environment) -> None:
    """Refuse to roll out where an alarm is not there that the rollout names: SageMaker would, later and in its words.

    Raises:
        Failure: there is one.
    """
    there = {alarm["AlarmName"] for alarm in described(session, environment.alarm_names)}
    if lacking := [name for name in environment.alarm_names if name not in there]:
        raise Failure(
            f"{environment.endpoint_name}: alarm {' and '.join(lacking)} of its rollout is not there, so nothing is "
            f"rolled out; mlops bootstrap aws --env {environment.name} makes those of infra/ and of mlops.yaml, "
            "whoever owns them the others"
        )


def firing(session: boto3.Session, environment: Environment) -> list[Reading]:
    """The alarms of an environment's endpoint that fire now."""
    alarms = described(session, environment.alarm_names)
    return [reading(alarm) for alarm in alarms if alarm["StateValue"] == "ALARM"]


def reading(alarm: dict[str, Any]) -> Reading:
    """What an alarm read, from CloudWatch's sentence: `... datapoints [412.0 (...)] ... threshold (250.0)`."""
    sentence = alarm.get("StateReason", "")
    value = re.search(r"\[\s*([0-9.eE+-]+)", sentence)
    limit = re.search(r"threshold \(([0-9.eE+-]+)\)", sentence)
    known = sentence.startswith("Threshold Crossed") and alarm["StateValue"] == "ALARM"
    return Reading(
        alarm=alarm["AlarmName"],
        value=float(value[1]) if value and known else None,
        limit=float(limit[1]) if limit and known else None,
        latency=alarm.get("MetricName") == "ModelLatency",
    )


def manual(environment: Environment) -> str:
    """The alarm that never fires by itself: setting it stops a rollout, for which SageMaker has no call."""
    return f"{environment.endpoint_name}-manual"


def set_manual(session: boto3.Session, environment: Environment, on: bool, why: str) -> None:
    """Set the manual alarm, or let it go, unless it is as it should be."""
    name = manual(environment)
    wanted = "ALARM" if on else "OK"
    found = described(session, [name])
    if not found or (found[0]["StateValue"] == "ALARM") == on:
        return
    with aws.explained("SetAlarmState", name):
        aws.client(session, "cloudwatch").set_alarm_state(AlarmName=name, StateValue=wanted, StateReason=why)
