"""A sandbox as a process of its own, and plain boto3 clients against it."""

from __future__ import annotations

import hashlib
import json
import os
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

PROJECT = Path(__file__).parents[2] / "{{cookiecutter.project_slug}}"
SETTINGS = """
project: churn
package: churn
region: eu-west-1
environments:
  - {name: feature, account: "111111111111"}
  - {name: dev, account: "111111111111", endpoint: {}}
  - {name: prod, account: "222222222222", approval: manual, endpoint: {}}
stages: {}
"""
REGION = "eu-west-1"


@dataclass(frozen=True)
class Server:
    """A running sandbox, and whom one can be in it."""

    state: Path
    url: str
    process: subprocess.Popen[bytes]
    session: boto3.session.Session
    dev: str = "111111111111"
    prod: str = "222222222222"
    region: str = REGION

    def client(self, service: str, account: str = "111111111111", **options: Any) -> Any:
        """A client as administrator of an account, or with credentials of one's own."""
        keys = {"aws_access_key_id": f"sandbox-{account}", "aws_secret_access_key": "any"}
        config = Config(retries={"total_max_attempts": 1})
        given = {"region_name": self.region, "config": config, **keys, **options}
        return self.session.client(service, endpoint_url=self.url, **given)

    def credentials(self, role: str) -> dict[str, str]:
        """The credentials of a role of the project: `prod-deploy`."""
        account = self.prod if role.startswith("prod") else self.dev
        sts = self.client("sts", account)
        arn = f"arn:aws:iam::{account}:role/churn-{role}"
        given = sts.assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
        return {
            "aws_access_key_id": given["AccessKeyId"],
            "aws_secret_access_key": given["SecretAccessKey"],
            "aws_session_token": given["SessionToken"],
        }

    def client_as(self, role: str, service: str) -> Any:
        """A client as the session of a role of the project."""
        return self.client(service, **self.credentials(role))

    def control(self, method: str, path: str, content: Any = None) -> Any:
        """What the sandbox answers below `/_sandbox/`."""
        data = None if content is None else json.dumps(content).encode()
        request = urllib.request.Request(f"{self.url}/_sandbox/{path}", data=data, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read())


def wait_until(happened: Callable[[], Any], seconds: float = 20) -> Any:
    """The first true answer to a question asked again and again; a failure when none comes in time."""
    end = time.monotonic() + seconds
    while not (answer := happened()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)
    return answer


Start = Callable[..., Server]


@pytest.fixture(scope="session")
def settings_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("settings") / "mlops.yaml"
    file.write_text(SETTINGS)
    return file


@pytest.fixture(scope="session")
def start(settings_file: Path) -> Iterator[Start]:
    """Start a sandbox on a state folder; all of them are stopped at the end."""
    processes: list[subprocess.Popen[bytes]] = []
    session = boto3.session.Session()

    def started(state: Path, *options: str, settings: Path = settings_file) -> Server:
        arguments = ["--state", state, "--settings", settings, "--time-scale", "60", "--parent", os.getpid(), *options]
        environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
        process = subprocess.Popen([sys.executable, "-m", "sandbox", *map(str, arguments)], env=environment)
        processes.append(process)
        address = state / "server.json"
        wait_until(lambda: address.exists() or process.poll() is not None)
        return Server(state, json.loads(address.read_text())["url"], process, session)

    yield started
    for process in processes:
        process.terminate()
        process.wait(timeout=20)


@pytest.fixture(scope="session")
def server(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Server:
    """The sandbox that the tests share; each test uses names of its own in it."""
    return start(tmp_path_factory.mktemp("sandbox") / "state", "--repository", "acme@1/churn@2")


@pytest.fixture(scope="session")
def until() -> Callable[..., Any]:
    return wait_until


@pytest.fixture(scope="session")
def sagemaker(server: Server) -> Any:
    return server.client("sagemaker")


@pytest.fixture(scope="session")
def s3(server: Server) -> Any:
    return server.client("s3")


@pytest.fixture(scope="session")
def artefact(server: Server, s3: Any) -> str:
    """Model data in the development environment's bucket."""
    s3.put_object(Bucket="churn-dev-111111111111", Key="models/one/model.tar.gz", Body=b"a model")
    return "s3://churn-dev-111111111111/models/one/model.tar.gz"


@pytest.fixture(scope="session")
def specification() -> Callable[[str], dict[str, Any]]:
    """An InferenceSpecification around model data."""

    def around(uri: str) -> dict[str, Any]:
        image = "141502667606.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-scikit-learn:1.9-0"
        return {
            "Containers": [{"Image": image, "ModelDataUrl": uri}],
            "SupportedContentTypes": ["text/csv"],
            "SupportedResponseMIMETypes": ["text/csv"],
        }

    return around


@pytest.fixture
def group(sagemaker: Any, request: pytest.FixtureRequest) -> str:
    """A model group of the test's own."""
    name = f"test-{hashlib.sha1(request.node.nodeid.encode()).hexdigest()[:20]}"
    sagemaker.create_model_package_group(ModelPackageGroupName=name)
    return name


@pytest.fixture
def register(sagemaker: Any, group: str, artefact: str, specification: Any) -> Callable[..., str]:
    """Register a version in the test's group; answers its ARN."""

    def registered(**more: Any) -> str:
        given = {"ModelPackageGroupName": group, "InferenceSpecification": specification(artefact), **more}
        return str(sagemaker.create_model_package(**given)["ModelPackageArn"])

    return registered


@pytest.fixture(scope="session")
def refused() -> Callable[..., str]:
    """Do what has to be refused; answers the refusal as `Code: message`."""
    from botocore.exceptions import ClientError

    def told(deed: Callable[..., Any], **parameters: Any) -> str:
        with pytest.raises(ClientError) as problem:
            deed(**parameters)
        error = problem.value.response["Error"]
        return f"{error['Code']}: {error.get('Message', '')}"

    return told
