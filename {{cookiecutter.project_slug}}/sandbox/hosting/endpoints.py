"""Endpoints: made, described, updated and deleted through the API."""

from __future__ import annotations

from sandbox.documents import Document, now, public
from sandbox.hosting import alarms, configurations, deployments, rollout, scaling, traffic
from sandbox.hosting.deployments import Deployment
from sandbox.operations import Answer, Call, Refusal, named, operation
from sandbox.pages import page


def _endpoint_and_configuration(call: Call) -> list[str]:
    return [
        call.arn("endpoint", call.parameters["EndpointName"]),
        call.arn("endpoint-config", call.parameters["EndpointConfigName"]),
    ]


@operation("CreateEndpoint", _endpoint_and_configuration)
def create_endpoint(call: Call) -> Answer:
    """Make an endpoint; it is Creating until its servers answer."""
    name, arn = call.parameters["EndpointName"], call.arn("endpoint", call.parameters["EndpointName"])
    configuration = configurations.found(call, call.parameters["EndpointConfigName"])
    with call.sandbox.documents.lock:
        endpoints = deployments.table(call)
        if name in endpoints:
            raise Refusal("ValidationException", f'Cannot create already existing endpoint "{arn}".')
        fleet = deployments.fleet_of(call, name, configuration)
        endpoint: Document = {
            **{key: value for key, value in call.parameters.items() if key not in ("Tags", "DeploymentConfig")},
            "EndpointArn": arn,
            "EndpointStatus": "Creating",
            "CreationTime": now(),
            "LastModifiedTime": now(),
        }
        endpoints[name] = endpoint
        call.sandbox.documents.changed()
    Deployment(call.sandbox, call.caller.account, call.caller.region, endpoint, fleet).create()
    return {"EndpointArn": arn}


@operation("DescribeEndpoint", named("endpoint", "EndpointName"))
def describe_endpoint(call: Call) -> Answer:
    """Show an endpoint, with the variants that serve and the deployment that is under way."""
    with call.sandbox.documents.lock:
        endpoint = found(call)
        shown = public(endpoint)
        configuration = call.table(configurations.KIND).get(endpoint["EndpointConfigName"])
        if configuration:
            if endpoint["EndpointStatus"] not in ("Creating", "Failed"):
                shown.update(deployments.summaries(call, configuration, endpoint.get("_variants") or {}))
            if capture := configuration.get("DataCaptureConfig"):
                shown["DataCaptureConfig"] = {
                    "EnableCapture": bool(capture.get("EnableCapture")),
                    "CaptureStatus": "Started" if capture.get("EnableCapture") else "Stopped",
                    "CurrentSamplingPercentage": capture["InitialSamplingPercentage"],
                    "DestinationS3Uri": capture["DestinationS3Uri"],
                    "KmsKeyId": capture.get("KmsKeyId", ""),
                }
        if endpoint.get("_next"):
            coming = configurations.found(call, endpoint["_next"])
            pending = {"EndpointConfigName": endpoint["_next"], "StartTime": endpoint["LastModifiedTime"]}
            shown["PendingDeploymentSummary"] = {**pending, **deployments.summaries(call, coming, {})}
    return shown


@operation("ListEndpoints")
def list_endpoints(call: Call) -> Answer:
    """List endpoints, the newest first unless asked otherwise."""
    wanted = call.parameters.get("StatusEquals")
    known = [each for each in deployments.table(call).values() if wanted in (None, each["EndpointStatus"])]
    endpoints, more = page(known, call.parameters, "EndpointName")
    return {"Endpoints": endpoints, **more}


@operation("UpdateEndpoint", _endpoint_and_configuration)
def update_endpoint(call: Call) -> Answer:
    """Deploy another configuration: blue/green, the traffic shifted as the DeploymentConfig says."""
    given = call.parameters
    with call.sandbox.documents.lock:
        endpoint = found(call)
        _settled(endpoint)
        if endpoint["EndpointStatus"] == "Failed":
            raise _refused(f'Cannot update failed endpoint "{endpoint["EndpointArn"]}": it can only be deleted.')
        configuration = configurations.found(call, given["EndpointConfigName"])
        if configuration["EndpointConfigName"] == endpoint["EndpointConfigName"]:
            raise _refused(
                f'Cannot update endpoint "{endpoint["EndpointArn"]}" to the endpoint configuration that it has already.'
            )
        _not_to_serverless(call, endpoint, configuration)
        current = configurations.found(call, endpoint["EndpointConfigName"])
        scaling.same_instance_types(call, endpoint, current, configuration)
        kept = endpoint.get("LastDeploymentConfig") if given.get("RetainDeploymentConfig") else None
        deployment = given.get("DeploymentConfig") or kept
        retained = _properties(endpoint, current, configuration) if given.get("RetainAllVariantProperties") else {}
        steps = rollout.plan(deployment, _with_instances(configuration, retained))
        watched = _alarms(call, deployment)
        if deployment:
            _same_variants(call, endpoint, configuration)
        fleet = deployments.fleet_of(call, endpoint["EndpointName"], configuration)
        endpoint.pop("FailureReason", None)
        endpoint.update(_next=configuration["EndpointConfigName"], EndpointStatus="Updating", LastModifiedTime=now())
        if deployment:
            endpoint["LastDeploymentConfig"] = deployment
        endpoint["_variants"] = retained
        call.sandbox.documents.changed()
    deploying = Deployment(call.sandbox, call.caller.account, call.caller.region, endpoint, fleet)
    deploying.update(steps, watched, deployments.serving(call, endpoint))
    return {"EndpointArn": endpoint["EndpointArn"]}


