"""The workflows and actions hold against the public linters and our own rules."""

import inspect
import re
import shutil

import pytest
from typer.main import get_command

from mlops import access, cli
from mlops.cli import model, release, workflow
from mlops.registry import promotion
from mlops.setup import handover
from static import documents, handing, linters, needs, page, promises, rules, values, waits


@pytest.fixture(scope="module")
def repo(folder):
    """The workflows and actions, read."""
    return documents.repository(folder)


@pytest.mark.parametrize(
    "lint", [linters.actionlint, linters.zizmor, linters.dependabot], ids=lambda lint: lint.__name__
)
def test_a_linter_finds_nothing(folder, lint):
    assert lint(folder) == ""


@pytest.mark.slow
def test_githubs_own_language_service_finds_nothing(folder, language_service):
    assert linters.language_service(folder, language_service) == ""


@pytest.mark.slow
def test_githubs_own_language_service_looks(folder, language_service, tmp_path):
    shutil.copytree(folder / ".github", tmp_path / ".github")
    file = tmp_path / ".github/workflows/rollback.yml"
    wrong = file.read_text(encoding="utf-8").replace("persist-credentials", "persist-credential")
    file.write_text(wrong, encoding="utf-8")

    assert "persist-credential" in linters.language_service(tmp_path, language_service)


@pytest.mark.parametrize(
    ("hook", "workflow", "right", "wrong"),
    [
        ("actionlint", "feature.yml", "needs.check.outputs.ready", "needs.chek.outputs.ready"),
        ("actionlint", "base.yml", 'echo "::error::', "echo ::error::$BRANCH "),
        ("zizmor", "feature.yml", "persist-credentials: false", "persist-credentials: true"),
    ],
)
def test_the_projects_own_hooks_find_a_mistake_before_it_is_committed(
    folder, hooks, tmp_path, hook, workflow, right, wrong
):
    entry = next(each["entry"] for each in hooks if each["id"] == hook).split()
    assert entry[:3] == ["uv", "run", "--no-sync"]
    shutil.copytree(folder / ".github", tmp_path / ".github")
    (tmp_path / ".git").mkdir()
    file = f".github/workflows/{workflow}"
    command = [*entry[3:], *([file] if hook == "actionlint" else [])]
    assert linters.run(*command, folder=tmp_path) == ""

    text = (tmp_path / file).read_text(encoding="utf-8")
    assert right in text
    (tmp_path / file).write_text(text.replace(right, wrong), encoding="utf-8")

    assert workflow in linters.run(*command, folder=tmp_path)


def test_the_steps_of_actions_hold_as_a_workflow(folder, repo):
    assert linters.composites(folder, repo) == ""


def test_our_own_rules_hold(repo):
    assert list(rules.problems(repo)) == []


def test_an_event_starts_the_jobs_and_commands_that_it_promises(repo):
    assert list(promises.broken(repo)) == []


def test_the_plan_that_is_applied_is_the_one_that_was_shown(repo):
    assert list(handing.broken(repo)) == []


def test_a_value_is_handed_on_under_its_name_from_where_it_is_made(repo):
    assert list(values.broken(repo)) == []


def test_workflows_start_wait_and_end_as_they_promise(repo):
    assert list(waits.broken(repo)) == []


def test_the_page_tells_every_input_and_output(repo, told):
    assert list(page.broken(repo, told)) == []


def test_every_command_that_a_step_runs_exists_with_its_options(repo):
    commands = get_command(cli.app).commands
    for path, document in repo.documents.items():
        for script in documents.every(document, "run"):
            for match in needs.COMMAND.finditer(script):
                group, _, name = match["name"].rpartition(" ")
                there = commands[group].commands if group else commands
                assert name in there, f"{path}: {match[0]}"
                allowed = {option for each in there[name].params for option in each.opts}
                assert set(re.findall(r"--[a-z-]+", match["options"])) <= allowed, f"{path}: {match[0]}"


@pytest.mark.parametrize(
    ("command", "sources"),
    [
        ("roles", [access.Access.outputs]),
        ("run", [model.run, model.left]),
        ("register", [model.register]),
        ("promote", [release.promote, release.pass_over, promotion.outputs]),
        ("deploy", [release.deploy]),
        ("door", [workflow.door]),
        ("infra plan", [handover.Planned.outputs]),
    ],
)
def test_what_is_read_of_a_command_is_what_it_writes(command, sources):
    written = {name for each in sources for name in re.findall(r'"([\w-]+)":', inspect.getsource(each))}

    assert values.WRITES[command] <= written


def test_every_command_that_writes_is_known(repo):
    assert set(values.WRITES) <= set(values.OPTIONS) == {name for each in promises.COMMANDS.values() for name in each}


def test_dependabot_updates_actions_and_python_on_dev(folder):
    updates = documents.load((folder / ".github/dependabot.yml").read_text(encoding="utf-8"))["updates"]

    assert {each["package-ecosystem"] for each in updates} == {"github-actions", "uv"}
    assert {each["target-branch"] for each in updates} == {"dev"}
    actions = next(each for each in updates if each["package-ecosystem"] == "github-actions")
    assert "/.github/actions/*" in actions["directories"]
