"""What the workflows promise: which event starts what, which jobs and commands run then. `broken` names what fails."""

import re
from collections.abc import Collection, Iterator
from typing import Any

from mlops.workflows.documents import SELF, Document, Repository
from mlops.workflows.needs import COMMAND, NOTHING, needs_of
from mlops.workflows.rules import own_actions
from static import scenes

BY_HAND_TOO = {"approved", "dev", "feature", "image", "monitor", "retrain", "rollback", "schedule", "teardown",
               "training-finished"}  # fmt: skip
STARTS = [
    ("push", "feature/deeper-trees", {"feature"}),
    ("push", "feature/team/deeper-trees", {"feature"}),
    ("push", "fix/rounding", {"feature"}),
    ("push", "retrain/0123456789ab", {"feature"}),
    ("push", "dev", {"dev"}),
    ("push", "main", {"main", "infra"}),  # what infra looks at of it is in handing.py
    ("push", "docs/readme", set()),
    ("push", "dependabot/uv/dev/boto3", set()),
    ("pull_request", "dev", {"feature", "infra"}),
    ("pull_request", "main", {"base", "feature", "infra"}),
    ("pull_request", "feature/deeper-trees", set()),
    ("workflow_dispatch", "main", BY_HAND_TOO),
    ("schedule", "main", {"monitor", "retrain"}),
]
"""An event, the branch that is pushed or that the pull request goes to, and the workflows that start."""

COMMANDS = {
    "_check.check": ["roles"],
    "_train.train": ["roles", "run", "register", "report"],
    "_deploy.deploy": ["roles", "promote", "deploy", "verify", "report"],
    "feature.report": ["roles", "report"],
    "base.base": [],
    "main.copy": ["roles", "promote", "report"],
    "main.approve-challenger": ["roles", "approve"],
    "main.reject-challenger": ["roles", "reject"],
    "main.approve": ["roles", "approve"],
    "main.reject": ["roles", "reject"],
    "approved.door": ["roles", "door"],
    "monitor.monitor": ["roles", "monitor"],
    "rollback.rollback": ["roles", "rollback", "verify", "report"],
    "schedule.schedule": ["roles", "schedule"],
    "teardown.teardown": ["roles", "teardown"],
    "training-finished.take-up": ["roles", "take-up"],
    "retrain.propose": ["roles", "retrain"],
    "image.image": ["roles", "image"],
    "_infra.plan": ["roles", "infra plan"],
    "_infra.apply": ["roles", "infra apply"],
}
"""The commands of each job, in order."""

CHECKS = ["uv run --no-sync ruff check", "uv run --no-sync mypy", "uv run --no-sync pytest"]
"""How a commit is checked."""

INSTALLS = """read -ra groups <<< "$DEPENDENCIES"
uv sync --locked --no-default-groups "${groups[@]/#/--group=}"
"""
"""What a job works with: what the lock file names, of its groups and no other."""

HEAD = "${{ github.event.pull_request.head.sha }}"
"""What was pushed and trained; GitHub's own choice is a merge of it, which nobody has trained."""

VERIFIES = {
    "CHANGED": "${{ steps.deploy.outputs.changed == 'true' && 'true' || '' }}",
    "run": 'mlops verify --env "$ENVIRONMENT" --group "$GROUP" --of-version ${CHANGED:+--or-rollback}',
}
"""How what serves is verified: by its own commit's contract, and taken back only where this run has brought it."""

FIRST_ATTEMPT = "${{ github.run_attempt == 1 && inputs.job || '' }}"
"""The job that has ended, in the run that its end has started; who makes that run again wants another attempt."""

CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "feature.check": ("_check", {}),
    "feature.train": ("_train", {"job": "${{ inputs.job }}"}),
    "dev.check": ("_check", {"environment": "dev"}),
    "dev.train": ("_train", {"job": "${{ inputs.job }}"}),
    "dev.deploy": ("_deploy", {"environment": "dev", "promote": True}),
    "main.check": ("_check", {"environment": "prod"}),
    "main.challenger": (
        "_deploy",
        {"environment": "prod", "group": "challenger", "version": "${{ needs.copy.outputs.challenger-version }}"},
    ),
    "main.deploy": ("_deploy", {"environment": "prod", "version": "${{ needs.copy.outputs.version }}"}),
    "infra.feature": ("_infra", {"environment": "feature"}),
    "infra.dev": ("_infra", {"environment": "dev"}),
    "infra.prod": ("_infra", {"environment": "prod"}),
    "approved.deploy": (
        "_deploy",
        {
            "environment": "${{ inputs.environment }}",
            "group": "${{ inputs.group }}",
            "version": "${{ inputs.package }}",
        },
    ),
}
"""The reusable workflow that each other job calls, and what it is given."""


