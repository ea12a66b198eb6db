"""A sandbox of its own for the tests of jobs, with what a job needs: a bucket, a role, code in S3."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

PROJECT = Path(__file__).parents[3] / "{{cookiecutter.project_slug}}"
ACCOUNT, REGION = "111111111111", "eu-west-1"
SETTINGS = f"""
project: tumour
package: tumour
region: {REGION}
scenario: basic
environments:
  - {{name: feature, account: "{ACCOUNT}"}}
  - {{name: dev, account: "{ACCOUNT}", endpoint: {{instance_type: ml.m5.large}}}}
stages: {{}}
"""
IMAGE = f"141502667606.dkr.ecr.{REGION}.amazonaws.com/sagemaker-scikit-learn:1.9-0"


class World:
    """A running sandbox and what tests do with it."""

    account, region, image = ACCOUNT, REGION, IMAGE
    bucket = f"tumour-feature-{ACCOUNT}"
    role = f"arn:aws:iam::{ACCOUNT}:role/tumour-feature-execution"

    def __init__(self, url: str, state: Path) -> None:
        self.url, self.state = url, state
        self.sagemaker, self.s3, self.logs = self.client("sagemaker"), self.client("s3"), self.client("logs")

    def client(self, service: str) -> Any:
        """A client of the account's administrator."""
        return boto3.session.Session().client(
            service,
            region_name=REGION,
            endpoint_url=self.url,
            aws_access_key_id=f"sandbox-{ACCOUNT}",
            aws_secret_access_key="any",
            config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
        )

    def put(self, key: str, content: str | bytes) -> str:
        """Store an object and return its address."""
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=content)
        return f"s3://{self.bucket}/{key}"

    def archive(self, key: str, **files: str) -> str:
        """Store a tar.gz of files, given by their names with `__` for the dot, and return its address."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as archive:
            for name, text in files.items():
                member = tarfile.TarInfo(name.replace("__", "."))
                member.size = len(text.encode())
                archive.addfile(member, io.BytesIO(text.encode()))
        return self.put(key, packed.getvalue())

    def unpacked(self, uri: str) -> dict[str, bytes]:
        """The files of a tar.gz in S3."""
        bucket, key = uri[5:].split("/", 1)
        content = self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            return {each.name: archive.extractfile(each).read() for each in archive if each.isfile()}

    def train(self, name: str, script: str, *, channels: dict[str, str] | None = None, **given: Any) -> None:
        """Start a script-mode training job."""
        code = self.archive(f"code/{name}/sourcedir.tar.gz", train__py=script)
        parameters = {"sagemaker_program": "train.py", "sagemaker_submit_directory": code}
        self.sagemaker.create_training_job(
            TrainingJobName=name,
            RoleArn=given.pop("role", self.role),
            AlgorithmSpecification={
                "TrainingImage": IMAGE,
                "TrainingInputMode": "File",
                "MetricDefinitions": [{"Name": "score", "Regex": "score=([0-9.]+)"}],
            },
            HyperParameters={**parameters, **given.pop("parameters", {})},
            **({"InputDataConfig": [self.channel(*each) for each in channels.items()]} if channels else {}),
            OutputDataConfig={"S3OutputPath": f"s3://{self.bucket}/jobs"},
            ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10},
            StoppingCondition={"MaxRuntimeInSeconds": given.pop("seconds", 60)},
            **given,
        )

    def channel(self, name: str, uri: str) -> dict[str, Any]:
        """An input channel that reads a prefix."""
        return {"ChannelName": name, "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri}}}

    def process(self, name: str, script: str, **given: Any) -> None:
        """Start a processing job that runs a script from S3."""
        code = self.put(f"code/{name}/run.py", script)
        inputs = {"code": (code, "/opt/ml/processing/input/code"), **given.pop("inputs", {})}
        outputs = given.pop("outputs", {})
        self.sagemaker.create_processing_job(
            ProcessingJobName=name,
            RoleArn=self.role,
            AppSpecification={
                "ImageUri": IMAGE,
                "ContainerEntrypoint": ["python3", "/opt/ml/processing/input/code/run.py"],
                **({"ContainerArguments": given.pop("arguments")} if "arguments" in given else {}),
            },
            ProcessingResources={
                "ClusterConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10}
            },
            ProcessingInputs=[
                {
                    "InputName": each,
                    "S3Input": {
                        "S3Uri": uri,
                        "LocalPath": path,
                        "S3DataType": "S3Prefix",
                        "S3InputMode": "File",
                    },
                }
                for each, (uri, path) in inputs.items()
            ],
            ProcessingOutputConfig={
                "Outputs": [
                    {
                        "OutputName": each,
                        "S3Output": {"S3Uri": uri, "LocalPath": path, "S3UploadMode": "EndOfJob"},
                    }
                    for each, (uri, path) in outputs.items()
                ]
            },
            **given,
        )

    def finished(self, name: str, kind: str = "training") -> dict[str, Any]:
        """A job's description once it has ended."""
        describe = getattr(self.sagemaker, f"describe_{kind}_job")
        title = kind.capitalize()
        return self.until(
            lambda: describe(**{f"{title}JobName": name}),
            lambda job: job[f"{title}JobStatus"] in ("Completed", "Failed", "Stopped"),
        )

    def until(self, look: Any, satisfied: Any, seconds: float = 60) -> Any:
        """What `look` sees when it satisfies."""
        end = time.monotonic() + seconds
        while not satisfied(seen := look()):
            assert time.monotonic() < end, f"still {seen}"
            time.sleep(0.02)
        return seen

    def processes(self) -> list[str]:
        """The command lines of processes that work in this sandbox's state folder."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if str(self.state) in str((folder / "cwd").readlink()):
                    found.append((folder / "cmdline").read_text().replace("\0", " "))
            except OSError:
                continue
        return found

    def log(self, name: str, group: str = "/aws/sagemaker/TrainingJobs") -> list[str]:
        """The lines of a job's log."""
        streams = self.logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{name}/")["logStreams"]
        events = self.logs.get_log_events(
            logGroupName=group, logStreamName=streams[0]["logStreamName"], startFromHead=True
        )["events"]
        return [event["message"] for event in events]


def started(state: Path, settings: Path) -> tuple[subprocess.Popen[bytes], World]:
    """Start a sandbox as a user does, and wait until it says where it listens."""
    file = state / "server.json"
    file.unlink(missing_ok=True)  # One that was killed leaves it behind.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "sandbox", "--state", state, "--settings", settings, "--parent", str(os.getpid())],
        cwd=settings.parent,
        env={**environment, "PYTHONPATH": str(PROJECT)},
    )
    end = time.monotonic() + 60
    while not file.exists():
        assert process.poll() is None and time.monotonic() < end, "the sandbox did not start"
        time.sleep(0.02)
    return process, World(json.loads(file.read_text())["url"], state)


@pytest.fixture(scope="session")
def start_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Starts a sandbox on a state folder; all of them end with the tests."""
    running: list[subprocess.Popen[bytes]] = []

    def start(state: Path | None = None) -> tuple[subprocess.Popen[bytes], World]:
        # A space, because users' folders have them.
        folder = state or tmp_path_factory.mktemp("with a space")
        settings = folder / "mlops.yaml"
        settings.write_text(SETTINGS)
        process, world = started(folder, settings)
        running.append(process)
        return process, world

    yield start
    for process in running:
        process.terminate()
    for process in running:
        process.wait(20)


@pytest.fixture(scope="session")
def world(start_sandbox: Any) -> World:
    """The sandbox that the tests share."""
    return start_sandbox()[1]
