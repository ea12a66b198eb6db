"""The load test: what it counts, what it refuses, and that an endpoint of the sandbox stands it."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
import pytest

from mlops.checks import loadtest
from mlops.checks.loadtest import Figures, Sent
from mlops.errors import Failure, NotVerified
from mlops.hosting import deployment
from mlops.settings.criteria import Load
from mlops.settings.project import Environment

ASKED = Load(rate=40, seconds=0.5, p95_ms=5000, errors=0.1)


def loaded(environment: Environment, asked: Load | None = ASKED) -> Environment:
    assert environment.endpoint is not None
    return environment.model_copy(update={"endpoint": environment.endpoint.model_copy(update={"load": asked})})


def test_ninety_five_of_a_hundred_are_answered_in_less() -> None:
    sent = [Sent(number / 1000, "") for number in range(100, 0, -1)]

    found = loadtest.figures(Load(rate=10, seconds=10, p95_ms=95), sent)

    assert (found.requests, found.failed, found.p95_ms) == (100, 0, pytest.approx(95))


@pytest.mark.parametrize(
    ("failed", "slow", "said"),
    [
        (0, 0, []),
        (10, 5, []),
        (11, 0, ["11 of 100 requests failed, 10.00% may; the first: ModelError: no room"]),
        (0, 6, ["95 % of 100 requests at 10/s took up to 900 ms, 500 ms are allowed"]),
    ],
    ids=["well", "on the limits", "one failure too many", "one slow answer too many"],
)
def test_what_is_beyond_its_limit_is_named(failed: int, slow: int, said: list[str]) -> None:
    asked = Load(rate=10, seconds=10, p95_ms=500, errors=0.1)
    sent = [Sent(0.9 if n < slow else 0.1, "ModelError: no room" if n < failed else "") for n in range(100)]

    assert loadtest.problems_of(asked, loadtest.figures(asked, sent)) == said


def test_what_got_no_answer_counts_for_no_time() -> None:
    sent = [Sent(0.1, ""), Sent(0.0, "", lost="reset", answered=False), Sent(0.3, "", lost="reset")]

    found = loadtest.figures(Load(rate=10, seconds=1, p95_ms=95), sent)

    assert (found.lost, found.unanswered, found.p95_ms, found.why_lost) == (2, 1, pytest.approx(300), "reset")


def test_an_endpoint_is_asked_at_its_rate_and_each_request_counts_once(world: Any) -> None:
    world.in_dev()
    deployment.deploy(world.settings, world.dev, world.progress)
    world.forget_calls()

    found = loadtest.run(world.settings, loaded(world.dev), world.progress)

    assert found is not None
    assert (found.requests, found.failed) == (20, 0)
    assert len(world.calls("InvokeEndpoint")) == 21  # one to open the connection
    assert world.said[-1] == f"✓ under load: {found}"


def test_errors_beyond_the_budget_fail_and_are_not_tried_again(world: Any) -> None:
    world.in_dev()
    deployment.deploy(world.settings, world.dev, world.progress)
    world.forget_calls()
    fault = {"operation": "InvokeEndpoint", "status": 500, "code": "InternalFailure", "times": 4}
    world.server.control("POST", "faults", fault)

    with pytest.raises(Failure, match=r"churn-dev under load: 3 of 20 requests failed, 10\.00% may.*InternalFailure"):
        loadtest.run(world.settings, loaded(world.dev), world.progress)

    assert len(world.calls("InvokeEndpoint")) <= 21


class Dropping(ThreadingHTTPServer):
    """An endpoint that closes the connections of some requests without a word, and answers the others."""

    def __init__(self, drops: set[int]) -> None:
        super().__init__(("127.0.0.1", 0), DroppingHandler)
        self.drops, self.count, self.lock = drops, 0, threading.Lock()

    def next_is_dropped(self) -> bool:
        with self.lock:
            self.count += 1
            return self.count in self.drops


class DroppingHandler(BaseHTTPRequestHandler):
    server: Dropping

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.next_is_dropped():
            return
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"[]")

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on the tests' output."""


@pytest.fixture
def asked_over_a_bad_line(world: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[set[int]], Figures]]:
    """Runs the load test of 20 requests, and one before them, against an endpoint that drops some connections."""
    servers = []

    def run(drops: set[int]) -> Figures:
        server = Dropping(drops)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        session = boto3.Session("sandbox-111111111111", "sandbox", region_name="eu-west-1")
        monkeypatch.setattr(loadtest.aws, "session", lambda *_: session)
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_address[1]}")
        found = loadtest.run(world.settings, loaded(world.dev), world.progress)
        assert found is not None
        return found

    yield run
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_lost_connection_is_sent_once_more_and_is_no_failure_of_the_model(
    asked_over_a_bad_line: Callable[[set[int]], Figures],
) -> None:
    # The first two are the connection that is opened; the next is dropped once.
    found = asked_over_a_bad_line({1, 3})

    assert (found.requests, found.failed, found.lost, found.unanswered) == (20, 0, 1, 0)
    assert "closed" in found.why_lost.lower()
    assert str(found).endswith("0 failed, 1 lost their connection")


def test_too_many_lost_connections_end_the_test_and_do_not_blame_the_model(
    asked_over_a_bad_line: Callable[[set[int]], Figures],
) -> None:
    with pytest.raises(
        Failure, match=r"20 of 20 requests lost their connection .* 20 of them twice.*run it again"
    ) as no:
        asked_over_a_bad_line(set(range(1, 100)))

    assert not isinstance(no.value, NotVerified)


def test_without_the_setting_nothing_is_sent(world: Any) -> None:
    world.forget_calls()

    assert loadtest.run(world.settings, loaded(world.prod, None), world.progress) is None
    assert world.calls() == []
