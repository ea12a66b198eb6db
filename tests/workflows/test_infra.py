"""A change of the infrastructure through its real workflow and the real Terraform, in one environment of the sandbox.

The deeds are fixtures, each done once and in this order, since each begins where the one before has ended.
"""

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from harness import Environment, GitHub, Origin, Repository, Run, documents
from harness.github import PullRequest
from harness.origin import CLEAN, git
from harness.world import bake

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
TEMPLATE = Path(__file__).parents[2]
NAME = "tumour-classifier"
REPOSITORY = Repository("example", 101, NAME, 202)
ACCOUNT, REGION, BUCKET = "111111111111", "eu-west-1", "data-of-dev"
VALUES = "infra/environments/dev.tfvars"
WORKFLOW = ".github/workflows/infra.yml"
START_SECONDS = 60
ADMINISTRATOR = """
import sys
from mlops import cli
from mlops.setup import account
account.trusted, account.asked = lambda *_: sys.argv[1], lambda *_: "ines"
sys.exit(cli.execute(["bootstrap", "aws", "--env", "dev", "--yes"]))
"""
"""The bootstrap of an administrator whom GitHub has told the repository's name, and who reviews."""


@dataclass(frozen=True)
class Account:
    """A project on GitHub, and the account in which an administrator has made its dev environment."""

    url: str
    github: GitHub

    def client(self, service: str) -> Any:
        """A client of the account's administrator."""
        session = boto3.Session(f"sandbox-{ACCOUNT}", "sandbox", region_name=REGION)
        return session.client(service, endpoint_url=self.url, config=Config(s3={"addressing_style": "path"}))

    def limit(self) -> float:
        """From how many milliseconds on a rollout is rolled back."""
        found = self.client("cloudwatch").describe_alarms(AlarmNames=[f"{NAME}-dev-latency"])
        return float(found["MetricAlarms"][0]["Threshold"]) / 1000

    def writes(self, duty: str) -> set[str]:
        """What was changed under a role."""
        with urllib.request.urlopen(f"{self.url}/_sandbox/calls") as answer:
            calls = [each for each in json.load(answer) if f"/{NAME}-dev-{duty}/" in each["principal"]]
        assert calls
        assert [each for each in calls if not each["allowed"]] == []
        reads = ("Get", "List", "Describe", "Head", "AssumeRole")
        return {each["operation"] for each in calls if not each["operation"].startswith(reads)}


def another_limit(milliseconds: int) -> dict[str, Callable[[str], str]]:
    """An edit of the environment's values."""
    return {VALUES: lambda text: re.sub(r"(latency_limit_ms *=) \d+", rf"\1 {milliseconds}", text)}


