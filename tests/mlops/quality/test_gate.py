"""The quality gate and the rollouts, which ask nothing of AWS."""

import math
from dataclasses import dataclass

import pytest

from mlops.errors import Failure
from mlops.hosting import rollouts
from mlops.quality import thresholds
from mlops.settings.criteria import Threshold
from mlops.settings.project import Environment
from mlops.settings.serving import AllAtOnce, Canary, Endpoint, Linear

LIMITS = (Threshold(metric="roc_auc", at_least=0.95), Threshold(metric="log_loss", at_most=0.3))


@dataclass(frozen=True)
class Measured:
    value: float


def measured(**values: float) -> dict[str, Measured]:
    return {name: Measured(value) for name, value in values.items()}


@pytest.mark.parametrize(
    ("roc_auc", "log_loss"), [(0.99, 0.1), (0.95, 0.3), (1.0, 0.0)], ids=["better", "on the limits", "best"]
)
def test_the_gate_passes_a_model_that_reaches_its_thresholds(roc_auc: float, log_loss: float) -> None:
    verdicts = thresholds.gate(measured(roc_auc=roc_auc, log_loss=log_loss, recall=0.0), LIMITS)

    assert [(each.metric, each.value, each.passed) for each in verdicts] == [
        ("roc_auc", roc_auc, True),
        ("log_loss", log_loss, True),
    ]


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"roc_auc": 0.9499, "log_loss": 0.1}, "roc_auc is 0.9499, at least 0.95 is required"),
        ({"roc_auc": 0.99, "log_loss": 0.31}, "log_loss is 0.31, at most 0.3 is required"),
        ({"log_loss": 0.1}, "roc_auc is missing, at least 0.95 is required"),
        ({"roc_auc": math.nan, "log_loss": 0.1}, "roc_auc is nan, at least 0.95 is required"),
        ({"roc_auc": 0.99, "log_loss": math.nan}, "log_loss is nan, at most 0.3 is required"),
        ({"roc_auc": 0.99, "log_loss": math.inf}, "log_loss is inf, at most 0.3 is required"),
    ],
)
def test_the_gate_names_metric_value_and_limit(values: dict[str, float], named: str) -> None:
    with pytest.raises(Failure) as refusal:
        thresholds.gate(measured(**values), LIMITS)

    assert named in str(refusal.value)


def test_the_gate_names_every_metric_that_fails() -> None:
    with pytest.raises(Failure, match=r"roc_auc is 0\.5.*; log_loss is 0\.9"):
        thresholds.gate(measured(roc_auc=0.5, log_loss=0.9), LIMITS)


def environment(rollout: AllAtOnce | Canary | Linear) -> Environment:
    return Environment(
        name="prod", account="222222222222", project="churn", endpoint=Endpoint(instances=4, rollout=rollout)
    )


@pytest.mark.parametrize(
    ("rollout", "routing"),
    [
        (AllAtOnce(bake_seconds=60), {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}),
        (
            Canary(kind="canary", percent=25, wait_seconds=300, bake_seconds=60),
            {
                "Type": "CANARY",
                "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 25},
                "WaitIntervalInSeconds": 300,
            },
        ),
        (
            Linear(kind="linear", percent=25, wait_seconds=120, bake_seconds=60),
            {
                "Type": "LINEAR",
                "LinearStepSize": {"Type": "CAPACITY_PERCENT", "Value": 25},
                "WaitIntervalInSeconds": 120,
            },
        ),
    ],
    ids=["all at once", "canary", "linear"],
)
def test_a_rollout_waits_as_the_settings_say_and_is_watched_by_alarms(
    rollout: AllAtOnce | Canary | Linear, routing: dict[str, object]
) -> None:
    config = rollouts.deployment_config(environment(rollout))

    policy = config["BlueGreenUpdatePolicy"]
    assert policy["TrafficRoutingConfiguration"] == routing
    assert policy["TerminationWaitInSeconds"] == 60
    assert rollouts.waits(rollout) < policy["MaximumExecutionTimeoutInSeconds"] <= 28800
    assert config["AutoRollbackConfiguration"]["Alarms"] == [
        {"AlarmName": f"churn-prod-{name}"} for name in ("errors", "latency", "manual")
    ]
