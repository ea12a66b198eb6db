"""Two rollouts of different versions at once: the one that comes second waits, and blames nobody."""

from typing import Any

from mlops.hosting import deployment, endpoints, rollouts
from mlops.registry import packages


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
