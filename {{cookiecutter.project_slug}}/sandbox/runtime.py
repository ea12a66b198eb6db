"""SageMaker Runtime: invocations of endpoints, whose parameters travel in headers and whose body is the payload."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from botocore.model import OperationModel

from sandbox import shapes
from sandbox.operations import Answer, Call, Caller, Refusal, find
from sandbox.sandbox import Sandbox

_OPERATIONS = {
    "invocations": "InvokeEndpoint",
    "async-invocations": "InvokeEndpointAsync",
    "invocations-response-stream": "InvokeEndpointWithResponseStream",
}
_PATH = re.compile(r"/endpoints/([^/]+)/([a-z-]+)")


def is_invocation(path: str) -> bool:
    """Whether a request to `sagemaker` is one to its runtime: they share the signing name."""
    return path.startswith("/endpoints/")


def call_of(sandbox: Sandbox, caller: Caller, environ: Mapping[str, Any], body: bytes) -> Call:
    """An invocation as the operations take it: header parameters by name, the payload as `Body`."""
    found = _PATH.fullmatch(environ.get("PATH_INFO", ""))
    if not found or found[2] not in _OPERATIONS:
        raise Refusal("UnknownOperationException", f"no operation has the path {environ.get('PATH_INFO')}", 404)
    name = _OPERATIONS[found[2]]
    find(name)
    shape = _model(name).input_shape
    assert shape is not None
    parameters: dict[str, Any] = {"EndpointName": found[1], "Body": body}
    for member, described in shape.members.items():
        value = environ.get(_variable(described.serialization.get("name", "")))
        if described.serialization.get("location") == "header" and value:
            parameters[member] = int(value) if described.type_name == "integer" else value
    shapes.check(shape, parameters)
    return Call(name, parameters, caller, sandbox)


def wire(call: Call, answer: Answer) -> tuple[bytes, list[tuple[str, str]]]:
    """Body and headers of the answer to an invocation."""
    shape = _model(call.operation).output_shape
    assert shape is not None
    headers = [
        (described.serialization["name"], str(answer[name]))
        for name, described in shape.members.items()
        if described.serialization.get("location") == "header" and answer.get(name) is not None
    ]
    body = answer.get("Body", b"")
    return (body if isinstance(body, bytes) else str(body).encode()), headers


def _model(name: str) -> OperationModel:
    return shapes.service("sagemaker-runtime").operation_model(name)


def _variable(header: str) -> str:
    name = header.upper().replace("-", "_")
    return name if name == "CONTENT_TYPE" else f"HTTP_{name}"
