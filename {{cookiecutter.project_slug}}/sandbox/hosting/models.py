"""SageMaker models: a container's image, artefact and variables, from a package in the registry or given directly."""

from __future__ import annotations

from dataclasses import dataclass

from sandbox import registry
from sandbox.authorization import Permission, denied, refused_because
from sandbox.documents import Document, now, public
from sandbox.jobs.storage import storage
from sandbox.operations import Answer, Call, Refusal, named, operation
from sandbox.pages import page

KIND = "Model"
_ALL_VARIABLES = 32 * 1024


@dataclass(frozen=True)
class Content:
    """What a server needs to know of a model."""

    image: str
    data: str
    environment: dict[str, str]
    role: str
    isolated: bool


@operation("CreateModel", named("model", "ModelName"))
def create_model(call: Call) -> Answer:
    """Make a model; its package has to be approved, its artefact readable by its role."""
    name, models = call.parameters["ModelName"], call.table(KIND)
    arn = call.arn("model", name)
    content = resolve(call, call.parameters)
    if not storage(call.sandbox, content.role, call.caller.region).exists(content.data):
        raise Refusal(
            "ValidationException",
            f'Could not access model data at {content.data}. Please ensure that the role "{content.role}" exists and '
            f'that its trust relationship policy allows the action "sts:AssumeRole" for the service principal '
            f'"sagemaker.amazonaws.com". Also ensure that the role has "s3:GetObject" permissions and that the object '
            f"is located in {call.caller.region}.",
        )
    with call.sandbox.documents.lock:
        if name in models:
            raise Refusal("ValidationException", f'Cannot create already existing model "{arn}".')
        models[name] = {**call.parameters, "ModelArn": arn, "CreationTime": now()}
        call.sandbox.documents.changed()
    return {"ModelArn": arn}


@operation("DescribeModel", named("model", "ModelName"))
def describe_model(call: Call) -> Answer:
    """Show a model."""
    return public(found(call, call.parameters["ModelName"]))


@operation("ListModels")
def list_models(call: Call) -> Answer:
    """List models, the newest first unless asked otherwise."""
    models, more = page(call.table(KIND).values(), call.parameters, "ModelName")
    return {"Models": models, **more}


@operation("DeleteModel", named("model", "ModelName"))
def delete_model(call: Call) -> Answer:
    """Delete a model; its artefact stays."""
    name = call.parameters["ModelName"]
    found(call, name)
    del call.table(KIND)[name]
    return {}


def found(call: Call, name: str) -> Document:
    """The model of a name.

    Raises:
        Refusal: there is none.
    """
    model = call.table(KIND).get(name)
    if model is None:
        raise Refusal("ValidationException", f'Could not find model "{call.arn("model", name)}".')
    return model


def resolve(call: Call, model: Document, again: bool = False) -> Content:
    """Image, artefact and variables of a model, those of its package included.

    Args:
        call: who asks.
        model: what CreateModel was given.
        again: it serves already, so whether its package is approved is no question any more.

    Raises:
        Refusal: the model is not one that can be served: several containers, a package that is not approved, no
            artefact.
    """
    containers = [model["PrimaryContainer"]] if model.get("PrimaryContainer") else model.get("Containers") or []
    if len(containers) != 1:
        raise Refusal("ValidationException", "the sandbox serves models of one container: give a PrimaryContainer")
    container = containers[0]
    if not model.get("ExecutionRoleArn"):
        raise Refusal("ValidationException", "ExecutionRoleArn is needed to read the model data")
    if container.get("ModelPackageName"):
        container = _of_package(call, container, again)
    variables = container.get("Environment") or {}
    if sum(len(name) + len(value) for name, value in variables.items()) > _ALL_VARIABLES:
        raise Refusal("ValidationException", "Environment variables have more than 32 KB in all.")
    data = container.get("ModelDataUrl") or (container.get("ModelDataSource") or {}).get("S3DataSource", {}).get(
        "S3Uri"
    )
    if not container.get("Image") or not data:
        raise Refusal("ValidationException", "the sandbox serves models that have an Image and a ModelDataUrl")
    isolated = bool(model.get("EnableNetworkIsolation"))
    return Content(container["Image"], data, variables, model["ExecutionRoleArn"], isolated)


def _of_package(call: Call, container: Document, again: bool) -> Document:
    """The container that a package specifies; another account's package needs that account's consent."""
    package = registry.find(call, container["ModelPackageName"])
    arn = package["ModelPackageArn"]
    if arn.split(":")[4] != call.caller.account:
        permission = Permission("sagemaker:CreateModel", arn)
        if why := refused_because(call.sandbox, call.caller, permission):
            raise denied(call.caller, permission, why)
    if not again and package.get("ModelApprovalStatus") != "Approved":
        why = f"its approval status is {package.get('ModelApprovalStatus')}, it has to be Approved"
        raise Refusal("ValidationException", f"Model package {arn} cannot be used to create a model: {why}.")
    specification: Document = package["InferenceSpecification"]["Containers"][0]
    if specification.get("Environment") and container.get("Environment"):
        message = "Environment variable map cannot be specified both at Model Package and at Model."
        raise Refusal("ValidationException", message)
    return {**specification, "Environment": specification.get("Environment") or container.get("Environment") or {}}
