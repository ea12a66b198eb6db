"""The workflows under test, in a folder of their own as linters want them."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parents[1]))
PROJECT = Path(__file__).parents[3] / "{{cookiecutter.project_slug}}"


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the project's `.github`, which is copied into every project as it is."""
    made = tmp_path_factory.mktemp("workflows")
    shutil.copytree(PROJECT / ".github", made / ".github")
    return made


@pytest.fixture(scope="session")
def hooks() -> list[dict[str, str]]:
    """The project's own checks before each commit."""
    text = (PROJECT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    return [hook for repository in yaml.safe_load(text)["repos"] for hook in repository["hooks"]]


@pytest.fixture(scope="session")
def language_service(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """GitHub's language service, which only npm has: a machine without npm or a network leaves it out."""
    made = tmp_path_factory.mktemp("service") / "languageservice"
    shutil.copytree(Path(__file__).parent / "languageservice", made)
    command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--no-package-lock"]
    try:
        subprocess.run(command, cwd=made, stdin=subprocess.DEVNULL, capture_output=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"npm's registry is missing: GitHub's language service is not installed: {error}")
    return made


@pytest.fixture(scope="session")
def told() -> str:
    """The page that tells a team how to build workflows of its own."""
    return (PROJECT / "docs" / "workflows.md").read_text(encoding="utf-8")
