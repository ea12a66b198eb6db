"""The failed jobs of a run, run again: which jobs keep their results and outputs, and what stands for them in act.

Source: docs.github.com, Re-running workflows and jobs, "Re-running failed jobs in a workflow".
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from harness.runs import HarnessError, Job, Run

_STEP = re.compile(r"\$\{\{\s*steps\.([\w-]+)\.outputs\.([\w-]+)\s*\}\}")
_JOB = re.compile(r"\$\{\{\s*jobs\.([\w-]+)\.outputs\.([\w-]+)\s*\}\}")
FAILED = ("failure", "cancelled")
Document = dict[str, Any]


@dataclass(frozen=True)
class Kept:
    """A job that is not run again, with the outputs that it had."""

    job: Job
    outputs: Mapping[str, str]

    def standin(self) -> Document:
        """A job that ends as it has ended and hands on what it has handed on."""
        plain = {"runs-on": "ubuntu-latest", "outputs": dict(self.outputs), "steps": [{"run": "true"}]}
        return {**plain, "if": False} if self.job.result == "skipped" else plain


def kept(run: Run, workflows: Mapping[str, Document]) -> dict[str, Kept]:
    """The jobs that are not run again with the failed ones: all but those and what needs them.

    Args:
        run: a run that has failed.
        workflows: the workflows of its commit, by the names of their files.

    Raises:
        HarnessError: it has no failed job.
    """
    again = repeated(run.document["jobs"], run, "")
    if not again:
        raise HarnessError(f"run {run.id} has no failed job to run again")
    found: dict[str, Kept] = {}
    for name, job in run.document["jobs"].items():
        called = workflows[str(job["uses"]).rpartition("/")[2]] if "uses" in job else None
        inner = called["jobs"] if called else {}
        if name not in again:
            found[name] = Kept(run.jobs[name], handed_on(job, run.jobs[name]) if called is None else {})
        if called is None or (name in again and run.jobs[name].result not in FAILED):
            continue
        below = repeated(inner, run, f"{name}/") if name in again else set()
        for key in (each for each in inner if each not in below and f"{name}/{each}" in run.jobs):
            ended = run.jobs[f"{name}/{key}"]
            found[ended.name] = Kept(ended, handed_on(inner[key], ended))
        if name not in again:
            found[name] = Kept(run.jobs[name], dict(of_caller(called, name, found)))
    return found


def repeated(jobs: Mapping[str, Document], run: Run, prefix: str) -> set[str]:
    """The jobs of a workflow that have failed, and all that need one of them."""
    found = {name for name in jobs if (job := run.jobs.get(prefix + name)) and job.result in FAILED}
    while more := {name for name in set(jobs) - found if found & set(needs(jobs[name]))}:
        found |= more
    return found


def needs(job: Document) -> list[str]:
    """The jobs that a job needs."""
    given = job.get("needs", [])
    return [given] if isinstance(given, str) else list(given)


def handed_on(document: Document, job: Job) -> dict[str, str]:
    """The outputs of a job, by what its steps have put out.

    Raises:
        HarnessError: an output is more than the output of a step.
    """
    outputs: dict[str, str] = {}
    for name, given in (document.get("outputs") or {}).items():
        match = _STEP.fullmatch(str(given))
        if match is None:
            raise HarnessError(f"{job.name}: the harness can not keep the output {name}: {given}")
        step = job.steps.get(match[1])
        outputs[name] = step.outputs.get(match[2], "") if step else ""
    return outputs


def of_caller(called: Document, caller: str, found: Mapping[str, Kept]) -> Iterator[tuple[str, str]]:
    """The outputs of a job that calls a workflow, by those of the jobs that it has called."""
    for name, declared in ((called["on"].get("workflow_call") or {}).get("outputs") or {}).items():
        match = _JOB.fullmatch(str(declared["value"]))
        if match is None:
            raise HarnessError(f"{caller}: the harness can not keep the output {name}: {declared['value']}")
        inner = found.get(f"{caller}/{match[1]}")
        yield name, inner.outputs.get(match[2], "") if inner else ""
