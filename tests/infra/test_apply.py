"""What Terraform makes on the sandbox, read back: it is what the machinery is known to work with, and it is closed."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

pytestmark = pytest.mark.slow

ENVIRONMENTS = ("feature", "dev", "prod")
BUCKETS = {name: f"churn-{name}-{account}" for name, account in
           zip(ENVIRONMENTS, ("111111111111", "111111111111", "222222222222"), strict=True)}  # fmt: skip
DUTIES = {
    "feature": ("execution", "train", "deploy", "prune", "image"),
    "dev": ("execution", "deploy", "approve", "destroy", "prune", "monitor", "schedule"),
    "prod": ("execution", "deploy", "approve", "destroy", "prune", "monitor", "schedule"),
}
ROLES = [(environment, duty) for environment, duties in DUTIES.items() for duty in duties]
PEOPLE = ("data-scientist", "ml-engineer", "operations")
INLINE_LIMIT = 10_240
"""Characters of a role's inline policies, white space apart (IAM and STS quotas)."""


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def grants(document: dict[str, Any]) -> set[tuple[str, ...]]:
    """A policy in its smallest parts: how its statements are cut and ordered does not matter."""
    return {
        (
            statement["Effect"],
            json.dumps(statement.get("Principal"), sort_keys=True),
            action,
            resource,
            json.dumps(statement.get("Condition", {}), sort_keys=True),
        )
        for statement in document["Statement"]
        for action in listed(statement["Action"])
        for resource in listed(statement.get("Resource", ""))
    }


