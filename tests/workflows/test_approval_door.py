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
BASIC = {"pending": "true", "version": "7", "contest": "false"}
ADVANCED = {**BASIC, "contest": "true", "challenger-pending": "true", "challenger-version": "7"}


def hollow(text: str, outputs: dict[str, str]) -> str:
    """The workflow with its jobs, their conditions and environments, whose commands do nothing; a version waits."""
    lines = "".join(f"{name}={value}\\n" for name, value in outputs.items())
    promoted = {"id": "promote", "run": f'printf "{lines}" >> "$GITHUB_OUTPUT"'}
    jobs = {}
    for key, job in yaml.load(text, yaml.BaseLoader)["jobs"].items():
        jobs[key] = {name: job[name] for name in KEPT if name in job}
        if "uses" in job:
            jobs[key]["uses"] = "./.github/workflows/hollow.yml"
        else:
            told = [step for step in job["steps"] if "vars." in step.get("if", "")]
            jobs[key] |= {"runs-on": "ubuntu-latest", "steps": [promoted, *told]}
    return yaml.safe_dump({"on": "push", "jobs": jobs})


@pytest.fixture
def asked(opened: Callable[..., GitHub]) -> Callable[..., Any]:
    """Pushes to main, with variables of the repository, and gives the run."""

    def push(outputs: dict[str, str], **variables: str) -> Any:
        main = hollow(MAIN.read_text(encoding="utf-8"), outputs)
        files = {".github/workflows/main.yml": main, ".github/workflows/hollow.yml": CALLED}
        rules = Environment(reviewers=("ines",))
        github = opened(files, prod_approval=rules, prod_challenger_approval=rules)
        github.runner = replace(github.runner, variables=variables)
        [run] = github.commit("main", {"a": "1"})
        return run

    return push


@pytest.mark.parametrize(
    ("outputs", "environment"),
    [(BASIC, "prod-approval"), (ADVANCED, "prod-challenger-approval")],
    ids=["basic", "advanced"],
)
def test_the_reviewers_of_github_are_asked(
    asked: Callable[..., Any], outputs: dict[str, str], environment: str
) -> None:
    run = asked(outputs)

    assert run.gate.held() == [environment], run.told()
    assert "registry" not in run.summary


@pytest.mark.parametrize("outputs", [BASIC, ADVANCED], ids=["basic", "advanced"])
def test_where_github_asks_nobody_the_run_ends_well_and_says_where_the_version_waits(
    asked: Callable[..., Any], outputs: dict[str, str]
) -> None:
    run = asked(outputs, MLOPS_APPROVAL="registry")

    assert run.conclusion == "success", run.told()
    asking = {name for name, result in run.results.items() if result != "skipped"} - {"copy", "check"}
    assert {name for name in asking if not name.startswith("check/")} == set()
    assert "Version 7 waits in the registry" in run.summary
