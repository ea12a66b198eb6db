"""One run of the sandbox as a process: its port, its state folder, its start and its end."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Lock, Thread
from typing import IO, Any

from sandbox.asked import Asked
from sandbox.documents import Documents
from sandbox.front import Front
from sandbox.sandbox import Sandbox

ADDRESS = "server.json"
USERS = "users"
"""On which each command that uses the sandbox holds a lock."""

_WATCH_SECONDS = 0.3
_STOP_SECONDS = 0.05
_ENDING_SECONDS = 15.0
_SHARE_OF_TIME_FOR_SAVING = 0.05


class AlreadyRunning(Exception):
    """Another sandbox has the state folder."""


@dataclass(frozen=True)
class Options:
    """How a sandbox is started.

    Args:
        state: the folder of its state, made when it is missing.
        settings: the project's mlops.yaml.
        time_scale: seconds of AWS per second here.
        parent: id of the process whose end ends the sandbox too.
        repository: `OWNER@ID/REPO@ID`, the repository on GitHub that the roles trust.
        warm: begin at once to import what jobs need, so that the first job does not wait for it.
        bare: leave the accounts empty, so that infrastructure code makes what the project needs.
        asked: the file to which it is written what roles ask for.
    """

    state: Path
    settings: Path
    time_scale: float = 60.0
    parent: int | None = None
    repository: str | None = None
    warm: bool = False
    bare: bool = False
    asked: Path | None = None


def run(options: Options) -> None:
    """Serve until a signal or the parent's end says to stop; the state is kept.

    Raises:
        AlreadyRunning: a sandbox is running on that state folder.
    """
    options.state.mkdir(parents=True, exist_ok=True)
    _clean_environment()
    with (options.state / "lock").open("w") as lock, (options.state / USERS).open("a") as users:
        _take(lock, options.state)
        _serve(options, users)


def _take(lock: IO[str], state: Path) -> None:
    """Own the state folder; one that is ending and saves its last state is waited for."""
    deadline = time.monotonic() + _ENDING_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError as error:
            if (state / ADDRESS).exists() or time.monotonic() > deadline:
                raise AlreadyRunning(f"a sandbox is running on {state} already") from error
        time.sleep(0.05)


def _serve(options: Options, users: IO[str]) -> None:
    stopped = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    sandbox, front, server = _made(options)
    keeper = _Keeper(sandbox, front)
    for work in (
        lambda: server.serve_forever(_STOP_SECONDS),
        lambda: _watch(options.parent, users, stopped),
        lambda: keeper.work(stopped),
    ):
        Thread(target=work, daemon=True).start()
    _tell(options, sandbox.url)
    if options.warm:
        from sandbox import jobs

        jobs.start(sandbox)
    stopped.wait()
    (options.state / ADDRESS).unlink(missing_ok=True)
    sandbox.stop()
    server.shutdown()
    keeper.save(always=True)


def _made(options: Options) -> tuple[Sandbox, Front, Any]:
    import yaml
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        """A handler that writes no line for every request."""

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            """Say nothing."""

    documents = Documents(options.state / "documents.json")
    settings = yaml.safe_load(options.settings.read_text(encoding="utf-8"))
    asked = Asked(options.asked) if options.asked else None
    made = (options.settings.resolve().parent / "infra").is_dir()
    sandbox = Sandbox(documents, options.state, "", options.time_scale, settings, options.repository, asked, made)
    front = Front(sandbox, _moto())
    server = make_server("127.0.0.1", 0, front, threaded=True, request_handler=Quiet)
    sandbox.url = f"http://127.0.0.1:{server.server_port}"
    _prepare(sandbox, options.bare)
    return sandbox, front, server


def _prepare(sandbox: Sandbox, bare: bool) -> None:
    """Register all operations, take up the state of earlier runs, and make what the project's accounts lack."""
    # Importing them registers their operations.
    from sandbox import account, backends, groups, hosting, jobs, registry, tags  # noqa: F401

    backends.restore(sandbox.state)
    backends.backends("iam")  # moto does not bear that two first requests import it at the same time.
    if not bare:
        account.prepare(sandbox)


def _moto() -> Callable[[], Any]:
    """Makes moto's application at the first call, and hands out the same one after that."""
    made: list[Any] = []
    lock = Lock()

    def application() -> Any:
        with lock:
            if not made:
                from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

                made.append(DomainDispatcherApplication(create_backend_app))
        return made[0]

    return application


class _Keeper:
    """Saves the state now and then: soon after a change, but never for more than a small share of the time."""

    def __init__(self, sandbox: Sandbox, front: Front) -> None:
        self._sandbox, self._front = sandbox, front
        self._lock = Lock()

    def work(self, stopped: Event) -> None:
        """Save while the sandbox runs."""
        pause = 1.0
        while not stopped.wait(pause):
            try:
                pause = max(1.0, self.save() / _SHARE_OF_TIME_FOR_SAVING)
            except Exception as problem:
                print(f"sandbox: the state was not saved: {problem}", file=sys.stderr, flush=True)

    def save(self, always: bool = False) -> float:
        """Write what changed; answers how many seconds it took."""
        from sandbox import backends

        started = time.perf_counter()
        with self._lock:
            self._sandbox.documents.save(always)
            if always or self._front.moto_was_used:
                self._front.moto_was_used = False
                backends.save(self._sandbox.state)
        return time.perf_counter() - started


def _watch(parent: int | None, users: IO[str], stopped: Event) -> None:
    """Stop when the parent is gone; as its child we are told by a new parent, else by its id being free.

    Other commands that have joined meanwhile are served to their end; the lock is kept, so that no more of them join.
    """
    if parent is None:
        return
    child = os.getppid() == parent
    while not stopped.wait(_WATCH_SECONDS):
        if (os.getppid() != parent) if child else not _runs(parent):
            with suppress(BlockingIOError):
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                stopped.set()


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _tell(options: Options, url: str) -> None:
    content = {"url": url, "pid": os.getpid(), "time_scale": options.time_scale}
    beside = options.state / f"{ADDRESS}.new"
    beside.write_text(json.dumps(content))
    beside.replace(options.state / ADDRESS)


def _clean_environment() -> None:
    """The caller's AWS settings are for the caller: a profile or a proxy of theirs must not reach our clients."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "MOTO_"))]:
        del os.environ[name]
    os.environ.update(
        AWS_CONFIG_FILE=os.devnull,
        AWS_SHARED_CREDENTIALS_FILE=os.devnull,
        AWS_EC2_METADATA_DISABLED="true",
        S3_IGNORE_SUBDOMAIN_BUCKETNAME="true",
        NO_PROXY="127.0.0.1,localhost",
    )
