"""Three environments in two accounts as Terraform makes them on the sandbox, and as the sandbox makes them itself."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

PROJECT = Path(__file__).parents[2] / "{{cookiecutter.project_slug}}"
REPOSITORY = "acme@1/churn@2"
REGION = "eu-west-1"
ACCOUNTS = {"feature": "111111111111", "dev": "111111111111", "prod": "222222222222"}
ALARMS = """costs-of-everything, {name: doubt, namespace: churn, metric: Uncertain, below: 0.5, periods: 3},
       {name: cpu, namespace: /aws/sagemaker/Endpoints, metric: CPUUtilization, above: 90, seconds: 300},
       {name: late, metric: OverheadLatency, above: 1, dimensions: {EndpointName: another}}"""
HOURS = '{start: "07:05", stop: "20:00", timezone: Europe/Berlin}'
SETTINGS = f"""
project: churn
package: churn
region: {REGION}
scenario: advanced
aws: sandbox
environments:
  - {{name: feature, account: "{ACCOUNTS["feature"]}"}}
  - {{name: dev, account: "{ACCOUNTS["dev"]}", endpoint: {{hours: {HOURS}}}}}
  - {{name: prod, account: "{ACCOUNTS["prod"]}", approval: manual, endpoint: {{alarms: [{ALARMS}]}},
     challenger: {{endpoint: {{alarms: [{{name: errors4, metric: Invocation4XXErrors, statistic: Sum, above: 5}}]}}}}}}
stages: {{}}
tags: {{project: churn}}
"""
START_SECONDS = 30
SECONDS = 200


VARIABLES = {
    "github_repository": REPOSITORY,
    "notification_email": "team@example.com",
    "delete_data": True,
    "functions": True,
    "workflow_applies": True,
    "slack_secret": "churn-slack",
    "people": {
        person: {"principals": [f"arn:aws:iam::111111111111:role/sso/AWSReservedSSO_{name}_*"]}
        for person, name in {"data-scientist": "Science", "ml-engineer": "Models", "operations": "Rota"}.items()
    },
}


@dataclass(frozen=True)
class Cloud:
    """A sandbox and whom one can be in it."""

    url: str

    def client(self, service: str, environment: str, **credentials: str) -> Any:
        """A client in the account of an environment: as its administrator, or with credentials of one's own."""
        keys = {"aws_access_key_id": f"sandbox-{ACCOUNTS[environment]}", "aws_secret_access_key": "any", **credentials}
        config = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})
        return boto3.client(service, region_name=REGION, endpoint_url=self.url, config=config, **keys)

    def role(self, duty: str, environment: str) -> str:
        """The ARN of the role of a duty."""
        return f"arn:aws:iam::{ACCOUNTS[environment]}:role/churn-{environment}-{duty}"

    def client_as(self, duty: str, environment: str, service: str) -> Any:
        """A client with the session of a duty's role."""
        return self.client(service, environment, **self.session(self.role(duty, environment), environment))

    def from_github(self, duty: str, environment: str, subject: str, **claims: str) -> dict[str, str]:
        """The credentials of a duty's session that a workflow of some subject takes on."""
        body = {
            "iss": "https://token.actions.githubusercontent.com",
            "aud": "sts.amazonaws.com",
            "sub": subject,
            "exp": int(time.time()) + 300,
            **claims,
        }
        parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in ({}, body)]
        given = self.client("sts", environment).assume_role_with_web_identity(
            RoleArn=self.role(duty, environment),
            RoleSessionName="test",
            WebIdentityToken=".".join([*parts, "signature"]),
        )["Credentials"]
        return {
            "aws_access_key_id": given["AccessKeyId"],
            "aws_secret_access_key": given["SecretAccessKey"],
            "aws_session_token": given["SessionToken"],
        }

    def session(self, role: str, environment: str, **credentials: str) -> dict[str, str]:
        """The credentials of a role's session, taken on by an account's administrator or with credentials."""
        sts = self.client("sts", environment, **credentials)
        given = sts.assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
        return {
            "aws_access_key_id": given["AccessKeyId"],
            "aws_secret_access_key": given["SecretAccessKey"],
            "aws_session_token": given["SessionToken"],
        }


