"""Roles for people: who comes by single sign-on takes on the role that is theirs, and the duties that go with it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

pytestmark = pytest.mark.slow

SIGN_ON = {"data-scientist": "Science", "ml-engineer": "Models", "operations": "Rota"}
DUTIES = {
    "feature": ("train", "deploy", "prune", "image"),
    "dev": ("deploy", "approve", "destroy", "prune", "schedule"),
    "prod": ("deploy", "approve", "destroy", "prune", "schedule"),
}
MAY = {
    ("data-scientist", "feature"): {"train"},
    ("data-scientist", "dev"): set(),
    ("data-scientist", "prod"): set(),
    ("ml-engineer", "feature"): {"train", "deploy", "image"},
    ("ml-engineer", "dev"): {"deploy", "destroy", "schedule"},
    ("ml-engineer", "prod"): set(),
    ("operations", "feature"): {"prune"},
    ("operations", "dev"): {"deploy", "destroy", "prune", "schedule"},
    ("operations", "prod"): {"deploy", "destroy", "prune", "schedule"},
}


@pytest.fixture(scope="module")
def signed_on(applied: Any) -> Iterator[dict[str, dict[str, str]]]:
    """The sessions that people have before they take a role of the project on."""
    iam = applied.client("iam", "feature")
    root = {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111111111111:root"}, "Action": "sts:AssumeRole"}
    may = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}
    sessions = {}
    for person, name in SIGN_ON.items():
        full = f"AWSReservedSSO_{name}_0123456789abcdef"
        role = iam.create_role(RoleName=full, Path="/sso/", AssumeRolePolicyDocument=document(root))["Role"]
        iam.put_role_policy(RoleName=full, PolicyName="sso", PolicyDocument=document(may))
        sessions[person] = applied.session(role["Arn"], "feature")
    yield sessions
    for name in SIGN_ON.values():
        full = f"AWSReservedSSO_{name}_0123456789abcdef"
        iam.delete_role_policy(RoleName=full, PolicyName="sso")
        iam.delete_role(RoleName=full)


def document(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def takes_on(cloud: Any, role: str, environment: str, session: dict[str, str]) -> dict[str, str] | None:
    """The session of a role that another takes on; None when it may not."""
    try:
        return dict(cloud.session(role, environment, **session))
    except ClientError as error:
        assert error.response["Error"]["Code"] == "AccessDenied"
        return None


@pytest.mark.parametrize(("person", "environment"), MAY)
def test_a_person_takes_on_the_duties_that_are_theirs(
    applied: Any, signed_on: Any, person: str, environment: str
) -> None:
    own = takes_on(applied, applied.role(person, environment), environment, signed_on[person])
    assert own is not None

    duties = {
        duty
        for duty in DUTIES[environment]
        if takes_on(applied, applied.role(duty, environment), environment, own) is not None
    }

    assert duties == MAY[person, environment]


def test_nobody_takes_on_anothers_role(applied: Any, signed_on: Any) -> None:
    for person, session in signed_on.items():
        for other in set(SIGN_ON) - {person}:
            assert takes_on(applied, applied.role(other, "dev"), "dev", session) is None


def test_what_a_person_does_by_hand_is_looking_and_bringing_data(applied: Any, signed_on: Any) -> None:
    def client(environment: str, service: str) -> Any:
        own = applied.session(applied.role("data-scientist", environment), environment, **signed_on["data-scientist"])
        return applied.client(service, environment, **own)

    def denied(deed: Any, **parameters: Any) -> bool:
        with pytest.raises(ClientError) as problem:
            deed(**parameters)
        return str(problem.value.response["Error"]["Code"]).startswith("AccessDenied")

    own = {"Bucket": "churn-feature-111111111111"}
    client("feature", "s3").put_object(**own, Key="dvc/files/md5/ab", Body=b"rows")
    client("feature", "s3").get_object(**own, Key="dvc/files/md5/ab")
    client("prod", "sagemaker").list_endpoints()
    assert denied(client("feature", "s3").put_object, **own, Key="models/one/model.tar.gz", Body=b"a model")
    assert denied(client("feature", "s3").put_object, **own, Key="jobs/one/model.tar.gz", Body=b"a model")
    assert denied(client("prod", "s3").get_object, Bucket="churn-prod-222222222222", Key="dvc/files/md5/ab")
    assert denied(client("prod", "sagemaker").delete_endpoint, EndpointName="churn-prod")
    lasting = {"GranteePrincipal": "arn:aws:iam::111111111111:role/anybody", "Operations": ["Decrypt"]}
    assert denied(client("feature", "kms").create_grant, KeyId="alias/churn-feature", **lasting)
