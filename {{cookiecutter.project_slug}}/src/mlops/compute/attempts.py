"""The SageMaker jobs of one stage: found by their name, waited for, stopped, and explained when they failed."""

import contextlib
import math
import re
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from mlops import aws, github
from mlops.display import Progress
from mlops.errors import Failure

Kind = Literal["training", "processing", "transform"]

NAME_LIMIT = 63
"""Characters of a job's name. Source: SageMaker's API reference, TrainingJobName and ProcessingJobName."""

ATTEMPTS_LIMIT = 999

LINES_READ, LAST_LINES = 100, 12
"""Of a failed job's log: how many lines are asked for, and how many of those that are the script's are shown."""

LONGEST_LINE = 300

UNREAD = "its log in"
"""Begins what is told in place of a log that can not be read."""

VARIABLE = re.compile(r"^(export )?(SM|SAGEMAKER)_[A-Z0-9_]+=")
"""A line of a log that shows a variable of the container: the SageMaker SDK's driver shows all of them."""

SHORTEST_POLL, LONGEST_POLL = 0.1, 15.0
"""Seconds between two looks at a job: a twentieth of its age, within these."""


THIS_PROCESS = f"process {uuid.uuid4().hex}"


class ScriptFailed(Failure):
    """A job ran, and its script ended with an error: another attempt would end as this one."""


@dataclass(frozen=True)
class Job:
    """A job as SageMaker describes it.

    Args:
        kind: training or processing.
        name: of the job.
        status: InProgress, Completed, Failed, Stopping or Stopped.
        key: the stage key that it carries; empty when it is not one of ours.
        description: all that SageMaker says.
    """

    kind: Kind
    name: str
    status: str
    key: str
    description: dict[str, Any]

    @property
    def starter(self) -> str:
        """Who started it; see `starter`."""
        return str((self.description.get("Environment") or {}).get("MLOPS_STARTED_BY", ""))

    @property
    def ran_out(self) -> bool:
        """Whether SageMaker stopped it at its limit, rather than somebody."""
        if self.description.get("SecondaryStatus") in {"MaxRuntimeExceeded", "MaxWaitTimeExceeded"}:
            return True
        began, ended = (self.description.get(f"{self.kind.title()}{each}Time") for each in ("Start", "End"))
        limit = self.description.get("StoppingCondition", {}).get("MaxRuntimeInSeconds", math.inf)
        return bool(began and ended and (ended - began).total_seconds() >= limit)

    @property
    def arn(self) -> str:
        """Its ARN."""
        return str(self.description[f"{self.kind.title()}JobArn"])

    @property
    def ended(self) -> bool:
        """Whether nothing more comes of it, good or bad."""
        return self.status not in {"InProgress", "Stopping"}


def name_of(project: str, environment: str, stage: str, key: str, attempt: int) -> str:
    """`<slug>-<env>-<stage>-<key8>-<attempt>`; a stage's name too long for SageMaker's limit is cut."""
    room = NAME_LIMIT - len(f"{project}-{environment}--{key[:8]}-{ATTEMPTS_LIMIT}")
    return f"{project}-{environment}-{stage.replace('_', '-')[:room].rstrip('-')}-{key[:8]}-{attempt}"


def starter() -> str:
    """Who starts jobs here, as jobs say it: a run of a workflow, the same in all its attempts; else this process."""
    return github.run_url() or THIS_PROCESS


def describe(session: boto3.Session, kind: Kind, name: str) -> Job | None:
    """A job by its name; None when there is none.

    Raises:
        Failure: SageMaker refuses to say.
    """
    title = kind.title()
    try:
        answer = getattr(aws.client(session, "sagemaker"), f"describe_{kind}_job")(**{f"{title}JobName": name})
    except ClientError as error:
        if aws.is_missing(error) or is_not_found(error):
            return None
        raise Failure(f"Describe{title}Job {name}: {aws.reason(error)}") from error
    except BotoCoreError as error:
        raise Failure(f"Describe{title}Job {name}: {aws.reason(error)}") from error
    key = (answer.get("Environment") or {}).get("MLOPS_STAGE_KEY", "")
    return Job(kind, name, answer[f"{title}JobStatus"], key, answer)


def is_not_found(error: ClientError) -> bool:
    """Whether SageMaker says that a training job does not exist: a ValidationException with these words."""
    return "requested resource not found" in aws.reason(error).lower()


