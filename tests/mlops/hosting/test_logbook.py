"""What history tells of an endpoint: what served, what did not come to, and what it went back from."""

from typing import Any

import pytest

from mlops.errors import Failure
from mlops.hosting import deployment, endpoints, logbook, rollouts
from mlops.registry import history, packages


def told(world: Any) -> list[tuple[str, int, str]]:
    events = history.history(world.settings)
    known = ("deployed", "deployment failed", "rolled back")
    return [(each.what, each.version, each.why) for each in events if each.what in known]


@pytest.mark.slow
def test_history_tells_each_deployment_and_outlives_its_configuration(world: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("GITHUB_ACTOR", "jonas")
    world.in_dev("first")
    deployment.deploy(world.settings, world.dev, world.progress)
    second = world.in_dev("second")
    deployment.deploy(world.settings, world.dev, world.progress)
    deployment.deploy(world.settings, world.dev, world.progress)
    packages.set_status(world.session(world.dev), second, "Rejected", "")
    # The first one's configuration serves a second time.
    deployment.deploy(world.settings, world.dev, world.progress)
    sagemaker = world.client(world.dev)
    sagemaker.delete_endpoint_config(EndpointConfigName=endpoints.config_name(world.settings, world.dev, second))

    found = [each for each in history.history(world.settings) if each.what == "deployed"]

    assert [(each.version, each.who, each.why) for each in found] == [
        (1, "jonas", "on churn-dev"),
        (2, "jonas", "on churn-dev"),
        (1, "jonas", "on churn-dev"),
    ]
    assert found[1].package == second.arn


@pytest.mark.slow
def test_what_did_not_come_to_serve_is_no_deployment(world: Any, monkeypatch: Any) -> None:
    world.in_dev("first")
    deployment.deploy(world.settings, world.dev, world.progress)
    world.in_dev("second")
    with monkeypatch.context() as patch:
        # SageMaker takes no more than half in a canary: it refuses the update.
        wrong = {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": {"Type": "LINEAR"}}}
        patch.setattr(rollouts, "deployment_config", lambda environment: wrong)
        with pytest.raises(Failure):
            deployment.deploy(world.settings, world.dev, world.progress)

    (_, failed) = told(world)
    assert failed[:2] == ("deployment failed", 2)
    assert failed[2].startswith("UpdateEndpoint churn-dev: ")
    last = logbook.came_to_serve(world.session(world.dev), world.dev.bucket, "churn-dev")
    assert endpoints.version_of(last) == 1


@pytest.mark.slow
def test_what_a_killed_run_has_brought_is_written_down_by_the_next(world: Any, monkeypatch: Any) -> None:
    def killed(*given: Any) -> None:
        raise KeyboardInterrupt

    world.in_dev("first")
    with monkeypatch.context() as patch:
        patch.setattr(logbook, "serves", killed)
        with pytest.raises(KeyboardInterrupt):
            deployment.deploy(world.settings, world.dev, world.progress)
    assert told(world) == []

    for _ in range(2):
        assert deployment.deploy(world.settings, world.dev, world.progress).changed is False

    assert told(world) == [("deployed", 1, "on churn-dev")]
