"""The operations of SageMaker that the sandbox answers, each registered under its name in the service's API."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sandbox.sandbox import Sandbox

Answer = dict[str, Any]


class Refusal(Exception):
    """What the service answers instead of doing what was asked.

    Args:
        code: the service's name of the error, such as `ValidationException` or `ResourceNotFound`.
        message: the service's sentence, in its own wording where that is known.
        status: the HTTP status that goes with it.
        fields: further members of the error's shape, such as `OriginalStatusCode` of a ModelError.
    """

    def __init__(self, code: str, message: str, status: int = 400, fields: Mapping[str, Any] | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.message, self.status, self.fields = code, message, status, dict(fields or {})


@dataclass(frozen=True)
class Caller:
    """Who asks: an administrator of an account (`role` is None) or the session of a role."""

    account: str
    region: str
    arn: str
    role: str | None = None


@dataclass
class Call:
    """One request: the operation, its parameters as in botocore (PascalCase), and who asks."""

    operation: str
    parameters: dict[str, Any]
    caller: Caller
    sandbox: Sandbox

    def arn(self, kind: str, name: str) -> str:
        """The ARN of one of the caller's own SageMaker resources; the kind is as in ARNs: `training-job`."""
        return f"arn:aws:sagemaker:{self.caller.region}:{self.caller.account}:{kind}/{name}"

    def table(self, kind: str) -> dict[str, dict[str, Any]]:
        """The documents of one kind in the caller's account and region."""
        return self.sandbox.documents.table(kind, self.caller.account, self.caller.region)


Function = Callable[[Call], Answer]
Resources = Callable[[Call], list[str]]


@dataclass(frozen=True)
class Operation:
    """A function that answers, beside the ARNs on which the caller needs the permission `sagemaker:<name>`."""

    name: str
    answer: Function
    resources: Resources | None = None


_OPERATIONS: dict[str, Operation] = {}


def operation(name: str, resource: Resources | None = None) -> Callable[[Function], Function]:
    """Register the function below as the answer to an operation; without `resource` it is authorised on `*`."""

    def register(function: Function) -> Function:
        if name in _OPERATIONS:
            raise ValueError(f"operation {name} is registered twice")
        _OPERATIONS[name] = Operation(name, function, resource)
        return function

    return register


def find(name: str) -> Operation:
    """The operation of that name, or a refusal that says the sandbox does not have it."""
    if name not in _OPERATIONS:
        message = f"the sandbox does not support {name}; it supports {', '.join(sorted(_OPERATIONS))}"
        raise Refusal("UnknownOperationException", message)
    return _OPERATIONS[name]


def named(kind: str, parameter: str) -> Resources:
    """The one resource whose name is given by a parameter: `named("endpoint", "EndpointName")`."""
    return lambda call: [call.arn(kind, str(call.parameters[parameter]))]
