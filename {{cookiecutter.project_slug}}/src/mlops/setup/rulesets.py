"""Rules of the branches: how a commit comes to main and dev."""

from pathlib import Path
from typing import Any

import yaml

from mlops import rest
from mlops.errors import BadInput
from mlops.setup.environments import is_of_plan
from mlops.setup.plan import Step, Unavailable, deed
from mlops.setup.repository import Repository

REQUIRED = {
    "main": ("check / lint, types, tests", "main takes pull requests from dev"),
    "dev": ("check / lint, types, tests",),
}
"""The checks that have to pass, by the names that the workflows give them."""

MERGES = {"main": ["merge"], "dev": ["merge", "squash", "rebase"]}
"""A squash on main would leave dev and main with nothing in common; a model is the same after any of them."""

REVIEW, CHECKS = "pull_request", "required_status_checks"
"""The rules that have parameters, by GitHub's names of them."""

ACTIONS = "github-actions"
"""The app that runs workflows: a check of the same name by anybody else does not count."""


def name_of(branch: str) -> str:
    """The name of a branch's ruleset."""
    return f"mlops: {branch}"


def listed(repository: Repository) -> dict[str, int]:
    """Numbers of the repository's own rulesets, by name."""
    try:
        found = repository.listing("rulesets")
    except rest.Refused as error:
        if is_of_plan(error):
            return {}
        raise
    return {each["name"]: each["id"] for each in found if each.get("source_type", "Repository") == "Repository"}


def wanted(branch: str, approvals: int) -> dict[str, Any]:
    """A branch's ruleset as GitHub's API takes it."""
    review = {
        "required_approving_review_count": approvals,
        "dismiss_stale_reviews_on_push": True,
        "require_code_owner_review": True,
        "require_last_push_approval": False,
        "required_review_thread_resolution": False,
        "allowed_merge_methods": MERGES[branch],
    }
    checks = [{"context": each} for each in REQUIRED[branch]]
    status = {"strict_required_status_checks_policy": False, "required_status_checks": checks}
    return {
        "name": name_of(branch),
        "target": "branch",
        "enforcement": "active",
        "conditions": {"ref_name": {"include": [f"refs/heads/{branch}"], "exclude": []}},
        "rules": [
            {"type": "deletion"},
            {"type": "non_fast_forward"},
            {"type": REVIEW, "parameters": review},
            {"type": CHECKS, "parameters": status},
        ],
    }


def checks_given(root: Path) -> set[str]:
    """The names of all checks that a pull request gets from the workflows of a folder."""
    names: set[str] = set()
    for file in sorted((root / ".github/workflows").glob("*.y*ml")):
        text = file.read_text(encoding="utf-8")
        workflow = parsed(text) if "pull_request" in text else {}
        # YAML 1.1 reads the key `on` as true.
        if "pull_request" in (workflow.get("on") or workflow.get(True) or {}):
            names |= {name for job in workflow["jobs"].items() for name in names_of(root, *job)}
    return names


def parsed(text: str) -> dict[Any, Any]:
    """A workflow; by libyaml where it is there, which takes a tenth of the time."""
    return dict(yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader)))


def names_of(root: Path, key: str, job: dict[str, Any]) -> list[str]:
    """The names of the checks of a job: its own, or those of the workflow that it calls below its own."""
    name = str(job.get("name", key))
    called = str(job.get("uses", ""))
    if not called:
        return [name]
    file = root / called.removeprefix("$/").removeprefix("./")
    jobs = parsed(file.read_text(encoding="utf-8"))["jobs"] if file.is_file() else {}
    return [f"{name} / {inner.get('name', key)}" for key, inner in jobs.items()]


