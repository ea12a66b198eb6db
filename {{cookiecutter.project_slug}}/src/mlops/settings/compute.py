"""Settings of what jobs and endpoints run on: instances, the container's image, the network."""

import re
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, field_validator, model_validator

from mlops.settings.criteria import Model

InstanceType = Annotated[str, StringConstraints(pattern=r"^ml\.[a-z0-9-]+\.[a-z0-9]+$")]
SubnetId = Annotated[str, StringConstraints(pattern=r"^subnet-[0-9a-f]+$")]
SecurityGroupId = Annotated[str, StringConstraints(pattern=r"^sg-[0-9a-f]+$")]


Price = Annotated[float, Field(gt=0, le=10_000)]

SCORING = "score"
"""Name under which `stages` says on what the gate asks the model that serves again; it is no stage of dvc.yaml."""


class Stage(Model):
    """How a stage of dvc.yaml runs on SageMaker."""

    job: Literal["training", "processing"] = "processing"
    instance_type: InstanceType = "ml.m5.large"
    instances: int = Field(default=1, ge=1, le=20)
    volume_gb: int = Field(default=30, ge=1, le=16384)
    max_runtime_seconds: int = Field(default=3600, ge=60, le=432000)
    spot: bool = False
    max_wait_seconds: int | None = Field(default=None, ge=60, le=432000)
    metrics: dict[str, str] = Field(default_factory=dict, description="metric name → regular expression on the log")

    @property
    def longest_seconds(self) -> int:
        """How long its job may take at most; on spot instances, the wait for them and the run together."""
        return (self.max_wait_seconds or 2 * self.max_runtime_seconds) if self.spot else self.max_runtime_seconds

    @field_validator("metrics")
    @classmethod
    def metrics_compile(cls, metrics: dict[str, str]) -> dict[str, str]:
        """A pattern that does not compile would find nothing, in silence."""
        for name, pattern in metrics.items():
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"metric {name} has no valid regular expression: {error}") from error
        return metrics

    @model_validator(mode="after")
    def spot_is_for_training(self) -> Self:
        """Only training jobs run on spot instances, and they may wait for them at least as long as they run."""
        if self.spot and self.job != "training":
            raise ValueError("spot is for training jobs: give job: training or spot: false")
        if self.max_wait_seconds is not None and self.max_wait_seconds < self.max_runtime_seconds:
            raise ValueError(
                f"max_wait_seconds {self.max_wait_seconds} is less than max_runtime_seconds {self.max_runtime_seconds}"
            )
        return self


class Image(Model):
    """The container of jobs and endpoints: one of AWS's own by framework, or yours by digest."""

    framework: Literal["sklearn"] = "sklearn"
    version: str = Field(default="1.9-0", pattern=r"^[0-9]+\.[0-9]+-[0-9]+(-py[0-9]+)?$")
    uri: str | None = Field(
        default=None, max_length=255, pattern=r"^[^\s@]+@sha256:[0-9a-f]{64}$", description="REPOSITORY@sha256:DIGEST"
    )


class Prices(Model):
    """What instances cost, for the report and the status: AWS's list price or your own, since none is guessed."""

    currency: str = Field(default="USD", pattern=r"^[A-Z]{3}$", description="as ISO 4217 names it")
    per_hour: dict[InstanceType, Price] = Field(min_length=1, description="instance type → on-demand price of an hour")

    def of(self, instance_type: str, seconds: float) -> float | None:
        """What an instance costs for some seconds; None when its type has no price."""
        price = self.per_hour.get(instance_type)
        return None if price is None else price * seconds / 3600


class Network(Model):
    """Where jobs and endpoints run; without it they run in SageMaker's own network."""

    subnets: tuple[SubnetId, ...] = Field(min_length=1, max_length=16)
    security_groups: tuple[SecurityGroupId, ...] = Field(min_length=1, max_length=5)
    isolation: bool = Field(default=False, description="containers have no network at all")
