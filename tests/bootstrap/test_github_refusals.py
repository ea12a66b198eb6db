"""`mlops bootstrap github` when something is wrong: what was given, GitHub itself, the token."""

import subprocess

import pytest

from mlops import rest
from mlops.setup import repository

BOOTSTRAP = ("bootstrap", "github", "--reviewer", "mira", "--reviewer", "acme/reviewers", "--yes")


WRONG = [
    (["--yes"], "--reviewer is missing: GitHub has to ask somebody in prod-approval"),
    (["--reviewer", "nobody", "--yes"], "--reviewer is 'nobody'; GitHub shows no user nobody"),
    (["--reviewer", "acme/none", "--yes"], "GitHub shows no team none in acme"),
    (["--reviewer", "mira", "--registry", "--yes"], "leave one out"),
    ([word for number in range(7) for word in ("--reviewer", f"r{number}")], "GitHub takes 6: name a team"),
]


@pytest.mark.parametrize(("words", "said"), WRONG, ids=[said for _, said in WRONG])
def test_a_wrong_choice_gets_one_line_and_nothing_is_made(hub, mlops, capsys, words, said):
    assert mlops("bootstrap", "github", *words) == 2

    error = capsys.readouterr().err
    assert said in error
    assert len(error.strip().splitlines()) == 1
    assert hub.writes() == []


@pytest.mark.parametrize(
    ("name", "said"),
    [("noor/churn", "the token is of mira: give noor's"), ("stranger/churn", "GitHub knows no owner stranger")],
)
def test_an_owner_for_whom_the_token_can_not_make_a_repository(hub, mlops, project, capsys, name, said):
    file = project.root / "mlops.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("acme/churn", name), encoding="utf-8")

    assert mlops(*BOOTSTRAP) == 2
    assert said in capsys.readouterr().err
    assert hub.writes() == []


def test_the_token_is_taken_from_githubs_own_command_line(hub, mlops, tmp_path, monkeypatch):
    monkeypatch.delenv("GH_TOKEN")
    monkeypatch.delenv("GITHUB_TOKEN", raising=False)
    program = tmp_path / "bin/gh"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\n[ "$*" = "auth token" ] && echo a-token\n', encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")

    assert mlops(*BOOTSTRAP, "--plan") == 0


def test_without_a_token_it_says_how_to_get_one(hub, mlops, monkeypatch, capsys):
    monkeypatch.delenv("GH_TOKEN")
    monkeypatch.setattr("mlops.setup.repository.shutil.which", lambda name: None)

    assert mlops(*BOOTSTRAP) == 2
    assert "GH_TOKEN is not set" in capsys.readouterr().err


LIFTED = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "0"}
BUSY = [
    ("GET", 503, {}, "Service unavailable"),
    ("GET", 502, {}, "Bad gateway"),
    ("PUT", 500, {}, "Server error"),
    ("POST", 503, {}, "Service unavailable"),
    ("POST", 429, {"Retry-After": "0"}, "Too many requests"),
    ("POST", 403, {}, "You have exceeded a secondary rate limit"),
    ("GET", 403, LIFTED, "API rate limit exceeded"),
]
REQUESTS = {
    "GET": ("/users/mira", None),
    "PUT": ("/repos/acme/churn/actions/permissions/workflow", {"default_workflow_permissions": "read"}),
    "POST": ("/orgs/acme/repos", {"name": "new"}),
}


@pytest.mark.parametrize("fault", BUSY, ids=[f"{each[0]} {each[1]} {each[3]}" for each in BUSY])
def test_a_busy_github_is_asked_again(hub, address, fault, monkeypatch):
    monkeypatch.setattr(rest.time, "sleep", lambda seconds: None)
    hub.create("acme", "churn")
    hub.faults.append(fault)
    path, body = REQUESTS[fault[0]]

    rest.request(address[0], "a-token", fault[0], path, body)

    first, again = hub.calls
    assert first.status == fault[1]
    assert again.status < 300


def test_a_github_that_stays_busy_is_given_up(hub, address):
    hub.faults += [("GET", 503, {}, "Service unavailable")] * rest.ATTEMPTS

    with pytest.raises(rest.Refused, match="GitHub GET /users/mira: 503 Service unavailable"):
        rest.request(address[0], "a-token", "GET", "/users/mira")
    assert len(hub.calls) == rest.ATTEMPTS


def test_what_may_have_been_done_is_not_sent_again(hub, mlops, capsys):
    hub.faults.append(("POST /orgs", 502, {}, "Bad gateway"))

    assert mlops(*BOOTSTRAP) == 1
    assert "GitHub POST /orgs/acme/repos: 502 Bad gateway" in capsys.readouterr().err
    assert sum(call.operation == "POST /orgs/{org}/repos" for call in hub.calls) == 1


def test_nobody_waits_an_hour_for_a_limit(hub, mlops, capsys):
    limits = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "99999999999"}
    hub.faults.append(("GET", 403, limits, "API rate limit"))

    assert mlops(*BOOTSTRAP) == 1
    assert "403 API rate limit" in capsys.readouterr().err


def test_no_token_is_shown_or_kept(hub, mlops, project, capsys, monkeypatch):
    hub.token = "ghp_a_very_secret_token"
    monkeypatch.setenv("GH_TOKEN", hub.token)
    seen, run = [], subprocess.run

    def recorded(command, **options):
        seen.append(command)
        return run(command, **options)

    monkeypatch.setattr(subprocess, "run", recorded)

    assert mlops(*BOOTSTRAP) == 0

    said = capsys.readouterr()
    assert hub.token not in said.out + said.err
    assert all(hub.token not in " ".join(map(str, command)) for command in seen)
    assert hub.token not in (project.root / ".git/config").read_text(encoding="utf-8")


def test_a_push_that_is_refused_says_why(hub, mlops, capsys):
    made = hub.create("acme", "churn", description="x (made by mlops bootstrap)")
    hook = made.folder / "hooks/update"
    hook.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    hook.chmod(0o755)

    assert mlops(*BOOTSTRAP) == 1
    assert "! [remote rejected] main -> main (hook declined)" in capsys.readouterr().err


def test_a_token_that_may_push_no_workflows_is_told_apart():
    said = """To https://github.com/acme/churn.git
 ! [remote rejected] main -> main (refusing to allow an OAuth App to create or update workflow without `workflow` scope)
error: failed to push some refs to 'https://github.com/acme/churn.git'
"""
    assert repository.why(said).endswith("`workflow` scope); give the token that scope: gh auth refresh -s workflow")
    assert repository.why("fatal: unable to access\nmore") == "fatal: unable to access"
    assert repository.why("") == ""
