"""What a job does that needs a right: found by following its steps into the actions that they use."""

import re
from dataclasses import dataclass, field

from mlops.workflows.documents import SELF, Document, Repository
from mlops.workflows.foreign import ACTIONS

FIRST = "feature"
"""The environment that trains, whose workflows have the duties of that and no other."""

CREDENTIALS = "aws-actions/configure-aws-credentials"
READING_RUNS = {"approve", "reject", "door", "infra apply"}
COMMAND = re.compile(r"\bmlops (?P<name>(?:infra )?[a-z][a-z-]*)(?P<options>[^\n|;&]*)")
NOTHING: list[Document] = []
"""The steps of a job that calls a workflow."""


@dataclass
class Needs:
    """What steps do, and what that takes. `foreign` is what has needs that only its author knows."""

    checkout: bool = False
    duty: str = ""
    environment: str = ""
    comments: bool = False
    commands: set[str] = field(default_factory=set)
    groups: set[str] = field(default_factory=set)
    foreign: bool = False
    scripts: str = ""

    @property
    def permissions(self) -> dict[str, str]:
        """The least that its token has to allow."""
        wanted = {}
        if READING_RUNS & self.commands:
            wanted["actions"] = "read"
        if {"take-up", "retrain"} & self.commands:
            wanted["actions"] = "write"
        if self.checkout:
            wanted["contents"] = "write" if "retrain" in self.commands else "read"
        if self.duty:
            wanted["id-token"] = "write"
        if self.comments or {"retrain", "infra plan"} & self.commands:
            wanted["pull-requests"] = "write"
        return wanted


def needs_of(repo: Repository, steps: list[Document]) -> Needs:
    """What the steps of a job need."""
    if id(steps) not in repo.found:
        repo.found[id(steps)] = needed(repo, steps)
    found: Needs = repo.found[id(steps)]
    return found


def needed(repo: Repository, steps: list[Document], given: Document | None = None) -> Needs:
    """What steps need, with the inputs that their action was given."""
    found = Needs()
    for step in steps:
        uses, inputs = str(step.get("uses", "")), step.get("with") or {}
        if uses.startswith("actions/checkout@"):
            found.checkout = True
        elif uses.startswith(f"{CREDENTIALS}@") and given is None:
            found.duty = str(inputs.get("role-to-assume", "")) or "?"
        elif uses and not uses.startswith(SELF):
            found.foreign |= uses.partition("@")[0] not in ACTIONS
        elif uses.startswith(SELF) and (action := repo.called(uses)):
            inner = needed(repo, action["runs"]["steps"], inputs)
            found.commands |= inner.commands
            found.scripts += inner.scripts
            found.foreign |= inner.foreign
            if uses.endswith("/setup"):
                found.duty, found.environment = str(inputs.get("duty", "")), str(inputs.get("environment", FIRST))
                found.groups = set(str(inputs.get("dependencies", "")).split())
            found.comments |= bool(inputs.get("token"))
        own = {match["name"] for match in COMMAND.finditer(step.get("run", ""))}
        found.foreign |= "GITHUB_TOKEN" in (step.get("env") or {}) and not own
        found.commands |= own
        found.scripts += f"{step.get('run', '')}\n"
    return found


def permissions_of(repo: Repository, job: Document) -> dict[str, str]:
    """What a job's token has to allow: for its own steps, or for all jobs of the workflow that it calls."""
    if "uses" not in job:
        return needs_of(repo, job.get("steps", NOTHING)).permissions
    called = repo.called(job["uses"]) or {"jobs": {}}
    return {scope: level for each in called["jobs"].values() for scope, level in permissions_of(repo, each).items()}
