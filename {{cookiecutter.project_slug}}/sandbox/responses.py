"""Answers over HTTP: status, body and headers."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

JSON = "application/x-amz-json-1.1"


@dataclass
class Response:
    """One answer."""

    status: int
    body: bytes
    headers: list[tuple[str, str]] = field(default_factory=list)

    @classmethod
    def of_json(cls, content: Any, status: int = 200) -> Response:
        """JSON as the services with an X-Amz-Target send it."""
        return cls(status, json.dumps(content).encode(), [("Content-Type", JSON)])

    @classmethod
    def of_xml(cls, text: str, status: int = 200) -> Response:
        """XML as S3 and the query services send it."""
        return cls(status, text.encode(), [("Content-Type", "text/xml")])

    def send(self, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Give the answer to the WSGI server."""
        length = [("Content-Length", str(len(self.body))), ("x-amzn-RequestId", secrets.token_hex(16))]
        start_response(f"{self.status} {HTTPStatus(self.status).phrase}", [*self.headers, *length])
        return [self.body]
