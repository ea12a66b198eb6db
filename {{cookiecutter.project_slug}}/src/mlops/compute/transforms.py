"""Transform jobs: whole files through a model, once for the same files, model and settings."""

import hashlib
import itertools
import json
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from mlops import aws, storage
from mlops.compute import attempts
from mlops.compute.attempts import Job
from mlops.display import Progress
from mlops.errors import BadInput, Failure
from mlops.registry import groups
from mlops.settings import disks, keys
from mlops.settings.project import Environment, Settings
from mlops.settings.serving import Batch

STAGE = "batch"

THE_MODEL = ("AlgorithmError", "ClientError: See job logs")
"""With what SageMaker's reason begins when the container refused what it was sent, or failed; else it is the way."""


class NotAnswered(Failure):
    """A job reached the model, and the model did not answer."""


@dataclass(frozen=True)
class Wanted:
    """What a transform job is to do.

    Attributes:
        model: its name, which says the version and under which settings it is served.
        source: `s3://` address of an object, or of all below a prefix that ends in a slash.
        files: names of the objects below it, and what each holds, by a digest.
        content_type: of each of them.
        accept: type of the answers.
        by_line: a large file may be cut between lines, into several requests.
    """

    model: str
    source: str
    files: dict[str, str]
    content_type: str
    accept: str
    by_line: bool

    @property
    def key(self) -> str:
        """SHA-256 of what the answers depend on; the instances are not among it."""
        about = [self.model, sorted(self.files.items()), self.source, self.content_type, self.accept, self.by_line]
        return hashlib.sha256(json.dumps(about).encode()).hexdigest()


def done(
    session: boto3.Session, settings: Settings, environment: Environment, wanted: Wanted, progress: Progress
) -> tuple[Job, bool]:
    """Take the job that has done it, wait for the one that is at it, or start one.

    Returns:
        The job, and whether anything was left to do.

    Raises:
        Failure: the job fails; with its reason and the last lines of its log.
    """
    for attempt in itertools.count(1):
        name = attempts.name_of(settings.project, environment.name, STAGE, wanted.key, attempt)
        job = attempts.describe(session, "transform", name)
        begins = job is None
        if job is None:
            job = started(session, settings, environment, wanted, name, progress)
        # A name holds the beginning of a key only: another input's may begin alike.
        if job.key != wanted.key:
            continue
        if begins:
            return finished(session, job), True
        if job.status == "Completed" and is_whole(session, wanted, job):
            progress(f"{name} has transformed the same files by the same model; nothing is started")
            return job, False
        adopted = job.status == "InProgress"
        if adopted:
            progress(f"{name} is at it already; waiting for it")
        with attempts.stopped_when_cancelled(session, "transform", name, progress):
            job = attempts.wait(session, job, progress)
        # One that was stopped, that failed before, or whose output is gone: another attempt follows it.
        if adopted and job.status != "Stopped":
            return finished(session, job), True
    raise Failure(f"{wanted.source}: every attempt is taken")


def started(
    session: boto3.Session, settings: Settings, environment: Environment, wanted: Wanted, name: str, progress: Progress
) -> Job:
    """Start a job, unless another run is first, and wait for its end; when cancelled, a job of this run is stopped."""
    progress(f"starting {name}: {len(wanted.files)} files through {wanted.model}")
    with attempts.stopped_when_cancelled(session, "transform", name, progress):
        try:
            aws.client(session, "sagemaker").create_transform_job(**parameters(settings, environment, wanted, name))
        except (ClientError, BotoCoreError) as error:
            # Another run was first: its job is waited for.
            if aws.code_of(error) != "ResourceInUse":
                raise Failure(f"CreateTransformJob {name}: {aws.reason(error)}") from error
        job = attempts.describe(session, "transform", name)
        if job is None:
            raise Failure(f"{name} was created and is gone; run the same command again")
        return attempts.wait(session, job, progress)


def parameters(settings: Settings, environment: Environment, wanted: Wanted, name: str) -> dict[str, Any]:
    """The job as SageMaker's CreateTransformJob takes it."""
    batch = environment.endpoint
    if not isinstance(batch, Batch):
        raise BadInput(f"{environment.label} is not of kind batch")
    resources: dict[str, Any] = {"InstanceType": batch.instance_type, "InstanceCount": batch.instances}
    if key := disks.key(keys.of(environment), batch.instance_type):
        resources["VolumeKmsKeyId"] = key
    output = {"S3OutputPath": f"s3://{environment.bucket}/batch/output/{name}", "Accept": wanted.accept}
    if key := keys.of(environment):
        output["KmsKeyId"] = key
    cut = {"SplitType": "Line"} if wanted.by_line else {}
    return {
        "TransformJobName": name,
        "ModelName": wanted.model,
        "MaxConcurrentTransforms": batch.concurrent,
        "MaxPayloadInMB": batch.payload_mb,
        "ModelClientConfig": {"InvocationsTimeoutInSeconds": batch.timeout_seconds},
        **({"BatchStrategy": "MultiRecord"} if wanted.by_line else {}),
        "TransformInput": {
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": wanted.source}},
            "ContentType": wanted.content_type,
            **cut,
        },
        # Models differ in whether their answers end with a line; empty lines are easily passed over.
        "TransformOutput": {**output, **({"AssembleWith": "Line"} if wanted.by_line else {})},
        "TransformResources": resources,
        "Environment": {"MLOPS_STAGE_KEY": wanted.key, "MLOPS_STARTED_BY": attempts.starter()},
        "Tags": groups.tags(settings, environment),
    }


def finished(session: boto3.Session, job: Job) -> Job:
    """A job that has ended well.

    Raises:
        NotAnswered: the model refused a file, or failed.
        Failure: it has not ended well for another reason.
    """
    if job.status != "Completed":
        problem = attempts.failure(session, STAGE, job)
        raise NotAnswered(str(problem)) if str(job.description.get("FailureReason")).startswith(THE_MODEL) else problem
    return job


def is_whole(session: boto3.Session, wanted: Wanted, job: Job) -> bool:
    """Whether a completed job's answers are there, one for each file."""
    found = storage.listing(session, output_of(job))
    return all(f"{name}.out" in found for name in wanted.files)


def output_of(job: Job) -> str:
    """The prefix of a job's answers; each has the name of its file, and `.out`."""
    return f"{job.description['TransformOutput']['S3OutputPath'].rstrip('/')}/"
