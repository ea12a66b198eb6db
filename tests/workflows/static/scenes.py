"""What happens to workflows and actions, and which of their jobs and steps run then."""

import re
from collections.abc import Collection, Iterator
from typing import Any

from mlops.workflows.documents import Document, Repository
from static.expressions import CANCELLED_AFTER, jobs_that_run, steps_that_run

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


def pull_request(action: str, head: str, base: str = "dev", source: str = HERE, was: str = "") -> dict[str, Any]:
    """The context of an event of a pull request; of an edit, the base that it had, or else another title."""
    changes = {"base": {"ref": {"from": was}}} if was else {"title": {"from": "Simple is good"}}
    event = {"action": action, "changes": changes, "pull_request": {"head": {"repo": {"full_name": source}}}}
    return {"event_name": "pull_request", "base_ref": base, "head_ref": head, "repository": HERE, "event": event}


PUSH = {"event_name": "push", "base_ref": "", "head_ref": "", "repository": HERE, "event": {}, "ref": "refs/heads/dev"}
BY_HAND = {**PUSH, "event_name": "workflow_dispatch"}
ON_MAIN = {**BY_HAND, "ref": "refs/heads/main"}
NEW = {"check": {"ready": "false"}}

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
    ("feature", "another base", pull_request("edited", "fix/a", was="fix/b"), {}, READY, ["check", "report"]),
    ("feature", "another base that is main", pull_request("edited", "dev", "main", was="fix/b"), {}, READY, ["check"]),
    ("feature", "another title", pull_request("edited", "fix/a"), {}, READY, []),
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
    ("main", "waits in the registry", {**PUSH, "vars": {"MLOPS_APPROVAL": "registry"}}, {}, WAITING, ["check", "copy"]),
    ("main", "both wait there", {**PUSH, "vars": {"MLOPS_APPROVAL": "registry"}}, {}, CONTEST, ["check", "copy"]),
    (
        "main",
        "the champion waits there",
        {**PUSH, "vars": {"MLOPS_APPROVAL": "registry"}},
        {},
        CHALLENGES,
        ["check", "copy", "challenger"],
    ),
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


def broken(repo: Repository, jobs: dict[str, Document], chosen: Collection[str]) -> Iterator[str]:
    """Every job and step that runs and should not, or the other way round, in some files."""
    for workflow, what, github, results, outputs, expected_jobs in JOBS:
        path = f".github/workflows/{workflow}.yml"
        if path not in chosen:
            continue
        document = repo.documents[path]
        context = {"github": github, "vars": github.get("vars", {})}
        if (ran := jobs_that_run(document, context, results, outputs)) != expected_jobs:
            yield f"{workflow}: {what}: runs {ran}"
    for name, what, around, ends, expected_steps in STEPS:
        workflow, dot, _ = name.partition(".")
        path = f".github/workflows/{workflow}.yml" if dot else f".github/actions/{name}/action.yml"
        if path not in chosen:
            continue
        steps = jobs[name]["steps"] if dot else repo.documents[path]["runs"]["steps"]
        if (passed := steps_that_run(steps, around, ends)) != expected_steps:
            yield f"{name}: {what}: steps {passed} run"


def started(repo: Repository, event: str, branch: str) -> set[str]:
    """Names of the workflows that an event on a branch starts; of a pull request it is the branch that it goes to."""
    found = set()
    for path, document in repo.workflows.items():
        if event in document["on"]:
            # A schedule is a list of times, and has no filter.
            filters = document["on"][event] if isinstance(document["on"][event], dict) else {}
            patterns = filters.get("branches", ["**"])
            if any(pattern_of(each).fullmatch(branch) for each in patterns):
                found.add(path.rpartition("/")[2].removesuffix(".yml"))
    return found


def pattern_of(branches: str) -> re.Pattern[str]:
    """A pattern of a filter as a regular expression: `*` stays inside a part of a name, `**` does not."""
    parts = re.split(r"(\*\*|\*)", branches)
    return re.compile("".join({"**": ".*", "*": "[^/]*"}.get(part, re.escape(part)) for part in parts))
