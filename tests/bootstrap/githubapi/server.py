"""The server in front of GitHub's state."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Request, Response

from githubapi import deeds  # noqa: F401  registers what operations do
from githubapi.hub import Hub


class Quiet(WSGIRequestHandler):
    """Keeps no log: the state remembers every call."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass


@contextmanager
def served(current: Callable[[], Hub]) -> Iterator[str]:
    """A server on this computer, and its address.

    Args:
        current: gives the state that answers; a test has one of its own, and all share the server.
    """
    lock = threading.Lock()

    @Request.application
    def application(request: Request) -> Response:
        body = json.loads(request.get_data()) if request.get_data() else None
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        path = request.environ["RAW_URI"].partition("?")[0]
        with lock:
            status, content, headers = current().answer(request.method, path, body, token)
        text = "" if content is None else json.dumps(content)
        return Response(text, status=status, headers=headers, content_type="application/json")

    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
