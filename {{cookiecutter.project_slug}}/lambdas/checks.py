"""The function that checks an endpoint when it comes to serve: what it is held to, what came of it, who is told."""

import os
import time
from functools import cache
from typing import Any

import boto3
from aws_lambda_powertools import Logger

from lambdas import notices
from lambdas.events import Ignored, text
from lambdas.hours import SERVING
from lambdas.results import Result, Results
from mlops.checks import unattended
from mlops.errors import BadInput, NotVerified
from mlops.hosting import endpoints, shadows
from mlops.hosting.endpoints import State

EVENTS = ("SageMaker Endpoint State Change", "SageMaker Endpoint Deployment State Change")

LOOKS, LOOK_SECONDS = 15, 2
"""How often, and how far apart, an endpoint is looked at that still changes: the answer may lag behind the event."""

CHANGES = ("Creating", "Updating", "SystemUpdating")

logger = Logger(service="checks")


def handler(event: Any, context: Any) -> dict[str, Any]:
    """Check an endpoint that is in service, once for what it serves. What fails is told, and nothing is taken back.

    Raises:
        Failure: AWS refuses; Lambda tries again, then puts the event aside.
        Refused: Slack was not told; the next try tells it without another check.
    """
    session = opened()
    try:
        endpoint = wanted(event)
        found = serving(session, endpoint)
    except Ignored as why:
        logger.warning("ignored", extra={"why": str(why)})
        return {"checked": None}
    results = Results(session, os.environ["TABLE"], endpoint)
    of = identity(found, results.line())
    if not results.claim(of, seconds_of(context)):
        logger.warning("ignored", extra={"why": f"{endpoint} is being checked, by an event that came before"})
        return {"checked": None}
    try:
        # Read again: who had the claim before may have just ended.
        line = results.line()
        known = results.known(line, of)
        if known is None:
            known = check(session, endpoint, found, line, of, context)
            results.keep(known)
            logger.info(known.said, extra={"endpoint": endpoint, "passed": known.passed})
        for name, tell in notices.channels().items():
            if name not in known.told:
                tell(session, endpoint, known)
                known = results.told(known, name)
    finally:
        results.release(of)
    return {"checked": endpoint, "passed": known.passed}


@cache
def opened() -> boto3.Session:
    """The session, one for all events: its clients are kept by it."""
    return boto3.Session()


def wanted(event: Any) -> str:
    """The endpoint that an event tells to be in service.

    Raises:
        Ignored: it is another one's, of another state, or not in its form.
    """
    kind, endpoint = text(event, "detail-type"), text(event, "detail", "EndpointName")
    status = text(event, "detail", "EndpointStatus")
    if text(event, "source") != "aws.sagemaker" or kind not in EVENTS or status.upper() not in SERVING:
        raise Ignored(f"{endpoint[:100]} is {status[:100]}")
    if endpoint not in os.environ["ENDPOINTS"].split(","):
        raise Ignored(f"{endpoint[:100]} is not this function's")
    return endpoint


def serving(session: boto3.Session, endpoint: str) -> State:
    """What an endpoint serves now, whatever the event says: it may be late.

    Raises:
        Ignored: it does not serve, or a version that is not to serve yet stands in the shadow; another event follows.
    """
    found = endpoints.state(session, endpoint)
    for _ in range(LOOKS):
        if found is None or found.status not in CHANGES:
            break
        time.sleep(LOOK_SECONDS)
        found = endpoints.state(session, endpoint)
    if found is None or found.status != "InService":
        raise Ignored(f"{endpoint} is {found.status if found else 'not there'} by now")
    if shadows.is_shadowed(found.config):
        raise Ignored(f"{endpoint} has a version in the shadow")
    return found


def identity(found: State, line: dict[str, Any]) -> str:
    """What is checked once: what serves, since when the endpoint is there, and what it is held to.

    So a change of the number of instances checks nothing, and a start in the morning does.
    """
    return f"{found.config} {found.created:%Y-%m-%dT%H:%M:%SZ} {unattended.mark(line, found.config)}"


def check(session: boto3.Session, endpoint: str, found: State, line: dict[str, Any], of: str, context: Any) -> Result:
    """What came of the checks. That they could not be made is a result too, where a second try would end the same."""
    try:
        asked = unattended.asked(line, found.config)
        if asked is None:
            unknown = f"{endpoint} serves {found.config} and was not checked: mlops deploy writes what it is held to"
            return Result(of, passed=None, said=unknown)
        return Result(of, passed=True, said=unattended.check(session, endpoint, asked, lambda: seconds_of(context)))
    except NotVerified as problem:
        return Result(of, passed=False, said=str(problem))
    except BadInput as problem:
        return Result(of, passed=None, said=f"{endpoint} was not checked: {problem}")


def seconds_of(context: Any) -> float:
    """How long this function may still run."""
    return float(context.get_remaining_time_in_millis()) / 1000
