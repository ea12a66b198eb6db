"""A folder that stands for a container: what a job or an endpoint knows as /opt/ml, and the processes in it."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread, Timer
from typing import Any

from sandbox.jobs.interpreter import Interpreter

_ROOT = re.compile(r"/opt/ml(?![\w-])")
_SCRIPTS = (".py", ".sh")


@dataclass
class Container:
    """One container.

    Args:
        interpreter: whose python3 it has.
        name: of its folder; nothing else uses it at the time.
        stopping: it was told to stop.
    """

    interpreter: Interpreter
    name: str
    stopping: bool = False
    timed_out: bool = False
    _process: subprocess.Popen[str] | None = field(default=None, repr=False)

    @property
    def folder(self) -> Path:
        """The folder that is /opt/ml inside."""
        return self.interpreter.containers / self.name

    def path(self, inside: str) -> Path:
        """Where a path of the container is on this machine.

        Raises:
            ValueError: it is outside of /opt/ml, the only folder that there is.
        """
        place = Path(os.path.normpath(self.relocated(inside)))
        if not place.is_relative_to(self.folder):
            raise ValueError(f"{inside} is outside of /opt/ml, which is all that the sandbox's containers have")
        return place

    def make(self, *folders: str) -> None:
        """Make folders, given as they are called inside; the container begins empty."""
        for each in folders:
            self.path(each).mkdir(parents=True, exist_ok=True)

    def relocated(self, text: str) -> str:
        """A text with every /opt/ml made this container's folder."""
        return _ROOT.sub(lambda _: str(self.folder), text)

    def original(self, text: str) -> str:
        """A text with this container's folder called /opt/ml again, for logs and reasons of failure."""
        return text.replace(str(self.folder), "/opt/ml").replace(str(self.folder.resolve()), "/opt/ml")

    def relocate(self, files: list[Path], kinds: tuple[str, ...] = _SCRIPTS) -> None:
        """Rewrite scripts that name /opt/ml, as the SDK's drivers do; data stays as it is."""
        for file in files:
            if file.suffix in kinds and "/opt/ml" in (text := file.read_text(errors="surrogateescape")):
                file.write_text(self.relocated(text), errors="surrogateescape")

    def environment(self, given: dict[str, str]) -> dict[str, str]:
        """The variables of its processes: those given, and what any Linux has. Nothing of the sandbox's own."""
        return {
            "PATH": os.pathsep.join([str(self.interpreter.programs), "/usr/local/bin", "/usr/bin", "/bin"]),
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "MPLBACKEND": "agg",
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            **{name: self.relocated(value) for name, value in given.items()},
        }

    def run(
        self, command: list[str], environment: dict[str, str], folder: Path, line: Callable[[str], None], limit: float
    ) -> int:
        """Run a command to its end and return its exit code.

        Args:
            command: with paths as they are inside.
            environment: its variables, likewise; nothing is inherited.
            folder: its working directory.
            line: called with each line of its output and its errors.
            limit: seconds after which it is stopped.
        """
        process = self.start(command, environment, folder)
        timer = Timer(limit, self._time_out)
        timer.start()
        reader = self.follow(line)
        code = process.wait()
        timer.cancel()
        # What the script left running would outlive its container, and keep its output open.
        self._signal(signal.SIGKILL)
        reader.join()
        return code

    def start(
        self, command: list[str], environment: dict[str, str], folder: Path, stdin: Any = subprocess.DEVNULL
    ) -> subprocess.Popen[str]:
        """Start a command as `run` does, and leave it running."""
        variables = self.environment(environment)
        words = [self.relocated(word) for word in command]
        # Looked up on the container's PATH: Popen would look on the sandbox's own.
        words[0] = shutil.which(words[0], path=variables["PATH"]) or words[0]
        self._process = subprocess.Popen(
            words,
            env=variables,
            cwd=folder,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            process_group=0,
        )
        if self.stopping:
            self._signal(signal.SIGKILL)
        return self._process

    def follow(self, line: Callable[[str], None]) -> Thread:
        """Hand on what the command prints, line by line, in a thread of its own."""
        reader = Thread(target=self._read, args=(line,), daemon=True)
        reader.start()
        return reader

    def stop(self, grace: float) -> None:
        """Ask everything in the container to end, and end it after a time of grace."""
        self.stopping = True
        self._signal(signal.SIGTERM)
        timer = Timer(grace, self.end)
        timer.daemon = True
        timer.start()

    def kill(self) -> None:
        """End everything in the container at once."""
        self.stopping = True
        self.end()

    def remove(self) -> None:
        """Delete its folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _read(self, line: Callable[[str], None]) -> None:
        for text in (self._process and self._process.stdout) or ():
            line(self.original(text.rstrip("\n")))

    def _time_out(self) -> None:
        self.timed_out = True
        self.stop(grace=2)

    def end(self) -> None:
        """End what still runs in it, when it has done its work."""
        # Once it has ended, another process may have its number.
        if self._process is not None and self._process.poll() is None:
            self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)
