"""The roles of an environment: that each is there, and lets those in who need it, and nobody else of GitHub."""

import re
from collections.abc import Iterator
from typing import Any

import boto3
from botocore.exceptions import ClientError

from mlops import aws
from mlops.access import duties
from mlops.errors import Failure
from mlops.settings.project import Environment, Settings
from mlops.setup import approving, environments, handover, terraform, tfvars, trust
from mlops.setup.health import Check

MAKE = "mlops bootstrap aws, or whoever makes it (docs/infrastructure.md)"
"""What mends most of what an environment lacks."""

PEOPLE = ("data-scientist", "ml-engineer", "operations")
"""The roles that people take on by single sign-on, where the values of the infrastructure name who may."""

MAIN, ANOTHER = "refs/heads/main", "refs/heads/feature/another"
STRANGE_ACCOUNT = "000000000000"

Place = tuple[str, str]
"""What the subject of a job's token says behind the repository, and the ref of its run."""


def checks(
    settings: Settings, session: boto3.Session, environment: Environment, subject: str | None
) -> Iterator[Check]:
    """What `mlops doctor` says of an environment's roles.

    Args:
        settings: the project.
        session: an administrator's, in the environment's account.
        environment: the one that is examined.
        subject: the repository as GitHub names it to AWS; None when that is not known.
    """
    yield of_jobs(session, environment)
    for duty in (*duties(settings, environment), "prune"):
        if duty != "apply" or handover.by_workflow(settings, environment):
            yield of_duty(settings, session, environment, duty, subject)
    if terraform.is_there(settings):
        yield from of_people(settings, session, environment)


def of_jobs(session: boto3.Session, environment: Environment) -> Check:
    """The role of jobs and endpoints: SageMaker takes it on, for this account alone unless the settings name it."""
    arn = environment.execution_role
    try:
        policy = policy_of(session, arn)
        asker = trust.service("sagemaker.amazonaws.com", environment.account)
        if not trust.lets(policy, asker):
            return failed(arn, "its trust does not let sagemaker.amazonaws.com in")
        if environment.execution_role_name is None and trust.lets(
            policy, trust.service("sagemaker.amazonaws.com", STRANGE_ACCOUNT)
        ):
            return failed(arn, "its trust lets sagemaker.amazonaws.com in for other accounts too: aws:SourceAccount")
    except (ClientError, Failure) as error:
        return unread(arn, error)
    return passed(arn, "trusts sagemaker.amazonaws.com")


def of_duty(
    settings: Settings, session: boto3.Session, environment: Environment, duty: str, subject: str | None
) -> Check:
    """The role of a duty: jobs of the repository take it on where they have to, and no others."""
    arn, own = environment.role(duty), environment.roles.of(duty) is None
    try:
        policy = policy_of(session, arn)
        if duty == "prune" or (duty == "approve" and not approving.by_workflow(settings, environment)):
            return for_people(arn, policy, environment, subject, own)
        known = [subject] if subject else trust.repositories(policy)
        if not known:
            return failed(arn, f"its trust names no repository: {trust.GITHUB}:sub")
        wanted = places(settings, environment, duty)
        shut = [each for each in wanted if not lets(policy, environment, known[0], each)]
        if shut:
            return failed(arn, f"its trust does not let in {shown(known[0], shut[0])}")
        for each in elsewhere(settings, environment, duty, known[0]) if own else []:
            if trust.lets(policy, trust.workflow(environment.account, *each)):
                return failed(arn, f"its trust lets in {each[0]} on {each[1]} too")
    except (ClientError, Failure) as error:
        return unread(arn, error)
    told = ", ".join(dict.fromkeys(f"repo:{known[0]}:{place}" for place, _ in wanted))
    return passed(arn, f"trusts {told}{'' if subject else ' (which GitHub was not asked for)'}")


