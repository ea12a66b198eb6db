"""What the workflows of the infrastructure promise: who plans when, and that what is applied is what was shown."""

import re
from collections.abc import Iterator
from typing import Any

from mlops.workflows.documents import SELF, Document, Repository
from static.expressions import jobs_that_run, steps_that_run

CALLER, CALLED = ".github/workflows/infra.yml", ".github/workflows/_infra.yml"
PATHS = ["infra/**", "lambdas/**", "src/mlops/**", "mlops.yaml", "pyproject.toml", "uv.lock"]
"""What the infrastructure is made from, the code of its functions too."""

LOCK = {"group": "infra-plan-${{ inputs.environment }}-${{ github.ref }}", "cancel-in-progress": False}
BEGINS = ["actions/checkout", f"{SELF}.github/actions/setup", "hashicorp/setup-terraform"]
PLANS, APPLIES = [*BEGINS, "Plan", "actions/upload-artifact"], [*BEGINS, "actions/download-artifact", "Apply"]
"""The steps, by what they use or their name: each has what it needs from those before."""

HERE, FORK = "team/project", "somebody/project"
PUSH = {"event_name": "push", "repository": HERE, "event": {}}
READY, NOT_READY = {"setup": {"ready": "true"}}, {"setup": {"ready": "false"}}
CHANGES, NONE = {"plan": {"apply": "true"}}, {"plan": {"apply": "false"}}


def pull_request(source: str) -> dict[str, Any]:
    """The context of a pull request from a repository."""
    event = {"pull_request": {"head": {"repo": {"full_name": source}}}}
    return {"event_name": "pull_request", "repository": HERE, "event": event}


JOBS: list[tuple[str, dict[str, Any], dict[str, Any], dict[str, str], list[str]]] = [
    ("a change on main", {"github": PUSH}, CHANGES, {}, ["plan", "apply"]),
    ("no change on main", {"github": PUSH}, NONE, {}, ["plan"]),
    ("a plan that says nothing", {"github": PUSH}, {}, {}, ["plan"]),
    ("a plan that is refused", {"github": PUSH}, CHANGES, {"plan": "failure"}, ["plan"]),
    ("nobody to ask", {"github": PUSH, "vars": {"MLOPS_APPROVAL": "registry"}}, CHANGES, {}, ["plan"]),
    ("a pull request", {"github": pull_request(HERE)}, CHANGES, {}, ["plan"]),
    ("a fork's", {"github": pull_request(FORK)}, CHANGES, {}, []),
]
"""What happens, its context, what the plan hands on, how jobs end, and the jobs that run then."""

STEPS: list[tuple[str, dict[str, Any], list[int]]] = [
    ("a change on main", {"github": PUSH, "outputs": {**READY, **CHANGES}}, [0, 1, 2, 3, 4]),
    ("no change on main", {"github": PUSH, "outputs": {**READY, **NONE}}, [0, 1, 2, 3]),
    ("a pull request", {"github": pull_request(HERE), "outputs": {**READY, **CHANGES}}, [0, 1, 2, 3]),
    ("no AWS yet", {"github": PUSH, "outputs": NOT_READY}, [0, 1]),
]
"""What happens to the job that plans, its context, and the steps that run then."""


def broken(repo: Repository) -> Iterator[str]:
    """Every promise that does not hold."""
    caller, called = repo.documents[CALLER], repo.documents[CALLED]
    for event, settings in caller["on"].items():
        if settings.get("paths") != PATHS:
            yield f"{event} looks at {settings.get('paths')}"
    for name, job in caller["jobs"].items():
        # Its reviews are found by these names, which GitHub lists with a stroke between.
        if not name == job.get("name") == job["with"]["environment"]:
            yield f"the job {name} is named {job.get('name')} and is of {job['with']['environment']}"
    for what, context, outputs, results, expected in JOBS:
        if (ran := jobs_that_run(called, context, results, outputs)) != expected:
            yield f"{what}: runs {ran}"
    if (lock := called["jobs"]["plan"].get("concurrency")) != LOCK:
        yield f"a plan's lock is {lock}: two plans of a branch would write one comment, or a plan be cut short"
    plan, apply = called["jobs"]["plan"]["steps"], called["jobs"]["apply"]["steps"]
    for what, context, steps in STEPS:
        if (passed := steps_that_run(plan, context, {})) != steps:
            yield f"{what}: steps {passed} of the plan run"
    if not any((step.get("env") or {}).get("APPROVAL") == "${{ vars.MLOPS_APPROVAL }}" for step in plan):
        yield "a plan does not know whether anybody is asked, and promises a review all the same"
    for steps, order in ((plan, PLANS), (apply, APPLIES)):
        if (found := [str(step.get("uses", step.get("name"))).partition("@")[0] for step in steps]) != order:
            yield f"Terraform has not come, or not the plan, before it is wanted: {found}"
    yield from handed_over(plan, apply)


def handed_over(plan: list[Document], apply: list[Document]) -> Iterator[str]:
    """What is applied is what was planned, by the same Terraform."""
    terraform = [inputs_of(steps, "hashicorp/setup-terraform") for steps in (plan, apply)]
    versions = {str(each.get("terraform_version")) for each in terraform}
    if len(versions) != 1 or not all(re.fullmatch(r"\d+\.\d+\.\d+", each) for each in versions):
        yield f"it is planned and applied by Terraform {sorted(versions)}"
    if any(each.get("terraform_wrapper") is not False for each in terraform):
        yield "a wrapper stands between a cancellation and Terraform"
    up, down = inputs_of(plan, "actions/upload-artifact"), inputs_of(apply, "actions/download-artifact")
    folder = {"name": "infra-${{ inputs.environment }}", "path": "infra/build/${{ inputs.environment }}"}
    if down != folder or up != {**folder, "if-no-files-found": "error", "overwrite": True, "retention-days": 30}:
        yield f"a plan is kept as {up}, and taken as {down}"
    for step in plan + apply:
        given = (
            (step.get("env") or {}).get("ENVIRONMENT") if "run" in step else (step.get("with") or {}).get("environment")
        )
        if ("run" in step or str(step.get("uses")).endswith("/setup")) and given != "${{ inputs.environment }}":
            yield f"{step.get('name', step.get('uses'))} is of {given}"


def inputs_of(steps: list[Document], action: str) -> Document:
    """What a job gives to an action; nothing when it does not use it."""
    return next((step.get("with") or {} for step in steps if str(step.get("uses", "")).startswith(f"{action}@")), {})
