"""Who is asked before production changes: the reviewers on GitHub, or a person in the registry."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness import GitHub
from harness.environments import Environment

MAIN = Path(__file__).parents[2] / "{{cookiecutter.project_slug}}/.github/workflows/main.yml"
KEPT = ("name", "needs", "if", "environment", "outputs")
CALLED = """
on: {workflow_call: {outputs: {ready: {value: "true"}}}}
jobs: {called: {runs-on: ubuntu-latest, steps: [{run: echo}]}}
"""
PROMOTED = {"id": "promote", "run": 'printf "pending=true\\nversion=7\\n" >> "$GITHUB_OUTPUT"'}


def hollow(text: str) -> str:
    """The workflow with its jobs, their conditions and environments, whose commands do nothing; a version waits."""
    jobs = {}
    for key, job in yaml.load(text, yaml.BaseLoader)["jobs"].items():
        jobs[key] = {name: job[name] for name in KEPT if name in job}
        if "uses" in job:
            jobs[key]["uses"] = "./.github/workflows/hollow.yml"
        else:
            told = [step for step in job["steps"] if "vars." in step.get("if", "")]
            jobs[key] |= {"runs-on": "ubuntu-latest", "steps": [PROMOTED, *told]}
    return yaml.safe_dump({"on": "push", "jobs": jobs})


@pytest.fixture
def asked(opened: Callable[..., GitHub]) -> Callable[..., Any]:
    """Pushes to main, with variables of the repository, and gives the run."""

    def push(**variables: str) -> Any:
        main = hollow(MAIN.read_text(encoding="utf-8"))
        files = {".github/workflows/main.yml": main, ".github/workflows/hollow.yml": CALLED}
        github = opened(files, prod_approval=Environment(reviewers=("ines",)))
        github.runner = replace(github.runner, variables=variables)
        [run] = github.commit("main", {"a": "1"})
        return run

    return push


def test_the_reviewers_of_github_are_asked(asked: Callable[..., Any]) -> None:
    run = asked()

    assert run.gate.held() == ["prod-approval"], run.told()
    assert "registry" not in run.summary


def test_where_github_asks_nobody_the_run_ends_well_and_says_where_the_version_waits(asked: Callable[..., Any]) -> None:
    run = asked(MLOPS_APPROVAL="registry")

    assert run.conclusion == "success", run.told()
    assert run.jobs["approve"].result == "skipped"
    assert {run.results[name] for name in run.results if name.startswith(("deploy", "reject"))} == {"skipped"}
    assert "Version 7 waits in the registry" in run.summary
