"""Access: the role that a job of a workflow takes on in AWS, for how long, and whether there is an AWS at all."""

import math
import os
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mlops.errors import BadInput
from mlops.hosting import rollouts
from mlops.settings.compute import SCORING, Stage
from mlops.settings.project import FILE, Environment, Settings
from mlops.setup import terraform

LONGEST_SECONDS = 14_400
"""The longest session that the roles allow. Credentials are not renewed: a job has to end before its session does."""

SHORTEST_SECONDS = 900
"""The shortest session that AWS gives, and what a job needs beside its waits."""

INFRASTRUCTURE = {"plan": 900, "apply": 2700}
"""How long Terraform may be at it, with a wait of five minutes for another one."""

STARTING_SECONDS = 600
"""How long a job may take to get its instance; its limit begins to run after that."""

VALUES = Path("infra") / "environments"
"""Where Terraform is told, in a file for each environment, whose workflows may take its roles on."""

TRUSTED = re.compile(r'^[ \t]*"?github_repository"?[ \t]*=[ \t]*"[^"]+"', re.MULTILINE)


WAITS_UNTIL = "MLOPS_WAITS_UNTIL"
"""Variable of the steps of a workflow's job: the second since 1970 from which its commands wait for no job any more."""


@dataclass(frozen=True)
class Access:
    """What a job needs to take a role on.

    Args:
        project: short name of the project.
        region: AWS region.
        ready: whether there is an AWS to work on.
        why_not: what is missing when it is not, in one line.
        role: ARN of the role that the duty asks for; empty without a duty.
        seconds: how long its session has to last.
    """

    project: str
    region: str
    ready: bool
    why_not: str
    role: str
    train_role: str
    deploy_role: str
    approve_role: str
    destroy_role: str
    monitor_role: str
    seconds: int

    def outputs(self) -> dict[str, str]:
        """The outputs of a step of a workflow."""
        return {
            "project": self.project,
            "region": self.region,
            "ready": str(self.ready).lower(),
            "role": self.role,
            "train-role": self.train_role,
            "deploy-role": self.deploy_role,
            "approve-role": self.approve_role,
            "destroy-role": self.destroy_role,
            "monitor-role": self.monitor_role,
            "seconds": str(self.seconds),
        }


def access(settings: Settings, environment: Environment, duty: str, first_push: bool) -> Access:
    """What a job needs to do a duty in an environment.

    Args:
        settings: the project.
        environment: where the duty is done.
        duty: none is empty: the job has no AWS.
        first_push: the event made its branch. On dev and main no model has come that far then.

    Raises:
        BadInput: the environment has no such duty.
    """
    first = settings.before(environment) is None
    allowed = duties(settings, environment)
    if duty and duty not in allowed:
        raise BadInput(f"--duty is {duty!r}; {environment.name} has {', '.join(allowed)}")
    # A model comes from the environments before; an infrastructure does not.
    way = settings.environments[: settings.environments.index(environment) + 1]
    why_not = missing(settings, [environment] if duty in INFRASTRUCTURE else way, first_push)
    return Access(
        project=settings.project,
        region=settings.region,
        ready=not why_not,
        why_not=why_not,
        role=environment.role(duty) if duty else "",
        train_role=environment.role("train") if first else "",
        deploy_role=environment.role("deploy"),
        approve_role="" if first else environment.role("approve"),
        destroy_role="" if first else environment.role("destroy"),
        monitor_role="" if first else environment.role("monitor"),
        seconds=session_seconds(settings, environment, duty),
    )


def duties(settings: Settings, environment: Environment) -> tuple[str, ...]:
    """What is done in an environment, each under a role of its own."""
    first = settings.before(environment) is None
    own = ("train", "deploy", "image") if first else ("deploy", "approve", "destroy", "monitor", "schedule")
    return (*own, *INFRASTRUCTURE) if terraform.is_there(settings) else own


def missing(settings: Settings, environments: Sequence[Environment], first_push: bool) -> str:
    """What a new repository still needs before a push can make a model; empty when it has all.

    Args:
        settings: the project.
        environments: where a job works, and from where its models come.
        first_push: see `access`.
    """
    if settings.aws == "sandbox":
        return (
            f"{FILE} says `aws: sandbox`, AWS on one's own computer. When the roles and buckets of this project are in "
            "its accounts, write `aws: account` and push again"
        )
    for each in environments:
        if not trusts_workflows(settings, each):
            return (
                f"{(VALUES / each.name).as_posix()}.tfvars names no github_repository, so no role of {each.name} "
                "trusts a workflow. `mlops bootstrap github`, then `mlops bootstrap aws` in account "
                f"{each.account} make the roles and write the name: commit it and push again (docs/bootstrap.md)"
            )
    if first_push:
        return (
            "This push made the branch, and no model has come so far. Push a branch `feature/...`: its model is "
            "trained and registered, and a merge to dev brings it on its way"
        )
    return ""


def trusts_workflows(settings: Settings, environment: Environment) -> bool:
    """Whether the roles of an environment can trust a workflow at all, as far as this commit tells.

    Without Terraform code others have made them, and `aws: account` says that they have.
    """
    if not (settings.root / VALUES).is_dir():
        return True
    file = settings.root / VALUES / f"{environment.name}.tfvars"
    return file.is_file() and TRUSTED.search(file.read_text(encoding="utf-8")) is not None


def longest_wait(settings: Settings) -> int:
    """How long a run waits for its jobs, one after the other; those that take longer go on without it."""
    jobs = sum(stage.longest_seconds + STARTING_SECONDS for stage in settings.stages.values())
    return min(jobs, int(settings.wait_minutes * 60))


def variables(found: Access) -> dict[str, str]:
    """What the later steps of a job are told of its session, which begins now; half the reserve is for the end."""
    return {WAITS_UNTIL: str(int(time.time() + found.seconds - SHORTEST_SECONDS / 2))}


def waits_until() -> float:
    """When commands of this job wait no longer, by the clock of `time.monotonic`; at a desk they wait without end."""
    given = os.environ.get(WAITS_UNTIL)
    return time.monotonic() + float(given) - time.time() if given else math.inf


def session_seconds(settings: Settings, environment: Environment, duty: str) -> int:
    """How long a duty waits at most: for its jobs one after the other, or for the gate's job and a rollout."""
    waits = INFRASTRUCTURE.get(duty, 0)
    if duty == "train":
        waits = longest_wait(settings)
    elif duty in ("deploy", "destroy", "schedule") and environment.endpoint is not None:
        # Twice: what another run has begun is waited for first.
        waits = 2 * max(rollouts.longest(each.endpoint.rollout) for each in environment.contenders if each.endpoint)
        if settings.comparison is not None:
            waits += settings.stages.get(SCORING, Stage()).longest_seconds
    return min(waits + SHORTEST_SECONDS, LONGEST_SECONDS)
