"""Shadows: a new version is asked copies of the requests, and takes over when it keeps the rules; nobody notices."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mlops.errors import Failure
from mlops.hosting import copies, deployment, endpoints, shadows
from mlops.registry import approval, packages
from mlops.settings.serving import Capture, Shadow

pytestmark = pytest.mark.slow


def shadowed(world: Any, decision: str = "score", **rules: Any) -> Any:
    """The dev environment with a shadow for its rollout."""
    given = {"requests": 6, "seconds": 120, "latency": 100.0, "bake_seconds": 0, **rules}
    rollout = Shadow(kind="shadow", **given)
    capture = Capture(percent=100, decision=decision)
    return world.dev.model_copy(
        update={"endpoint": world.dev.endpoint.model_copy(update={"rollout": rollout, "capture": capture})}
    )


@contextmanager
def asking(world: Any, environment: Any) -> Iterator[list[str]]:
    """A client that tries nothing again, while the block runs: what it was answered."""
    stopped, answers = threading.Event(), []

    def ask() -> None:
        while not stopped.wait(0.05):
            try:
                answers.append(world.answer(environment))
            except Exception as error:
                answers.append(f"failed: {error}")

    client = threading.Thread(target=ask, daemon=True)
    client.start()
    try:
        yield answers
    finally:
        stopped.set()
        client.join()


def config_of(world: Any) -> str:
    """The configuration that dev's endpoint serves."""
    return str(world.client(world.dev).describe_endpoint(EndpointName="churn-dev")["EndpointConfigName"])


def test_a_version_that_keeps_the_rules_in_the_shadow_takes_over(world: Any) -> None:
    dev = shadowed(world, agreement=1.0)
    world.in_dev("first")
    deployment.deploy(world.settings, dev, world.progress)
    second = world.in_dev("second")

    with asking(world, dev) as answers:
        result = deployment.deploy(world.settings, dev, world.progress)

    assert (result.version, world.answer(dev)) == (2, "second")
    assert not shadows.is_shadowed(config_of(world))
    assert set(answers) <= {"first", "second"}
    (report,) = [line for line in world.said if "copies" in line]
    assert "errors 0.00% (serving 0.00%)" in report
    assert "100.00% of" in report
    assert packages.describe(world.session(world.dev), second.arn).status == "Approved"
    assert deployment.rollback(world.settings, dev, world.progress).version == 1


@pytest.mark.parametrize(
    ("label", "decision", "rules", "why"),
    [
        ("second", "label", {"agreement": 0.5}, "agreement 0.00%, at least 50.00%"),
        ("raises", "score", {}, "%, at most 0.00%"),
    ],
)
def test_a_version_that_does_worse_in_the_shadow_is_rejected_and_nobody_has_noticed(
    world: Any, label: str, decision: str, rules: dict[str, Any], why: str
) -> None:
    dev = shadowed(world, decision, **rules)
    world.in_dev("first")
    deployment.deploy(world.settings, dev, world.progress)
    alone, worse = config_of(world), world.in_dev(label)

    with asking(world, dev) as answers, pytest.raises(Failure, match="version 2 does not take over") as told:
        deployment.deploy(world.settings, dev, world.progress)

    assert why in str(told.value)
    assert set(answers) == {"first"}
    assert config_of(world) == alone
    assert packages.describe(world.session(world.dev), worse.arn).status == "Rejected"
    assert deployment.deploy(world.settings, dev, world.progress).version == 1


@contextmanager
def firing(
    world: Any, environment: Any, alarm: str, moment: str = "goes into the shadow"
) -> Iterator[Callable[[str], None]]:
    """An alarm that fires from a moment on, such as when the version is in the shadow, to the end of the block."""
    stopped = threading.Event()
    cloudwatch = world.client(environment, "cloudwatch")

    def fire() -> None:
        while not stopped.wait(0.1):
            cloudwatch.set_alarm_state(AlarmName=alarm, StateValue="ALARM", StateReason="a test")

    thread = threading.Thread(target=fire, daemon=True)

    def progress(line: str) -> None:
        if moment in line:
            thread.start()

    try:
        yield progress
    finally:
        stopped.set()
        thread.join()
        cloudwatch.set_alarm_state(AlarmName=alarm, StateValue="OK", StateReason="a test")


def test_an_alarm_of_what_serves_decides_nothing_of_the_version_in_the_shadow(world: Any) -> None:
    dev = shadowed(world, requests=100_000)
    world.in_dev("first")
    deployment.deploy(world.settings, dev, world.progress)
    alone, second = config_of(world), world.in_dev("second")

    with firing(world, dev, "churn-dev-latency") as progress, pytest.raises(Failure) as told:
        deployment.deploy(world.settings, dev, progress)

    assert "version 2, which is still Approved: alarm churn-dev-latency, of what serves meanwhile" in str(told.value)
    assert "when it has calmed down: mlops deploy --env dev" in str(told.value)
    assert config_of(world) == alone
    assert packages.describe(world.session(world.dev), second.arn).status == "Approved"


