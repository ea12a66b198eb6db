"""Endpoint configurations: which variants serve which models on what, and the rules between these settings."""

from __future__ import annotations

from sandbox.documents import Document, now, public
from sandbox.hosting import models
from sandbox.jobs.storage import split
from sandbox.operations import Answer, Call, Refusal, named, operation
from sandbox.pages import page

KIND = "EndpointConfig"
_MEMORY_STEP = 1024


@operation("CreateEndpointConfig", named("endpoint-config", "EndpointConfigName"))
def create_endpoint_config(call: Call) -> Answer:
    """Make a configuration; it can not be changed afterwards."""
    name = call.parameters["EndpointConfigName"]
    arn = call.arn("endpoint-config", name)
    check(call.parameters)
    for variant in variants(call.parameters):
        model = models.found(call, variant["ModelName"])
        if variant.get("ServerlessConfig") and (model.get("VpcConfig") or model.get("EnableNetworkIsolation")):
            raise _invalid("VPC configuration and network isolation are not supported for serverless endpoints.")
    with call.sandbox.documents.lock:
        configurations = call.table(KIND)
        if name in configurations:
            raise Refusal("ValidationException", f'Cannot create already existing endpoint configuration "{arn}".')
        configurations[name] = {**call.parameters, "EndpointConfigArn": arn, "CreationTime": now()}
        call.sandbox.documents.changed()
    return {"EndpointConfigArn": arn}


@operation("DescribeEndpointConfig", named("endpoint-config", "EndpointConfigName"))
def describe_endpoint_config(call: Call) -> Answer:
    """Show a configuration."""
    return public(found(call, call.parameters["EndpointConfigName"]))


@operation("ListEndpointConfigs")
def list_endpoint_configs(call: Call) -> Answer:
    """List configurations, the newest first unless asked otherwise."""
    configurations, more = page(call.table(KIND).values(), call.parameters, "EndpointConfigName")
    return {"EndpointConfigs": configurations, **more}


@operation("DeleteEndpointConfig", named("endpoint-config", "EndpointConfigName"))
def delete_endpoint_config(call: Call) -> Answer:
    """Delete a configuration that no endpoint uses."""
    name = call.parameters["EndpointConfigName"]
    configuration = found(call, name)
    with call.sandbox.documents.lock:
        for endpoint in call.table("Endpoint").values():
            if name in (endpoint["EndpointConfigName"], endpoint.get("_next")):
                arn = configuration["EndpointConfigArn"]
                why = f"it is used by endpoint {endpoint['EndpointName']}"
                raise Refusal("ValidationException", f'Cannot delete endpoint configuration "{arn}": {why}.')
        del call.table(KIND)[name]
    return {}


def found(call: Call, name: str) -> Document:
    """The configuration of a name.

    Raises:
        Refusal: there is none.
    """
    configuration = call.table(KIND).get(name)
    if configuration is None:
        arn = call.arn("endpoint-config", name)
        raise Refusal("ValidationException", f'Could not find endpoint configuration "{arn}".')
    return configuration


def variants(configuration: Document) -> list[Document]:
    """All variants, those that serve and those in the shadow."""
    return [*configuration["ProductionVariants"], *(configuration.get("ShadowProductionVariants") or [])]


def is_serverless(configuration: Document) -> bool:
    """Whether its endpoint has no instances."""
    return any(variant.get("ServerlessConfig") for variant in configuration["ProductionVariants"])


def check(configuration: Document) -> None:
    """Refuse settings that do not go together.

    Raises:
        Refusal: saying which and why.
    """
    everyone, shadows = variants(configuration), configuration.get("ShadowProductionVariants") or []
    for member in ("AsyncInferenceConfig", "ExplainerConfig"):
        if configuration.get(member):
            raise _invalid(f"the sandbox does not support {member}")
    names = [variant["VariantName"] for variant in everyone]
    if len(set(names)) != len(names):
        raise _invalid(f"Variant names must be unique: {', '.join(names)}")
    if shadows and (len(shadows), len(configuration["ProductionVariants"])) != (1, 1):
        raise _invalid("Shadow mode takes exactly one production variant and one shadow variant.")
    for variant in everyone if shadows else []:
        if str(variant.get("InstanceType", "")).startswith("ml.inf1."):
            raise _invalid(f"Shadow mode is not supported on {variant['InstanceType']}.")
    if sum(variant.get("InitialVariantWeight", 1.0) for variant in configuration["ProductionVariants"]) <= 0:
        raise _invalid("At least one production variant must have a weight greater than 0.")
    for variant in everyone:
        _check_variant(variant)
    if is_serverless(configuration):
        _check_serverless(configuration, everyone)
    if capture := configuration.get("DataCaptureConfig"):
        split(capture["DestinationS3Uri"])


def _check_variant(variant: Document) -> None:
    name = variant["VariantName"]
    if not variant.get("ModelName"):
        raise _invalid(f"variant {name}: the sandbox serves variants with a ModelName, not inference components")
    instances = [member for member in ("InstanceType", "InitialInstanceCount") if variant.get(member)]
    if variant.get("ServerlessConfig"):
        if instances:
            raise _invalid(f"variant {name}: {instances[0]} can not be given together with ServerlessConfig.")
        return
    if len(instances) != 2:
        raise _invalid(f"variant {name}: InstanceType and InitialInstanceCount are required without ServerlessConfig.")


def _check_serverless(configuration: Document, everyone: list[Document]) -> None:
    if len(everyone) > 1:
        raise _invalid("A serverless endpoint has exactly one variant, and no shadow.")
    for member in ("DataCaptureConfig", "KmsKeyId", "VpcConfig"):
        if configuration.get(member):
            raise _invalid(f"{member} is not supported for serverless endpoints.")
    serverless = everyone[0]["ServerlessConfig"]
    if serverless["MemorySizeInMB"] % _MEMORY_STEP:
        raise _invalid(f"MemorySizeInMB {serverless['MemorySizeInMB']} must be 1024 to 6144 in steps of 1024.")
    if serverless.get("ProvisionedConcurrency", 0) > serverless["MaxConcurrency"]:
        raise _invalid("ProvisionedConcurrency must not be more than MaxConcurrency.")


def _invalid(message: str) -> Refusal:
    return Refusal("ValidationException", message)
