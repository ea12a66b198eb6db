"""Application Auto Scaling of endpoints: moto keeps targets and policies, this holds them to what is served.

Nothing is scaled by itself here: the number of instances is a figure, which UpdateEndpointWeightsAndCapacities changes.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from sandbox import backends
from sandbox.authorization import Permission, refused_because
from sandbox.documents import Document
from sandbox.hosting import configurations
from sandbox.operations import Call, Caller, Refusal
from sandbox.sandbox import Sandbox

SERVICE = "application-autoscaling"
_DIMENSION = "sagemaker:variant:DesiredInstanceCount"
_SERVICE_ROLE = (
    "aws-service-role/sagemaker.application-autoscaling.amazonaws.com/"
    "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
)


def permissions(operation: str, parameters: Mapping[str, Any], caller: Caller) -> list[Permission]:
    """What a caller needs for an operation: it acts with the caller's own rights on alarms and the service's role."""
    here = f"{caller.region}:{caller.account}"
    action = f"{SERVICE}:{operation}"
    if operation.startswith("Describe"):
        return [Permission(action)]
    context = {f"{SERVICE}:service-namespace": [str(parameters["ServiceNamespace"])]}
    needed = [Permission(action, f"arn:aws:{SERVICE}:{here}:scalable-target/0", context)]
    alarm = f"arn:aws:cloudwatch:{here}:alarm:TargetTracking-{parameters['ResourceId']}-AlarmHigh"
    match operation:
        case "RegisterScalableTarget":
            role = {"iam:AWSServiceName": ["sagemaker.application-autoscaling.amazonaws.com"]}
            arn = f"arn:aws:iam::{caller.account}:role/{_SERVICE_ROLE}"
            return [*needed, Permission("iam:CreateServiceLinkedRole", arn, role)]
        case "PutScalingPolicy":
            return [*needed, Permission("cloudwatch:PutMetricAlarm", alarm)]
        case "DeregisterScalableTarget":
            return [*needed, Permission("cloudwatch:DeleteAlarms", alarm)]
    return needed


def check(sandbox: Sandbox, operation: str, parameters: Mapping[str, Any], caller: Caller) -> None:
    """Refuse what does not go with the endpoint, before moto answers.

    Raises:
        Refusal: there is no such variant, it has no instances, or it is not registered.
    """
    if parameters.get("ServiceNamespace") != "sagemaker" or operation.startswith("Describe"):
        return
    resource = str(parameters["ResourceId"])
    if operation == "RegisterScalableTarget":
        _has_instances(sandbox, caller, resource)
    elif operation == "PutScalingPolicy" and not _target(caller, resource):
        why = f"No scalable target registered for service namespace: sagemaker, resource ID: {resource}"
        raise Refusal("ObjectNotFoundException", why)
    elif operation == "DeregisterScalableTarget":
        _forget_policies(caller, resource)


def same_instance_types(call: Call, endpoint: Document, before: Document, after: Document) -> None:
    """Refuse an update that changes the instance type of a variant that scales; another model is allowed."""
    types = {variant["VariantName"]: variant.get("InstanceType") for variant in after["ProductionVariants"]}
    for variant in before["ProductionVariants"]:
        name = variant["VariantName"]
        if types.get(name) != variant.get("InstanceType") and _target(call.caller, _resource(endpoint, name)):
            raise Refusal(
                "ValidationException",
                f"The instance type of variant {name} can not be changed while it is a target of Application Auto "
                "Scaling. Deregister it first.",
            )


def end(call: Call, endpoint: Document, configuration: Document | None) -> None:
    """Deregister the variants of an endpoint that is deleted, as SageMaker does with the rights of who deletes it.

    Raises:
        Refusal: the caller may not.
    """
    for variant in (configuration or {}).get("ProductionVariants", []):
        resource = _resource(endpoint, variant["VariantName"])
        if not _target(call.caller, resource):
            continue
        given = {"ServiceNamespace": "sagemaker", "ResourceId": resource}
        for each in permissions("DeregisterScalableTarget", given, call.caller):
            if refused_because(call.sandbox, call.caller, each):
                raise Refusal(
                    "ValidationException",
                    "An Application AutoScaling scalable target exists for a variant being deleted, and the IAM "
                    f"identity used to invoke DeleteEndpoint does not have {each.action} permission to deregister the "
                    "scalable target.",
                )
        _forget_policies(call.caller, resource)
        _backend(call.caller).deregister_scalable_target("sagemaker", resource, _DIMENSION)


def _has_instances(sandbox: Sandbox, caller: Caller, resource: str) -> None:
    _, name, _, variant = [*resource.split("/"), "", "", "", ""][:4]
    documents = sandbox.documents
    endpoint = documents.table("Endpoint", caller.account, caller.region).get(name)
    known = documents.table(configurations.KIND, caller.account, caller.region)
    served = known.get(endpoint["EndpointConfigName"], {}) if endpoint else {}
    found = [each for each in served.get("ProductionVariants", []) if each["VariantName"] == variant]
    if not found or not found[0].get("InstanceType"):
        why = "there is no such variant" if not found else "it is serverless"
        raise Refusal("ValidationException", f"{resource} can not be registered as a scalable target: {why}.")


def _target(caller: Caller, resource: str) -> Any:
    """A registered target; nothing is asked of moto before anybody has registered one."""
    if "moto.applicationautoscaling.models" not in sys.modules:
        return None
    return _backend(caller).targets.get(_DIMENSION, {}).get(resource)


def _forget_policies(caller: Caller, resource: str) -> None:
    """moto leaves the policies of a target that is deregistered."""
    policies = _backend(caller).policies
    for key in [key for key, policy in policies.items() if policy.resource_id == resource]:
        del policies[key]


def _backend(caller: Caller) -> Any:
    return backends.backends("applicationautoscaling")[caller.account][caller.region]


def _resource(endpoint: Document, variant: str) -> str:
    return f"endpoint/{endpoint['EndpointName']}/variant/{variant}"
