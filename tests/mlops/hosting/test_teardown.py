"""Teardown: an endpoint goes when its name is given, and comes back as it was."""

from typing import Any

import pytest

from mlops.errors import BadInput
from mlops.hosting import deployment, endpoints
from mlops.hosting.teardown import teardown


def test_an_endpoint_that_was_torn_down_comes_back_with_the_same_version(world: Any) -> None:
    world.in_dev("first")
    deployment.deploy(world.settings, world.dev, world.progress)

    result = teardown(world.settings, world.dev, "churn-dev", world.progress)

    assert result.deleted
    assert endpoints.state(world.session(world.dev), "churn-dev") is None
    assert not teardown(world.settings, world.dev, "churn-dev", world.progress).deleted
    assert deployment.deploy(world.settings, world.dev, world.progress).version == 1
    assert world.answer(world.dev) == "first"


@pytest.mark.parametrize("confirm", ["", "churn", "churn-prod", "yes"])
def test_another_name_deletes_nothing(world: Any, confirm: str) -> None:
    world.in_dev("first")
    deployment.deploy(world.settings, world.dev, world.progress)

    with pytest.raises(BadInput, match="give churn-dev to delete that endpoint"):
        teardown(world.settings, world.dev, confirm, world.progress)

    assert world.answer(world.dev) == "first"


def test_an_environment_that_serves_nothing_has_nothing_to_tear_down(world: Any) -> None:
    with pytest.raises(BadInput, match="'feature', which has no endpoint"):
        teardown(world.settings, world.settings.environments[0], "churn-feature", world.progress)
