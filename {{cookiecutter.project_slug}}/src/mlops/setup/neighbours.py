"""Neighbours: other projects of an account whose names this project's rights would take in, or theirs this one's.

Rights to endpoints, jobs, alarms and logs go by the beginning of a name, `churn-prod-*`. An environment of another
project that is called so, such as dev of the project `churn-prod`, would be within them.
"""

import re
from collections.abc import Iterator

import boto3
from botocore.exceptions import ClientError

from mlops import aws
from mlops.errors import Failure
from mlops.settings.project import FILE, Settings
from mlops.setup.health import Check

COSTS = "mlops:costs"
"""The tag by which Terraform says on everything that it makes which environment of which project it is for."""

ROLE = re.compile("(?P<place>.+)-(?:execution|deploy)")
"""The roles that every environment has, by which a project is found."""

WAYS_OUT = f"give this project another account, or another name in {FILE} before anything of it is made"


def found(settings: Settings, session: boto3.Session, account: str) -> list[tuple[str, str]]:
    """Environments of this project with those of others that the same rights would take in.

    Args:
        settings: the project.
        session: an administrator's.
        account: of that session.

    Returns:
        Pairs such as (`churn-prod`, `churn-prod-dev`): the project's own, and the other's.

    Raises:
        Failure: the account's roles can not be read.
    """
    own = [f"{settings.project}-{each.name}" for each in settings.environments if each.account == account]
    with aws.explained("ListRoles", f"of account {account}"):
        pages = aws.client(session, "iam").get_paginator("list_roles").paginate()
        names = [role["RoleName"] for page in pages for role in page["Roles"]]
        return sorted(set(overlaps(session, own, names)))


def overlaps(session: boto3.Session, own: list[str], names: list[str]) -> Iterator[tuple[str, str]]:
    """The pairs among the names of an account's roles; a role counts when its tags say that it is a project's."""
    for name in names:
        match = ROLE.fullmatch(name)
        if match is None or match["place"] in own:
            continue
        other = match["place"]
        for place in own:
            if (other.startswith(place) or place.startswith(other)) and tag(session, name) == other:
                yield place, other


def tag(session: boto3.Session, name: str) -> str | None:
    """For which environment of which project a role was made; None when nothing says so, or it is gone by now."""
    try:
        tags = aws.client(session, "iam").list_role_tags(RoleName=name)["Tags"]
    except ClientError as error:
        if aws.code_of(error) == "NoSuchEntity":
            return None
        raise
    return next((each["Value"] for each in tags if each["Key"] == COSTS), None)


def told(pairs: list[tuple[str, str]]) -> str:
    """What is wrong, in one line."""
    both = ", ".join(f"{own} and {other}" for own, other in pairs)
    return f"the rights of one environment would take in another project's, by the beginning of its name: {both}"


def refuse(settings: Settings, session: boto3.Session, account: str) -> None:
    """Refuse to make a project in an account beside one whose names begin as its own do.

    Raises:
        Failure: there is one.
    """
    if pairs := found(settings, session, account):
        raise Failure(f"account {account}: {told(pairs)}; {WAYS_OUT}")


def check(settings: Settings, session: boto3.Session, account: str) -> Check:
    """What `mlops doctor` says of the other projects in an account."""
    what = f"other projects in account {account}"
    try:
        pairs = found(settings, session, account)
    except Failure as error:
        return Check(what, False, str(error), "give credentials that may list roles (iam:ListRoles, iam:ListRoleTags)")
    return Check(what, not pairs, told(pairs) if pairs else "none whose names begin as this one's do", WAYS_OUT)
