"""Approval and rejection of model packages, with who, when and why written on the package."""

import boto3

from mlops import aws
from mlops.contest import trial
from mlops.display import Progress
from mlops.errors import BadInput, Failure, NotFound
from mlops.quality import verdicts
from mlops.registry import decisions, packages
from mlops.registry.decisions import one_line
from mlops.registry.packages import ModelPackage, Status
from mlops.settings.project import Environment, Settings


def approve(
    settings: Settings,
    environment: Environment,
    by: str,
    why: str,
    version: int | None = None,
    only_waiting: bool = False,
    run: str = "",
    told: Progress = lambda line: None,
) -> ModelPackage:
    """Approve a waiting version, so that it can be deployed. Approving it again changes nothing.

    Args:
        settings: the project.
        environment: whose group the version is in.
        by: who decides.
        why: the reason.
        version: its number; the newest when None. A rejected version is approved by its number only.
        only_waiting: leave a version alone that was decided on: who reviews a run has seen it wait, however long ago.
        run: of GitHub, whose reviewers decide, and which deploys what they approve.
        told: who decided, when that was done before and nothing is changed.

    Raises:
        NotFound: there is no such version, or the newest one does not wait.
        NotApproved: it would be champion, and has not served as challenger as the settings ask.
        BadInput: who or why is empty.
        Failure: it does not wait any more, and only one that waits is meant.
    """
    return decide(settings, environment, "Approved", by, why, version, only_waiting, run, told)


def reject(
    settings: Settings,
    environment: Environment,
    by: str,
    why: str,
    version: int | None = None,
    only_waiting: bool = False,
    run: str = "",
    told: Progress = lambda line: None,
) -> ModelPackage:
    """Reject a version, so that it is never deployed again; see `approve`."""
    return decide(settings, environment, "Rejected", by, why, version, only_waiting, run, told)


def decide(
    settings: Settings,
    environment: Environment,
    status: Status,
    by: str,
    why: str,
    version: int | None,
    only_waiting: bool = False,
    run: str = "",
    told: Progress = lambda line: None,
) -> ModelPackage:
    """Set the status of the version that was asked for, unless it has it."""
    by, why = one_line(by), one_line(why)
    for name, value in [("--by", by), ("--reason", why)]:
        if not value:
            raise BadInput(f"{name} is empty; say who decides and why, in one line each")
    session = aws.session(settings, environment, "approve")
    package = chosen(session, environment, status, version)
    if package.status == status:
        last = next(iter(decisions.read(package.reason)), None)
        who = f", by {last.who}" if last and last.who else ""
        told(f"{status.lower()} for {environment.label} already{who}: {package.name}; nothing was changed")
        return package
    if only_waiting and package.status != "PendingManualApproval":
        why_so = next(map(str, decisions.read(package.reason)), "nobody said why")
        raise Failure(
            f"{package.name} was decided meanwhile ({package.status}; {why_so}); "
            f"to decide on it again: {again(environment, status, package)} --by WHO --reason WHY"
        )
    if status == "Approved":
        packages.refuse_unmade(package)
    if status == "Approved" and verdicts.refused(package):
        why = f"{why} (overrules the gate against {package.metadata.get('gate_against', 'what serves')})"
    if status == "Approved" and environment.is_champion and not was_approved(package):
        why = f"{why} ({trial.refuse_unproven(session, environment, package)})"
    return decisions.record(session, package, status, by, why, run)


def was_approved(package: ModelPackage) -> bool:
    """Whether a version was approved before: to go back to a champion takes no second trial."""
    return any(decision.what == "approved" for decision in decisions.read(package.reason))


def chosen(session: boto3.Session, environment: Environment, status: Status, version: int | None) -> ModelPackage:
    """The version that is decided on.

    Without a number it is the newest and no other: were an older waiting one taken instead, running the same
    command twice would decide on two versions.
    """
    group = environment.group
    if version is not None:
        return packages.of_version(session, group, version)
    newest = packages.newest(session, group)
    if newest is None:
        raise NotFound(f"{group} is empty; mlops promote --to {environment.name} brings a model into it")
    if newest.status not in ("PendingManualApproval", status):
        raise NotFound(
            f"{newest.name} is the newest and {newest.status}, so none waits; "
            f"to decide on it again: {again(environment, status, newest)}"
        )
    return newest


def again(environment: Environment, status: Status, package: ModelPackage) -> str:
    """The command that decides on a version by its number."""
    verb = "approve" if status == "Approved" else "reject"
    return f"mlops {verb} {environment.options} --version {package.version}"
