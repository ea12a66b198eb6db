"""`mlops bootstrap github`: what it makes, what it leaves alone, what it says when GitHub does not give it."""

import json
import subprocess

import pytest

from mlops import rest
from mlops.setup import rulesets

BOOTSTRAP = ("bootstrap", "github", "--reviewer", "mira", "--reviewer", "acme/reviewers", "--yes")


def git(folder, *words):
    return subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, check=True).stdout.strip()


def repository(hub):
    return hub.repositories["acme/churn"]


def asked(environment):
    """Who is asked in an environment."""
    rules = {rule["type"]: rule for rule in environment["protection_rules"]}
    return [each["reviewer"]["id"] for each in rules.get("required_reviewers", {}).get("reviewers", [])]


def test_from_nothing_to_a_repository_with_branches_environments_and_rules(hub, mlops, project):
    assert mlops(*BOOTSTRAP) == 0

    made = repository(hub)
    assert made.private
    assert made.default_branch == "main"
    assert made.heads() == {name: git(project.root, "rev-parse", name) for name in ("main", "dev")}
    assert made.token == "read"
    assert {name: sorted(made.policies[name]) for name in made.environments} == {
        "feature": [], "dev": ["dev", "main"], "dev-approval": ["dev", "main"], "prod": ["main"],
        "prod-approval": ["main"],
    }  # fmt: skip
    assert {name: asked(each) for name, each in made.environments.items() if asked(each)} == {"prod-approval": [11, 31]}
    assert {each["name"] for each in made.rulesets.values()} == {"mlops: main", "mlops: dev"}
    assert "MLOPS_APPROVAL" not in made.variables
    assert git(project.root, "remote", "get-url", "origin") == "https://github.com/acme/churn.git"


def rule(ruleset, kind):
    return next(each.get("parameters", {}) for each in ruleset["rules"] if each["type"] == kind)


def test_main_takes_merge_commits_of_reviewed_and_checked_pull_requests(hub, mlops):
    mlops(*BOOTSTRAP)

    main, dev = sorted(repository(hub).rulesets.values(), key=lambda each: each["name"], reverse=True)
    assert main["enforcement"] == "active"
    assert main["conditions"]["ref_name"]["include"] == ["refs/heads/main"]
    assert rule(main, "pull_request")["allowed_merge_methods"] == ["merge"]
    assert rule(main, "pull_request")["required_approving_review_count"] == 1
    assert rule(dev, "pull_request")["allowed_merge_methods"] == ["merge", "squash", "rebase"]
    assert {"deletion", "non_fast_forward"} <= {each["type"] for each in main["rules"]}
    checks = rule(main, "required_status_checks")["required_status_checks"]
    assert checks == [
        {"context": "check / lint, types, tests", "integration_id": 15368},
        {"context": "main takes pull requests from dev", "integration_id": 15368},
    ]


def test_the_required_checks_are_those_that_the_workflows_give(project):
    given = rulesets.checks_given(project.root)

    assert {check for checks in rulesets.REQUIRED.values() for check in checks} <= given
    assert {"train / train", "report"} <= given


def test_a_job_of_another_name_is_refused_before_anything_is_made(hub, mlops, project, capsys):
    file = project.root / ".github/workflows/_check.yml"
    file.write_text(file.read_text(encoding="utf-8").replace("lint, types, tests", "all"), encoding="utf-8")

    assert mlops(*BOOTSTRAP) == 2
    assert "no workflow of a pull request gives the check 'check / lint, types, tests'" in capsys.readouterr().err
    assert hub.writes() == []


def test_a_second_run_changes_nothing(hub, mlops, capsys):
    mlops(*BOOTSTRAP)
    state = hub.state()
    hub.calls.clear()
    capsys.readouterr()

    assert mlops(*BOOTSTRAP, "--json") == 0

    assert hub.writes() == []
    assert hub.state() == state
    assert {each["deed"] for each in json.loads(capsys.readouterr().out)} == {"keep"}


def test_a_second_run_needs_no_reviewer_and_keeps_those_who_are_there(hub, mlops):
    mlops(*BOOTSTRAP)
    hub.calls.clear()

    assert mlops("bootstrap", "github", "--yes") == 0
    assert hub.writes() == []


def test_a_plan_changes_nothing(hub, mlops, capsys):
    assert mlops(*BOOTSTRAP, "--plan") == 0

    assert hub.writes() == []
    assert hub.repositories == {}
    shown = capsys.readouterr().out
    assert shown.split()[:4] == ["+", "make", "repository", "acme/churn"]
    assert "branch main; asks mira, acme/reviewers" in shown


