"""The sandbox as commands find it: alive by its lock, not by a process id that may be another's by now."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mlops.laptop import sandbox
from mlops.settings.project import Settings


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the sandbox keeps its state."""
    monkeypatch.setenv("MLOPS_SANDBOX_STATE", str(tmp_path))
    return tmp_path


def test_a_process_that_has_the_id_of_a_crashed_sandbox_is_not_taken_for_it(state: Path) -> None:
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        (state / "server.json").write_text(json.dumps({"url": "http://127.0.0.1:9", "pid": other.pid, "time_scale": 1}))
        (state / "lock").touch()

        assert sandbox.running(state) is None
        sandbox.reset(Settings.model_construct(root=state))

        assert other.poll() is None
        assert not state.exists()
    finally:
        other.communicate(b"\n")


def test_one_that_holds_its_lock_is_found(state: Path) -> None:
    (state / "server.json").write_text(json.dumps({"url": "http://127.0.0.1:9", "pid": os.getpid(), "time_scale": 60}))
    with (state / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert sandbox.running(state) == sandbox.Server("http://127.0.0.1:9", os.getpid(), 60)


@pytest.fixture
def on_the_sandbox(tmp_path: Path) -> Path:
    """A project that has its own sandbox."""
    shutil.copytree(Path(__file__).parent / "project", tmp_path, dirs_exist_ok=True)
    (tmp_path / "sandbox").symlink_to(Path(sandbox.__file__).parents[3] / "sandbox")
    return tmp_path


@pytest.mark.parametrize(
    "variables",
    [
        {"AWS_PROFILE": "work"},
        {"AWS_ACCESS_KEY_ID": "ASIA", "AWS_SECRET_ACCESS_KEY": "x", "AWS_SESSION_TOKEN": "of a real account"},
    ],
    ids=["profile", "session"],
)
def test_the_credentials_of_a_real_account_in_the_shell_play_no_part(on_the_sandbox: Path, variables: dict) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "GITHUB_", "MLOPS_"))}
    done = subprocess.run(
        [sys.executable, "-m", "mlops", "groups", "create", "--json"],
        cwd=on_the_sandbox,
        env=clean | {"PYTHONPATH": str(Path(sandbox.__file__).parents[2])} | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert [each["name"] for each in json.loads(done.stdout)] == ["churn-feature", "churn-dev", "churn-prod"]
