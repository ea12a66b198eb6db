"""The incumbent is what has served, whatever else was approved meanwhile."""

import dataclasses
from typing import Any

import pytest

from mlops.hosting import deployment, endpoints, incumbent
from mlops.registry import packages
from mlops.settings.project import Environment
from mlops.settings.serving import Batch


def in_batch(environment: Environment) -> Environment:
    return environment.model_copy(update={"endpoint": Batch(kind="batch")})


def of(world: Any, environment: Environment, new: packages.ModelPackage) -> int | None:
    """The version of the incumbent for a version that comes."""
    found = incumbent.of(world.session(environment), environment, new)
    return found and found.version


def test_without_an_endpoint_it_is_what_was_made_ready_and_no_version_that_was_approved_later(world: Any) -> None:
    dev = in_batch(world.dev)
    first = world.in_dev("first")
    assert of(world, dev, first) is None
    deployment.deploy(world.settings, dev, world.progress)

    second, third = world.in_dev("first"), world.in_dev("first")
    assert of(world, dev, third) == first.version
    deployment.deploy(world.settings, dev, world.progress)

    # It serves: that the second one is Approved too, and newer than the first, is nothing to it.
    assert of(world, dev, third) == third.version
    assert of(world, dev, second) == third.version
    packages.set_status(world.session(dev), third, "Rejected", "")
    assert of(world, dev, second) == first.version


@pytest.mark.slow
def test_after_an_endpoint_is_gone_or_failed_it_is_what_has_served_there(world: Any, monkeypatch: Any) -> None:
    first, dev = world.in_dev("first"), world.dev
    deployment.deploy(world.settings, dev, world.progress)
    world.in_dev("first")
    third = world.in_dev("first")
    assert of(world, dev, third) == first.version
    with monkeypatch.context() as patch:
        state = endpoints.state
        patch.setattr(endpoints, "state", lambda *given: dataclasses.replace(state(*given), status="Failed"))
        assert of(world, dev, third) == first.version

    endpoints.remove(world.session(dev), "churn-dev", world.progress)

    assert of(world, dev, third) == first.version
    assert of(world, dev, first) == first.version
