"""Tags of SageMaker's resources: remembered when a resource is made with them, added, listed and removed."""

from __future__ import annotations

from typing import Any

from sandbox.operations import Answer, Call, Refusal, operation
from sandbox.sandbox import Sandbox

MOST = 50


def remember(sandbox: Sandbox, arn: str, tags: list[dict[str, str]]) -> None:
    """Take note of a new resource and its tags; what an earlier one of the same name had is gone."""
    _table(sandbox, arn)[arn] = {"Tags": {each["Key"]: each["Value"] for each in tags}}


def forget(sandbox: Sandbox, arn: str) -> None:
    """Take note that a resource is gone."""
    _table(sandbox, arn).pop(arn, None)


def _of(call: Call) -> list[str]:
    return [call.parameters["ResourceArn"]]


@operation("AddTags", _of)
def add_tags(call: Call) -> Answer:
    """Add tags or change their values."""
    tags = _tags(call)
    changed = {**tags, **{each["Key"]: each["Value"] for each in call.parameters["Tags"]}}
    if len(changed) > MOST:
        raise Refusal("ResourceLimitExceeded", f"a resource has at most {MOST} tags, not {len(changed)}")
    tags.update(changed)
    return {"Tags": _listed(tags)}


@operation("ListTags", _of)
def list_tags(call: Call) -> Answer:
    """All tags of a resource."""
    return {"Tags": _listed(_tags(call))}


@operation("DeleteTags", _of)
def delete_tags(call: Call) -> Answer:
    """Remove tags by their keys."""
    tags = _tags(call)
    for key in call.parameters["TagKeys"]:
        tags.pop(key, None)
    return {}


def _tags(call: Call) -> dict[str, str]:
    arn = call.parameters["ResourceArn"]
    if ":model-package/" in arn:
        raise Refusal("ValidationException", "Tagging a versioned model package is not supported: tag its group")
    known = _table(call.sandbox, arn).get(arn)
    if known is None:
        raise Refusal("ResourceNotFound", f"Could not find the resource {arn}")
    tags: dict[str, str] = known["Tags"]
    return tags


def _table(sandbox: Sandbox, arn: str) -> dict[str, dict[str, Any]]:
    _, _, _, region, account, _ = arn.split(":", 5)
    return sandbox.documents.table("Tags", account, region)


def _listed(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
