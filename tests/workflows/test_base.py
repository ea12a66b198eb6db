"""Where a pull request may go: the check that main's rules require is there for each that goes to main, and real."""

from collections.abc import Callable
from pathlib import Path

import pytest

from harness import GitHub

FILE = ".github/workflows/base.yml"
TEMPLATE = Path(__file__).parents[2] / "{{cookiecutter.project_slug}}"


@pytest.fixture
def github(opened: Callable[..., GitHub]) -> GitHub:
    """A repository with this one workflow, and a branch beside dev."""
    found = opened({FILE: (TEMPLATE / FILE).read_text(encoding="utf-8")})
    found.commit("dev", {"a": "1"})
    found.commit("feature/x", {"b": "2"})
    return found


def test_a_base_that_is_changed_to_main_is_refused_and_no_edit_helps(github: GitHub) -> None:
    pull, to_dev = github.open_pull_request("feature/x", into="dev")
    [moved] = github.edit(pull, base="main")
    [named] = github.edit(pull, title="Mine is better")

    # A check belongs to a commit: one that passed for dev would stand for main.
    assert to_dev == []
    for run in (moved, named):
        assert run.results == {"base": "failure"}, run.told()
    assert "comes from feature/x" in moved.log
    assert github.edit(pull, base="dev") == []


def test_what_comes_from_dev_passes_and_from_somebody_elses_dev_does_not(github: GitHub) -> None:
    pull, [opened] = github.open_pull_request("dev", into="main")
    [named] = github.edit(pull, title="November")
    _, [theirs] = github.open_pull_request("dev", into="main", fork="stranger")

    assert [run.conclusion for run in (opened, named, theirs)] == ["success", "success", "failure"], theirs.told()
