"""Who is told what came of an endpoint's checks: the topic of the alarms, and Slack where a secret has its address."""

import http.client
import json
import os
import re
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import boto3

from lambdas.results import Result
from mlops import aws

SECONDS = 10
"""How long Slack may take to answer."""

WEBHOOK = r"https://hooks\.slack\.com/[A-Za-z0-9/_-]{1,300}"
"""An address of an incoming webhook: whatever else the secret holds is sent nothing."""

WORDS = {True: "checked", False: "checks failed", None: "not checked"}
SIGNS = {True: ":white_check_mark:", False: ":x:", None: ":warning:"}
LONGEST_SUBJECT, LONGEST_TEXT = 100, 3000
"""Characters that SNS takes as a subject, and Slack in one piece."""

Tell = Callable[[boto3.Session, str, Result], None]


class Refused(Exception):
    """Slack was not told: the message says why, and never where."""


def channels() -> dict[str, Tell]:
    """Who is told, by the name under which the table notes it."""
    found: dict[str, Tell] = {"sns": publish}
    if os.environ.get("SLACK_SECRET"):
        found["slack"] = post
    return found


def publish(session: boto3.Session, endpoint: str, result: Result) -> None:
    """Tell the topic."""
    topic = os.environ["TOPIC"]
    with aws.explained("Publish", topic):
        aws.client(session, "sns").publish(
            TopicArn=topic, Subject=f"{endpoint}: {WORDS[result.passed]}"[:LONGEST_SUBJECT], Message=result.said
        )


def post(session: boto3.Session, endpoint: str, result: Result) -> None:
    """Tell Slack, whose address is in no log.

    Raises:
        Refused: the secret holds no webhook's address, or Slack refuses or does not answer.
    """
    secret = os.environ["SLACK_SECRET"]
    with aws.explained("GetSecretValue", secret):
        address = str(aws.client(session, "secretsmanager").get_secret_value(SecretId=secret)["SecretString"]).strip()
    if not re.fullmatch(WEBHOOK, address):
        raise Refused("the secret of Slack's webhook does not hold one address https://hooks.slack.com/...")
    body = json.dumps({"text": f"{SIGNS[result.passed]} {escaped(result.said[:LONGEST_TEXT])}"}).encode()
    request = urllib.request.Request(address, data=body, headers={"Content-Type": "application/json"}, method="POST")
    try:
        with opener().open(request, timeout=SECONDS) as answer:
            answer.read()
    except urllib.error.HTTPError as error:
        raise Refused(f"Slack answers {error.code} {error.read(100).decode(errors='replace')}") from None
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise Refused(f"Slack was not reached: {type(error).__name__}") from None


def opener() -> Any:
    """What opens an address over TLS, and goes nowhere else from there."""
    made = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPDefaultErrorHandler(),
    ):
        made.add_handler(handler)
    return made


def escaped(text: str) -> str:
    """A text in which Slack finds no mention and no link: a part of it is what a model answered."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
