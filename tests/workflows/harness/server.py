"""Where jobs reach the harness: tokens, environments and the REST API, on the loopback address."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from harness import tokens

if TYPE_CHECKING:
    from harness.github import GitHub


class Server(ThreadingHTTPServer):
    """A server that ends with its process."""

    daemon_threads = True
    github: "GitHub"

    @classmethod
    def started(cls, github: "GitHub") -> "Server":
        """Start one on a free port."""
        server = cls(("127.0.0.1", 0), Handler)
        server.github = github
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return server

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    """One request of a job."""

    server: Server

    def log_message(self, *arguments: Any) -> None:
        """Say nothing: calls are recorded by the API."""

    def handle_request(self) -> None:
        """Answer by the path."""
        address = urlsplit(self.path)
        query = dict(parse_qsl(address.query))
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        authorization = self.headers.get("authorization", "")
        token = tokens.read(authorization.partition(" ")[2])
        if address.path.startswith("/api/"):
            content = json.loads(body) if body else {}
            self._send(*self.server.github.api.answer(self.command, address.path[4:], query, content, token))
        elif token is None:
            self._send(401, {"message": "Bad credentials"})
        elif address.path == "/token":
            self._send(*self._identity(token, query))
        elif address.path == "/enter":
            refusal = self.server.github.enter(token, query)
            self._send(403 if refusal else 200, refusal or "entered")
        else:
            self._send(404, {"message": "Not Found"})

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = handle_request

    def _identity(self, token: tokens.JobToken, query: dict[str, str]) -> tuple[int, Any]:
        if not token.may("id-token", "write"):
            return 403, {"message": "the job has no permission id-token: write"}
        run = self.server.github.runs[token.run]
        claims = {
            "ref": run.event.ref,
            "sha": run.event.sha,
            "workflow": run.name,
            "event_name": run.event.name,
            "actor": run.event.actor,
            "run_id": str(run.id),
        }
        repository = self.server.github.repository
        audience = query.get("audience", repository.owner)
        return 200, {"value": tokens.identity(repository, claims, query.get("environment", ""), audience)}

    def _send(self, status: int, content: Any) -> None:
        text = content if isinstance(content, str) else "" if content is None else json.dumps(content)
        data = text.encode()
        self.send_response(status)
        self.send_header("content-type", "text/plain" if isinstance(content, str) else "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
