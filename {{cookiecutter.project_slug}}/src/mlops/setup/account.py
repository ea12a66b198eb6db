"""The side of AWS: what the project needs in the account that one is signed in to, what of it is in order."""

import json
import subprocess
import sys
from collections.abc import Sequence

import boto3

from mlops import aws, rest
from mlops.display import Progress
from mlops.errors import BadInput, Failure
from mlops.registry import groups
from mlops.settings.project import FILE, Environment, Settings
from mlops.setup import (
    actions,
    approving,
    buckets,
    environments,
    handover,
    infrastructure,
    neighbours,
    quotas,
    repository,
    state,
    terraform,
    tfvars,
)
from mlops.setup.health import Check
from mlops.setup.plan import Step
from mlops.setup.plan import deed as to_do

COMMAND = "mlops bootstrap aws"
DVC_SECONDS = 3600
REPOSITORY = "github_repository"

APPLIED = {"make": "true", "leave": "false"}
"""What Terraform is told of the role that applies: where nobody is asked there is none, whatever the value says."""


def steps(settings: Settings, names: Sequence[str], told: Progress) -> list[Step]:
    """The plan: what `mlops bootstrap aws` makes with these credentials.

    Args:
        settings: the project.
        names: the environments that are meant; all when empty.
        told: hears what is being looked at.

    Raises:
        BadInput: the project works on the sandbox, or has no environment of such a name.
        Failure: there are no credentials, another project's names begin as this one's, or Terraform can not plan.
    """
    account, here, elsewhere = split(settings, names)
    session = aws.opened(settings.region)
    neighbours.refuse(settings, session, account)
    plan = []
    if terraform.is_there(settings):
        plan.append(state.step(settings, session, account))
        subject = trusted(settings)
        if plan[0].deed == "leave":
            why = "the bucket for its state is not the project's"
            plan += [Step(f"infrastructure of {each.name}", "leave", why) for each in here]
        elif any(handover.uses_functions(settings, each) for each in here):
            # What lies in infra/build/ may be months old, and would be uploaded as it is.
            handover.zipped(settings, told)
        for environment in here if plan[0].deed != "leave" else []:
            trust = repository_step(settings, environment, subject)
            people = asked(settings, environment) if subject else None
            there = infrastructure.role_is_there(session, environment.role("apply"))
            applies = applying_step(settings, environment, people, there)
            approves = approving.steps(
                settings, environment, approving.asks(settings, environment) if subject else None
            )
            ahead = [*ahead_of(trust, applies), *approving.ahead_of(approves)]
            plan += [trust, applies, *approves]
            plan += [infrastructure_step(settings, session, environment, account, ahead, told)]
    plan += [groups_step(settings, session, environment) for environment in here]
    plan += [data_step(settings, session, each) for each in here if settings.before(each) is None]
    for environment in elsewhere:
        why = f"in account {environment.account}, these credentials are of {account}: run it again with the other's"
        plan.append(Step(f"environment {environment.name}", "leave", why))
    return plan


def split(settings: Settings, names: Sequence[str]) -> tuple[str, list[Environment], list[Environment]]:
    """The account of the credentials, the environments that are meant in it, and those in other accounts.

    Raises:
        BadInput: the project works on the sandbox, or has no environment of such a name.
        Failure: there are no credentials, or they are of an account without any of the environments.
    """
    if settings.aws == "sandbox":
        raise BadInput(f"{FILE}: aws is sandbox, which has all of it; write `aws: account` to work in AWS")
    chosen = [settings.environment(name) for name in names] or list(settings.environments)
    account = aws.account_of(aws.opened(settings.region))
    here = [each for each in chosen if each.account == account]
    elsewhere = [each for each in chosen if each.account != account]
    if not here:
        wanted = " and ".join(dict.fromkeys(each.account for each in elsewhere))
        raise Failure(f"these credentials are of account {account}; {FILE} has {wanted}: give that one's (AWS_PROFILE)")
    return account, here, elsewhere


