"""A sandbox that the folders share, emptied between their tests, with small models that a training job of it made."""

import dataclasses
import hashlib
import io
import json
import os
import secrets
import shutil
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
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.config import Config

import rights
from mlops import aws, git, storage
from mlops.checks import verification
from mlops.compute.jobs import Metric, TrainedModel
from mlops.hosting import endpoints
from mlops.registry import groups, lineage, packages, promotion, registration
from mlops.registry.lineage import Lineage
from mlops.settings import project as settings
from mlops.settings.project import Environment, Settings

PROJECT = Path(groups.__file__).parents[3]
OURS = Path(__file__).parent / "project"
TIME_SCALE = 60
IMAGE = "141502667606.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-scikit-learn:1.9-0-cpu-py3"


CHALLENGER = """
    challenger:
      endpoint: {instances: 1, rollout: {kind: all_at_once, bake_seconds: 0}}"""

COMMITTED = {
    "src/churn/__init__.py": "",
    "dvc.yaml": "stages: {train: {cmd: mlops run train, deps: [data/raw], outs: [model]}}\n",
    "data/raw.dvc": f"outs: [{{md5: {'0' * 32}.dir, path: raw}}]\n",
    "pyproject.toml": "dependency-groups = {model = []}\n",
}
"""What a commit has beside parameters for its model to have a fingerprint."""


@dataclasses.dataclass(frozen=True)
class Server:
    """A running sandbox."""

    url: str
    process: subprocess.Popen[bytes]
    ordered: list[Any] = dataclasses.field(default_factory=list)

    def control(self, method: str, path: str, content: Any = None) -> Any:
        """What the sandbox answers below `/_sandbox/`."""
        if path == "faults" and method == "POST":
            self.ordered.append(content)
        data = json.dumps(content).encode() if content else None
        request = urllib.request.Request(f"{self.url}/_sandbox/{path}", data=data, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())


class World:
    """A project and its accounts in the sandbox, as a test sees them."""

    def __init__(self, server: Server, project: Settings, trained: Callable[[str], TrainedModel]) -> None:
        self.server, self.settings, self._trained = server, project, trained
        self.feature, self.dev, self.prod = project.environments
        self.said: list[str] = []
        self.progress = self.said.append

    def settings_with(self, environment: Environment) -> Settings:
        """The project with one environment in place of the one of its name."""
        own = [environment if each.name == environment.name else each for each in self.settings.environments]
        return self.settings.model_copy(update={"environments": tuple(own)})

    def client(self, environment: Environment, service: str = "sagemaker") -> Any:
        """A client as the administrator of an environment's account."""
        return admin(self.server.url, environment.account, service)

    def session(self, environment: Environment) -> boto3.Session:
        """A session as that administrator."""
        return administrator(self.server.url, environment.account)

    def calls(self, *names: str) -> list[str]:
        """The names of the calls since `forget_calls`, of some operations when they are named."""
        found = (call["operation"] for call in self.server.control("GET", "calls"))
        return [each for each in found if not names or each in names]

    def forget_calls(self) -> None:
        """Begin a new record of calls."""
        self.server.control("DELETE", "calls")

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
        values = {"roc_auc": 0.99, "log_loss": 0.1, **metrics}.items()
        found = {name: Metric(value=value, low=value - 0.01, high=value + 0.01) for name, value in values}
        return dataclasses.replace(self._trained(label), metrics=found)

    def register(self, label: str = "first", fingerprint: str | None = None) -> packages.ModelPackage:
        """A registered model."""
        made = self.lineage(fingerprint)
        return registration.register(self.settings, self.feature, self.model(label), made, "", "somebody")

    def promote(self, fingerprint: str, *environments: Environment) -> list[packages.ModelPackage]:
        """Promote to some environments in turn; the versions in the last one."""
        found: list[packages.ModelPackage] = []
        for environment in environments:
            found = promotion.promote(self.settings, environment, fingerprint)
            if environment == self.dev:
                found = [self.verified(each) for each in found]
        return found

    def verified(self, package: packages.ModelPackage) -> packages.ModelPackage:
        """A version of dev's as it is after it was found well on its endpoint."""
        verification.passed(self.session(self.dev), package)
        return packages.describe(self.session(self.dev), package.arn)

    def in_dev(self, label: str = "first") -> packages.ModelPackage:
        """A model that has come to dev."""
        return self.promote(self.register(label).fingerprint, self.dev)[0]

    def committed(self, root: Path, label: str) -> packages.ModelPackage:
        """A model that has come to dev from a commit of its own, the newest in a project's folder."""
        for name, text in {**COMMITTED, "params.yaml": f"train: {{label: {label}}}\n"}.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        person = ["-c", "user.name=somebody", "-c", "user.email=somebody@example.com", "-c", "commit.gpgsign=false"]
        for command in (["init", "--quiet"], ["add", "--all"], [*person, "commit", "--quiet", "--message", label]):
            subprocess.run(["git", *command], cwd=root, check=True, stdin=subprocess.DEVNULL)
        team = settings.load(root)
        registered = self.register(label, lineage.fingerprint(team))
        head = git.commit_of(root, "HEAD")
        return self.verified(promotion.promote(self.settings, self.dev, registered.fingerprint, commit=head)[0])

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


