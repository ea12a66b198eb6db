"""Settings of how an environment serves its model: instances, rollout, alarms, load."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from mlops.compute import InstanceType
from mlops.criteria import Load, Model
from mlops.signals import Alarm, Signal

WAIT_LIMIT_SECONDS = 3600
"""SageMaker's longest wait between two shifts of traffic (WaitIntervalInSeconds in its API reference)."""


class AllAtOnce(Model):
    """Start the new fleet, shift all of the traffic, watch the alarms, then remove the old fleet."""

    kind: Literal["all_at_once"] = "all_at_once"
    bake_seconds: int = Field(default=300, ge=0, le=WAIT_LIMIT_SECONDS)


class Canary(Model):
    """Shift a share of the traffic first, the rest after a wait without alarms."""

    kind: Literal["canary"]
    percent: int = Field(ge=1, le=50, description="share of the instances; SageMaker's canary takes at most half")
    wait_seconds: int = Field(default=600, ge=0, le=WAIT_LIMIT_SECONDS)
    bake_seconds: int = Field(default=300, ge=0, le=WAIT_LIMIT_SECONDS)


class Linear(Model):
    """Shift the traffic in equal steps with a wait without alarms after each."""

    kind: Literal["linear"]
    percent: int = Field(ge=10, le=50, description="share of the instances in a step; SageMaker takes 10 to 50")
    wait_seconds: int = Field(default=300, ge=0, le=WAIT_LIMIT_SECONDS)
    bake_seconds: int = Field(default=300, ge=0, le=WAIT_LIMIT_SECONDS)


Rollout = Annotated[AllAtOnce | Canary | Linear, Field(discriminator="kind")]


class Capture(Model):
    """Which requests and answers are written to the environment's bucket, for `mlops predictions` and monitoring."""

    percent: int = Field(ge=1, le=100, description="of the requests; more than a few is much on a busy endpoint")
    decision: str | None = Field(default=None, min_length=1, description="member of a prediction in JSON: the decision")
    decision_column: int | None = Field(default=None, ge=0, description="the same in an answer in CSV, from 0")


class Endpoint(Model):
    """How an environment serves its model."""

    instance_type: InstanceType = "ml.m5.large"
    instances: int = Field(default=1, ge=1, le=100)
    rollout: Rollout = AllAtOnce()
    alarms: tuple[Alarm, ...] = Field(
        default=(), max_length=7, description="what else rolls a deployment back: an alarm of yours, or of a metric"
    )
    capture: Capture | None = Field(default=None, description="requests that are kept; none when not given")
    load: Load | None = Field(default=None, description="a load test after the contract; none when not given")

    @model_validator(mode="after")
    def canary_needs_two_instances(self) -> Self:
        """A share of at most half of the instances needs two of them."""
        if not isinstance(self.rollout, AllAtOnce) and self.instances < 2:
            raise ValueError(
                f"rollout {self.rollout.kind} shifts at most half of the instances: give instances: 2 or more"
            )
        return self

    @model_validator(mode="after")
    def alarms_have_names_of_their_own(self) -> Self:
        """Two of a name would be one."""
        names = [each.name if isinstance(each, Signal) else each for each in self.alarms]
        if len(set(names)) != len(names):
            raise ValueError(f"alarms have the names {', '.join(names)}; each name may be given once")
        return self
