"""A round of the duel: a captured request that both are asked again, and whose failure it is when one is silent."""

import time
import uuid
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from mlops import aws
from mlops.monitoring import captures, predictionlog
from mlops.monitoring.captures import Captured, Side
from mlops.settings.project import Environment


@dataclass(frozen=True)
class Row:
    """One prediction of both: its request, its place in it, and what each answered."""

    request: str
    row: int
    champion: Any
    challenger: Any


@dataclass(frozen=True)
class Round:
    """A request that both were asked: the milliseconds that each took, and the rows of their answers."""

    champion_ms: float
    challenger_ms: float
    rows: list[Row]


@dataclass(frozen=True)
class Lost:
    """A request that says nothing: who did not answer it, or not with as many rows, and why."""

    by_challenger: bool
    by_champion: bool
    why: str


def fought(
    session: boto3.Session, champion: Environment, challenger: Environment, request: Captured, challenger_first: bool
) -> Round | Lost:
    """Ask both the same, one after the other, and say whose failure it was when one does not answer.

    The champion is asked again for its time alone: what it answered is what it answered then. Who is asked first takes
    turns: what the first has warmed up serves the second.

    Args:
        session: may ask both.
        champion: whose endpoint has captured the request.
        challenger: who has to answer row by row as the champion did.
        request: what was asked.
        challenger_first: whose turn it is.
    """
    answers: dict[str, tuple[float, Side]] = {}
    why: dict[str, str] = {}
    both = (challenger.endpoint_name, champion.endpoint_name)
    for endpoint in both if challenger_first else reversed(both):
        try:
            answers[endpoint] = ask(session, endpoint, request)
        except (ClientError, BotoCoreError) as error:
            why[endpoint] = f"{endpoint}: {aws.reason(error)}"
    if why:
        first = next(iter(why.values()))
        return Lost(challenger.endpoint_name in why, champion.endpoint_name in why, first)
    (challenger_ms, answer), (champion_ms, _) = (answers[endpoint] for endpoint in both)
    then, now = (predictionlog.pairs(request.asked, each) for each in (request.answered, answer))
    if len(then) != len(now):
        return Lost(True, False, f"{both[0]}: {len(now)} rows came back, the champion gave {len(then)}")
    rows = [Row(request.request, at, old[1], new[1]) for at, (old, new) in enumerate(zip(then, now, strict=True))]
    return Round(champion_ms, challenger_ms, rows)


def ask(session: boto3.Session, endpoint: str, request: Captured) -> tuple[float, Side]:
    """Ask an endpoint once, under an id by which it is not taken for a client's request later."""
    begun = time.perf_counter()
    answer = aws.client(session, "sagemaker-runtime").invoke_endpoint(
        EndpointName=endpoint,
        Body=request.asked.text.encode(),
        ContentType=request.asked.content_type,
        Accept=request.answered.content_type,
        InferenceId=f"{captures.REPLAYED}{uuid.uuid4()}",
    )
    text = answer["Body"].read().decode("utf-8", errors="replace")
    return 1000 * (time.perf_counter() - begun), Side(answer.get("ContentType", ""), text, is_text=True)
