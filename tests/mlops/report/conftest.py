"""A sandbox with a project in git beside it, and a stand-in for GitHub's API that records what it is asked."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest

import rights
from mlops import aws
from mlops.registry import groups, lineage, packages
from mlops.registry.packages import ModelPackage
from mlops.settings import project as project_settings
from mlops.settings.project import Environment, Settings

PROJECT = Path(__file__).parents[3] / "{{cookiecutter.project_slug}}"
SETTINGS = """
project: churn
package: churn
region: eu-west-1
aws: account
environments:
  - {name: feature, account: "111111111111"}
  - {name: dev, account: "111111111111", endpoint: {}}
  - {name: prod, account: "222222222222", approval: manual, endpoint: {}}
stages: {prepare: {}, train: {job: training}, evaluate: {}}
gate: [{metric: roc_auc, at_least: 0.95}]
"""
FILES = {
    "mlops.yaml": SETTINGS,
    "dvc.yaml": """
stages:
  prepare: {cmd: mlops run prepare, deps: [data/raw, src/churn/prepare.py], outs: [data/prepared]}
  train: {cmd: mlops run train, deps: [data/prepared, src/churn/train.py], params: [train], outs: [model]}
  evaluate: {cmd: mlops run evaluate, deps: [data/prepared, model, src/churn/evaluate.py], outs: [reports]}
""",
    "params.yaml": "train: {C: 1.0, max_iter: 1000}\n",
    "pyproject.toml": '[project]\nrequires-python = ">=3.11"\n[dependency-groups]\nmodel = ["scikit-learn==1.9.*"]\n',
    "data/raw.dvc": f"outs: [{{md5: {'a' * 32}.dir, path: raw}}]\n",
    "src/churn/__init__.py": "",
    "src/churn/prepare.py": "",
    "src/churn/train.py": "",
    "src/churn/evaluate.py": "",
}
IMAGE = "141502667606.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-scikit-learn:1.9-0-cpu-py3"


@dataclass
class GitHub:
    """GitHub's API: answers by method and path, and what was asked."""

    url: str
    answers: dict[tuple[str, str], Any] = field(default_factory=dict)
    asked: list[tuple[str, str, Any]] = field(default_factory=list)


@pytest.fixture
def github(monkeypatch: pytest.MonkeyPatch) -> Iterator[GitHub]:
    """The stand-in, with the variables of a workflow run that lead to it."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            parts = urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            stand_in.asked.append((self.command, self.path, body))
            found = stand_in.answers.get((self.command, parts.path))
            if found is not None and isinstance(found, list) and "page" in (query := parse_qs(parts.query)):
                size, page = int(query["per_page"][0]), int(query["page"][0])
                found = found[(page - 1) * size : page * size]
            refused = self.headers["Authorization"] != "Bearer a-token"
            status = 401 if refused else 404 if found is None else 200
            content = json.dumps({"message": "Bad credentials" if refused else "Not Found"} if status != 200 else found)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(content.encode())

        do_GET = do_POST = do_PATCH = do_PUT = answer

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing on the tests' output."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    stand_in = GitHub(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    variables = {
        "GITHUB_ACTIONS": "true", "GITHUB_API_URL": stand_in.url, "GITHUB_TOKEN": "a-token",
        "GITHUB_REPOSITORY": "team/churn", "GITHUB_SERVER_URL": "https://github.com", "GITHUB_RUN_ID": "77",
        "GITHUB_REF_NAME": "feature/deeper", "GITHUB_HEAD_REF": "",
    }  # fmt: skip
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    yield stand_in
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A project in git, with one commit."""
    root = tmp_path_factory.mktemp("churn")
    for path, text in FILES.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    person = ["-c", "user.name=team", "-c", "user.email=team@example.com"]
    for command in (["init", "-q", "-b", "dev"], ["add", "--force", "."], [*person, "commit", "-q", "-m", "first"]):
        subprocess.run(["git", *command], cwd=root, check=True, capture_output=True)
    return project_settings.load(root)


@pytest.fixture(scope="session")
def sandbox(project: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a sandbox."""
    state = tmp_path_factory.mktemp("sandbox")
    arguments = ["--state", state, "--settings", project.root / "mlops.yaml", "--parent", os.getpid()]
    arguments += rights.noted(project.root / "mlops.yaml")
    process = subprocess.Popen(
        [sys.executable, "-m", "sandbox", *map(str, arguments)], cwd=state,
        env={**os.environ, "PYTHONPATH": str(PROJECT)}, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    file = state / "server.json"
    while not file.exists():
        assert process.poll() is None, "the sandbox ended as soon as it had started"
        time.sleep(0.02)
    yield json.loads(file.read_text(encoding="utf-8"))["url"]
    process.terminate()
    process.wait()


Register = Callable[..., ModelPackage]
Administrator = Callable[[Environment, str], Any]


@cache
def session_of(account: str, region: str) -> boto3.Session:
    """A session of an account's administrator."""
    return boto3.Session(f"sandbox-{account}", "sandbox", region_name=region)


@pytest.fixture
def administrator(project: Settings, sandbox: str, monkeypatch: pytest.MonkeyPatch) -> Administrator:
    """Clients of the administrator of an environment's account."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", sandbox)
    return lambda environment, service: aws.client(session_of(environment.account, project.region), service)


@pytest.fixture
def register(project: Settings, administrator: Administrator, monkeypatch: pytest.MonkeyPatch) -> Iterator[Register]:
    """Registers versions of this commit's model, or of another; the groups are empty again after the test."""
    # The code under test has the credentials of the first account, as a workflow has those of one.
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "sandbox-111111111111")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "sandbox")
    made: list[tuple[Any, str]] = []

    for environment in project.environments:
        groups.create_group(session_of(environment.account, project.region), project, environment, environment.group)
        s3 = administrator(environment, "s3")
        s3.put_object(Bucket=environment.bucket, Key="models/model.tar.gz", Body=b"a model")

    def registered(name: str, status: str = "Approved", other: bool = False, **metadata: str) -> ModelPackage:
        environment = project.environment(name)
        origin = lineage.of(project)
        fingerprint = "0" * 64 if other else origin.fingerprint
        known = {"fingerprint": fingerprint, "dataset": origin.dataset, "metric.roc_auc": "0.99",
                 "parameter.train.C": "1.0", "parameter.train.max_iter": "1000", **metadata}  # fmt: skip
        answer = administrator(environment, "sagemaker").create_model_package(
            ModelPackageGroupName=environment.group,
            ModelPackageDescription=packages.description(fingerprint, origin.commit),
            ModelApprovalStatus=status,
            InferenceSpecification=packages.specification(IMAGE, f"s3://{environment.bucket}/models/model.tar.gz"),
            CustomerMetadataProperties=known,
        )
        made.append((administrator(environment, "sagemaker"), answer["ModelPackageArn"]))
        return packages.describe(session_of(environment.account, project.region), answer["ModelPackageArn"])

    yield registered
    for owner, arn in made:
        owner.delete_model_package(ModelPackageName=arn)
