"""`mlops bootstrap aws`, `doctor` and `destroy` on an account with nothing in it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

from mlops import aws
from mlops.settings.project import Settings
from mlops.settings.project import load as settings_of
from mlops.setup import account, inventory, state
from mlops.setup.plan import carried_out

PROJECT = Path(__file__).parents[2] / "{{cookiecutter.project_slug}}"
REPOSITORY = "acme@1/churn@2"
ACCOUNT = "111111111111"
PYTHON = Path(sys.executable).parent


@dataclass(frozen=True)
class Desk:
    """A project's folder, and the environment variables of an administrator who works in it."""

    folder: Path
    variables: dict[str, str]
    cloud: Any

    def mlops(self, *arguments: str, account: str = "111111111111") -> subprocess.CompletedProcess[str]:
        """Run a command with the rights of an account's administrator."""
        return subprocess.run(
            [sys.executable, "-m", "mlops", *arguments], cwd=self.folder, stdin=subprocess.DEVNULL, timeout=250,
            env={**self.variables, "AWS_ACCESS_KEY_ID": f"sandbox-{account}"}, capture_output=True, text=True,
        )  # fmt: skip

    def plan(self, *arguments: str) -> dict[str, str]:
        """What a command would do, by the thing."""
        done = self.mlops(*arguments, "--plan", "--json")
        assert done.returncode == 0, done.stderr
        return {each["what"]: each["deed"] for each in json.loads(done.stdout)}


