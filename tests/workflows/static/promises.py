"""What the workflows promise: which event starts what, which jobs and commands run then. `broken` names what fails."""

import re
from collections.abc import Iterator
from typing import Any

from static.documents import SELF, Document, Repository, started
from static.expressions import CANCELLED_AFTER, jobs_that_run, steps_that_run
from static.rules import COMMAND

HERE, FORK = "team/project", "somebody/project"
READY = {"check": {"ready": "true"}}
TRAINED = {**READY, "train": {"trained": "true"}}
BASIC = {"version": "3", "contest": "false"}
WAITING = {**READY, "copy": {**BASIC, "pending": "true"}}
SERVED = {**READY, "copy": {**BASIC, "pending": "false"}}
ADVANCED = {"version": "3", "contest": "true", "challenger-version": "2"}
CONTEST = {**READY, "copy": {**ADVANCED, "pending": "true", "challenger-pending": "true"}}
CHALLENGES = {**READY, "copy": {**ADVANCED, "pending": "true", "challenger-pending": "false"}}
BOTH_SERVED = {**READY, "copy": {**ADVANCED, "pending": "false", "challenger-pending": "false"}}

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

HEAD = "${{ github.event.pull_request.head.sha }}"
"""What was pushed and trained; GitHub's own choice is a merge of it, which nobody has trained."""

VERIFIES = {
    "CHANGED": "${{ steps.deploy.outputs.changed == 'true' && 'true' || '' }}",
    "run": 'mlops verify --env "$ENVIRONMENT" --group "$GROUP" --of-version ${CHANGED:+--or-rollback}',
}
"""How what serves is verified: by its own commit's contract, and taken back only where this run has brought it."""

ASKED = {"opened", "synchronize", "reopened", "edited"}
"""When a pull request may have come to another base, or to another commit."""

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


def pull_request(action: str, head: str, base: str = "dev", source: str = HERE) -> dict[str, Any]:
    """The context of an event of a pull request."""
    event = {"action": action, "pull_request": {"head": {"repo": {"full_name": source}}}}
    return {"event_name": "pull_request", "base_ref": base, "head_ref": head, "repository": HERE, "event": event}


PUSH = {"event_name": "push", "base_ref": "", "head_ref": "", "repository": HERE, "event": {}, "ref": "refs/heads/dev"}
BY_HAND = {**PUSH, "event_name": "workflow_dispatch"}
ON_MAIN = {**BY_HAND, "ref": "refs/heads/main"}
NEW = {"check": {"ready": "false"}}

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

