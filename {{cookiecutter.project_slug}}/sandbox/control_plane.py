"""SageMaker's control plane: JSON requests, checked, authorised and answered by the registered operations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sandbox import operations, shapes, tags, tokens
from sandbox.authorization import Permission
from sandbox.operations import Answer, Call, Caller
from sandbox.sandbox import Sandbox

_READS = ("Describe", "List", "Get", "Search", "Invoke")
_SERVICE = "sagemaker.amazonaws.com"


def call_of(sandbox: Sandbox, caller: Caller, name: str, wire: dict[str, Any]) -> Call:
    """A request as the operations take it, after its shape has been checked.

    Raises:
        Refusal: the operation is unknown, or a parameter breaks the API's own limits.
    """
    operations.find(name)
    shape = shapes.service("sagemaker").operation_model(name).input_shape
    parameters = shapes.received(shape, wire)
    if shape is not None:
        shapes.check(shape, parameters)
    return Call(name, parameters, caller, sandbox)


def permissions(call: Call) -> list[Permission]:
    """What the caller has to be allowed: the operation on its resources, and handing over a role where one is named."""
    found = operations.find(call.operation)
    context = dict(_context(call.parameters))
    action = f"sagemaker:{call.operation}"
    needed = [Permission(action, arn, context) for arn in (found.resources(call) if found.resources else ["*"])]
    if call.parameters.get("Tags") and call.operation != "AddTags" and found.resources:
        # What is made is named first, and the tags are its own.
        needed.append(Permission("sagemaker:AddTags", needed[0].resource, context))
    passed = {"iam:PassedToService": [_SERVICE]}
    return needed + [Permission("iam:PassRole", role, passed) for role in _roles(call.parameters)]


def done(call: Call) -> Answer:
    """Do what a call asks for, whose caller has been found to be allowed to."""
    for role in _roles(call.parameters):
        # SageMaker tries at once whether it may take the role on.
        tokens.assume_for_service(call.sandbox, role, _SERVICE, "SageMaker")
    result = operations.find(call.operation).answer(call)
    if not call.operation.startswith(_READS):
        _note_tags(call, result)
        call.sandbox.documents.changed()
    return result


def wire(call: Call, result: Answer) -> Answer:
    """An answer as JSON takes it."""
    sent: Answer = shapes.sent(shapes.service("sagemaker").operation_model(call.operation).output_shape, result) or {}
    return sent


def _note_tags(call: Call, result: Answer) -> None:
    if call.operation.startswith("Create"):
        for arn in (value for name, value in result.items() if name.endswith("Arn") and isinstance(value, str)):
            tags.remember(call.sandbox, arn, call.parameters.get("Tags", []))
    elif call.operation.startswith("Delete") and call.operation != "DeleteTags":
        found = operations.find(call.operation)
        for arn in found.resources(call) if found.resources and not call.operation.endswith("Policy") else []:
            tags.forget(call.sandbox, arn)


def _roles(parameters: dict[str, Any]) -> Iterator[str]:
    for name in ("RoleArn", "ExecutionRoleArn"):
        if name in parameters:
            yield parameters[name]


def _context(parameters: dict[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """The condition keys of SageMaker that this project's policies use."""
    if "ModelApprovalStatus" in parameters:
        yield "sagemaker:ModelApprovalStatus", [parameters["ModelApprovalStatus"]]
    for key, value in parameters.get("CustomerMetadataProperties", {}).items():
        yield f"sagemaker:CustomerMetadataProperties/{key}", [value]
    if parameters.get("CustomerMetadataPropertiesToRemove"):
        yield "sagemaker:CustomerMetadataPropertiesToRemove", parameters["CustomerMetadataPropertiesToRemove"]
    instances = [
        parameters.get("ResourceConfig", {}).get("InstanceType"),
        parameters.get("ProcessingResources", {}).get("ClusterConfig", {}).get("InstanceType"),
        parameters.get("TransformResources", {}).get("InstanceType"),
        *(variant.get("InstanceType") for variant in parameters.get("ProductionVariants", [])),
        *(variant.get("InstanceType") for variant in parameters.get("ShadowProductionVariants", [])),
    ]
    if any(instances):
        yield "sagemaker:InstanceTypes", [each for each in instances if each]
    network = parameters.get("VpcConfig") or parameters.get("NetworkConfig", {}).get("VpcConfig")
    if network:
        yield "sagemaker:VpcSubnets", network["Subnets"]
        yield "sagemaker:VpcSecurityGroupIds", network["SecurityGroupIds"]
    if "EnableNetworkIsolation" in parameters:
        yield "sagemaker:NetworkIsolation", [str(parameters["EnableNetworkIsolation"]).lower()]
    given = parameters.get("Tags", [])
    if given:
        yield "aws:TagKeys", [each["Key"] for each in given]
        for each in given:
            yield f"aws:RequestTag/{each['Key']}", [each["Value"]]
