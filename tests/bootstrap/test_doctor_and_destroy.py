"""`mlops doctor` says what is not in order on GitHub; `mlops destroy` removes what the bootstrap has made there."""

import json
import re
import subprocess

import pytest

from mlops.setup import pins, tools

BOOTSTRAP = ("bootstrap", "github", "--reviewer", "mira", "--yes")


def git(folder, *words):
    subprocess.run(["git", "-C", str(folder), *words], capture_output=True, check=True)


@pytest.fixture
def examined(mlops, capsys):
    """Runs the doctor on GitHub's side, and gives its exit code and its checks by name."""

    def run(*words):
        code = mlops("doctor", "--only", "github", "--json", *words)
        return code, {check["what"]: check for check in json.loads(capsys.readouterr().out)}

    return run


def test_all_is_well_after_the_bootstrap_and_nothing_is_changed(hub, made, examined):
    code, checks = examined()

    assert code == 0
    assert all(check["passed"] for check in checks.values())
    assert hub.writes() == []
    assert checks["subject of identity tokens"]["found"] == f"repo:acme@1/churn@{made.id}:environment:NAME"
    assert "asks mira" in checks["environment prod-approval"]["found"]


def test_it_says_whether_workflows_may_open_pull_requests_and_leaves_that_to_people(hub, made, examined):
    said = []
    for made.opens in (False, True):
        code, checks = examined()
        assert (code, hub.writes()) == (0, [])
        said.append(checks["token of workflows"]["found"])

    assert said == [
        "may read; may not open pull requests: a person opens those of retrain",
        "may read; may open pull requests and approve them",
    ]


def loosen_token(made):
    made.token = "write"


def lose_environment(made):
    del made.environments["prod"], made.policies["prod"]


def open_environment(made):
    made.environments["prod"]["deployment_branch_policy"] = None
    made.policies["prod"] = {}


def ask_nobody(made):
    made.environments["prod-approval"]["protection_rules"] = []


def lose_rules(made):
    made.rulesets.clear()


def switch_rules_off(made):
    for each in made.rulesets.values():
        each["enforcement"] = "disabled"


def lose_a_check(made):
    for each in made.rulesets.values():
        each["rules"] = [rule for rule in each["rules"] if rule["type"] != "required_status_checks"]


def change_default(made):
    made.default_branch = "dev"


def old_subject(made):
    made.immutable = False


DAMAGE = [
    (loosen_token, "token of workflows"),
    (lose_environment, "environment prod"),
    (open_environment, "environment prod"),
    (ask_nobody, "variable MLOPS_APPROVAL"),
    (lose_rules, "rules of main"),
    (switch_rules_off, "rules of dev"),
    (lose_a_check, "rules of main"),
    (change_default, "default branch"),
    (old_subject, "subject of identity tokens"),
]


@pytest.mark.parametrize(("damage", "what"), DAMAGE, ids=[damage.__name__ for damage, _ in DAMAGE])
def test_what_is_not_in_order_is_named_with_its_fix_which_mends_it(made, mlops, examined, capsys, damage, what):
    damage(made)

    code, checks = examined()
    assert code == 1
    assert not checks[what]["passed"]
    assert checks[what]["fix"] == "mlops bootstrap github"

    assert mlops(*BOOTSTRAP) == 0
    capsys.readouterr()
    assert examined()[0] == 0


def test_no_repository_and_no_token_are_one_line_each(hub, examined, monkeypatch):
    code, checks = examined()
    assert (code, [*checks]) == (1, ["repository acme/churn"])
    assert checks["repository acme/churn"]["fix"] == "mlops bootstrap github"

    monkeypatch.setenv("GH_TOKEN", "another")
    code, checks = examined()
    assert (code, [*checks]) == (1, ["GitHub"])
    assert "401 Bad credentials" in checks["GitHub"]["found"]


