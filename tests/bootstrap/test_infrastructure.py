"""The workflow may apply where GitHub asks reviewers: one bootstrap makes those, the other writes it down."""

import os
import signal
import subprocess
import sys
import time

import pytest
import yaml

from mlops import github
from mlops.errors import BadInput, Failure
from mlops.setup import account, handover, terraform, tfvars
from mlops.setup.plan import Step

TERRAFORM = """#!{python}
import os, signal
from pathlib import Path
mark = Path(os.environ["MARK"])
signal.signal(signal.SIGINT, lambda *_: mark.open("a").write("stopped\\n"))
mark.write_text("begun\\n")
signal.pause()
"""
PLANS = """
import signal
from mlops.settings import project
from mlops.setup import terraform
signal.signal(signal.SIGINT, signal.default_int_handler)
settings = project.load()
terraform.plan(settings, settings.environment("dev"), print)
"""
PATIENCE_SECONDS = 60
EXAMPLE = 'environment = "dev"\n\n# workflow_applies     = true # where reviewers are asked\n# functions = true\n'


@pytest.fixture
def dev(project):
    """The environment whose values are as the template gives them."""
    environment = project.environment("dev")
    file = terraform.values(project, environment)
    file.parent.mkdir(parents=True)
    file.write_text(EXAMPLE, encoding="utf-8")
    return environment


def test_reviewers_are_asked_before_anything_is_applied(hub, mlops, project, dev):
    assert mlops("bootstrap", "github", "--reviewer", "mira", "--yes") == 0

    made = next(iter(hub.repositories.values()))
    assert {"feature-infra", "dev-infra", "prod-infra"} <= set(made.environments)
    assert sorted(made.policies["dev-infra"]) == ["main"]
    assert account.asked(project, dev) == "mira"

    step = account.applying_step(project, dev, account.asked(project, dev), there=False)
    assert (step.deed, step.detail) == ("make", "true: dev-infra asks mira")
    step.act()
    assert handover.by_workflow(project, dev)
    assert tfvars.text_of(project, dev) == 'environment = "dev"\n\nworkflow_applies = true\n# functions = true\n'
    assert account.applying_step(project, dev, "mira", there=True).deed == "keep"


@pytest.mark.parametrize("mistake", ["nobody", "every branch", "another branch", "no environment"])
def test_where_nobody_has_to_agree_no_workflow_applies(hub, mlops, project, dev, mistake):
    assert mlops("bootstrap", "github", "--reviewer", "mira", "--yes") == 0
    made = next(iter(hub.repositories.values()))
    if mistake == "nobody":
        made.environments["dev-infra"]["protection_rules"] = []
    elif mistake == "every branch":
        made.environments["dev-infra"]["deployment_branch_policy"] = None
    elif mistake == "another branch":
        made.policies["dev-infra"] = {**made.policies["dev-infra"], "feature/*": 99}
    else:
        del made.environments["dev-infra"], made.policies["dev-infra"]

    assert account.asked(project, dev) == ""
    assert account.applying_step(project, dev, "", there=False).deed == "keep"
    assert not handover.by_workflow(project, dev)

    tfvars.write(project, dev, handover.APPLIES, "true")
    step = account.applying_step(project, dev, "", there=True)
    assert step.deed == "leave"
    assert account.ahead_of(Step("trust", "keep", ""), step) == ["-var=workflow_applies=false"]


def test_a_persons_choice_stays_and_what_is_not_known_changes_nothing(project, dev):
    assert account.applying_step(project, dev, None, there=False).deed == "keep"

    tfvars.write(project, dev, handover.APPLIES, "false")
    assert account.applying_step(project, dev, "mira", there=False).deed == "keep"
    assert not handover.by_workflow(project, dev)


@pytest.mark.parametrize(
    ("there", "deed", "ahead"), [(True, "keep", []), (False, "leave", ["-var=workflow_applies=false"])]
)
def test_the_role_that_applies_is_not_made_while_github_can_not_be_asked(project, dev, there, deed, ahead):
    tfvars.write(project, dev, handover.APPLIES, "true")

    step = account.applying_step(project, dev, None, there)

    assert step.deed == deed
    assert account.ahead_of(Step("trust", "keep", ""), step) == ahead


def test_where_github_can_ask_nobody_no_door_lets_a_workflow_apply(new_hub, mlops, project, dev):
    hub = new_hub(plan="team")
    file = project.root / "mlops.yaml"
    file.write_text(
        file.read_text(encoding="utf-8").replace("approval: manual", "approval: automatic"), encoding="utf-8"
    )

    for _ in range(2):
        assert mlops("bootstrap", "github", "--reviewer", "mira", "--yes") == 0
        assert next(iter(hub.repositories.values())).variables["MLOPS_APPROVAL"] == "registry"


