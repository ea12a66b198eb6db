"""An interpreter that has imported the model's libraries and runs each script it is asked for in a fork of itself.

It runs as a process of its own, in isolated mode and from its file: `python -I forks.py SOCKET MODULE...`; it may
import nothing of this project. Importing scikit-learn costs seconds, forking a process that has done so milliseconds.
It ends, with all that it forked, when its standard input is closed: when the sandbox is gone.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import json
import os
import selectors
import shutil
import signal
import socket
import sys
import traceback
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

Request = dict[str, Any]
Children = dict[int, socket.socket | None]


def main() -> None:
    """Listen, import what was named, then serve; whoever comes back from serving is a fork with a script to run."""
    address, modules = sys.argv[1], sys.argv[2:]
    exit_code: list[int] = []
    # Registered before anything else is imported, so run after everything else.
    atexit.register(leave, exit_code)
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(f"{address}.new")
    # Scripts asked for from now on wait for the imports, as they would have to anyway.
    listening.listen(64)
    Path(f"{address}.new").rename(address)
    only_installed_libraries()
    for module in modules:
        with contextlib.suppress(ImportError):
            importlib.import_module(module)
    sys.excepthook = without_this_file
    run(serve(listening), exit_code)


def only_installed_libraries() -> None:
    """Hide the project's own source, which an editable install puts on the path: a job has only what it downloads."""
    roots = tuple(str(Path(each).resolve()) for each in {sys.prefix, sys.base_prefix, sys.exec_prefix})
    sys.path[:] = [each for each in sys.path if str(Path(each).resolve()).startswith(roots)]
    sys.meta_path[:] = [each for each in sys.meta_path if "editable" not in getattr(each, "__module__", "")]


def serve(listening: socket.socket) -> Request:
    """Fork for each request and report the exit codes; returns in the forks only, with their request."""
    noticed, notice = socket.socketpair()
    notice.setblocking(False)
    noticed.setblocking(False)
    signal.set_wakeup_fd(notice.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    selector = selectors.DefaultSelector()
    for source in (listening, noticed, sys.stdin):
        selector.register(source, selectors.EVENT_READ)
    children: Children = {}
    while True:
        for key, _ in selector.select():
            if key.fileobj is sys.stdin:
                end(children)
            elif key.fileobj is noticed:
                noticed.recv(4096)
                report_the_dead(children, selector)
            elif key.fileobj is listening:
                connection = listening.accept()[0]
                pid, request = start(connection)
                if pid == 0:
                    selector.close()
                    for each in (listening, noticed, notice, *filter(None, children.values())):
                        each.close()
                    return request
                if pid:
                    children[pid] = connection
                    selector.register(connection, selectors.EVENT_READ, pid)
            elif key.data in children:
                pass_signal_on(key.data, children, selector)


def start(connection: socket.socket) -> tuple[int | None, Request]:
    """Read one request and fork: 0 in the fork, its process id here, None when the request did not arrive whole."""
    connection.settimeout(10)
    try:
        files, request = receive(connection)
    except (OSError, ValueError):
        connection.close()
        return None, {}
    if pid := os.fork():
        for file in files:
            os.close(file)
        # Both sides do it, so that a kill of the group right now reaches the fork.
        with contextlib.suppress(OSError):
            os.setpgid(pid, request["group"])
        return pid, request
    with contextlib.suppress(OSError):
        os.setpgid(0, request["group"])
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    connection.close()
    return 0, request


def receive(connection: socket.socket) -> tuple[list[int], Request]:
    """The launcher's three standard streams and its request: eight bytes of length, then JSON."""
    length, files, _, _ = socket.recv_fds(connection, 8, 3)
    text = b""
    while len(text) < int.from_bytes(length, "big"):
        if not (part := connection.recv(65536)):
            raise ConnectionError("the launcher went away")
        text += part
    return files, json.loads(text)


def report_the_dead(children: Children, selector: selectors.BaseSelector) -> None:
    """Send each ended fork's exit code to its launcher; minus the signal's number when one ended it."""
    while children:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        if connection := children.pop(pid, None):
            selector.unregister(connection)
            with contextlib.suppress(OSError):
                connection.sendall(str(os.waitstatus_to_exitcode(status)).encode())
            connection.close()


def pass_signal_on(pid: int, children: Children, selector: selectors.BaseSelector) -> None:
    """A launcher sends the signals that it got, one byte each; a launcher that is gone takes its fork with it."""
    connection = children[pid]
    if connection is None:
        return
    try:
        signals = connection.recv(16)
    except OSError:
        signals = b""
    if not signals:
        selector.unregister(connection)
        connection.close()
        children[pid] = None
    with contextlib.suppress(ProcessLookupError):
        for number in signals or bytes([signal.SIGKILL]):
            os.kill(pid, number)


def end(children: Children) -> None:
    """The sandbox is gone: end every job and server, with the shell scripts around them, then this process."""
    for pid in children:
        with contextlib.suppress(OSError):
            group = os.getpgid(pid)
            if group == os.getpgrp():
                os.kill(pid, signal.SIGKILL)
            else:
                os.killpg(group, signal.SIGKILL)
    # A sandbox that was killed did not remove its folder.
    shutil.rmtree(Path(sys.argv[1]).parent, ignore_errors=True)
    os._exit(0)


def run(request: Request, exit_code: list[int]) -> None:
    """Become the process that was asked for, as if it had just been started, and run its script as `__main__`."""
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    script = request["arguments"][0]
    sys.argv[:] = request["arguments"]
    sys.executable = request["executable"]
    added = [each for each in os.environ.get("PYTHONPATH", "").split(os.pathsep) if each]
    sys.path[:0] = [str(Path(script).resolve().parent), *added]
    sys.dont_write_bytecode = True
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    if numpy := sys.modules.get("numpy"):
        # A fork inherits the state of numpy's generator, a new process draws its own.
        numpy.random.seed()
    module = ModuleType("__main__")
    module.__dict__.update(__file__=script, __builtins__=__builtins__)
    sys.modules["__main__"] = module
    try:
        exec(compile(Path(script).read_bytes(), script, "exec"), module.__dict__)
    except SystemExit as ending:
        exit_code.append(ending.code if isinstance(ending.code, int) else int(ending.code is not None))
        raise
    except BaseException:
        exit_code.append(1)
        raise


def leave(exit_code: list[int]) -> None:
    """End without taking hundreds of imported modules apart, which lasts longer than many a script."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(exit_code[0] if exit_code else 0)


def without_this_file(kind: type[BaseException], problem: BaseException, trace: TracebackType | None) -> None:
    """Print a traceback that begins in the script, as the script's author would see it elsewhere."""
    while trace and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    traceback.print_exception(kind, problem, trace)


if __name__ == "__main__":
    main()
