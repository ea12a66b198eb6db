"""What a model is put through after a deployment: the contract, the team's own checks, a short load."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import boto3

from mlops import actor, aws, git
from mlops.checks import contract, loadtest, origin, owncheck
from mlops.checks.contract import Check
from mlops.checks.loadtest import Figures
from mlops.checks.owncheck import OwnCheck
from mlops.compute import checkout
from mlops.errors import BadInput, NotFound, NotVerified
from mlops.hosting import endpoints, rollback, way_back
from mlops.registry import decisions, packages, status
from mlops.registry.packages import ModelPackage
from mlops.settings.project import Environment, Settings
from mlops.settings.serving import Batch

NOT_IN_BATCH = "by transform jobs, without the requests that are to be refused, checks of its own and load"
"""What an environment of kind batch is not put through: a job ends at a refusal, and the others ask an endpoint."""


@dataclass(frozen=True)
class Verified:
    """All that was checked and found well; `load` is None when the settings ask for none.

    Attributes:
        endpoint: its name; of kind batch, which has none, the group whose newest approved version was asked.
        left_out: what it was not put through, in words; empty for an endpoint.
    """

    endpoint: str
    contract: list[Check]
    own: list[OwnCheck]
    load: Figures | None
    left_out: str = ""

    def __str__(self) -> str:
        """`churn-dev answers all 9 requests as agreed, passes 2 checks of its own; under load ...`."""
        own = f", passes {len(self.own)} checks of its own" if self.own else ""
        load = f"; under load {self.load}" if self.load else ""
        left_out = f", {self.left_out}" if self.left_out else ""
        return f"{self.endpoint} answers all {len(self.contract)} requests as agreed{own}{load}{left_out}"


@contextmanager
def judge(
    settings: Settings, environment: Environment, progress: Callable[[str], None], of_version: bool
) -> Iterator[Path | None]:
    """The folder whose contract and checks are a version's own, where they are another commit's than this folder's.

    How an environment serves is its own affair, and stands in this folder's settings; what a version promised stands
    beside it in the commit that brought it. A newer commit's contract would fail a model that it does not mean.

    Args:
        settings: the project, in this folder.
        environment: whose serving version it is.
        progress: told which commit's contract is taken.
        of_version: look for it; else, and where it is this folder or not to be had, None is given.
    """
    commit = brought_by(settings, environment) if of_version else ""
    if not commit:
        yield None
        return
    try:
        known = git.commit_of(settings.root, commit)
    except BadInput:
        progress(f"commit {commit[:12]} brought this version and is not in this clone: this folder's contract is taken")
        yield None
        return
    with checkout.files_of(settings, known) as folder:
        progress(f"commit {commit[:12]} brought this version: its contract and checks are taken")
        yield folder


def brought_by(settings: Settings, environment: Environment) -> str:
    """The commit that brought the serving version; empty when it is this folder's model, or that is not known."""
    package = asked(settings, environment)
    return origin.commit(settings, package) if package else ""


def serving(session: boto3.Session, environment: Environment) -> ModelPackage | None:
    """The version that an environment's endpoint serves; None when there is none of this registry."""
    found = endpoints.state(session, environment.endpoint_name)
    version = status.serving(session, environment, found)
    return None if version is None else packages.of_version(session, environment.group, version)


def verify(
    settings: Settings, environment: Environment, progress: Callable[[str], None], own: Path | None = None
) -> Verified:
    """Put an environment's endpoint through all of it, the cheapest first; what fails ends it.

    A version that passes may go on to the environment after this one.

    Args:
        settings: the project.
        environment: whose endpoint it is.
        progress: told what each request and check has found.
        own: folder of the commit whose contract and checks are the version's own; this folder's when None.

    Raises:
        BadInput: the contract is not there, or not in its form.
        NotVerified: a request is not answered as agreed, a check fails, or the load is too much; each is named.
        Failure: AWS refuses to let it be asked.
    """
    before = asked(settings, environment)
    found = put_through(settings.model_copy(update={"root": own}) if own else settings, environment, progress)
    after = asked(settings, environment)
    if before and after and before.arn == after.arn:
        passed(aws.session(settings, environment, "deploy"), after)
    else:
        progress(f"{found.endpoint}: what was verified is not noted: no version of this registry served all the time")
    return found


