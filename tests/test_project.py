"""A project as a newcomer gets it: made by the real hooks with the real tools, then tested and shown."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Bake, BakedProject

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SLUG = "tumour-classifier"


@pytest.fixture(scope="module")
def project(bake_in_full: Bake) -> BakedProject:
    """The project of the default answers."""
    return bake_in_full()


def groups(project: BakedProject) -> list[dict[str, Any]]:
    """What `mlops groups list --json` prints."""
    listed = json.loads(project.run("uv", "run", "mlops", "groups", "list", "--json").stdout)
    assert all({"name", "environment", "versions"} <= set(group) for group in listed)
    return list(listed)


def test_the_repository_has_its_branches_and_a_clean_work_tree(project: BakedProject) -> None:
    assert project.git("branch", "--format", "%(refname:short)").split() == ["dev", "main"]
    assert project.git("rev-parse", "--abbrev-ref", "HEAD") == "main"
    assert project.git("status", "--porcelain") == ""
    assert "uv.lock" in project.git("ls-files").splitlines()


def test_the_model_groups_are_there_and_no_server_is_left(project: BakedProject) -> None:
    assert {(group["name"], group["environment"]) for group in groups(project)} == {
        (f"{SLUG}-feature", "feature"), (f"{SLUG}-dev", "dev"), (f"{SLUG}-prod", "prod"),
    }  # fmt: skip
    assert not (project.path / ".sandbox" / "server.json").exists()


def test_dvc_agrees_that_the_data_is_tracked(project: BakedProject) -> None:
    assert "up to date" in project.run("uv", "run", "dvc", "status", "data/raw.dvc").stdout

    project.run("uv", "run", "dvc", "add", "data/raw")

    assert project.git("status", "--porcelain") == ""


def test_the_projects_own_tests_pass(project: BakedProject) -> None:
    assert " passed" in project.run("uv", "run", "pytest", seconds=800).stdout


def test_the_projects_own_checks_pass(project: BakedProject) -> None:
    project.run("uv", "run", "pre-commit", "run", "--all-files", seconds=800)


def released_carefully(told: str) -> None:
    """What the demo of both scenarios shows beside the way of a model."""
    assert re.search(r"[0-9]+ copies: errors 0\.00% .* answers alike", told)
    assert "2 rows of 1 files by version" in told
    assert "nothing is removed yet: mlops prune --yes removes these" in told
    assert re.search(r"removed: model .*-prod.*-v3-", told)


def test_the_demo_runs_to_its_end_and_leaves_the_work_tree_clean(project: BakedProject) -> None:
    told = project.run("uv", "run", "mlops", "demo", seconds=800).stdout

    assert f"{SLUG}-prod" in told
    assert "rolled back" in told
    released_carefully(told)
    assert "canary is through, without an alarm; meanwhile" in told
    assert project.git("status", "--porcelain") == ""


def test_the_advanced_scenario_has_champion_and_challenger_and_its_demo_makes_a_challenger_champion(
    bake_in_full: Bake,
) -> None:
    project = bake_in_full(scenario="advanced")
    assert {group["name"] for group in groups(project)} == {
        f"{SLUG}-feature", f"{SLUG}-dev", f"{SLUG}-prod-champion", f"{SLUG}-prod-challenger",
    }  # fmt: skip

    told = json.loads(project.run("uv", "run", "mlops", "demo", "--json", seconds=800).stdout)

    released_carefully("\n".join(each["output"] for step in told["steps"] for each in step["commands"]))
    assert told["steps"][-1]["commands"][-1]["command"] == "mlops history"
    commands = {each["command"]: each["output"] for step in told["steps"] for each in step["commands"]}
    assert told["ok"], told["problem"]
    assert "agreement" in commands["mlops compare --env prod"]
    assert f"{SLUG}-prod serves version 2" in commands["mlops promote --to champion"]
