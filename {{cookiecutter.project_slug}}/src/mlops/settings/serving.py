"""Settings of how an environment serves its model: on instances, serverless, or in batch; rollout, alarms, load."""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from mlops.settings.compute import InstanceType, Network
from mlops.settings.criteria import Load, Model
from mlops.settings.hours import Hours
from mlops.settings.signals import Alarm, Signal

WAIT_LIMIT_SECONDS = 3600
"""SageMaker's longest wait between two shifts of traffic (WaitIntervalInSeconds in its API reference)."""

LONGEST_ROLLOUT_SECONDS = 10800
"""What a rollout may wait in all: a workflow's job and its role end after four hours, in which instances start, a gate
may judge again and the checks follow. SageMaker itself would wait for eight; then nobody would be there at the end."""

MEMORY_STEP_MB = 1024
BATCH_PAYLOAD_MB = 100
"""The most that the requests of a transform job may hold at a time (MaxPayloadInMB in SageMaker's API reference)."""

KINDS = ("real_time", "serverless", "batch")


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

    @property
    def steps(self) -> int:
        """Shifts until the new fleet takes all of the traffic."""
        return -(-100 // self.percent)

    @model_validator(mode="after")
    def the_workflow_waits_as_long(self) -> Self:
        """A rollout that outlives the job that began it is verified by nobody."""
        if (total := self.steps * self.wait_seconds + self.bake_seconds) > LONGEST_ROLLOUT_SECONDS:
            raise ValueError(
                f"wait_seconds {self.wait_seconds} in {self.steps} steps and bake_seconds {self.bake_seconds} are "
                f"{total} s, and a workflow's role ends after four hours: give at most {LONGEST_ROLLOUT_SECONDS} s in "
                "all, by shorter waits or larger steps"
            )
        return self


class Shadow(Model):
    """Ask the new version copies of the requests first, whose answers nobody gets; it takes over when it keeps this."""

    kind: Literal["shadow"]
    percent: int = Field(default=100, ge=1, le=100, description="of the requests that are copied")
    requests: int = Field(default=100, ge=1, le=1_000_000, description="copies that have to be answered")
    seconds: int = Field(default=3600, ge=1, le=LONGEST_ROLLOUT_SECONDS, description="in which they have to be")
    errors: float = Field(default=0.0, ge=0, le=1, description="share by which more of its answers may fail")
    latency: float = Field(default=1.5, ge=0.1, le=100, description="times the latency of the one that serves")
    agreement: float | None = Field(default=None, ge=0, le=1, description="share of captured answers that are alike")
    bake_seconds: int = Field(default=300, ge=0, le=WAIT_LIMIT_SECONDS)

    @model_validator(mode="after")
    def the_workflow_waits_as_long(self) -> Self:
        """A takeover that outlives the job that began it is verified by nobody."""
        if (total := self.seconds + self.bake_seconds) > LONGEST_ROLLOUT_SECONDS:
            raise ValueError(
                f"seconds {self.seconds} and bake_seconds {self.bake_seconds} are {total} s, and a workflow's role "
                f"ends after four hours: give at most {LONGEST_ROLLOUT_SECONDS} s in all"
            )
        return self


Rollout = Annotated[AllAtOnce | Canary | Linear | Shadow, Field(discriminator="kind")]

INFERENTIA = "ml.inf1."
"""Instances without shadows and guardrails: SageMaker shifts all at once there and watches no alarm afterwards,
whatever was asked (its developer guide, exclusions of shadow tests and of deployment guardrails)."""


class Capture(Model):
    """Which requests and answers are written to the environment's bucket, for `mlops predictions` and monitoring."""

    percent: int = Field(ge=1, le=100, description="of the requests; more than a few is much on a busy endpoint")
    decision: str | None = Field(default=None, min_length=1, description="member of a prediction in JSON: the decision")
    decision_column: int | None = Field(default=None, ge=0, description="the same in an answer in CSV, from 0")


class Autoscaling(Model):
    """The number of instances follows the requests."""

    min: int = Field(ge=1, le=100)
    max: int = Field(ge=1, le=100)
    invocations_per_instance: float = Field(gt=0, allow_inf_nan=False, description="requests a minute to aim at")
    scale_in_seconds: int = Field(default=300, ge=0, le=86400, description="wait after a step before fewer")
    scale_out_seconds: int = Field(default=300, ge=0, le=86400, description="wait after a step before more")

    @model_validator(mode="after")
    def bounds_are_in_order(self) -> Self:
        """The least is no more than the most."""
        if self.min > self.max:
            raise ValueError(f"min is {self.min}, above max {self.max}: give at most as many")
        return self


class Watched(Model):
    """What every kind of endpoint has: alarms that roll a deployment back, beside those that are made for it."""

    alarms: tuple[Alarm, ...] = Field(
        default=(), max_length=7, description="what else rolls a deployment back: an alarm of yours, or of a metric"
    )

    @model_validator(mode="after")
    def alarms_have_names_of_their_own(self) -> Self:
        """Two of a name would be one."""
        names = [each.name if isinstance(each, Signal) else each for each in self.alarms]
        if len(set(names)) != len(names):
            raise ValueError(f"alarms have the names {', '.join(names)}; each name may be given once")
        return self


class Endpoint(Watched):
    """An endpoint on instances of its own, the default."""

    kind: Literal["real_time"] = "real_time"
    instance_type: InstanceType = "ml.m5.large"
    instances: int = Field(default=1, ge=1, le=100)
    rollout: Rollout = AllAtOnce()
    autoscaling: Autoscaling | None = Field(default=None, description="instances is where it begins")
    capture: Capture | None = Field(default=None, description="requests that are kept; none when not given")
    load: Load | None = Field(default=None, description="a load test after the contract; none when not given")
    hours: Hours | None = Field(default=None, description="when it runs; always when not given")

    @model_validator(mode="after")
    def rollout_is_for_the_instances(self) -> Self:
        """SageMaker refuses a shadow on some instances, and makes an update all at once of every other rollout."""
        if self.instance_type.startswith(INFERENTIA) and not isinstance(self.rollout, AllAtOnce):
            raise ValueError(
                f"rollout {self.rollout.kind} is not for {self.instance_type}, where SageMaker shifts all at once: "
                "give rollout.kind: all_at_once or another instance_type"
            )
        return self

    @model_validator(mode="after")
    def canary_needs_two_instances(self) -> Self:
        """A share of at most half of the instances needs two of them."""
        if isinstance(self.rollout, Canary | Linear) and self.instances < 2:
            raise ValueError(
                f"rollout {self.rollout.kind} shifts at most half of the instances: give instances: 2 or more"
            )
        return self

    @model_validator(mode="after")
    def shadow_can_be(self) -> Self:
        """What is compared has to be captured."""
        if not isinstance(self.rollout, Shadow):
            return self
        if self.rollout.agreement is not None and self.capture is None:
            raise ValueError("rollout.agreement compares captured answers: give capture, such as {percent: 100}")
        return self

    @model_validator(mode="after")
    def instances_are_within_autoscaling(self) -> Self:
        """It begins between its bounds, and never has fewer than the rollout needs."""
        scaled = self.autoscaling
        if scaled and not scaled.min <= self.instances <= scaled.max:
            raise ValueError(
                f"instances is {self.instances}, and autoscaling goes from {scaled.min} to {scaled.max}: give as many "
                "as it may begin with"
            )
        if scaled and isinstance(self.rollout, Shadow):
            raise ValueError("autoscaling is not for rollout shadow, whose steps set the number of instances: give one")
        if scaled and scaled.min < 2 and isinstance(self.rollout, Canary | Linear):
            raise ValueError(
                f"autoscaling.min is {scaled.min}; rollout {self.rollout.kind} shifts at most half of the instances: "
                "give 2 or more"
            )
        return self


class Serverless(Watched):
    """An endpoint without instances: it is paid for while it answers, and starts when it is asked."""

    kind: Literal["serverless"]
    memory_mb: int = Field(default=2 * MEMORY_STEP_MB, ge=MEMORY_STEP_MB, le=6 * MEMORY_STEP_MB)
    max_concurrency: int = Field(default=20, ge=1, le=200, description="requests at a time; more are refused")
    provisioned_concurrency: int | None = Field(default=None, ge=1, le=200, description="kept ready, and paid for")
    rollout: AllAtOnce = AllAtOnce()
    load: Load | None = None

    capture: ClassVar[None] = None

    @model_validator(mode="before")
    @classmethod
    def instances_have_what_it_has_not(cls, given: Any) -> Any:
        """Name what SageMaker does not have for it, with the way out."""
        rollout = given.get("rollout") if isinstance(given, dict) else None
        if isinstance(rollout, dict) and rollout.get("kind", "all_at_once") != "all_at_once":
            raise ValueError(
                f"rollout.kind is {rollout['kind']!r}, which shifts a share of the instances, and kind serverless has "
                "none: give all_at_once"
            )
        return refused(
            given,
            "serverless",
            {
                "instance_type": "it has no instances, give memory_mb",
                "instances": "it has none, give max_concurrency",
                "capture": "SageMaker captures nothing there",
                "autoscaling": "it scales by itself up to max_concurrency",
                "hours": "it costs nothing while it is not asked",
            },
        )

    @model_validator(mode="after")
    def sizes_fit(self) -> Self:
        """SageMaker has six sizes, and keeps no more ready than may be asked."""
        if self.memory_mb % MEMORY_STEP_MB:
            raise ValueError(f"memory_mb is {self.memory_mb}; SageMaker has 1024 to 6144 in steps of {MEMORY_STEP_MB}")
        if (self.provisioned_concurrency or 0) > self.max_concurrency:
            raise ValueError(
                f"provisioned_concurrency is {self.provisioned_concurrency}, above max_concurrency "
                f"{self.max_concurrency}: give at most as many"
            )
        return self


class Batch(Model):
    """No endpoint: `mlops transform` sends whole files through the newest approved version, in a job."""

    kind: Literal["batch"]
    instance_type: InstanceType = "ml.m5.large"
    instances: int = Field(default=1, ge=1, le=100, description="the files of an input are shared among them")
    payload_mb: int = Field(default=6, ge=1, le=BATCH_PAYLOAD_MB, description="of a file that goes into one request")
    concurrent: int = Field(default=1, ge=1, le=BATCH_PAYLOAD_MB, description="requests at a time to an instance")
    timeout_seconds: int = Field(default=600, ge=1, le=3600, description="of a request")

    rollout: ClassVar[AllAtOnce] = AllAtOnce(bake_seconds=0)
    alarms: ClassVar[tuple[str, ...]] = ()
    capture: ClassVar[None] = None
    load: ClassVar[None] = None

    @model_validator(mode="before")
    @classmethod
    def endpoints_have_what_it_has_not(cls, given: Any) -> Any:
        """Name what only an endpoint has."""
        why = "there is no endpoint"
        return refused(
            given, "batch", dict.fromkeys(("rollout", "alarms", "capture", "load", "autoscaling", "hours"), why)
        )

    @model_validator(mode="after")
    def requests_fit(self) -> Self:
        """SageMaker holds 100 MB of requests at a time."""
        if self.payload_mb * self.concurrent > BATCH_PAYLOAD_MB:
            raise ValueError(
                f"payload_mb {self.payload_mb} times concurrent {self.concurrent} is over {BATCH_PAYLOAD_MB} MB, which "
                "SageMaker holds at most: give less of one"
            )
        return self


def refused(given: Any, kind: str, reasons: dict[str, str]) -> Any:
    """Settings as they are, unless one is in them that their kind does not have.

    Raises:
        ValueError: it is named, with why.
    """
    for name, why in reasons.items():
        if isinstance(given, dict) and name in given:
            raise ValueError(f"{name} is not for kind {kind}: {why}; remove {name}")
    return given


def kind_of(given: Any) -> str:
    """The kind that settings give, real_time when they give none."""
    return str(given.get("kind", KINDS[0]) if isinstance(given, dict) else getattr(given, "kind", KINDS[0]))


Serving = Annotated[
    Annotated[Endpoint, Tag("real_time")] | Annotated[Serverless, Tag("serverless")] | Annotated[Batch, Tag("batch")],
    Discriminator(
        kind_of, custom_error_type="kind", custom_error_message=f"kind is none of {', '.join(KINDS)}: give one of them"
    ),
]


def misplaced(endpoint: Endpoint | Serverless | Batch, network: Network | None, contest: bool) -> str:
    """Why an environment can not serve like this, for reasons that lie outside of its endpoint; empty when it can."""
    if isinstance(endpoint, Serverless) and network is not None:
        return "is serverless, which SageMaker puts into no network: remove network, or give another kind"
    if isinstance(endpoint, Batch) and contest:
        return "is batch; the advanced scenario compares what endpoints answer: give real_time or serverless"
    return ""
