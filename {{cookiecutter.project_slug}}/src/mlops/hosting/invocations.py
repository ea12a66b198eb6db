"""Invocations: an endpoint is asked, and answers or refuses."""

from dataclasses import dataclass
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from mlops import aws
from mlops.errors import BadInput, Failure
from mlops.hosting import endpoints
from mlops.settings.project import Environment, Settings
from mlops.settings.serving import Batch


@dataclass(frozen=True)
class Prediction:
    """An endpoint's answer, and which version and variant gave it."""

    body: bytes
    content_type: str
    version: int | None
    variant: str


def predict(settings: Settings, environment: Environment, body: bytes, content_type: str, accept: str) -> Prediction:
    """Ask an environment's endpoint.

    Raises:
        BadInput: the model refuses the request, and says why; or the environment has no endpoint.
        NotFound: there is no such endpoint.
        Failure: the model failed, or AWS refuses.
    """
    if isinstance(environment.endpoint, Batch):
        raise BadInput(f"{environment.label} is of kind batch: mlops transform FILE {environment.options}")
    session = aws.session(settings, environment, "deploy")
    endpoint = environment.endpoint_name
    found = endpoints.there(session, environment)
    try:
        answer = invoke(session, endpoint, body, content_type, accept)
    except ClientError as error:
        status, text = refusal(error)
        if status is not None and 400 <= status < 500:
            raise BadInput(f"{endpoint} refuses the request with {status}: {text}") from error
        raise Failure(f"InvokeEndpoint {endpoint}: {aws.reason(error)}") from error
    except BotoCoreError as error:
        raise Failure(f"InvokeEndpoint {endpoint}: {aws.reason(error)}") from error
    return Prediction(
        body=answer["Body"].read(),
        content_type=answer.get("ContentType", ""),
        version=endpoints.version_of(found.config),
        variant=answer.get("InvokedProductionVariant", ""),
    )


def invoke(session: boto3.Session, endpoint: str, body: bytes, content_type: str, accept: str) -> Any:
    """One call of InvokeEndpoint; ClientError is the caller's, since a model's refusal may be what it looks for."""
    runtime = aws.client(session, "sagemaker-runtime")
    return runtime.invoke_endpoint(EndpointName=endpoint, Body=body, ContentType=content_type, Accept=accept)


def refusal(error: ClientError) -> tuple[int | None, str]:
    """The status and text with which the container answered; no status when it was SageMaker that refused."""
    response: Any = error.response
    status = response.get("OriginalStatusCode")
    text = " ".join(str(response.get("OriginalMessage") or response.get("Error", {}).get("Message", "")).split())
    return (int(status) if status is not None else None), text
