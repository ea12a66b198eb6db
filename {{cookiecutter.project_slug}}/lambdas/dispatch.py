"""The function that starts workflows: a model was approved, a job has ended, an alarm on drift fires."""

import os
from functools import cache
from typing import Any

import boto3
from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent_function,
)

from lambdas import github
from lambdas.events import Dispatch, Ignored, Watched, meaning
from lambdas.github import App

REMEMBERED_SECONDS = 900
"""How long the second of two events that mean the same is known by the first."""

logger = Logger(service="dispatch")


def handler(event: Any, context: Any) -> dict[str, Any]:
    """Start the workflow that an event means, once. One that means none ends here, with a line in the log.

    Raises:
        Refused: GitHub did not start it; Lambda sends the event again, and in the end puts it aside.
    """
    try:
        wanted = meaning(event, Watched.from_variables())
    except Ignored as why:
        logger.warning("ignored", extra={"why": str(why)})
        return {"started": None}
    remembered().register_lambda_context(context)
    result: dict[str, Any] = once()(wanted={"key": wanted.key, "workflow": wanted.workflow, "inputs": wanted.inputs})
    return result


def started(wanted: dict[str, Any]) -> dict[str, Any]:
    """Start a workflow."""
    dispatch = Dispatch(**wanted)
    github.start(app(), os.environ["GITHUB_REPOSITORY"], os.environ["GITHUB_REF"], dispatch)
    logger.info("started", extra={"workflow": dispatch.workflow, "inputs": dispatch.inputs})
    return {"started": dispatch.workflow}


@cache
def once() -> Any:
    """`started`, which for an event that comes again answers what it answered, and does nothing."""
    return idempotent_function(
        started,
        data_keyword_argument="wanted",
        persistence_store=DynamoDBPersistenceLayer(table_name=os.environ["EVENTS_TABLE"]),
        config=remembered(),
    )


@cache
def remembered() -> IdempotencyConfig:
    """Events are the same when their keys are."""
    return IdempotencyConfig(event_key_jmespath="key", expires_after_seconds=REMEMBERED_SECONDS)


def app() -> App:
    """The App. Its secret is read for each event, so that a new key is taken up at once."""
    secret = boto3.client("secretsmanager").get_secret_value(SecretId=os.environ["APP_SECRET"])
    return App.from_secret(secret["SecretString"])