def trusted(settings: Settings) -> str | None:
    """The repository as GitHub names it to AWS; None when GitHub can not be asked."""
    try:
        return actions.trusted(repository.of(settings))
    except (BadInput, Failure, rest.Refused):
        return None


def repository_step(settings: Settings, environment: Environment, subject: str | None) -> Step:
    """The step that writes into an environment's values whose workflows its roles trust."""
    where = f"{tfvars.place(settings, environment)}: {REPOSITORY}"
    given = tfvars.value(tfvars.text_of(settings, environment), REPOSITORY)
    if given and subject in (None, given):
        return Step(where, "keep", given)
    if given:
        return Step(where, "leave", f"is {given}, and GitHub names it {subject}: change it there")
    if subject is None:
        why = "not known yet, so no workflow may take the roles on: `mlops bootstrap github` first, then this again"
        return Step(where, "leave", why)

    def act() -> str:
        tfvars.write(settings, environment, REPOSITORY, f'"{subject}"')
        return "commit it"

    return Step(where, "make", subject, act)


def asked(settings: Settings, environment: Environment) -> str | None:
    """Whom GitHub asks before a workflow applies; empty for nobody, None when GitHub can not be asked."""
    gate = environments.applying_gate(environment)
    try:
        found = environments.rules(repository.of(settings), gate) or environments.NO_RULES
    except (BadInput, Failure, rest.Refused):
        return None
    only_main = not found.every_branch and found.branches == {"main"}
    return ", ".join(each.name for each in found.reviewers) if only_main else ""


def applying_step(settings: Settings, environment: Environment, people: str | None, there: bool) -> Step:
    """The step that lets the workflow apply, where reviewers are asked first; a person's own choice stays.

    Args:
        settings: the project.
        environment: whose infrastructure.
        people: whom GitHub asks before; empty for nobody, None when that is not known.
        there: the role that applies is there already.
    """
    where = f"{tfvars.place(settings, environment)}: {handover.APPLIES}"
    given, gate = (
        tfvars.value(tfvars.text_of(settings, environment), handover.APPLIES),
        environments.applying_gate(environment),
    )
    if given == "true" and people == "":
        why = f"is true, and {gate} on GitHub asks nobody or lets other branches than main in: `mlops bootstrap github`"
        return Step(where, "leave", f"{why}; until then there is no role that applies")
    if given == "true" and people is None and not there:
        why = f"is true, and GitHub can not be asked who reviews in {gate}: give GH_TOKEN, and run this again"
        return Step(where, "leave", f"{why}; until then there is no role that applies")
    if given is not None:
        return Step(where, "keep", given)
    if not people:
        return Step(where, "keep", f"not set, so administrators apply: nobody is known to be asked in {gate} on GitHub")

    def act() -> str:
        tfvars.write(settings, environment, handover.APPLIES, "true")
        return "commit it"

    return Step(where, "make", f"true: {gate} asks {people}", act)


def ahead_of(trust: Step, applies: Step) -> list[str]:
    """As options of a plan: what these two steps write into the values, or do not let them say."""
    told = [f"-var={REPOSITORY}={trust.detail}"] if trust.deed == "make" else []
    return [*told, f"-var={handover.APPLIES}={APPLIED[applies.deed]}"] if applies.deed in APPLIED else told


def infrastructure_step(
    settings: Settings,
    session: boto3.Session,
    environment: Environment,
    account: str,
    ahead: Sequence[str],
    told: Progress,
) -> Step:
    """The step that has Terraform make an environment; what it would do is known once there is a state.

    Args:
        settings: the project.
        session: an administrator's, in the account.
        environment: what is made.
        account: that has the state.
        ahead: what `ahead_of` says of the steps before this one.
        told: hears how far Terraform has come.
    """
    what, bucket = f"infrastructure of {environment.name}", state.name(settings, account)

    def make() -> str:
        terraform.prepare(settings, environment, bucket, told)
        changes = terraform.plan(settings, environment, told, terraform.WAITING, *ahead)
        terraform.apply(settings, environment, told, terraform.WAITING)
        return str(changes)

    def as_planned() -> None:
        terraform.apply(settings, environment, told, terraform.WAITING)

    if not state.exists(session, bucket):
        return Step(what, "make", "buckets, keys, roles, alarms: all of infra/", make)
    terraform.prepare(settings, environment, bucket, told)
    changes = terraform.plan(settings, environment, told, terraform.WAITING, *ahead)
    if changes == terraform.Changes(0, 0, 0):
        return Step(what, "keep", "as infra/ says")
    whole = not terraform.resources(settings, environment, told)
    return Step(what, "make" if whole else "change", str(changes), as_planned)


