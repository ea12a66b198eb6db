"""What a run did: its jobs and steps, read from act's log, and whether every job has a result."""

import json
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness import conditions
from harness.environments import Gate
from harness.rewriting import CALLED
from harness.triggers import Event


class HarnessError(AssertionError):
    """A run that GitHub would not have run like this: the harness can not vouch for its results."""


@dataclass
class Step:
    """A step, with what it printed and handed on."""

    name: str
    outcome: str = "not-run"
    outputs: dict[str, str] = field(default_factory=dict)
    log: str = ""
    summary: str = ""


@dataclass
class Job:
    """A job; one of a called workflow has the name `caller/job`."""

    name: str
    id: str
    result: str = "not-run"
    steps: dict[str, Step] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def log(self) -> str:
        """What its steps printed."""
        return "".join(step.log for step in self.steps.values())

    @property
    def summary(self) -> str:
        """What its steps wrote to the job summary."""
        return "".join(step.summary for step in self.steps.values())


@dataclass
class Run:
    """One workflow run."""

    id: int
    workflow: str
    name: str
    event: Event
    folder: Path
    gate: Gate
    document: dict[str, Any]
    earlier: tuple["Run", ...] = ()
    kept: dict[str, Job] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    finished: bool = False
    cancelled: bool = False
    startup_failure: str = ""
    deployments: dict[str, bool] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def attempts(self) -> tuple["Run", ...]:
        """All attempts, this one last. On GitHub they are one run; here each has a number of its own."""
        return (*self.earlier, self)

    @property
    def attempt(self) -> int:
        """Which attempt it is, from 1."""
        return len(self.attempts)

    @property
    def conclusion(self) -> str:
        """success, failure, cancelled, skipped or startup_failure; waiting while reviewers are asked."""
        if self.startup_failure:
            return "startup_failure"
        if not self.finished:
            return "waiting" if self.gate.waiting else "in_progress"
        if self.cancelled:
            return "cancelled"
        results = {job.result for job in self.jobs.values()}
        if "failure" in results:
            return "failure"
        return "skipped" if results == {"skipped"} else "success"

    def settled(self) -> bool:
        """Whether it has ended or waits for a review."""
        return self.finished or bool(self.gate.waiting)

    @property
    def results(self) -> dict[str, str]:
        """The result of each job."""
        return {name: job.result for name, job in self.jobs.items()}

    @property
    def log(self) -> str:
        """What all jobs printed."""
        return "".join(job.log for job in self.jobs.values())

    @property
    def summary(self) -> str:
        """The summary of all jobs."""
        return "".join(job.summary for job in self.jobs.values())

    @property
    def artifacts(self) -> Path:
        """Where uploaded artifacts lie, a folder each."""
        return self.folder / "artifacts"

    def told(self) -> str:
        """The results with the log of each job that failed, for a person whose test failed."""
        lines = [f"run {self.id} of {self.workflow} on {self.event.name} {self.event.ref}: {self.conclusion}"]
        lines += [self.startup_failure] if self.startup_failure else []
        for job in self.jobs.values():
            lines.append(f"  {job.result:8} {job.name} ({job.seconds:.1f} s)")
            if job.result == "failure":
                lines += [f"    {line}" for line in job.log.splitlines()[-40:]]
        return "\n".join([*lines, *(f"  problem: {problem}" for problem in self.problems)])


def read(run: Run, log: str, errors: str, code: int) -> None:
    """Read act's log into a run's jobs, and find what act left without a result."""
    for record in _records(log):
        message = str(record.get("msg", ""))
        if "Skipping unsupported platform" in message or "Unable to interpolate" in message:
            run.problems.append(message.strip())
        if "job" in record:
            _note(run.name, run.jobs, record, message)
    if run.cancelled:
        return
    callers = {name for name, job in run.document["jobs"].items() if "uses" in job}
    for caller in callers:
        _derive_result_of_caller(run, caller)
    _derive_skipped(run, callers)
    run.jobs |= run.kept
    for name in run.document["jobs"]:
        if not any(job.id == name and job.result != "not-run" for job in run.jobs.values()):
            run.problems.append(f"job {name} neither ran nor was skipped")
    if code and not any(job.result == "failure" for job in run.jobs.values()):
        run.problems.append("act itself failed: " + (errors.strip() or log.strip())[-800:])


def so_far(run: Run) -> dict[str, Job]:
    """The jobs of a run that has not ended, as far as act has told of them; all of one that has."""
    if run.finished:
        return run.jobs
    jobs: dict[str, Job] = {}
    for record in _records((run.folder / "act.log").read_text(encoding="utf-8", errors="replace")):
        if "job" in record:
            _note(run.name, jobs, record, str(record.get("msg", "")))
    return jobs


def _records(log: str) -> Iterator[dict[str, Any]]:
    for line in log.splitlines():
        if line.startswith("{"):
            try:
                yield json.loads(line)
            except ValueError:
                continue


def _note(workflow: str, jobs: dict[str, Job], record: Mapping[str, Any], message: str) -> None:
    name = str(record["job"]).strip().removeprefix(f"{workflow}/").replace(f"/{CALLED}/", "/")
    job = jobs.setdefault(name, Job(name, name.split("/")[0] if "/" in name else str(record.get("jobID", name))))
    job.result = record.get("jobResult", job.result)
    job.seconds += record.get("executionTime", 0) / 1e9 if len(record.get("stepID", "12")) == 1 else 0
    if record.get("stage") != "Main":
        return
    step = job.steps.setdefault("/".join(record["stepID"]), Step(record.get("step", "")))
    step.outcome = record.get("stepResult", step.outcome)
    if record.get("command") == "set-output":
        step.outputs[record["name"]] = record["arg"]
    elif record.get("command") == "summary" and len(record["stepID"]) == 1:
        # A composite's summary is told once more for the step that used it.
        step.summary += record["content"]
    elif record.get("raw_output"):
        step.log += message if message.endswith("\n") else message + "\n"
    elif record.get("command") in ("error", "warning", "notice"):
        step.log += f"::{record['command']}::{message.strip()}\n"
    elif record.get("level") == "error":
        step.log += f"{message.strip()}\n"


def _derive_result_of_caller(run: Run, caller: str) -> None:
    """act reports the jobs of a called workflow, but not the job that called it."""
    inner = [job.result for name, job in run.jobs.items() if name.startswith(f"{caller}/")]
    if not inner:
        return
    result = "failure" if "failure" in inner else "skipped" if set(inner) == {"skipped"} else "success"
    run.jobs[caller] = Job(caller, caller, result)


def _derive_skipped(run: Run, callers: Iterable[str]) -> None:
    """act ends its plan where a called workflow fails: what comes after it is skipped, unless its `if` lets it run."""
    if not any(run.jobs[caller].result == "failure" for caller in callers if caller in run.jobs):
        return
    for name, job in run.document["jobs"].items():
        if name in run.jobs and run.jobs[name].result != "not-run":
            continue
        needs = [job["needs"]] if isinstance(job.get("needs"), str) else job.get("needs", [])
        results = {need: run.jobs[need].result if need in run.jobs else "not-run" for need in needs}
        if "not-run" in results.values():
            continue
        try:
            runs = conditions.would_run(job.get("if"), results)
        except ValueError as error:
            run.problems.append(str(error))
            continue
        if not runs:
            run.jobs[name] = Job(name, name, "skipped")
