"""The interpreter that runs the sandbox's jobs and endpoints: started once per sandbox, stopped with it."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Lock

from sandbox.sandbox import Sandbox

LIBRARIES = (
    "numpy",
    "joblib",
    "pyarrow.parquet",
    "sklearn.pipeline",
    "sklearn.linear_model",
    "sklearn.ensemble",
    "sklearn.calibration",
    "sklearn.metrics",
    "sklearn.model_selection",
    "matplotlib.pyplot",
)
"""What jobs are likely to import, in the order in which the interpreter imports it; the missing are left out."""

_END_SECONDS = 3.0

PIP = """#!/bin/sh
echo "sandbox: pip $* was not run: jobs use the libraries of the project's own environment"
"""


@dataclass(frozen=True)
class Interpreter:
    """A started interpreter.

    Args:
        programs: folder with `python3` and `pip3`, to be first on a container's PATH.
        containers: folder below which each container has its own; free of characters that shell scripts stumble on.
        ended: it is being stopped, and everything that it runs with it.
    """

    programs: Path
    containers: Path
    ended: Event


_STARTED: dict[Path, Interpreter] = {}
_LOCK = Lock()


def interpreter(sandbox: Sandbox) -> Interpreter:
    """The sandbox's interpreter, started when this is the first to ask for it."""
    with _LOCK:
        if sandbox.state not in _STARTED:
            _STARTED[sandbox.state] = _start(sandbox)
        return _STARTED[sandbox.state]


def _start(sandbox: Sandbox) -> Interpreter:
    # Not in the state folder: a socket's address has at most 107 characters, projects may be deeper than that.
    folder = Path(tempfile.mkdtemp(prefix="sandbox-"))
    address = folder / "python"
    here = Path(__file__).parent
    environment = {"HOME": str(folder), "MPLBACKEND": "agg", "MPLCONFIGDIR": str(folder), "LANG": "C.UTF-8"}
    process = subprocess.Popen(
        [sys.executable, "-I", str(here / "forks.py"), str(address), *LIBRARIES],
        stdin=subprocess.PIPE,
        env=environment,
        cwd=folder,
        process_group=0,
    )
    (folder / "bin").mkdir()
    for name in ("python3", "python"):
        program = folder / "bin" / name
        words = [sys.executable, "-IS", str(here / "python3.py"), str(address), str(program)]
        program.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
    for name in ("pip3", "pip"):
        (folder / "bin" / name).write_text(PIP)
    for program in (folder / "bin").iterdir():
        program.chmod(0o755)
    (sandbox.state / "containers").mkdir(parents=True, exist_ok=True)
    # A link, because the SDK's scripts do not quote their paths and a project's may have spaces in it.
    (folder / "opt").symlink_to((sandbox.state / "containers").resolve())

    ended = Event()

    def stop() -> None:
        ended.set()
        _STARTED.pop(sandbox.state, None)
        try:
            process.communicate(timeout=_END_SECONDS)
        except subprocess.TimeoutExpired:  # It is still importing, and runs nothing yet.
            process.kill()
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)

    sandbox.on_stop.append(stop)
    _wait_until_it_listens(address, process)
    return Interpreter(folder / "bin", folder / "opt", ended)


def _wait_until_it_listens(address: Path, process: subprocess.Popen[bytes]) -> None:
    """Its imports take seconds, until it listens takes milliseconds: who connects before that would be refused."""
    while not address.exists() and process.poll() is None:
        try:
            process.wait(0.005)
        except subprocess.TimeoutExpired:
            continue
    if process.poll() is not None:
        raise RuntimeError(f"the interpreter for jobs ended with exit code {process.returncode} at its start")
