"""Requests to the services that moto answers, S3 apart: their operation and the permissions that it needs."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs

from sandbox import backends, resources
from sandbox.authorization import Permission, weighed
from sandbox.operations import Caller, Refusal
from sandbox.sandbox import Sandbox

_MOST_POINTS = 1440
_PREFIXES = {"monitoring": "cloudwatch"}
"""Services whose prefix in IAM is not their signing name."""


def operation_of(environ: Mapping[str, Any], parameters: Mapping[str, Any]) -> str:
    """The name of the operation that a request asks for."""
    target = environ.get("HTTP_X_AMZ_TARGET", "")
    if target:
        return str(target).rpartition(".")[2]
    path = environ.get("PATH_INFO", "/")
    if "/operation/" in path:
        return str(path).rpartition("/")[2]
    return str(parameters.get("Action") or f"{environ['REQUEST_METHOD']} {path}")


def parameters_of(environ: Mapping[str, Any], body: bytes) -> dict[str, Any]:
    """The parameters of a query or JSON request by their names; lists of a query as `Name.member.1` and so on."""
    if environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded"):
        text = body.decode() or environ.get("QUERY_STRING", "")
        return {name: values[0] for name, values in parse_qs(text, keep_blank_values=True).items()}
    if environ.get("HTTP_X_AMZ_TARGET") and body:
        return dict(json.loads(body))
    return {}


def permission(service: str, operation: str, parameters: Mapping[str, Any], caller: Caller) -> list[Permission]:
    """What a caller has to be allowed for an operation, on the resources that its parameters name."""
    action = f"{_PREFIXES.get(service, service)}:{operation}"
    context = {"cloudwatch:namespace": [parameters["Namespace"]]} if "Namespace" in parameters else {}
    return [Permission(action, arn, context) for arn in resources.of(service, parameters, caller)]


def check(operation: str, parameters: Mapping[str, Any]) -> None:
    """Refuse what CloudWatch refuses and moto answers: more datapoints than one answer holds."""
    if operation != "GetMetricStatistics" or not {"StartTime", "EndTime", "Period"} <= parameters.keys():
        return
    points = (_moment(parameters["EndTime"]) - _moment(parameters["StartTime"])) / float(parameters["Period"])
    if points > _MOST_POINTS:
        raise Refusal(
            "InvalidParameterCombination",
            f"You have requested up to {math.ceil(points):,} datapoints, which exceeds the limit of {_MOST_POINTS:,}. "
            "You may reduce the datapoints requested by increasing Period, or decreasing the time range.",
        )


def _moment(given: Any) -> float:
    """A time in seconds: JSON has it so, a query as text."""
    return float(given) if isinstance(given, int | float) else datetime.fromisoformat(str(given)).timestamp()


def simulate(sandbox: Sandbox, parameters: Mapping[str, str]) -> str:
    """IAM's SimulatePrincipalPolicy, which moto does not answer; the SageMaker SDK asks it about its role."""
    arn = parameters["PolicySourceArn"]
    account, name = arn.split(":")[4], arn.rpartition("/")[2]
    if backends.role(account, name) is None:
        raise Refusal("NoSuchEntity", f"The role with name {name} cannot be found.", 404)
    role = Caller(account, "us-east-1", f"arn:aws:sts::{account}:assumed-role/{name}/simulation", name)
    asked = resources.members(parameters, "ResourceArns") or ["*"]
    results = "".join(
        f"<member><EvalActionName>{action}</EvalActionName><EvalResourceName>{resource}</EvalResourceName>"
        f"<EvalDecision>{_decision(sandbox, role, action, resource)}</EvalDecision>"
        "<MatchedStatements/><MissingContextValues/></member>"
        for action in resources.members(parameters, "ActionNames")
        for resource in asked
    )
    return (
        '<SimulatePrincipalPolicyResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/">'
        f"<SimulatePrincipalPolicyResult><IsTruncated>false</IsTruncated><EvaluationResults>{results}"
        "</EvaluationResults></SimulatePrincipalPolicyResult></SimulatePrincipalPolicyResponse>"
    )


def _decision(sandbox: Sandbox, role: Caller, action: str, resource: str) -> str:
    why = weighed(sandbox, role, Permission(action, resource))
    return "allowed" if why is None else "explicitDeny" if "explicitly" in why else "implicitDeny"
