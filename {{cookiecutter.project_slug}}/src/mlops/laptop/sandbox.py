"""The sandbox as commands use it: found when it runs, started for one command when it does not."""

import atexit
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

from mlops.errors import BadInput, Failure
from mlops.settings.project import FILE, Settings

START_SECONDS = 60
"""A sandbox that has not written its file by then has failed; it takes about one second."""

USERS = "users"
"""File in its folder on which each command that uses it holds a lock; the sandbox ends when nobody does."""

KEPT = frozenset({"AWS_MAX_ATTEMPTS", "AWS_CA_BUNDLE"})
"""The variables of AWS clients that hold for the sandbox as well."""

TIME_SCALE = 60.0
"""How many of the service's seconds pass in one of ours, while a rollout waits."""


@dataclass(frozen=True)
class Server:
    """A running sandbox: where it answers and its process."""

    url: str
    pid: int
    time_scale: float


def folder(settings: Settings) -> Path:
    """Where the sandbox keeps its state: `.sandbox` in the project, or MLOPS_SANDBOX_STATE."""
    given = os.environ.get("MLOPS_SANDBOX_STATE")
    return Path(given) if given else settings.root / ".sandbox"


def running(state: Path) -> Server | None:
    """The sandbox that keeps its state in a folder, when it is alive."""
    try:
        content = json.loads((state / "server.json").read_text(encoding="utf-8"))
        server = Server(url=content["url"], pid=content["pid"], time_scale=content["time_scale"])
        os.kill(server.pid, 0)
    except (OSError, ValueError, KeyError):
        return None
    return server if owned(state) else None


def owned(state: Path) -> bool:
    """Whether a sandbox lives on a folder: it holds a lock until it has saved its last state.

    Its process id alone would not do: after a crash another process may have it.
    """
    try:
        with (state / "lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def start(settings: Settings, time_scale: float = TIME_SCALE, warm: bool = False) -> subprocess.Popen[bytes]:
    """Start a sandbox that ends with this process, and wait until it answers.

    Args:
        settings: the project's.
        time_scale: how many of the service's seconds pass in one of ours.
        warm: jobs will follow, so it begins at once to import their libraries.

    Raises:
        Failure: it ended before it answered; with the last lines of what it said.
    """
    state = folder(settings)
    state.mkdir(parents=True, exist_ok=True)
    if running(state) is None:
        (state / "server.json").unlink(missing_ok=True)  # of one that crashed
    log = state / "server.log"
    arguments = ["--state", state, "--settings", settings.root / FILE, "--time-scale", time_scale]
    arguments += ["--parent", os.getpid(), *(["--warm"] if warm else [])]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "sandbox", *map(str, arguments)],
            cwd=settings.root,
            env={**clean, "PYTHONPATH": str(settings.root)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    deadline = time.monotonic() + START_SECONDS
    while (server := running(state)) is None or server.pid != process.pid:
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            raise Failure(
                f"the sandbox did not start: {lines[-1] if lines else 'it said nothing'}; all of it is in {log}"
            )
        time.sleep(0.02)
    return process


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a sandbox and wait until it has saved its state."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def connect(settings: Settings, warm: bool = False) -> None:
    """Point this process at AWS: at the account's, or at the sandbox, started for this command when none runs.

    Args:
        settings: the project's.
        warm: the command runs jobs or asks endpoints; see `start`.

    Raises:
        BadInput: on GitHub the settings ask for the sandbox.
        Failure: the sandbox does not start.
    """
    if settings.aws == "account" or "AWS_ENDPOINT_URL" in os.environ:
        return
    if os.environ.get("GITHUB_ACTIONS") == "true":
        raise BadInput(f"{FILE}: aws is sandbox; a workflow works on AWS: give aws: account")
    server, leave = joined(settings, warm)
    atexit.register(leave)
    # The shell's own profile or session, of a real account, would come in between.
    for name in [name for name in os.environ if name.startswith("AWS_") and name not in KEPT]:
        del os.environ[name]
    os.environ.update(environment(settings, server.url))


def joined(settings: Settings, warm: bool = False) -> tuple[Server, Callable[[], None]]:
    """The sandbox that runs, or one that is started now, and what leaves it.

    Two commands at once use one sandbox: it ends with the last of them. A sandbox that is about to end is waited for.

    Raises:
        Failure: it does not start.
    """
    state = folder(settings)
    state.mkdir(parents=True, exist_ok=True)
    users = (state / USERS).open("a")
    fcntl.flock(users, fcntl.LOCK_SH)
    process = None
    with (state / "starting").open("a") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if (server := running(state)) is None:
            process = start(settings, warm=warm)
            server = running(state)
    if server is None:
        raise Failure(f"the sandbox ended as soon as it had started; its log is {state / 'server.log'}")
    return server, partial(left, users, process)


def left(users: IO[str], process: subprocess.Popen[bytes] | None) -> None:
    """Leave a sandbox; one that this process has started ends now, unless another command uses it."""
    if process is not None:
        with suppress(BlockingIOError):
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            stop(process)
    users.close()


def environment(settings: Settings, url: str) -> dict[str, str]:
    """The variables under which any AWS client speaks to the sandbox as its first account's administrator."""
    empty = folder(settings) / "aws-config"
    empty.touch()
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": f"sandbox-{settings.environments[0].account}",
        "AWS_SECRET_ACCESS_KEY": "sandbox",
        "AWS_REGION": settings.region,
        "AWS_DEFAULT_REGION": settings.region,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": str(empty),
        "AWS_SHARED_CREDENTIALS_FILE": str(empty),
    }


def run(settings: Settings, command: list[str]) -> int:
    """Run a command against the sandbox.

    Returns:
        The command's exit code.
    """
    server, leave = joined(settings)
    try:
        variables = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        try:
            return subprocess.run(command, env=variables | environment(settings, server.url), check=False).returncode
        except OSError as error:
            raise BadInput(f"{command[0]}: {error.strerror}; give a command that is on the PATH") from error
    finally:
        leave()


def reset(settings: Settings) -> Path:
    """Stop the sandbox and remove all that it keeps: groups, models, endpoints, buckets.

    Returns:
        The folder that was removed.
    """
    state = folder(settings)
    if (server := running(state)) is not None:
        os.kill(server.pid, signal.SIGTERM)
        deadline = time.monotonic() + START_SECONDS
        while owned(state) and time.monotonic() < deadline:
            time.sleep(0.02)
    shutil.rmtree(state, ignore_errors=True)
    return state