@dataclasses.dataclass(frozen=True)
class Arena:
    """A sandbox with the folder of its project, and what trains models there."""

    server: Server
    root: Path
    trained: Callable[[str], TrainedModel]


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
def served(root: Path) -> Iterator[Server]:
    """A sandbox for a project while the block runs."""
    state = root / "state"
    arguments = ["--state", state, "--settings", root / "mlops.yaml", "--time-scale", TIME_SCALE]
    arguments += rights.noted(root / "mlops.yaml")
    log = (root / "server.log").open("wb")
    process = subprocess.Popen(
        [sys.executable, "-m", "sandbox", *map(str, arguments), "--parent", str(os.getpid())],
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    try:
        deadline = time.monotonic() + 60
        while not (state / "server.json").exists():
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"the sandbox did not start: {(root / 'server.log').read_text()[-2000:]}")
            time.sleep(0.05)
        yield Server(json.loads((state / "server.json").read_text())["url"], process)
    finally:
        process.terminate()
        process.wait(timeout=30)
        log.close()


@pytest.fixture(scope="session")
def registry_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the project."""
    return Path(shutil.copytree(OURS, tmp_path_factory.mktemp("registry") / "project"))


@pytest.fixture(scope="session")
def registry_server(registry_root: Path) -> Iterator[Server]:
    """One sandbox for all tests that need a registry."""
    with served(registry_root) as server:
        yield server


@pytest.fixture(scope="session")
def trained(registry_server: Server) -> Callable[[str], TrainedModel]:
    """Trains a model of a label in a job, once for each label."""
    return trainer(registry_server.url)


def trainer(url: str) -> Callable[[str], TrainedModel]:
    """See the fixture `trained`."""
    sagemaker, s3 = admin(url, "111111111111", "sagemaker"), admin(url, "111111111111", "s3")
    made: dict[str, TrainedModel] = {}
    bucket = "churn-feature-111111111111"

    def train(label: str) -> TrainedModel:
        if label in made:
            return made[label]
        s3.put_object(Bucket=bucket, Key="jobs/code.tar.gz", Body=archive("train.py", "inference.py"))
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
        waiter = sagemaker.get_waiter("training_job_completed_or_stopped")
        waiter.wait(TrainingJobName=name, WaiterConfig={"Delay": 0, "MaxAttempts": 10000})
        made[label] = described(sagemaker.describe_training_job(TrainingJobName=name), label, s3, bucket)
        return made[label]

    return train


def described(job: dict[str, Any], label: str, s3: Any, bucket: str) -> TrainedModel:
    """A completed job as the pipeline hands it on."""
    artefact = job["ModelArtifacts"]["S3ModelArtifacts"]
    body = s3.get_object(Bucket=bucket, Key=artefact.removeprefix(f"s3://{bucket}/"))["Body"]
    return TrainedModel(
        artefact=artefact,
        digest=hashlib.sha256(body.read()).hexdigest(),
        training_job=job["TrainingJobArn"],
        image=IMAGE,
        metrics={},
        baseline=f"s3://{bucket}/jobs/{label}/baseline.json",
        report=f"s3://{bucket}/jobs/{label}/report",
        dataset=f"s3://{bucket}/data/{'0' * 32}",
        hyperparameters={"C": "1.0"},
    )


def archive(*names: str) -> bytes:
    """A .tar.gz of files of the project."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name in names:
            tar.add(OURS / name, name)
    return buffer.getvalue()