def test_without_a_terminal_nothing_is_done(hub, mlops, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", open("/dev/null"))  # noqa: SIM115, PTH123

    assert mlops(*BOOTSTRAP[:-1]) == 2
    assert "no terminal to ask on" in capsys.readouterr().err
    assert hub.writes() == []


def test_the_advanced_scenario_has_a_door_for_the_challenger(hub, mlops, project):
    file = project.root / "mlops.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("basic", "advanced"), encoding="utf-8")

    assert mlops(*BOOTSTRAP) == 0
    assert asked(repository(hub).environments["prod-challenger-approval"]) == [11, 31]


class Killed(BaseException):
    """The process is ended: nothing after it is done, and nobody catches it."""


@pytest.mark.slow
def test_killed_after_each_call_and_run_again_it_ends_the_same(new_hub, mlops, monkeypatch):
    push, states = subprocess.run, []

    def request(base, token, method, path, body=None):
        """Without a server between: there are hundreds of requests."""
        status, content, _ = states[-1].answer(method, path.partition("?")[0], body, token)
        if status >= 400:
            raise rest.Refused(f"{status} {content}", status)
        return content

    monkeypatch.setattr(rest, "request", request)
    hub = new_hub()
    states.append(hub)
    mlops(*BOOTSTRAP)
    wanted = normal(hub)
    deeds = len(hub.writes()) + 2  # the two pushes

    for last in range(1, deeds + 1):
        hub = new_hub()
        states.append(hub)
        left = [last]

        def counted(answer, left=left):
            left[0] -= 1
            if left[0] == 0:
                raise Killed
            return answer

        def dying(base, token, method, path, body=None, counted=counted):
            answer = request(base, token, method, path, body)
            return answer if method == "GET" else counted(answer)

        def pushing(command, *words, counted=counted, **options):
            done = push(command, *words, **options)
            return counted(done) if "push" in command else done

        with monkeypatch.context() as patch:
            patch.setattr(rest, "request", dying)
            patch.setattr(subprocess, "run", pushing)
            with pytest.raises(Killed):
                mlops(*BOOTSTRAP)

        assert mlops(*BOOTSTRAP) == 0, f"after call {last}"
        assert normal(hub) == wanted, f"after call {last}"
        assert [(call.operation, call.problem) for call in hub.calls if call.problem] == []


def normal(hub):
    """The state without the numbers that GitHub counts up."""
    state = hub.state()
    for each in state.values():
        each["rulesets"] = [{**json.loads(text), "id": 0} for text in each["rulesets"]]
    return state


@pytest.fixture
def theirs(hub):
    """A repository that a person has made by hand, with an environment, a ruleset and a setting of its own."""
    made = hub.create("acme", "churn", private=True, description="Our model")
    prod = {"name": "prod", "protection_rules": [], "deployment_branch_policy": None}
    made.environments["prod"], made.policies["prod"] = prod, {}
    made.rulesets[7] = {
        "id": 7, "name": "mlops: main", "source_type": "Repository", "enforcement": "disabled", "rules": [],
        "conditions": {"ref_name": {"include": ["refs/heads/main"], "exclude": []}}, "bypass_actors": [],
    }  # fmt: skip
    return made


def test_what_somebody_else_made_is_left_alone_and_told(hub, theirs, mlops, capsys):
    assert mlops(*BOOTSTRAP) == 1

    assert theirs.environments["prod"]["deployment_branch_policy"] is None
    assert theirs.rulesets[7]["enforcement"] == "disabled"
    assert theirs.token == "write"
    said = capsys.readouterr().err
    assert "environment prod: left alone: branch main" in said
    assert "rules of main: left alone" in said
    assert "token of workflows: left alone" in said
    assert asked(theirs.environments["prod-approval"]) == [11, 31]  # nobody had made that


def test_what_somebody_else_made_is_taken_over_when_asked_for(hub, theirs, mlops):
    assert mlops(*BOOTSTRAP, "--adopt") == 0

    assert list(theirs.policies["prod"]) == ["main"]
    assert theirs.rulesets[7]["enforcement"] == "active"
    assert theirs.token == "read"
    hub.calls.clear()
    assert mlops(*BOOTSTRAP) == 0
    assert hub.writes() == []


def test_what_a_person_loosened_since_is_shown_and_set_again(hub, mlops, capsys):
    mlops(*BOOTSTRAP)
    made = repository(hub)
    made.policies["prod"]["feature/x"] = 999
    main = next(each for each in made.rulesets.values() if each["name"] == "mlops: main")
    rule(main, "pull_request")["required_approving_review_count"] = 0
    main["bypass_actors"] = [{"actor_id": 1, "actor_type": "OrganizationAdmin", "bypass_mode": "always"}]
    main["rules"].append({"type": "required_linear_history"})
    capsys.readouterr()

    assert mlops(*BOOTSTRAP, "--approvals", "1") == 0

    shown = capsys.readouterr().out
    assert "~ change" in next(line for line in shown.splitlines() if "environment prod " in line)
    assert "~ change" in next(line for line in shown.splitlines() if "rules of main" in line)
    assert list(made.policies["prod"]) == ["main"]
    again = next(each for each in made.rulesets.values() if each["name"] == "mlops: main")
    assert rule(again, "pull_request")["required_approving_review_count"] == 1
    assert again["bypass_actors"] == []
    assert "required_linear_history" in {each["type"] for each in again["rules"]}  # stricter than ours: it stays


def test_what_a_person_tightened_since_stays(hub, mlops):
    mlops(*BOOTSTRAP)
    made = repository(hub)
    wait = {"id": 2, "type": "wait_timer", "wait_timer": 30}
    made.environments["prod"]["protection_rules"] = [wait]
    made.policies["prod"]["feature/x"] = 999  # so that it is set again
    main = next(each for each in made.rulesets.values() if each["name"] == "mlops: main")
    review, checks = rule(main, "pull_request"), rule(main, "required_status_checks")
    review |= {"required_approving_review_count": 2, "require_last_push_approval": True}
    checks["strict_required_status_checks_policy"] = True
    checks["required_status_checks"].append({"context": "licences"})
    dev = next(each for each in made.rulesets.values() if each["name"] == "mlops: dev")
    rule(dev, "pull_request")["allowed_merge_methods"] = ["squash"]
    stricter = json.dumps(dev, sort_keys=True)
    hub.calls.clear()

    assert mlops("bootstrap", "github", "--yes") == 0
    assert not [call for call in hub.writes() if "rulesets" in call]

    main["enforcement"] = "evaluate"
    assert mlops("bootstrap", "github", "--yes") == 0

    assert made.environments["prod"]["protection_rules"] == [wait]
    main = next(each for each in made.rulesets.values() if each["name"] == "mlops: main")
    assert main["enforcement"] == "active"
    review, checks = rule(main, "pull_request"), rule(main, "required_status_checks")
    assert (review["required_approving_review_count"], review["require_last_push_approval"]) == (2, True)
    assert checks["strict_required_status_checks_policy"] is True
    assert "licences" in {each["context"] for each in checks["required_status_checks"]}
    dev = next(each for each in made.rulesets.values() if each["name"] == "mlops: dev")
    assert json.dumps(dev, sort_keys=True) == stricter


def test_a_branch_that_is_there_is_never_pushed_over(hub, theirs, mlops, project):
    git(project.root, "push", "-q", str(theirs.folder), "main")
    before = theirs.heads()["main"]
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.com"]
    git(project.root, *identity, "commit", "-q", "--allow-empty", "-m", "More")

    mlops(*BOOTSTRAP)

    assert theirs.heads()["main"] == before
    assert theirs.heads()["dev"] == git(project.root, "rev-parse", "dev")


def test_a_plan_without_reviewers_sets_approval_to_the_registry(new_hub, mlops, capsys):
    hub = new_hub(plan="team")

    assert mlops(*BOOTSTRAP) == 0

    made = repository(hub)
    assert made.variables["MLOPS_APPROVAL"] == "registry"
    assert list(made.policies["prod-approval"]) == ["main"]
    hub.calls.clear()
    capsys.readouterr()
    assert mlops("bootstrap", "github", "--yes") == 0
    assert hub.writes() == []
    assert "versions are approved in the registry" in capsys.readouterr().out

    hub.plan = "enterprise"
    assert mlops(*BOOTSTRAP) == 0
    assert "MLOPS_APPROVAL" not in made.variables
    assert asked(made.environments["prod-approval"]) == [11, 31]


def test_a_plan_without_environments_and_rulesets_is_told_with_what_it_means(new_hub, mlops, capsys):
    hub = new_hub(plan="free")

    assert mlops(*BOOTSTRAP) == 1

    said = capsys.readouterr().err
    assert "environment prod: GitHub PUT" in said
    assert "Make the repository public, or take a plan that has it" in said
    assert "rules of main: GitHub GET" in said or "rules of main: GitHub POST" in said
    assert "until then whoever can push can push to main" in said
    assert set(repository(hub).heads()) == {"main", "dev"}


def test_a_public_repository_has_all_of_it_for_free(new_hub, mlops):
    hub = new_hub(plan="free")

    assert mlops(*BOOTSTRAP, "--public") == 0
    assert not repository(hub).private
    assert asked(repository(hub).environments["prod-approval"]) == [11, 31]


def test_the_registry_can_be_chosen(hub, mlops):
    assert mlops("bootstrap", "github", "--registry", "--yes") == 0

    assert repository(hub).variables["MLOPS_APPROVAL"] == "registry"
    assert asked(repository(hub).environments["prod-approval"]) == []


def test_a_reviewer_whom_github_leaves_out_is_named(new_hub, mlops, capsys):
    new_hub(readers={11})

    assert mlops(*BOOTSTRAP) == 1
    assert "GitHub leaves out acme/reviewers: give them read access" in capsys.readouterr().err


def test_an_older_form_of_the_subject_is_changed_to_the_one_with_numbers(new_hub, mlops):
    hub = new_hub(immutable=False)

    assert mlops(*BOOTSTRAP) == 0
    assert repository(hub).immutable
