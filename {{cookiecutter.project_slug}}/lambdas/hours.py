"""The function that starts and stops endpoints: schedules call it, and the event that an endpoint is in service."""

import os
from typing import Any

import boto3
from aws_lambda_powertools import Logger

from lambdas.events import Ignored, text
from mlops.hosting import schedule

DEEDS = {"stop": schedule.stop, "start": schedule.start, "restore": schedule.restore}

SERVING = ("IN_SERVICE", "INSERVICE")
"""SageMaker writes the status otherwise in its event than in DescribeEndpoint's answer."""

logger = Logger(service="hours")


def handler(event: Any, context: Any) -> dict[str, Any]:
    """Stop or start an endpoint, or let one that has started scale as it did. Doing it twice does it once.

    Raises:
        Failure: something is going on with the endpoint, or AWS refuses; Lambda tries again, then puts the event aside.
    """
    try:
        deed, endpoint = wanted(event)
    except Ignored as why:
        logger.warning("ignored", extra={"why": str(why)})
        return {"done": None}
    done = DEEDS[deed](boto3.Session(), os.environ["BUCKET"], endpoint).done
    logger.info(done, extra={"endpoint": endpoint})
    return {"done": done}


def wanted(event: Any) -> tuple[str, str]:
    """What to do with which endpoint.

    Raises:
        Ignored: the event is another one's, or not in its form.
    """
    if isinstance(event, dict) and "action" in event:
        deed, endpoint = text(event, "action"), text(event, "endpoint")
    else:
        deed, endpoint = "restore", in_service(event)
    if deed not in DEEDS or endpoint not in os.environ["ENDPOINTS"].split(","):
        raise Ignored(f"{deed[:100]} of {endpoint[:100]} is not this function's")
    return deed, endpoint


def in_service(event: Any) -> str:
    """The endpoint that an event of SageMaker tells to be in service.

    Raises:
        Ignored: it is another event, or tells of another state.
    """
    kind, endpoint = text(event, "detail-type"), text(event, "detail", "EndpointName")
    status = text(event, "detail", "EndpointStatus")
    if kind != "SageMaker Endpoint State Change" or status.upper() not in SERVING:
        raise Ignored(f"{endpoint[:100]} is {status[:100]}")
    return endpoint