def test_a_project_without_terraform_asks_nobody(hub, mlops):
    assert mlops("bootstrap", "github", "--reviewer", "mira", "--yes") == 0
    assert not [name for name in next(iter(hub.repositories.values())).environments if name.endswith("-infra")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("functions = true # their zip", "true"),
        ('notification_email="team@example.com"\n', "team@example.com"),
        ('  permissions_boundary = "arn:aws:iam::1:policy/b"', "arn:aws:iam::1:policy/b"),
        ("# functions = true", None),
        ("", None),
    ],
)
def test_a_value_is_read_as_terraform_reads_it(text, expected):
    name = text.strip("# ").partition("=")[0].strip() or "functions"

    assert tfvars.value(f"environment = 1\n{text}\n", name) == expected


@pytest.mark.parametrize("by_workflow", [True, False])
def test_a_plan_is_told_whole_and_says_who_applies_it(dev, by_workflow):
    shown = 'description = "```\n@everybody\n"'

    planned = handover.weighed(dev, terraform.Changes(0, 1, 0), shown, by_workflow)

    text = planned.markdown()
    assert planned.apply is by_workflow
    assert "### Infrastructure of dev: 0 to add, 1 to change, 0 to remove" in text
    assert f"\n````\n{shown}\n````\n" in text
    assert ("`dev-infra`" in text, "mlops bootstrap aws" in text) == (by_workflow, not by_workflow)


def test_a_plan_that_is_too_long_for_a_comment_is_cut_there_and_nowhere_else(dev):
    shown = "ä" * 200_000 + "the end"

    planned = handover.weighed(dev, terraform.Changes(1, 0, 0), shown, True)

    comment = planned.markdown(handover.COMMENT_LIMIT)
    assert len(comment) < github.COMMENT_LIMIT
    assert comment.endswith("the log of the job has all of it\n```\n\n</details>\n")
    assert shown in planned.markdown(handover.SUMMARY_LIMIT)
    assert planned.apply


def test_nobody_approves_a_plan_whose_end_github_does_not_show(dev):
    shown = "x" * 1_100_000

    planned = handover.weighed(dev, terraform.Changes(1, 0, 0), shown, True)

    summary = planned.markdown(handover.SUMMARY_LIMIT)
    assert not planned.apply
    assert "longer than GitHub shows" in summary and "waits for the reviewers" not in summary
    assert len(summary.encode()) < 1024 * 1024
    assert shown in planned.markdown()


@pytest.fixture
def workflow(project, monkeypatch):
    """Runs on main of the project in AWS, for a commit that main may have left; what Terraform would do is nothing."""
    variables = {
        "GITHUB_ACTIONS": "true", "GITHUB_TOKEN": "a-token", "GITHUB_REPOSITORY": "acme/churn",
        "GITHUB_REF": "refs/heads/main", "GITHUB_SHA": "old",
    }  # fmt: skip
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    ran = []
    monkeypatch.setattr(terraform, "run", lambda *given: ran.append(given[3:]) or "")
    monkeypatch.setattr(github, "review", lambda *_: github.Review("mira", "fine"))

    def on(now, **different):
        """Main is at a commit; some of what lies in its root has another hash there than in the run's commit."""
        same = {"infra": "i", "src": "s", "mlops.yaml": "m", "README.md": "r"}
        trees = {"old": same, "new": {**same, **different}, "s": {"mlops": "sm"}, "s2": {"mlops": "sm2"}}

        def call(_, path, __=None):
            if "/git/ref/" in path:
                return {"object": {"sha": now}}
            return {"tree": [{"path": name, "sha": sha} for name, sha in trees[path.rpartition("/")[2]].items()]}

        monkeypatch.setattr(github, "call", call)
        return project.model_copy(update={"aws": "account"}), ran

    return on


@pytest.mark.parametrize("different", [{"infra": "i2"}, {"src": "s2"}, {"lambdas": "l"}, {"mlops.yaml": "m2"}])
def test_a_commit_that_main_has_left_is_neither_planned_nor_applied(workflow, dev, different):
    project, ran = workflow("new", **different)

    planned = handover.plan(project, dev, True, print)

    assert (planned.apply, planned.some) == (False, False)
    assert "passed over" in planned.said and "`main` is at new by now" in planned.said and "[skip ci]" in planned.said
    with pytest.raises(Failure, match="main is at new by now, with other infrastructure"):
        handover.apply(project, dev, print)
    assert ran == []


