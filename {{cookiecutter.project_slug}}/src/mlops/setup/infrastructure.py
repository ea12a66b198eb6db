"""What an environment needs in its account, whoever made it: examined, one line each, with what mends it."""

from collections.abc import Iterator, Mapping
from typing import Any

import boto3
from botocore.exceptions import ClientError

from mlops import aws
from mlops.registry import groups
from mlops.settings import keys
from mlops.settings.project import Environment, Settings
from mlops.setup import buckets, roles, trust
from mlops.setup.health import Check
from mlops.setup.roles import MAKE

GROUPS = "mlops groups create"
SENDERS = ("cloudwatch.amazonaws.com", "budgets.amazonaws.com")
"""The services that send to the topic of the alarms."""


def checks(settings: Settings, session: boto3.Session, environment: Environment, subject: str | None) -> list[Check]:
    """Everything that `mlops` will look for in one environment.

    Args:
        settings: the project.
        session: an administrator's, in the environment's account.
        environment: the one that is examined.
        subject: the repository as GitHub names it to AWS; None when that is not known.
    """
    return [
        *buckets.checks(session, environment),
        *roles.checks(settings, session, environment, subject),
        *key(session, environment),
        *alarms(session, environment),
        *(group(session, settings, environment, name) for name in environment.group_names),
    ]


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
    """The key that the settings name, or that Terraform makes: jobs and endpoints are told it."""
    if given := keys.of(environment):
        yield buckets.of_key(session, f"key of {environment.name}", given, environment.kms_key)
    if environment.keys_in and environment.kms_key and environment.kms_key.split(":")[4] == environment.account:
        yield notices(session, environment, environment.kms_key)


def notices(session: boto3.Session, environment: Environment, key: str) -> Check:
    """A key that was there before lets alarms and budgets use it: infra/ has their topic under it.

    SNS drops what it can not encrypt, and nobody hears of it.
    """
    what, fix = f"alarms and budgets under the key of {environment.name}", "add it to the key's policy"
    try:
        found = aws.client(session, "kms").get_key_policy(KeyId=key, PolicyName="default")["Policy"]
        mute = [each for each in SENDERS if not sends(trust.document(found), each, environment.account)]
    except ClientError as error:
        return Check(what, False, aws.reason(error), "see docs/infrastructure.md, Keys")
    except trust.UnknownCondition as error:
        return Check(what, False, str(error), "see docs/infrastructure.md, Keys")
    told = f"{key} does not let {' and '.join(mute)} use it (kms:Decrypt, kms:GenerateDataKey*): nobody is told"
    return Check(what, not mute, told if mute else "they may use it", fix)


def sends(policy: Mapping[str, Any], service: str, account: str) -> bool:
    """Whether a key's policy lets a service of AWS put messages under it for an account."""
    asked = ("kms:Decrypt", "kms:GenerateDataKey")
    return all(trust.lets(policy, trust.Asker("Service", service, e, {"aws:SourceAccount": account})) for e in asked)


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


def group(session: boto3.Session, settings: Settings, environment: Environment, name: str) -> Check:
    """A model group: there, and open to the accounts that read it."""
    fix = f"{GROUPS} --env {environment.name}"
    if not group_is_there(session, name):
        return Check(f"model group {name}", False, "not there", fix)
    right = groups.is_readable(session, settings, environment, name)
    accounts = " and ".join(groups.readers(settings, environment))
    return Check(f"model group {name}", right, "" if right else f"its policy does not let {accounts} read", fix)


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
