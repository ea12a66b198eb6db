"""`mlops bootstrap aws` killed where it writes, and run again: it ends as a run does that nobody has killed."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlops import aws
from mlops.errors import Failure
from mlops.settings.project import Settings
from mlops.settings.project import load as settings_of
from mlops.setup import account, infrastructure, state, terraform

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).parents[2] / "{{cookiecutter.project_slug}}"
ACCOUNT = "111111111111"
SECONDS = 60
CODE = """
terraform {
  backend "s3" {
    encrypt      = true
    use_lockfile = true
  }
}
variable "environment" { type = string }
variable "workflow_applies" {
  type    = bool
  default = false
}
resource "terraform_data" "first" {}
resource "terraform_data" "second" {
  depends_on = [terraform_data.first]
  provisioner "local-exec" {
    command = "touch begun; until test -e go; do sleep 0.02; done"
  }
}
"""
"""Infrastructure that takes as long as a test wants, and needs no provider."""


@pytest.fixture(scope="module")
def cloud(sandbox: Callable[..., Any]) -> Any:
    """Accounts with nothing in them."""
    return sandbox("--bare")


@pytest.fixture
def project(
    cloud: Any, settings: Path, terraform_configuration: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> Settings:  # fmt: skip
    """A project of a name of its own, whose credentials are the administrator's of the first account."""
    for name in list(os.environ):
        if name.startswith(("TF_", "AWS_", "GH_", "GITHUB_")):
            monkeypatch.delenv(name)
    given = {
        "AWS_ENDPOINT_URL": cloud.url, "AWS_ACCESS_KEY_ID": f"sandbox-{ACCOUNT}", "AWS_SECRET_ACCESS_KEY": "any",
        "PYTHONPATH": str(PROJECT / "src"), "TF_CLI_CONFIG_FILE": str(terraform_configuration),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }  # fmt: skip
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    own = f"k{abs(hash(request.node.name)) % 10**6}"
    text = settings.read_text().replace("aws: sandbox", "aws: account").replace("project: churn", f"project: {own}", 1)
    (tmp_path / "mlops.yaml").write_text(text)
    (tmp_path / "infra" / "environments").mkdir(parents=True)
    (tmp_path / "infra" / "main.tf").write_text(CODE)
    (tmp_path / "infra" / "environments" / "feature.tfvars").write_text('environment = "feature"\n')
    monkeypatch.chdir(tmp_path)
    return settings_of(tmp_path)


def infrastructure_of(project: Settings) -> Any:
    """The step that has Terraform make what is in CODE."""
    session = aws.opened(project.region)
    return account.infrastructure_step(project, session, project.environment("feature"), ACCOUNT, [], str)


def until(happened: Callable[[], Any]) -> None:
    """Wait for something."""
    end = time.monotonic() + SECONDS
    while not happened():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


APPLIES = """
from mlops import aws
from mlops.settings.project import load
from mlops.setup import account
project = load()
session = aws.opened(project.region)
account.infrastructure_step(project, session, project.environment("feature"), "111111111111", [], str).act()
"""


def killed_while_it_applies(project: Settings) -> int:
    """Run the step in a process that is killed while Terraform is at it; Terraform's own process group."""
    state.step(project, aws.opened(project.region), ACCOUNT).act()
    process = subprocess.Popen([sys.executable, "-c", APPLIES], cwd=project.root, start_new_session=True)
    begun = project.root / "infra" / "begun"
    until(lambda: begun.exists() or process.poll() is not None)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(process.pid, signal.SIGKILL)
    process.wait(SECONDS)
    assert len(children) == 1
    return int(children[0])


def test_terraform_ends_what_a_killed_run_has_begun_and_the_next_one_finds_it_done(project: Settings) -> None:
    killed_while_it_applies(project)

    (project.root / "infra" / "go").touch()
    step = infrastructure_of(project)  # waits for the lock that Terraform still holds

    assert (step.deed, step.detail) == ("keep", "as infra/ says")


def test_a_lock_that_nobody_will_let_go_is_told_with_the_command_that_takes_it_off(
    project: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = killed_while_it_applies(project)
    os.killpg(group, signal.SIGKILL)
    (project.root / "infra" / "go").touch()
    monkeypatch.setattr(terraform, "WAITING", "-lock-timeout=0s")

    with pytest.raises(Failure, match=r"the state of feature is locked by .* since 20.*; when nobody is at it") as told:
        infrastructure_of(project)
    command = str(told.value).partition("broke down: ")[2]
    subprocess.run(command, shell=True, cwd=project.root, check=True, capture_output=True)
    infrastructure_of(project).act()

    assert shlex.split(command)[1] == "terraform"
    assert infrastructure_of(project).deed == "keep"


class Killed(BaseException):
    """What stands in for the end of the process."""


@pytest.mark.parametrize("call", range(4))
@pytest.mark.parametrize("moment", ["before", "after"])
def test_model_groups_are_completed_after_a_run_was_killed_at_any_of_its_writes(
    project: Settings, monkeypatch: pytest.MonkeyPatch, moment: str, call: int
) -> None:
    # The last environment's are two groups, read by the first one's account.
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "sandbox-222222222222")
    prod, session = project.environment("prod"), aws.opened(project.region)
    made, armed = 0, True

    def count(model: Any, **_: Any) -> None:
        nonlocal made
        if armed and model.name.startswith(("Create", "Put")):
            if made == call:
                raise Killed
            made += 1

    client = aws.client

    def watched(*given: Any, **more: Any) -> Any:
        found = client(*given, **more)
        if given[1] == "sagemaker":
            found.meta.events.register(f"{moment}-call.sagemaker", count, unique_id="count")
        return found

    with monkeypatch.context() as patch, contextlib.suppress(Killed):
        patch.setattr(aws, "client", watched)
        account.groups_step(project, session, prod).act()
    armed = False
    assert made == call

    step = account.groups_step(project, aws.opened(project.region), prod)
    lacking = [
        line.what
        for line in (infrastructure.group(session, project, prod, name) for name in prod.group_names)
        if not line.passed
    ]
    # After the last write nothing was left to do.
    assert (step.deed == "keep") is (not lacking) is (moment == "after" and call == 3)
    step.act()

    assert account.groups_step(project, aws.opened(project.region), prod).deed == "keep"
    for name in prod.group_names:
        policy = session.client("sagemaker").get_model_package_group_policy(ModelPackageGroupName=name)
        assert "arn:aws:iam::111111111111:root" in json.dumps(json.loads(policy["ResourcePolicy"]))
