"""The `python3` that jobs and endpoints find on their PATH: it has a script run by the interpreter that forks.

Called as `python -IS python3.py SOCKET NAME ARGUMENT...`; anything but a script (`-c`, `-m`, `--version`) goes to a new
interpreter. It imports next to nothing: it is started several times per job.
"""

import json
import os
import signal
import socket
import sys


def main() -> None:
    """Hand streams, environment and arguments over, wait for the exit code, and end with it."""
    address, name, arguments = sys.argv[1], sys.argv[2], sys.argv[3:]
    if not (arguments and arguments[0].endswith(".py") and os.path.isfile(arguments[0])):  # noqa: PTH113 pathlib is slow
        os.execv(sys.executable, [sys.executable, *arguments])
    request = {
        "arguments": arguments,
        "environment": dict(os.environ),
        "folder": os.getcwd(),  # noqa: PTH109 pathlib is slow to import
        "group": os.getpgrp(),
        "executable": name,
    }
    text = json.dumps(request).encode()
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(address)
    socket.send_fds(connection, [len(text).to_bytes(8, "big")], [0, 1, 2])
    connection.sendall(text)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda got, _: connection.sendall(bytes([got])))
    code = int(connection.recv(16) or b"1")
    if code < 0:
        signal.signal(-code, signal.SIG_DFL) if -code not in (signal.SIGKILL, signal.SIGSTOP) else None
        os.kill(os.getpid(), -code)
    sys.exit(code)


main()
