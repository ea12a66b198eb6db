"""Model package groups and their resource policies."""

from __future__ import annotations

import json
from typing import Any

from sandbox.documents import Document, Table, now, public
from sandbox.operations import Answer, Call, Refusal, operation
from sandbox.pages import page
from sandbox.sandbox import Sandbox

GROUP = "ModelPackageGroup"
POLICY = "ModelPackageGroupPolicy"


def arn_of(call: Call, name_or_arn: str) -> str:
    """The ARN of a group given by its name, in the caller's account, or by its ARN, in whichever."""
    return name_or_arn if name_or_arn.startswith("arn:") else call.arn("model-package-group", name_or_arn)


def table_of(sandbox: Sandbox, kind: str, arn: str) -> Table:
    """The documents of one kind in the account and region that an ARN names."""
    _, _, _, region, account, _ = arn.split(":", 5)
    return sandbox.documents.table(kind, account, region)


def find(call: Call, name_or_arn: str) -> Document:
    """The group, which has to exist."""
    arn = arn_of(call, name_or_arn)
    group = table_of(call.sandbox, GROUP, arn).get(arn.rpartition("/")[2])
    if group is None:
        raise Refusal("ValidationException", f"ModelPackageGroup {arn} does not exist.")
    return group


def identity(call: Call) -> dict[str, Any]:
    """Who did it, as SageMaker notes it in CreatedBy and LastModifiedBy."""
    return {"IamIdentity": {"Arn": call.caller.arn, "PrincipalId": call.caller.role or call.caller.account}}


def _resource(call: Call) -> list[str]:
    return [arn_of(call, call.parameters["ModelPackageGroupName"])]


@operation("CreateModelPackageGroup", _resource)
def create_model_package_group(call: Call) -> Answer:
    """Make an empty group; a name is used once."""
    name = call.parameters["ModelPackageGroupName"]
    arn = arn_of(call, name)
    if name in call.table(GROUP):
        raise Refusal("ValidationException", f"Model Package Group already exists: {arn}")
    call.table(GROUP)[name] = {
        "ModelPackageGroupName": name,
        "ModelPackageGroupArn": arn,
        "CreationTime": now(),
        "CreatedBy": identity(call),
        "ModelPackageGroupStatus": "Completed",
        "_last": 0,
        **{key: call.parameters[key] for key in ("ModelPackageGroupDescription",) if key in call.parameters},
    }
    return {"ModelPackageGroupArn": arn}


@operation("DescribeModelPackageGroup", _resource)
def describe_model_package_group(call: Call) -> Answer:
    """All there is to know of a group."""
    return public(find(call, call.parameters["ModelPackageGroupName"]))


@operation("ListModelPackageGroups")
def list_model_package_groups(call: Call) -> Answer:
    """The groups of the account and region."""
    groups, more = page(call.table(GROUP).values(), call.parameters, "ModelPackageGroupName")
    return {"ModelPackageGroupSummaryList": groups, **more}


@operation("DeleteModelPackageGroup", _resource)
def delete_model_package_group(call: Call) -> Answer:
    """Remove an empty group with its policy."""
    group = find(call, call.parameters["ModelPackageGroupName"])
    arn, name = group["ModelPackageGroupArn"], group["ModelPackageGroupName"]
    packages = table_of(call.sandbox, "ModelPackage", arn).values()
    if any(each["ModelPackageGroupName"] == name for each in packages):
        message = f"ModelPackageGroup {arn} can not be deleted because it still contains model packages."
        raise Refusal("ConflictException", message)
    table_of(call.sandbox, POLICY, arn).pop(name, None)
    del table_of(call.sandbox, GROUP, arn)[name]
    return {}


@operation("PutModelPackageGroupPolicy", _resource)
def put_model_package_group_policy(call: Call) -> Answer:
    """Set who else may use a group and its versions."""
    group = find(call, call.parameters["ModelPackageGroupName"])
    _check_policy(call.parameters["ResourcePolicy"], group["ModelPackageGroupArn"])
    policy = {"ResourcePolicy": call.parameters["ResourcePolicy"]}
    table_of(call.sandbox, POLICY, group["ModelPackageGroupArn"])[group["ModelPackageGroupName"]] = policy
    return {"ModelPackageGroupArn": group["ModelPackageGroupArn"]}


@operation("GetModelPackageGroupPolicy", _resource)
def get_model_package_group_policy(call: Call) -> Answer:
    """The policy of a group, as text."""
    group = find(call, call.parameters["ModelPackageGroupName"])
    policy = table_of(call.sandbox, POLICY, group["ModelPackageGroupArn"]).get(group["ModelPackageGroupName"])
    if policy is None:
        message = f"Cannot find Model Package Group Policy: {group['ModelPackageGroupArn']}"
        raise Refusal("ValidationException", message)
    return dict(policy)


@operation("DeleteModelPackageGroupPolicy", _resource)
def delete_model_package_group_policy(call: Call) -> Answer:
    """Remove the policy of a group; nobody but its account may use it then."""
    group = find(call, call.parameters["ModelPackageGroupName"])
    table_of(call.sandbox, POLICY, group["ModelPackageGroupArn"]).pop(group["ModelPackageGroupName"], None)
    return {}


def _check_policy(text: str, arn: str) -> None:
    """Refuse what is no policy, or one that speaks of anything but this group and its versions."""
    versions = arn.replace(":model-package-group/", ":model-package/") + "/"
    try:
        statements = json.loads(text)["Statement"]
        statements = statements if isinstance(statements, list) else [statements]
        resources = [each["Resource"] for each in statements]
        complete = all({"Effect", "Principal", "Action"} <= each.keys() for each in statements)
    except (ValueError, KeyError, TypeError) as error:
        raise Refusal("ValidationException", f"Invalid resource policy: {error}") from error
    named = [name for each in resources for name in (each if isinstance(each, list) else [each])]
    if not complete or not all(name == arn or name.startswith(versions) for name in named):
        message = f"Invalid resource policy: a statement has Effect, Principal, Action, Resource {arn} or {versions}*"
        raise Refusal("ValidationException", message)
