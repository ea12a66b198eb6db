"""One stage of a commit as a job: the key that says what it is made from, and the job that has that key."""

import hashlib
import itertools
import json
import math
import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import boto3
from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError

from mlops import aws, git, keys, storage
from mlops.compute import attempts, images, processing, training
from mlops.compute.attempts import Job
from mlops.compute.container import JobRequest
from mlops.compute.pipeline import Stage
from mlops.display import Progress
from mlops.errors import BadInput, Failure, NotFound
from mlops.registry import groups
from mlops.retraining import waiting
from mlops.retraining.waiting import StillTraining
from mlops.settings.project import Environment, Settings


@dataclass(frozen=True)
class Source:
    """What a stage reads: where it is, and what it is, whatever its address."""

    uri: str
    identity: str


@dataclass(frozen=True)
class Run:
    """A walk through the pipeline of one commit in one environment.

    Args:
        recipe: the settings as the commit has them; their root is its clean checkout.
        environment: whose bucket and role the jobs have.
        session: that acts in it.
        commit: full hash.
        repository: the folder whose git repository has the commit.
        progress: told what begins and what ends.
        until: when it waits for jobs no longer, by the clock of `time.monotonic`.
        after: name of a job that has ended and is taken up: when it has failed, that is said and nothing is started.
    """

    recipe: Settings
    environment: Environment
    session: boto3.Session
    commit: str
    repository: Path
    progress: Progress
    until: float = math.inf
    after: str = ""

    def kind(self, stage: Stage) -> attempts.Kind:
        """Whether a stage is a training or a processing job.

        Raises:
            BadInput: mlops.yaml does not say.
        """
        if stage.name not in self.recipe.stages:
            raise BadInput(f"mlops.yaml: stages has no {stage.name}, which dvc.yaml has; say which job it is")
        return self.recipe.stages[stage.name].job

    def code(self, stage: Stage) -> dict[str, str]:
        """The git hash of each file that a stage's deps name in the package's folder."""
        found = git.files(self.repository, self.commit, f"src/{self.recipe.package}")
        return {
            path: blob
            for path, blob in found.items()
            if any(path == each or path.startswith(f"{each}/") for each in stage.code)
        }

    def key(self, stage: Stage, sources: dict[str, Source]) -> str:
        """SHA-256 over all that a stage's result depends on; two jobs of one key are interchangeable."""
        made_from = {
            "stage": stage.name,
            "job": self.kind(stage),
            "instances": self.recipe.stages[stage.name].instances,
            "image": images.uri(self.recipe),
            "code": self.code(stage),
            "parameters": stage.parameters,
            "inputs": {channel: sources[path].identity for channel, path in stage.channels.items()},
        }
        return hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()

    def name(self, stage: Stage, key: str, attempt: int) -> str:
        """The name of one attempt at a stage."""
        return attempts.name_of(self.recipe.project, self.environment.name, stage.name, key, attempt)


def completed(run: Run, stage: Stage, sources: dict[str, Source]) -> Job | None:
    """The job that has made a stage, whole; None when there is none."""
    key = run.key(stage, sources)
    for attempt in itertools.count(1):
        job = attempts.describe(run.session, run.kind(stage), run.name(stage, key, attempt))
        if job is None:
            return None
        if job.key == key and job.status == "Completed" and is_whole(run, stage, job):
            return job
    return None


def latest(run: Run, stage: Stage, sources: dict[str, Source]) -> Job | None:
    """The last attempt at a stage, however it stands; None when nobody has tried."""
    key, last = run.key(stage, sources), None
    for attempt in itertools.count(1):
        job = attempts.describe(run.session, run.kind(stage), run.name(stage, key, attempt))
        if job is None:
            return last
        last = job if job.key == key else last
    return last


def done(run: Run, stage: Stage, sources: dict[str, Source]) -> Job:
    """Get a stage done: take the job that has made it, wait for the one that is at it, or start one.

    Raises:
        Failure: the job fails; with its reason and the last lines of its log.
        StillTraining: it is at it longer than this run may wait.
    """
    key, kind = run.key(stage, sources), run.kind(stage)
    for attempt in itertools.count(1):
        name = run.name(stage, key, attempt)
        job = attempts.describe(run.session, kind, name)
        begins = job is None
        if job is None:
            job = started(run, stage, request(run, stage, sources, key, name))
        if job.key != key:
            continue
        if begins or job.status == "InProgress":
            if not begins:
                run.progress(f"{stage.name}: job {name} is at it already; waiting for it")
            if ended := awaited(run, stage, job):
                return finished(run, stage, ended)
        elif job.status in {"Failed", "Stopped"}:
            if job.name == run.after:
                raise attempts.failure(run.session, stage.name, job)
        elif job.status == "Completed" and is_whole(run, stage, job):
            run.progress(f"{stage.name}: unchanged, job {name} has made it; nothing is started")
            return job
        else:
            # One that is being stopped, or whose output is damaged: another attempt follows it.
            waited(run, stage, job)
    raise Failure(f"{stage.name}: every attempt is taken")