def groups_step(settings: Settings, session: boto3.Session, environment: Environment) -> Step:
    """The step that makes an environment's model groups, with the policies that let the next one read."""
    names = ", ".join(environment.group_names)
    there = all(infrastructure.group_is_there(session, name) for name in environment.group_names)
    right = there and all(groups.is_readable(session, settings, environment, name) for name in environment.group_names)

    def act() -> None:
        groups.create(settings, [environment])

    deed = to_do(there, right, own=True)
    return Step(f"model groups of {environment.name}", deed, f"{names}{': who may read' * (deed == 'change')}", act)


def data_step(settings: Settings, session: boto3.Session, environment: Environment) -> Step:
    """The step that pushes the raw data to DVC's remote, where colleagues and workflows find it."""
    what = f"raw data in s3://{environment.bucket}/dvc"
    right = buckets.is_there(session, environment.bucket) and json.loads(
        dvc(settings, "status", "--cloud", "--json") or "{}"
    ) == {}  # fmt: skip

    def act() -> str:
        return dvc(settings, "push").splitlines()[-1]

    return Step(what, "keep" if right else "make", "dvc push", act)


def dvc(settings: Settings, *arguments: str) -> str:
    """Run DVC and return what it printed.

    Raises:
        Failure: it can not, with its last line.
    """
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *arguments], cwd=settings.root, stdin=subprocess.DEVNULL, capture_output=True,
        text=True, timeout=DVC_SECONDS, check=False,
    )  # fmt: skip
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or [f"exit code {done.returncode}"]
        raise Failure(f"dvc {arguments[0]}: {lines[0]}")
    return done.stdout.strip()


def checks(settings: Settings, names: Sequence[str] = ()) -> list[Check]:
    """What `mlops doctor` says of AWS.

    Args:
        settings: the project.
        names: the environments that are meant; all when empty.
    """
    if settings.aws == "sandbox":
        return [Check("AWS", True, f"{FILE} says aws: sandbox; nothing of the accounts is examined")]
    try:
        account, here, elsewhere = split(settings, names)
    except Failure as error:
        return [Check("credentials of AWS", False, str(error), "log in, such as `aws sso login`, or give AWS_PROFILE")]
    session = aws.opened(settings.region)
    found = [Check("credentials of AWS", True, f"account {account}"), neighbours.check(settings, session, account)]
    subject = trusted(settings)
    for environment in here:
        found += infrastructure.checks(settings, session, environment, subject)
    found += quotas.checks(settings, session, here)
    found += lost(settings, session, state.name(settings, account))
    for environment in elsewhere:
        fix = "run it again with that account's credentials, or leave it out with --env"
        found.append(Check(f"environment {environment.name}", False, f"in account {environment.account}", fix))
    return found


def lost(settings: Settings, session: boto3.Session, bucket: str) -> list[Check]:
    """Environments that were taken out of the settings before they were removed: they cost on."""
    try:
        names = state.lost(settings, session, bucket) if state.exists(session, bucket) else []
    except Failure as error:
        return [Check("state of Terraform", False, str(error), "give credentials that may read it")]
    fix = f"write it into {FILE} again, and before it goes from there: terraform destroy, with its values"
    said = f"{FILE} has it no more; what was made for it is there"
    return [Check(f"environment {name}", False, said, fix) for name in names]