def test_a_version_that_was_asked_too_little_in_the_shadow_is_not_rejected(world: Any) -> None:
    dev = shadowed(world, requests=100_000, seconds=1)
    world.in_dev("first")
    deployment.deploy(world.settings, dev, world.progress)
    alone, second = config_of(world), world.in_dev("second")

    with pytest.raises(Failure) as told:
        deployment.deploy(world.settings, dev, world.progress)

    assert "0 of 100000 copies within 1 s: give fewer requests, more seconds or a higher percent" in str(told.value)
    assert "environments.dev.endpoint.rollout, then mlops deploy --env dev" in str(told.value)
    assert config_of(world) == alone
    assert packages.describe(world.session(world.dev), second.arn).status == "Approved"


@pytest.mark.parametrize("days", [0.9, 1.5, 14, 100])
def test_what_a_shadow_of_several_days_was_asked_is_read_at_once(world: Any, days: float) -> None:
    session = world.session(world.dev)
    dimensions = [{"Name": "EndpointName", "Value": "churn-dev"}, {"Name": "VariantName", "Value": f"of {days} days"}]
    since = datetime.now(UTC) - timedelta(days=days)
    data = [{"MetricName": "Invocations", "Dimensions": dimensions, "Value": 1.0, "Timestamp": moment}
            for moment in (since + timedelta(hours=2), datetime.now(UTC))]  # fmt: skip
    world.client(world.dev, "cloudwatch").put_metric_data(Namespace="AWS/SageMaker", MetricData=data)

    assert copies.side(session, "churn-dev", f"of {days} days", since).requests == 2
    with pytest.raises(Failure, match=r"exceeds the limit of 1,440"), pytest.MonkeyPatch.context() as patch:
        patch.setattr(copies, "PERIODS", (30,))
        copies.side(session, "churn-dev", "shadow", since)


def test_a_newer_version_that_is_approved_during_the_shadow_goes_first(world: Any) -> None:
    dev = shadowed(world)
    world.in_dev("first")
    deployment.deploy(world.settings, dev, world.progress)
    world.in_dev("second")

    def approves(line: str) -> None:
        world.progress(line)
        if "version 2 goes into the shadow" in line:
            world.in_dev("third")

    with asking(world, dev) as answers:
        result = deployment.deploy(world.settings, dev, approves, brought=2)

    assert (result.version, world.answer(dev)) == (3, "third")
    assert set(answers) <= {"first", "third"}
    assert "churn-dev: version 3 was approved meanwhile, and goes before version 2" in world.said


@pytest.mark.parametrize("rejected", [False, True])
def test_a_rollback_takes_the_shadow_away_and_leaves_what_serves(world: Any, rejected: bool) -> None:
    dev = shadowed(world)
    session, before = world.session(world.dev), []
    for label in ("first", "second"):
        before.append(world.in_dev(label))
        deployment.deploy(world.settings, world.dev, world.progress)
    alone, package = config_of(world), world.in_dev("third")
    config = shadows.prepare(session, world.settings, dev, package, alone)
    endpoints.update(session, "churn-dev", config, {})
    endpoints.settle(session, "churn-dev", world.progress)
    assert config_of(world) == config
    if rejected:
        # By an alarm, and the run was killed before it took the shadow away.
        approval.reject(world.settings, world.dev, by="mlops deploy", why="rolled back by an alarm", version=3)

    for changed in (True, False):
        result = deployment.rollback(world.settings, dev, world.progress)
        assert (result.version, result.changed, config_of(world)) == (2, changed, alone)

    statuses = [packages.describe(session, each.arn).status for each in (*before, package)]
    assert statuses == ["Approved", "Approved", "Rejected"]


def test_an_alarm_that_stops_the_takeover_leaves_nothing_in_the_shadow(world: Any) -> None:
    dev = shadowed(world, bake_seconds=300)
    world.in_dev("first")
    deployment.deploy(world.settings, dev, world.progress)
    alone = config_of(world)
    world.in_dev("second")

    with (
        asking(world, dev),
        firing(world, dev, "churn-dev-errors", "shifting from") as progress,
        pytest.raises(Failure, match=r"rolled back to version 1 .*churn-dev-errors.*version 2 is now Rejected"),
    ):
        deployment.deploy(world.settings, dev, progress)

    assert config_of(world) == alone
    assert world.answer(dev) == "first"


def test_a_shadow_that_a_killed_run_left_is_taken_up_by_the_next(world: Any) -> None:
    dev = shadowed(world)
    world.in_dev("first")
    deployment.deploy(world.settings, dev, world.progress)
    session = world.session(world.dev)
    config = shadows.prepare(session, world.settings, dev, world.in_dev("second"), config_of(world))
    endpoints.update(session, "churn-dev", config, {})
    endpoints.settle(session, "churn-dev", world.progress)

    with asking(world, dev):
        result = deployment.deploy(world.settings, dev, world.progress)

    assert (result.version, world.answer(dev)) == (2, "second")
    assert not [line for line in world.said if "goes into the shadow" in line]
