"""Model packages: the versions of a group, their approval and their metadata."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from sandbox import groups
from sandbox.artefacts import check_model_data
from sandbox.documents import Document, now, public
from sandbox.operations import Answer, Call, Refusal, operation
from sandbox.pages import page

PACKAGE = "ModelPackage"
MOST_METADATA = 50
_TOKEN = "ModelPackageToken"
_KEPT = (
    "ModelPackageDescription",
    "InferenceSpecification",
    "AdditionalInferenceSpecifications",
    "ModelMetrics",
    "MetadataProperties",
    "CustomerMetadataProperties",
    "DriftCheckBaselines",
    "Domain",
    "Task",
    "SamplePayloadUrl",
    "SkipModelValidation",
    "SourceUri",
    "SecurityConfig",
    "ModelCard",
    "ModelLifeCycle",
    "ApprovalDescription",
)
_IN_LISTS = (
    "ModelPackageGroupName",
    "ModelPackageVersion",
    "ModelPackageArn",
    "ModelPackageDescription",
    "CreationTime",
    "ModelPackageStatus",
    "ModelApprovalStatus",
    "ModelLifeCycle",
)
_IN_EVENTS = (
    *_IN_LISTS,
    "LastModifiedTime",
    "ModelPackageStatusDetails",
    "InferenceSpecification",
    "CustomerMetadataProperties",
    "MetadataProperties",
)


def find(call: Call, arn: str) -> Document:
    """The version of that ARN, which has to exist; the caller's right to it is the operation's to check."""
    if not arn.startswith("arn:"):
        raise Refusal("ValidationException", f"ModelPackage {arn} does not exist: a version is named by its ARN")
    package = groups.table_of(call.sandbox, PACKAGE, arn).get(arn)
    if package is None:
        raise Refusal("ValidationException", f"ModelPackage {arn} does not exist.")
    return package


def versions_of(group: str) -> str:
    """The ARN pattern of all versions of a group, on which its permissions are given."""
    return group.replace(":model-package-group/", ":model-package/") + "/*"


def _versions_resource(call: Call) -> list[str]:
    name = call.parameters.get("ModelPackageGroupName")
    return [versions_of(groups.arn_of(call, name))] if name else ["*"]


def _new_version_resources(call: Call) -> list[str]:
    name = call.parameters.get("ModelPackageGroupName")
    return [*_versions_resource(call), *([groups.arn_of(call, name)] if name else [])]


def _resource(call: Call) -> list[str]:
    return [call.parameters.get("ModelPackageName") or call.parameters.get("ModelPackageArn") or "*"]


@operation("CreateModelPackage", _new_version_resources)
def create_model_package(call: Call) -> Answer:
    """Register the next version of a group."""
    given = call.parameters
    with call.sandbox.documents.lock:
        earlier = _made_by_the_same_token(call)
        if earlier:
            return {"ModelPackageArn": earlier}
        group = _check_new(call)
        arn = _register(call, group)
        if "ClientToken" in given:
            call.table(_TOKEN)[given["ClientToken"]] = {"ModelPackageArn": arn, "Parameters": _digest(given)}
    _announce(call, find(call, arn))
    return {"ModelPackageArn": arn}


@operation("DescribeModelPackage", _resource)
def describe_model_package(call: Call) -> Answer:
    """All there is to know of a version."""
    return public(find(call, call.parameters["ModelPackageName"]))


@operation("ListModelPackages", _versions_resource)
def list_model_packages(call: Call) -> Answer:
    """The versions of a group, without their metadata: that takes a describe each, as on AWS."""
    given = call.parameters
    if "ModelPackageGroupName" not in given:
        return {"ModelPackageSummaryList": []}
    group = groups.find(call, given["ModelPackageGroupName"])
    wanted = given.get("ModelApprovalStatus")
    found = [
        each
        for each in groups.table_of(call.sandbox, PACKAGE, group["ModelPackageGroupArn"]).values()
        if each["ModelPackageGroupName"] == group["ModelPackageGroupName"]
        and wanted in (None, each["ModelApprovalStatus"])
    ]
    packages, more = page(found, given, "_name")
    summaries = [{name: each[name] for name in _IN_LISTS if name in each} for each in packages]
    return {"ModelPackageSummaryList": summaries, **more}


@operation("UpdateModelPackage", _resource)
def update_model_package(call: Call) -> Answer:
    """Change the approval, the metadata, or both; what is not given stays as it is."""
    given = call.parameters
    with call.sandbox.documents.lock:
        package = find(call, given["ModelPackageArn"])
        metadata = {**package.get("CustomerMetadataProperties", {}), **given.get("CustomerMetadataProperties", {})}
        for key in given.get("CustomerMetadataPropertiesToRemove", []):
            metadata.pop(key, None)
        _check_metadata(metadata)
        changed = {name: given[name] for name in ("ModelApprovalStatus", *_KEPT) if name in given}
        specifications = given.get("AdditionalInferenceSpecificationsToAdd", [])
        if specifications:
            kept = package.get("AdditionalInferenceSpecifications", [])
            changed["AdditionalInferenceSpecifications"] = [*kept, *specifications]
        package.update(changed)
        if metadata or "CustomerMetadataProperties" in package:
            package["CustomerMetadataProperties"] = metadata
        package.update(LastModifiedTime=now(), LastModifiedBy=groups.identity(call))
    _announce(call, package)
    return {"ModelPackageArn": package["ModelPackageArn"]}


@operation("DeleteModelPackage", _resource)
def delete_model_package(call: Call) -> Answer:
    """Remove a version; its number is not given again."""
    package = find(call, call.parameters["ModelPackageName"])
    arn = package["ModelPackageArn"]
    del groups.table_of(call.sandbox, PACKAGE, arn)[arn]
    # What it was made by may make it again.
    tokens = groups.table_of(call.sandbox, _TOKEN, arn)
    for token in [token for token, made in tokens.items() if made["ModelPackageArn"] == arn]:
        del tokens[token]
    return {}


def _made_by_the_same_token(call: Call) -> str | None:
    """What an earlier request with this client token made; other parameters under the same token are refused."""
    earlier = call.table(_TOKEN).get(call.parameters.get("ClientToken", ""))
    if earlier is None:
        return None
    if earlier["Parameters"] != _digest(call.parameters):
        message = "A request with this ClientToken was made already with different parameters."
        raise Refusal("ConflictException", message)
    return str(earlier["ModelPackageArn"])


def _digest(parameters: dict[str, Any]) -> str:
    named = {name: value for name, value in parameters.items() if name != "ClientToken"}
    return hashlib.sha256(json.dumps(named, sort_keys=True, default=str).encode()).hexdigest()


def _check_new(call: Call) -> Document:
    """The group of a new version, after the rules between its members hold."""
    given = call.parameters
    if "ModelPackageName" in given or "ModelPackageGroupName" not in given:
        message = "the sandbox has versioned packages only: give ModelPackageGroupName and no ModelPackageName"
        raise Refusal("ValidationException", message)
    group = groups.find(call, given["ModelPackageGroupName"])
    if given.get("Tags"):
        raise Refusal("ValidationException", "Tags cannot be specified for a versioned model package: tag its group.")
    if "SourceUri" in given and "InferenceSpecification" in given:
        message = "Both SourceUri and InferenceSpecification cannot be specified in the same request."
        raise Refusal("ValidationException", message)
    if "SourceUri" not in given and "InferenceSpecification" not in given:
        raise Refusal("ValidationException", "InferenceSpecification or SourceUri must be specified.")
    _check_metadata(given.get("CustomerMetadataProperties", {}))
    for container in given.get("InferenceSpecification", {}).get("Containers", []):
        check_model_data(call, container)
    return group


def _check_metadata(metadata: dict[str, str]) -> None:
    if len(metadata) > MOST_METADATA:
        message = f"CustomerMetadataProperties has {len(metadata)} keys; a model package has at most {MOST_METADATA}."
        raise Refusal("ValidationException", message)


def _register(call: Call, group: Document) -> str:
    given = call.parameters
    group["_last"] += 1
    name, version = group["ModelPackageGroupName"], group["_last"]
    arn = versions_of(group["ModelPackageGroupArn"]).removesuffix("*") + str(version)
    source = public(find(call, given["SourceUri"])) if given.get("SourceUri", "").startswith("arn:") else {}
    made = now()
    groups.table_of(call.sandbox, PACKAGE, arn)[arn] = {
        **{key: source[key] for key in ("InferenceSpecification",) if key in source},
        **{key: given[key] for key in _KEPT if key in given},
        "ModelPackageGroupName": name,
        "ModelPackageVersion": version,
        "ModelPackageArn": arn,
        "ModelPackageRegistrationType": "Registered",
        "ModelPackageStatus": "Completed",
        "ModelPackageStatusDetails": {"ValidationStatuses": [], "ImageScanStatuses": []},
        "ModelApprovalStatus": given.get("ModelApprovalStatus", "PendingManualApproval"),
        "CertifyForMarketplace": given.get("CertifyForMarketplace", False),
        "CreationTime": made,
        "LastModifiedTime": made,
        "CreatedBy": groups.identity(call),
        "_name": f"{name}/{version:09d}",
    }
    return arn


def _announce(call: Call, package: Document) -> None:
    detail = {name: package[name] for name in _IN_EVENTS if name in package}
    _, _, _, region, account, _ = package["ModelPackageArn"].split(":", 5)
    call.sandbox.emit(account, region, "SageMaker Model Package State Change", detail)
