"""The command line: what a person or a script gets back when something is wrong, before any AWS is asked."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mlops import display

PROJECT = Path(__file__).parents[2] / "{{cookiecutter.project_slug}}"

COMMANDS = [
    "run", "fingerprint", "register", "promote", "approve", "reject", "deploy", "verify", "rollback", "predict",
    "predictions", "transform", "image",
    "status", "history", "prune", "reproduce", "report", "monitor", "teardown", "schedule", "groups", "bootstrap",
    "doctor", "destroy", "adopt",
    "sandbox", "demo",
]  # fmt: skip


def mlops(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `mlops` as a shell would, in a folder."""
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "GITHUB_", "MLOPS_", "UV_"))
    }
    environment = clean | {"PYTHONPATH": str(PROJECT / "src")} | variables
    command = [sys.executable, "-m", "mlops", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def help_text(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What `mlops --help` prints."""
    done = mlops(tmp_path_factory.mktemp("empty"), "--help")
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_help_lists_every_command(help_text, command):
    assert f"\n  {command} " in help_text


def test_help_cuts_no_sentence_and_has_an_example_for_each_command_on_a_line_of_its_own(help_text):
    from typer.main import get_command

    from mlops.cli import app

    found = dict(get_command(app).commands)
    groups = {name: found.pop(name) for name in list(found) if hasattr(found[name], "commands")}
    for name, group in groups.items():
        found |= {f"{name} {each}": command for each, command in group.commands.items()}

    assert "..." not in help_text.replace("[ARGS]...", "")
    assert set(COMMANDS) - set(found) == set(groups) & set(COMMANDS)
    for name, command in found.items():
        what, _, example = command.help.partition("\n\n\b\nExample: ")
        assert command.short_help == " ".join(what.split()) != ""
        assert example.startswith(f"mlops {name}")


@pytest.mark.slow
@pytest.mark.parametrize("group", [[], ["groups"]])
def test_a_group_of_commands_alone_shows_its_help_line_by_line(tmp_path, group):
    done = mlops(tmp_path, *group)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"Usage: {' '.join(['mlops', *group])} [OPTIONS] COMMAND")
    assert "\nCommands:\n" in done.stderr


@pytest.mark.slow
def test_a_wrong_option_leads_to_the_help_of_its_command(tmp_path):
    assert "(mlops groups create --help lists what there is)" in mlops(tmp_path, "groups", "create", "--x").stderr


WRONG = [
    (["nonsense"], "No such command 'nonsense'"),
    (["deploy"], "Missing option '--env'"),
    (["deploy", "--environment", "dev"], "--environment"),
    (["rollback", "--to", "none"], "--to"),
    (["rollback", "--to", "0"], "--to"),
    (["approve", "--by", "me"], "--reason"),
    (["teardown", "--env", "dev"], "--confirm"),
    (["schedule", "start"], "Missing option '--env'"),
    (["schedule", "restart", "--env", "dev"], "'start', 'stop'"),
    (["run"], "give a stage to run here"),
    (["run", "train", "--env", "feature"], "leave one out"),
    (["deploy", "--env", "production"], "environment is 'production'; mlops.yaml has feature, dev, prod"),
    (["deploy", "--env", "feature"], "--env is feature, where models are trained and none serves; give dev or prod"),
    (["approve", "--env", "feature", "--by", "me", "--reason", "good"], "give dev or prod"),
    (["register", "--env", "dev"], "--env is dev; models are trained in feature: give that"),
    (["compare"], "a challenger is meant, which prod does not have"),
    (["predict", "nowhere.csv"], "file is nowhere.csv"),
    (["predictions", "--from", "yesterday"], "--from"),
    (["sandbox", "start", "--time-scale", "0"], "--time-scale"),
]


@pytest.mark.parametrize(("arguments", "words"), WRONG, ids=[" ".join(arguments) for arguments, _ in WRONG])
def test_wrong_input_gets_one_line_and_exit_code_2(project_folder, arguments, words):
    done = mlops(project_folder, *arguments)

    assert done.returncode == 2
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stdout == ""
    assert not (project_folder / ".sandbox").exists()


@pytest.fixture(scope="module")
def project_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with settings and nothing else."""
    folder = tmp_path_factory.mktemp("project")
    content = {
        "project": "churn",
        "package": "churn",
        "region": "eu-west-1",
        "environments": [
            {"name": "feature", "account": "111111111111"},
            {"name": "dev", "account": "111111111111", "endpoint": {}},
            {"name": "prod", "account": "222222222222", "approval": "manual", "endpoint": {}},
        ],
        "stages": {"train": {"job": "training"}},
    }
    (folder / "mlops.yaml").write_text(json.dumps(content), encoding="utf-8")
    return folder


def test_what_is_to_be_typed_next_has_uv_before_it_where_the_command_had(project_folder):
    said = mlops(project_folder, "deploy", UV_RUN_RECURSION_DEPTH="1").stderr

    assert "(uv run mlops deploy --help lists what there is)" in said
    assert "(mlops deploy --help" in mlops(project_folder, "deploy").stderr


def test_only_the_first_line_of_a_reason_is_marked(capsys, monkeypatch):
    monkeypatch.setenv("UV_RUN_RECURSION_DEPTH", "1")
    display.error(
        "train: job a is Failed: too few\n  | in mlops.yaml: 3\nrun mlops in a folder: `mlops run`, uv run mlops status"
    )

    assert capsys.readouterr().err.splitlines() == [
        "✗ train: job a is Failed: too few",
        "  | in mlops.yaml: 3",
        "✗ run mlops in a folder: `uv run mlops run`, uv run mlops status",
    ]


def test_outside_a_project_it_says_where_to_go(tmp_path):
    done = mlops(tmp_path, "status")

    assert done.returncode == 2
    assert "run mlops in a project's folder" in done.stderr


def test_on_github_the_sandbox_is_refused(project_folder):
    done = mlops(project_folder, "status", GITHUB_ACTIONS="true")

    assert done.returncode == 2
    assert "mlops.yaml: aws is sandbox; a workflow works on AWS: give aws: account" in done.stderr


def test_an_endpoint_that_does_not_answer_is_a_failure_in_one_line(project_folder):
    done = mlops(project_folder, "groups", "list", AWS_ENDPOINT_URL="http://127.0.0.1:9", AWS_MAX_ATTEMPTS="1")

    assert done.returncode == 1
    assert "http://127.0.0.1:9" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_debug_shows_where_it_failed(tmp_path):
    done = mlops(tmp_path, "--debug", "status")

    assert done.returncode == 2
    assert "Traceback" in done.stderr
