"""A sandbox for the registry's tests, emptied between them, with small models that a training job of it made."""

import dataclasses
import hashlib
import io
import json
import os
import secrets
import subprocess
import sys
import tarfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from mlops import aws, groups, packages, promotion, registration, settings, storage
from mlops.jobs import Metric, TrainedModel
from mlops.lineage import Lineage
from mlops.settings import Environment, Settings

PROJECT = Path(__file__).parents[3] / "{{cookiecutter.project_slug}}"
TIME_SCALE = 60
SETTINGS = """
project: churn
package: churn
region: eu-west-1
scenario: {scenario}
environments:
  - name: feature
    account: "111111111111"
  - name: dev
    account: "111111111111"
    endpoint: {{instance_type: ml.m5.large, rollout: {{kind: all_at_once, bake_seconds: 0}}}}
  - name: prod
    account: "222222222222"
    approval: manual
    endpoint:
      instance_type: ml.m5.large
      instances: 2
      rollout: {{kind: canary, percent: 50, wait_seconds: 120, bake_seconds: 30}}
stages:
  prepare: {{job: processing}}
  train: {{job: training}}
  evaluate: {{job: processing}}
gate:
  - {{metric: roc_auc, at_least: 0.95}}
  - {{metric: log_loss, at_most: 0.3}}
"""
INFERENCE = '''
"""Answers with the label that training wrote into the model; one labelled `raises` fails."""
import json
from pathlib import Path


class Refused:
    """A response that passes through the container with its status."""

    def __init__(self, body, status):
        self.response, self.status, self.mimetype = body, status, "application/json"


def model_fn(model_dir):
    return Path(model_dir, "label").read_text()


def transform_fn(model, body, content_type, accept):
    if model == "raises":
        raise RuntimeError("the model has no answer")
    if "bad" in str(body):
        return Refused(json.dumps({"error": "column a is missing"}), 400)
    return json.dumps({"label": model, "score": 0.5}), "application/json"
'''
TRAIN = """
import os, shutil, sys
from pathlib import Path

folder = Path(os.environ["SM_MODEL_DIR"])
(folder / "code").mkdir(parents=True, exist_ok=True)
shutil.copy("inference.py", folder / "code" / "inference.py")
(folder / "label").write_text(sys.argv[sys.argv.index("--label") + 1])
"""
IMAGE = "141502667606.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-scikit-learn:1.9-0-cpu-py3"
CONTRACT = """
- name: a label comes back
  content_type: text/csv
  body: "1,2"
  expect:
    label: {type: string}
    score: {type: number, range: [0, 1], value: 0.5}
- name: a missing column is named
  content_type: text/csv
  body: bad
  status: 400
  message: column a is missing
"""


@dataclasses.dataclass(frozen=True)
class Server:
    """A running sandbox."""

    url: str
    process: subprocess.Popen[bytes]

    def control(self, method: str, path: str, content: Any = None) -> Any:
        """What the sandbox answers below `/_sandbox/`."""
        data = None if content is None else json.dumps(content).encode()
        request = urllib.request.Request(f"{self.url}/_sandbox/{path}", data=data, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())


