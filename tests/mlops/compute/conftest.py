"""Projects to run: the baked one with the real data, and a small one whose scripts end at once; a sandbox for both."""

import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

import rights
from mlops.compute import jobs
from mlops.compute.jobs import TrainedModel
from mlops.settings import project as project_settings
from mlops.settings.project import Environment, Settings

PACKAGE = "tumour_classifier"
KEY = "arn:aws:kms:eu-west-1:111111111111:key/11111111-2222-3333-4444-555555555555"

SETTINGS = f"""
project: tumour-classifier
package: {PACKAGE}
region: eu-west-1
environments:
  - {{name: feature, account: "111111111111"}}
  - {{name: dev, account: "111111111111", endpoint: {{}}}}
stages:
  prepare: {{instance_type: ml.m5.xlarge, max_runtime_seconds: 600}}
  train:
    job: training
    instance_type: ml.c5.xlarge
    max_runtime_seconds: 900
    max_wait_seconds: 1200
    spot: true
    metrics: {{rows: "rows=([0-9]+)"}}
  evaluate: {{}}
network: {{subnets: [subnet-0a1b], security_groups: [sg-0c2d], isolation: true}}
kms_key: {KEY}
tags: {{team: pathology}}
"""

PIPELINE = f"""
stages:
  evaluate:
    cmd: mlops run evaluate
    deps: [data/prepared, model, src/{PACKAGE}/__init__.py, src/{PACKAGE}/evaluate.py]
    params: [evaluate]
    outs: [reports]
  prepare:
    cmd: mlops run prepare
    deps: [data/raw, src/{PACKAGE}/__init__.py, src/{PACKAGE}/prepare.py]
    outs: [data/prepared]
  train:
    cmd: mlops run train
    deps:
      - data/prepared
      - src/{PACKAGE}/__init__.py
      - src/{PACKAGE}/names.py
      - src/{PACKAGE}/train.py
    params: [train]
    outs: [model]
"""

PARAMETERS = "train: {C: 1.5, name: a b, gate: ''}\nevaluate: {value: 0.9}\n"

SCRIPTS = {
    "__init__": "",
    "names": 'MODEL = "model.txt"\n',
    "prepare": """
import os
from pathlib import Path
target = Path(os.environ["SM_OUTPUT_DATA_DIR"])
rows = sorted(Path(os.environ["SM_CHANNEL_RAW"]).glob("*.csv"))[0].read_text()
(target / "rows.csv").write_text(rows.upper())
(target / "baseline.json").write_text("{}")
""",
    "train": f"""
import json, os, sys, time
from pathlib import Path
from {PACKAGE} import names
told = dict(zip(sys.argv[1::2], sys.argv[2::2]))
rows = (Path(os.environ["SM_CHANNEL_PREPARED"]) / "rows.csv").read_text()
print(f"rows={{len(rows.splitlines())}}", flush=True)
while told["--gate"] and not Path(told["--gate"]).exists():
    time.sleep(0.02)
if float(told["--C"]) < 0:
    print("the last line of the log")
    sys.exit("C is below 0")
Path(os.environ["SM_MODEL_DIR"], names.MODEL).write_text(rows + json.dumps(told))
""",
    "evaluate": """
import argparse, json, os, tarfile
from pathlib import Path
parser = argparse.ArgumentParser()
parser.add_argument("--value", type=float)
value = parser.parse_args().value
folder = Path(os.environ["SM_CHANNEL_MODEL"])
if (folder / "model.tar.gz").exists():
    with tarfile.open(folder / "model.tar.gz") as archive:
        archive.getmember("model.txt")
metrics = {"roc_auc": {"value": value, "low": value - 0.1, "high": value}}
Path(os.environ["SM_OUTPUT_DATA_DIR"], "metrics.json").write_text(json.dumps({"metrics": metrics}))
""",
}


def pointer(folder: Path) -> str:
    """What `dvc add` writes for a folder, whose MD5 is that of the list of its files."""
    files = sorted(each for each in folder.iterdir() if each.is_file())
    listed = [{"md5": hashlib.md5(each.read_bytes()).hexdigest(), "relpath": each.name} for each in files]
    md5 = hashlib.md5(json.dumps(listed, sort_keys=True).encode()).hexdigest()
    return f"outs:\n- md5: {md5}.dir\n  nfiles: {len(files)}\n  hash: md5\n  path: {folder.name}\n"


