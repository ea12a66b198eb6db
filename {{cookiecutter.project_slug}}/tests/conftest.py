"""What the tests share: the project's folder, and one run of the pipeline's scripts as a container would run them."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

PACKAGE = "{{cookiecutter.package_name}}"

Script = Callable[..., subprocess.CompletedProcess[str]]


@dataclass(frozen=True)
class Pipeline:
    """The folders that a run of the pipeline has written, and what training printed."""

    prepared: Path
    model: Path
    reports: Path
    training_log: str


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's folder."""
    return Path(__file__).parents[1]


@pytest.fixture(scope="session")
def cases(root: Path) -> Path:
    """A third of the cases of data/raw, kept in git: a machine that only tests has not pulled the data from DVC."""
    return root / "tests" / "cases"


@pytest.fixture(scope="session")
def script(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Script:
    """Runs a script of the model's package from a copy that stands alone, with the folders that it is told."""
    code = tmp_path_factory.mktemp("code")
    shutil.copytree(root / "src" / PACKAGE, code / PACKAGE, ignore=shutil.ignore_patterns("__pycache__"))
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("SM_", "PYTHON"))}

    def run(name: str, parameters: dict[str, object], **folders: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, f"{PACKAGE}/{name}.py", *(f"--{key}={value}" for key, value in parameters.items())],
            cwd=code,
            env={**inherited, "PYTHONPATH": str(code), **{key: str(folder) for key, folder in folders.items()}},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.fixture(scope="session")
def pipeline(root: Path, cases: Path, script: Script, tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """One run of prepare, train and evaluate on the cases with the project's parameters."""
    parameters = yaml.safe_load((root / "params.yaml").read_text(encoding="utf-8"))
    folder = tmp_path_factory.mktemp("pipeline")
    prepared, model, reports = folder / "prepared", folder / "model", folder / "reports"
    logs = []
    for name, folders in {
        "prepare": {"SM_CHANNEL_RAW": cases, "SM_OUTPUT_DATA_DIR": prepared},
        "train": {"SM_CHANNEL_PREPARED": prepared, "SM_MODEL_DIR": model},
        "evaluate": {"SM_CHANNEL_PREPARED": prepared, "SM_CHANNEL_MODEL": model, "SM_OUTPUT_DATA_DIR": reports},
    }.items():
        done = script(name, parameters[name], **folders)
        assert done.returncode == 0, f"{name}: {done.stderr}"
        logs.append(done.stdout)
    return Pipeline(prepared, model, reports, training_log=logs[1])
