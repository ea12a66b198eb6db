"""What a job of a workflow is told of its role, and when it is told that there is nothing to do yet."""

import math
import time

import pytest

from mlops import access
from mlops.cli import workflow as workflow_commands
from mlops.errors import BadInput
from mlops.settings import project as settings_of_project
from mlops.settings.compute import Stage
from mlops.settings.criteria import Comparison

ACCOUNT = "arn:aws:iam::{}:role/churn-{}"


@pytest.mark.parametrize(
    ("environment", "duty", "role"),
    [
        ("feature", "train", ACCOUNT.format("111111111111", "feature-train")),
        ("feature", "image", ACCOUNT.format("111111111111", "feature-image")),
        ("dev", "deploy", ACCOUNT.format("111111111111", "dev-deploy")),
        ("prod", "approve", ACCOUNT.format("222222222222", "prod-approve")),
        ("prod", "destroy", ACCOUNT.format("222222222222", "prod-destroy")),
        ("prod", "monitor", ACCOUNT.format("222222222222", "prod-monitor")),
        ("dev", "schedule", ACCOUNT.format("111111111111", "dev-schedule")),
        ("prod", "", ""),
    ],
)
def test_a_duty_has_its_role(project, environment, duty, role):
    found = access.access(project, project.environment(environment), duty, first_push=False)

    assert found.outputs()["role"] == role
    assert found.outputs()["ready"] == "true"


@pytest.mark.parametrize(
    ("environment", "duty"),
    [("dev", "train"), ("dev", "image"), ("feature", "approve"), ("feature", "destroy"), ("prod", "admin")],
    ids=lambda each: each,
)
def test_a_duty_that_an_environment_does_not_have_is_refused(project, environment, duty):
    with pytest.raises(BadInput, match=f"--duty is '{duty}'; {environment} has "):
        access.access(project, project.environment(environment), duty, first_push=False)


def test_the_session_lasts_as_long_as_the_jobs_may_run(project):
    feature = project.environment("feature")
    runtimes = sum(stage.max_runtime_seconds for stage in project.stages.values())

    assert runtimes < access.access(project, feature, "train", first_push=False).seconds <= access.LONGEST_SECONDS


def test_the_session_is_no_longer_than_the_roles_allow(project):
    stage = project.stages["train"].model_copy(update={"max_runtime_seconds": 400_000})
    longer = project.model_copy(update={"stages": {**project.stages, "train": stage}})

    found = access.access(longer, longer.environment("feature"), "train", first_push=False)

    assert found.seconds == access.LONGEST_SECONDS


def test_commands_wait_for_the_gates_job_until_shortly_before_the_session_ends(project, tmp_path, monkeypatch):
    monkeypatch.setenv("GITHUB_ENV", str(tmp_path / "variables"))
    monkeypatch.setattr(settings_of_project, "load", lambda: project)
    monkeypatch.delenv(access.WAITS_UNTIL, raising=False)
    assert access.waits_until() == math.inf

    workflow_commands.roles(env="feature", duty="train")
    name, _, value = (tmp_path / "variables").read_text().strip().partition("=")
    monkeypatch.setenv(name, value)

    seconds = access.access(project, project.environment("feature"), "train", first_push=False).seconds
    left = access.waits_until() - time.monotonic()
    assert seconds - access.SHORTEST_SECONDS < left < seconds - 300


def test_a_session_that_promotes_lasts_for_the_gates_job_also_where_it_has_no_settings_of_its_own(project):
    compares = project.model_copy(
        update={"comparison": Comparison(positive="yes", metrics=({"metric": "log_loss", "may_lose": 0.1},))}
    )

    alone, with_job = (access.session_seconds(each, each.environment("dev"), "deploy") for each in (project, compares))

    assert with_job == alone + Stage().longest_seconds


def test_a_project_on_the_sandbox_is_told_what_to_write(project):
    new = project.model_copy(update={"aws": "sandbox"})

    found = access.access(new, new.environment("feature"), "train", first_push=False)

    assert found.outputs()["ready"] == "false"
    assert "write `aws: account`" in found.why_not


@pytest.fixture
def with_terraform(project, tmp_path):
    """Gives the project with Terraform's values: of each environment the line that names the repository."""

    def written(**lines):
        folder = tmp_path / "infra" / "environments"
        folder.mkdir(parents=True, exist_ok=True)
        for name, line in lines.items():
            (folder / f"{name}.tfvars").write_text(f'environment = "{name}"\n{line}\n', encoding="utf-8")
        return project.model_copy(update={"root": tmp_path})

    return written


NAMED, EXAMPLE = 'github_repository    = "team@1/churn@2"', '# github_repository    = "OWNER@1/REPOSITORY@2"'


@pytest.mark.parametrize(
    ("values", "environment", "lacks"),
    [
        ({"feature": EXAMPLE, "dev": EXAMPLE, "prod": EXAMPLE}, "feature", "feature"),
        ({"feature": NAMED, "dev": EXAMPLE, "prod": EXAMPLE}, "feature", ""),
        ({"feature": NAMED, "dev": EXAMPLE, "prod": EXAMPLE}, "dev", "dev"),
        ({"feature": NAMED, "dev": NAMED, "prod": 'github_repository = ""'}, "prod", "prod"),
        ({"feature": NAMED, "dev": NAMED}, "prod", "prod"),
        ({"feature": NAMED, "dev": NAMED, "prod": NAMED}, "prod", ""),
    ],
    ids=["none yet", "the first", "not the second", "an empty name", "no file", "all"],
)
def test_accounts_that_were_never_bootstrapped_are_said_and_are_no_error(with_terraform, values, environment, lacks):
    new = with_terraform(**values)

    found = access.access(new, new.environment(environment), "", first_push=False)

    assert found.ready is not bool(lacks)
    if lacks:
        assert f"infra/environments/{lacks}.tfvars names no github_repository" in found.why_not
        assert f"bootstrap aws` in account {new.environment(lacks).account}" in found.why_not


def test_a_new_branch_to_which_no_model_has_come_is_told_where_models_begin(project):
    found = access.access(project, project.environment("dev"), "deploy", first_push=True)

    assert found.outputs()["ready"] == "false"
    assert "feature/" in found.why_not


def test_the_session_lasts_as_long_as_spot_instances_may_be_waited_for(project):
    spot = project.stages["train"].model_copy(update={"spot": True})
    waiting = project.model_copy(update={"stages": {**project.stages, "train": spot}})

    at_once, later = (access.access(each, each.environment("feature"), "train", False) for each in (project, waiting))

    assert later.seconds == min(at_once.seconds + spot.max_runtime_seconds, access.LONGEST_SECONDS)
    assert later.seconds > at_once.seconds


@pytest.mark.parametrize("duty", ["plan", "apply"])
def test_an_infrastructure_waits_for_no_other_environments_roles_as_a_model_does(with_terraform, duty):
    project = with_terraform(feature=EXAMPLE, dev=NAMED, prod=EXAMPLE)
    ready = {
        (name, each): access.access(project, project.environment(name), each, first_push=False).ready
        for name in ("dev", "prod")
        for each in (duty, "deploy")
    }

    assert ready == {("dev", duty): True, ("dev", "deploy"): False, ("prod", duty): False, ("prod", "deploy"): False}


@pytest.mark.parametrize("duty", ["plan", "apply"])
def test_a_project_without_infrastructure_has_nothing_to_plan(project, duty):
    assert not (project.root / "infra").exists()
    with pytest.raises(BadInput, match=f"--duty is '{duty}'"):
        access.access(project, project.environment("dev"), duty, first_push=False)
