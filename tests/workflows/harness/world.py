"""One generated project on GitHub and in a sandbox's accounts, and what the registry and the endpoints there say."""

import json
import os
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import boto3
import yaml
from botocore.config import Config

import rights
from harness import runs
from harness.environments import Environment
from harness.github import GitHub
from harness.moments import Endpoint, Moment, Version, version_of
from harness.origin import CLEAN, Origin, git
from harness.repository import Repository
from harness.runs import Run

TIME_SCALE = 600
"""A rollout that bakes five minutes on AWS takes half a second."""

QUICK = "-m 'not slow' -p no:cacheprovider"
FEW = "tests/few"
FEW_TESTS = "def test_two_and_two():\n    assert 2 + 2 == 4\n"

REFERENCE = """\
import json, os, sys
import joblib, sklearn.linear_model, sklearn.pipeline, sklearn.preprocessing
for folder in sys.stdin:
    if os.fork():
        sys.exit(1) if os.wait()[1] else None
        continue
    os.chdir(folder.strip())
    sys.path.insert(0, "code")
    import inference
    parsed = inference.input_fn(sys.argv[1].encode(), "text/csv")
    answer = inference.predict_fn(parsed, inference.model_fn("."))
    print(inference.output_fn(answer, "application/json").get_data(as_text=True), flush=True)
    os._exit(0)
"""
"""Answers for the models of the folders that it is told: libraries are loaded once, a model's own code for it alone."""


