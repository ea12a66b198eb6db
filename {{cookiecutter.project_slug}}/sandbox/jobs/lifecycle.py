"""The life of a job, whatever it does: from the request that creates it to the event that says how it ended."""

from __future__ import annotations

import secrets
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock, Thread
from typing import Any, Literal

from sandbox.documents import Document, now, public
from sandbox.jobs.container import Container
from sandbox.jobs.interpreter import interpreter
from sandbox.jobs.logs import LogStream
from sandbox.jobs.storage import NotReadable, Storage, storage
from sandbox.operations import Answer, Call, Refusal
from sandbox.pages import page
from sandbox.sandbox import Sandbox

Kind = Literal["Training", "Processing", "Transform"]
_GRACE_SECONDS = 120
_REASON_LETTERS = 1024
_LAST_LINES = 8


class Failed(Exception):
    """The job can not go on; the text is its FailureReason."""


@dataclass
class Job:
    """A job that runs: its document, and what its work needs."""

    kind: Kind
    document: Document
    sandbox: Sandbox
    account: str
    region: str
    container: Container
    storage: Storage
    log: LogStream

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.document[f"{self.kind}JobName"])

    def update(self, **members: Any) -> None:
        """Change members of its document, as Describe then shows them."""
        with self.sandbox.documents.lock:
            self.document.update(members, LastModifiedTime=now())
            self.sandbox.documents.changed()

    def run(self, command: list[str], environment: dict[str, str], folder: Path) -> None:
        """Run its command with the role's credentials.

        Raises:
            Failed: it ended with another code than 0; the reason is what the container left in /opt/ml/output/failure,
                or its last lines.
        """
        limits = self.document.get("StoppingCondition") or {}
        try:
            code = self.container.run(
                command,
                {**self._credentials(), **environment},
                folder,
                self.log.line,
                limits.get("MaxRuntimeInSeconds", 86400),
            )
        except OSError as problem:
            raise Failed(f"AlgorithmError: Unable to run {command[0]}: {problem.strerror}") from None
        if code and not self.container.stopping:
            raise Failed(self._reason(code))

    def _credentials(self) -> dict[str, str]:
        if self.document.get("EnableNetworkIsolation"):
            return {}
        return {
            **self.storage.credentials.environment(),
            "AWS_ENDPOINT_URL": self.sandbox.url,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
        }

    def _reason(self, code: int) -> str:
        file = self.container.path("/opt/ml/output/failure")
        if file.exists() and (text := file.read_text(errors="replace").strip()):
            reason = f"AlgorithmError: {self.container.original(text)}, exit code: {code}"
        else:
            # Of a long traceback the end is what helps.
            lines = "\n".join(self.log.lines[-_LAST_LINES:])[-_REASON_LETTERS + 100 :]
            reason = f"AlgorithmError: ExecuteUserScriptError: ExitCode {code}\n{lines}"
        return reason[:_REASON_LETTERS]


_RUNNING: dict[tuple[Path, str], Job] = {}
_LOCK = Lock()
_RECOVERED: set[Path] = set()


def table(call: Call, kind: Kind) -> dict[str, Document]:
    """The jobs of a kind; those that a sandbox before this one did not finish are Failed by now."""
    with call.sandbox.documents.lock:
        if call.sandbox.state not in _RECOVERED:
            _RECOVERED.add(call.sandbox.state)
            call.sandbox.on_stop.append(lambda: stop_all(call.sandbox))
            _fail_the_interrupted(call.sandbox)
    return call.table(f"{kind}Job")


def create(call: Call, kind: Kind, members: Document, work: Callable[[Job], None], role: str | None = None) -> Answer:
    """Accept a job, start its work in the background, and answer with its ARN.

    Args:
        call: that asks for it.
        kind: of the job.
        members: of its document, beside the request's.
        work: what it does.
        role: as whom it works, where the request does not say so.

    Raises:
        Refusal: the name is taken, or the role can not be assumed.
    """
    name = call.parameters[f"{kind}JobName"]
    arn = call.arn(f"{kind.lower()}-job", name)
    identity = storage(call.sandbox, role or call.parameters["RoleArn"], call.caller.region)
    with call.sandbox.documents.lock:
        jobs = table(call, kind)
        if name in jobs:
            raise Refusal("ResourceInUse", f"Job name must be unique within an AWS account and region, {arn} exists.")
        document = {
            **{key: value for key, value in call.parameters.items() if key != "Tags"},
            f"{kind}JobArn": arn,
            f"{kind}JobStatus": "InProgress",
            "CreationTime": now(),
            "LastModifiedTime": now(),
            **members,
        }
        jobs[name] = document
        call.sandbox.documents.changed()
    # The suffix keeps apart the folders of jobs of one name in several accounts.
    container = Container(interpreter(call.sandbox), f"{name}-{secrets.token_hex(4)}")
    logs = call.sandbox.client("logs", call.caller.account, call.caller.region)
    log = LogStream(logs, f"/aws/sagemaker/{kind}Jobs", f"{name}/algo-1-{int(time.time())}")
    job = Job(kind, document, call.sandbox, call.caller.account, call.caller.region, container, identity, log)
    with _LOCK:
        _RUNNING[call.sandbox.state, arn] = job
    announce(job)
    Thread(target=_live, args=(job, work), daemon=True, name=name).start()
    return {f"{kind}JobArn": arn}