@pytest.mark.parametrize(("now", "different"), [("old", {"infra": "i2"}), ("new", {"README.md": "r2"})])
def test_a_commit_whose_infrastructure_main_still_has_is_applied(workflow, dev, now, different):
    project, ran = workflow(now, **different)

    assert "nothing to change" in handover.plan(project, dev, True, print).markdown()
    (handover.folder(project, dev) / "plan").write_text("a plan", encoding="utf-8")
    handover.apply(project, dev, print)

    assert [words[0] for words in ran] == ["init", "plan", "init", "apply"]
    # The role that plans may not write the lock.
    assert "-lock=false" in ran[1] and "-lock=false" not in ran[3]


def test_nobody_is_told_of_reviewers_where_github_asks_nobody(workflow, dev, monkeypatch):
    project, _ = workflow("old")
    monkeypatch.setattr(terraform, "run", lambda *given: "Plan: 1 to add, 0 to change, 0 to destroy.")
    tfvars.write(project, dev, handover.APPLIES, "true")

    assert handover.plan(project, dev, True, print).apply
    planned = handover.plan(project, dev, False, print)

    assert not planned.apply
    assert "an administrator of 111111111111 does" in planned.said and "reviewers" not in planned.said


def test_the_workflow_starts_for_all_that_the_infrastructure_is_made_from(project):
    document = yaml.safe_load((project.root / ".github/workflows/infra.yml").read_text(encoding="utf-8"))

    for event in ("pull_request", "push"):
        paths = document[True][event]["paths"]  # `on` is a yes in YAML 1.1
        assert {path.removesuffix("/**") for path in paths} == set(handover.MADE_FROM)


@pytest.mark.parametrize("how", [
    "will be destroyed", "must be replaced", "is tainted, so must be replaced",
    "will be replaced due to changes in replace_triggered_by", "(deposed object 00aa11bb) will be destroyed",
])  # fmt: skip
def test_no_plan_by_which_data_would_go_is_kept(project, dev, monkeypatch, how):
    monkeypatch.setattr(terraform, "run", lambda *_: f"  # aws_s3_bucket.environment[0] {how}\n")

    with pytest.raises(Failure, match="data with it"):
        terraform.plan(project, dev, print)


def test_nothing_is_applied_that_nobody_has_approved_or_planned(project, dev, monkeypatch):
    def nobody(*_):
        raise Failure("nobody has approved it")

    started = []
    monkeypatch.setattr(terraform, "run", lambda *given: started.append(given))
    on_account = project.model_copy(update={"aws": "account"})
    monkeypatch.setattr(github, "review", nobody)
    with pytest.raises(Failure, match="nobody"):
        handover.apply(on_account, dev, print)

    monkeypatch.setattr(github, "review", lambda *_: github.Review("mira", "fine"))
    with pytest.raises(BadInput, match="infra/build/dev/plan is not there"):
        handover.apply(on_account, dev, print)
    assert started == []


def test_what_is_handed_over_is_the_plan_with_its_provider_and_its_functions(project, dev):
    code = project.root / "infra"
    made = {"plan": "a plan", "providers.hcl": "a lock", "lambdas.zip": "a zip"}
    for name, place in handover.parts(project, dev).items():
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(made[name], encoding="utf-8")

    handover.keep(project, dev)
    for place in handover.parts(project, dev).values():
        place.unlink()
    handover.take(project, dev)

    assert (code / ".terraform.lock.hcl").read_text(encoding="utf-8") == "a lock"
    assert {name: place.read_text(encoding="utf-8") for name, place in handover.parts(project, dev).items()} == made


def test_terraform_hears_of_an_interruption_once_and_is_waited_for(project, dev, tmp_path):
    program, mark = tmp_path / "bin" / "terraform", tmp_path / "mark"
    program.parent.mkdir()
    program.write_text(TERRAFORM.format(python=sys.executable), encoding="utf-8")
    program.chmod(0o755)
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    process = subprocess.Popen(
        [sys.executable, "-c", PLANS], cwd=project.root, start_new_session=True, stderr=subprocess.DEVNULL,
        env={**os.environ, "PATH": path, "MARK": str(mark), "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not mark.exists() or not mark.read_text(encoding="utf-8"):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)

    # As a terminal does: everybody in the group hears it.
    os.killpg(process.pid, signal.SIGINT)

    assert process.wait(PATIENCE_SECONDS) != 0
    assert mark.read_text(encoding="utf-8").split() == ["begun", "stopped"]
