"""The load test: what it counts, what it refuses, and that an endpoint of the sandbox stands it."""

from typing import Any

import pytest

from mlops.checks import loadtest
from mlops.checks.loadtest import Sent
from mlops.errors import Failure
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


def test_without_the_setting_nothing_is_sent(world: Any) -> None:
    world.forget_calls()

    assert loadtest.run(world.settings, loaded(world.prod, None), world.progress) is None
    assert world.calls() == []