@dataclass(frozen=True)
class Project:
    """A project in a git repository of its own."""

    path: Path

    @property
    def settings(self) -> Settings:
        """Its settings, as they are now."""
        return project_settings.load(self.path)

    @property
    def feature(self) -> Environment:
        """The environment that trains."""
        return self.settings.environment("feature")

    def git(self, *arguments: str) -> str:
        """What git prints."""
        identity = ["-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"]
        done = subprocess.run(["git", *identity, *arguments], cwd=self.path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def write(self, file: str, content: str) -> None:
        """Write a file."""
        (self.path / file).parent.mkdir(parents=True, exist_ok=True)
        (self.path / file).write_text(content)

    def replace(self, file: str, old: str, new: str) -> None:
        """Replace a text that a file holds."""
        text = (self.path / file).read_text()
        assert old in text, f"{file} does not hold {old!r}"
        (self.path / file).write_text(text.replace(old, new, 1))

    def commit(self, message: str = "change") -> str:
        """Commit everything and return the hash."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--no-verify", "--message", message)
        return self.git("rev-parse", "HEAD")

    def data(self, content: str) -> None:
        """Give it raw data, tracked."""
        shutil.rmtree(self.path / "data", ignore_errors=True)
        self.write("data/raw/rows.csv", content)
        self.write("data/raw.dvc", self.pointer())
        self.write("data/.gitignore", "/raw\n")

    def pointer(self) -> str:
        """What DVC's pointer of its raw data has to say now."""
        return pointer(self.path / "data" / "raw")

    def gated(self, folder: Path) -> Path:
        """Commit parameters by which the training waits for a file; the file."""
        self.replace("params.yaml", "gate: ''", f"gate: {folder / 'go'}")
        self.commit("wait")
        return folder / "go"

    def mlops(self, *arguments: str) -> subprocess.Popen[str]:
        """Start the command line in it."""
        source = project_settings.__file__
        environment = {**os.environ, "PYTHONPATH": str(Path(source).parents[2]), "GITHUB_ACTIONS": "true"}
        return subprocess.Popen(
            [sys.executable, "-c", "from mlops.cli import main; main()", *arguments],
            cwd=self.path, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True,
            # A shell's background job ignores it, and so would whatever the tests start.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )  # fmt: skip


@pytest.fixture
def real(baked: Any, tmp_path: Path) -> Project:
    """A copy of the baked project, with the real data and its history."""
    shutil.copytree(baked.path, tmp_path / "project", symlinks=True)
    return Project(tmp_path / "project")


@pytest.fixture(scope="session")
def small_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small project with its first commit, to copy."""
    project = Project(tmp_path_factory.mktemp("template") / "small")
    for name, text in SCRIPTS.items():
        project.write(f"src/{PACKAGE}/{name}.py", text)
    project.write("mlops.yaml", SETTINGS)
    project.write("dvc.yaml", PIPELINE)
    project.write("params.yaml", PARAMETERS)
    project.write(".gitignore", "__pycache__/\n.mlops/\n/model/\n/reports/\n/data/prepared/\n")
    project.write(
        "pyproject.toml",
        '[project]\nname = "small"\nrequires-python = ">=3.11"\n\n'
        '[dependency-groups]\nmodel = ["numpy>=2", "scikit-learn==1.9.*"]\nquality = ["pytest"]\n',
    )
    project.data("a,b\n1,2\n")
    project.git("init", "--quiet", "--initial-branch", "main")
    project.commit("first")
    return project.path


@pytest.fixture
def small(small_template: Path, tmp_path: Path) -> Project:
    """A project with scripts that need the standard library only and end at once."""
    shutil.copytree(small_template, tmp_path / "small")
    return Project(tmp_path / "small")


@pytest.fixture
def unseen(small: Project, request: pytest.FixtureRequest) -> Project:
    """The small project with a parameter that no other test has: no other test's training job is its own."""
    small.replace("params.yaml", "name: a b", f"name: '{request.node.name}'")
    small.commit("a parameter")
    return small


@dataclass(frozen=True)
class Cloud:
    """A running sandbox, as its administrator sees it."""

    url: str

    def client(self, service: str) -> Any:
        """A client of the account that trains."""
        return boto3.session.Session().client(
            service, region_name="eu-west-1", endpoint_url=self.url,
            aws_access_key_id="sandbox-111111111111", aws_secret_access_key="sandbox",
        )  # fmt: skip

    def jobs(self) -> dict[str, str]:
        """Every job's status by its name."""
        sagemaker = self.client("sagemaker")
        trained = sagemaker.list_training_jobs(MaxResults=100)["TrainingJobSummaries"]
        processed = sagemaker.list_processing_jobs(MaxResults=100)["ProcessingJobSummaries"]
        return {each["TrainingJobName"]: each["TrainingJobStatus"] for each in trained} | {
            each["ProcessingJobName"]: each["ProcessingJobStatus"] for each in processed
        }


@pytest.fixture(scope="session")
def compute_sandbox(tmp_path_factory: pytest.TempPathFactory, template_folder: Path) -> Iterator[Cloud]:
    """One sandbox for all tests of this folder; they have different data, so none finds another's jobs."""
    folder = tmp_path_factory.mktemp("sandbox")
    (folder / "mlops.yaml").write_text(SETTINGS)
    with opened(folder, template_folder) as cloud:
        # The name by which the baked project, which has infra/ and names no key, finds one.
        cloud.client("kms").create_alias(AliasName="alias/tumour-classifier-feature", TargetKeyId=KEY)
        yield cloud


@contextlib.contextmanager
def opened(folder: Path, template_folder: Path) -> Iterator[Cloud]:
    """A sandbox of the project in a folder, while it is used."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [
                sys.executable, "-m", "sandbox", "--state", str(folder / "state"), "--settings",
                str(folder / "mlops.yaml"), "--time-scale", "600", "--parent", str(os.getpid()),
                *rights.noted(folder / "mlops.yaml"),
            ],
            cwd=template_folder, env={**environment, "PYTHONPATH": str(template_folder)}, stdin=subprocess.DEVNULL,
            stdout=log, stderr=log,
        )  # fmt: skip
        address = folder / "state" / "server.json"
        while not address.exists():
            assert server.poll() is None, (folder / "log").read_text()
        yield Cloud(json.loads(address.read_text())["url"])
        server.terminate()
        server.wait(timeout=30)


@pytest.fixture(scope="session")
def variables(compute_sandbox: Cloud) -> dict[str, str]:
    """What points a process at the sandbox, holding only the roles' rights."""
    return pointing_at(compute_sandbox)


def pointing_at(cloud: Cloud) -> dict[str, str]:
    """What points a process at a sandbox, holding only the roles' rights."""
    return {
        "AWS_ENDPOINT_URL": cloud.url,
        "AWS_ACCESS_KEY_ID": "sandbox-111111111111",
        "AWS_SECRET_ACCESS_KEY": "sandbox",
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "MLOPS_ASSUME_ROLES": "1",
    }


@pytest.fixture
def keyed(small: "Project", template_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """The small project without a key of its own but with infra/, which makes one; a sandbox in which it has."""
    small.replace("mlops.yaml", f"kms_key: {KEY}\n", "")
    small.write("infra/key.tf", "")
    small.commit("infra/ makes the key")
    with opened(small.path, template_folder) as cloud:
        for name, value in pointing_at(cloud).items():
            monkeypatch.setenv(name, value)
        yield cloud


@pytest.fixture
def cloud(compute_sandbox: Cloud, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Cloud:
    """The sandbox, with this process pointed at it."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return compute_sandbox


@dataclass(frozen=True)
class Trained:
    """The small project as its template has it, run once for every test that only looks at what came out."""

    model: TrainedModel
    said: list[str]


@pytest.fixture(scope="session")
def trained(small_template: Path, variables: dict[str, str]) -> Trained:
    """The small project's pipeline, run once."""
    project, said = Project(small_template), list[str]()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        return Trained(jobs.run_pipeline(project.settings, project.feature, said.append), said)


@pytest.fixture
def said() -> list[str]:
    """The lines of progress."""
    return []


@pytest.fixture
def progress(said: list[str]) -> Callable[[str], None]:
    """Keeps the lines of progress."""
    return said.append
