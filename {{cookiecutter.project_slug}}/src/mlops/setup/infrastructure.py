"""What an environment needs in its account, whoever made it: examined, one line each, with what mends it."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
from botocore.exceptions import ClientError

from mlops import aws
from mlops.access import duties
from mlops.errors import Failure
from mlops.settings.project import FILE, Environment, Settings
from mlops.setup import environments, handover, state
from mlops.setup.health import Check

MAKE = "mlops bootstrap aws, or whoever makes it (docs/infrastructure.md)"
GITHUB = "token.actions.githubusercontent.com"
GROUPS = "mlops groups create"


def checks(settings: Settings, session: boto3.Session, environment: Environment, subject: str | None) -> list[Check]:
    """Everything that `mlops` will look for in one environment.

    Args:
        settings: the project.
        session: an administrator's, in the environment's account.
        environment: the one that is examined.
        subject: the repository as GitHub names it to AWS; None when that is not known.
    """
    return [
        bucket(session, environment),
        role(session, environment.execution_role, '"sagemaker.amazonaws.com"'),
        *(
            role(session, environment.role(duty), each)
            for duty in duties(settings, environment)
            if duty != "apply" or handover.by_workflow(settings, environment)
            for each in subjects(environment, duty, subject)
        ),
        *key(session, environment),
        *alarms(session, environment),
        *(group(session, name) for name in environment.group_names),
    ]


def bucket(session: boto3.Session, environment: Environment) -> Check:
    """Its bucket; of one that the settings name only that it is there: the rest is its owner's say."""
    name, what = environment.bucket, f"bucket {environment.bucket}"
    if not bucket_is_there(session, name):
        return Check(what, False, "not there, or another account's", MAKE)
    if environment.bucket_name:
        return Check(what, True, f"named in {FILE}")
    lacks = []
    if state.read(session, "get_bucket_versioning", name).get("Status") != "Enabled":
        lacks.append("versioning")
    if "aws:kms" not in json.dumps(state.read(session, "get_bucket_encryption", name)):
        lacks.append("encryption by a key")
    block = state.read(session, "get_public_access_block", name).get("PublicAccessBlockConfiguration", {})
    if not block or not all(block.values()):
        lacks.append("the block of public access")
    return Check(what, not lacks, f"lacks {', '.join(lacks)}" if lacks else "versioned, encrypted, private", MAKE)


def bucket_is_there(session: boto3.Session, name: str) -> bool:
    """Whether a bucket is there, and this account's."""
    try:
        return state.exists(session, name)
    except Failure:
        return False


def subjects(environment: Environment, duty: str, subject: str | None) -> list[str]:
    """What a role's trust has to name, word for word: the subject that GitHub sends from each environment."""
    if subject is None:
        return [f'"{GITHUB}:sub"']
    if duty == "plan":
        return [f'"repo:{subject}:{each}"' for each in ("pull_request", "ref:refs/heads/main")]
    if duty == "apply":
        return [f'"repo:{subject}:environment:{environments.applying_gate(environment)}"']
    if duty != "approve":
        return [f'"repo:{subject}:environment:{environment.name}"']
    return [f'"repo:{subject}:environment:{each.approval_environment}"' for each in environment.contenders]


def role(session: boto3.Session, arn: str, trusts: str) -> Check:
    """A role: it is there, and its trust names who takes it on."""
    name = arn.rpartition("/")[2]
    what = f"role {name}"
    try:
        found = aws.client(session, "iam").get_role(RoleName=name)["Role"]
    except ClientError as error:
        return Check(what, False, aws.reason(error), MAKE)
    document: Any = found["AssumeRolePolicyDocument"]
    text = document if isinstance(document, str) else json.dumps(document)
    if trusts in text:
        return Check(what, True, f"trusts {trusts.strip(chr(34))}")
    return Check(what, False, f"its trust does not name {trusts}", MAKE)


def role_is_there(session: boto3.Session, arn: str) -> bool:
    """Whether a role is there."""
    name = arn.rpartition("/")[2]
    try:
        aws.client(session, "iam").get_role(RoleName=name)
    except ClientError as error:
        if aws.code_of(error) == "NoSuchEntity":
            return False
        with aws.explained("GetRole", name):
            raise
    return True


def key(session: boto3.Session, environment: Environment) -> Iterator[Check]:
    """The key that the settings name; the one that Terraform makes is the bucket's."""
    if environment.kms_key is None:
        return
    what = f"key of {environment.name}"
    try:
        found = aws.client(session, "kms").describe_key(KeyId=environment.kms_key)["KeyMetadata"]
    except ClientError as error:
        yield Check(what, False, aws.reason(error), f"{FILE}: kms_key")
        return
    yield Check(what, bool(found["Enabled"]), found["KeyState"], f"{FILE}: kms_key")


def alarms(session: boto3.Session, environment: Environment) -> Iterator[Check]:
    """The alarms of its endpoints: without them no rollout is rolled back."""
    for each in environment.contenders:
        if each.endpoint is None:
            continue
        wanted = each.alarm_names
        what = f"alarms of {each.endpoint_name}"
        try:
            page = aws.client(session, "cloudwatch").describe_alarms(
                AlarmNames=wanted, AlarmTypes=["MetricAlarm", "CompositeAlarm"]
            )
        except ClientError as error:
            yield Check(what, False, aws.reason(error), MAKE)
            continue
        found = {alarm["AlarmName"] for kind in ("MetricAlarms", "CompositeAlarms") for alarm in page.get(kind, [])}
        missing = [name for name in wanted if name not in found]
        yield Check(what, not missing, f"missing {', '.join(missing)}" if missing else ", ".join(wanted), MAKE)


def group(session: boto3.Session, name: str) -> Check:
    """A model group."""
    there = group_is_there(session, name)
    return Check(f"model group {name}", there, "" if there else "not there", GROUPS)


def group_is_there(session: boto3.Session, name: str) -> bool:
    """Whether a model group is there."""
    try:
        aws.client(session, "sagemaker").describe_model_package_group(ModelPackageGroupName=name)
    except ClientError as error:
        if aws.is_missing(error):
            return False
        with aws.explained("DescribeModelPackageGroup", name):
            raise
    return True