def another_key(text: str) -> str:
    """An edit of mlops.yaml by which the environment's own key would go."""
    key = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/00000000-0000-0000-0000-000000000000"
    return text.replace("  - name: dev\n", f"  - name: dev\n    kms_key: {key}\n")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A baked project with the values of one environment, and of its workflows the one that is meant."""
    project = bake(TEMPLATE, tmp_path_factory.mktemp("infra"))
    values, settings = project / VALUES, project / "mlops.yaml"
    text = values.read_text(encoding="utf-8").replace('"OWNER@1/REPOSITORY@2"', f'"{REPOSITORY.subject}"')
    for name in ("github_repository", "workflow_applies", "latency_limit_ms"):
        text = text.replace(f"# {name}", name)
    # The account's first environment would make it.
    values.write_text(f"create_oidc_provider = true\n{text}", encoding="utf-8")
    # One that is there: the provider watches the lifecycle of a new bucket for most of a minute.
    named = settings.read_text(encoding="utf-8").replace("  - name: dev\n", f"  - name: dev\n    bucket: {BUCKET}\n")
    settings.write_text(named, encoding="utf-8")
    for file in (project / WORKFLOW).parent.glob("*.yml"):
        if not file.stem.endswith("infra"):
            file.unlink()
    # The three jobs are the same, and each takes its time.
    document = documents.load(project / WORKFLOW)
    documents.dump({**document, "jobs": {"dev": document["jobs"]["dev"]}}, project / WORKFLOW)
    git(project, "add", "-A")
    git(project, "commit", "-q", "-m", "One environment")
    git(project, "branch", "-f", "dev")
    return project


@pytest.fixture(scope="module")
def account(
    project: Path, terraform_configuration: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Account]:
    """The repository on GitHub, and an account in which `mlops bootstrap aws` has made dev."""
    folder = tmp_path_factory.mktemp("account")
    address = folder / "sandbox" / "server.json"
    address.parent.mkdir()
    options = ["--state", address.parent, "--settings", project / "mlops.yaml", "--parent", os.getpid(), "--bare"]
    server = subprocess.Popen(
        [sys.executable, "-m", "sandbox", *map(str, options)],
        cwd=project, env={**CLEAN, "PYTHONPATH": str(project), "HOME": str(folder)}, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + START_SECONDS
    while not address.exists():
        assert server.poll() is None and time.monotonic() < deadline, "the sandbox did not start"
        time.sleep(0.02)
    url = json.loads(address.read_text(encoding="utf-8"))["url"]
    runner = {
        "AWS_ENDPOINT_URL": url,
        "AWS_EC2_METADATA_DISABLED": "true",
        "TF_CLI_CONFIG_FILE": str(terraform_configuration),
    }
    rules = {"dev-infra": Environment(reviewers=("ines",), branches=("main",), prevent_self_review=True)}
    github = GitHub(folder / "runs", REPOSITORY, Origin(folder, project), rules, runner=runner)
    made = Account(url, github)
    made.client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    administrator = {
        **CLEAN, **runner, "AWS_ACCESS_KEY_ID": f"sandbox-{ACCOUNT}", "AWS_SECRET_ACCESS_KEY": "any",
        "PYTHONPATH": str(project / "src"), "HOME": str(folder),
    }  # fmt: skip
    command = [sys.executable, "-c", ADMINISTRATOR, REPOSITORY.subject]
    done = subprocess.run(
        command, cwd=project, env=administrator, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    yield made
    github.stop()
    server.terminate()
    server.wait(30)


@dataclass(frozen=True)
class Proposed:
    """A pull request, its run, and its comments after it."""

    pull: PullRequest
    run: Run
    comments: list[str]


def proposed(pull: PullRequest, runs: list[Run]) -> Proposed:
    [run] = runs
    return Proposed(pull, run, [each["body"] for each in pull.comments])


@pytest.fixture(scope="module")
def opened(account: Account) -> Proposed:
    """A pull request with another limit."""
    account.github.commit("feature/slower", another_limit(2000), start="dev")
    return proposed(*account.github.open_pull_request("feature/slower"))


@pytest.fixture(scope="module")
def lossy(account: Account, opened: Proposed) -> Proposed:
    """It is pushed to: now it names another key, so that the one that the data are under would go."""
    return proposed(opened.pull, account.github.commit("feature/slower", {"mlops.yaml": another_key}))


@pytest.fixture(scope="module")
def strangers(account: Account, lossy: Proposed) -> Run:
    """The same from somebody's fork."""
    [run] = account.github.open_pull_request("feature/slower", fork="stranger")[1]
    return run


@dataclass(frozen=True)
class Waiting:
    """Two changes on main that wait for reviewers, and the limit meanwhile."""

    first: Run
    second: Run
    gates: list[list[str]]
    limit: float


@pytest.fixture(scope="module")
def waiting(account: Account, strangers: Run) -> Waiting:
    """Two changes come to main, one after the other, before anybody has looked."""
    [first] = account.github.commit("main", another_limit(3000))
    [second] = account.github.commit("main", another_limit(4000))
    return Waiting(first, second, [first.gate.held(), second.gate.held()], account.limit())


@pytest.fixture(scope="module")
def late(account: Account, waiting: Waiting) -> tuple[Run, float]:
    """The first is approved, which main has left."""
    run = account.github.approve(waiting.first, "dev-infra", by="ines", comment="this one")
    return run, account.limit()


@pytest.fixture(scope="module")
def rolled_back(account: Account, late: tuple[Run, float]) -> Run:
    """All jobs of the first are run again."""
    return account.github.rerun(late[0])


