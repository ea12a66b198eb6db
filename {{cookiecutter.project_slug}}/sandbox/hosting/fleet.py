"""The servers behind an endpoint: one process for each variant of a configuration."""

from __future__ import annotations

import contextlib
import http.client
import queue
import secrets
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from threading import Condition, Lock
from typing import Any

from sandbox.documents import Document
from sandbox.hosting.models import Content
from sandbox.hosting.turns import Turns
from sandbox.jobs.container import Container
from sandbox.jobs.interpreter import interpreter
from sandbox.jobs.logs import LogStream
from sandbox.jobs.storage import NotReadable, storage
from sandbox.sandbox import Sandbox

_LONGEST_INVOCATION = 60.0
_STARTUP_SECONDS = 60.0
_DRAIN_SECONDS = 2.0
_END_SECONDS = 0.5
_SERVING = Path(__file__).parent / "serving.py"


class Unhealthy(Exception):
    """A server did not come up; the text is the endpoint's FailureReason."""


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
    """A variant's process."""

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
        self.container.kill()
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


@dataclass
class Fleet:
    """The servers of one configuration for one endpoint."""

    sandbox: Sandbox
    account: str
    region: str
    endpoint: str
    configuration: Document
    contents: dict[str, Content]
    samples: Turns = field(default_factory=Turns)
    _servers: dict[str, Server] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)
    _free: Condition = field(default_factory=Condition)
    _busy: int = 0
    _closed: bool = False

    def enter(self) -> bool:
        """Announce a request; False when the fleet is being taken down and takes none any more."""
        with self._free:
            self._busy += 0 if self._closed else 1
            return not self._closed

    def leave(self) -> None:
        """The request that was announced is answered."""
        with self._free:
            self._busy -= 1
            self._free.notify_all()

    def start(self) -> None:
        """Start a server for every variant.

        Raises:
            Unhealthy: one of them did not come up; none is left running.
        """
        try:
            for variant in self.contents:
                self.server(variant)
        except Unhealthy:
            self.stop()
            raise

    def server(self, variant: str) -> Server:
        """The variant's server, started when it does not run, as the service replaces containers that end."""
        with self._lock:
            server = self._servers.get(variant)
            if server is None or not server.runs():
                self._servers[variant] = server = self._start(variant, self.contents[variant])
            return server

    def stop(self) -> None:
        """End all servers, once the requests that they have are answered."""
        with self._free:
            self._closed = True
            self._free.wait_for(lambda: not self._busy, timeout=_DRAIN_SECONDS)
        with self._lock:
            for server in self._servers.values():
                server.stop()
            self._servers.clear()

    def _start(self, variant: str, content: Content) -> Server:
        container = Container(interpreter(self.sandbox), f"{self.endpoint}-{variant}-{secrets.token_hex(4)}")
        container.make("/opt/ml/model", "/opt/ml/serving")
        role = storage(self.sandbox, content.role, self.region)
        try:
            role.unpack(content.data, container.path("/opt/ml/model"))
        except NotReadable as problem:
            raise Unhealthy(f"The model data for production variant {variant} can not be loaded: {problem}") from None
        container.relocate([file for file in container.path("/opt/ml/model").rglob("*") if file.is_file()])
        # Its neighbours here must not be importable by an inference script.
        shutil.copy(_SERVING, container.path("/opt/ml/serving/serving.py"))
        credentials = {} if content.isolated else role.credentials.environment()
        environment = {
            "SM_MODEL_DIR": "/opt/ml/model",
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            **({"AWS_ENDPOINT_URL": self.sandbox.url, **credentials} if credentials else {}),
            **content.environment,
        }
        server = self._launched(container, variant, environment)
        if not server.is_healthy(_STARTUP_SECONDS):
            server.stop()
            server.log.flush()
            last = "; ".join(server.log.lines[-1:])
            raise Unhealthy(
                f"The primary container for production variant {variant} did not pass the ping health check. "
                f"Please check CloudWatch logs for this endpoint. Its last line: {last}"
            )
        return server

    def _launched(self, container: Container, variant: str, environment: dict[str, str]) -> Server:
        logs: Any = self.sandbox.client("logs", self.account, self.region)
        log = LogStream(logs, f"/aws/sagemaker/Endpoints/{self.endpoint}", f"{variant}/i-{secrets.token_hex(8)}")
        # The process is given the listening socket: requests made before it is ready wait, and its end closes it.
        with socket.create_server(("127.0.0.1", 0), backlog=128) as listening:
            process = container.start(
                ["python3", "/opt/ml/serving/serving.py"], environment, container.path("/opt/ml/model"), listening
            )
            port = listening.getsockname()[1]
        container.follow(log.line)
        timeout = float(environment.get("SAGEMAKER_MODEL_SERVER_TIMEOUT", _LONGEST_INVOCATION))
        return Server(container, port, min(timeout, _LONGEST_INVOCATION), process, log)