def for_people(arn: str, policy: dict[str, Any], environment: Environment, subject: str | None, own: bool) -> Check:
    """A role for people of the account, as for housekeeping: no workflow takes it on."""
    if not trust.lets(policy, trust.people(environment.account)) and own:
        return failed(arn, "its trust does not let the account's own people in")
    known = [subject] if subject else trust.repositories(policy)
    gates = [environment.name, *(each.approval_environment for each in environment.contenders)]
    doors = [(f"environment:{gate}", MAIN) for gate in gates]
    if own and any(lets(policy, environment, each, door) for each in known for door in doors):
        return failed(arn, "its trust lets workflows in")
    return passed(arn, f"trusts {', '.join(trust.takers(policy))}")


def of_people(settings: Settings, session: boto3.Session, environment: Environment) -> Iterator[Check]:
    """The roles of people, where the values name who may take them on."""
    text = tfvars.text_of(settings, environment)
    given = re.search(r"^[ \t]*people[ \t]*=[ \t]*\{", text, re.MULTILINE)
    for person in PEOPLE:
        arn = environment.role_arn(environment.own_role(person))
        named = bool(given and re.search(rf'^[ \t]*"?{person}"?[ \t]*=[ \t]*\{{', text[given.start() :], re.MULTILINE))
        try:
            who = trust.takers(policy_of(session, arn))
        except ClientError as error:
            if named or aws.code_of(error) != "NoSuchEntity":
                yield unread(arn, error)
            continue
        if who == [] or "everybody" in who or "*" in who:
            yield failed(arn, f"taken on by {'everybody' if who else 'nobody'}: {tfvars.place(settings, environment)}")
        else:
            yield passed(arn, f"taken on by {', '.join(who)}")


def places(settings: Settings, environment: Environment, duty: str) -> list[Place]:
    """Where jobs of GitHub run that take a duty's role on, branch by branch."""
    if duty == "plan":
        return [("pull_request", "refs/pull/1/merge"), (f"ref:{MAIN}", MAIN)]
    if duty == "apply":
        return [(f"environment:{environments.applying_gate(environment)}", MAIN)]
    gates = [environment.name]
    if duty == "approve":
        gates = [each.approval_environment for each in environment.contenders]
    refs = [f"refs/heads/{each}" for each in environments.branches_of(settings, environment)] or [MAIN, ANOTHER]
    return [(f"environment:{gate}", ref) for gate in gates for ref in refs]


def elsewhere(settings: Settings, environment: Environment, duty: str, repository: str) -> Iterator[Place]:
    """Subjects, and refs of runs, that have no business with a duty's role."""
    wanted = places(settings, environment, duty)
    place, ref = wanted[-1]
    yield f"repo:{repository.partition('/')[0]}/another@1:{place}", ref
    yield f"repo:another@1/{repository.partition('/')[2]}:{place}", ref
    yield f"repo:{repository}:environment:another", MAIN
    yield f"repo:{repository}:ref:{ANOTHER}", ANOTHER
    if duty != "plan":
        yield f"repo:{repository}:pull_request", "refs/pull/1/merge"
        if ANOTHER not in {each for _, each in wanted}:
            yield f"repo:{repository}:{place}", ANOTHER


def lets(policy: dict[str, Any], environment: Environment, repository: str, place: Place) -> bool:
    """Whether a job of a repository may take the role on."""
    return trust.lets(policy, trust.workflow(environment.account, f"repo:{repository}:{place[0]}", place[1]))


def shown(repository: str, place: Place) -> str:
    """A place as people look for it in a policy."""
    return f"repo:{repository}:{place[0]} on {place[1]}"


def policy_of(session: boto3.Session, arn: str) -> dict[str, Any]:
    """The trust policy of a role.

    Raises:
        ClientError: there is no such role, or it can not be read.
    """
    found = aws.client(session, "iam").get_role(RoleName=arn.rpartition("/")[2])["Role"]
    return trust.document(found["AssumeRolePolicyDocument"])


def passed(arn: str, found: str) -> Check:
    """A role that is in order."""
    return Check(f"role {arn.rpartition('/')[2]}", True, found)


def failed(arn: str, found: str) -> Check:
    """A role that is not."""
    return Check(f"role {arn.rpartition('/')[2]}", False, found, MAKE)


def unread(arn: str, error: ClientError | Failure) -> Check:
    """A role that is not there, or whose trust nobody can judge."""
    reason = aws.reason(error) if isinstance(error, ClientError) else str(error)
    return failed(arn, reason)
