"""Durations: how long the jobs ran that made a model, on which instances, and what they cost."""

import re
from dataclasses import dataclass, replace
from typing import Any

import boto3

from mlops.compute import attempts
from mlops.compute.attempts import Job
from mlops.errors import Failure
from mlops.registry.packages import ModelPackage
from mlops.settings.compute import Prices

JOB = re.compile(r"/jobs/(?P<name>[^/]+)/")
"""The name of a job in the address of what it wrote: a package whose metadata does not list its jobs has that one."""

LISTED = "processing_jobs"
"""In the metadata of a version: the names of the jobs that it took beside its training."""

SCORED = re.compile(r"scored anew .* by job (?P<name>[\w-]+)$")
"""The name of the gate's own job in what the gate says of the answers that it compared with."""


@dataclass(frozen=True)
class JobTime:
    """A job: what SageMaker bills of it, on how many instances of which kind.

    Args:
        seconds: that each instance is billed for; on spot instances fewer than it ran.
        spot_saving: the share of its time that is not billed, on spot instances; None on others.
        cost: in the currency of mlops.yaml; None when that has no price for these instances.
    """

    name: str
    instance_type: str
    instances: int
    seconds: float
    spot_saving: float | None = None
    cost: float | None = None
    currency: str = ""

    @property
    def instance_seconds(self) -> float:
        """What is paid for: the seconds of all its instances."""
        return self.instances * self.seconds


def of(session: boto3.Session, package: ModelPackage, prices: Prices | None = None) -> list[JobTime]:
    """The jobs that a package's metadata names; one that SageMaker no longer tells of is left out.

    Args:
        session: may describe them.
        package: the model that they made.
        prices: of instances; without any no job has a cost.
    """
    trained = package.metadata.get("training_job", "").rpartition("/")[2]
    matches = (pattern.search(value) for value in package.metadata.values() for pattern in (JOB, SCORED))
    names = [*package.metadata.get(LISTED, "").split(), *(match["name"] for match in matches if match)]
    found = [described(session, "training", trained)]
    found += [described(session, "processing", name) for name in dict.fromkeys(names) if name != trained]
    return of_jobs([each for each in found if each is not None], prices)


def of_jobs(jobs: list[Job], prices: Prices | None = None) -> list[JobTime]:
    """The same of jobs that are known."""
    timed = [training(job.description) if job.kind == "training" else processing(job.description) for job in jobs]
    return [priced(each, prices) for each in timed]


def priced(job: JobTime, prices: Prices | None) -> JobTime:
    """A job with its cost, where there is a price."""
    if prices is None or (cost := prices.of(job.instance_type, job.instance_seconds)) is None:
        return job
    return replace(job, cost=cost, currency=prices.currency)


def training(job: dict[str, Any]) -> JobTime:
    """A training job: the seconds that are billed, which are fewer than it ran on spot instances."""
    resources = job["ResourceConfig"]
    billed = job.get("BillableTimeInSeconds", job.get("TrainingTimeInSeconds"))
    seconds = between(job, "TrainingStartTime", "TrainingEndTime") if billed is None else float(billed)
    ran = float(job.get("TrainingTimeInSeconds", 0))
    # As SageMaker's reference has it: 1 - BillableTimeInSeconds / TrainingTimeInSeconds.
    saving = max(0.0, 1 - seconds / ran) if job.get("EnableManagedSpotTraining") and ran else None
    return JobTime(job["TrainingJobName"], resources["InstanceType"], resources["InstanceCount"], seconds, saving)


def processing(job: dict[str, Any]) -> JobTime:
    """A processing job."""
    resources = job["ProcessingResources"]["ClusterConfig"]
    seconds = between(job, "ProcessingStartTime", "ProcessingEndTime")
    return JobTime(job["ProcessingJobName"], resources["InstanceType"], resources["InstanceCount"], seconds)


def described(session: boto3.Session, kind: attempts.Kind, name: str) -> Job | None:
    """A job; None when SageMaker has none of that kind and name, or this role may not ask."""
    try:
        return attempts.describe(session, kind, name) if name else None
    except Failure:
        return None


def between(job: dict[str, Any], start: str, end: str) -> float:
    """Seconds from one time of a job to another; 0 when it has not come so far."""
    return float((job[end] - job[start]).total_seconds()) if start in job and end in job else 0.0