@operation("UpdateEndpointWeightsAndCapacities", named("endpoint", "EndpointName"))
def update_weights_and_capacities(call: Call) -> Answer:
    """Change weights and instance counts of variants that serve."""
    with call.sandbox.documents.lock:
        endpoint = found(call)
        _settled(endpoint)
        configuration = configurations.found(call, endpoint["EndpointConfigName"])
        names = {variant["VariantName"] for variant in configurations.variants(configuration)}
        changed = dict(endpoint.get("_variants") or {})
        for desired in call.parameters["DesiredWeightsAndCapacities"]:
            name = desired["VariantName"]
            if name not in names:
                raise _refused(f'The variant name(s) "{name}" is not present within endpoint configuration.')
            changed[name] = {**changed.get(name, {}), **desired}
        endpoint.update(_variants=changed, LastModifiedTime=now())
        call.sandbox.documents.changed()
    return {"EndpointArn": endpoint["EndpointArn"]}


@operation("DeleteEndpoint", named("endpoint", "EndpointName"))
def delete_endpoint(call: Call) -> Answer:
    """Delete an endpoint and end its servers; models and configurations stay."""
    with call.sandbox.documents.lock:
        endpoint = found(call)
        _settled(endpoint)
        scaling.end(call, endpoint, call.table(configurations.KIND).get(endpoint["EndpointConfigName"]))
        del deployments.table(call)[endpoint["EndpointName"]]
        call.sandbox.documents.changed()
    traffic.close(call.sandbox, endpoint["EndpointArn"])
    endpoint["EndpointStatus"] = "Deleting"
    deployments.announce(call.sandbox, call.caller.account, call.caller.region, endpoint)
    return {}


def found(call: Call) -> Document:
    """The endpoint that a request names.

    Raises:
        Refusal: there is none.
    """
    name = call.parameters["EndpointName"]
    endpoint = deployments.table(call).get(name)
    if endpoint is None:
        raise _refused(f'Could not find endpoint "{call.arn("endpoint", name)}".')
    return endpoint


def _settled(endpoint: Document) -> None:
    if endpoint["EndpointStatus"] not in ("InService", "Failed"):
        raise _refused(f'Cannot update in-progress endpoint "{endpoint["EndpointArn"]}".')


def _alarms(call: Call, deployment: Document | None) -> list[str]:
    listed = ((deployment or {}).get("AutoRollbackConfiguration") or {}).get("Alarms") or []
    names = [alarm["AlarmName"] for alarm in listed]
    alarms.exist(call.caller.account, call.caller.region, names)
    return names


def _properties(endpoint: Document, current: Document, coming: Document) -> dict[str, Document]:
    """The instances and weights that the variants have now, of those that stay: also when nobody has changed them."""
    stay = {variant["VariantName"] for variant in coming["ProductionVariants"] if not variant.get("ServerlessConfig")}
    changed = endpoint.get("_variants") or {}
    return {
        variant["VariantName"]: {
            "VariantName": variant["VariantName"],
            "DesiredInstanceCount": variant["InitialInstanceCount"],
            "DesiredWeight": variant.get("InitialVariantWeight", 1.0),
            **changed.get(variant["VariantName"], {}),
        }
        for variant in current["ProductionVariants"]
        if variant["VariantName"] in stay and not variant.get("ServerlessConfig")
    }


def _with_instances(configuration: Document, properties: dict[str, Document]) -> Document:
    """A configuration whose variants have other numbers of instances than it says."""
    variants = [
        {**variant, "InitialInstanceCount": properties[variant["VariantName"]]["DesiredInstanceCount"]}
        if variant["VariantName"] in properties
        else variant
        for variant in configuration["ProductionVariants"]
    ]
    return {**configuration, "ProductionVariants": variants}


def _not_to_serverless(call: Call, endpoint: Document, configuration: Document) -> None:
    current = configurations.found(call, endpoint["EndpointConfigName"])
    if configurations.is_serverless(configuration) and not configurations.is_serverless(current):
        raise _refused(
            f'Endpoint "{endpoint["EndpointArn"]}" is instance-based and cannot be converted to a serverless endpoint.'
        )


def _same_variants(call: Call, endpoint: Document, configuration: Document) -> None:
    """With deployment guardrails the variants keep their names: the alarms watch them by name."""
    current = configurations.found(call, endpoint["EndpointConfigName"])
    old, new = ({each["VariantName"] for each in one["ProductionVariants"]} for one in (current, configuration))
    if old != new:
        raise _refused(
            "The production variants of the new endpoint configuration must have the names of the current ones: "
            f"{', '.join(sorted(old))}; they have {', '.join(sorted(new))}."
        )


def _refused(message: str) -> Refusal:
    return Refusal("ValidationException", message)
