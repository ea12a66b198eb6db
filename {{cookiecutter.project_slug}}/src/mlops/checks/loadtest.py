"""A short load test of an endpoint: requests at a steady rate, the time that each took, and how many failed.

A client of our own, after a look at those there are, and what they would cost here:

- Locust 2.47 takes what mlops installs from 51 MB to 83 MB, of 60 that it may have; `import locust` takes 1.1 s of a
  processor, and turns the sockets and threads of the whole process, boto3's too, into gevent's. Its users wait for an
  answer before they ask again: a slow endpoint is asked less, and looks better than it is. Here a request is sent when
  it is due, and waiting counts.
- k6 and vegeta are programs to download in each job, and into the function of Lambda that does the same checks; vegeta
  signs no request for AWS.

What is left are these lines around boto3, which signs as everything else here does.
"""

import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, ResponseStreamingError

from mlops import aws
from mlops.checks import contract
from mlops.checks.contract import Request
from mlops.errors import BadInput, Failure, NotVerified
from mlops.settings.criteria import Load
from mlops.settings.project import Environment, Settings

SHARE = 0.95
"""Of the requests, that have to be answered in time."""

MOST_THREADS = 200

MAY_LOSE = 0.1
"""Share of the requests whose connection may be lost on the way; one may be of few."""

LOST = (HTTPClientError, ResponseStreamingError)
"""What botocore raises when no answer has come: refused, reset, closed, timed out. For a model that hangs SageMaker
answers after 60 seconds, before this client gives up."""


@dataclass(frozen=True)
class Sent:
    """A request of the load test.

    Attributes:
        seconds: how long its answer took; of one that was sent twice, the second time.
        problem: why it failed; empty when it did not.
        lost: why its connection was lost, the first time; empty when it was not.
        answered: whether the endpoint has said anything, good or bad.
    """

    seconds: float
    problem: str
    lost: str = ""
    answered: bool = True


@dataclass(frozen=True)
class Figures:
    """What a load test found.

    Attributes:
        name: of this check, beside those of the contract.
        requests: how many were sent.
        failed: how many of them the endpoint answered with an error.
        rate: requests per second.
        p95_ms: 95 % were answered in less, from the moment that each was due: waiting for a connection counts.
        why: what the first failure was; empty when there was none.
        lost: of how many the connection was lost before an answer; they were sent once more.
        unanswered: how many of those lost it again.
        why_lost: how the first was lost.
    """

    name: str
    requests: int
    failed: int
    rate: float
    p95_ms: float
    why: str
    lost: int = 0
    unanswered: int = 0
    why_lost: str = ""

    def __str__(self) -> str:
        """`30 requests at 10/s: 95 % in 24 ms, 0 failed`."""
        lost = f", {self.lost} lost their connection" if self.lost else ""
        return f"{self.requests} requests at {self.rate:g}/s: 95 % in {self.p95_ms:.0f} ms, {self.failed} failed{lost}"


def run(settings: Settings, environment: Environment, progress: Callable[[str], None]) -> Figures | None:
    """Ask an environment's endpoint as its settings say; None when they ask for no load test.

    Raises:
        BadInput: the contract has no request that the model answers.
        NotVerified: too many requests fail, or the answers take too long.
        Failure: too many lose their connection: the way to the endpoint is at fault, not the model.
    """
    asked = environment.endpoint.load if environment.endpoint else None
    if asked is None:
        return None
    requests = contract.read(settings.root / contract.FILE)
    found = held(aws.session(settings, environment, "deploy"), environment.endpoint_name, requests, asked)
    progress(f"✓ under load: {found}")
    return found


def held(session: boto3.Session, endpoint: str, requests: list[Request], asked: Load) -> Figures:
    """Hold an endpoint to the limits of a load, with the first request of the contract that is to be answered.

    Raises:
        BadInput: the contract has none.
        NotVerified: too many requests fail, or the answers take too long.
        Failure: connections were lost, which says nothing of the model.
    """
    request = next((each for each in requests if each.status == 200), None)
    if request is None:
        raise BadInput(f"{contract.FILE.as_posix()}: no request with status 200, and the load test sends the first one")
    found = figures(asked, send_all(session, endpoint, request, asked))
    if found.lost > max(1, MAY_LOSE * found.requests) or found.unanswered == found.requests:
        raise Failure(
            f"{endpoint} under load: {found.lost} of {found.requests} requests lost their connection "
            f"before an answer ({found.why_lost}), {found.unanswered} of them twice; that says nothing of the model: "
            "run it again"
        )
    if problems := problems_of(asked, found):
        raise NotVerified(f"{endpoint} under load: {'; '.join(problems)}")
    return found


def send_all(session: boto3.Session, endpoint: str, request: Request, asked: Load) -> list[Sent]:
    """Send requests when they are due, whether or not earlier ones are answered, as many clients do."""
    count = max(1, round(asked.rate * asked.seconds))
    threads = min(MOST_THREADS, count, math.ceil(asked.rate * max(1.0, 2 * asked.p95_ms / 1000)))
    # A second try would hide the failure that is looked for. It is for connections only, and counted.
    once = Config(retries={"total_max_attempts": 1}, max_pool_connections=threads, connect_timeout=10, read_timeout=70)
    client = session.client("sagemaker-runtime", config=once)

    def ask(since: float) -> Sent:
        problem = ""
        try:
            answer = client.invoke_endpoint(
                EndpointName=endpoint,
                Body=request.body.encode(),
                ContentType=request.content_type,
                Accept=request.accept,
            )
            answer["Body"].read()
        except LOST as error:
            return Sent(0.0, "", lost=aws.reason(error), answered=False)
        except (ClientError, BotoCoreError) as error:
            problem = aws.reason(error)
        return Sent(time.perf_counter() - since, problem)

    def send(due: float) -> Sent:
        first = ask(due)
        return first if first.answered else replace(ask(time.perf_counter()), lost=first.lost)

    # The first one opens a connection and gets the credentials: its time is not the endpoint's.
    send(time.perf_counter())
    start = time.perf_counter()
    waiting = []
    with ThreadPoolExecutor(threads) as pool:
        for number in range(count):
            due = start + number / asked.rate
            time.sleep(max(0.0, due - time.perf_counter()))
            waiting.append(pool.submit(send, due))
    return [each.result() for each in waiting]


def figures(asked: Load, sent: list[Sent]) -> Figures:
    """What the requests say together."""
    times = sorted(each.seconds for each in sent if each.answered) or [0.0]
    problems = [each.problem for each in sent if each.problem]
    lost = [each.lost for each in sent if each.lost]
    return Figures(
        name="load test",
        requests=len(sent),
        failed=len(problems),
        rate=asked.rate,
        p95_ms=1000 * times[math.ceil(SHARE * len(times)) - 1],
        why=problems[0] if problems else "",
        lost=len(lost),
        unanswered=sum(not each.answered for each in sent),
        why_lost=lost[0] if lost else "",
    )


def problems_of(asked: Load, found: Figures) -> list[str]:
    """What is not within the settings' limits."""
    problems = []
    if found.failed > asked.errors * found.requests:
        problems.append(
            f"{found.failed} of {found.requests} requests failed, {asked.errors:.2%} may; the first: {found.why}"
        )
    if found.p95_ms > asked.p95_ms:
        problems.append(
            f"95 % of {found.requests} requests at {found.rate:g}/s took up to {found.p95_ms:.0f} ms, "
            f"{asked.p95_ms:g} ms are allowed"
        )
    return problems