def empty(server: Server, project: Settings) -> None:
    """Remove every endpoint, configuration, model and version, let go of the alarms, forget faults and calls."""
    server.control("DELETE", "faults")
    if server.ordered:
        # Clients that met throttling would go on slowly.
        aws._SESSIONS.clear()
        aws.client.cache_clear()
        server.ordered.clear()
    for environment in project.environments:
        session = administrator(server.url, environment.account)
        sagemaker = admin(server.url, environment.account, "sagemaker")
        for each in sagemaker.list_endpoints(MaxResults=100)["Endpoints"]:
            endpoints.settle(session, each["EndpointName"], print)
            endpoints.remove(session, each["EndpointName"], print)
        for each in sagemaker.list_endpoint_configs(MaxResults=100)["EndpointConfigs"]:
            sagemaker.delete_endpoint_config(EndpointConfigName=each["EndpointConfigName"])
        for each in sagemaker.list_models(MaxResults=100)["Models"]:
            sagemaker.delete_model(ModelName=each["ModelName"])
        for group in sagemaker.list_model_package_groups(MaxResults=100)["ModelPackageGroupSummaryList"]:
            delete_group(sagemaker, group["ModelPackageGroupName"])
        storage.delete_folder(session, f"s3://{environment.bucket}/deployments/")
        cloudwatch = admin(server.url, environment.account, "cloudwatch")
        for contender in environment.contenders if environment.endpoint else []:
            for alarm in contender.alarm_names:
                cloudwatch.set_alarm_state(AlarmName=alarm, StateValue="OK", StateReason="a new test")
    server.control("DELETE", "calls")


def fill(server: Server, project: Settings) -> None:
    """Make the groups, by sessions that are kept from test to test."""
    for environment in project.environments:
        for name in environment.group_names:
            groups.create_group(administrator(server.url, environment.account), project, environment, name)
    server.control("DELETE", "calls")


def delete_group(sagemaker: Any, name: str) -> None:
    """Delete a group with its versions."""
    while found := sagemaker.list_model_packages(ModelPackageGroupName=name, MaxResults=100)["ModelPackageSummaryList"]:
        for each in found:
            sagemaker.delete_model_package(ModelPackageName=each["ModelPackageArn"])
    sagemaker.delete_model_package_group(ModelPackageGroupName=name)


@pytest.fixture
def world(
    registry_server: Server,
    registry_root: Path,
    trained: Callable[[str], TrainedModel],
    monkeypatch: pytest.MonkeyPatch,
) -> World:
    """An empty registry with its groups, and this process pointed at the sandbox."""
    project = settings.load(registry_root)
    point_at(monkeypatch, registry_server)
    empty(registry_server, project)
    fill(registry_server, project)
    return World(registry_server, project, trained)


@pytest.fixture(scope="session")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    """A project of the advanced scenario in a sandbox of its own, and what trains models there."""
    root = Path(shutil.copytree(OURS, tmp_path_factory.mktemp("advanced") / "project"))
    text = (root / "mlops.yaml").read_text().replace("scenario: basic", "scenario: advanced")
    (root / "mlops.yaml").write_text(text.replace("\nstages:", f"{CHALLENGER}\nstages:"))
    with served(root) as server:
        yield Arena(server, root, trainer(server.url))


@pytest.fixture
def advanced(arena: Arena, monkeypatch: pytest.MonkeyPatch) -> World:
    """The project of the advanced scenario, with an empty registry."""
    project = settings.load(arena.root)
    point_at(monkeypatch, arena.server)
    empty(arena.server, project)
    fill(arena.server, project)
    return World(arena.server, project, arena.trained)


@pytest.fixture(scope="session")
def registry_tools() -> SimpleNamespace:
    """What a test needs to run a sandbox of its own."""
    return SimpleNamespace(served=served, point_at=point_at, trainer=trainer, World=World, OURS=OURS)


@pytest.fixture
def fresh(world: World) -> Callable[[], World]:
    """Empties the registry again, within one test."""

    def again() -> World:
        empty(world.server, world.settings)
        fill(world.server, world.settings)
        return World(world.server, world.settings, world._trained)

    return again


def point_at(monkeypatch: pytest.MonkeyPatch, server: Server) -> None:
    """Speak to the sandbox, under the roles that the workflows have and no more."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    monkeypatch.setenv("MLOPS_ASSUME_ROLES", "1")
