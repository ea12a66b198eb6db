"""Where a pull request goes: main's required check is there for each that goes to main; dev's comes with the base."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

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


def test_a_base_that_becomes_dev_is_checked_and_reported_and_another_title_is_not(
    opened: Callable[..., GitHub],
) -> None:
    file = ".github/workflows/feature.yml"
    feature = yaml.load((TEMPLATE / file).read_text(encoding="utf-8"), yaml.BaseLoader)
    hollow = {"runs-on": "ubuntu-latest", "steps": [{"run": "echo"}]}
    called = {"uses": "./.github/workflows/called.yml"}
    jobs = {
        key: {name: job[name] for name in ("needs", "if") if name in job} | (called if "uses" in job else hollow)
        for key, job in feature["jobs"].items()
    }
    ready = {"workflow_call": {"outputs": {"ready": {"value": "true"}}}}
    github = opened({
        file: yaml.safe_dump({"on": feature["on"], "jobs": jobs}),
        called["uses"][2:]: yaml.safe_dump({"on": ready, "jobs": {"called": hollow}}),
    })  # fmt: skip
    [pushed] = github.commit("feature/below", {"a": "1"}, start="dev")
    github.commit("feature/above", {"b": "2"}, start="feature/below")

    pull, to_feature = github.open_pull_request("feature/above", into="feature/below")
    [moved] = github.edit(pull, base="dev")
    [named] = github.edit(pull, title="Mine is better")

    assert to_feature == []
    assert {name for name, result in pushed.results.items() if result == "success"} >= {"check/called", "train/called"}
    assert moved.results["check/called"] == moved.results["report"] == "success", moved.told()
    assert moved.results["train"] == "skipped"
    assert set(named.results.values()) == {"skipped"}, named.told()
