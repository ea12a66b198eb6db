"""Rollouts: the settings' all_at_once, canary and linear as SageMaker's DeploymentConfig."""

from typing import Any

from mlops.errors import BadInput
from mlops.settings.project import Environment
from mlops.settings.serving import AllAtOnce, Canary, Linear, Rollout, Shadow

BOOT_SECONDS = 1800
"""What starting a fleet of instances and loading the model into them takes at most, beside the waits. With them it lies
within the bounds of MaximumExecutionTimeoutInSeconds, 600 to 28800."""


def deployment_config(environment: Environment) -> dict[str, Any]:
    """How an update of an environment's endpoint shifts traffic, and the alarms that roll it back.

    Raises:
        BadInput: the environment has no endpoint.
    """
    if environment.endpoint is None:
        raise BadInput(f"{environment.name} has no endpoint in mlops.yaml")
    rollout = environment.endpoint.rollout
    return {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": routing(rollout),
            "TerminationWaitInSeconds": rollout.bake_seconds,
            "MaximumExecutionTimeoutInSeconds": timeout(rollout),
        },
        "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": name} for name in environment.alarm_names]},
    }


def unguarded() -> dict[str, Any]:
    """How a rollback shifts traffic: at once and with no alarm, for the alarms may be what it answers to."""
    return {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0},
            "TerminationWaitInSeconds": 0,
            "MaximumExecutionTimeoutInSeconds": BOOT_SECONDS,
        }
    }


def routing(rollout: Rollout) -> dict[str, Any]:
    """The share of the instances that takes traffic in each step, and the wait after it."""
    match rollout:
        case AllAtOnce() | Shadow():
            return {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}
        case Canary():
            size = {"Type": "CAPACITY_PERCENT", "Value": rollout.percent}
            return {"Type": "CANARY", "CanarySize": size, "WaitIntervalInSeconds": rollout.wait_seconds}
        case Linear():
            size = {"Type": "CAPACITY_PERCENT", "Value": rollout.percent}
            return {"Type": "LINEAR", "LinearStepSize": size, "WaitIntervalInSeconds": rollout.wait_seconds}


def waits(rollout: Rollout) -> int:
    """Seconds that a rollout without alarms waits, all steps together."""
    match rollout:
        case AllAtOnce() | Shadow():
            return rollout.bake_seconds
        case Canary():
            return rollout.wait_seconds + rollout.bake_seconds
        case Linear():
            return rollout.steps * rollout.wait_seconds + rollout.bake_seconds


def longest(rollout: Rollout) -> int:
    """Seconds that a deployment waits at most; a shadow stands before SageMaker shifts anything."""
    before = rollout.seconds + BOOT_SECONDS if isinstance(rollout, Shadow) else 0
    return before + timeout(rollout)


def timeout(rollout: Rollout) -> int:
    """Seconds after which SageMaker gives a rollout up: its waits, and the time that the instances take to start."""
    return waits(rollout) + BOOT_SECONDS
