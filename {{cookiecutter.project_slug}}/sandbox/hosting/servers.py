"""A model's server, for endpoints and transform jobs: the process that answers /ping and /invocations."""

from __future__ import annotations

import contextlib
import http.client
import queue
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.hosting.models import Content
from sandbox.jobs.container import Container
from sandbox.jobs.logs import LogStream
from sandbox.jobs.storage import Storage
from sandbox.sandbox import Sandbox

_LONGEST_INVOCATION = 60.0
_STARTUP_SECONDS = 60.0
_END_SECONDS = 0.5
_SERVING = Path(__file__).parent / "serving.py"


class Unhealthy(Exception):
    """A server did not come up; the text is its last line."""


class NoAnswer(Exception):
    """A container did not answer an invocation: it died, or took too long."""


@dataclass(frozen=True)
class Answer:
    """What a container answered, and how long it took."""

    status: int
    body: bytes
    content_type: str
    seconds: float


@dataclass
class Server:
    """A model's process."""

    container: Container
    port: int
    timeout: float
    process: subprocess.Popen[str]
    log: LogStream
    broken: bool = False
    # Connections are kept: opening one costs as much as a prediction.
    _idle: queue.SimpleQueue[http.client.HTTPConnection] = field(default_factory=queue.SimpleQueue)

    def invoke(self, body: bytes, headers: dict[str, str]) -> Answer:
        """Send a request to /invocations.

        Raises:
            NoAnswer: none came in time.
        """
        return self._send("POST", "/invocations", body, headers, self.timeout)

    def is_healthy(self, seconds: float) -> bool:
        """Whether /ping is answered with 200 in that time; the request waits while the model loads."""
        try:
            return self._send("GET", "/ping", b"", {}, seconds).status == 200
        except NoAnswer:
            return False

    def runs(self) -> bool:
        """Whether its process is still there; one that broke a connection is given a moment to end."""
        if self.broken:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(_END_SECONDS)
            self.broken = False
        return self.process.poll() is None

    def stop(self) -> None:
        """End it and remove its folder."""
        self.container.end()
        self.process.wait()
        self.container.remove()

    def _send(self, method: str, path: str, body: bytes, headers: dict[str, str], timeout: float) -> Answer:
        started = time.perf_counter()
        try:
            connection = self._idle.get_nowait()
        except queue.Empty:
            connection = http.client.HTTPConnection("127.0.0.1", self.port)
        try:
            connection.timeout = timeout
            if connection.sock:
                connection.sock.settimeout(timeout)
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as problem:
            connection.close()
            self.broken = not isinstance(problem, TimeoutError)
            raise NoAnswer(str(problem) or type(problem).__name__) from None
        self._idle.put(connection)
        kind = response.headers.get("Content-Type") or "application/octet-stream"
        return Answer(response.status, content, kind, time.perf_counter() - started)


def launch(sandbox: Sandbox, container: Container, content: Content, role: Storage, log: LogStream,
           longest: float = _LONGEST_INVOCATION) -> Server:  # fmt: skip
    """Start a model's server and wait until it is healthy.

    Args:
        sandbox: that it runs in.
        container: its own, empty.
        content: of the model.
        role: as whom its artefact is read.
        log: gets what it prints.
        longest: seconds that an invocation may take.

    Raises:
        NotReadable: the model data can not be loaded.
        Unhealthy: it did not come up, and nothing of it is left.
    """
    container.make("/opt/ml/model", "/opt/ml/serving")
    role.unpack(content.data, container.path("/opt/ml/model"))
    container.relocate([file for file in container.path("/opt/ml/model").rglob("*") if file.is_file()])
    # Its neighbours here must not be importable by an inference script.
    shutil.copy(_SERVING, container.path("/opt/ml/serving/serving.py"))
    credentials = {} if content.isolated else role.credentials.environment()
    environment = {
        "SM_MODEL_DIR": "/opt/ml/model",
        "AWS_REGION": role.region,
        "AWS_DEFAULT_REGION": role.region,
        **({"AWS_ENDPOINT_URL": sandbox.url, **credentials} if credentials else {}),
        **content.environment,
    }
    # The process is given the listening socket: requests made before it is ready wait, and its end closes it.
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listening:
        process = container.start(
            ["python3", "/opt/ml/serving/serving.py"], environment, container.path("/opt/ml/model"), listening
        )
        port = listening.getsockname()[1]
    container.follow(log.line)
    timeout = min(float(environment.get("SAGEMAKER_MODEL_SERVER_TIMEOUT", longest)), longest)
    server = Server(container, port, timeout, process, log)
    if not server.is_healthy(_STARTUP_SECONDS):
        server.stop()
        server.log.flush()
        raise Unhealthy("; ".join(server.log.lines[-1:]))
    return server