class World:
    """A project, its repository on GitHub, and its accounts."""

    def __init__(self, folder: Path, project: Path, environments: Mapping[str, Environment]) -> None:
        """Start the sandbox and open the repository; nothing has been pushed yet.

        Args:
            folder: where everything is kept.
            project: a baked project, with its first commit on main and dev.
            environments: the rules of the repository's environments.
        """
        self.folder = folder
        self.project = project
        self.settings = yaml.safe_load((project / "mlops.yaml").read_text(encoding="utf-8"))
        self.slug: str = self.settings["project"]
        self._clients: dict[tuple[str, str], Any] = {}
        self._answers: dict[str, tuple[float, ...]] = {}
        self.repository = Repository("example", 101, self.slug, 202)
        # Every verification waits as long as its load test lasts.
        shorter = (project / "mlops.yaml").read_text(encoding="utf-8").replace("seconds: 1.5,", "seconds: 0.5,")
        (project / "mlops.yaml").write_text(shorter, encoding="utf-8")
        (project / FEW).mkdir()
        (project / FEW / "test_few.py").write_text(FEW_TESTS, encoding="utf-8")
        self._name_repository()
        git(project, "add", "-A")
        git(project, "commit", "-q", "-m", "A test that is quick, and the repository that the roles trust")
        git(project, "branch", "-f", "dev")
        self._server = self._start_sandbox()
        self.url = self._wait_for_sandbox()
        self.github = GitHub(
            folder / "runs", self.repository, Origin(folder, project), environments, runner=self._runner()
        )
        self._bootstrap()

    def stop(self) -> None:
        """End everything that was started."""
        self.github.stop()
        if "_reference" in vars(self):
            self._reference.communicate()
        self._server.terminate()
        try:
            self._server.wait(30)
        except subprocess.TimeoutExpired:
            self._server.kill()

    def moment(self, started: list[Run], since: float, **notes: Any) -> Moment:
        """How things stand now."""
        summaries: dict[str, str] = {}
        for run in started:
            for job in runs.so_far(run).values():
                place = f"{run.workflow} {job.name}"
                summaries[place] = summaries.get(place, "") + job.summary
        endpoints = {name: found for name in ("dev", "prod") if (found := self.endpoint(name))}
        groups = {name: self.versions(name) for name in ("feature", "dev", "prod")}
        return Moment(started, groups, endpoints, self.jobs(), summaries, time.monotonic() - since, notes)

    def client(self, service: str, environment: str = "dev") -> Any:
        """A client of an environment's account, as its administrator."""
        return self._client(service, self.account(environment))

    def account(self, environment: str) -> str:
        """The account of an environment, also when it is named with its champion or challenger."""
        name = environment.partition("-")[0]
        return str(next(each["account"] for each in self.settings["environments"] if each["name"] == name))

    def bucket(self, environment: str) -> str:
        """The bucket of an environment."""
        return f"{self.slug}-{environment}-{self.account(environment)}"

    def versions(self, environment: str) -> list[Version]:
        """All versions of an environment's group, the oldest first."""
        client = self.client("sagemaker", environment)
        pages = client.get_paginator("list_model_packages").paginate(ModelPackageGroupName=f"{self.slug}-{environment}")
        listed = [each for page in pages for each in page["ModelPackageSummaryList"]]
        found = [client.describe_model_package(ModelPackageName=each["ModelPackageArn"]) for each in listed]
        return sorted((version_of(each) for each in found), key=lambda version: version.number)

    def endpoint(self, environment: str) -> Endpoint | None:
        """What an endpoint serves, and what it answers to the contract's rows; None without an endpoint."""
        served = self.served(environment)
        return Endpoint(served.number, served.digest, tuple(self.predictions(environment))) if served else None

    def serving(self, environment: str) -> str:
        """Digest of the model that an endpoint serves; empty without an endpoint."""
        served = self.served(environment)
        return served.digest if served else ""

    def served(self, environment: str) -> Version | None:
        """The version that an endpoint serves; None without an endpoint."""
        client = self.client("sagemaker", environment)
        name = f"{self.slug}-{environment}"
        if name not in {each["EndpointName"] for each in client.list_endpoints(NameContains=name)["Endpoints"]}:
            return None
        config = client.describe_endpoint(EndpointName=name)["EndpointConfigName"]
        [variant] = client.describe_endpoint_config(EndpointConfigName=config)["ProductionVariants"]
        described = client.describe_model(ModelName=variant["ModelName"])
        [container] = described.get("Containers") or [described["PrimaryContainer"]]
        return version_of(client.describe_model_package(ModelPackageName=container["ModelPackageName"]))

    def jobs(self) -> list[str]:
        """The names of all jobs that were ever started."""
        client = self.client("sagemaker")
        training = client.list_training_jobs(MaxResults=100)["TrainingJobSummaries"]
        processing = client.list_processing_jobs(MaxResults=100)["ProcessingJobSummaries"]
        names = [each["TrainingJobName"] for each in training] + [each["ProcessingJobName"] for each in processing]
        return sorted(names)

    def wait_for_job(self, status: str, name: str = "") -> str:
        """Wait until a job of this name has a status, or any training job when no name is given; give its name."""
        client = self.client("sagemaker")
        chosen = {"StatusEquals": status, "NameContains": name or f"{self.slug}-feature-train"}
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            found = [each["TrainingJobName"] for each in client.list_training_jobs(**chosen)["TrainingJobSummaries"]]
            found += [
                each["ProcessingJobName"] for each in client.list_processing_jobs(**chosen)["ProcessingJobSummaries"]
            ]
            if found:
                return str(found[0])
            time.sleep(0.1)
        raise TimeoutError(f"no job became {status}")

    @contextmanager
    def refusing(self, operation: str, code: str) -> Iterator[None]:
        """Let AWS refuse an operation, each time that it is asked for."""
        faults = f"{self.url}/_sandbox/faults"
        ordered = {"operation": operation, "status": 400, "code": code, "times": 1000, "when": "before"}
        urlopen(Request(faults, json.dumps(ordered).encode())).close()
        try:
            yield
        finally:
            urlopen(Request(faults, method="DELETE")).close()

    @cached_property
    def request(self) -> bytes:
        """Rows to ask endpoints with, from the contract."""
        contract = yaml.safe_load((self.project / "tests" / "contract.yaml").read_text(encoding="utf-8"))["requests"]
        bodies = [each["body"] for each in contract if each["content_type"] == "text/csv" and "status" not in each]
        return str(bodies[0]).encode()

    def predictions(self, environment: str) -> list[float]:
        """The probabilities that an endpoint answers."""
        answer = self.client("sagemaker-runtime", environment).invoke_endpoint(
            EndpointName=f"{self.slug}-{environment}",
            Body=self.request,
            ContentType="text/csv",
            Accept="application/json",
        )
        return [each["probability"] for each in json.load(answer["Body"])["predictions"]]

    def answers_of(self, version: Version) -> tuple[float, ...]:
        """The probabilities that a version's artefact gives outside of any endpoint."""
        if version.digest not in self._answers:
            bucket, _, key = version.artefact.removeprefix("s3://").partition("/")
            folder = self.folder / "artefacts" / version.digest
            folder.mkdir(parents=True)
            archive = folder / "model.tar.gz"
            self._client("s3", version.account).download_file(bucket, key, str(archive))
            with tarfile.open(archive) as packed:
                packed.extractall(folder, filter="data")
            self._answers[version.digest] = tuple(self._answers_from(folder))
        return self._answers[version.digest]

    def models_that_answer_alike(self) -> list[str]:
        """Models that no answer tells from each other, of those that were asked."""
        alike = [digest for digest, each in self._answers.items() if list(self._answers.values()).count(each) > 1]
        return [f"{', '.join(alike)} answer alike: nobody could tell which of them serves"] if alike else []

    def _answers_from(self, folder: Path) -> list[float]:
        told, answered = self._reference.stdin, self._reference.stdout
        assert told
        assert answered
        print(folder, file=told, flush=True)
        return [each["probability"] for each in json.loads(answered.readline())["predictions"]]

    @cached_property
    def _reference(self) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", REFERENCE, self.request.decode()]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def as_administrator(self, *command: str, folder: Path | None = None) -> str:
        """Run a Python module as the administrator of the first account; by default in the project's folder."""
        environment = {
            **CLEAN,
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": f"sandbox-{self.account('feature')}",
            "AWS_SECRET_ACCESS_KEY": "sandbox",
            "AWS_REGION": self.settings["region"],
            "AWS_DEFAULT_REGION": self.settings["region"],
            "PYTHONPATH": str(self.project / "src"),
            "HOME": str(self.folder),
        }
        done = subprocess.run(
            [sys.executable, "-m", *command],
            cwd=folder or self.project,
            env=environment,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stdout}{done.stderr}")
        return done.stdout

    def _bootstrap(self) -> None:
        """What administrators and the first data scientist do before the first push."""
        # `aws: sandbox` gives each account's administrator in turn; on AWS they would be two people.
        accounts = self.folder / "administrators"
        accounts.mkdir()
        settings = (self.project / "mlops.yaml").read_text(encoding="utf-8").replace("aws: account", "aws: sandbox")
        (accounts / "mlops.yaml").write_text(settings, encoding="utf-8")
        self.as_administrator("mlops", "groups", "create", folder=accounts)
        self.as_administrator("dvc", "push", "-q")

    def _name_repository(self) -> None:
        """Write what `mlops bootstrap aws` does, into the values of each environment."""
        for file in (self.project / "infra" / "environments").glob("*.tfvars"):
            line = f'github_repository = "{self.repository.subject}"\n'
            file.write_text(f"{file.read_text(encoding='utf-8')}{line}", encoding="utf-8")

    def _client(self, service: str, account: str) -> Any:
        if (service, account) not in self._clients:
            session: Any = boto3.Session(f"sandbox-{account}", "sandbox", region_name=self.settings["region"])
            config = Config(s3={"addressing_style": "path"})
            self._clients[service, account] = session.client(service, endpoint_url=self.url, config=config)
        return self._clients[service, account]

    def _runner(self) -> dict[str, str]:
        """The environment of the runners: AWS is the sandbox, and caches that GitHub would not have are shared.

        The `check` job runs one small test; `all_tests` makes it run all of the project's but the slow ones.
        """
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_EC2_METADATA_DISABLED": "true",
            "MYPY_CACHE_DIR": str(self.folder / "mypy"),
            "RUFF_CACHE_DIR": str(self.folder / "ruff"),
            "PYTEST_ADDOPTS": f"{QUICK} {FEW}",
        }

    @contextmanager
    def all_tests(self) -> Iterator[None]:
        """Let `check` jobs run every test of the project that is not slow, as GitHub would."""
        runner = self.github.runner.environment
        few = runner["PYTEST_ADDOPTS"]
        runner["PYTEST_ADDOPTS"] = QUICK
        try:
            yield
        finally:
            runner["PYTEST_ADDOPTS"] = few

    def _start_sandbox(self) -> subprocess.Popen[bytes]:
        options = {
            "state": self.folder / "sandbox",
            "settings": self.project / "mlops.yaml",
            "time-scale": TIME_SCALE,
            "parent": os.getpid(),
            "repository": self.repository.subject,
        }
        given = [part for name, value in options.items() for part in (f"--{name}", str(value))]
        given += rights.noted(self.project / "mlops.yaml")
        (self.folder / "sandbox").mkdir()
        return subprocess.Popen(
            [sys.executable, "-m", "sandbox", *given],
            cwd=self.project,
            env={**CLEAN, "PYTHONPATH": str(self.project), "HOME": str(self.folder)},
            stdin=subprocess.DEVNULL,
            stdout=(self.folder / "sandbox.log").open("wb"),
            stderr=subprocess.STDOUT,
        )

    def _wait_for_sandbox(self) -> str:
        file = self.folder / "sandbox" / "server.json"
        deadline = time.monotonic() + 60
        while not file.exists():
            if self._server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the sandbox did not start: {(self.folder / 'sandbox.log').read_text()}")
            time.sleep(0.02)
        return str(json.loads(file.read_text(encoding="utf-8"))["url"])


def bake(template: Path, folder: Path, *answers: str) -> Path:
    """A project as the template makes it, for AWS accounts, with its hook's first commit on main and dev."""
    environment = {**CLEAN, "MLOPS_TEMPLATE_OFFLINE": "1", "HOME": str(folder)}
    subprocess.run(
        [
            *(sys.executable, "-m", "cookiecutter", str(template), "--no-input", "-o", str(folder)),
            *("model_groups=aws", *answers),
        ],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
    )
    project = folder / "tumour-classifier"
    git(project, "status", "--short")
    return project
