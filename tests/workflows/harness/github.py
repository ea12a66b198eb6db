"""GitHub for one repository: what people do there, the runs that it starts, and the reviews that runs wait for."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness import act, reruns, triggers
from harness.api import Api
from harness.concurrency import Groups
from harness.environments import Environment, Gate
from harness.origin import Edit, How, Origin
from harness.repository import Repository
from harness.reruns import Kept
from harness.rewriting import WORKFLOWS
from harness.runs import HarnessError, Run
from harness.server import Server
from harness.tokens import JobToken
from harness.triggers import Event

PATIENCE_SECONDS = 240
NOTHING = "0" * 40


@dataclass
class PullRequest:
    """A pull request with its comments."""

    number: int
    head: str
    base: str
    title: str
    head_sha: str
    by: str
    fork: str = ""
    body: str = ""
    state: str = "open"
    merge_sha: str = ""
    comments: list[dict[str, Any]] = field(default_factory=list)

    def label(self, github: "GitHub") -> str:
        """`owner:branch`, by which the API finds it."""
        return f"{self.fork or github.repository.owner}:{self.head}"

    def payload(self, github: "GitHub") -> dict[str, Any]:
        """It as events and the API show it."""
        own = github.repository
        head = {**own.payload(), "full_name": f"{self.fork}/{own.name}", "fork": True} if self.fork else own.payload()
        return {
            "number": self.number,
            "state": self.state,
            "title": self.title,
            "body": self.body,
            "draft": False,
            "merged": bool(self.merge_sha),
            "merge_commit_sha": self.merge_sha or None,
            "user": {"login": self.by},
            "html_url": f"{github.server.url}/{own.full_name}/pull/{self.number}",
            "head": {"ref": self.head, "sha": self.head_sha, "label": self.label(github), "repo": head},
            "base": {"ref": self.base, "sha": github.origin.head(self.base), "repo": own.payload()},
        }


class GitHub:
    """One repository on GitHub. Every deed returns the runs that it started, ended or waiting for a review."""

    def __init__(
        self,
        folder: Path,
        repository: Repository,
        origin: Origin,
        environments: Mapping[str, Environment] | None = None,
        variables: Mapping[str, str] | None = None,
        secrets: Mapping[str, str] | None = None,
        runner: Mapping[str, str] | None = None,
    ) -> None:
        """Open it.

        Args:
            folder: where runs keep their files.
            repository: its names.
            origin: its commits.
            environments: the rules of environments.
            variables: its configuration variables.
            secrets: its secrets.
            runner: environment variables of the runners.
        """
        self.folder = folder
        self.repository = repository
        self.origin = origin
        self.environments = dict(environments or {})
        self.runs: dict[int, Run] = {}
        self.pulls: dict[int, PullRequest] = {}
        self.deployments: list[tuple[str, str]] = []
        self.groups = Groups()
        self.api = Api(self)
        self.server = Server.started(self)
        self.runner = act.Runner(
            repository, origin, self.server.url, variables or {}, secrets or {}, dict(runner or {})
        )
        self._threads: dict[int, threading.Thread] = {}
        self._together = False

    # What people do.

    def commit(self, branch: str, edits: Mapping[str, Edit], message: str = "Change", start: str = "main") -> list[Run]:
        """Commit edits to a branch and push it."""
        before = self.origin.head(branch) if self.origin.has(branch) else NOTHING
        self.origin.commit(branch, edits, message, start)
        return self.pushed(branch, before)

    def pushed(self, branch: str, before: str = NOTHING, actor: str = "mira") -> list[Run]:
        """Tell the workflows that a branch has moved, and the pull requests that come from it."""
        sha = self.origin.head(branch)
        since = before if before != NOTHING else self.repository.default_branch
        forced = before != NOTHING and not self.origin.contains(sha, before)
        payload = {"before": before, "after": sha, "created": before == NOTHING, "deleted": False, "forced": forced}
        event = Event("push", f"refs/heads/{branch}", sha, payload, self.origin.changed(since, sha), actor)
        runs = self._happened(event)
        for pull in [each for each in self.pulls.values() if each.state == "open" and each.head == branch]:
            if pull.fork:
                continue
            pull.head_sha = sha
            runs += self._pull_request_event(pull, "synchronize")
        return runs

    def open_pull_request(self, head: str, into: str = "dev", fork: str = "") -> tuple[PullRequest, list[Run]]:
        """Open a pull request, from a branch of this repository or of somebody's fork."""
        pull = self.new_pull(head, into, f"Merge {head}", by=fork or "mira")
        pull.fork = fork
        return pull, self._pull_request_event(pull, "opened")

    def edit(self, pull: PullRequest, **changes: str) -> list[Run]:
        """Change a pull request's title, body or base."""
        before = {name: {"from": getattr(pull, name)} for name in changes}
        for name, value in changes.items():
            setattr(pull, name, value)
        if "base" in before:
            before["base"] = {"ref": before["base"]}
        return self._pull_request_event(pull, "edited", changes=before)

    def merge(self, pull: PullRequest, how: How = "merge") -> list[Run]:
        """Merge a pull request by one of the three buttons."""
        before = self.origin.head(pull.base)
        pull.merge_sha = self.origin.merge(pull.head, pull.base, how)
        pull.state = "closed"
        return [*self.pushed(pull.base, before), *self._pull_request_event(pull, "closed")]

    @contextmanager
    def together(self) -> Iterator[None]:
        """Let the runs of all that happens in this block go on at the same time; it ends when they have settled."""
        before = set(self.runs)
        self._together = True
        try:
            yield
        finally:
            self._together = False
        self.settle([run for number, run in self.runs.items() if number not in before])

    def dispatch(self, workflow: str, inputs: Mapping[str, Any] | None = None, ref: str = "main") -> Run:
        """Start a workflow by hand or by the API.

        Raises:
            HarnessError: GitHub would answer 422: an input is missing, unknown or not one of its options; or 404: the
                default branch does not have the workflow.
        """
        run = self._dispatch(workflow, ref, inputs or {})
        return self.settle([run])[0]

    def tick(self, cron: str) -> list[Run]:
        """Let the time of a schedule come, on the default branch."""
        branch = self.repository.default_branch
        payload = {"schedule": cron}
        return self._happened(Event("schedule", f"refs/heads/{branch}", self.origin.head(branch), payload))

    def approve(self, run: Run, environment: str, by: str, comment: str = "") -> Run:
        """Approve the jobs of a run that wait for an environment, and let the run go on."""
        run.gate.decide(environment, True, by, comment, lambda: not run.finished)
        return self.settle([run])[0]

    def reject(self, run: Run, environment: str, by: str, comment: str = "") -> Run:
        """Reject the jobs of a run that wait for an environment."""
        run.gate.decide(environment, False, by, comment, lambda: not run.finished)
        return self.settle([run])[0]

    def cancel(self, run: Run) -> Run:
        """Cancel a run."""
        act.cancel(run)
        return self.settle([run])[0]

    def rerun(self, run: Run) -> Run:
        """Run a workflow again, for the same event."""
        again = self._start(run.workflow, run.document, run.event, run.attempts)
        return again if self._together else self.settle([again])[0]

    def rerun_failed(self, run: Run) -> Run:
        """Run the failed jobs of a run again, with those that need them; the others keep results and outputs."""
        kept = reruns.kept(run, self._workflows(run.event.sha))
        return self.settle([self._start(run.workflow, run.document, run.event, run.attempts, kept)])[0]

    def lose(self, run: Run) -> None:
        """Let the runner of a run break down, with all that runs on it."""
        act.lose(run)

    def after(self, run: Run) -> list[Run]:
        """The runs that began after another one, such as those that it has started; ended, or waiting for a review."""
        return self.settle([each for number, each in self.runs.items() if number > run.id])

    def stop(self) -> None:
        """End what still runs or waits."""
        for run in self.runs.values():
            act.stop(run)
        for thread in self._threads.values():
            thread.join(10)
        self.server.shutdown()
        self.server.server_close()

    # What its own parts ask of it.

    def enter(self, token: JobToken, asked: Mapping[str, str]) -> str:
        """Let a job into its concurrency group and its environment, now or after its review; say why when it may not.

        Whoever waits for a review is in its group meanwhile.
        """
        run, environment = self.runs[token.run], asked.get("environment", "")
        if group := asked.get("group"):
            refusal = self.groups.enter(run, asked["job"], group, asked["queue"], asked["cancels"] == "true")
            if refusal:
                return refusal
        if not environment:
            return ""
        refusal = run.gate.enter(environment, token.job)
        if not refusal and run.deployments.get(token.job, True):
            self.deployments.append((environment, run.event.sha))
        return refusal

    def new_pull(self, head: str, base: str, title: str, by: str) -> PullRequest:
        """Make a pull request that nobody has been told of."""
        pull = PullRequest(len(self.pulls) + 1, head, base, title, self.origin.head(head), by)
        self.pulls[pull.number] = pull
        return pull

    def dispatched_by_job(self, workflow: str, ref: str, inputs: Mapping[str, Any]) -> None:
        """Start a workflow that a job has asked for by the API; `runs` has it, and `settle` waits for it."""
        self._dispatch(workflow, ref.removeprefix("refs/heads/"), inputs)

    def settle(self, runs: list[Run]) -> list[Run]:
        """Wait until runs have ended or wait for a review.

        Raises:
            HarnessError: a run took too long, or its results can not be trusted.
        """
        for run in runs:
            with run.gate.changed:
                done = run.gate.changed.wait_for(run.settled, PATIENCE_SECONDS)
            if not done:
                act.stop(run)
                raise HarnessError(f"run {run.id} of {run.workflow} did not end within {PATIENCE_SECONDS} s")
            if run.finished and (thread := self._threads.get(run.id)):
                thread.join()
            if run.problems or self.api.unknown:
                raise HarnessError("\n".join([*run.problems, *self.api.unknown, run.told()]))
        return runs

    def _pull_request_event(self, pull: PullRequest, action: str, **more: Any) -> list[Run]:
        closed = action == "closed"
        sha = pull.merge_sha if closed else self.origin.merge_preview(pull.number, pull.head_sha, pull.base)
        payload = {"action": action, "number": pull.number, "pull_request": pull.payload(self), **more}
        files = self.origin.changed(self.origin.head(pull.base), sha)
        event = Event("pull_request", f"refs/pull/{pull.number}/merge", sha, payload, files, pull.by, bool(pull.fork))
        return self._happened(event)

    def _dispatch(self, workflow: str, ref: str, inputs: Mapping[str, Any]) -> Run:
        if workflow not in self._workflows(self.origin.head(self.repository.default_branch)):
            raise HarnessError(f"404: {workflow} is not on {self.repository.default_branch}, the default branch")
        sha = self.origin.head(ref)
        documents = self._workflows(sha)
        if workflow not in documents or "workflow_dispatch" not in triggers.triggers(documents[workflow]):
            raise HarnessError(f"422: {workflow} has no workflow_dispatch on {ref}")
        declared = (triggers.triggers(documents[workflow])["workflow_dispatch"] or {}).get("inputs") or {}
        given = _dispatched_inputs(declared, inputs)
        event = Event("workflow_dispatch", f"refs/heads/{ref}", sha, {"inputs": given, "workflow": workflow})
        return self._start(workflow, documents[workflow], event)

    def _workflows(self, sha: str) -> dict[str, dict[str, Any]]:
        return self.origin.documents(sha, WORKFLOWS)

    def _happened(self, event: Event) -> list[Run]:
        documents = self._workflows(event.sha)
        default = self.repository.default_branch
        chosen = {name: each for name, each in documents.items() if triggers.starts(each, event, default)}
        runs = [self._start(name, document, event) for name, document in chosen.items()]
        return runs if self._together else self.settle(runs)

    def _start(
        self,
        workflow: str,
        document: dict[str, Any],
        event: Event,
        earlier: tuple[Run, ...] = (),
        kept: Mapping[str, Kept] | None = None,
    ) -> Run:
        number = len(self.runs) + 1
        run_folder = self.folder / f"run-{number}"
        run_folder.mkdir(parents=True)
        common = {"repository": self.repository.payload(), "sender": {"login": event.actor}}
        reference = {"ref": event.ref} if event.name != "pull_request" else {}
        event = Event(**{**vars(event), "payload": {**common, **reference, **event.payload}})
        gate = Gate(self.environments, event.actor, event.ref.removeprefix("refs/heads/"))
        run = Run(
            1000 + number, workflow, str(document.get("name", workflow)), event, run_folder, gate, document, earlier
        )
        run.kept = {name: each.job for name, each in (kept or {}).items()}
        self.runs[run.id] = run
        thread = self.runner.start(run, kept or {})
        if thread:
            self._threads[run.id] = thread
        return run


def _dispatched_inputs(declared: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, str]:
    """Inputs as GitHub checks them, as text: act turns a JSON true into false."""
    if unknown := set(given) - set(declared):
        raise HarnessError(f"422: unexpected inputs provided: {sorted(unknown)}")
    values: dict[str, str] = {}
    for name, each in declared.items():
        value = given.get(name, each.get("default", False if each.get("type") == "boolean" else ""))
        text = str(value).lower() if isinstance(value, bool) else str(value)
        if each.get("required") and not text:
            raise HarnessError(f"422: required input {name!r} not provided")
        options = ["true", "false"] if each.get("type") == "boolean" else each.get("options", [text])
        if text not in [str(option) for option in options]:
            raise HarnessError(f"422: {text!r} is not among the options of {name!r}")
        values[name] = text
    return values