class World:
    """A project and its accounts in the sandbox, as a test sees them."""

    def __init__(self, server: Server, project: Settings, trained: Callable[[str], TrainedModel]) -> None:
        self.server, self.settings, self._trained = server, project, trained
        self.feature, self.dev, self.prod = project.environments
        self.said: list[str] = []

    def progress(self, line: str) -> None:
        """Where commands say what they do."""
        self.said.append(line)

    def client(self, environment: Environment, service: str = "sagemaker") -> Any:
        """A client as the administrator of an environment's account."""
        return admin(self.server.url, environment.account, service)

    def session(self, environment: Environment) -> boto3.Session:
        """A session as that administrator."""
        return administrator(self.server.url, environment.account)

    def calls(self, *names: str) -> list[str]:
        """The names of the calls since `forget_calls`, of some operations when they are named."""
        found = [call["operation"] for call in self.server.control("GET", "calls")]
        return [each for each in found if not names or each in names]

    def forget_calls(self) -> None:
        """Begin a new record of calls."""
        self.server.control("DELETE", "calls")

    def fault(self, operation: str, **how: Any) -> None:
        """Let an operation fail."""
        self.server.control("POST", "faults", {"operation": operation, **how})

    def lineage(self, fingerprint: str | None = None) -> Lineage:
        """A lineage of its own, or with a known fingerprint."""
        return Lineage(
            fingerprint=fingerprint or secrets.token_hex(32),
            commit=secrets.token_hex(20),
            branch="feature/deeper-trees",
            dataset=secrets.token_hex(16),
            parameters={"train.C": "1.0"},
        )

    def model(self, label: str = "first", **metrics: float) -> TrainedModel:
        """What a training job made; metrics that are not given pass the gate."""
        values = {"roc_auc": 0.99, "log_loss": 0.1, **metrics}
        found = {name: Metric(value=value, low=value - 0.01, high=value + 0.01) for name, value in values.items()}
        return dataclasses.replace(self._trained(label), metrics=found)

    def register(self, label: str = "first", fingerprint: str | None = None) -> packages.ModelPackage:
        """A registered model."""
        return registration.register(
            self.settings, self.feature, self.model(label), self.lineage(fingerprint), "", "somebody"
        )

    def promote(self, fingerprint: str, *environments: Environment) -> list[packages.ModelPackage]:
        """Promote to some environments in turn; the versions in the last one."""
        found: list[packages.ModelPackage] = []
        for environment in environments:
            found = promotion.promote(self.settings, environment, fingerprint)
        return found

    def in_dev(self, label: str = "first") -> packages.ModelPackage:
        """A model that has come to dev."""
        return self.promote(self.register(label).fingerprint, self.dev)[0]

    def approved(self, label: str = "first") -> packages.ModelPackage:
        """A model that has come to prod and is approved there."""
        package = self.promote(self.in_dev(label).fingerprint, self.prod)[0]
        return packages.set_status(self.session(self.prod), package, "Approved", "")

    def answer(self, environment: Environment) -> str:
        """The label that an environment's endpoint answers with."""
        runtime = self.client(environment, "sagemaker-runtime")
        answer = runtime.invoke_endpoint(EndpointName=environment.endpoint_name, Body=b"1,2", ContentType="text/csv")
        return str(json.loads(answer["Body"].read())["label"])

    @contextmanager
    def traffic(self, environment: Environment) -> Iterator[None]:
        """Requests one after another while the block runs; what fails is the endpoint's to count."""
        stopped = threading.Event()
        runtime = self.client(environment, "sagemaker-runtime")

        def send() -> None:
            while not stopped.is_set():
                try:
                    runtime.invoke_endpoint(EndpointName=environment.endpoint_name, Body=b"1,2", ContentType="text/csv")
                except runtime.exceptions.ClientError:
                    stopped.wait(0.01)

        thread = threading.Thread(target=send, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stopped.set()
            thread.join()

    def digest(self, package: packages.ModelPackage) -> str:
        """SHA-256 of what a version's artefact holds now."""
        environment = next(each for each in self.settings.environments if f"/{each.bucket}/" in package.artefact)
        return storage.digest(self.session(environment), package.artefact)


@cache
def administrator(url: str, account: str) -> boto3.Session:
    """A session as the administrator of an account; one for each sandbox, since its clients keep their address."""
    return aws.opened("eu-west-1", aws_access_key_id=f"sandbox-{account}", aws_secret_access_key="sandbox")


@cache
def admin(url: str, account: str, service: str) -> Any:
    """A client as the administrator of an account."""
    return administrator(url, account).client(
        service,
        endpoint_url=url,
        config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
    )


@contextmanager
def served(folder: Path, text: str) -> Iterator[Server]:
    """A sandbox while the block runs."""
    (folder / "mlops.yaml").write_text(text)
    state = folder / "state"
    arguments = ["--state", state, "--settings", folder / "mlops.yaml", "--time-scale", TIME_SCALE]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    log = (folder / "server.log").open("wb")
    process = subprocess.Popen(
        [sys.executable, "-m", "sandbox", *map(str, arguments), "--parent", str(os.getpid())],
        env={**environment, "PYTHONPATH": str(PROJECT)},
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    try:
        deadline = time.monotonic() + 60
        while not (state / "server.json").exists():
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"the sandbox did not start: {(folder / 'server.log').read_text()[-2000:]}")
            time.sleep(0.05)
        yield Server(json.loads((state / "server.json").read_text())["url"], process)
    finally:
        process.terminate()
        process.wait(timeout=30)
        log.close()


@pytest.fixture(scope="session")
def registry_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One sandbox for all tests of the registry."""
    with served(tmp_path_factory.mktemp("registry"), SETTINGS.format(scenario="basic")) as server:
        yield server


@pytest.fixture(scope="session")
def trained(registry_server: Server) -> Callable[[str], TrainedModel]:
    """Trains a model of a label in a job, once for each label."""
    return trainer(registry_server.url)


def trainer(url: str) -> Callable[[str], TrainedModel]:
    """See `trained`."""
    sagemaker, s3 = admin(url, "111111111111", "sagemaker"), admin(url, "111111111111", "s3")
    made: dict[str, TrainedModel] = {}
    bucket = "churn-feature-111111111111"

    def train(label: str) -> TrainedModel:
        if label in made:
            return made[label]
        s3.put_object(Bucket=bucket, Key="jobs/code.tar.gz", Body=archive(train=TRAIN, inference=INFERENCE))
        s3.put_object(Bucket=bucket, Key=f"jobs/{label}/baseline.json", Body=json.dumps({"label": label}).encode())
        name = f"churn-feature-train-{label}"
        sagemaker.create_training_job(
            TrainingJobName=name,
            RoleArn="arn:aws:iam::111111111111:role/churn-feature-execution",
            AlgorithmSpecification={"TrainingImage": IMAGE, "TrainingInputMode": "File"},
            HyperParameters={
                "sagemaker_program": "train.py",
                "sagemaker_submit_directory": f"s3://{bucket}/jobs/code.tar.gz",
                "label": label,
            },
            OutputDataConfig={"S3OutputPath": f"s3://{bucket}/jobs/{label}"},
            ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10},
            StoppingCondition={"MaxRuntimeInSeconds": 600},
        )
        made[label] = described(wait_for_job(sagemaker, name), label, s3, bucket)
        return made[label]

    return train


def described(job: dict[str, Any], label: str, s3: Any, bucket: str) -> TrainedModel:
    """A completed job as the pipeline hands it on."""
    artefact = job["ModelArtifacts"]["S3ModelArtifacts"]
    key = artefact.removeprefix(f"s3://{bucket}/")
    return TrainedModel(
        artefact=artefact,
        digest=hashlib.sha256(s3.get_object(Bucket=bucket, Key=key)["Body"].read()).hexdigest(),
        training_job=job["TrainingJobArn"],
        image=IMAGE,
        metrics={},
        baseline=f"s3://{bucket}/jobs/{label}/baseline.json",
        report=f"s3://{bucket}/jobs/{label}/report",
        dataset=f"s3://{bucket}/data/{'0' * 32}",
        hyperparameters={"C": "1.0"},
    )


def wait_for_job(sagemaker: Any, name: str) -> dict[str, Any]:
    """A training job's description, once it has completed."""
    deadline = time.monotonic() + 60
    while (job := sagemaker.describe_training_job(TrainingJobName=name))["TrainingJobStatus"] != "Completed":
        if job["TrainingJobStatus"] in ("Failed", "Stopped") or time.monotonic() > deadline:
            pytest.fail(f"training job {name} is {job['TrainingJobStatus']}: {job.get('FailureReason')}")
        time.sleep(0.05)
    return dict(job)


def archive(**files: str) -> bytes:
    """A .tar.gz of Python files, given by their names."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(f"{name}.py")
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
    return buffer.getvalue()


def empty(server: Server, project: Settings) -> None:
    """Remove every endpoint, configuration, model and version, let go of the alarms, forget faults and calls."""
    server.control("DELETE", "faults")
    for environment in project.environments:
        sagemaker = admin(server.url, environment.account, "sagemaker")
        for each in sagemaker.list_endpoints(MaxResults=100)["Endpoints"]:
            delete_endpoint(sagemaker, each["EndpointName"])
        for each in sagemaker.list_endpoint_configs(MaxResults=100)["EndpointConfigs"]:
            sagemaker.delete_endpoint_config(EndpointConfigName=each["EndpointConfigName"])
        for each in sagemaker.list_models(MaxResults=100)["Models"]:
            sagemaker.delete_model(ModelName=each["ModelName"])
        for group in sagemaker.list_model_package_groups(MaxResults=100)["ModelPackageGroupSummaryList"]:
            delete_group(sagemaker, group["ModelPackageGroupName"])
        cloudwatch = admin(server.url, environment.account, "cloudwatch")
        for alarm in environment.alarm_names if environment.endpoint else []:
            cloudwatch.set_alarm_state(AlarmName=alarm, StateValue="OK", StateReason="a new test")
    server.control("DELETE", "calls")


def delete_group(sagemaker: Any, name: str) -> None:
    """Delete a group with its versions."""
    while found := sagemaker.list_model_packages(ModelPackageGroupName=name, MaxResults=100)["ModelPackageSummaryList"]:
        for each in found:
            sagemaker.delete_model_package(ModelPackageName=each["ModelPackageArn"])
    sagemaker.delete_model_package_group(ModelPackageGroupName=name)


def delete_endpoint(sagemaker: Any, name: str) -> None:
    """Delete an endpoint, once it has settled."""
    deadline = time.monotonic() + 60
    while True:
        try:
            sagemaker.delete_endpoint(EndpointName=name)
            return
        except sagemaker.exceptions.ClientError as error:
            if "in-progress" not in str(error) or time.monotonic() > deadline:
                raise
        time.sleep(0.05)


@pytest.fixture(scope="session")
def registry_project(registry_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The project that the sandbox was started for, with a contract of its own."""
    root = tmp_path_factory.mktemp("project")
    (root / "mlops.yaml").write_text(SETTINGS.format(scenario="basic"))
    (root / "tests").mkdir()
    (root / "tests" / "contract.yaml").write_text(CONTRACT)
    return settings.load(root)


@pytest.fixture
def world(
    registry_server: Server,
    registry_project: Settings,
    trained: Callable[[str], TrainedModel],
    monkeypatch: pytest.MonkeyPatch,
) -> World:
    """An empty registry with its groups, and this process pointed at the sandbox."""
    empty(registry_server, registry_project)
    point_at(monkeypatch, registry_server)
    groups.create(registry_project)
    return World(registry_server, registry_project, trained)


@pytest.fixture
def fresh(world: World) -> Callable[[], World]:
    """Empties the registry again, within one test."""

    def again() -> World:
        empty(world.server, world.settings)
        groups.create(world.settings)
        return World(world.server, world.settings, world._trained)

    return again


def point_at(monkeypatch: pytest.MonkeyPatch, server: Server) -> None:
    """Speak to the sandbox, under the roles that the workflows have and no more."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("MLOPS_ASSUME_ROLES", "1")
