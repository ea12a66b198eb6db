"""A workflow as act executes it: what act ignores (permissions, environments, the token's rights) put into its steps.

Each job that calls a workflow gets a copy of it, since what the called jobs may do depends on their caller.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import documents, permissions
from harness.permissions import Permissions
from harness.tokens import JobToken

if TYPE_CHECKING:
    from harness.reruns import Kept

WORKFLOWS = Path(".github/workflows")
ACTIONS = Path(".github/actions")
CALLED = "@"
"""The name of every called workflow in act's log, so that the log's job names can be taken apart."""

IGNORED = ("permissions", "concurrency", "environment", "name")
"""Keys of a job that act does not look at, or does not understand; names would stand for ids in its log."""

STANDINS = Path(__file__).with_name("standins")
ENTER = Path(__file__).with_name("bin") / "enter_environment.py"
_TOKEN = re.compile(r"\b(?:github\.token|secrets\.GITHUB_TOKEN)\b")


@dataclass
class Rewriting:
    """The rewriting of one run's workflow.

    Args:
        folder: a clone of the repository at the event's commit; its workflow files are changed.
        run: the run's id.
        url: where the harness answers its jobs.
        fork: whether the event comes from a fork.
        kept: the jobs that keep the results and outputs of an earlier attempt, by their names.
    """

    folder: Path
    run: int
    url: str
    fork: bool
    kept: Mapping[str, "Kept"] = field(default_factory=dict)
    deployments: dict[str, bool] = field(default_factory=dict)

    def workflow(self, name: str) -> Path:
        """Rewrite a workflow with all that it calls, and give its path in the folder.

        Raises:
            TooMuch: a called workflow asks for more than its caller has.
        """
        document = documents.load(self.folder / WORKFLOWS / name)
        documents.dump(
            self._document(document, name, permissions.EVERYTHING, caller=""), self.folder / WORKFLOWS / name
        )
        return WORKFLOWS / name

    def actions(self, target: Path) -> Path:
        """Write the composite actions that differ for act below a folder, for the checkout's stand-in to lay over."""
        target.mkdir(parents=True, exist_ok=True)
        for file in sorted((self.folder / ACTIONS).rglob("action.y*ml")):
            document = documents.load(file)
            new = _action(document)
            if new != document:
                copy = target / file.relative_to(self.folder)
                copy.parent.mkdir(parents=True, exist_ok=True)
                documents.dump(new, copy)
        return target

    def _document(self, document: dict[str, Any], name: str, most: Permissions, caller: str) -> dict[str, Any]:
        if "concurrency" in document:
            raise ValueError(f"{name}: the harness knows concurrency of jobs only")
        jobs = {
            key: self._job(document, key, job, f"{Path(name).stem}.{key}", most, caller)
            for key, job in document["jobs"].items()
        }
        kept = {key: each for key, each in document.items() if key not in ("permissions", "jobs")}
        return {**kept, **({"name": CALLED} if caller else {}), "jobs": jobs}

    def _job(
        self, document: dict[str, Any], key: str, job: dict[str, Any], path: str, most: Permissions, caller: str
    ) -> dict[str, Any]:
        granted = permissions.of_job(document, job, most, bool(caller))
        full_name = f"{caller}/{key}" if caller else key
        if full_name in self.kept:
            return self.kept[full_name].standin()
        kept = {name: each for name, each in job.items() if name not in IGNORED}
        if "uses" in job:
            if "concurrency" in job:
                raise ValueError(f"{path}: the harness knows no concurrency of a job that calls a workflow")
            return {**kept, "uses": self._call(job["uses"], path, granted, key)}
        granted = permissions.from_a_fork(granted) if self.fork else granted
        environment, record = _environment(job.get("environment"))
        self.deployments[key] = record
        token = JobToken(self.run, key, granted).text()
        steps = [_local(step) for step in job.get("steps", [])]
        kept |= {
            "env": {**(job.get("env") or {}), **self._variables(token, granted, environment)},
            "steps": [*_entrance(environment, job.get("concurrency"), full_name), *steps],
        }
        replaced: dict[str, Any] = documents.replaced(kept, _TOKEN, f"'{token}'")
        return replaced

    def _variables(self, token: str, granted: Permissions, environment: str) -> dict[str, str]:
        """What the runner puts into a job's environment; the OIDC endpoint only where `id-token: write` is granted."""
        identity = {
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"{self.url}/token?environment={environment}",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": token,
        }
        return {
            "HARNESS_TOKEN": token,
            "HARNESS_CONTENTS": granted.get("contents", "none"),
            **(identity if granted.get("id-token") == "write" else {}),
        }

    def _call(self, uses: str, path: str, granted: Permissions, caller: str) -> str:
        source = Path(re.sub(r"^(?:\./|\$/)", "", uses))
        document = documents.load(self.folder / source)
        if any("uses" in job for job in document["jobs"].values()):
            raise ValueError(f"{source} calls a workflow and is called itself: act loses the results below")
        copy = WORKFLOWS / f"{source.stem}.called-by.{path}.yml"
        documents.dump(self._document(document, copy.name, granted, caller), self.folder / copy)
        return f"./{copy}"


