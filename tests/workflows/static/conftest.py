"""The workflows under test, in a folder of their own as linters want them."""

import shutil
import sys
from pathlib import Path

import pytest

from mlops.errors import Failure
from mlops.workflows import language_service

sys.path.insert(0, str(Path(__file__).parents[1]))
PROJECT = Path(__file__).parents[3] / "{{cookiecutter.project_slug}}"


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the project's `.github`, which is copied into every project as it is."""
    made = tmp_path_factory.mktemp("workflows")
    shutil.copytree(PROJECT / ".github", made / ".github")
    return made


@pytest.fixture(scope="session")
def installed_service(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """GitHub's language service, which only npm has: a machine without npm or a network leaves it out."""
    made = tmp_path_factory.mktemp("service") / "languageservice"
    try:
        language_service.install(made)
    except Failure as failure:
        pytest.skip(f"npm's registry is missing: {failure}")
    return made


@pytest.fixture(scope="session")
def told() -> str:
    """The page that tells a team how to build workflows of its own."""
    return (PROJECT / "docs" / "workflows.md").read_text(encoding="utf-8")