def describe(call: Call, kind: Kind) -> Document:
    """A job's document as the service shows it."""
    return public(_found(call, kind))


def listed(call: Call, kind: Kind) -> Answer:
    """A page of the jobs of a kind, the newest first unless asked otherwise."""
    wanted = call.parameters.get("StatusEquals")
    jobs = [each for each in table(call, kind).values() if wanted in (None, each[f"{kind}JobStatus"])]
    found, more = page(jobs, call.parameters, f"{kind}JobName")
    # The service sends of each what the shape of a summary has.
    return {f"{kind}JobSummaries": [public(each) for each in found], **more}


def stop(call: Call, kind: Kind) -> Answer:
    """Ask a job to stop; one that has ended is refused, as on AWS.

    Raises:
        Refusal: there is no such job, or it does not run any more.
    """
    document = _found(call, kind)
    arn, status = document[f"{kind}JobArn"], document[f"{kind}JobStatus"]
    job = _RUNNING.get((call.sandbox.state, arn))
    if status != "InProgress" or job is None:
        raise Refusal("ValidationException", f"The request was rejected because the job is in status {status}.")
    job.update(**{f"{kind}JobStatus": "Stopping"})
    if kind == "Training":
        job.update(SecondaryStatus="Stopping")
    job.container.stop(max(0.5, call.sandbox.seconds(_GRACE_SECONDS)))
    return {}


def stop_all(sandbox: Sandbox) -> None:
    """End every job of a sandbox that stops; their documents say so when it starts again."""
    with _LOCK:
        jobs = [job for (state, _), job in _RUNNING.items() if state == sandbox.state]
        _RECOVERED.discard(sandbox.state)
    for job in jobs:
        job.container.kill()


def announce(job: Job) -> None:
    """Send the event of a change of state."""
    detail = {name: value for name, value in public(job.document).items() if name != "Environment"}
    job.sandbox.emit(job.account, job.region, f"SageMaker {job.kind} Job State Change", detail)


def _live(job: Job, work: Callable[[Job], None]) -> None:
    reason = ""
    try:
        work(job)
        status = "Stopped" if job.container.stopping else "Completed"
    except (Failed, NotReadable, Refusal, ValueError) as problem:
        status, reason = "Stopped" if job.container.stopping else "Failed", str(problem)
    except Exception as problem:
        traceback.print_exc()
        status, reason = "Failed", f"InternalServerError: {type(problem).__name__}: {problem}"
    members: Document = {f"{job.kind}JobStatus": status, f"{job.kind}EndTime": now()}
    if status == "Failed":
        members["FailureReason"] = reason[:_REASON_LETTERS]
    if job.kind == "Training":
        members["SecondaryStatus"] = "MaxRuntimeExceeded" if job.container.timed_out else status
    if job.container.interpreter.ended.is_set():
        return  # The sandbox stops: the job is found interrupted when it starts again.
    job.log.flush()
    job.container.remove()
    job.update(**members)
    with _LOCK:
        _RUNNING.pop((job.sandbox.state, job.document[f"{job.kind}JobArn"]), None)
    announce(job)


def _found(call: Call, kind: Kind) -> Document:
    name = call.parameters[f"{kind}JobName"]
    try:
        return table(call, kind)[name]
    except KeyError:
        what = (
            "Requested resource not found." if kind == "Training" else f"Could not find requested job with name: {name}"
        )
        raise Refusal("ValidationException", what) from None


def _fail_the_interrupted(sandbox: Sandbox) -> None:
    for kind in ("Training", "Processing", "Transform"):
        for _, _, jobs in sandbox.documents.everywhere(f"{kind}Job"):
            for job in jobs.values():
                if job[f"{kind}JobStatus"] in ("InProgress", "Stopping"):
                    job[f"{kind}JobStatus"] = job["SecondaryStatus"] = "Failed"
                    job["FailureReason"] = "InternalServerError: the sandbox stopped while the job ran"
                    sandbox.documents.changed()
