"""Two rollouts of different versions at once: the one that comes second waits, and blames nobody."""

from collections.abc import Callable
from typing import Any

import pytest

from mlops.errors import NotApproved
from mlops.hosting import deployment, endpoints, rollouts
from mlops.registry import approval, packages


def test_a_rollout_that_another_run_began_meanwhile_is_waited_for_and_followed(world: Any) -> None:
    world.in_dev("first")
    deployment.deploy(world.settings, world.dev, world.progress)
    other = world.in_dev("second")
    world.in_dev("third")
    session = world.session(world.dev)
    policy = {**rollouts.unguarded()["BlueGreenUpdatePolicy"], "TerminationWaitInSeconds": 60}

    def another_run_is_faster(line: str) -> None:
        world.progress(line)
        if "shifting from version 1 to 3" in line:
            config = endpoints.prepare(session, world.settings, world.dev, other)
            endpoints.update(session, "churn-dev", config, {"BlueGreenUpdatePolicy": policy})

    result = deployment.deploy(world.settings, world.dev, another_run_is_faster)

    assert (result.version, result.changed) == (3, True)
    assert "another deployment has just begun" in " ".join(world.said)
    assert {each.status for each in packages.listing(session, "churn-dev")} == {"Approved"}
    assert world.answer(world.dev) == "third"


def test_an_endpoint_that_another_run_created_meanwhile_is_shifted_on(world: Any) -> None:
    other = world.in_dev("first")
    world.in_dev("second")
    session = world.session(world.dev)

    def another_run_is_faster(line: str) -> None:
        world.progress(line)
        if "creating, with version 2" in line:
            config = endpoints.prepare(session, world.settings, world.dev, other)
            endpoints.create(session, world.settings, world.dev, config)

    result = deployment.deploy(world.settings, world.dev, another_run_is_faster)

    assert result.version == 2
    assert world.answer(world.dev) == "second"


def while_it_waits(monkeypatch: pytest.MonkeyPatch, deed: Callable[[], Any]) -> None:
    """Do something once while a deployment waits for what goes on with its endpoint."""
    settle, done = endpoints.settle, []

    def waited(*given: Any) -> Any:
        if not done:
            done.append(True)
            deed()
        return settle(*given)

    monkeypatch.setattr(endpoints, "settle", waited)


def test_a_deployment_that_has_waited_puts_no_older_version_over_a_newer_one(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.in_dev("first")
    deployment.deploy(world.settings, world.dev, world.progress)
    world.in_dev("second")

    def another_run_brings_the_third() -> None:
        world.in_dev("third")
        deployment.deploy(world.settings, world.dev, world.progress)

    while_it_waits(monkeypatch, another_run_brings_the_third)

    result = deployment.deploy(world.settings, world.dev, world.progress, brought=2)

    assert (result.version, result.changed, world.answer(world.dev)) == (3, False, "third")
    assert "churn-dev: version 3 was approved meanwhile, and goes before version 2" in world.said


@pytest.mark.slow
@pytest.mark.parametrize("brought", [None, 2])
def test_a_deployment_that_has_waited_does_not_bring_back_what_was_rolled_back(
    world: Any, monkeypatch: pytest.MonkeyPatch, brought: int | None
) -> None:
    world.in_dev("first")
    deployment.deploy(world.settings, world.dev, world.progress)
    world.in_dev("second")
    deployment.deploy(world.settings, world.dev, world.progress)
    while_it_waits(monkeypatch, lambda: deployment.rollback(world.settings, world.dev, world.progress))

    if brought:
        with pytest.raises(NotApproved, match=r"churn-dev version 2 is Rejected \(.*goes back to version 1\)"):
            deployment.deploy(world.settings, world.dev, world.progress, brought)
    else:
        assert deployment.deploy(world.settings, world.dev, world.progress).version == 1

    assert world.answer(world.dev) == "first"


def test_a_version_that_is_rejected_while_an_alarm_calms_down_is_not_shifted_to(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.in_dev("first")
    deployment.deploy(world.settings, world.dev, world.progress)
    world.in_dev("second")
    calm = deployment.calm

    def long(*given: Any) -> None:
        calm(*given)
        approval.reject(world.settings, world.dev, by="somebody", why="wrong data", version=2)

    monkeypatch.setattr(deployment, "calm", long)
    world.forget_calls()

    result = deployment.deploy(world.settings, world.dev, world.progress)

    assert (result.version, result.changed) == (1, False)
    assert world.calls("UpdateEndpoint") == []
    assert "churn-dev: version 2 was rejected meanwhile" in world.said
