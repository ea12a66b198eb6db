"""Deployments: the steps by which traffic is shifted to a new fleet, watched by alarms, and back when one fires."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from sandbox.documents import Document
from sandbox.hosting import configurations
from sandbox.hosting.traffic import Traffic
from sandbox.operations import Refusal

_DEFAULT_LIMIT = 28800


class RolledBack(Exception):
    """A deployment was given up; the text says why."""


@dataclass(frozen=True)
class Step:
    """A share of the traffic for the new fleet, and how long the alarms are watched with it, in seconds of AWS."""

    share: float
    seconds: float


def plan(deployment: Document | None, configuration: Document) -> list[Step]:
    """The steps of a deployment; without a DeploymentConfig all traffic goes over at once.

    Raises:
        Refusal: its settings do not go together, or not with the variants.
    """
    deployment = deployment or {}
    if deployment.get("RollingUpdatePolicy"):
        raise _invalid("the sandbox supports blue/green deployments only: give a BlueGreenUpdatePolicy")
    policy = deployment.get("BlueGreenUpdatePolicy") or {}
    routing = policy.get("TrafficRoutingConfiguration") or {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}
    wait, bake = float(routing.get("WaitIntervalInSeconds", 0)), float(policy.get("TerminationWaitInSeconds", 0))
    if routing["Type"] == "CANARY":
        steps = [Step(_share("CanarySize", routing, configuration, 1), wait), Step(1.0, bake)]
    elif routing["Type"] == "LINEAR":
        share = _share("LinearStepSize", routing, configuration, 10)
        count = math.ceil(1 / share - 1e-9)
        steps = [*(Step(number * share, wait) for number in range(1, count)), Step(1.0, bake)]
    else:
        for member in ("CanarySize", "LinearStepSize"):
            if routing.get(member):
                raise _invalid(f"{member} is not for the traffic routing type ALL_AT_ONCE.")
        steps = [Step(1.0, bake)]
    limit = policy.get("MaximumExecutionTimeoutInSeconds", _DEFAULT_LIMIT)
    if sum(step.seconds for step in steps) > limit:
        raise _invalid(f"MaximumExecutionTimeoutInSeconds {limit} is less than the deployment's waits together.")
    return steps


def carry_out(steps: list[Step], traffic: Traffic, scaled: Callable[[float], float], alarms: Callable[[], list[str]],
              tick: float) -> None:  # fmt: skip
    """Go through the steps.

    Args:
        steps: from `plan`.
        traffic: of the endpoint, its coming fleet started.
        scaled: how long a wait of AWS takes here.
        alarms: the names of those that fire at the moment.
        tick: seconds between two looks at the alarms.

    Raises:
        RolledBack: an alarm fired; the traffic is as it was after the last step.
    """
    for step in steps:
        traffic.shift(step.share)
        end = time.monotonic() + scaled(step.seconds)
        while True:
            if names := alarms():
                raise RolledBack(
                    f"One or more configured alarms went to ALARM during the deployment: {', '.join(names)}"
                )
            left = end - time.monotonic()
            if left <= 0 or step.seconds == 0:
                break
            time.sleep(min(tick, left))


def _share(member: str, routing: Document, configuration: Document, least_percent: int) -> float:
    """The share of the traffic that a number or a percentage of the instances gets."""
    size = routing.get(member)
    if not size:
        raise _invalid(f"{member} is required for the traffic routing type {routing['Type']}.")
    shares: list[float] = []
    for variant in configurations.variants(configuration):
        if str(variant.get("InstanceType", "")).startswith("ml.inf1."):
            # AWS would take it, and shift all at once without watching an alarm afterwards.
            raise _invalid(f"Traffic routing type {routing['Type']} is not supported on {variant['InstanceType']}.")
        if variant.get("ServerlessConfig"):
            raise _invalid(f"Traffic routing type {routing['Type']} is not supported for serverless variants.")
        total = variant["InitialInstanceCount"]
        if size["Type"] == "CAPACITY_PERCENT":
            if not least_percent <= size["Value"] <= 50:
                raise _invalid(
                    f"{member} must be {least_percent} to 50 percent of the capacity, {size['Value']} is not."
                )
            part = math.ceil(total * size["Value"] / 100)
        else:
            part = size["Value"]
        if part < 1 or (part > total / 2 and not (size["Type"] == "CAPACITY_PERCENT" and total > 1)):
            raise _invalid(
                f"{member} must be at most 50% of the instances of variant {variant['VariantName']}, which has {total}."
            )
        shares.append(part / total)
    return max(shares)


def _invalid(message: str) -> Refusal:
    return Refusal("ValidationException", message)
