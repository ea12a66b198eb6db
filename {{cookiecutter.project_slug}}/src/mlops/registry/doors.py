"""The two doors of an approval: whether the run whose reviewers decided deploys the version, or the registry's door."""

from dataclasses import dataclass

from mlops import aws, github
from mlops.registry import decisions, packages
from mlops.settings.project import Environment, Settings


@dataclass(frozen=True)
class Door:
    """By which door a version was approved.

    Args:
        version: its number; 0 when none is meant.
        who: decided on it last; empty when the registry does not say.
        run: of GitHub, whose reviewers decided; empty when it was the registry's door.
        deploys: whether the registry's door deploys; else the run has done so, or is about to.
        why: in words.
    """

    version: int
    who: str
    run: str
    deploys: bool
    why: str


def door(settings: Settings, environment: Environment, version: int | None) -> Door:
    """Whether the registry's door deploys, at which the event of an approval has come.

    What the reviewers of a run decide, that run deploys, with its own commit's settings; were the event of the same
    approval to deploy as well, there would be two rollouts. A run that has ended without success may not have come
    so far: then this door deploys.

    Args:
        settings: the project.
        environment: whose group the version is in.
        version: that was approved; None when a person has started the workflow and names none.

    Raises:
        NotFound: there is no such version.
        Failure: AWS or GitHub refuses.
    """
    if version is None:
        return Door(0, "", "", True, "it was started by hand")
    session = aws.session(settings, environment, "deploy")
    package = packages.of_version(session, environment.group, version)
    last = next(iter(decisions.read(package.reason)), None)
    if package.status != "Approved" or last is None or last.what != "approved" or not last.run:
        who = last.who if last else ""
        return Door(version, who, "", True, f"{package.name} is {package.status} by the registry's own door")
    state = github.run(last.run)
    said = f"the reviewers of run {last.run} approved {package.name}"
    if state is None or (state["status"] == "completed" and state["conclusion"] != "success"):
        how = "is gone" if state is None else f"has ended ({state['conclusion']})"
        return Door(version, last.who, last.run, True, f"{said}, and that run {how}")
    done = "has deployed it" if state["status"] == "completed" else "deploys it"
    why = (
        f"{said}, and that run {done}: nothing is deployed here. Should it not have come so far, run its failed jobs "
        "again, or start this workflow by hand without a package"
    )
    return Door(version, last.who, last.run, False, why)
