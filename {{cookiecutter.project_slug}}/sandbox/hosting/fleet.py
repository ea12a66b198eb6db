"""The servers behind an endpoint: one process for each variant of a configuration."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from threading import Condition, Lock
from typing import Any

from sandbox.documents import Document
from sandbox.hosting.models import Content
from sandbox.hosting.servers import Server, Unhealthy, launch
from sandbox.hosting.turns import Turns
from sandbox.jobs.container import Container
from sandbox.jobs.interpreter import interpreter
from sandbox.jobs.logs import LogStream
from sandbox.jobs.storage import NotReadable, storage
from sandbox.operations import Refusal
from sandbox.sandbox import Sandbox

_DRAIN_SECONDS = 2.0


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
        """Announce a request; False when the fleet is being taken down and takes none any more.

        Raises:
            Refusal: it is serverless, and answers as many as it may already.
        """
        most = self.configuration["ProductionVariants"][0].get("ServerlessConfig", {}).get("MaxConcurrency")
        with self._free:
            if most is not None and self._busy >= most and not self._closed:
                raise Refusal("ThrottlingException", "Rate exceeded: MaxConcurrency of the endpoint is reached.", 429)
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
        role = storage(self.sandbox, content.role, self.region)
        logs: Any = self.sandbox.client("logs", self.account, self.region)
        log = LogStream(logs, f"/aws/sagemaker/Endpoints/{self.endpoint}", f"{variant}/i-{secrets.token_hex(8)}")
        try:
            return launch(self.sandbox, container, content, role, log)
        except NotReadable as problem:
            raise Unhealthy(f"The model data for production variant {variant} can not be loaded: {problem}") from None
        except Unhealthy as problem:
            raise Unhealthy(
                f"The primary container for production variant {variant} did not pass the ping health check. "
                f"Please check CloudWatch logs for this endpoint. Its last line: {problem}"
            ) from None