def put_through(settings: Settings, environment: Environment, progress: Callable[[str], None]) -> Verified:
    """The checks themselves; see `verify`."""
    if isinstance(environment.endpoint, Batch):
        answered = contract.verify(settings, environment, progress)
        return Verified(environment.group, answered, own=[], load=None, left_out=NOT_IN_BATCH)
    return Verified(
        endpoint=environment.endpoint_name,
        contract=contract.verify(settings, environment, progress),
        own=owncheck.run(settings, environment, progress),
        load=loadtest.run(settings, environment, progress),
    )


def asked(settings: Settings, environment: Environment) -> ModelPackage | None:
    """The version that answers now; None when there is none of this registry, or it was deleted."""
    try:
        return serving(aws.session(settings, environment, "deploy"), environment)
    except NotFound:
        return None


def passed(session: boto3.Session, package: ModelPackage) -> None:
    """Note on a version that it was found well where it serves; the first time stays."""
    if packages.VERIFIED in package.metadata:
        return
    value = f"{datetime.now(UTC).isoformat(timespec='seconds')} by {actor.tag()}"
    with aws.explained("UpdateModelPackage", package.arn):
        aws.client(session, "sagemaker").update_model_package(
            ModelPackageArn=package.arn, CustomerMetadataProperties={packages.VERIFIED: value[:256]}
        )


def verify_or_go_back(
    settings: Settings, environment: Environment, progress: Callable[[str], None], own: Path | None = None
) -> Verified:
    """The same after a deployment: a version that does not pass is rejected, and the endpoint goes back.

    So what fails in one environment comes to none after it, and a failing production serves what served before.

    Raises:
        NotVerified: as `verify`, with what was done about it.
    """
    try:
        return verify(settings, environment, progress, own)
    except NotVerified as problem:
        progress(str(problem))
        done = gone_back(settings, environment, str(problem), progress, judged=own is not None)
        raise NotVerified(f"{problem}; {done}") from problem


def gone_back(
    settings: Settings, environment: Environment, problem: str, progress: Callable[[str], None], judged: bool = False
) -> str:
    """Reject the version that an endpoint serves and take the endpoint back to the one before; what was done, in words.

    What an earlier run has gone back to stays, whatever is wrong with it: each further run would go one further back.
    So does what another commit made, as after a late approval, unless it was judged by its own contract and checks.
    """
    session = aws.session(settings, environment, "deploy")
    try:
        package = serving(session, environment)
    except NotFound as gone:
        return (
            f"what serves is in the registry no more ({gone}), so nothing was done about it: "
            f"mlops rollback {environment.options} goes back to the version before"
        )
    if package is None:
        return "what serves is no version of this registry, so nothing was done about it"
    version = package.version
    newer = [each for each in packages.entries(session, environment.group, "Rejected") if each.version > version]
    if any(way_back.by_rollback(packages.describe(session, each.arn).reason) for each in newer):
        return f"version {version} is what a rollback has gone back to, and stays: mlops rollback --to VERSION"
    if not judged and (other := origin.other(settings, package)):
        return f"version {version} serves, which {other}, so nothing was done about it: mlops rollback goes back"
    if package.status != "Rejected":
        why = f"{way_back.WHY}{decisions.one_line(problem)[:400]}"
        decisions.record(session, package, "Rejected", actor.tag(), why)
    try:
        result = rollback.rollback(settings, environment, progress)
    except NotFound:
        then = "nothing transforms" if isinstance(environment.endpoint, Batch) else "still serves"
        return f"version {version} is now Rejected, and {then}: there is no version to go back to"
    return f"rolled back to version {result.version}; version {version} is now Rejected"