def test_on_the_sandbox_a_token_is_not_needed_yet(hub, mlops, project, monkeypatch, capsys):
    for name in ("GH_TOKEN", "GITHUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("mlops.setup.repository.shutil.which", lambda name: None)
    file = project.root / "mlops.yaml"
    file.write_text(re.sub("^aws: .*$", "aws: sandbox", file.read_text(), flags=re.MULTILINE), encoding="utf-8")

    assert mlops("doctor", "--only", "github") == 0
    said = capsys.readouterr().out
    assert "- GitHub: no token: give GH_TOKEN" in said
    assert "0 passed, 0 failed, 1 not looked at" in said


def test_pins_are_compared_with_the_newest_releases_when_asked(hub, made, project, examined):
    used = pins.pins(project.root)
    hub.releases.update({action: (tag, commit) for action, [(commit, tag)] in used.items()})
    assert len(used) >= 3
    assert examined()[1].keys().isdisjoint({f"pin of {action}" for action in used})

    code, checks = examined("--online")
    assert code == 0
    assert {f"pin of {action}" for action in used} <= checks.keys()

    hub.releases["actions/checkout"] = ("v99.0.0", "f" * 40)
    _, commit = hub.releases["astral-sh/setup-uv"]
    hub.releases["astral-sh/setup-uv"] = (hub.releases["astral-sh/setup-uv"][0], "e" * 40)
    code, checks = examined("--online")
    assert code == 1
    assert "v99.0.0 is out" in checks["pin of actions/checkout"]["found"]
    assert "another one is pinned" in checks["pin of astral-sh/setup-uv"]["found"]
    assert commit != "e" * 40


def test_every_action_of_others_is_seen(project):
    text = "".join(file.read_text(encoding="utf-8") for file in (project.root / ".github").rglob("*.yml"))
    named = {line.split("uses: ")[1].split("@")[0] for line in text.splitlines() if "uses: " in line and "@" in line}

    assert set(pins.pins(project.root)) == {name for name in named if not name.startswith("$")}


def program(folder, name, says):
    file = folder / name
    file.write_text(f"#!/bin/sh\necho '{says}'\n", encoding="utf-8")
    file.chmod(0o755)


def test_programs_are_there_and_new_enough(project, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    program(tmp_path, "git", "git version 2.39.5")
    program(tmp_path, "uv", "uv 0.4.1 (of a day)")
    (project.root / "infra").mkdir()

    checks = {check.what: check for check in tools.checks(project)}

    assert {name: check.passed for name, check in checks.items()} == {
        "git": True, "uv": False, "dvc": False, "terraform": False
    }  # fmt: skip
    assert checks["git"].found == "2.39.5"
    assert checks["uv"].found == "0.4.1; 0.5 or newer is needed"
    assert checks["dvc"].found == "not on the PATH"
    (project.root / "infra").rmdir()
    assert "terraform" not in {check.what for check in tools.checks(project)}


def test_destroy_removes_what_the_bootstrap_made_and_nothing_else(hub, made, mlops, capsys):
    made.environments["staging"], made.policies["staging"] = {**made.environments["feature"], "name": "staging"}, {}
    made.rulesets[5] = {**next(iter(made.rulesets.values())), "id": 5, "name": "theirs"}
    made.variables["THEIRS"] = "kept"
    heads = made.heads()

    assert mlops("destroy", "--only", "github", "--confirm", "churn") == 0

    assert list(made.environments) == ["staging"]
    assert [each["name"] for each in made.rulesets.values()] == ["theirs"]
    assert made.variables == {"THEIRS": "kept"}
    assert made.heads() == heads
    assert "left: repository acme/churn (give --repository to remove it too)" in capsys.readouterr().out


def test_destroy_leaves_what_stood_there_before(hub, mlops, capsys):
    made = hub.create("acme", "churn")
    made.environments["dev"] = {"name": "dev", "protection_rules": [], "deployment_branch_policy": None}
    made.policies["dev"] = {}
    mlops(*BOOTSTRAP)

    assert mlops("destroy", "--only", "github", "--confirm", "churn", "--repository") == 0

    assert list(made.environments) == ["dev"]
    said = capsys.readouterr().out
    assert "left: environment dev (not made by the bootstrap)" in said
    assert "left: repository acme/churn (not made by the bootstrap: delete it by hand)" in said


def test_destroy_removes_an_environment_that_the_settings_have_lost_since(made, mlops, project):
    file = project.root / "mlops.yaml"
    dev = '  - {name: dev, account: "111111111111", endpoint: {}}\n'
    file.write_text(file.read_text(encoding="utf-8").replace(dev, ""), encoding="utf-8")

    assert mlops("destroy", "--only", "github", "--confirm", "churn") == 0
    assert made.environments == {}


def test_a_colleagues_clone_needs_no_branch_of_its_own(made, mlops, project):
    git(project.root, "branch", "-D", "dev")

    assert mlops("doctor", "--only", "github") == 0


def test_a_lost_check_is_the_projects_own_fault(made, examined, project):
    file = project.root / ".github/workflows/_check.yml"
    file.write_text(file.read_text(encoding="utf-8").replace("lint, types, tests", "all"), encoding="utf-8")

    code, checks = examined()
    assert code == 1
    assert "gives the check 'check / lint, types, tests'" in checks["the project's own files"]["found"]


def test_destroy_takes_the_repository_when_asked(hub, made, mlops):
    assert mlops("destroy", "--only", "github", "--repository", "--confirm", "churn") == 0

    assert hub.repositories == {}
    assert mlops("destroy", "--only", "github", "--repository", "--confirm", "churn") == 0


@pytest.mark.parametrize("words", [["--plan"], ["--confirm", "chrun"], []])
def test_destroy_removes_nothing_unless_the_name_is_given(hub, made, mlops, monkeypatch, words):
    monkeypatch.setattr("sys.stdin", None)
    state = hub.state()

    assert mlops("destroy", "--only", "github", *words) == (0 if words == ["--plan"] else 2)
    assert hub.state() == state
    assert hub.writes() == []


def test_destroy_carries_on_after_a_failure(hub, made, mlops):
    hub.faults.append(("DELETE /repos/{owner}/{repo}/rulesets", 404, {}, "gone"))
    hub.faults.append(("DELETE", 403, {}, "Must have admin rights to Repository."))

    assert mlops("destroy", "--only", "github", "--confirm", "churn") == 1
    assert mlops("destroy", "--only", "github", "--confirm", "churn") == 0
    assert made.environments == {}
    assert made.rulesets == {}
    assert made.variables == {}