def request(run: Run, stage: Stage, sources: dict[str, Source], key: str, name: str) -> JobRequest:
    """What is asked of SageMaker for one attempt at a stage."""
    bucket = run.environment.bucket
    home = f"s3://{bucket}/jobs/"
    return JobRequest(
        name=name,
        stage=stage.name,
        script=f"{run.recipe.package}/{stage.name}.py",
        key=key,
        image=images.uri(run.recipe),
        role=run.environment.execution_role,
        bucket=bucket,
        kms_key=keys.arn(run.session, run.environment),
        code=run.recipe.root / "src",
        inputs={channel: sources[path].uri for channel, path in stage.channels.items()},
        # A training job adds its name itself.
        output=home if run.kind(stage) == "training" else f"{home}{name}/output/",
        arguments=stage.arguments,
        starter=attempts.starter(),
        tags={tag["Key"]: tag["Value"] for tag in groups.tags(run.recipe, run.environment)},
    )


def started(run: Run, stage: Stage, wanted: JobRequest) -> Job:
    """The job that was wanted, as it has begun: started here, or by another run that was first."""
    kind = run.kind(stage)
    with attempts.stopped_when_cancelled(run.session, kind, wanted.name, run.progress):
        with tempfile.TemporaryDirectory() as folder:
            only_declared(run, stage, Path(folder))
            create(run, kind, wanted, Path(folder))
        job = attempts.describe(run.session, kind, wanted.name)
    if job is None:
        raise Failure(f"{stage.name}: job {wanted.name} was created and is gone; run the same command again")
    return job


def awaited(run: Run, stage: Stage, job: Job) -> Job | None:
    """The job when it has ended; None when another run had started it, and it was stopped before its end.

    That run was cancelled, or somebody was done with it; this one wants the result none the less.
    """
    ended = waited(run, stage, job)
    if ended.status != "Stopped" or ended.ran_out or ended.starter == attempts.starter():
        return ended
    run.progress(f"{stage.name}: job {job.name} of another run was stopped; another attempt follows it")
    return None


def waited(run: Run, stage: Stage, job: Job) -> Job:
    """The job when it has ended, however it has; when this run is cancelled, it stops a job of its own.

    Raises:
        StillTraining: it has not ended for as long as this run may wait.
    """
    with attempts.stopped_when_cancelled(run.session, job.kind, job.name, run.progress):
        current = attempts.wait(run.session, job, run.progress, run.until)
        return current if current.ended else left(run, stage, current)


def create(run: Run, kind: attempts.Kind, wanted: JobRequest, folder: Path) -> None:
    """Create a job; that another run was first is no fault, its job is waited for.

    Raises:
        Failure: SageMaker refuses it.
    """
    module = training if kind == "training" else processing
    run.progress(f"{wanted.stage}: starting job {wanted.name}")
    try:
        module.create(run.recipe, run.session, replace(wanted, code=folder))
    except (ClientError, BotoCoreError, Boto3Error) as error:
        if aws.code_of(error) != "ResourceInUse":
            raise Failure(f"Create{kind.title()}Job {wanted.name}: {aws.reason(error)}") from error


def only_declared(run: Run, stage: Stage, folder: Path) -> None:
    """Copy what a stage's deps name of the code: what the key covers is all that the job gets."""
    for path in run.code(stage):
        target = folder / Path(path).relative_to("src")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(run.recipe.root / path, target)


def finished(run: Run, stage: Stage, job: Job) -> Job:
    """A job that has ended well.

    Raises:
        Failure: it has not, or what it made is damaged.
    """
    if job.status != "Completed":
        raise attempts.failure(run.session, stage.name, job)
    if not is_whole(run, stage, job):
        raise Failure(
            f"{stage.name}: the output of job {job.name} is damaged; run the same command again for another attempt"
        )
    run.progress(f"{stage.name}: job {job.name} is completed")
    return job


def left(run: Run, stage: Stage, job: Job) -> Job:
    """Leave a job to itself, with a note on it of the commit that waits; unless it has just ended.

    Raises:
        StillTraining: it has not.
    """
    # Only where models are trained somebody is told of a job's end; elsewhere a person runs the run again.
    trains = run.recipe.before(run.environment) is None
    noted = trains and waiting.note(run.session, job, run.commit)
    # Whoever is told of its end reads the note: when it ended before the note was there, nobody else takes it up.
    current = attempts.describe(run.session, job.kind, job.name)
    if current is None or not current.ended:
        raise StillTraining(stage.name, job, taken_up=noted)
    return current


def is_whole(run: Run, stage: Stage, job: Job) -> bool:
    """Whether a completed job's output is still what it made."""
    if job.kind == "processing":
        # Housekeeping removes a job's files in the order of their names: while code is there, the output is whole.
        code = f"s3://{run.environment.bucket}/jobs/{job.name}/code/"
        return all(storage.listing(run.session, place) for place in (code, output_of(job)))
    try:
        found = storage.digest(run.session, output_of(job))
    except NotFound:
        return False
    whole = found == recorded(run, job, found)
    if not whole:
        run.progress(f"{stage.name}: the artefact of job {job.name} is no longer what the job made")
    return whole


def recorded(run: Run, job: Job, found: str) -> str:
    """The SHA-256 that a training job's artefact had when it was first seen: SageMaker keeps none itself.

    It lies where no job may write, for those of other branches can overwrite the artefact.
    """
    record = f"s3://{run.environment.bucket}/digests/{job.name}"
    if storage.exists(run.session, record):
        return storage.read(run.session, record).decode().strip()
    storage.write(run.session, record, found.encode(), run.environment.kms_key)
    return found


def output_of(job: Job) -> str:
    """Where a job's output is: model.tar.gz of a training job, the prefix of a processing job's folder."""
    if job.kind == "training":
        return str(job.description["ModelArtifacts"]["S3ModelArtifacts"])
    return str(job.description["ProcessingOutputConfig"]["Outputs"][0]["S3Output"]["S3Uri"])