def policy_of(cloud: Any, environment: str, duty: str) -> dict[str, Any]:
    iam, name = cloud.client("iam", environment), f"churn-{environment}-{duty}"
    assert iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"] == []
    (policy,) = iam.list_role_policies(RoleName=name)["PolicyNames"]
    return dict(iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"])


def refused(deed: Any, **parameters: Any) -> str:
    with pytest.raises(ClientError) as problem:
        deed(**parameters)
    return str(problem.value.response["Error"]["Code"])


@pytest.mark.parametrize(("environment", "duty"), ROLES)
def test_a_role_may_what_the_sandboxes_may_with_the_key_of_its_own_environment(
    applied: Any, seeded: Any, environment: str, duty: str
) -> None:
    made, wanted = (
        {
            (effect, action, "the key" if resource == key_of(cloud, environment) else resource, condition)
            for effect, _, action, resource, condition in grants(policy_of(cloud, environment, duty))
        }
        for cloud in (applied, seeded)
    )

    assert made == wanted
    opens = {action for _, action, resource, _ in made if resource == "the key"}
    assert bool(opens) == (duty not in ("approve", "prune", "image"))


def key_of(cloud: Any, environment: str) -> str:
    """The key by the name by which the machinery finds it: other names lead nowhere."""
    described = cloud.client("kms", environment).describe_key(KeyId=f"alias/churn-{environment}")
    return str(described["KeyMetadata"]["Arn"])


@pytest.mark.parametrize(("environment", "duty"), ROLES)
def test_a_role_trusts_whom_the_sandboxes_trusts_for_as_long(
    applied: Any, seeded: Any, environment: str, duty: str
) -> None:
    name = f"churn-{environment}-{duty}"
    made, wanted = (cloud.client("iam", environment).get_role(RoleName=name)["Role"] for cloud in (applied, seeded))

    assert grants(made["AssumeRolePolicyDocument"]) == grants(wanted["AssumeRolePolicyDocument"])
    assert made["MaxSessionDuration"] == wanted["MaxSessionDuration"]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_an_account_has_no_other_role_than_those_for_people(applied: Any, seeded: Any, environment: str) -> None:
    made, wanted = (
        {role["RoleName"] for role in cloud.client("iam", environment).list_roles(PathPrefix="/")["Roles"]}
        for cloud in (applied, seeded)
    )
    here = [name for name in ENVIRONMENTS if BUCKETS[name][-12:] == BUCKETS[environment][-12:]]

    ours = (*PEOPLE, "dispatch", "plan", "apply")
    clock = {"churn-dev-hours", "churn-dev-scheduler"} if "dev" in here else set()
    checks = {f"churn-{name}-checks" for name in here if name != "feature"}
    assert made - wanted == {f"churn-{name}-{role}" for name in here for role in ours} | clock | checks
    assert wanted - made == set()


def test_a_roles_policy_fits_into_it_with_the_longest_names(applied: Any) -> None:
    longer = 30 - len("churn")

    for environment, duty in [*ROLES, *((environment, person) for environment in ENVIRONMENTS for person in PEOPLE)]:
        text = json.dumps(policy_of(applied, environment, duty), separators=(",", ":"))
        assert len(text) + longer * text.count("churn") <= INLINE_LIMIT, (environment, duty)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_alarms_are_the_sandboxes_and_tell_somebody(
    applied: Any, seeded: Any, terraform: Any, environment: str
) -> None:
    kept = ("MetricName", "Namespace", "Statistic", "Threshold", "ComparisonOperator", "Period", "EvaluationPeriods",
            "TreatMissingData")  # fmt: skip

    def alarms(cloud: Any) -> dict[str, Any]:
        found = cloud.client("cloudwatch", environment).describe_alarms()["MetricAlarms"]
        # Those of the functions' queues are held in test_functions.py: the sandbox runs no functions.
        found = [alarm for alarm in found if alarm["Namespace"] != "AWS/SQS"]
        return {
            alarm["AlarmName"]: (
                {name: alarm[name] for name in kept},
                {each["Name"]: each["Value"] for each in alarm["Dimensions"]},
            )
            for alarm in found
        }

    assert alarms(applied) == alarms(seeded)
    outputs = terraform.outputs(environment)
    for name in outputs["alarms"]:
        found = applied.client("cloudwatch", environment).describe_alarms(AlarmNames=[name])["MetricAlarms"]
        assert found[0]["AlarmActions"] == [outputs["topic"]]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_a_bucket_is_encrypted_versioned_and_closed(applied: Any, terraform: Any, environment: str) -> None:
    s3, bucket = applied.client("s3", environment), {"Bucket": BUCKETS[environment]}
    (rule,) = s3.get_bucket_encryption(**bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    default = rule["ApplyServerSideEncryptionByDefault"]
    (ownership,) = s3.get_bucket_ownership_controls(**bucket)["OwnershipControls"]["Rules"]

    assert (default["SSEAlgorithm"], default["KMSMasterKeyID"]) == ("aws:kms", terraform.outputs(environment)["key"])
    assert s3.get_bucket_versioning(**bucket)["Status"] == "Enabled"
    assert set(s3.get_public_access_block(**bucket)["PublicAccessBlockConfiguration"].values()) == {True}
    assert ownership["ObjectOwnership"] == "BucketOwnerEnforced"


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_a_buckets_policy_is_the_sandboxes_with_roles_named_by_a_condition(
    applied: Any, seeded: Any, environment: str
) -> None:
    made, wanted = (
        json.loads(cloud.client("s3", environment).get_bucket_policy(Bucket=BUCKETS[environment])["Policy"])
        for cloud in (applied, seeded)
    )
    for statement in wanted["Statement"]:
        if isinstance(statement["Principal"], dict):
            role = statement["Principal"]["AWS"]
            statement["Condition"] = {"ArnEquals": {"aws:PrincipalArn": role}}
            statement["Principal"] = {"AWS": f"arn:aws:iam::{role.split(':')[4]}:root"}

    assert grants(made) == grants(wanted)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_what_was_asked_expires_and_models_do_not(applied: Any, environment: str) -> None:
    rules = applied.client("s3", environment).get_bucket_lifecycle_configuration(Bucket=BUCKETS[environment])["Rules"]
    expiring = {rule["Filter"]["Prefix"]: rule["Expiration"]["Days"] for rule in rules if "Expiration" in rule}

    assert {rule["Status"] for rule in rules} == {"Enabled"}
    assert expiring == {"captures/": 90, "batch/": 90}
    gone = {rule["Filter"].get("Prefix", ""): rule["NoncurrentVersionExpiration"]["NoncurrentDays"] for rule in rules}
    assert gone == {"captures/": 1, "batch/": 1, "": 365}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_key_rotates(applied: Any, terraform: Any, environment: str) -> None:
    key = terraform.outputs(environment)["key"]

    assert applied.client("kms", environment).get_key_rotation_status(KeyId=key)["KeyRotationEnabled"]


def test_the_next_environments_deploy_role_copies_a_model_and_nobody_else_does(applied: Any) -> None:
    for before, duty, after in (("feature", "train", "dev"), ("dev", "deploy", "prod")):
        writer, reader = applied.client_as(duty, before, "s3"), applied.client_as("deploy", after, "s3")
        for key in ("models/one/model.tar.gz", "dvc/raw"):
            writer.put_object(Bucket=BUCKETS[before], Key=key, Body=b"a model")

        reader.copy_object(
            Bucket=BUCKETS[after],
            Key="models/one/model.tar.gz",
            CopySource={"Bucket": BUCKETS[before], "Key": "models/one/model.tar.gz"},
        )

        model = {"Bucket": BUCKETS[before], "Key": "models/one/model.tar.gz"}
        copied = reader.get_object(Bucket=BUCKETS[after], Key="models/one/model.tar.gz")
        assert copied["Body"].read() == b"a model"
        assert copied["SSEKMSKeyId"] != reader.get_object(**model)["SSEKMSKeyId"]
        assert refused(reader.get_object, Bucket=BUCKETS[before], Key="dvc/raw") == "AccessDenied"
        assert refused(reader.put_object, **model, Body=b"another") == "AccessDenied"
        assert refused(applied.client_as("approve", after, "s3").get_object, **model) == "AccessDenied"
    assert refused(applied.client("s3", "prod").get_object, **model) == "AccessDenied"


def test_the_key_of_another_account_opens_for_the_role_of_the_promotion_only(applied: Any, terraform: Any) -> None:
    key = terraform.outputs("dev")["key"]
    own = terraform.outputs("prod")["key"]

    # It is let through; moto then looks for the key in the caller's account only.
    assert refused(applied.client_as("deploy", "prod", "kms").describe_key, KeyId=key) == "NotFoundException"
    assert refused(applied.client_as("approve", "prod", "kms").describe_key, KeyId=key) == "AccessDeniedException"
    assert refused(applied.client("kms", "prod").describe_key, KeyId=key) == "AccessDeniedException"
    assert refused(applied.client_as("deploy", "dev", "kms").describe_key, KeyId=own) == "AccessDeniedException"


def token(subject: str, audience: str = "sts.amazonaws.com") -> str:
    """A workflow's identity as GitHub gives it; the sandbox does not verify its signature."""
    claims = {
        "iss": "https://token.actions.githubusercontent.com",
        "aud": audience,
        "sub": subject,
        "ref": "refs/heads/main",
        "exp": int(time.time()) + 300,
    }
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in ({}, claims)]
    return ".".join([*parts, "signature"])


RIGHT = [
    ("feature", "train", "repo:acme@1/churn@2:environment:feature"),
    ("feature", "deploy", "repo:acme@1/churn@2:environment:feature"),
    ("dev", "deploy", "repo:acme@1/churn@2:environment:dev"),
    ("prod", "deploy", "repo:acme@1/churn@2:environment:prod"),
    ("prod", "approve", "repo:acme@1/churn@2:environment:prod-approval"),
    ("prod", "approve", "repo:acme@1/churn@2:environment:prod-challenger-approval"),
    ("prod", "destroy", "repo:acme@1/churn@2:environment:prod"),
    ("prod", "monitor", "repo:acme@1/churn@2:environment:prod"),
    ("prod", "schedule", "repo:acme@1/churn@2:environment:prod"),
    ("feature", "image", "repo:acme@1/churn@2:environment:feature"),
]
WRONG = [
    ("feature", "train", "repo:acme/churn:environment:feature"),
    ("feature", "train", "repo:acme@1/churn@3:environment:feature"),
    ("feature", "train", "repo:acme@9/churn@2:environment:feature"),
    ("feature", "train", "repo:acme@1/churn@2:ref:refs/heads/main"),
    ("feature", "train", "repo:acme@1/churn@2:pull_request"),
    ("feature", "train", "repo:acme@1/churn@2:environment:feature2"),
    ("dev", "deploy", "repo:acme@1/churn@2:environment:feature"),
    ("prod", "deploy", "repo:acme@1/churn@2:environment:dev"),
    ("prod", "prune", "repo:acme@1/churn@2:environment:prod"),
    ("prod", "schedule", "repo:acme@1/churn@2:environment:dev"),
    ("prod", "deploy", "repo:acme@1/churn@2:environment:prod-approval"),
    ("prod", "approve", "repo:acme@1/churn@2:environment:prod"),
    ("prod", "approve", "repo:acme@1/churn@2:environment:dev-approval"),
    ("prod", "execution", "repo:acme@1/churn@2:environment:prod"),
    ("dev", "destroy", "repo:acme@1/churn@2:environment:prod"),
    ("feature", "data-scientist", "repo:acme@1/churn@2:environment:feature"),
]


@pytest.mark.parametrize(("environment", "duty", "subject"), RIGHT)
def test_a_workflow_of_the_repository_takes_its_role_on(
    applied: Any, environment: str, duty: str, subject: str
) -> None:
    role = {"RoleArn": applied.role(duty, environment), "RoleSessionName": "test", "DurationSeconds": 14400}
    sts = applied.client("sts", environment)

    given = sts.assume_role_with_web_identity(WebIdentityToken=token(subject), **role)
    assert f":assumed-role/churn-{environment}-{duty}/" in given["AssumedRoleUser"]["Arn"]
    other = token(subject, "https://github.com/acme")
    assert refused(sts.assume_role_with_web_identity, WebIdentityToken=other, **role) == "InvalidIdentityToken"


@pytest.mark.parametrize(("environment", "duty", "subject"), WRONG)
def test_another_workflow_does_not(applied: Any, environment: str, duty: str, subject: str) -> None:
    role = {"RoleArn": applied.role(duty, environment), "RoleSessionName": "test"}
    sts = applied.client("sts", environment)

    assert refused(sts.assume_role_with_web_identity, WebIdentityToken=token(subject), **role) == "AccessDenied"