@pytest.fixture(scope="module")
def desk(
    initialised: Any, sandbox: Callable[..., Any], settings: Path, tmp_path_factory: pytest.TempPathFactory
) -> Desk:
    """A project with a file of data, whose accounts have nothing in them."""
    folder = tmp_path_factory.mktemp("desk") / "churn"
    shutil.copytree(PROJECT / "infra", folder / "infra", ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*"))
    text = settings.read_text().replace("aws: sandbox", "aws: account")
    (folder / "mlops.yaml").write_text(text.replace("stages: {}", "stages: {train: {job: training}}"))
    shutil.copytree(initialised.folder / "build", folder / "infra" / "build", dirs_exist_ok=True)
    for values in (folder / "infra" / "environments").glob("*.tfvars"):
        given = values.read_text().replace('"OWNER@1/REPOSITORY@2"', f'"{REPOSITORY}"')
        values.write_text(given.replace("# github", "github"))
    (folder / "data").mkdir()
    (folder / "data" / "rows.csv").write_text("a,b\n1,2\n")
    cloud = sandbox("--bare")
    variables = {
        name: value for name, value in os.environ.items() if not name.startswith(("TF_", "AWS_", "GH_", "GITHUB_"))
    }
    variables |= {
        "PYTHONPATH": str(PROJECT / "src"),
        "TF_CLI_CONFIG_FILE": str(initialised.configuration),
        "AWS_ENDPOINT_URL": cloud.url,
        "AWS_SECRET_ACCESS_KEY": "any",
        "PATH": f"{PYTHON}{os.pathsep}{os.environ['PATH']}",
    }
    for command in (
        ("git", "init", "-q"),
        (sys.executable, "-m", "dvc", "init", "-q"),
        (sys.executable, "-m", "dvc", "remote", "add", "-q", "-d", "storage", "s3://churn-feature-111111111111/dvc"),
        (sys.executable, "-m", "dvc", "add", "-q", "data/rows.csv"),
    ):
        subprocess.run(command, cwd=folder, env=variables, check=True, capture_output=True)
    return Desk(folder, variables, cloud)


def test_the_sandbox_needs_no_bootstrap(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "mlops.yaml").write_text(
        (desk.folder / "mlops.yaml").read_text().replace("aws: account", "aws: sandbox")
    )

    done = Desk(tmp_path, desk.variables, desk.cloud).mlops("bootstrap", "aws", "--yes")

    assert (done.returncode, done.stdout) == (2, "")
    assert "aws is sandbox" in done.stderr


def test_credentials_of_a_strange_account_make_nothing(desk: Desk) -> None:
    done = desk.mlops("bootstrap", "aws", "--yes", account="999999999999")

    assert done.returncode == 1
    assert "these credentials are of account 999999999999; mlops.yaml has 111111111111 and 222222222222" in done.stderr


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_state_bucket_that_a_killed_run_began_is_completed(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", desk.cloud.url)
    read = settings_of(desk.folder).model_copy(update={"project": f"churn-{moment}"})
    writes = killed_at(read, desk, moment, 99)
    assert writes == 6  # the bucket, and its five properties

    for call in range(writes):
        project = read.model_copy(update={"project": f"churn-{moment}-{call}"})
        assert killed_at(project, desk, moment, call) == call
        session = administrator()
        state.step(project, session, ACCOUNT).act()

        again = state.step(project, session, ACCOUNT)
        assert (again.deed, again.detail) == ("keep", "versioned, encrypted, private, TLS only")
    for bucket in desk.cloud.client("s3", "feature").list_buckets()["Buckets"]:
        state.remove(administrator(), bucket["Name"])


def test_a_bucket_of_that_name_with_somebodys_data_is_left_alone(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", desk.cloud.url)
    project = settings_of(desk.folder).model_copy(update={"project": "theirs"})
    s3 = desk.cloud.client("s3", "feature")
    s3.create_bucket(
        Bucket="theirs-terraform-111111111111", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    s3.put_bucket_versioning(Bucket="theirs-terraform-111111111111", VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket="theirs-terraform-111111111111", Key="thing", Body=b"1")

    found = state.step(project, administrator(), ACCOUNT)

    assert found.deed == "leave"
    assert "lacks encryption" in found.detail
    state.remove(administrator(), "theirs-terraform-111111111111")


def test_an_environment_that_left_the_settings_before_it_was_removed_is_not_forgotten(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", desk.cloud.url)
    project, session = settings_of(desk.folder).model_copy(update={"project": "smaller"}), administrator()
    state.step(project, session, ACCOUNT).act()
    bucket, s3 = state.name(project, ACCOUNT), desk.cloud.client("s3", "feature")
    something = json.dumps({"resources": [{"type": "aws_kms_key"}]})
    for name, held in {"dev": something, "staging": something, "before": json.dumps({"resources": []})}.items():
        s3.put_object(Bucket=bucket, Key=f"smaller/{name}.tfstate", Body=held.encode())

    stays = list(inventory.forgotten(project, session, bucket))
    state.remove(session, bucket)

    assert [each.what for each in stays] == ["environment staging"]
    assert "write it into mlops.yaml again" in stays[0].stays


class Killed(BaseException):
    """What stands in for the end of the process."""


def killed_at(project: Settings, desk: Desk, moment: str, call: int) -> int:
    """Make the state bucket in a run that ends before or after its nth writing call; how many calls it has made."""
    session = administrator()
    made = 0

    def count(model: Any, **_: Any) -> None:
        nonlocal made
        if not model.name.startswith(("Create", "Put")):
            return
        if made == call:
            raise Killed
        made += 1

    aws.client(session, "s3").meta.events.register(f"{moment}-call.s3", count)
    with contextlib.suppress(Killed):
        state.step(project, session, ACCOUNT).act()
    return made


def administrator() -> boto3.Session:
    """A session of the account's administrator."""
    return aws.opened("eu-west-1", aws_access_key_id=f"sandbox-{ACCOUNT}", aws_secret_access_key="any")


@pytest.mark.slow
def test_the_functions_code_that_is_planned_is_that_of_now(desk: Desk) -> None:
    zipped, values = (desk.folder / "infra" / name for name in ("build/lambdas.zip", "environments/feature.tfvars"))
    old, given = zipped.read_bytes(), values.read_text()
    (desk.folder / "lambdas").mkdir()
    package = "from pathlib import Path\nPath('infra/build/lambdas.zip').write_bytes(b'of now')\n"
    (desk.folder / "lambdas" / "package.py").write_text(package)
    desk.plan("bootstrap", "aws", "--env", "feature")
    assert zipped.read_bytes() == old, "nothing wants the functions"

    values.write_text(given.replace("# functions ", "functions "))
    desk.plan("bootstrap", "aws", "--env", "feature")
    built = zipped.read_bytes()
    (desk.folder / "lambdas" / "package.py").write_text("raise SystemExit('no uv here')\n")
    refused = desk.mlops("bootstrap", "aws", "--env", "feature", "--yes")

    zipped.write_bytes(old)
    values.write_text(given)
    assert built == b"of now"
    assert (refused.returncode, "python -m lambdas.package: no uv here" in refused.stderr) == (1, True)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_from_an_empty_account_to_one_that_is_in_order_and_back(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    meant = ("--env", "feature")
    before = desk.plan("bootstrap", "aws", *meant)
    assert set(before.values()) == {"make", "keep"}
    assert before["infrastructure of feature"] == "make"
    assert desk.cloud.client("s3", "feature").list_buckets()["Buckets"] == []

    made = desk.mlops("bootstrap", "aws", *meant, "--yes")
    assert made.returncode == 0, made.stderr
    assert set(desk.plan("bootstrap", "aws", *meant).values()) == {"keep"}

    read = (desk.folder / "mlops.yaml").read_text()
    key = "arn:aws:kms:eu-west-1:111111111111:key/00000000-0000-0000-0000-000000000000"
    (desk.folder / "mlops.yaml").write_text(f"{read}\nkms_key: {key}\n")
    lost = desk.mlops("bootstrap", "aws", *meant, "--yes")
    (desk.folder / "mlops.yaml").write_text(read)
    assert lost.returncode == 1 and "aws_kms_key.environment[0] would be removed, and data with it" in lost.stderr

    iam = desk.cloud.client("iam", "feature")
    trust = iam.get_role(RoleName="churn-feature-train")["Role"]["AssumeRolePolicyDocument"]
    iam.create_role(RoleName="churn-dev-other-dev-deploy", AssumeRolePolicyDocument=json.dumps(trust))

    doctor = desk.mlops("doctor", "--only", "aws", "--env", "feature", "--json")
    # Only a person can make the App.
    lacking = [check["what"] for check in json.loads(doctor.stdout) if not check["passed"]]
    assert (doctor.returncode, lacking) == (1, ["GitHub App"]), doctor.stdout + doctor.stderr
    assert {
        "role churn-feature-train",
        "bucket churn-feature-111111111111",
        "quota ml.m5.large for training job usage",
    } <= {check["what"] for check in json.loads(doctor.stdout)}

    s3 = desk.cloud.client("s3", "feature")
    kept = {each["Key"] for each in s3.list_objects_v2(Bucket="churn-feature-111111111111")["Contents"]}
    assert any(key.startswith("dvc/files/md5/") for key in kept)

    refused = desk.mlops("destroy", "--only", "aws", "--confirm", "chum")
    assert refused.returncode == 2 and "this project is churn" in refused.stderr

    without_data = desk.mlops("destroy", "--only", "aws", "--confirm", "churn")
    assert without_data.returncode == 0, without_data.stderr
    assert [role["RoleName"] for role in iam.list_roles()["Roles"]] == ["churn-dev-other-dev-deploy"]
    assert {each["Key"] for each in s3.list_objects_v2(Bucket="churn-feature-111111111111")["Contents"]} == kept
    what_stayed_is_taken_up_and_the_roles_trust_what_github_names(desk, monkeypatch)

    gone = desk.mlops("destroy", "--only", "aws", "--data", "--confirm", "churn")
    assert gone.returncode == 0, gone.stderr
    assert s3.list_buckets()["Buckets"] == []
    assert [role["RoleName"] for role in iam.list_roles()["Roles"]] == ["churn-dev-other-dev-deploy"]
    assert len(iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]) == 1, "another project trusts it"
    assert desk.cloud.client("dynamodb", "feature").list_tables()["TableNames"] == []
    assert desk.cloud.client("sagemaker", "feature").list_model_package_groups()["ModelPackageGroupSummaryList"] == []


def what_stayed_is_taken_up_and_the_roles_trust_what_github_names(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a destroy left is known, and the repository's name goes into the values and into the trust in one run."""
    values = desk.folder / "infra" / "environments" / "feature.tfvars"
    given = values.read_text()
    values.write_text(given.replace("github_repository ", "# github_repository "))
    with monkeypatch.context() as patch:
        for name, value in {**desk.variables, "AWS_ACCESS_KEY_ID": f"sandbox-{ACCOUNT}"}.items():
            patch.setenv(name, value)
        patch.setattr(account, "trusted", lambda settings: "acme@1/churn@3")
        steps = account.steps(settings_of(desk.folder), ["feature"], str)
        deeds = {each.what: each.deed for each in steps}
        assert deeds["infra/environments/feature.tfvars: github_repository"] == "make"
        assert deeds["infrastructure of feature"] == "change"
        carried_out(steps, str)

    iam = desk.cloud.client("iam", "feature")
    trust = iam.get_role(RoleName="churn-feature-train")["Role"]["AssumeRolePolicyDocument"]
    assert "repo:acme@1/churn@3:environment:feature" in json.dumps(trust)
    assert 'github_repository = "acme@1/churn@3"' in values.read_text()


def test_the_doctor_names_what_an_empty_account_lacks_and_the_fix(desk: Desk) -> None:
    done = desk.mlops("doctor", "--only", "aws", "--env", "prod", "--json", account="222222222222")

    found = {check["what"]: check for check in json.loads(done.stdout)}
    assert done.returncode == 1
    assert not found["role churn-prod-approve"]["passed"]
    assert found["model group churn-prod-champion"]["fix"] == "mlops groups create --env prod"
    assert "mlops bootstrap aws" in found["alarms of churn-prod-challenger"]["fix"]