JOBS: list[tuple[str, str, dict[str, Any], dict[str, str], dict[str, Any], list[str]]] = [
    ("feature", "a push", PUSH, {}, READY, ["check", "train"]),
    ("feature", "a job that has ended", BY_HAND, {}, READY, ["check", "train"]),
    ("feature", "by hand on main", ON_MAIN, {}, READY, ["check"]),
    ("feature", "a push of a new repository", PUSH, {}, NEW, ["check"]),
    ("feature", "a push that fails its tests", PUSH, {"check": "failure"}, READY, ["check"]),
    ("feature", "a pull request", pull_request("opened", "feature/a"), {}, READY, ["check", "report"]),
    ("feature", "new data", pull_request("opened", "retrain/a"), {}, READY, ["check", "report"]),
    ("feature", "a fix", pull_request("reopened", "fix/a"), {}, READY, ["check", "report"]),
    ("feature", "one in a new repository", pull_request("opened", "feature/a"), {}, NEW, ["check"]),
    ("feature", "one that fails", pull_request("opened", "fix/a"), {"check": "failure"}, READY, ["check"]),
    ("feature", "one that is pushed to", pull_request("synchronize", "feature/a"), {}, READY, ["check"]),
    ("feature", "a fork's", pull_request("opened", "feature/a", source=FORK), {}, READY, ["check"]),
    ("feature", "Dependabot's", pull_request("opened", "dependabot/uv/dev/a"), {}, READY, ["check"]),
    ("feature", "dev to main", pull_request("opened", "dev", "main"), {}, READY, ["check"]),
    ("feature", "a feature to main", pull_request("opened", "feature/a", "main"), {}, READY, ["check"]),
    ("base", "dev to main", pull_request("opened", "dev", "main"), {}, {}, ["base"]),
    ("base", "a base that is changed", pull_request("edited", "feature/a", "main"), {}, {}, ["base"]),
    ("dev", "a push", PUSH, {}, TRAINED, ["check", "train", "deploy"]),
    ("dev", "a job that is still at it", PUSH, {}, {**READY, "train": {"trained": "false"}}, ["check", "train"]),
    ("dev", "a training that says nothing", PUSH, {}, READY, ["check", "train"]),
    ("dev", "a job that has ended", BY_HAND, {}, TRAINED, ["check", "train", "deploy"]),
    ("dev", "by hand on main", ON_MAIN, {}, TRAINED, []),
    ("dev", "a push of a new repository", PUSH, {}, NEW, ["check"]),
    ("dev", "a push that fails its tests", PUSH, {"check": "failure"}, READY, ["check"]),
    ("dev", "a model that the gate refuses", PUSH, {"train": "failure"}, TRAINED, ["check", "train"]),
    ("approved", "in the registry", BY_HAND, {}, {"door": {"deploys": "true"}}, ["door", "deploy"]),
    ("approved", "by the reviewers of a run", BY_HAND, {}, {"door": {"deploys": "false"}}, ["door"]),
    ("approved", "of a door that says nothing", BY_HAND, {}, {}, ["door"]),
    ("main", "approved", PUSH, {}, WAITING, ["check", "copy", "approve", "deploy"]),
    ("main", "nothing waits", PUSH, {}, SERVED, ["check", "copy", "deploy"]),
    ("main", "rejected", PUSH, {"approve": "failure"}, WAITING, ["check", "copy", "approve", "reject"]),
    ("main", "cancelled", PUSH, {"approve": "cancelled"}, WAITING, ["check", "copy", "approve"]),
    ("main", "cancelled once approved", PUSH, {CANCELLED_AFTER: "approve"}, WAITING, ["check", "copy", "approve"]),
    (
        "main",
        "cancelled once rejected",
        PUSH,
        {"approve": "failure", CANCELLED_AFTER: "approve"},
        WAITING,
        ["check", "copy", "approve"],
    ),
    ("main", "copies, and does not report", PUSH, {"copy": "failure"}, WAITING, ["check", "copy"]),
    (
        "main",
        "a contest",
        PUSH,
        {},
        CONTEST,
        ["check", "copy", "approve-challenger", "challenger", "approve", "deploy"],
    ),
    (
        "main",
        "the challenger is rejected",
        PUSH,
        {"approve-challenger": "failure"},
        CONTEST,
        ["check", "copy", "approve-challenger", "reject-challenger"],
    ),
    (
        "main",
        "cancelled once the challenger is rejected",
        PUSH,
        {"approve-challenger": "failure", CANCELLED_AFTER: "approve-challenger"},
        CONTEST,
        ["check", "copy", "approve-challenger"],
    ),
    (
        "main",
        "cancelled once the challenger is approved",
        PUSH,
        {CANCELLED_AFTER: "approve-challenger"},
        CONTEST,
        ["check", "copy", "approve-challenger"],
    ),
    (
        "main",
        "the challenger is rolled back",
        PUSH,
        {"challenger": "failure"},
        CONTEST,
        ["check", "copy", "approve-challenger", "challenger"],
    ),
    (
        "main",
        "cancelled once the challenger serves",
        PUSH,
        {CANCELLED_AFTER: "challenger"},
        CONTEST,
        ["check", "copy", "approve-challenger", "challenger"],
    ),
    (
        "main",
        "approved too early",
        PUSH,
        {"approve": "failure"},
        CONTEST,
        ["check", "copy", "approve-challenger", "challenger", "approve", "reject"],
    ),
    ("main", "serves as challenger", PUSH, {}, CHALLENGES, ["check", "copy", "challenger", "approve", "deploy"]),
    ("main", "serves as both", PUSH, {}, BOTH_SERVED, ["check", "copy", "challenger", "deploy"]),
    ("main", "copies for both, and does not report", PUSH, {"copy": "failure"}, CHALLENGES, ["check", "copy"]),
    ("main", "copies again, and does not report", PUSH, {"copy": "failure"}, BOTH_SERVED, ["check", "copy"]),
    ("main", "cancelled while it copies", PUSH, {"copy": "cancelled"}, SERVED, ["check", "copy"]),
    ("main", "did not pass dev", PUSH, {"copy": "failure"}, SERVED, ["check", "copy"]),
    ("main", "did not pass dev, and said nothing", PUSH, {"copy": "failure"}, READY, ["check", "copy"]),
    ("main", "a copy that says nothing", PUSH, {}, READY, ["check", "copy"]),
    ("main", "a push of a new repository", PUSH, {}, NEW, ["check"]),
    ("main", "a push that fails its tests", PUSH, {"check": "failure"}, READY, ["check"]),
]
"""A workflow, what happens, its context, how jobs end, their outputs, and the jobs that run then."""

