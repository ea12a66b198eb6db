"""What starts workflows, who waits for whom, and for how long."""

from collections.abc import Collection, Iterator
from typing import Any

from mlops import access
from mlops.setup import rulesets
from mlops.workflows.documents import Document, Repository
from mlops.workflows.needs import Needs, needs_of
from static.handing import PATHS

BY_HAND: dict[str, Any] = {"workflow_dispatch": {}}
CALLED: dict[str, Any] = {"workflow_call": {}}
ALSO_EDITED = ["opened", "synchronize", "reopened", "edited"]
"""When a pull request may have come to another base, or to another commit."""

STARTED: dict[str, dict[str, Any]] = {
    "_check": CALLED,
    "_deploy": CALLED,
    "_infra": CALLED,
    "_train": CALLED,
    "approved": BY_HAND,
    "base": {"pull_request": {"branches": ["main"], "types": ALSO_EDITED}},
    "dev": {"push": {"branches": ["dev"]}, **BY_HAND},
    "feature": {
        "push": {"branches": ["feature/**", "fix/**", "retrain/**"]},
        "pull_request": {"branches": ["dev", "main"], "types": ALSO_EDITED},
        **BY_HAND,
    },
    "image": BY_HAND,
    "infra": {
        "pull_request": {"branches": ["dev", "main"], "paths": PATHS},
        "push": {"branches": ["main"], "paths": PATHS},
    },
    "main": {"push": {"branches": ["main"]}},
    # Each day before people come, and on Mondays an hour earlier; never at the full hour, when GitHub drops the most.
    "monitor": {"schedule": [{"cron": "23 5 * * *"}], **BY_HAND},
    "retrain": {"schedule": [{"cron": "23 4 * * 1"}], **BY_HAND},
    "rollback": BY_HAND,
    "schedule": BY_HAND,
    "teardown": BY_HAND,
    "training-finished": BY_HAND,
}
"""The events of each workflow with their filters."""

IN_TURN: dict[str, Any] = {"queue": "max", "cancel-in-progress": False}
ALONE, NEWEST = {"cancel-in-progress": False}, {"cancel-in-progress": True}
LOCKS: dict[str, tuple[str, dict[str, Any]]] = {
    "_deploy.deploy": ("deploy-${{ inputs.environment }}-${{ inputs.group }}", IN_TURN),
    "teardown.teardown": ("deploy-${{ inputs.environment }}-${{ inputs.group }}", IN_TURN),
    "rollback.rollback": ("rollback-${{ inputs.environment }}-${{ inputs.group }}", IN_TURN),
    "schedule.schedule": ("schedule-${{ inputs.environment }}", IN_TURN),
    "main.copy": ("copy-prod", IN_TURN),
    "main.reject": ("copy-prod", IN_TURN),
    "main.reject-challenger": ("copy-prod", IN_TURN),
    "_train.train": ("train-${{ github.ref }}", IN_TURN),
    "retrain.propose": ("retrain-${{ github.ref }}", IN_TURN),
    "image.image": ("image-${{ github.ref }}", IN_TURN),
    "training-finished.take-up": ("take-up-${{ inputs.job }}", IN_TURN),
    "main.approve": ("approve-${{ github.run_id }}", ALONE),
    "main.approve-challenger": ("approve-challenger-${{ github.run_id }}", ALONE),
    "approved.door": ("door-${{ inputs.environment }}-${{ inputs.group }}-${{ github.run_id }}", ALONE),
    "_infra.plan": ("infra-plan-${{ inputs.environment }}-${{ github.ref }}", ALONE),
    "_infra.apply": ("infra-apply-${{ inputs.environment }}-${{ github.run_id }}", ALONE),
    # Of these the newer one knows more: the older is stopped.
    "feature.report": ("report-${{ github.ref }}", NEWEST),
    "base.base": ("base-${{ github.ref }}", NEWEST),
    "monitor.monitor": ("monitor-${{ inputs.environment || 'prod' }}-${{ github.ref }}", NEWEST),
}
"""The lock of each job, and what happens to those that want it too: they wait in turn, have one of their own, or stop
who has it. A deployment and a teardown share theirs, a copy and a rejection too."""

PATIENT = {"run", "promote", "deploy", "rollback", "schedule", "teardown"}
"""Commands that wait for jobs or rollouts, as long as their credentials last."""

OWN_TIME = {"image": 120, "retrain": 60}
"""Minutes of commands that are at it themselves: building an image, and getting data."""

WITHOUT_AWS = {"_check.check": 30, "base.base": 5}


def broken(repo: Repository, of: Collection[str] | None = None) -> Iterator[str]:
    """Every promise that does not hold, in all files or in some."""
    chosen = repo.workflows if of is None else {path: each for path, each in repo.workflows.items() if path in of}
    locks = {}
    for path, document in chosen.items():
        workflow = path.rpartition("/")[2].removesuffix(".yml")
        if (events := {event: without_inputs(given) for event, given in document["on"].items()}) != STARTED[workflow]:
            yield f"{workflow} is started by {events}"
        for name, job in document["jobs"].items():
            yield from (f"{workflow}: {problem}" for problem in named(name, job))
            if "uses" in job:
                continue
            if job.get("runs-on") != "ubuntu-latest":
                yield f"{workflow}: {name} runs on {job.get('runs-on')}, where nothing was tried"
            wanted = WITHOUT_AWS.get(f"{workflow}.{name}") or minutes(needs_of(repo, job["steps"]))
            if job.get("timeout-minutes") != wanted:
                yield f"{workflow}: {name} ends after {job.get('timeout-minutes')} minutes, not {wanted}"
            lock = dict(job.get("concurrency") or {})
            if lock:
                locks[f"{workflow}.{name}"] = (lock.pop("group"), lock)
    workflows = {path.rpartition("/")[2].removesuffix(".yml") for path in chosen}
    if locks != {name: lock for name, lock in LOCKS.items() if name.partition(".")[0] in workflows}:
        yield f"locks are {[(name, lock) for name, lock in locks.items() if lock != LOCKS.get(name)]}"
    yield from required(repo)


def without_inputs(given: Any) -> Any:
    """The filters of an event."""
    skipped = ("inputs", "outputs")
    return {key: each for key, each in given.items() if key not in skipped} if isinstance(given, dict) else given


def minutes(needs: Needs) -> float:
    """How long a job may take: as long as the session of its role, which lasts as long as its command waits."""
    for command, own in OWN_TIME.items():
        if command in needs.commands:
            return own
    if PATIENT & needs.commands:
        return access.LONGEST_SECONDS / 60
    return (access.INFRASTRUCTURE.get(needs.duty, 0) + access.SHORTEST_SECONDS) / 60


def named(name: str, job: Document) -> Iterator[str]:
    """A job has the name that it is found by: its own, or that of a check that a branch requires."""
    checks = {each.rpartition(" / ")[2] for names in rulesets.REQUIRED.values() for each in names}
    if (given := str(job.get("name"))).replace(" ", "-") != name and given not in checks:
        yield f"{name} is named {given}"


def required(repo: Repository) -> Iterator[str]:
    """Each check that a branch requires is made by a pull request to it."""
    for branch, names in rulesets.REQUIRED.items():
        made = set()
        for document in repo.workflows.values():
            if branch in (document["on"].get("pull_request") or {}).get("branches", []):
                for job in document["jobs"].values():
                    called = repo.called(job.get("uses", "")) or {"jobs": {}}
                    made |= {f"{job['name']} / {each['name']}" for each in called["jobs"].values()} | {job["name"]}
        yield from (f"{branch} requires {name}, which no pull request gets" for name in names if name not in made)