CONTENDER: dict[str, tuple[list[str] | None, str | None]] = {"group": (["champion", "challenger"], "champion")}
FORMS: dict[str, dict[str, tuple[list[str] | None, str | None]]] = {
    "dev": {"job": (None, "")},
    "feature": {"job": (None, "")},
    "training-finished": {"job": (None, None)},
    "retrain": {"reason": (None, "by hand")},
    "approved": {"environment": (["prod", "dev"], "prod"), **CONTENDER, "package": (None, "")},
    "monitor": {"environment": (["prod", "dev"], "prod")},
    "rollback": {"environment": (["prod", "dev"], "prod"), **CONTENDER, "version": (None, "")},
    "schedule": {"environment": (["dev", "prod"], "dev"), "action": (["start", "stop"], "start")},
    "teardown": {"environment": (["dev", "prod"], "dev"), **CONTENDER, "confirm": (None, None)},
    "image": {"folder": (None, "image")},
}
"""What a person is asked: the choices, which are the environments that serve, and what is taken without an answer."""


def broken(repo: Repository, of: Collection[str] | None = None) -> Iterator[str]:
    """Every promise that does not hold, in all files or in some."""
    chosen = repo.documents.keys() if of is None else of
    for event, branch, expected in STARTS if of is None else ():  # of each file with its filters: see waits.py
        if (starting := scenes.started(repo, event, branch)) != expected:
            yield f"{event} {branch} starts {sorted(starting)}"
    jobs = {f"{path.rpartition('/')[2].removesuffix('.yml')}.{name}": job
            for path, document in repo.workflows.items() for name, job in document["jobs"].items()}  # fmt: skip
    working = {name: list(commands(repo, job["steps"])) for name, job in jobs.items() if "uses" not in job}
    if working != COMMANDS:
        yield f"jobs run {[(name, each) for name, each in working.items() if each != COMMANDS.get(name)]}"
    calling = {name: (job["uses"], job.get("with", {})) for name, job in jobs.items() if "uses" in job}
    if calling != {name: (f"{SELF}.github/workflows/{each}.yml", given) for name, (each, given) in CALLS.items()}:
        yield f"jobs call {calling}"
    yield from scenes.broken(repo, jobs, chosen)
    verifying = repo.actions[".github/actions/deploy/action.yml"]["runs"]["steps"][1]
    told = {"CHANGED": verifying["env"].get("CHANGED"), "run": verifying["run"].removeprefix("exec uv run --no-sync ")}
    if told != VERIFIES:
        yield f"what serves is verified by {told}"
    asked = {path.rpartition("/")[2].removesuffix(".yml"): document["on"]["workflow_dispatch"]["inputs"]
             for path, document in repo.workflows.items() if "workflow_dispatch" in document["on"]}  # fmt: skip
    for form, inputs in asked.items():
        found = {name: (each.get("options"), each.get("default")) for name, each in inputs.items()}
        if found != FORMS[form]:
            yield f"{form} asks for {found}"
        # What dispatches a workflow sends text, and nothing for what it does not know.
        if any(each["type"] != ("choice" if "options" in each else "string") for each in inputs.values()):
            yield f"{form} asks for what is neither a choice nor text"
        if any(bool(each.get("required")) == ("default" in each) for each in inputs.values()):
            yield f"{form} asks for what is required and has a default, or neither"
    for name, job in jobs.items():
        if needs_of(repo, job.get("steps", NOTHING)).duty and any(
            "environment" not in given for _, given in own_actions(job)
        ):
            yield f"{name} does not say on which environment it works"
    for path, document in repo.documents.items():
        taken = document if path in repo.actions else (document["on"].get("workflow_call") or {})
        yield from (f"{path} does nothing with its input {name}" for name in taken.get("inputs") or {}
                    if not re.search(rf"\binputs\.{name}\b", str(document)))  # fmt: skip
    if not jobs["base.base"]["steps"][0]["run"].endswith("\nexit 1\n"):
        yield "a pull request from another branch is told so, and passes"
    install = repo.actions[".github/actions/setup/action.yml"]["runs"]["steps"]
    if not str(install[0].get("uses")).startswith("astral-sh/setup-uv@") or install[1].get("run") != INSTALLS:
        yield f"it is set up by {install[0].get('uses')} and {install[1].get('run')}"
    if (scripts := [step["run"] for step in jobs["_check.check"]["steps"] if "run" in step]) != CHECKS:
        yield f"a commit is checked by {scripts}"
    if (ended := jobs["_train.train"]["steps"][2].get("with", {}).get("job")) != FIRST_ATTEMPT:
        yield f"the job that is taken up is {ended}: a run that is made again would not try again"
    if (reported := jobs["feature.report"]["steps"][0].get("with", {}).get("ref")) != HEAD:
        yield f"a pull request is reported on by {reported}, not by what was pushed"
    if (begun := jobs["retrain.propose"]["steps"][0].get("with", {}).get("ref")) != "dev":
        yield f"new data joins that of {begun}, not of dev"


def commands(repo: Repository, steps: list[Document]) -> Iterator[str]:
    """The commands that steps run, those of the actions that they use with them."""
    for step in steps:
        yield from (match["name"] for match in COMMAND.finditer(step.get("run", "")))
        uses = str(step.get("uses", ""))
        if uses.startswith(SELF) and (action := repo.called(uses)):
            yield from commands(repo, action["runs"]["steps"])
