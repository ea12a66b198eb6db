"""The workflow may apply where GitHub asks reviewers: one bootstrap makes those, the other writes it down."""

import os
import signal
import subprocess
import sys
import time

import pytest

from mlops import github
from mlops.errors import BadInput, Failure
from mlops.setup import account, handover, terraform, tfvars

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

    step = account.applying_step(project, dev, account.asked(project, dev))
    assert (step.deed, step.detail) == ("make", "true: dev-infra asks mira")
    step.act()
    assert handover.by_workflow(project, dev)
    assert tfvars.text_of(project, dev) == 'environment = "dev"\n\nworkflow_applies = true\n# functions = true\n'
    assert account.applying_step(project, dev, "mira").deed == "keep"


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
    assert account.applying_step(project, dev, "").deed == "keep"
    assert not handover.by_workflow(project, dev)

    tfvars.write(project, dev, handover.APPLIES, "true")
    assert account.applying_step(project, dev, "").deed == "leave"


def test_a_persons_choice_stays_and_what_is_not_known_changes_nothing(project, dev):
    assert account.applying_step(project, dev, None).deed == "keep"

    tfvars.write(project, dev, handover.APPLIES, "false")
    assert account.applying_step(project, dev, "mira").deed == "keep"
    assert not handover.by_workflow(project, dev)


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

    text = handover.markdown(dev, terraform.Changes(0, 1, 0), shown, by_workflow)

    assert "### Infrastructure of dev: 0 to add, 1 to change, 0 to remove" in text
    assert f"\n````\n{shown}\n````\n" in text
    assert ("`dev-infra`" in text, "mlops bootstrap aws" in text) == (by_workflow, not by_workflow)


def test_a_plan_that_is_too_long_for_a_comment_is_cut_inside_its_block(dev):
    text = handover.markdown(dev, terraform.Changes(1, 0, 0), "x" * 200_000, True)

    assert len(text) < github.COMMENT_LIMIT
    assert text.endswith("\n```\n\n</details>\n")


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