@dataclass(frozen=True)
class Terraform:
    """Terraform in a copy of the folder, its state in files beside it."""

    folder: Path
    configuration: Path
    url: str | None = None
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(
        self, *arguments: str, environment: str = "feature", log: str = "", session: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a command as an account's administrator, or with a session; what it prints goes to a file."""
        variables = {**self._variables(environment), **{key.upper(): value for key, value in (session or {}).items()}}
        with self._log(log or environment).open("wb") as log_file:
            return subprocess.Popen(
                ["terraform", *arguments], cwd=self.folder, env=variables, stdin=subprocess.DEVNULL,
                stdout=log_file, stderr=subprocess.STDOUT,
            )  # fmt: skip

    def evaluate(self, expression: str, *options: str) -> Any:
        """The value of an expression over the settings."""
        done = subprocess.run(
            ["terraform", "console", *options], cwd=self.folder, env=self._variables("feature"),
            input=f"jsonencode({expression})", capture_output=True, text=True, timeout=SECONDS,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return json.loads(json.loads(done.stdout))

    def run(self, *arguments: str) -> tuple[int, str]:
        """Run a command to its end: its exit code, and what it printed."""
        code = self.start(*arguments, log="alone").wait(timeout=SECONDS)
        return code, self._log("alone").read_text()

    def _variables(self, environment: str) -> dict[str, str]:
        variables = {name: value for name, value in os.environ.items() if not name.startswith(("TF_", "AWS_"))}
        variables |= {"TF_CLI_CONFIG_FILE": str(self.configuration), "TF_IN_AUTOMATION": "1", "CHECKPOINT_DISABLE": "1"}
        if self.url:
            variables |= {
                "AWS_ENDPOINT_URL": self.url,
                "AWS_ACCESS_KEY_ID": f"sandbox-{ACCOUNTS[environment]}",
                "AWS_SECRET_ACCESS_KEY": "any",
            }
        return variables

    def _log(self, environment: str) -> Path:
        return self.folder / f"{environment}.log"

    def begin(self, verb: str, environment: str, *options: str, session: Mapping[str, str] | None = None) -> None:
        """Begin to plan, apply or destroy an environment, as whom `start` says; `end` waits for it."""
        self.running[environment] = self.start(
            verb, "-input=false", "-no-color", "-lock=false", f"-state={environment}.tfstate",
            f"-var-file=environments/{environment}.tfvars", *options,
            environment=environment, session=session,
        )  # fmt: skip

    def end(self) -> dict[str, tuple[int, str]]:
        """The exit codes of what was begun, and what was printed."""
        done = {}
        for environment, process in self.running.items():
            done[environment] = (process.wait(timeout=SECONDS), self._log(environment).read_text())
        self.running.clear()
        return done

    def outputs(self, environment: str) -> dict[str, Any]:
        """What an environment's state gives out."""
        state = json.loads((self.folder / f"{environment}.tfstate").read_text())
        return {name: output["value"] for name, output in state["outputs"].items()}


def wait_until(happened: Callable[[], Any], seconds: float = START_SECONDS) -> Any:
    """The first true answer to a question asked again and again."""
    end = time.monotonic() + seconds
    while not (answer := happened()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)
    return answer


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project's settings: the advanced scenario has everything that the basic one has."""
    file = tmp_path_factory.mktemp("project") / "mlops.yaml"
    file.write_text(SETTINGS)
    return file


@pytest.fixture(scope="session")
def initialised(terraform_configuration: Path, settings: Path) -> Terraform:
    """A copy of the folder, in a project, whose provider is installed and whose state is a file."""
    folder = settings.parent / "infra"
    shutil.copytree(PROJECT / "infra", folder, ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*"))
    (folder / "backend_override.tf").write_text('terraform {\n  backend "local" {}\n}\n')
    (folder / "everywhere.auto.tfvars.json").write_text(json.dumps(VARIABLES))
    # What it uploads is run in tests/lambdas: here any zip will do.
    (folder / "build").mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / "build" / "lambdas.zip", "w") as archive:
        archive.write(PROJECT / "lambdas" / "dispatch.py", "lambdas/dispatch.py")
    made = Terraform(folder, terraform_configuration)
    code, printed = made.run("init", "-input=false", "-no-color")
    assert code == 0, printed
    return made


@pytest.fixture(scope="session")
def sandbox(settings: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Cloud]]:
    """Start a sandbox; all of them are stopped at the end."""
    processes: list[subprocess.Popen[bytes]] = []

    def started(*options: str) -> Cloud:
        state = tmp_path_factory.mktemp("sandbox")
        arguments = ["--state", state, "--settings", settings, "--parent", os.getpid(), *options]
        process = subprocess.Popen(
            [sys.executable, "-m", "sandbox", *map(str, arguments)], env={**os.environ, "PYTHONPATH": str(PROJECT)}
        )
        processes.append(process)
        address = state / "server.json"
        wait_until(lambda: address.exists() or process.poll() is not None)
        return Cloud(json.loads(address.read_text())["url"])

    yield started
    for process in processes:
        process.terminate()
        process.wait(timeout=20)


@pytest.fixture(scope="session")
def seeded(sandbox: Callable[..., Cloud], initialised: Terraform) -> Cloud:
    """The accounts as the sandbox makes them, of a project with infra/: what the machinery is known to work with."""
    return sandbox("--repository", REPOSITORY)


@pytest.fixture(scope="session")
def bare(sandbox: Callable[..., Cloud]) -> Cloud:
    """Accounts with nothing in them."""
    return sandbox("--bare")


@pytest.fixture(scope="session")
def terraform(initialised: Terraform, bare: Cloud) -> Terraform:
    """Terraform on the empty accounts, with nothing applied yet."""
    return Terraform(initialised.folder, initialised.configuration, bare.url)


@pytest.fixture(scope="session")
def applying(terraform: Terraform) -> Iterator[Terraform]:
    """Terraform, which has begun to apply every environment.

    The provider watches a bucket's lifecycle for most of a minute, so they are applied side by side.
    """
    for environment in ACCOUNTS:
        terraform.begin("apply", environment, "-auto-approve")
    yield terraform
    for process in terraform.running.values():  # a test has failed before anybody has waited for them
        process.kill()
        process.wait()


@pytest.fixture(scope="session", autouse=True)
def applied_meanwhile(request: pytest.FixtureRequest) -> None:
    """Begins to apply at once, where a test will need it: those that do not run while it waits."""
    if any(needs_applied(item) for item in request.session.items):
        with contextlib.suppress(pytest.skip.Exception):  # those that need it say what is missing
            request.getfixturevalue("applying")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of what has been applied behind the others."""
    items.sort(key=needs_applied)


def needs_applied(item: pytest.Item) -> bool:
    """Whether a test reads what has been applied."""
    return "applied" in getattr(item, "fixturenames", ())


@pytest.fixture(scope="session")
def applied(applying: Terraform, bare: Cloud) -> Cloud:
    """The accounts after every environment was applied."""
    for environment, (code, printed) in applying.end().items():
        assert code == 0, f"{environment}: {printed[printed.find('Error:') :]}"
    return bare


@pytest.fixture(scope="session")
def policies_of_functions() -> Callable[..., dict[str, Any]]:
    """See `of_functions`."""
    return of_functions


def of_functions(
    account: str, name: str, key: str, documents: dict[str, Any], checks: Any, hours: Any
) -> dict[str, Any]:
    """The policies of the functions that there are: each its own rights, its log, its queue, and who takes its role."""
    here, prefix = f"eu-west-1:{account}", f"churn-{name}"
    seal = [allowed(["kms:Decrypt", "kms:GenerateDataKey"], key)]
    table = f"arn:aws:dynamodb:{here}:table/{prefix}-events"
    own = {
        "dispatch": [
            *seal,
            allowed("secretsmanager:GetSecretValue", f"arn:aws:secretsmanager:{here}:secret:churn-github-app-??????"),
            allowed([f"dynamodb:{verb}Item" for verb in ("Get", "Put", "Update", "Delete")], table),
        ],
        "hours": hours["Statement"],
        "checks": [*seal, *(allowed(action, resource) for action, resource in sorted(checks))],
    }
    found: dict[str, Any] = {}
    for function in (each for each in own if f"aws_lambda_function.function[{each}]" in documents):
        group = f"arn:aws:logs:{here}:log-group:/aws/lambda/{prefix}-{function}:*"
        statements = [
            *own[function],
            allowed(["logs:CreateLogStream", "logs:PutLogEvents"], group),
            allowed("sqs:SendMessage", f"arn:aws:sqs:{here}:{prefix}-{function}-failed"),
        ]
        found[f"aws_iam_role_policy.function[{function}]"] = {"Statement": statements}
        found[f"aws_iam_role.function[{function}]"] = {"Statement": [taken_on("lambda")]}
    if "aws_lambda_function.function[hours]" in documents:
        call = allowed("lambda:InvokeFunction", f"arn:aws:lambda:{here}:function:{prefix}-hours")
        trusted = {**taken_on("scheduler"), "Condition": {"StringEquals": {"aws:SourceAccount": account}}}
        found["aws_iam_role_policy.scheduler[hours]"] = {"Statement": [call]}
        found["aws_iam_role.scheduler[hours]"] = {"Statement": [trusted]}
    return found


def allowed(action: str | list[str], resource: str) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource}


def taken_on(service: str) -> dict[str, Any]:
    return {"Effect": "Allow", "Principal": {"Service": f"{service}.amazonaws.com"}, "Action": "sts:AssumeRole"}
