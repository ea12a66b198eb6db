"""The sandbox as commands find it: alive by its lock, not by a process id that may be another's by now."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
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


def begun(folder: Path, *arguments: str, **variables: str) -> subprocess.Popen[str]:
    """`mlops` as a shell would start it."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "GITHUB_", "MLOPS_"))}
    return subprocess.Popen(
        [sys.executable, "-m", "mlops", *arguments],
        cwd=folder,
        env=clean | {"PYTHONPATH": str(Path(sandbox.__file__).parents[2])} | variables,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


WAITS = """
import os, urllib.request
print("there", flush=True)
input()
print(urllib.request.urlopen(os.environ["AWS_ENDPOINT_URL"] + "/_sandbox/health").status, flush=True)
"""
"""Says that it runs, and asks the sandbox once it is told to."""


@pytest.mark.slow
def test_two_commands_at_once_use_one_sandbox_which_ends_with_the_last(on_the_sandbox: Path) -> None:
    commands = [
        begun(on_the_sandbox, "sandbox", "run", "--", sys.executable, "-c", WAITS, PYTHONUNBUFFERED="1")
        for _ in range(3)
    ]
    assert [each.stdout.readline() if each.stdout else "" for each in commands] == ["there\n"] * 3
    for command in commands:
        # Whoever has started it ends before one of the others, or after it.
        printed, said = command.communicate("\n")
        assert (command.returncode, printed) == (0, "200\n"), said

    deadline = time.monotonic() + 20
    while sandbox.owned(on_the_sandbox / ".sandbox") and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not sandbox.owned(on_the_sandbox / ".sandbox")


@pytest.mark.parametrize(
    "variables",
    [
        {"AWS_PROFILE": "work"},
        {"AWS_ACCESS_KEY_ID": "ASIA", "AWS_SECRET_ACCESS_KEY": "x", "AWS_SESSION_TOKEN": "of a real account"},
    ],
    ids=["profile", "session"],
)
def test_the_credentials_of_a_real_account_in_the_shell_play_no_part(on_the_sandbox: Path, variables: dict) -> None:
    done = begun(on_the_sandbox, "groups", "create", "--json", **variables)
    printed, said = done.communicate()
    assert done.returncode == 0, said
    assert [each["name"] for each in json.loads(printed)] == ["churn-feature", "churn-dev", "churn-prod"]
