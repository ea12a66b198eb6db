"""What a request to a service that moto answers is about: the resources that its parameters name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

from sandbox import backends
from sandbox.operations import Caller

_GIVEN = ("ResourceArn", "ResourceARN", "resourceArn", "resourceARN", "TopicArn", "OpenIDConnectProviderArn")
"""Parameters that hold the whole ARN."""

_ARNS = {
    "dynamodb": {"TableName": "arn:aws:dynamodb:{here}:table/{name}"},
    "ecr": {
        "repositoryName": "arn:aws:ecr:{here}:repository/{name}",
        "repositoryNames": "arn:aws:ecr:{here}:repository/{name}",
    },
    "events": {"Name": "arn:aws:events:{here}:rule/{name}", "Rule": "arn:aws:events:{here}:rule/{name}"},
    "lambda": {"FunctionName": "arn:aws:lambda:{here}:function:{name}"},
    "monitoring": {
        "AlarmName": "arn:aws:cloudwatch:{here}:alarm:{name}",
        "AlarmNames": "arn:aws:cloudwatch:{here}:alarm:{name}",
        "DashboardName": "arn:aws:cloudwatch::{account}:dashboard/{name}",
    },
    "scheduler": {"Name": "arn:aws:scheduler:{here}:schedule/default/{name}"},
    "sns": {"Name": "arn:aws:sns:{here}:{name}"},
    "sqs": {"QueueName": "arn:aws:sqs:{here}:{name}", "QueueUrl": "arn:aws:sqs:{here}:{name}"},
}
"""Service → parameter → the ARN of what it names."""

_BY_PATH = ("lambda", "scheduler")
"""Services whose operations are told by the path of a request."""


def of(service: str, parameters: Mapping[str, Any], caller: Caller) -> list[str]:
    """The ARNs of what a request is about; `*` when it is about nothing in particular."""
    here = f"{caller.region}:{caller.account}"
    if given := [str(parameters[name]) for name in _GIVEN if str(parameters.get(name, "")).startswith("arn:")]:
        return given
    found = [
        name if name.startswith("arn:") else pattern.format(here=here, account=caller.account, name=_last(name))
        for parameter, pattern in _ARNS.get(service, {}).items()
        for name in members(parameters, parameter)
        if name
    ]
    return found or _others(service, parameters, caller, here)


def _others(service: str, parameters: Mapping[str, Any], caller: Caller, here: str) -> list[str]:
    match service:
        case "logs":
            group = parameters.get("logGroupName") or parameters.get("logGroupNamePrefix")
            stream = parameters.get("logStreamName")
            return [f"arn:aws:logs:{here}:log-group:{group or '*'}:{f'log-stream:{stream}' if stream else '*'}"]
        case "kms" if "KeyId" in parameters:
            name = str(parameters["KeyId"])
            full = name if name.startswith("arn:") else f"arn:aws:kms:{here}:{_key_name(name)}"
            key = backends.key(full)
            return [str(key.arn) if key else full]
        case "secretsmanager" if "SecretId" in parameters:
            # The service puts six characters of its own behind the name.
            name = str(parameters["SecretId"])
            secret = backends.backends(service)[caller.account][caller.region].secrets.get(name)
            return [
                name
                if name.startswith("arn:")
                else str(secret.arn)
                if secret
                else f"arn:aws:{service}:{here}:secret:{name}"
            ]
        case "iam" if "RoleName" in parameters:
            role = backends.role(caller.account, parameters["RoleName"])
            return [str(role.arn) if role else f"arn:aws:iam::{caller.account}:role/{parameters['RoleName']}"]
        case "iam" if "PolicySourceArn" in parameters or "PolicyArn" in parameters:
            return [str(parameters.get("PolicySourceArn") or parameters["PolicyArn"])]
    return ["*"]


def members(parameters: Mapping[str, Any], name: str) -> list[str]:
    """The values of a parameter: one, or a list, which a query sends as `Name.member.1` and so on."""
    given = parameters.get(name)
    if given is not None:
        return [str(each) for each in given] if isinstance(given, list) else [str(given)]
    numbered = [(key, value) for key, value in parameters.items() if key.startswith(f"{name}.member.")]
    return [value for _, value in sorted(numbered, key=lambda each: int(each[0].rpartition(".")[2]))]


def by_path(service: str, method: str, path: str) -> tuple[str, dict[str, str]] | None:
    """The operation of a request that tells it by its path, and the parameters in that; None for other services."""
    for operation, wanted, pattern in _paths(service) if service in _BY_PATH else ():
        if wanted == method and (match := pattern.fullmatch(path.rstrip("/"))):
            return operation, {name: unquote(value) for name, value in match.groupdict().items()}
    return None


@lru_cache
def _paths(service: str) -> list[tuple[str, str, re.Pattern[str]]]:
    """Each operation of a service with its method and path, as botocore describes them."""
    from botocore.session import Session

    model = Session().get_service_model(service)
    found = []
    for name in model.operation_names:
        http = model.operation_model(name).http
        path = re.escape(http["requestUri"].partition("?")[0].rstrip("/"))
        found.append((name, http["method"], re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", path))))
    return found


def _last(name: str) -> str:
    """The name at the end of an address, as of a queue."""
    return name.rpartition("/")[2] if name.startswith("http") else name


def _key_name(name: str) -> str:
    return name if name.startswith("alias/") else f"key/{name}"
