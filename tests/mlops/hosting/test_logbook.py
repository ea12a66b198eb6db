"""What history tells of an endpoint: what served, what did not come to, and what it went back from."""

from pathlib import Path
from typing import Any

import pytest

from mlops.cli import release
from mlops.errors import Failure
from mlops.hosting import deployment, endpoints, logbook, rollouts
from mlops.registry import approval, history, packages


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


@pytest.mark.slow
def test_a_run_that_is_made_again_verifies_what_it_brought_as_its_own(
    world: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(world.settings.root)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    outputs = tmp_path / "outputs"

    def changed(run: str) -> str:
        outputs.write_text("")
        monkeypatch.setenv("GITHUB_RUN_ID", run)
        monkeypatch.setenv("GITHUB_OUTPUT", str(outputs))
        release.deploy(env="dev", version="", group=None, json=False)
        return dict(line.split("=", 1) for line in outputs.read_text().splitlines())["changed"]

    world.in_dev("first")
    found = [changed("76"), changed("77")]
    second = world.in_dev("second")

    assert [*found, changed("77"), changed("77"), changed("78")] == ["true", "false", "true", "true", "false"]
    # What a rollback went back to was not brought by the run that it was part of.
    approval.reject(world.settings, world.dev, by="mira", why="wrong data", version=second.version)
    monkeypatch.setenv("GITHUB_RUN_ID", "79")
    deployment.rollback(world.settings, world.dev, world.progress)
    assert changed("79") == "false"
