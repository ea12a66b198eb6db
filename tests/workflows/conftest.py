"""The one world that the scenarios share: a project of the template, pushed to GitHub for the first time."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.environments import Environment
from harness.world import World, bake

TEMPLATE = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A baked project with its sandbox and its GitHub, on which nothing has happened yet."""
    folder = tmp_path_factory.mktemp("world")
    rules = {
        "dev": Environment(branches=("dev", "main")),
        "prod": Environment(branches=("main",)),
        "prod-approval": Environment(reviewers=("ines",), branches=("main",), prevent_self_review=True),
    }
    opened = World(folder, bake(TEMPLATE, folder), rules)
    yield opened
    opened.stop()
