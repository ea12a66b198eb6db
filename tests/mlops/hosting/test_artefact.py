"""The artefact of a version: what was registered, or nothing is deployed."""

from typing import Any

import pytest

from mlops import storage
from mlops.errors import DigestMismatch
from mlops.hosting import deployment


def test_an_artefact_that_somebody_replaced_is_not_deployed(world: Any) -> None:
    package = world.in_dev()
    storage.write(world.session(world.dev), package.artefact, b"what a container would unpickle")
    world.forget_calls()

    with pytest.raises(DigestMismatch, match=f"{package.digest} was registered"):
        deployment.deploy(world.settings, world.dev, world.progress)

    assert world.calls("CreateModel", "CreateEndpoint") == []
