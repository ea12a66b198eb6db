"""The workflows and actions hold against the public linters and our own rules."""

import inspect
import re

import pytest
from typer.main import get_command

from mlops import access, cli
from mlops.cli import model, release, workflow
from mlops.registry import promotion
from mlops.setup import handover
from mlops.workflows import composites, documents, foreign, needs, rules
from static import handing, linters, page, promises, values, waits

PINNED = re.compile(r"uses: ([\w/-]+)@(\w+) # (v[\d.]+)$", re.MULTILINE)


@pytest.fixture(scope="module")
def repo(folder):
    """The workflows and actions, read."""
    return documents.repository(folder)


@pytest.mark.parametrize(
    "lint", [linters.actionlint, linters.zizmor, linters.dependabot], ids=lambda lint: lint.__name__
)
def test_a_linter_finds_nothing(folder, lint):
    assert lint(folder) == ""


def test_the_steps_of_actions_hold_as_a_workflow(folder, repo):
    assert composites.findings(repo, folder) == ""


def test_our_own_rules_hold(repo):
    assert list(rules.problems(repo)) == []


def test_foreign_actions_are_at_the_commits_that_were_looked_at(repo):
    used = {match.groups() for text in repo.texts.values() for match in PINNED.finditer(text)}

    assert used == {(name, action.sha, action.version) for name, action in foreign.ACTIONS.items()}


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
