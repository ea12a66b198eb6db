"""Model groups: one or two for each environment, readable by the account of the environment after it."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.exceptions import ClientError

from mlops import aws
from mlops.errors import Failure, NotFound
from mlops.registry import packages
from mlops.settings.project import Environment, Settings

READS = ["sagemaker:DescribeModelPackageGroup"]
VERSION_READS = ["sagemaker:DescribeModelPackage", "sagemaker:ListModelPackages"]


@dataclass(frozen=True)
class Group:
    """A model group: the environment that owns it and how many versions it has."""

    name: str
    environment: str
    versions: int


def create(settings: Settings, environments: Sequence[Environment] = ()) -> list[Group]:
    """Create the groups that are not there, and set who may read them.

    Args:
        settings: the project.
        environments: whose groups; every environment's when not given. Those of other accounts than the
            credentials' are left to a second run.

    Raises:
        Failure: an environment is in another account than the credentials, or AWS refuses.
    """
    elsewhere: list[Environment] = []
    for environment in environments or settings.environments:
        # No duty's role may make a group: whoever sets the project up does.
        session = aws.base(settings, environment)
        # A group made in the wrong account would look right until the first promotion.
        if aws.account_of(session) != environment.account:
            elsewhere.append(environment)
            continue
        for name in environment.group_names:
            create_group(session, settings, environment, name)
    if elsewhere:
        names = ", ".join(environment.name for environment in elsewhere)
        options = " ".join(f"--env {environment.name}" for environment in elsewhere)
        accounts = " and ".join(dict.fromkeys(environment.account for environment in elsewhere))
        raise Failure(
            f"groups of {names}: not made, the credentials are not of account {accounts}; with those of that account: "
            f"mlops groups create {options}"
        )
    return [group for each in environments or settings.environments for group in groups_of(settings, each)]


def create_group(session: boto3.Session, settings: Settings, environment: Environment, name: str) -> None:
    """Create one group, unless it is there, and its policy, unless it is that."""
    client = aws.client(session, "sagemaker")
    with aws.explained("CreateModelPackageGroup", name):
        try:
            client.create_model_package_group(
                ModelPackageGroupName=name,
                ModelPackageGroupDescription=f"Models of {settings.project} in {environment.name}",
                Tags=tags(settings, environment),
            )
        except ClientError as error:
            if "already exists" not in aws.reason(error).lower():
                raise
    if not is_readable(session, settings, environment, name):
        wanted = policy(settings, environment, name, readers(settings, environment))
        with aws.explained("PutModelPackageGroupPolicy", name):
            client.put_model_package_group_policy(ModelPackageGroupName=name, ResourcePolicy=json.dumps(wanted))


def readers(settings: Settings, environment: Environment) -> list[str]:
    """The other accounts that read an environment's groups.

    The next environment promotes from them, and the first one compares a new model with what serves here.
    """
    reading = [each for each in (settings.after(environment), settings.environments[0]) if each is not None]
    return sorted({each.account for each in reading} - {environment.account})


def is_readable(session: boto3.Session, settings: Settings, environment: Environment, name: str) -> bool:
    """Whether a group that is there has the policy by which other accounts read it, where others do."""
    accounts = readers(settings, environment)
    if not accounts:
        return True
    with aws.explained("GetModelPackageGroupPolicy", name):
        try:
            found = aws.client(session, "sagemaker").get_model_package_group_policy(ModelPackageGroupName=name)
        except ClientError as error:
            if "cannot find" not in aws.reason(error).lower() and not aws.is_missing(error):
                raise
            return False
    return bool(json.loads(found["ResourcePolicy"]) == policy(settings, environment, name, accounts))


def policy(settings: Settings, environment: Environment, name: str, accounts: list[str]) -> dict[str, Any]:
    """Lets other environments' accounts read a group; whom of its own one lets do so is that account's say."""
    arn = packages.group_arn(settings.region, environment.account, name)
    roots = [f"arn:aws:iam::{account}:root" for account in accounts]
    # As IAM gives it back: a list of one is no list.
    principal = {"AWS": roots[0] if len(roots) == 1 else roots}
    versions = arn.replace(":model-package-group/", ":model-package/") + "/*"
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Sid": "Group", "Effect": "Allow", "Principal": principal, "Action": READS, "Resource": arn},
            {
                "Sid": "Versions",
                "Effect": "Allow",
                "Principal": principal,
                "Action": VERSION_READS,
                "Resource": versions,
            },
        ],
    }


def tags(settings: Settings, environment: Environment) -> list[dict[str, str]]:
    """The tags of every resource that the machinery makes: the company's own, the project and the environment.

    Both together are one more, since a budget counts by one tag (infra/notifications.tf).
    """
    named = {
        "mlops:project": settings.project,
        "mlops:environment": environment.name,
        "mlops:costs": f"{settings.project}-{environment.name}",
        **settings.tags,
    }
    return [{"Key": key, "Value": value} for key, value in named.items()]


def listing(settings: Settings, told: Callable[[str], None] = lambda line: None) -> list[Group]:
    """The groups that exist, in the order of the environments, with their numbers of versions.

    Args:
        settings: the project.
        told: which environments these credentials can not look into.
    """
    return aws.in_each(settings, lambda environment: groups_of(settings, environment), told)


def groups_of(settings: Settings, environment: Environment) -> list[Group]:
    """The groups of one environment that exist."""
    session = aws.session(settings, environment, aws.duty_in(settings, environment))
    found = []
    for name in environment.group_names:
        try:
            versions = sum(1 for _ in packages.entries(session, name))
        except NotFound:
            continue
        found.append(Group(name=name, environment=environment.name, versions=versions))
    return found