def wait(session: boto3.Session, job: Job, progress: Progress, until: float = math.inf) -> Job:
    """Wait until a job has ended, however it ends, or until one can wait no longer.

    Args:
        session: that may look at it.
        job: as it was when it was looked at last.
        progress: told what it is doing.
        until: when to wait no longer, by the clock of `time.monotonic`.

    Raises:
        Failure: it is gone.
    """
    started, phase = time.monotonic(), ""
    current: Job | None = job
    while current is not None and not current.ended and time.monotonic() < until:
        if (now := str(current.description.get("SecondaryStatus", ""))) != phase:
            phase = now
            progress(f"{job.name}: {phase.lower()}")
        poll = min(max((time.monotonic() - started) / 20, SHORTEST_POLL), LONGEST_POLL)
        time.sleep(max(0, min(poll, until - time.monotonic())))
        current = describe(session, job.kind, job.name)
    if current is None:
        raise Failure(f"{job.name}: the job is gone; run the same command again")
    return current


@contextlib.contextmanager
def stopped_when_cancelled(session: boto3.Session, kind: Kind, name: str, progress: Progress) -> Iterator[None]:
    """While a job is begun or waited for: a cancelled run stops what it started, and leaves what another one did.

    Who started it is asked of the job itself: this process may have adopted a job of an earlier attempt of its run, and
    another run may have been first with one that this process meant to create.
    """
    try:
        yield
    except KeyboardInterrupt:
        with contextlib.suppress(Failure):
            job = describe(session, kind, name)
            if job is not None and not job.ended and job.starter == starter():
                progress(f"stopping job {name}")
                stop(session, kind, name)
        raise


def stop(session: boto3.Session, kind: Kind, name: str) -> None:
    """Ask a job to stop; one that has ended or never began is left alone."""
    with contextlib.suppress(ClientError, BotoCoreError):
        getattr(aws.client(session, "sagemaker"), f"stop_{kind}_job")(**{f"{kind.title()}JobName": name})


def failure(session: boto3.Session, stage: str, job: Job) -> Failure:
    """Why a job did not complete: what its script said last, SageMaker's own reason, then the last lines of its log."""
    given = str(job.description.get("FailureReason") or job.description.get("ExitMessage") or "no reason was given")
    # Of a traceback the last line says what happened; the log has the script's own.
    before, _, traceback = given.partition("Traceback (most recent call last):")
    reason = " ".join(f"{before} {traceback.strip().splitlines()[-1] if traceback.strip() else ''}".split())
    said = log(session, job)
    lines = "".join(f"\n  | {line}" for line in said)
    # SageMaker begins a reason so when the container ended with another code than 0.
    kind = ScriptFailed if given.startswith("AlgorithmError") else Failure
    last = next((line.strip() for line in reversed(said) if line.strip()), "")
    if kind is ScriptFailed and last and not last.startswith(UNREAD):
        # What called the script, and how, says nothing of the cause.
        reason = f"{reason.partition(':')[0]}: {last}"
    return kind(f"{stage}: job {job.name} is {job.status}: {reason}{lines}")


def log(session: boto3.Session, job: Job) -> list[str]:
    """The last lines that a job printed, as CloudWatch Logs has them; one that says so when they can not be read."""
    group = f"/aws/sagemaker/{job.kind.title()}Jobs"
    logs = aws.client(session, "logs")
    try:
        streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{job.name}/")["logStreams"]
        events = [
            event
            for stream in streams[:1]
            for event in logs.get_log_events(
                logGroupName=group, logStreamName=stream["logStreamName"], limit=LINES_READ, startFromHead=False
            )["events"]
        ]
    except (ClientError, BotoCoreError) as error:
        return [f"{UNREAD} {group} can not be read: {aws.reason(error)}"]
    return of_the_script([str(event["message"]).rstrip() for event in events])[-LAST_LINES:]


def of_the_script(lines: list[str]) -> list[str]:
    """A log without what the SageMaker SDK's driver says around the script: its shell's trace and its own traceback."""
    ends = next((at for at, line in enumerate(lines) if line.startswith("Command failed with exit code")), len(lines))
    said = [line for line in lines[:ends] if not line.startswith("+") and not VARIABLE.match(line)] or lines
    return [line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]}…" for line in said]