@pytest.fixture(scope="module")
def stale(account: Account, rolled_back: Run, waiting: Waiting) -> tuple[Run, float]:
    """The second is approved, but the state has moved since it was planned, as by an administrator's apply."""
    s3, where = account.client("s3"), {"Bucket": f"{NAME}-terraform-{ACCOUNT}", "Key": f"{NAME}/dev.tfstate"}
    state = json.load(s3.get_object(**where)["Body"])
    s3.put_object(**where, Body=json.dumps({**state, "serial": state["serial"] + 1}).encode())
    run = account.github.approve(waiting.second, "dev-infra", by="ines", comment="as discussed")
    return run, account.limit()


@pytest.fixture(scope="module")
def applied(account: Account, stale: tuple[Run, float]) -> tuple[Run, float]:
    """All its jobs are run again, and the new plan is approved."""
    run = account.github.rerun(stale[0])
    run = account.github.approve(run, "dev-infra", by="ines", comment="as discussed")
    return run, account.limit()


@pytest.fixture(scope="module")
def again(account: Account, applied: tuple[Run, float]) -> Run:
    """All its jobs are run once more: what is there already."""
    return account.github.rerun(applied[0])


def test_a_pull_request_is_told_what_it_would_change_and_changes_nothing(account: Account, opened: Proposed) -> None:
    assert opened.run.conclusion == "success", opened.run.told()
    assert opened.run.results["dev/apply"] == "skipped"
    [comment] = opened.comments
    assert comment.startswith("<!-- mlops infrastructure dev -->\n### Infrastructure of dev: 0 to add, 1 to change")
    assert f'aws_cloudwatch_metric_alarm.endpoint["{NAME}-dev-latency"]' in comment
    assert "1000000 -> 2000000" in comment
    assert "waits for the reviewers of `dev-infra`" in comment
    assert "### Infrastructure of dev: 0 to add, 1 to change" in opened.run.summary


def test_a_plan_that_would_lose_data_is_refused_in_the_same_comment(lossy: Proposed) -> None:
    assert lossy.run.results["dev/plan"] == "failure", lossy.run.told()
    [comment] = lossy.comments
    assert "### Infrastructure of dev: refused" in comment
    assert "aws_kms_key.environment[0] would be removed, and data with it" in comment


def test_a_forks_pull_request_gets_no_plan(strangers: Run) -> None:
    assert strangers.results["dev/plan"] == "skipped"
    assert strangers.results["dev/apply"] == "skipped"


def test_main_waits_for_reviewers_who_see_the_plan(waiting: Waiting) -> None:
    assert waiting.gates == [["dev-infra"], ["dev-infra"]]
    assert waiting.limit == 1000
    assert (waiting.first.artifacts / "infra-dev" / "plan").is_file()


def test_what_main_has_left_is_not_applied(late: tuple[Run, float], rolled_back: Run) -> None:
    run, limit = late

    assert run.results["dev/apply"] == "failure"
    assert "with other infrastructure than was approved: nothing was applied" in run.log
    assert limit == 1000
    assert rolled_back.conclusion == "success", rolled_back.told()
    assert rolled_back.results["dev/apply"] == "skipped"
    assert "### Infrastructure of dev: passed over" in rolled_back.summary


def test_what_was_approved_is_applied_and_says_by_whom(applied: tuple[Run, float]) -> None:
    run, limit = applied

    assert run.conclusion == "success", run.told()
    assert limit == 4000
    assert "1000000 -> 4000000" in run.summary
    assert "applied as planned, approved by ines: as discussed" in run.summary


def test_a_plan_of_a_state_that_has_moved_since_is_refused(stale: tuple[Run, float]) -> None:
    run, limit = stale

    assert run.results["dev/apply"] == "failure"
    assert "of a state that has changed since: nothing was applied" in run.log
    assert limit == 1000


def test_what_is_there_already_is_not_applied_again(again: Run) -> None:
    assert again.conclusion == "success", again.told()
    assert again.results["dev/apply"] == "skipped"
    assert "nothing to change" in again.summary


def test_a_plan_is_made_by_a_role_that_changes_nothing_and_a_change_by_another(account: Account, again: Run) -> None:
    assert account.writes("plan") == set()
    # The state, its lock, and what was changed.
    assert account.writes("apply") == {"PutMetricAlarm", "PutObject", "DeleteObject"}