REGISTRY = {"MLOPS_APPROVAL": "registry"}
PENDING, SERVES = {"current": "true", "pending": "true"}, {"current": "true", "pending": "false"}
PROMOTES = {"inputs": {"promote": True}, "outputs": {"promote": {"current": "true"}}}
TOO_LATE = {"inputs": {"promote": True}, "outputs": {"promote": {"current": "false"}}}

STEPS: list[tuple[str, str, dict[str, Any], dict[int, str], list[int]]] = [
    ("_deploy.deploy", "promotes", PROMOTES, {}, [0, 1, 2, 3, 4]),
    ("_deploy.deploy", "does not", {"inputs": {"promote": False}}, {}, [0, 1, 3, 4]),
    ("_deploy.deploy", "comes too late", TOO_LATE, {}, [0, 1, 2]),
    ("_deploy.deploy", "does not promote", {"inputs": {"promote": True}}, {2: "failure"}, [0, 1, 2, 4]),
    ("_deploy.deploy", "promotes, and does not say so", {"inputs": {"promote": True}}, {}, [0, 1, 2, 4]),
    ("_deploy.deploy", "fails", PROMOTES, {3: "failure"}, [0, 1, 2, 3, 4]),
    ("_deploy.deploy", "has no role", PROMOTES, {1: "failure"}, [0, 1]),
    ("_deploy.deploy", "is cancelled", PROMOTES, {3: "cancelled"}, [0, 1, 2, 3]),
    ("_train.train", "fails", {}, {2: "failure"}, [0, 1, 2, 3]),
    ("_train.train", "has no role", {}, {1: "failure"}, [0, 1]),
    ("_train.train", "is cancelled", {}, {2: "cancelled"}, [0, 1, 2]),
    ("rollback.rollback", "fails", {}, {2: "failure"}, [0, 1, 2, 4]),
    ("rollback.rollback", "has no role", {}, {1: "failure"}, [0, 1]),
    ("rollback.rollback", "is cancelled", {}, {2: "cancelled"}, [0, 1, 2]),
    ("monitor.monitor", "has an AWS", {"outputs": {"setup": {"ready": "true"}}}, {}, [0, 1, 2]),
    ("monitor.monitor", "has none yet", {"outputs": {"setup": {"ready": "false"}}}, {}, [0, 1]),
    ("schedule.schedule", "has an AWS", {"outputs": {"setup": {"ready": "true"}}}, {}, [0, 1, 2]),
    ("schedule.schedule", "has none yet", {"outputs": {"setup": {"ready": "false"}}}, {}, [0, 1]),
    ("approved.door", "has an AWS", {"outputs": {"setup": {"ready": "true"}}}, {}, [0, 1, 2]),
    ("approved.door", "has none yet", {"outputs": {"setup": {"ready": "false"}}}, {}, [0, 1]),
    ("base.base", "comes from dev", {"github": pull_request("opened", "dev", "main")}, {}, []),
    ("base.base", "comes from a feature", {"github": pull_request("opened", "feature/a", "main")}, {}, [0]),
    ("base.base", "is a fork's dev", {"github": pull_request("opened", "dev", "main", FORK)}, {}, [0]),
    ("main.copy", "waits in the registry", {"vars": REGISTRY, "outputs": {"promote": PENDING}}, {}, [0, 1, 2, 3, 4]),
    ("main.copy", "comes too late", {"outputs": {"promote": {"current": "false"}}}, {}, [0, 1, 2]),
    ("main.copy", "waits here", {"outputs": {"promote": PENDING}}, {}, [0, 1, 2, 3]),
    ("main.copy", "does not wait", {"vars": REGISTRY, "outputs": {"promote": SERVES}}, {}, [0, 1, 2, 3]),
    ("retrain.propose", "an AWS", {"outputs": {"setup": {"ready": "true"}}}, {}, [0, 1, 2]),
    ("retrain.propose", "no AWS", {"outputs": {"setup": {"ready": "false"}}}, {}, [0, 1]),
    ("setup", "duty", {"inputs": {"duty": "train"}, "outputs": {"roles": {"ready": "true"}}}, {}, [0, 1, 2, 3]),
    ("setup", "no duty", {"inputs": {"duty": ""}, "outputs": {"roles": {"ready": "true"}}}, {}, [0, 1, 2]),
    ("train", "a model", {"outputs": {"run": {"trained": "true"}}}, {}, [0, 1]),
    ("train", "a job that is still at it", {"outputs": {"run": {"trained": "false"}}}, {}, [0]),
    ("setup", "no AWS", {"inputs": {"duty": "train"}, "outputs": {"roles": {"ready": "false"}}}, {}, [0, 1, 2]),
]
"""A job or an action, what happens to it, its context, how steps end, and the steps that run then."""


