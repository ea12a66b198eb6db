"""Workflows that a team writes of its own pass the rules of `python -m mlops.workflows`, or hear what is wrong."""

import re

import pytest

from mlops.workflows import __main__ as command
from mlops.workflows import documents, rules

EXAMPLE = re.compile(r"```yaml\n(name: .*?)```", re.DOTALL)
PAGES = """
name: pages
on: [workflow_dispatch]
permissions: {}
defaults: {run: {shell: bash}}
jobs:
  pages:
    runs-on: ubuntu-latest
    timeout-minutes: 10
    permissions: {contents: read, pages: write, id-token: write}
    environment: github-pages
    concurrency: pages
    steps:
      - uses: actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1
        with: {persist-credentials: false}
      - env: {UV_CACHE_DIR: /tmp/cache}
        run: |
          FOLDER=$RUNNER_TEMP/site
          for PAGE in docs/*.md; do echo "$PAGE" >> "$FOLDER"; done
          uv run mkdocs build --site-dir "$FOLDER"
      - uses: actions/deploy-pages@d6db90164ac5ed86f2b6aed7e0febac5b3c0c03e # v4.0.5
"""
"""One that has nothing to do with models: short forms, an action that nobody here knows, variables of its own."""

NODE = "name: x\ndescription: x\nruns: {using: node24, main: x.js}\n"


@pytest.fixture
def project(folder, tmp_path):
    """A project with a workflow more."""

    def written(text, name=".github/workflows/own.yml"):
        for file in [*folder.rglob("*.yml")]:
            (tmp_path / file.relative_to(folder)).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / file.relative_to(folder)).write_bytes(file.read_bytes())
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
        return tmp_path

    return written


def problems(project):
    """What breaks a rule in a project."""
    return list(rules.problems(documents.repository(project)))


def test_the_example_of_the_page_passes(project, told):
    [example] = EXAMPLE.findall(told)

    assert problems(project(example)) == []


def test_a_workflow_that_has_nothing_to_do_with_models_passes(project):
    assert problems(project(PAGES)) == []


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("$PAGE", "$PAGES", "$PAGES is read and not given by env"),
        ("contents: read, ", "", "permissions are"),
        ("# v4.0.5", "", "not pinned"),
        ("timeout-minutes: 10", "timeout-minutes: 300", "timeout-minutes is 300"),
        ("persist-credentials", "persist-credential", "has no input persist-credential"),
    ],
)
def test_a_mistake_in_it_is_told(project, right, wrong, said):
    assert right in PAGES

    [problem] = problems(project(PAGES.replace(right, wrong)))

    assert said in problem


@pytest.mark.parametrize(
    ("text", "file", "said"),
    [
        ("jobs: [", "workflows/own.yml", "while parsing"),
        ("", "workflows/own.yml", "something is not where GitHub expects it"),
        ("name: x\n", "workflows/own.yml", "something is not where GitHub expects it"),
        (NODE, "actions/own/action.yml", "no composite action"),
    ],
)
def test_what_is_no_workflow_is_told_in_a_line(project, monkeypatch, capsys, text, file, said):
    monkeypatch.chdir(project(text, f".github/{file}"))

    assert command.main() == 1

    [line] = capsys.readouterr().out.splitlines()
    assert said in line
