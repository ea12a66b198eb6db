"""Invocations: a request goes to a variant's server, its answer back, and both leave metrics and captured data."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from sandbox.documents import Document
from sandbox.hosting import capture, deployments, metrics
from sandbox.hosting.fleet import Fleet
from sandbox.hosting.servers import Answer, NoAnswer, Unhealthy
from sandbox.hosting.traffic import Traffic
from sandbox.operations import Answer as Output
from sandbox.operations import Call, Refusal, named, operation

_SHADOWS = ThreadPoolExecutor(max_workers=4, thread_name_prefix="shadow")
_TIMED_OUT = "Your invocation timed out while waiting for a response from container primary."


@dataclass(frozen=True)
class _Request:
    """An invocation on its way."""

    call: Call
    endpoint: Document
    body: bytes
    content_type: str
    accept: str

    def headers(self) -> dict[str, str]:
        given = self.call.parameters.get("CustomAttributes")
        custom = {"X-Amzn-SageMaker-Custom-Attributes": given} if given else {}
        return {"Content-Type": self.content_type, "Accept": self.accept, **custom}


@operation("InvokeEndpoint", named("endpoint", "EndpointName"))
def invoke_endpoint(call: Call) -> Output:
    """Have an endpoint's model answer a request."""
    started = time.perf_counter()
    endpoint = _in_service(call)
    given = call.parameters
    accept = given.get("Accept") or "application/json"
    request = _Request(
        call,
        endpoint,
        given.get("Body") or b"",
        given.get("ContentType") or "application/octet-stream",
        "application/json" if accept == "*/*" else accept,
    )
    traffic = deployments.serving(call, endpoint)
    fleet = traffic.choose()
    while not fleet.enter():
        fleet = traffic.choose()
    try:
        variant = _variant(call, endpoint, fleet, traffic)
        answer = _ask(request, fleet, variant)
    finally:
        fleet.leave()
    _mirror(request, fleet, traffic)
    overhead = time.perf_counter() - started - answer.seconds
    _measure(request, variant, answer, overhead)
    if not 200 <= answer.status < 300:
        raise _model_error(call, answer)
    return {"Body": answer.body, "ContentType": answer.content_type, "InvokedProductionVariant": variant}


def _in_service(call: Call) -> Document:
    name = call.parameters["EndpointName"]
    endpoint = deployments.table(call).get(name)
    if endpoint is None or endpoint["EndpointStatus"] in ("Creating", "Failed", "Deleting"):
        raise Refusal("ValidationError", f"Endpoint {name} of account {call.caller.account} not found.")
    return endpoint


def _variant(call: Call, endpoint: Document, fleet: Fleet, traffic: Traffic) -> str:
    """The variant that was asked for, or the one whose turn it is by weight."""
    changed = endpoint.get("_variants") or {}
    weights = {
        variant["VariantName"]: changed.get(variant["VariantName"], {}).get(
            "DesiredWeight", variant.get("InitialVariantWeight", 1.0)
        )
        for variant in fleet.configuration["ProductionVariants"]
    }
    wanted = call.parameters.get("TargetVariant")
    if wanted is None:
        return next(iter(weights)) if len(weights) == 1 else traffic.variants.next(weights)
    if wanted not in weights:
        raise Refusal("ValidationError", f"Variant {wanted} is not found for Endpoint {endpoint['EndpointName']}.")
    return str(wanted)


def _ask(request: _Request, fleet: Fleet, variant: str) -> Answer:
    """The server's answer; one that does not come counts as a 500 of the model's."""
    started = time.perf_counter()
    try:
        answer = fleet.server(variant).invoke(request.body, request.headers())
    except (NoAnswer, Unhealthy) as problem:
        message = _TIMED_OUT if "timed out" in str(problem) else str(problem)
        answer = Answer(500, message.encode(), "text/plain", time.perf_counter() - started)
    _capture(request, fleet, variant, answer)
    return answer


def _mirror(request: _Request, fleet: Fleet, traffic: Traffic) -> None:
    """Send a copy to the shadow variant, as many as its weight asks for; nobody waits for what it answers."""
    for shadow in fleet.configuration.get("ShadowProductionVariants") or []:
        production = fleet.configuration["ProductionVariants"][0].get("InitialVariantWeight", 1.0)
        share = min(1.0, shadow.get("InitialVariantWeight", 1.0) / production)
        if traffic.shadows.next({"copy": share, "none": 1 - share}) == "copy":
            _SHADOWS.submit(_shadow, request, fleet, shadow["VariantName"])


def _shadow(request: _Request, fleet: Fleet, variant: str) -> None:
    if fleet.enter():
        try:
            _measure(request, variant, _ask(request, fleet, variant), 0.0)
        finally:
            fleet.leave()


def _measure(request: _Request, variant: str, answer: Answer, overhead: float) -> None:
    values = {
        "Invocations": 1.0,
        "Invocation4XXErrors": float(400 <= answer.status < 500),
        "Invocation5XXErrors": float(answer.status >= 500),
        "InvocationModelErrors": float(not 200 <= answer.status < 300),
        "ModelLatency": answer.seconds * 1e6,
        "OverheadLatency": max(0.0, overhead) * 1e6,
    }
    caller = request.call.caller
    metrics.emit(caller.account, caller.region, request.endpoint["EndpointName"], variant, values)


def _capture(request: _Request, fleet: Fleet, variant: str, answer: Answer) -> None:
    settings = fleet.configuration.get("DataCaptureConfig") or {}
    if not settings.get("EnableCapture") or not 200 <= answer.status < 300:
        return
    share = settings["InitialSamplingPercentage"] / 100
    if fleet.samples.next({"take": share, "leave": 1 - share}) != "take":
        return
    sandbox, endpoint = request.call.sandbox, request.endpoint["EndpointName"]
    destination = f"{settings['DestinationS3Uri'].rstrip('/')}/{endpoint}/{variant}"
    place = capture.Place(destination, fleet.contents[variant].role, fleet.region, settings.get("KmsKeyId"))
    inference = request.call.parameters.get("InferenceId")
    event = {"inferenceId": inference} if inference else {}
    asked, answered = (request.body, request.content_type), (answer.body, answer.content_type)
    capture.writer(sandbox).add(place, capture.line(settings, asked, answered, event))


def _model_error(call: Call, answer: Answer) -> Refusal:
    name, text = call.parameters["EndpointName"], answer.body.decode(errors="replace")
    group = f"/aws/sagemaker/Endpoints/{name}"
    where = (
        f"https://{call.caller.region}.console.aws.amazon.com/cloudwatch/home?region={call.caller.region}"
        f"#logEventViewer:group={group} in account {call.caller.account}"
    )
    kind = "server" if answer.status >= 500 else "client"
    return Refusal(
        "ModelError",
        f'Received {kind} error ({answer.status}) from primary with message "{text}". '
        f"See {where} for more information.",
        424,
        {
            "OriginalStatusCode": answer.status,
            "OriginalMessage": text,
            "LogStreamArn": f"arn:aws:logs:{call.caller.region}:{call.caller.account}:log-group:{group}",
        },
    )