def local_repositories(folder: Path) -> list[str]:
    """act's options that put a stand-in in the place of each action used from elsewhere.

    Raises:
        LookupError: there is no stand-in for an action.
        ValueError: an action is given an input that it does not have.
    """
    files = [*(folder / WORKFLOWS).glob("*.y*ml"), *(folder / ACTIONS).rglob("action.y*ml")]
    options: dict[str, str] = {}
    for uses, given in (use for file in files for use in documents.used_actions(documents.load(file))):
        if uses.startswith(("./", "$/")):
            continue
        name, _, ref = uses.partition("@")
        repository = "/".join(name.split("/")[:2])
        standin = STANDINS / repository.replace("/", "__")
        if not (standin / "action.yml").exists():
            raise LookupError(f"no stand-in for {uses}: add harness/standins/{standin.name}/action.yml")
        if unknown := set(given) - set(documents.load(standin / "action.yml").get("inputs", {})):
            raise ValueError(f"{uses}: unknown inputs {', '.join(sorted(unknown))}")
        options[f"{repository}@{ref}"] = str(standin)
    return [part for used, standin in options.items() for part in ("--local-repository", f"{used}={standin}")]


def _environment(given: Any) -> tuple[str, bool]:
    """A job's environment, as text that may hold an expression, and whether entering it makes a deployment record."""
    if isinstance(given, dict):
        return str(given["name"]), given.get("deployment", True) is not False
    return ("" if given is None else str(given)), given is not None


def _entrance(environment: str, concurrency: Any, job: str) -> list[dict[str, Any]]:
    """The first step of a job that has to wait its turn, or to be let into its environment; that comes second."""
    if not environment and not concurrency:
        return []
    lock = concurrency if isinstance(concurrency, dict) else {"group": concurrency or ""}
    asked = {
        "HARNESS_ENVIRONMENT": environment,
        "HARNESS_GROUP": str(lock["group"]),
        "HARNESS_QUEUE": str(lock.get("queue", "single")),
        "HARNESS_CANCELS": str(lock.get("cancel-in-progress", False)).lower(),
        "HARNESS_JOB": job,
    }
    run = f'"$HARNESS_PYTHON" -I {json.dumps(str(ENTER))}'
    return [{"name": "Enter", "shell": "bash", "working-directory": "/", "env": asked, "run": run}]


def _action(action: dict[str, Any]) -> dict[str, Any]:
    """A composite action as act reads it: its token is the job's, also as the default of an input."""
    runs = {**action["runs"], "steps": [_local(step) for step in action["runs"].get("steps", [])]}
    inputs = {name: dict(each or {}) for name, each in action.get("inputs", {}).items()}
    for name, each in inputs.items():
        if _TOKEN.search(str(each.get("default", ""))):
            each["default"] = ""
            read = re.compile(rf"\binputs\.{re.escape(name)}\b")
            runs = documents.replaced(runs, read, f"(inputs.{name} || env.HARNESS_TOKEN)")
    runs = documents.replaced(runs, _TOKEN, "env.HARNESS_TOKEN")
    return {**action, **({"inputs": inputs} if inputs else {}), "runs": runs}


def _local(step: dict[str, Any]) -> dict[str, Any]:
    uses = step.get("uses", "")
    return {**step, "uses": "." + uses[1:]} if uses.startswith("$/") else step
