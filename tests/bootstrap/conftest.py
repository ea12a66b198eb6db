"""A project with its branches, and a GitHub that is held to GitHub's own description of its API."""

import copy
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from githubapi.hub import Hub, Repository
from githubapi.server import served

from mlops import cli, rest
from mlops.settings import project as settings
from mlops.settings.project import Settings

PROJECT = Path(__file__).parents[2] / "{{cookiecutter.project_slug}}"
SETTINGS = """
project: churn
package: churn
region: eu-west-1
repository: acme/churn
scenario: basic
environments:
  - {name: feature, account: "111111111111"}
  - {name: dev, account: "111111111111", endpoint: {}}
  - {name: prod, account: "222222222222", approval: manual, endpoint: {}}
stages: {}
"""

Command = Callable[..., int]


@pytest.fixture(scope="session")
def committed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a first commit on main and dev."""
    folder = tmp_path_factory.mktemp("committed")
    (folder / "mlops.yaml").write_text(SETTINGS, encoding="utf-8")
    shutil.copytree(PROJECT / ".github", folder / ".github")
    git = ["git", "-C", str(folder), "-c", "user.name=A", "-c", "user.email=a@example.com"]
    for words in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "Start"], ["branch", "dev"]):
        subprocess.run([*git, *words], check=True)
    return folder


@pytest.fixture
def project(committed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A copy of the project, in which commands are run."""
    folder = tmp_path / "project"
    shutil.copytree(committed, folder)
    monkeypatch.chdir(folder)
    return settings.load(folder)


@pytest.fixture(scope="session")
def address() -> Iterator[tuple[str, list[Hub]]]:
    """The server of GitHub's API, and the state that answers."""
    states: list[Hub] = []
    with served(lambda: states[-1]) as url:
        yield url, states


@pytest.fixture
def new_hub(address: tuple[str, list[Hub]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Hub]:
    """Opens a GitHub without any repository, with a token for it in the shell."""
    url, states = address
    monkeypatch.setenv("GITHUB_API_URL", url)
    monkeypatch.setenv("GH_TOKEN", "a-token")
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    monkeypatch.setattr(rest, "PAUSE_SECONDS", 0.0)

    def opened(**values: object) -> Hub:
        hub = Hub(tmp_path / f"github{len(states)}", **values)  # type: ignore[arg-type]
        states.append(hub)
        return hub

    return opened


@pytest.fixture
def hub(new_hub: Callable[..., Hub]) -> Iterator[Hub]:
    """A GitHub without any repository; no request may be one that GitHub's description does not have."""
    opened = new_hub()
    yield opened
    assert [(call.operation, call.problem) for call in opened.calls if call.problem] == []


@pytest.fixture(scope="session")
def remembered() -> dict[str, Hub]:
    """A GitHub after the bootstrap, from the first test that needs one."""
    return {}


@pytest.fixture
def made(hub: Hub, mlops: Command, project: Settings, remembered: dict[str, Hub]) -> Repository:
    """The repository as `mlops bootstrap github` has made it."""
    if "after" not in remembered:
        assert mlops("bootstrap", "github", "--reviewer", "mira", "--yes") == 0
        remembered["after"] = copy.deepcopy(hub)
    after = copy.deepcopy(remembered["after"])
    hub.repositories, hub.numbers, hub.calls = after.repositories, after.numbers, []
    url = "https://github.com/acme/churn.git"
    subprocess.run(["git", "-C", str(project.root), "config", "remote.origin.url", url], check=True)
    return hub.repositories["acme/churn"]


@pytest.fixture
def mlops(project: Settings) -> Command:
    """Runs a command of `mlops` in the project, and gives its exit code."""
    return lambda *words: cli.execute(list(words))
