"""The hooks of both repositories find a mistake in a workflow before it is committed."""

import re
import shutil
from pathlib import Path

import pytest
import yaml

from static import linters

HOOKS = Path(".pre-commit-config.yaml")
CHECKOUT = "actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1"

SEEDED = [
    ("actionlint", "workflows/feature.yml", "needs.check.outputs.ready", "needs.chek.outputs.ready"),
    ("actionlint", "workflows/base.yml", 'echo "::error::', "echo ::error::$BRANCH "),
    ("zizmor", "workflows/feature.yml", "persist-credentials: false", "persist-credentials: true"),
    ("workflow-schemas", "workflows/feature.yml", "runs-on", "run-on"),
    ("workflow-schemas", "workflows/main.yml", "timeout-minutes: 15", "timeout-minutes: soon"),
    ("action-schemas", "actions/train/action.yml", "required: false", "required: maybe"),
    ("dependabot", "dependabot.yml", "interval: weekly", "interval: fortnightly"),
    ("workflow-rules", "workflows/_train.yml", "      id-token: write # to take on a role in AWS\n", ""),
    ("workflow-rules", "workflows/dev.yml", "promote: true", 'promote: "true"'),
    ("workflow-rules", "workflows/feature.yml", CHECKOUT, CHECKOUT.replace("v7.0.1", "v7")),
    ("workflow-rules", "actions/report/action.yml", '"$GROUP"', "$GROUP"),
    (
        "workflow-rules",
        "actions/deploy/action.yml",
        "steps.deploy.outputs.changed ==",
        "steps.deply.outputs.changed ==",
    ),
    ("workflow-rules", "actions/train/action.yml", "exec uv run", "uv run"),
]
"""A hook, a file, and what is taken for what else in it."""


@pytest.fixture(scope="module")
def hooks(baked) -> dict[str, dict]:
    """The hooks of a project, by their names."""
    settings = yaml.safe_load((baked.path / HOOKS).read_text(encoding="utf-8"))
    return {hook["id"]: hook for repository in settings["repos"] for hook in repository["hooks"]}


@pytest.fixture
def project(baked, tmp_path) -> Path:
    """What the hooks look at of a project."""
    shutil.copytree(baked.path / ".github", tmp_path / ".github")
    (tmp_path / ".git").mkdir()
    return tmp_path


@pytest.fixture
def found(hooks, project, baked, monkeypatch):
    """What a hook finds in a file."""
    monkeypatch.setenv("PYTHONPATH", str(baked.path / "src"))

    def of(name: str, file: str) -> str:
        hook = hooks[name]
        entry = hook["entry"].split()
        assert entry[:3] == ["uv", "run", "--no-sync"]
        assert re.search(hook["files"], file)
        return linters.run(*entry[3:], *([file] if hook.get("pass_filenames", True) else []), folder=project)

    return of


@pytest.mark.slow
@pytest.mark.parametrize(("hook", "file", "right", "wrong"), SEEDED)
def test_a_mistake_is_found_before_it_is_committed(found, project, hook, file, right, wrong):
    path = project / ".github" / file
    assert found(hook, f".github/{file}") == ""

    text = path.read_text(encoding="utf-8")
    assert right in text
    path.write_text(text.replace(right, wrong), encoding="utf-8")

    assert path.name in found(hook, f".github/{file}")


def test_every_hook_on_workflows_is_tried(hooks):
    on_workflows = {name for name, hook in hooks.items() if re.search(hook.get("files", "$^"), ".github/dependabot.yml")
                    or re.search(hook.get("files", "$^"), ".github/workflows/a.yml")
                    or re.search(hook.get("files", "$^"), ".github/actions/a/action.yml")}  # fmt: skip

    assert on_workflows == {hook for hook, *_ in SEEDED} | {"language-service"}


@pytest.mark.slow
def test_the_language_service_is_one_of_them_where_npm_is(installed_service, found, project):
    shutil.copytree(installed_service, project / ".mlops" / "languageservice")
    file = ".github/workflows/rollback.yml"
    assert found("language-service", file) == ""

    text = (project / file).read_text(encoding="utf-8")
    (project / file).write_text(text.replace("persist-credentials", "persist-credential"), encoding="utf-8")

    assert "persist-credential" in found("language-service", file)


def test_this_repository_runs_these_tests_before_what_they_read_is_committed(template_root):
    settings = yaml.safe_load((template_root / HOOKS).read_text(encoding="utf-8"))
    hook = next(hook for hook in settings["repos"][0]["hooks"] if hook["id"] == "workflows")

    assert hook["entry"] == "uv run --no-sync pytest -q tests/workflows/static"
    inside = "{{cookiecutter.project_slug}}"
    for file in (f"{inside}/.github/dependabot.yml", f"{inside}/src/mlops/workflows/rules.py",
                 "tests/workflows/static/waits.py"):  # fmt: skip
        assert re.search(hook["files"], file)