def step(
    repository: Repository, given: set[str], branch: str, approvals: int | None, there: dict[str, int], own: bool
) -> Step:
    """The step that makes a branch's ruleset, or changes it.

    Args:
        repository: that has the branch.
        given: the checks that the workflows give.
        branch: main or dev.
        approvals: reviews that a pull request needs; as many as now when None, one in a new ruleset.
        there: numbers of the rulesets that are there, by name.
        own: whether the bootstrap has made it.

    Raises:
        BadInput: the workflows have lost a check that has to pass.
    """
    lost = [each for each in REQUIRED[branch] if each not in given]
    if lost:
        raise BadInput(f".github/workflows: no workflow of a pull request gives the check {lost[0]!r}; name a job so")
    number = there.get(name_of(branch))
    found = repository.ask("GET", f"rulesets/{number}") if number is not None else {}
    count = approvals_now(found) if approvals is None else approvals
    right = holds(found, wanted(branch, count))

    def act() -> None:
        try:
            put(repository, wanted(branch, count))
        except rest.Refused as error:
            if is_of_plan(error):
                raise Unavailable(f"{error}; until then whoever can push can push to {branch}") from error
            raise

    detail = f"pull requests only, reviews: {count}, merged by {' or '.join(MERGES[branch])}; checks: " + ", ".join(
        REQUIRED[branch]
    )
    return Step(f"rules of {branch}", deed(bool(found), right, own), detail, act)


def approvals_now(found: dict[str, Any]) -> int:
    """How many reviews a ruleset asks for; a new one asks for one."""
    review = parameters(found, REVIEW)
    return int(review.get("required_approving_review_count", 1))


def parameters(ruleset: dict[str, Any], rule: str) -> dict[str, Any]:
    """The parameters of one of its rules; empty when it has no such rule."""
    given = [each.get("parameters") or {} for each in ruleset.get("rules") or [] if each["type"] == rule]
    return dict(given[0]) if given else {}


def contexts(ruleset: dict[str, Any]) -> set[str]:
    """The checks that it asks for."""
    return {each["context"] for each in parameters(ruleset, CHECKS).get("required_status_checks", [])}


def holds(found: dict[str, Any], ruleset: dict[str, Any]) -> bool:
    """Whether a ruleset asks for all that it should; it may ask for more."""
    if not found or found["enforcement"] != "active" or found.get("bypass_actors"):
        return False
    included = set(ruleset["conditions"]["ref_name"]["include"])
    there = (found.get("conditions") or {}).get("ref_name") or {}
    return (
        included <= set(there.get("include") or [])
        and not there.get("exclude")
        and {each["type"] for each in ruleset["rules"]} <= {each["type"] for each in found.get("rules") or []}
        and parameters(found, REVIEW) == parameters(stricter(ruleset, found), REVIEW)
        and contexts(ruleset) <= contexts(found)
    )


def stricter(ruleset: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """A ruleset with all that a person made stricter in the one that is there, and with that one's further rules."""
    review, now = parameters(ruleset, REVIEW), parameters(found, REVIEW)
    flags = {name: True for name, value in now.items() if value is True and review.get(name) is False}
    merges = [each for each in review["allowed_merge_methods"] if each in now.get("allowed_merge_methods", ())]
    kept = {**now, **review, **flags, "allowed_merge_methods": merges or review["allowed_merge_methods"]}
    checks, there = parameters(ruleset, CHECKS), parameters(found, CHECKS)
    own = {each["context"]: each for each in checks["required_status_checks"]}
    all_checks = {each["context"]: each for each in there.get("required_status_checks", [])} | own
    strict = bool(there.get("strict_required_status_checks_policy"))
    both = {**there, "strict_required_status_checks_policy": strict, "required_status_checks": [*all_checks.values()]}
    values = {REVIEW: kept, CHECKS: both}
    rules = [
        {**each, "parameters": values[each["type"]]} if each["type"] in values else each for each in ruleset["rules"]
    ]
    kinds = {each["type"] for each in rules}
    more = [each for each in found.get("rules") or [] if each["type"] not in kinds]
    return {**ruleset, "rules": [*rules, *more]}


def put(repository: Repository, ruleset: dict[str, Any]) -> None:
    """Make a ruleset, or bring the one of its name into line; what a person made stricter stays."""
    number = listed(repository).get(ruleset["name"])
    app = repository.ask("GET", f"/apps/{ACTIONS}")["id"]
    for check in parameters(ruleset, CHECKS)["required_status_checks"]:
        check["integration_id"] = app
    if number is None:
        repository.ask("POST", "rulesets", ruleset)
        return
    found = repository.ask("GET", f"rulesets/{number}")
    repository.ask("PUT", f"rulesets/{number}", {**stricter(ruleset, found), "bypass_actors": []})
