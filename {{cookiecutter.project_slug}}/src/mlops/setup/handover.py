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

MADE_FROM = ("infra", "lambdas", "src/mlops", "mlops.yaml", "pyproject.toml", "uv.lock")
"""What the infrastructure is made from, the code of its functions too: infra.yml starts when one of them changes."""

SUMMARY_LIMIT = 1_000_000
"""Bytes of a plan in the summary of a step, of which GitHub takes 1 MiB."""

COMMENT_LIMIT = 50_000
"""Bytes of a plan in a comment, of which GitHub takes 65,536 characters."""

NO_RUN = "When there is none, as after [skip ci], an administrator runs `mlops bootstrap aws` on main"
"""What to do for a commit for which GitHub has started nothing."""

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
        said: in Markdown, how much it is and who applies it.
        shown: all of it, as Terraform shows it; empty when nothing would change.
    """

    environment: str
    add: int
    change: int
    destroy: int
    apply: bool
    said: str
    shown: str = ""

    @property
    def some(self) -> bool:
        """Whether anything would change."""
        return self.add + self.change + self.destroy > 0

    def markdown(self, limit: int | None = None) -> str:
        """It as people read it on GitHub, with so many bytes of what Terraform shows; all of them when not given."""
        if not self.shown:
            return f"{self.said}\n"
        kept = self.shown.encode()[:limit].decode(errors="ignore")
        cut = "" if kept == self.shown else "\n… cut here: the log of the job has all of it"
        # Longer than any in the plan, so that nothing in it ends the block.
        fence = "`" * (max([2, *map(len, re.findall("`+", kept))]) + 1)
        block = f"<details><summary>terraform plan</summary>\n\n{fence}\n{kept}{cut}\n{fence}\n\n</details>"
        return f"{self.said}\n\n{block}\n"

    def outputs(self) -> dict[str, str]:
        """The outputs of a step of a workflow."""
        return {"apply": str(self.apply).lower()}


def plan(settings: Settings, environment: Environment, asks: bool, told: Progress) -> Planned:
    """Plan an environment, and keep all that another computer needs to apply just this.

    Args:
        settings: the project.
        environment: what is planned.
        asks: GitHub asks reviewers; without them no workflow applies.
        told: hears how far it has come.

    Raises:
        BadInput: the project has no infrastructure of its own.
        Failure: Terraform can not plan, or data would be lost.
    """
    known(settings)
    if newer := left():
        said = f"{title(environment)}passed over\n\n`main` is at {newer[:12]} by now, whose run plans it. {NO_RUN}."
        return Planned(environment.name, 0, 0, 0, apply=False, said=said)
    if uses_functions(settings, environment):
        zipped(settings, told)
    terraform.prepare(settings, environment, state.name(settings, environment.account), told)
    changes = terraform.plan(settings, environment, told, terraform.UNLOCKED)
    keep(settings, environment)
    if changes == terraform.Changes(0, 0, 0):
        said = f"{title(environment)}nothing to change\n\nWhat is there is as this commit says."
        return Planned(environment.name, 0, 0, 0, apply=False, said=said)
    by = asks and by_workflow(settings, environment)
    return weighed(environment, changes, terraform.shown(settings, environment, told), by)


def weighed(environment: Environment, changes: terraform.Changes, shown: str, by_workflow: bool) -> Planned:
    """A plan, with who applies it: nobody approves on GitHub what GitHub does not show to its end."""
    whole = len(shown.encode()) <= SUMMARY_LIMIT
    administrator = f"an administrator of {environment.account} does, by `mlops bootstrap aws`."
    gate = environments.applying_gate(environment)
    if not by_workflow:
        way = f"No workflow applies it: {administrator}"
    elif not whole:
        way = f"It is longer than GitHub shows in a summary, so no workflow applies it: {administrator}"
    else:
        way = f"On `main` it waits for the reviewers of `{gate}`, and is applied as planned there."
    said, apply = f"{title(environment)}{changes}\n\n{way}", by_workflow and whole
    return Planned(environment.name, changes.add, changes.change, changes.destroy, apply, said, shown)


def apply(settings: Settings, environment: Environment, told: Progress) -> github.Review:
    """Apply the plan that was handed over, after a review of it.

    Returns:
        Who has approved it, and why.

    Raises:
        BadInput: there is no plan, or this is no workflow.
        Failure: `main` has other infrastructure by now, nobody has approved it, the state has changed since, or AWS
            refuses something.
    """
    known(settings)
    if newer := left():
        raise Failure(
            f"main is at {newer[:12]} by now, with other infrastructure than was approved: nothing was applied; the "
            f"newest run of infra on main has the plan for it. {NO_RUN}"
        )
    # Called by another workflow, a job is listed under its caller, which is named after the environment.
    gate, instead = environments.applying_gate(environment), "have an administrator run `mlops bootstrap aws`"
    review = github.review(gate, "approved", f"{environment.name} / apply", instead)
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


def left() -> str:
    """The commit that the branch of this run is at by now, when its infrastructure is another; else empty.

    An approval may come weeks later, and what is planned is of the commit of the run: it would bring back what has been
    taken out since, or take away what has been added.
    """
    newer = github.superseded()
    return newer if newer and github.differ(github.required("GITHUB_SHA"), newer, MADE_FROM) else ""


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


def title(environment: Environment) -> str:
    """How a plan begins on GitHub."""
    return f"### Infrastructure of {environment.name}: "


def refused(environment: Environment, why: str) -> str:
    """A plan that was refused, as people read it on GitHub."""
    return f"{title(environment)}refused\n\n{why}\n"


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
