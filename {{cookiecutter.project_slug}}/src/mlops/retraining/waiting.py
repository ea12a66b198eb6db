"""Commits that wait for a job: their runs could wait no longer and have ended, and the job's tags name them."""

import hashlib
import re
from dataclasses import dataclass
from urllib.parse import quote, unquote

import boto3

from mlops import aws, github
from mlops.compute import attempts
from mlops.compute.attempts import Job
from mlops.display import Progress
from mlops.errors import BadInput, Failure, NotFound
from mlops.settings.project import Environment, Settings

TAG = "mlops:waits:"
"""How the key of a tag begins that names a commit; its value is the workflow to go on with, empty when it does.

The key ends with a hash of workflow and branch: two branches at one commit both wait, and a key has 128 characters."""

VALUE_LIMIT = 256
"""Characters that a tag's value may have. The name of a branch may have as many letters, and nine for each of them."""

COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Waiting:
    """A commit that waits for a job.

    Args:
        commit: full hash.
        workflow: file of the workflow whose run has left the job.
        branch: that the run was of.
    """

    commit: str
    workflow: str
    branch: str

    @property
    def key(self) -> str:
        """The key of its tag."""
        place = hashlib.sha256(f"{self.workflow}@{self.branch}".encode()).hexdigest()[:12]
        return f"{TAG}{self.commit}:{place}"

    @property
    def value(self) -> str:
        """The value of its tag while it waits, without the characters that a tag does not take."""
        return f"{self.workflow}@{quote(self.branch, safe='/').replace('%', '=')}"


@dataclass(frozen=True)
class TakenUp:
    """A commit whose workflow was started again, or why it was not."""

    commit: str
    workflow: str
    branch: str
    started: bool
    why_not: str = ""


def note(session: boto3.Session, job: Job, commit: str) -> bool:
    """Write on a job that a commit waits for it, and by which workflow it goes on; False when that is too long."""
    waiting = Waiting(commit, *github.workflow())
    if len(waiting.value) > VALUE_LIMIT:
        return False
    write(session, job, waiting.key, waiting.value)
    return True


def write(session: boto3.Session, job: Job, key: str, value: str) -> None:
    """Write a tag on a job."""
    with aws.explained("AddTags", job.arn):
        aws.client(session, "sagemaker").add_tags(ResourceArn=job.arn, Tags=[{"Key": key, "Value": value}])


def of(session: boto3.Session, job: Job) -> list[Waiting]:
    """The commits that wait for a job."""
    with aws.explained("ListTags", job.arn):
        pages = aws.client(session, "sagemaker").get_paginator("list_tags").paginate(ResourceArn=job.arn)
        tags = {tag["Key"]: tag["Value"] for page in pages for tag in page["Tags"]}
    found = []
    for key, value in tags.items():
        workflow, at, branch = value.partition("@")
        commit, _, _ = key.removeprefix(TAG).partition(":")
        if key.startswith(TAG) and COMMIT.fullmatch(commit) and at:
            found.append(Waiting(commit, workflow, unquote(branch.replace("=", "%"))))
    return found


def take_up(settings: Settings, environment: Environment, name: str, progress: Progress) -> list[TakenUp]:
    """Start the workflow again of each commit that waits for a job which has ended, however it has ended.

    What is known of the job and of the commits is read from SageMaker: its name may come from anywhere, twice or late.
    A branch that has moved on has a run of its own for what it is now.

    Args:
        settings: of the project.
        environment: whose job it is.
        name: of the job.
        progress: told what is done.

    Raises:
        BadInput: it is no name of this environment's jobs.
        Failure: there is no such job, or GitHub refuses; the commits that it does not refuse go on.
    """
    if not name.startswith(environment.named("")):
        raise BadInput(f"--job is {name!r}; the jobs of {environment.name} have names like {environment.named('...')}")
    session = aws.session(settings, environment, aws.duty_in(settings, environment))
    job = attempts.describe(session, "training", name) or attempts.describe(session, "processing", name)
    if job is None:
        raise NotFound(f"job {name}: SageMaker has none of that name in {environment.account}; look for a slip in it")
    if not job.ended:
        progress(f"{name}: {job.status}; it is taken up when it has ended")
        return []
    taken, refused = [], []
    for each in of(session, job):
        try:
            taken.append(taken_up(session, job, each))
        except Failure as error:
            refused.append(f"{each.commit[:12]} on {each.branch}: {error}")
    if refused:
        raise Failure("\n".join(refused))
    return taken


def taken_up(session: boto3.Session, job: Job, waiting: Waiting) -> TakenUp:
    """Start a commit's workflow again, unless its branch is no longer at it; then it waits no more."""
    head = github.head(waiting.branch)
    why_not = "" if head == waiting.commit else f"the branch is at {head[:12]}" if head else "the branch is gone"
    if not why_not:
        github.dispatch(waiting.workflow, waiting.branch, {"job": job.name})
    # After the start: a crash between the two starts it twice, the other way round it would be lost.
    write(session, job, waiting.key, "")
    return TakenUp(waiting.commit, waiting.workflow, waiting.branch, not why_not, why_not)


def told(settings: Settings, name: str, taken: list[TakenUp]) -> str:
    """What was done, as the summary of the workflow says it."""
    lines = [f"## {settings.project}: {name} has ended", ""]
    for each in taken:
        done = f"{each.workflow} goes on" if each.started else f"nothing is started: {each.why_not}"
        lines.append(f"- `{each.commit[:12]}` on `{each.branch}`: {done}")
    return "\n".join(lines if taken else [*lines, "No commit waits for it: nothing to do."]) + "\n"


def left(job: Job, stage: str, taken_up: bool) -> str:
    """What a run that waits no longer says of the job that it leaves."""
    goes_on = "the workflow training-finished goes on with it; so does a second run of this one"
    if not taken_up:
        goes_on = "run this one again: it goes on with it"
    return (
        f"{stage}: job {job.name} is still at it ({job.status}). Nothing is registered yet: when the job has "
        f"ended, {goes_on}"
    )


class StillTraining(Failure):
    """A job takes longer than a run may wait: it goes on by itself, and the run that comes after it adopts it."""

    def __init__(self, stage: str, job: Job, taken_up: bool = True) -> None:
        super().__init__(left(job, stage, taken_up))
        self.job = job.name
