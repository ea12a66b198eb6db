"""Settings of an alarm of the project's own: on which metric, and from where on it rolls a deployment back."""

from typing import Annotated, Literal, Self

from pydantic import Discriminator, Field, StringConstraints, Tag, model_validator

from mlops.settings.criteria import Model

MADE = ("errors", "latency", "manual")
"""The alarms of every endpoint that roll a deployment back, by the end of their names."""

TAKEN = (*MADE, "drift")
"""The names that an alarm of the project's own would take from one that every endpoint has."""

LONGEST_SECONDS = 86400
"""CloudWatch's limit of an alarm's periods together (PutMetricAlarm, EvaluationPeriods)."""

AlarmName = Annotated[str, StringConstraints(pattern=r"^[^:\s][^:]*$", max_length=255)]


class Signal(Model):
    """An alarm on one metric, made with the infrastructure as `<endpoint>-<name>`."""

    name: str = Field(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", max_length=30)
    metric: str = Field(min_length=1, max_length=255)
    namespace: str = Field(default="AWS/SageMaker", pattern=r"^[^:]+$", max_length=255)
    dimensions: dict[str, str] | None = Field(
        default=None, max_length=30, description="of AWS's metrics the endpoint and its variant when not given"
    )
    statistic: Literal["Average", "Sum", "Minimum", "Maximum", "SampleCount"] = "Average"
    above: float | None = Field(default=None, allow_inf_nan=False, description="it fires above this")
    below: float | None = Field(default=None, allow_inf_nan=False, description="it fires below this")
    seconds: int = Field(default=60, ge=60, multiple_of=60, le=LONGEST_SECONDS, description="length of a period")
    periods: int = Field(default=1, ge=1, le=100, description="periods in a row that have to breach")

    @model_validator(mode="after")
    def is_one_alarm_that_can_fire(self) -> Self:
        """One side, a name that is free, and no longer than CloudWatch looks back."""
        if (self.above is None) == (self.below is None):
            raise ValueError(f"alarm {self.name}: give above or below, one of them")
        if self.name in TAKEN:
            raise ValueError(f"alarm {self.name} is every endpoint's already ({', '.join(TAKEN)}): call it otherwise")
        if self.seconds * self.periods > LONGEST_SECONDS:
            raise ValueError(
                f"alarm {self.name}: {self.periods} periods of {self.seconds} s are {self.seconds * self.periods} s; "
                f"CloudWatch looks back at most {LONGEST_SECONDS} s"
            )
        return self


Alarm = Annotated[
    Annotated[AlarmName, Tag("named_alarm")] | Annotated[Signal, Tag("signal")],
    Discriminator(lambda given: "named_alarm" if isinstance(given, str) else "signal"),
]
"""The name of an alarm that is there, or what one is to watch."""


def names(endpoint: str, given: tuple[AlarmName | Signal, ...]) -> list[str]:
    """Names of all alarms of an endpoint: those that every one has, then its own."""
    own = [f"{endpoint}-{each.name}" if isinstance(each, Signal) else each for each in given]
    return [*(f"{endpoint}-{name}" for name in MADE), *own]
