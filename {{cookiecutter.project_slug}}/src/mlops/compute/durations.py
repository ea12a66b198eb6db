"""Durations: how long the jobs ran that made a model, on which instances."""

import re
from dataclasses import dataclass
from typing import Any

import boto3

from mlops.compute import attempts
from mlops.errors import Failure
from mlops.registry.packages import ModelPackage

JOB = re.compile(r"/jobs/(?P<name>[^/]+)/")
"""The name of a job in the address of what it wrote."""


@dataclass(frozen=True)
class JobTime:
    """A job: how long it ran, on how many instances of which kind."""

    name: str
    instance_type: str
    instances: int
    seconds: float

    @property
    def instance_seconds(self) -> float:
        """What is paid for: the seconds of all its instances."""
        return self.instances * self.seconds


def of(session: boto3.Session, package: ModelPackage) -> list[JobTime]:
    """The jobs that a package's metadata names; one that SageMaker no longer tells of is left out."""
    found = [training(session, package.metadata.get("training_job", "").rpartition("/")[2])]
    names = dict.fromkeys(match["name"] for value in package.metadata.values() if (match := JOB.search(value)))
    found += [processing(session, name) for name in names]
    return [each for each in found if each is not None]


def training(session: boto3.Session, name: str) -> JobTime | None:
    """A training job: the seconds that are billed, which are fewer than it ran on spot instances."""
    job = described(session, "training", name)
    if not job:
        return None
    resources = job["ResourceConfig"]
    billed = job.get("BillableTimeInSeconds", job.get("TrainingTimeInSeconds"))
    seconds = between(job, "TrainingStartTime", "TrainingEndTime") if billed is None else float(billed)
    return JobTime(name, resources["InstanceType"], resources["InstanceCount"], seconds)


def processing(session: boto3.Session, name: str) -> JobTime | None:
    """A processing job."""
    job = described(session, "processing", name)
    if not job:
        return None
    resources = job["ProcessingResources"]["ClusterConfig"]
    seconds = between(job, "ProcessingStartTime", "ProcessingEndTime")
    return JobTime(name, resources["InstanceType"], resources["InstanceCount"], seconds)


def described(session: boto3.Session, kind: attempts.Kind, name: str) -> dict[str, Any]:
    """What SageMaker says of a job; nothing when it has none of that kind and name, or this role may not ask."""
    try:
        job = attempts.describe(session, kind, name) if name else None
    except Failure:
        return {}
    return job.description if job else {}


def between(job: dict[str, Any], start: str, end: str) -> float:
    """Seconds from one time of a job to another; 0 when it has not come so far."""
    return float((job[end] - job[start]).total_seconds()) if start in job and end in job else 0.0