def broken(repo: Repository) -> Iterator[str]:
    """Every promise that does not hold."""
    for event, branch, expected in STARTS:
        if (starting := started(repo, event, branch)) != expected:
            yield f"{event} {branch} starts {sorted(starting)}"
    jobs = {f"{path.rpartition('/')[2].removesuffix('.yml')}.{name}": job
            for path, document in repo.workflows.items() for name, job in document["jobs"].items()}  # fmt: skip
    working = {name: list(commands(repo, job["steps"])) for name, job in jobs.items() if "uses" not in job}
    if working != COMMANDS:
        yield f"jobs run {[(name, each) for name, each in working.items() if each != COMMANDS.get(name)]}"
    calling = {name: (job["uses"], job.get("with", {})) for name, job in jobs.items() if "uses" in job}
    if calling != {name: (f"{SELF}.github/workflows/{each}.yml", given) for name, (each, given) in CALLS.items()}:
        yield f"jobs call {calling}"
    for workflow, what, github, results, outputs, expected_jobs in JOBS:
        document = repo.documents[f".github/workflows/{workflow}.yml"]
        if (ran := jobs_that_run(document, {"github": github}, results, outputs)) != expected_jobs:
            yield f"{workflow}: {what}: runs {ran}"
    for name, what, context, ends, expected_steps in STEPS:
        holder = jobs[name] if "." in name else repo.actions[f".github/actions/{name}/action.yml"]["runs"]
        steps = holder["steps"]
        if (passed := steps_that_run(steps, context, ends)) != expected_steps:
            yield f"{name}: {what}: steps {passed} run"

    verifying = repo.actions[".github/actions/deploy/action.yml"]["runs"]["steps"][1]
    told = {"CHANGED": verifying["env"].get("CHANGED"), "run": verifying["run"].removeprefix("exec uv run --no-sync ")}
    if told != VERIFIES:
        yield f"what serves is verified by {told}"
    if (moments := set(repo.workflows[".github/workflows/base.yml"]["on"]["pull_request"].get("types", []))) != ASKED:
        yield f"where a pull request goes is looked at when it is {sorted(moments)}"
    asked = {path.rpartition("/")[2].removesuffix(".yml"): document["on"]["workflow_dispatch"]["inputs"]
             for path, document in repo.workflows.items() if "workflow_dispatch" in document["on"]}  # fmt: skip
    for form, inputs in asked.items():
        found = {name: (each.get("options"), each.get("default")) for name, each in inputs.items()}
        if found != FORMS[form]:
            yield f"{form} asks for {found}"
    for path, document in repo.documents.items():
        taken = document if path in repo.actions else (document["on"].get("workflow_call") or {})
        yield from (f"{path} does nothing with its input {name}" for name in taken.get("inputs") or {}
                    if not re.search(rf"\binputs\.{name}\b", str(document)))  # fmt: skip
    if (scripts := [step["run"] for step in jobs["_check.check"]["steps"] if "run" in step]) != CHECKS:
        yield f"a commit is checked by {scripts}"
    if (ended := jobs["_train.train"]["steps"][2].get("with", {}).get("job")) != FIRST_ATTEMPT:
        yield f"the job that is taken up is {ended}: a run that is made again would not try again"
    if (reported := jobs["feature.report"]["steps"][0].get("with", {}).get("ref")) != HEAD:
        yield f"a pull request is reported on by {reported}, not by what was pushed"
    if (begun := jobs["retrain.propose"]["steps"][0].get("with", {}).get("ref")) != "dev":
        yield f"new data joins that of {begun}, not of dev"


def undocumented(repo: Repository, page: str) -> Iterator[str]:
    """Every input and output of the building blocks that the page does not tell, and the other way round."""
    told = set(re.findall(r"^\| `([\w-]+)` \| (input|output) \| `([\w-]+)` \|", page, re.MULTILINE))
    there = set()
    for path, document in repo.documents.items():
        called = document if path in repo.actions else (document["on"].get("workflow_call") or {})
        name = path.split("/")[-2] if path in repo.actions else path.rpartition("/")[2].removesuffix(".yml")
        there |= {(name, kind, each) for kind in ("input", "output") for each in called.get(f"{kind}s") or {}}
    yield from (f"{' '.join(each)} is not told" for each in sorted(there - told))
    yield from (f"{' '.join(each)} is told and not there" for each in sorted(told - there))


def commands(repo: Repository, steps: list[Document]) -> Iterator[str]:
    """The commands that steps run, those of the actions that they use with them."""
    for step in steps:
        yield from (match["name"] for match in COMMAND.finditer(step.get("run", "")))
        uses = str(step.get("uses", ""))
        if uses.startswith(SELF) and (action := repo.called(uses)):
            yield from commands(repo, action["runs"]["steps"])
