"""Choice: which version of a group is deployed, chosen when nothing goes on any more; looked at again after waits."""

import boto3

from mlops import aws
from mlops.contest import trial
from mlops.errors import BadInput, NotApproved, NotFound
from mlops.hosting import endpoints, served
from mlops.registry import approval, decisions, packages
from mlops.registry.packages import Entry, ModelPackage
from mlops.settings.project import Environment, Settings


class Overtaken(Exception):
    """What was waited for took long enough for another version, or another run, to come first: it is chosen anew."""


def chosen(session: boto3.Session, environment: Environment, brought: int | None) -> ModelPackage:
    """The version to deploy now.

    Args:
        session: may look at the group.
        environment: whose group it is.
        brought: the version that the caller has brought there, if any.

    Raises:
        NotFound: the group is empty, or has not the version that was brought.
        NotApproved: no version is approved, or not the one that was brought.
    """
    if brought is not None:
        refuse_unapproved(session, environment, brought)
    return approved(session, environment)


def refuse_overtaken(session: boto3.Session, environment: Environment, package: ModelPackage) -> None:
    """Stop with a version that is the newest approved one no more: a rollback waits for no deployment, nor do people.

    Raises:
        Overtaken: a newer one was approved since it was chosen, or this one was rejected.
    """
    newest = next(packages.entries(session, environment.group, "Approved"), None)
    if newest is not None and newest.version > package.version:
        raise Overtaken(f"version {newest.version} was approved meanwhile, and goes before version {package.version}")
    if newest is None or newest.arn != package.arn:
        raise Overtaken(f"version {package.version} was rejected meanwhile")


def approved(session: boto3.Session, environment: Environment) -> ModelPackage:
    """The newest version that is approved; one that came later and waits does not stand in its way.

    Raises:
        NotFound: the group is empty.
        NotApproved: no version is approved.
    """
    group = environment.group
    newest = next(packages.entries(session, group), None)
    if newest is None:
        raise NotFound(f"{group} is empty; mlops promote --to {environment.name} brings a model into it")
    package = packages.newest(session, group, "Approved")
    if package is None and newest.status == "PendingManualApproval":
        raise NotApproved(asking(environment, newest))
    if package is None:
        raise NotApproved(f"{group} has no approved version; the newest, {newest.version}, is {newest.status}")
    packages.refuse_unmade(package)
    return package


def waiting(settings: Settings, environment: Environment) -> str:
    """That the newest version waits for approval, while an older one serves; empty when it does not wait."""
    newest = next(packages.entries(aws.session(settings, environment, "deploy"), environment.group), None)
    return asking(environment, newest) if newest and newest.status == "PendingManualApproval" else ""


def asking(environment: Environment, version: Entry) -> str:
    """That a version waits, and the command that approves it."""
    command = f"mlops approve {environment.options} --by NAME --reason WHY"
    return f"{version.group} version {version.version} waits for approval: {command}"


def refuse_unapproved(session: boto3.Session, environment: Environment, version: int) -> None:
    """Say of a version that it will not serve: were the older one a success, a run made again would hide a rollback.

    Raises:
        NotFound: there is no such version.
        NotApproved: it waits, or was Rejected: by a person, an alarm or a rollback.
    """
    package = packages.of_version(session, environment.group, version)
    if package.status == "Approved":
        return
    last = package.reason.partition(decisions.BETWEEN)[0]
    about = f"{package.name} is {package.status}{f' ({last})' if last else ''}"
    command = f"mlops approve {environment.options} --version {version} --by NAME --reason WHY"
    if package.status == "Rejected":
        raise NotApproved(f"{about}; change the model, or approve it once more: {command}")
    raise NotApproved(f"{about}: {command}")


def refuse_unproven(
    session: boto3.Session, settings: Settings, environment: Environment, package: ModelPackage
) -> None:
    """Refuse a champion that was approved past its trial: SageMaker Studio sets the status, and asks for none.

    It stays Approved, since a person approved it, and is deployed once it has served as challenger as the settings ask.
    What `mlops approve` has approved was asked then; what has served as champion is asked no more.

    Raises:
        NotApproved: it lacks what is named.
    """
    if not environment.is_champion or approval.was_approved(package):
        return
    configs = [name for name, _ in endpoints.configs(session, environment.group)]
    if served.config_of(session, settings, environment, configs, package.version) is None:
        trial.refuse_unproven(session, environment, package)


def version_of(text: str, environment: Environment) -> int:
    """The version that a person or an event means.

    Args:
        text: its number, or the ARN of the model package.
        environment: whose group it has to be in.

    Raises:
        BadInput: it is neither, or a version of another group.
    """
    start, _, number = text.rpartition("/")
    if not number.isascii() or not number.isdigit() or int(number) < 1 or (start and ":model-package/" not in start):
        raise BadInput(f"--version is {text!r}; give a version's number or the ARN of its model package")
    if start and (group := start.rpartition("/")[2]) != environment.group:
        raise BadInput(f"--version is of the group {group}; {environment.label} deploys from {environment.group}")
    return int(number)
