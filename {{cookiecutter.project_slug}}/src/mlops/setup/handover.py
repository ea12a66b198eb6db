"""A plan of the infrastructure in a workflow: told where people see it, and handed over to be applied as it is."""

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from mlops import github
from mlops.display import Progress
from mlops.errors import BadInput, Failure
from mlops.settings.project import FILE, Environment, Settings
from mlops.settings.serving import Endpoint
from mlops.setup import environments, state, terraform, tfvars

APPLIES = "workflow_applies"
"""The value by which an environment has a role that applies."""

LIMIT = 50_000
"""Characters of a plan in a comment, of which GitHub takes 65,536."""

ZIP_SECONDS = 900


@dataclass(frozen=True)
class Planned:
    """What would change in an environment.

    Args:
        environment: its name.
        add: how much would be made.
        change: how much would be changed.
        destroy: how much would be removed.
        apply: whether a workflow may apply it, and there is something to apply.
        text: it in Markdown.
    """

    environment: str
    add: int
    change: int
    destroy: int
    apply: bool
    text: str

    @property
    def some(self) -> bool:
        """Whether anything would change."""
        return self.add + self.change + self.destroy > 0

    def outputs(self) -> dict[str, str]:
        """The outputs of a step of a workflow."""
        return {"apply": str(self.apply).lower()}


def plan(settings: Settings, environment: Environment, told: Progress) -> Planned:
    """Plan an environment, and keep all that another computer needs to apply just this.

    Raises:
        BadInput: the project has no infrastructure of its own.
        Failure: Terraform can not plan, or data would be lost.
    """
    known(settings)
    if uses_functions(settings, environment):
        zipped(settings, told)
    terraform.prepare(settings, environment, state.name(settings, environment.account), told)
    changes = terraform.plan(settings, environment, told, terraform.WAITING)
    keep(settings, environment)
    some = changes != terraform.Changes(0, 0, 0)
    by = by_workflow(settings, environment)
    shown = terraform.shown(settings, environment, told) if some else ""
    text = markdown(environment, changes, shown, by)
    return Planned(environment.name, changes.add, changes.change, changes.destroy, apply=some and by, text=text)


def apply(settings: Settings, environment: Environment, told: Progress) -> github.Review:
    """Apply the plan that was handed over, after a review of it.

    Returns:
        Who has approved it, and why.

    Raises:
        BadInput: there is no plan, or this is no workflow.
        Failure: nobody has approved it, the state has changed since, or AWS refuses something.
    """
    known(settings)
    # Called by another workflow, a job is listed under its caller, which is named after the environment.
    review = github.review(environments.applying_gate(environment), "approved", f"{environment.name} / apply")
    take(settings, environment)
    bucket = state.name(settings, environment.account)
    # The provider that has planned, and no newer one.
    terraform.prepare(settings, environment, bucket, told, "-lockfile=readonly")
    terraform.apply(settings, environment, told, terraform.WAITING)
    return review


def known(settings: Settings) -> None:
    """See that there is something to plan.

    Raises:
        BadInput: the project has no infrastructure of its own, or works on the sandbox.
    """
    if not terraform.is_there(settings):
        raise BadInput(f"there is no {terraform.FOLDER}/ in this project: whoever makes its infrastructure plans it")
    if settings.aws == "sandbox":
        raise BadInput(f"{FILE}: aws is sandbox, which has all of it; write `aws: account` to work in AWS")


def by_workflow(settings: Settings, environment: Environment) -> bool:
    """Whether a workflow may apply: else there is no role for it."""
    return tfvars.value(tfvars.text_of(settings, environment), APPLIES) == "true"


def folder(settings: Settings, environment: Environment) -> Path:
    """Where a plan lies that is handed over. No part of its path is hidden: artifacts leave hidden files out."""
    return settings.root / terraform.FOLDER / "build" / environment.name


def parts(settings: Settings, environment: Environment) -> dict[str, Path]:
    """What is handed over, by its name there, and its place here: the plan, its provider, and the functions' zip."""
    code = settings.root / terraform.FOLDER
    return {
        "plan": terraform.planned(settings, environment),
        "providers.hcl": code / terraform.LOCK_FILE,
        "lambdas.zip": code / "build" / "lambdas.zip",
    }


def keep(settings: Settings, environment: Environment) -> None:
    """Put together what is handed over."""
    target = folder(settings, environment)
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for name, place in parts(settings, environment).items():
        if place.is_file():
            shutil.copy(place, target / name)


def take(settings: Settings, environment: Environment) -> None:
    """Put what was handed over in its place.

    Raises:
        BadInput: nothing was.
    """
    source = folder(settings, environment)
    if not (source / "plan").is_file():
        where = source.relative_to(settings.root)
        raise BadInput(f"{where}/plan is not there: `mlops infra plan --env {environment.name}` makes it")
    for name, place in parts(settings, environment).items():
        if (source / name).is_file():
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source / name, place)


def uses_functions(settings: Settings, environment: Environment) -> bool:
    """Whether Terraform needs the zip of the functions."""
    by_clock = any(isinstance(each.endpoint, Endpoint) and each.endpoint.hours for each in environment.contenders)
    return by_clock or tfvars.value(tfvars.text_of(settings, environment), "functions") == "true"


def zipped(settings: Settings, told: Progress) -> None:
    """Build the functions' zip, of the same bytes from the same files.

    Raises:
        Failure: it can not be built.
    """
    told("building infra/build/lambdas.zip")
    done = subprocess.run(
        [sys.executable, "-m", "lambdas.package"], cwd=settings.root, stdin=subprocess.DEVNULL, capture_output=True,
        text=True, timeout=ZIP_SECONDS, check=False,
    )  # fmt: skip
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise Failure(f"python -m lambdas.package: {lines[-1]}")


def markdown(environment: Environment, changes: terraform.Changes, shown: str, by_workflow: bool) -> str:
    """A plan as people read it on GitHub."""
    title = f"### Infrastructure of {environment.name}: "
    if not shown:
        return f"{title}nothing to change\n\nWhat is there is as this commit says.\n"
    gate = environments.applying_gate(environment)
    way = (
        f"On `main` it waits for the reviewers of `{gate}`, and is applied as planned there."
        if by_workflow
        else f"No workflow applies it: an administrator of {environment.account} does, by `mlops bootstrap aws`."
    )
    if len(shown) > LIMIT:
        shown = f"{shown[:LIMIT]}\n… the rest is in the log of the job"
    # Longer than any in the plan, so that nothing in it ends the block.
    fence = "`" * (max([2, *map(len, re.findall("`+", shown))]) + 1)
    block = f"<details><summary>terraform plan</summary>\n\n{fence}\n{shown}\n{fence}\n\n</details>"
    return f"{title}{changes}\n\n{way}\n\n{block}\n"


def refused(environment: Environment, why: str) -> str:
    """A plan that was refused, as people read it on GitHub."""
    return f"### Infrastructure of {environment.name}: refused\n\n{why}\n"


def publish(environment: Environment, text: str, some: bool) -> list[str]:
    """Write a plan as the one comment of each open pull request of this branch.

    Args:
        environment: whose plan.
        text: it in Markdown.
        some: there is something to tell; else only a comment that is there is brought up to date.

    Returns:
        Addresses of the comments.
    """
    if not github.can_write():
        return []
    marker = f"<!-- mlops infrastructure {environment.name} -->"
    numbers = github.pull_requests(github.branch())
    return [address for number in numbers if (address := github.comment(number, marker, text, new=some))]
